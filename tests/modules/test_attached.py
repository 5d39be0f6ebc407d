"""A layer in a row with others is still found by what reads its attributes."""

import copy
import pickle
from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from fitwell.modules.attached import Attached


def row(layer):
    return Attached(OrderedDict(scale=nn.Identity(), layer=layer))


def test_attributes_are_the_rows_own_or_the_layers():
    made = row(nn.Conv1d(2, 3, 3, stride=2))
    assert made.stride == (2,)
    assert made.weight is made.layer.weight
    assert list(dict(made.named_children())) == ["scale", "layer"]
    with pytest.raises(AttributeError, match="nothing"):
        made.nothing  # noqa: B018  # reading it is the test


@pytest.mark.parametrize("layer", [nn.Linear(3, 2), weight_norm(nn.Linear(3, 2))])
def test_copies_are_equal(layer):
    made, x = row(layer), torch.randn(4, 3)
    twin = copy.deepcopy(made)
    assert type(twin) is Attached
    assert torch.equal(twin(x), made(x))
    assert twin.layer is not made.layer


def test_it_can_be_saved():
    made, x = row(nn.Linear(3, 2)), torch.randn(4, 3)
    assert torch.equal(pickle.loads(pickle.dumps(made))(x), made(x))
