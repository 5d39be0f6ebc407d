"""The grounds that cures are held against: their rows, and the tables that are printed."""

from __future__ import annotations

import pytest
import torch
from benchmarks.outcomes import deep, images
from benchmarks.outcomes.clock import processor_time
from benchmarks.outcomes.page import single_rows, table_rows
from benchmarks.outcomes.tables import TARGET, table

from fitwell.studies.budget import Budget


def test_a_table_of_keel_has_numbers_classes_and_no_row_twice(tmp_path):
    file = tmp_path / "small.dat"
    file.write_text("A1, 2, 0.5, 1\nA2, 3, 0.5, 0\nA1, 2, 0.5, 1\n")
    frame = table(file)
    assert frame.rows() == [("A1", 2.0, 0.5, "c1.0"), ("A2", 3.0, 0.5, "c0.0")]
    assert frame.columns[-1] == TARGET


@pytest.mark.parametrize("split", [0, 1])
def test_500_images_are_learned_from_and_no_row_is_on_two_sides(split):
    (ground,) = images.grounds()
    sides = ground.make(split).data.splits.values()
    assert [len(side) for side in sides] == [500, 500, 4000]
    rows = torch.cat([side.x.flatten(1) for side in sides])
    assert len(torch.unique(rows, dim=0)) > 4990


def test_the_deep_grounds_have_twenty_hidden_layers():
    for ground in deep.grounds():
        shapes = [p.shape for p in ground.make(0).make_model().parameters() if p.ndim == 2]
        assert len(shapes) == 21
        assert set(shapes[:-1]) == {(64, 64)}


def one(**changes):
    arm = {"metric": [0.8, 0.9], "loss": [1.0, 2.0]}
    better = {"metric": [0.9, 0.9], "loss": [0.1, 0.2]}
    return {
        "ground": "x",
        "split": 0,
        "last": arm,
        "untreated": arm,
        "cured": better,
        "tested_scores": better,
        "recipe": ["BatchNorm"],
        "runs": 3,
        "seconds": 2.0,
        "train_rows": 80,
        "test_rows": 20,
        "single": None,
        "averaged": [{"arm": "cured", "networks": 2, "metric": 0.95, "loss": 0.05}],
        **changes,
    }


def test_a_single_ground_shows_means_ranges_and_the_average():
    line = single_rows([one()]).splitlines()[-1]
    assert "| 0.850 (0.800 to 0.900) · 1.500 | 0.900 (0.900 to 0.900) · 0.150 |" in line
    assert "| 0.950 · 0.050 |" in line


def test_splits_are_compared_with_the_correction_for_rows_that_they_share():
    other = one(split=1, cured={"metric": [0.95, 0.95], "loss": [0.1, 0.2]})
    line = table_rows([one(), other]).splitlines()[2]
    # differences 0.05 and 0.10: mean 0.075, deviation 0.0354, variance × (1/2 + 20/80), t 12.71
    assert "| +0.075 [-0.314, +0.464] |" in line


def test_one_split_has_no_interval():
    assert "| +0.050 | +1.350 | 1 of 1 |" in table_rows([one()])


def test_a_budget_counts_work_over_two_cores_while_the_clock_is_changed():
    with processor_time():
        budget = Budget(60.0)
        budget.start()
        sum(i * i for i in range(300_000))
        assert 0 < budget.elapsed < 30
    assert Budget(60.0).elapsed == 0


def test_without_tables_there_is_no_table_of_tables():
    assert table_rows([]) == ""
