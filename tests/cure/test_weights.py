"""Counting the weights of networks whose weights are set by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fitwell.cure.weights import weights_of


def net(*weights: float) -> nn.Module:
    layer = nn.Linear(len(weights), 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weights]))
        layer.bias.fill_(100.0)
    return nn.Sequential(layer, nn.BatchNorm1d(1))


def test_weights_are_counted_in_the_same_bins_and_zeros_apart() -> None:
    before, after = weights_of([("a", 0, net(1.0, -1.0, 0.5)), ("b", 1, net(0.0, 0.0, 2.0))])
    assert before.edges == after.edges
    assert before.edges[0] == -before.edges[-1]
    assert (before.total, before.zeros, sum(before.counts)) == (3, 0, 3)
    assert (after.zeros, sum(after.counts), after.counts[-1]) == (2, 1, 1)
    assert [layer.name for layer in before.layers] == ["0"]
    assert before.layers[0].deviation == pytest.approx((2.25 / 3) ** 0.5)


def test_what_is_not_finite_is_in_no_bin() -> None:
    (found,) = weights_of([("a", 0, net(float("nan"), 1.0, -1.0))])
    assert sum(found.counts) == 2
    assert weights_of([("a", 0, net(float("nan")))]) == ()
