"""Fewer training rows: nested, stratified subsets, and how often they are passed over."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from fitwell.errors import in_range
from fitwell.tasks import Split
from fitwell.tasks.splits import Ints, copies, strata_of


def subset(split: Split, share: float, *, seed: int) -> Split:
    """Return a stratified share of the rows, in their old order.

    The shares of one seed are nested: the rows of a smaller one are among those of a larger one.
    Every stratum keeps its share of the rows to within one row. Strata are the classes, or fifths
    of the range of a single number; targets of other shapes are drawn without strata.

    Args:
        split: All rows.
        share: Share to keep, in (0, 1]; 1 returns the split itself.
        seed: Seed of the choice.

    Raises:
        ThresholdError: If the share is out of range.
    """
    if share == 1:
        return split
    chosen = subset_rows(split, share, seed=seed)
    return Split(split.x[chosen], split.y[chosen])


def subset_rows(split: Split, share: float, *, seed: int) -> Tensor:
    """Return the numbers of the rows that :func:`subset` keeps, in their order.

    Raises:
        ThresholdError: If the share is out of range.
    """
    in_range("share", share, 0.0, 1.0, open_low=True)
    kept = np.sort(nested_order(_strata(split.y), seed=seed)[: rows_of(len(split), share)])
    return torch.from_numpy(kept).to(split.x.device)


def rows_of(total: int, share: float) -> int:
    """Return how many rows a share of all is, at least 1."""
    return max(1, round(share * total))


def nested_order(strata: Ints, *, seed: int) -> Ints:
    """Return row numbers so that the first n, for any n, hold every stratum in its share.

    The rows of each stratum are shuffled and spread evenly over the order, from a random start.

    Args:
        strata: Stratum of every row, from 0.
        seed: Seed of the order.
    """
    random = np.random.default_rng(seed)
    place = np.empty(len(strata))
    for stratum in range(int(strata.max()) + 1):
        rows = random.permutation(np.flatnonzero(strata == stratum))
        place[rows] = (np.arange(len(rows)) + random.random()) / max(1, len(rows))
    return np.argsort(place, kind="stable")


def repeats(rows: int, kept: int, batch_size: int) -> float:
    """Return how many passes over the kept rows make as many updates as one over all rows."""
    return _batches(rows, batch_size) / _batches(kept, batch_size)


def passes(epoch: int, epochs: int, repeats: float) -> int:
    """Return how many passes over the kept rows an epoch makes.

    The number of updates up to the end is that of training on all rows, and so is the number of
    times that the network is evaluated. A network that learns few rows by heart is at its best
    after few passes: the first epochs are single passes, the later ones longer.

    Args:
        epoch: Number of the epoch, from 0.
        epochs: How many there are.
        repeats: Passes that make the updates of one pass over all rows.
    """
    return _passed(epoch + 1, epochs, repeats) - _passed(epoch, epochs, repeats)


def _passed(epoch: int, epochs: int, repeats: float) -> int:
    """Passes made before an epoch begins: they grow with its square, by one at least."""
    return max(epoch, round(repeats * epoch * epoch / epochs))


def _batches(rows: int, size: int) -> int:
    return max(1, math.ceil(rows / size))


def _strata(y: Tensor) -> Ints:
    values = y.detach().cpu().numpy()
    if not y.is_floating_point() and y.ndim == 1:
        return copies(values.tolist())
    if y.is_floating_point() and y.numel() == len(y):
        return strata_of(values.reshape(-1))
    return np.zeros(len(y), dtype=np.int64)
