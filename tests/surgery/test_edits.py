"""Edits do what they say, on the copy only."""

import copy

import pytest
import torch
from torch import nn

from fitwell import surgery
from fitwell.errors import NotApplicable
from fitwell.modules import Recurrent
from fitwell.records import Configure, Initialize, InsertAfter, ModuleSpec, Replace


@pytest.fixture
def model():
    torch.manual_seed(0)
    shared = nn.ReLU()
    return nn.Sequential(nn.Linear(4, 6), shared, nn.Linear(6, 6), shared, nn.Linear(6, 2))


def test_a_copy_keeps_shared_modules_shared(model):
    copy = surgery.copy_of(model)
    assert copy[1] is copy[3]
    assert copy[1] is not model[1]


def test_replacing_a_shared_module_replaces_it_everywhere(model):
    surgery.perform(model, [Replace("1", ModuleSpec("LeakyReLU", {"negative_slope": 0.2}))])
    assert isinstance(model[1], nn.LeakyReLU)
    assert model[1] is model[3]
    assert model[1].negative_slope == 0.2


def test_an_insertion_reports_the_keys_that_moved(model):
    spec = ModuleSpec("BatchNorm1d", {"num_features": 6})
    moved = surgery.perform(model, [InsertAfter("0", "norm", spec)])
    assert moved == {"0.weight": "0.layer.weight", "0.bias": "0.layer.bias"}
    assert isinstance(model[0].norm, nn.BatchNorm1d)


def test_a_second_insertion_stands_where_it_was_asked_for(model):
    norm, drop = ModuleSpec("LayerNorm", {"normalized_shape": 6}), ModuleSpec("Dropout")
    surgery.perform(model, [InsertAfter("0", "norm", norm), InsertAfter("0", "drop", drop)])
    assert [name for name, _ in model[0].named_children()] == ["layer", "norm", "drop"]
    surgery.perform(model, [InsertAfter("0.layer", "norm", norm)])
    assert [name for name, _ in model[0].named_children()] == ["layer", "norm2", "norm", "drop"]


def test_initialising_rows_leaves_the_others_alone(model):
    before = model[2].weight.clone()
    surgery.perform(model, [Initialize("2.weight", "zeros_", rows=(2, 4))])
    assert not model[2].weight[2:4].any()
    assert torch.equal(model[2].weight[:2], before[:2])
    assert torch.equal(model[2].weight[4:], before[4:])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_of_any_precision_are_filled(model, dtype):
    surgery.perform(model.to(dtype), [Initialize("2.weight", "orthogonal_")])
    weight = model[2].weight.double()
    assert model[2].weight.dtype == dtype
    assert torch.allclose(weight @ weight.T, torch.eye(6, dtype=torch.float64), atol=0.02)


def test_the_seed_decides_new_weights_and_the_global_state_is_restored(model):
    edits = [Initialize("0.weight", "kaiming_normal_", {"nonlinearity": "relu"})]
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    surgery.perform(model, edits, seed=7)
    first = model[0].weight.clone()
    assert torch.equal(torch.rand(2), expected)
    surgery.perform(model, edits, seed=7)
    assert torch.equal(model[0].weight, first)
    surgery.perform(model, edits, seed=8)
    assert not torch.equal(model[0].weight, first)


def test_new_modules_take_dtype_and_mode_of_what_they_replace(model):
    model.double().eval()
    surgery.perform(
        model, [Replace("2", ModuleSpec("Linear", {"in_features": 6, "out_features": 6}))]
    )
    assert model[2].weight.dtype == torch.float64
    assert not model[2].training


def test_an_attribute_is_configured(model):
    model.append(nn.Dropout(0.1))
    surgery.perform(model, [Configure("5", "p", 0.4)])
    assert model[5].p == 0.4


def test_a_network_that_is_one_layer_is_refused():
    with pytest.raises(NotApplicable, match="single layer"):
        surgery.perform(nn.Linear(2, 2), [InsertAfter("", "norm", ModuleSpec("Identity"))])


def test_a_weight_whose_numbers_lie_in_another_order_is_filled_alike():
    edits = [Initialize("0.weight", "orthogonal_")]
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    last = copy.deepcopy(model).to(memory_format=torch.channels_last)
    surgery.perform(model, edits)
    surgery.perform(last, edits)
    assert not last[0].weight.is_contiguous()
    assert torch.equal(last[0].weight, model[0].weight)


def test_weights_are_what_multiplies_an_input():
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.PReLU(6), nn.LSTM(6, 3))
    assert surgery.weight_names(model) == {"0.weight", "3.weight_ih_l0", "3.weight_hh_l0"}


def test_gains_and_offsets_inside_a_recurrent_layer_are_no_weights():
    model = nn.Sequential(Recurrent("LSTM", 4, 3, norm=True))
    assert surgery.weight_names(model) == {"0.weight_ih_l0", "0.weight_hh_l0"}


def test_every_name_of_a_shared_module_is_known(model):
    assert surgery.module_paths(model, model[1]) == ("1", "3")
