"""A copy is deep, keeps what is shared, and is not compiled."""

import pytest
import torch
from torch import nn

from fitwell import surgery
from fitwell.recipe import Recipe
from fitwell.remedies import BatchNorm

X = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))


def whole(model):
    return torch.compile(model, backend="eager")


def in_part(model):
    model[0] = torch.compile(model[0], backend="eager")
    return model


def in_place(model):
    model.compile(backend="eager")
    return model


@pytest.mark.parametrize("compiled", [whole, in_part, in_place])
def test_a_compiled_network_is_treated_as_it_was_before(compiled):
    model = compiled(net())
    expected = model(X)
    assert torch.allclose(surgery.copy_of(model)(X), expected)
    treated = Recipe(BatchNorm()).apply(model, example_input=X)
    assert isinstance(treated.model[0].norm, nn.BatchNorm1d)
    assert not any(hasattr(m, surgery.COMPILED) for m in treated.model.modules())
    treated.load_original(model.state_dict())
    assert torch.equal(treated.model[0].layer.weight, net()[0].weight)
