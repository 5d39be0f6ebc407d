"""The calibration benchmark: its worlds are what they claim to be, and it runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benchmarks.calibration.__main__ import PARTS, main
from benchmarks.calibration.real import factory, studied
from benchmarks.calibration.worlds import WORLDS, World
from scipy.stats import kstest

from fitwell.recipe import Recipe
from fitwell.remedies import Initialization

MANY = 20_000


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_the_truth_of_a_world_is_what_its_runs_come_to(world: World):
    scores, truth = world.draw(np.random.default_rng(0), MANY, np.array([0.0, 0.0, 2.0]))
    differences = scores - scores[0]
    error = differences.std(1) / MANY**0.5
    assert np.abs(differences.mean(1) - truth)[1:] == pytest.approx([0, 0], abs=4.5 * error.max())
    assert truth[1] == pytest.approx(0.0)
    assert truth[2] > 0


@pytest.mark.parametrize("world", [w for w in WORLDS if w.step], ids=lambda world: world.name)
def test_an_accuracy_moves_in_its_steps(world: World):
    scores, _ = world.draw(np.random.default_rng(0), 100, np.zeros(2))
    assert np.allclose(scores / world.step, np.round(scores / world.step))


def test_weights_drawn_anew_are_like_the_first_ones():
    make = factory((64, 64, 64), 0)
    treated = Recipe(Initialization("he_normal")).apply(
        make(), example_input=torch.zeros(2, 64), make_model=make, seed=0
    )
    first, again = (
        torch.cat([p.flatten() for p in m.parameters()]).detach().numpy()
        for m in (
            make(),
            treated.model,
        )
    )
    assert first.std() > 0
    assert kstest(first, again).pvalue > 0.01
    assert (first == 0).sum() == (again == 0).sum() == 128


def test_a_real_study_of_nothing_has_runs_that_differ():
    said = studied(1, seeds=3)
    assert said.effect.low < said.effect.high
    assert said.loss_effect.mean != 0
    assert said.other_rows is not None


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_every_part_prints_a_table(part: str, capsys: pytest.CaptureFixture[str]):
    main(["--quick", "--only", part])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) > 4
