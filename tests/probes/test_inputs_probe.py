"""What enters a network, against the definition in plain Python."""

import statistics

import pytest
import torch
from torch import nn

from fitwell.probes import Inputs
from fitwell.records import Quantity


def read(model, *batches):
    probe = Inputs(model)
    found = {}
    for batch in batches:
        with probe:
            model(batch)
        found = {r.quantity: (float(r.value), r.count) for r in probe.readings()}
    return found, probe.facts()


def spread(columns) -> float:
    """Largest over smallest standard deviation that is not zero, by the definition."""
    deviations = [statistics.pstdev(column) for column in columns]
    return max(deviations) / min(d for d in deviations if d)


def test_mean_and_largest_size_are_those_of_all_values():
    found, _ = read(nn.Linear(3, 1), torch.tensor([[1.0, 2.0, -9.0], [3.0, 4.0, 5.0]]))
    assert found[Quantity.INPUT_MEAN] == (pytest.approx(1.0), 2)
    assert found[Quantity.INPUT_MAX] == (9.0, 2)


def test_the_spread_is_pooled_over_the_steps_and_leaves_constant_features_out():
    torch.manual_seed(0)
    batches = [torch.randn(8, 3) * torch.tensor([1.0, 200.0, 0.0]) + 5.0 for _ in range(3)]
    found, _ = read(nn.Linear(3, 1), *batches)
    columns = torch.cat(batches).double().T.tolist()
    assert found[Quantity.INPUT_SPREAD] == (pytest.approx(spread(columns), rel=1e-4), 24)


def test_a_spread_far_below_the_mean_is_not_lost():
    torch.manual_seed(0)
    x = 1e4 + torch.randn(64, 2) * torch.tensor([1.0, 10.0])
    found, _ = read(nn.Linear(2, 1), x)
    columns = x.double().T.tolist()
    assert found[Quantity.INPUT_SPREAD][0] == pytest.approx(spread(columns), rel=1e-2)


def test_constant_inputs_have_a_spread_of_one():
    found, _ = read(nn.Linear(3, 1), torch.full((4, 3), 7.0))
    assert found[Quantity.INPUT_SPREAD][0] == 1.0


def test_features_of_an_image_are_its_channels():
    torch.manual_seed(0)
    x = torch.randn(4, 2, 5, 5) * torch.tensor([1.0, 30.0]).reshape(1, 2, 1, 1)
    found, facts = read(nn.Sequential(nn.Conv2d(2, 1, 3)), x)
    columns = x.double().movedim(1, 0).flatten(1).tolist()
    assert found[Quantity.INPUT_SPREAD][0] == pytest.approx(spread(columns), rel=1e-4)
    assert facts == {"batch_size": 4, "input_kind": "images"}


def test_features_of_a_sequence_stand_on_the_last_axis_but_for_a_convolution():
    torch.manual_seed(0)
    x = torch.randn(6, 4, 3) * torch.tensor([1.0, 1.0, 50.0])
    last = x.double().flatten(0, 1).T.tolist()
    second = x.double().movedim(1, 0).flatten(1).tolist()
    found, facts = read(nn.LSTM(3, 2, batch_first=True), x)
    assert found[Quantity.INPUT_SPREAD][0] == pytest.approx(spread(last), rel=1e-4)
    assert facts["input_kind"] == "sequences"
    found, _ = read(nn.Sequential(nn.Conv1d(4, 1, 1)), x)
    assert found[Quantity.INPUT_SPREAD][0] == pytest.approx(spread(second), rel=1e-4)


def test_tokens_are_told_and_not_measured():
    found, facts = read(nn.Embedding(9, 2), torch.zeros(6, 3, dtype=torch.long))
    assert not found
    assert facts == {"batch_size": 6, "input_kind": "tokens"}


def test_a_large_batch_is_thinned_for_mean_and_spread_alone():
    x = torch.zeros(2000, 100)
    x[1999, 99] = -3.0
    found, _ = read(nn.Linear(100, 1), x)
    assert found[Quantity.INPUT_MAX][0] == 3.0
    assert found[Quantity.INPUT_SPREAD][1] <= 700
