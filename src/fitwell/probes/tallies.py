"""What is kept of many batches of one thing, so that two sets of them can be compared."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from fitwell.probes.features import Moments, as_rows, thinned, wide

_BINS = 256
"""Classes and words are counted by their number modulo this: exact for so many of them."""

_GRID = 4


@final
class Tally:
    """A running account of a tensor that comes in batches.

    Numbers are kept as mean and variance of each feature, pictures also of the cells of a coarse
    grid; integers as a histogram.

    Args:
        channels_first: Whether axis 1 holds the features of a batch of three axes.

    Attributes:
        rows: Rows of batches so far; of integers, how many of them.
        moments: Mean and variance of each feature.
    """

    def __init__(self, *, channels_first: bool = False) -> None:
        self._channels_first = channels_first
        self.rows = 0
        self.moments = Moments()
        self._cells = Moments()
        self._histogram: Tensor | None = None

    @torch.no_grad()
    def add(self, values: Tensor, *, ignored: int | None = None) -> None:
        """Add a batch, evenly thinned where it is large.

        Args:
            values: (batch, …); not empty.
            ignored: Integer that is left out.
        """
        if values.is_complex():
            return
        part = thinned(values)
        if not part.is_floating_point():
            self.rows += part.numel()
            self._count(part, ignored)
            return
        self.rows += len(part) if part.dim() else 1
        self.moments.add(as_rows(part, channels_first=self._channels_first))
        if part.dim() == 4:
            cells = F.adaptive_avg_pool2d(wide(part), _GRID)
            self._cells.add(as_rows(cells.flatten(1)))

    def _count(self, part: Tensor, ignored: int | None) -> None:
        places = part.reshape(-1).to(torch.int64)
        seen = torch.ones_like(places, dtype=torch.float32)
        if ignored is not None:
            seen = (places != ignored).to(torch.float32)
        counts = seen.new_zeros(_BINS).scatter_add_(0, places % _BINS, seen)
        self._histogram = counts if self._histogram is None else self._histogram + counts

    def shift(self, other: Tally) -> Tensor | None:
        """Return how far another account lies from this one, or None if they do not compare.

        Returns:
            For integers the total variation distance of the two histograms, in [0, 1]. For
            numbers the root mean square over the features of the difference of the means, in
            standard deviations of this account; a feature that is constant here is measured in
            those of the other.
        """
        mine, theirs = self._histogram, other._histogram
        if mine is not None and theirs is not None:
            shares = [counts / counts.sum().clamp_min(1) for counts in (mine, theirs)]
            return (shares[0] - shares[1]).abs().sum() / 2
        parts = [(self.moments, other.moments), (self._cells, other._cells)]
        found = [_apart(a, b) for a, b in parts if a.count and b.count and a.compares(b)]
        return torch.cat(found).mean().sqrt() if found else None


def _apart(here: Moments, there: Moments) -> Tensor:
    """Return the squared difference of the means of each feature, over the variance here."""
    mine, theirs = here.variance(), there.variance()
    variance = torch.where(mine > 1e-6 * theirs, mine, theirs)
    squares = (here.mean() - there.mean()).square()
    constant = torch.where(squares > 0, torch.ones_like(squares), torch.zeros_like(squares))
    ratio = squares / torch.where(variance > 0, variance, torch.ones_like(variance))
    return torch.where(variance > 0, ratio, constant)
