from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from fitwell.errors import ThresholdError
from fitwell.studies.subsets import nested_order, passes, repeats, rows_of, subset
from fitwell.tasks import Split


def classes(*counts: int) -> torch.Tensor:
    y = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return y[torch.randperm(len(y), generator=torch.Generator().manual_seed(0))]


def numbered(y: torch.Tensor) -> Split:
    """Rows whose input is their own number."""
    return Split(torch.arange(len(y)).float()[:, None], y)


def kept(split: Split, share: float, seed: int = 0) -> set[int]:
    return set(subset(split, share, seed=seed).x[:, 0].long().tolist())


def test_the_whole_is_the_split_itself():
    split = numbered(classes(5, 5))
    assert subset(split, 1.0, seed=3) is split


def test_shares_of_one_seed_are_nested_and_as_large_as_asked_for():
    split = numbered(classes(60, 30, 7))
    parts = [kept(split, share) for share in (0.125, 0.25, 0.5, 1.0)]
    assert [len(part) for part in parts] == [12, 24, 48, 97]
    assert all(a < b for a, b in pairwise(parts))


@pytest.mark.parametrize("seed", range(5))
def test_any_first_rows_hold_every_class_in_its_share_to_within_one(seed):
    labels = classes(60, 30, 7, 3).numpy()
    order = nested_order(labels, seed=seed)
    assert sorted(order.tolist()) == list(range(100))
    for count in range(1, 101):
        found = np.bincount(labels[order[:count]], minlength=4)
        assert (np.abs(found - count * np.array([0.6, 0.3, 0.07, 0.03])) < 2).all()


def test_rows_keep_their_targets_and_their_order():
    split = numbered(classes(20, 20))
    part = subset(split, 0.5, seed=1)
    rows = part.x[:, 0].long()
    assert torch.equal(part.y, split.y[rows])
    assert torch.equal(rows, rows.sort().values)


def test_seeds_draw_different_rows_and_one_seed_always_the_same():
    split = numbered(classes(50, 50))
    assert kept(split, 0.25, 1) == kept(split, 0.25, 1) != kept(split, 0.25, 2)


def test_a_range_of_numbers_is_covered_in_fifths():
    y = torch.arange(100.0)[:, None]
    chosen = subset(numbered(y), 0.2, seed=0).y.flatten()
    fifths = np.bincount((chosen // 20).long().numpy(), minlength=5)
    assert (np.abs(fifths - 4) <= 1).all()


def test_several_numbers_a_row_are_drawn_without_strata():
    assert len(subset(numbered(torch.zeros(40, 3)), 0.25, seed=0)) == 10


@pytest.mark.parametrize("share", [0.0, -0.5, 1.01, float("nan")])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ThresholdError, match=r"share must lie in \(0, 1\]"):
        subset(numbered(classes(5, 5)), share, seed=0)


def test_a_share_is_at_least_one_row():
    assert rows_of(100, 0.001) == 1


@pytest.mark.parametrize("epochs", [1, 7, 30])
def test_all_rows_are_passed_over_once_an_epoch(epochs):
    assert [passes(epoch, epochs, 1.0) for epoch in range(epochs)] == [1] * epochs


@pytest.mark.parametrize(("rows", "kept"), [(500, 62), (500, 250), (265, 33), (107, 27), (107, 54)])
def test_a_share_makes_the_same_number_of_updates_in_single_passes_first(rows, kept):
    size, epochs = 32, 30
    each = passed = [passes(epoch, epochs, repeats(rows, kept, size)) for epoch in range(epochs)]
    updates = sum(passed) * -(-kept // size)
    assert updates == pytest.approx(epochs * -(-rows // size), abs=-(-kept // size) / 2)
    assert each[0] == 1
    assert min(each) >= 1
