"""Inputs get mean 0 and deviation 1 inside the network, as numpy computes them."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fitwell.errors import BadInput, NotApplicable
from fitwell.recipe import Recipe
from fitwell.remedies import ScaleInputs
from fitwell.testing import RemedyContract

ROWS = 30 * torch.rand(200, 6, generator=torch.Generator().manual_seed(0)) + torch.arange(6.0)
IMAGES = 255 * torch.rand(40, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def treated(model, rows=ROWS, **options):
    options = {"example_input": rows[:4], "data": rows} | options
    return Recipe(ScaleInputs()).apply(model, **options).model


class TestScaleInputs(RemedyContract):
    def make_remedy(self):
        return ScaleInputs()

    def make_untreatable(self):
        return nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2)), torch.arange(4)


def same(scale, rows, axes):
    """Whether what stands in a network is what numpy measures."""
    mean, deviation = rows.numpy().mean(axes), rows.numpy().std(axes)
    assert np.allclose(scale.mean.flatten().numpy(), mean, rtol=1e-5)
    assert np.allclose(scale.deviation.flatten().numpy(), deviation, rtol=1e-5)


def test_each_feature_of_a_row_has_its_own_scale():
    net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
    new = treated(net)
    same(new[0].scale, ROWS, 0)
    expected = net((ROWS - ROWS.mean(0)) / ROWS.std(0, correction=0))
    assert torch.allclose(new(ROWS), expected, atol=1e-5)


def test_training_and_evaluation_scale_alike_and_the_statistics_are_saved():
    new = treated(nn.Sequential(nn.Linear(6, 2)))
    before = new.state_dict()["0.scale.mean"].clone()
    assert torch.equal(new.train()(ROWS + 9), new.eval()(ROWS + 9))
    assert torch.equal(new.state_dict()["0.scale.mean"], before)
    assert not list(new[0].scale.parameters())


def test_each_channel_of_an_image_has_its_own_scale():
    new = treated(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2)), IMAGES)
    same(new[0].scale, IMAGES, (0, 2, 3))
    flat = treated(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), IMAGES)
    same(flat[0].scale, IMAGES, (0, 2, 3))


class Flattened(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(192, 2)

    def forward(self, x):
        return self.out(torch.flatten(x / 255, 1))


def test_an_image_that_a_function_flattens_has_one_scale():
    same(treated(Flattened(), IMAGES).out.scale, IMAGES / 255, None)


class Steps(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.out = nn.GRU(6, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])


def test_steps_of_a_sequence_share_the_scale_of_each_feature():
    rows = ROWS.reshape(20, 10, 6)
    same(treated(Steps(), rows).rnn.scale, rows, (0, 1))
    signal = rows.transpose(1, 2).contiguous()
    net = nn.Sequential(nn.Conv1d(6, 3, 3), nn.Flatten(), nn.Linear(24, 2))
    same(treated(net, signal)[0].scale, signal, (0, 2))


def test_a_constant_feature_is_only_shifted():
    rows = ROWS.clone()
    rows[:, 2] = 0.1
    scale = treated(nn.Sequential(nn.Linear(6, 2)), rows)[0].scale
    assert scale.deviation[2] == 1
    assert scale.mean[2].item() == pytest.approx(0.1)


def test_every_module_that_reads_the_input_gets_a_scale():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.out = nn.Linear(6, 4), nn.Linear(6, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.out(self.a(x) + self.b(x))

    new = treated(Two())
    for layer in (new.a, new.b):
        same(layer.scale, ROWS, 0)


def test_keyword_inputs_are_scaled_where_they_are_read():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(6, 2)

        def forward(self, *, values):
            return self.out(values)

    new = treated(Named(), example_input={"values": ROWS[:4]}, data={"values": ROWS})
    same(new.out.scale, ROWS, 0)


def test_many_rows_are_measured_on_a_sample_spread_over_all():
    rows = torch.cat([torch.zeros(5000, 1), torch.ones(5000, 1)])
    scale = treated(nn.Sequential(nn.Linear(1, 2)), rows)[0].scale
    assert scale.mean.item() == pytest.approx(0.5, abs=0.01)


def test_a_second_application_finds_nothing_to_do():
    new = treated(nn.Sequential(nn.Linear(6, 2)))
    with pytest.raises(NotApplicable, match="standardises its inputs already"):
        treated(new)
    standard = (ROWS - ROWS.mean(0)) / ROWS.std(0)
    with pytest.raises(NotApplicable, match="standardised already"):
        treated(nn.Sequential(nn.Linear(6, 2)), standard)


def test_without_training_rows_it_says_what_to_give():
    with pytest.raises(BadInput, match="give them as data="):
        treated(nn.Sequential(nn.Linear(6, 2)), data=None)


def test_what_cannot_be_scaled_is_refused_with_the_reason():
    words = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2))
    with pytest.raises(NotApplicable, match="numbers of words"):
        treated(words, torch.arange(8).reshape(4, 2))
    with pytest.raises(NotApplicable, match="BatchNorm1d"):
        treated(nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 2)))
    with pytest.raises(BadInput, match="not finite"):
        treated(nn.Sequential(nn.Linear(6, 2)), torch.full((4, 6), float("nan")))

    class ByFunction(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2, 6))

        def forward(self, x):
            return F.linear(x, self.weight)

    with pytest.raises(NotApplicable, match=r"read by the function linear at .*\.py:\d+"):
        treated(ByFunction())


def test_a_buffer_of_the_network_is_none_of_its_inputs():
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("table", torch.randn(9, 6))
            self.first, self.place, self.out = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)

        def forward(self, x):
            return self.out(self.first(x) + self.place(self.table[: x.shape[1]]))

    new = treated(Positions(), ROWS.reshape(25, 8, 6))
    assert isinstance(new.first, nn.Sequential)
    assert isinstance(new.place, nn.Linear)


class Tied(nn.Module):
    """Reads the weight of the layer that reads its input."""

    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(4, 3)

    def forward(self, x):
        return torch.tanh(self.encode(x)) @ self.encode.weight


def test_a_network_that_reads_the_weights_of_its_first_layer_still_finds_them():
    x, net = 3 * torch.randn(8, 4) + 1, Tied()
    new = Recipe(ScaleInputs()).apply(net, example_input=x, data=x).model
    scaled = (x - x.mean(0)) / x.std(0, correction=0)
    expected = torch.tanh(net.encode(scaled)) @ net.encode.weight
    assert torch.allclose(new(x), expected, atol=1e-5)
