"""Which row goes to which side: stratified, in groups, or by time.

Nothing here sees features or models: arrays of labels and group numbers in, row numbers out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fitwell.errors import TaskError

Ints: TypeAlias = NDArray[np.int64]


def split_rows(
    strata: Ints, *, shares: Sequence[float], seed: int, groups: Ints | None = None
) -> list[Ints]:
    """Split rows at random so that every side has its share of every stratum.

    A stratum with at least as many separate groups as there are sides stands on every side. All
    rows of a group land on one side, so that then shares hold only as nearly as groups allow.

    Args:
        strata: Stratum of every row, from 0, as class numbers.
        shares: Share of the rows for every side, summing to 1; the first side is training.
        seed: Seed of the choice.
        groups: Group of every row, from 0; None if each row is a group of its own.

    Returns:
        Row numbers of every side, ascending.

    Raises:
        TaskError: If a side would stay empty.
    """
    random = np.random.default_rng(seed)
    quotas = _quotas(np.bincount(strata), shares)
    side = np.full(len(strata), -1)
    if groups is not None:
        _place_groups(side, strata, groups, quotas, random)
    for stratum, quota in enumerate(quotas):
        free = random.permutation(np.flatnonzero((side < 0) & (strata == stratum)))
        sizes = _sizes(quota, len(free))
        side[free] = np.repeat(np.arange(len(shares)), sizes)
    if groups is not None:
        _fill_empty(side, groups, len(shares))
    sides = [np.flatnonzero(side == s) for s in range(len(shares))]
    if any(len(rows) == 0 for rows in sides):
        count = len(strata) if groups is None else len(np.unique(groups))
        raise TaskError(
            f"Expected at least one row for each of {len(shares)} sides of the split, but "
            f"{len(strata)} rows in {count} separate groups cannot be divided so: "
            "give more rows or groups."
        )
    return sides


def split_by_time(times: NDArray[Any], *, shares: Sequence[float]) -> list[Ints]:
    """Split rows by time: the first side gets the earliest rows, the last side the latest.

    Rows of the same time stay on one side.

    Raises:
        TaskError: If there are fewer different times than sides.
    """
    order = np.argsort(times, kind="stable")
    ends = np.cumsum(shares)[:-1] * len(times)
    starts = np.flatnonzero(np.diff(times[order].astype("float64")) > 0) + 1
    if len(starts) < len(ends):
        raise TaskError(
            f"A split by time needs at least {len(shares)} different times, got {len(starts) + 1}."
        )
    cuts: list[int] = []
    for number, end in enumerate(ends):
        low, high = len(cuts), len(starts) - (len(ends) - number - 1)
        allowed = [int(c) for c in starts[low:high] if not cuts or c > cuts[-1]]
        cuts.append(min(allowed, key=lambda cut: abs(cut - end)))
    return [np.sort(part) for part in np.split(order, cuts)]


def strata_of(values: NDArray[Any], *, parts: int = 5) -> Ints:
    """Return strata for numbers: equally filled bins, so that every side covers the range."""
    limits = np.quantile(values, np.linspace(0, 1, parts + 1)[1:-1])
    bins = np.searchsorted(limits, values, side="left")
    return copies(bins.tolist())


def copies(rows: Iterable[object]) -> Ints:
    """Number rows so that equal ones share a number, in order of appearance."""
    numbers: dict[object, int] = {}
    return np.fromiter((numbers.setdefault(row, len(numbers)) for row in rows), dtype=np.int64)


def joined(first: Ints, second: Ints) -> Ints:
    """Merge two groupings: rows that share a group in either share one in the result."""
    parents = np.arange(first.max() + 1 + second.max() + 1)

    def root(node: int) -> int:
        while parents[node] != node:
            parents[node] = parents[parents[node]]
            node = int(parents[node])
        return node

    for a, b in set(zip(first.tolist(), (second + first.max() + 1).tolist(), strict=True)):
        parents[root(a)] = root(b)
    return copies(root(a) for a in first.tolist())


def _quotas(counts: Ints, shares: Sequence[float]) -> Ints:
    """Rows for (stratum, side): shares rounded so that the totals come out right as well."""
    quotas = np.zeros((len(counts), len(shares)), dtype=np.int64)
    carry = np.zeros(len(shares))
    # Where a stratum is too small for all sides: training first, then test, then what is between.
    preference = [0, *range(len(shares) - 1, 0, -1)]
    for stratum, count in enumerate(counts):
        exact = np.asarray(shares) * count + carry
        rounded = _sizes(exact, int(count))
        quotas[stratum] = rounded
        if count < len(shares):
            quotas[stratum] = 0
            quotas[stratum, preference[:count]] = 1
        while count >= len(shares) and quotas[stratum].min() == 0:
            quotas[stratum, quotas[stratum].argmax()] -= 1
            quotas[stratum, quotas[stratum].argmin()] += 1
        if (quotas[stratum] == rounded).all():  # else many rare strata would bend a frequent one
            carry = exact - rounded
    return quotas


def _sizes(wanted: NDArray[Any], count: int) -> Ints:
    """Whole numbers that sum to ``count``, as near to ``wanted`` as can be."""
    wanted = np.clip(wanted, 0, None).astype(float)
    if wanted.sum() == 0:
        wanted[0] = 1.0
    exact = wanted * count / wanted.sum()
    sizes: Ints = np.floor(exact + 1e-9).astype(np.int64)
    largest = np.argsort(sizes - exact, kind="stable")
    sizes[largest[: count - sizes.sum()]] += 1
    return sizes


def _place_groups(
    side: Ints, strata: Ints, groups: Ints, quotas: Ints, random: np.random.Generator
) -> None:
    """Put every group of several rows where most is wanting, the largest first."""
    members = _members(groups)
    several = [members[i] for i in random.permutation(len(members)) if len(members[i]) > 1]
    several.sort(key=len, reverse=True)
    totals = np.maximum(quotas.sum(1, keepdims=True), 1)
    for rows in several:
        counts = np.bincount(strata[rows], minlength=len(quotas))
        best = int((counts[:, None] * quotas / totals).sum(0).argmax())
        side[rows] = best
        quotas[:, best] -= counts


def _fill_empty(side: Ints, groups: Ints, sides: int) -> None:
    """Give an empty side the smallest group of the side that has most groups."""
    members = _members(groups)
    for empty in set(range(sides)) - set(side.tolist()):
        held = Counter(int(side[rows[0]]) for rows in members)
        richest, count = held.most_common(1)[0]
        if count > 1:
            side[min((rows for rows in members if side[rows[0]] == richest), key=len)] = empty


def _members(groups: Ints) -> list[Ints]:
    """Row numbers of every group."""
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
