"""A first step is read as it is, and changes nothing."""

import pytest
import torch
from torch import nn

from fitwell.claims.c15_clipping import arrows
from fitwell.claims.c29_recurrent_statistics import apart
from fitwell.claims.watching import by_layer, first_step, of_layers, straight
from fitwell.records import Quantity
from fitwell.tasks.models import mlp


def test_a_geometric_fall_is_a_straight_line():
    slope, r2 = straight([8.0, 4.0, 2.0, 1.0])
    assert slope == pytest.approx(-torch.tensor(2.0).log10().item())
    assert r2 == pytest.approx(1.0)


def test_what_bends_is_no_straight_line():
    assert straight([1.0, 100.0, 1.0, 100.0])[1] < 0.5


def test_the_first_step_tells_every_hidden_layers_gradient_and_moves_no_weight():
    torch.manual_seed(0)
    network, x, y = mlp((4, 5, 6, 3)), torch.rand(8, 4), torch.randint(3, (8,))
    before = [p.clone() for p in network.parameters()]
    norms = of_layers(first_step(network, x, y), Quantity.GRADIENT_NORM)
    assert all(torch.equal(p, old) for p, old in zip(network.parameters(), before, strict=True))
    nn.functional.cross_entropy(network(x), y).backward()
    gradients = [network[i].weight.grad.norm().item() / 2 for i in (0, 2)]  # the step added its own
    assert norms == pytest.approx(gradients, rel=1e-4)


def test_a_band_holds_every_seed():
    assert by_layer({"a": [[1.0, 2.0], [3.0, 6.0]]}) == (
        ("a", 1, 2.0, 1.0, 3.0),
        ("a", 2, 4.0, 2.0, 6.0),
    )


def test_steps_with_the_same_mean_are_not_apart_and_a_shift_is_told_in_deviations():
    torch.manual_seed(0)
    states = torch.randn(4000, 2, 3)
    assert apart(states) < 0.05
    states[:, 1] += 2.0
    assert apart(states) == pytest.approx(1.0, abs=0.05)


def test_a_clipped_gradient_keeps_its_direction_within_the_circle():
    torch.manual_seed(0)
    drawn = arrows(torch.rand(150, 28, 28), torch.randint(10, (150,)))
    for (_, x, y), (_, cut_x, cut_y) in zip(drawn[::2], drawn[1::2], strict=True):
        assert (cut_x**2 + cut_y**2) ** 0.5 <= 1.0 + 1e-5
        assert x * cut_y == pytest.approx(y * cut_x, abs=1e-2)
