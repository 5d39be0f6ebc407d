import math

import pytest
import torch
from torch import nn

from fitwell.probes import Updates, layout_of
from fitwell.records import Quantity


def cosines(moves, *, steps=None) -> list[float]:
    """Move the weights of a network by hand, and return the cosines that were read."""
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False))
    steps = list(range(len(moves))) if steps is None else steps
    now = [0]
    probe, found = Updates(layout_of(model)[0], clock=lambda: now[0]), []
    for step, move in zip(steps, moves, strict=True):
        now[0] = step
        with probe, torch.no_grad():
            probe.before_update()
            for parameter, change in zip(model.parameters(), move, strict=True):
                parameter += torch.tensor(change).reshape(parameter.shape)
            probe.after_update()
            found += [r for r in probe.readings() if r.quantity == Quantity.UPDATE_COSINE]
    return [float(r.value) for r in found]


FIRST = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0])
SECOND = ([-2.0, 1.0, 0.5, 0.0], [1.0, -3.0])


def test_the_cosine_is_that_of_all_weights_together():
    a, b = [*FIRST[0], *FIRST[1]], [*SECOND[0], *SECOND[1]]
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    expected = dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
    assert cosines([FIRST, SECOND]) == [pytest.approx(expected, rel=1e-4)]


def test_steps_there_and_back_are_opposite():
    back = tuple([-x for x in part] for part in FIRST)
    found = cosines([FIRST, back, FIRST, FIRST])
    assert found == [pytest.approx(v, abs=1e-5) for v in (-1.0, -1.0, 1.0)]


def test_only_steps_in_a_row_are_compared():
    assert cosines([FIRST, SECOND, FIRST], steps=[0, 2, 3]) == [
        pytest.approx(cosines([SECOND, FIRST])[0])
    ]


def test_a_step_that_moves_nothing_has_no_direction():
    still = ([0.0] * 4, [0.0] * 2)
    assert cosines([FIRST, still]) == [0.0]


def test_without_a_clock_no_cosine_is_read():
    model = nn.Linear(2, 1)
    probe = Updates(layout_of(nn.Sequential(model))[0])
    for _ in range(2):
        with probe:
            probe.before_update()
            probe.after_update()
            assert Quantity.UPDATE_COSINE not in {r.quantity for r in probe.readings()}
