"""Splits: nothing lost, nothing twice, nothing torn apart, every class where it can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitwell.errors import TaskError
from fitwell.tasks.splits import copies, joined, split_by_time, split_rows, strata_of

SHARES = (0.6, 0.2, 0.2)

counts_of_classes = st.lists(st.integers(2, 60), min_size=2, max_size=8).filter(
    lambda counts: sum(counts) >= 30
)


@settings(deadline=None, max_examples=60)
@given(counts=counts_of_classes, seed=st.integers(0, 99))
def test_every_row_stands_on_exactly_one_side(counts: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    sides = split_rows(labels, shares=SHARES, seed=seed)
    assert sorted(np.concatenate(sides).tolist()) == list(range(len(labels)))


@settings(deadline=None, max_examples=60)
@given(counts=counts_of_classes, seed=st.integers(0, 99))
def test_every_class_has_its_share_of_every_side_within_two_rows(
    counts: list[int], seed: int
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    for rows, share in zip(split_rows(labels, shares=SHARES, seed=seed), SHARES, strict=True):
        held = np.bincount(labels[rows], minlength=len(counts))
        assert np.abs(held - share * np.array(counts)).max() <= 2


@settings(deadline=None, max_examples=60)
@given(counts=counts_of_classes, seed=st.integers(0, 99))
def test_a_rare_class_stands_on_every_side_if_it_has_three_rows(
    counts: list[int], seed: int
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    sides = split_rows(labels, shares=SHARES, seed=seed)
    for label, count in enumerate(counts):
        on_sides = sum(bool((labels[rows] == label).any()) for rows in sides)
        assert on_sides == min(count, 3)
        assert (labels[sides[0]] == label).any()


@settings(deadline=None, max_examples=60)
@given(
    groups=st.lists(st.integers(0, 12), min_size=30, max_size=120).filter(
        lambda groups: len(set(groups)) >= 3
    ),
    seed=st.integers(0, 99),
)
def test_a_group_is_never_torn_apart_and_no_side_is_empty(groups: list[int], seed: int) -> None:
    numbers = copies(groups)
    labels = np.arange(len(groups)) % 2
    sides = split_rows(labels, shares=SHARES, seed=seed, groups=numbers)
    held = [set(numbers[rows].tolist()) for rows in sides]
    assert all(held)
    assert sum(map(len, held)) == len(set.union(*held))


def test_the_same_seed_gives_the_same_split_and_another_another() -> None:
    labels = np.arange(60) % 2
    first, again, other = (split_rows(labels, shares=SHARES, seed=s)[2].tolist() for s in (1, 1, 2))
    assert first == again != other


def test_fewer_groups_than_sides_cannot_be_split() -> None:
    with pytest.raises(TaskError, match="40 rows in 2 separate groups"):
        split_rows(np.zeros(40, int), shares=SHARES, seed=0, groups=np.repeat(np.array([0, 1]), 20))


def test_a_split_by_time_trains_on_the_earliest_rows() -> None:
    times = np.random.default_rng(0).permutation(100).astype(float)
    train, validation, test = split_by_time(times, shares=SHARES)
    assert (len(train), len(validation), len(test)) == (60, 20, 20)
    assert times[train].max() < times[validation].min()
    assert times[validation].max() < times[test].min()


def test_rows_of_one_time_stay_on_one_side() -> None:
    times = np.repeat(np.arange(7.0), 9)
    sides = split_by_time(times, shares=SHARES)
    held = [set(times[rows].tolist()) for rows in sides]
    assert all(held)
    assert sum(map(len, held)) == 7


def test_two_times_cannot_be_split_into_three_sides() -> None:
    with pytest.raises(TaskError, match="at least 3 different times, got 2"):
        split_by_time(np.arange(40.0) // 20, shares=SHARES)


def test_strata_of_numbers_are_equally_filled() -> None:
    assert np.bincount(strata_of(np.arange(100.0) ** 2)).tolist() == [20] * 5


def test_joined_groupings_are_connected_through_either() -> None:
    first, second = np.array([0, 0, 1, 2, 3]), np.array([0, 1, 1, 2, 3])
    groups = joined(first, second)
    assert groups[0] == groups[1] == groups[2]
    assert len(set(groups.tolist())) == 3
