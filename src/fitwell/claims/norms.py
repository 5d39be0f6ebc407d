"""Batch norm with something changed on purpose, what units get from it, and what it cuts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from fitwell.records import Heat
from fitwell.words import say


@final
class GhostBatchNorm(nn.BatchNorm1d):
    """Batch norm whose statistics are taken in training over a few rows of the batch at a time.

    The moving averages are those of the whole batch. A batch that holds no such number of rows
    shares one statistic.

    Args:
        units: Features of a row.
        rows: How many rows share a statistic; divides the rows of a batch.

    References:
        Hoffer et al., "Train longer, generalize better", 2017, arXiv:1705.08741.
    """

    def __init__(self, units: int, rows: int) -> None:
        super().__init__(units)
        self.rows = rows

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (batch, units)."""
        whole = super().forward(x)
        if not self.training:
            return whole
        groups = max(1, len(x) // self.rows)
        wide = x.reshape(len(x) // groups, -1)  # (rows that share a statistic, groups x units)
        scale, offset = self.weight.repeat(groups), self.bias.repeat(groups)
        return F.batch_norm(wide, None, None, scale, offset, True, 0.0, self.eps).reshape(x.shape)


@final
class NoisyBatchNorm(nn.BatchNorm1d):
    """Batch norm, and behind it in training noise that has another mean and scale in every step.

    For every unit and step a mean is drawn from ±0.5 and a scale from 1 to 1.25; every sample has
    its own near them, within 0.1 of the mean and with deviation 0.1 about the scale.

    References:
        Santurkar et al., "How Does Batch Normalization Help Optimization?", 2018,
        arXiv:1805.11604, appendix A.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (batch, units), then blur it."""
        out = super().forward(x)
        if not self.training:
            return out
        mean = torch.empty_like(out[0]).uniform_(-0.5, 0.5)
        scale = torch.empty_like(out[0]).uniform_(1.0, 1.25)
        own_mean = mean + torch.empty_like(out).uniform_(-0.1, 0.1)
        return (scale + 0.1 * torch.randn_like(out)) * out + own_mean


@contextmanager
def following(means: list[Tensor], model: nn.Module, _: Optimizer) -> Iterator[Callable[..., None]]:
    """Note what the units of the last sigmoid layer get on average, at every step of training.

    Args:
        means: Filled with one mean a unit and step.
        model: The network that trains.
    """

    def note(sigmoid: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if sigmoid.training:
            means.append(inputs[0].detach().mean(0))

    last = [module for module in model.modules() if isinstance(module, nn.Sigmoid)][-1]
    handle = last.register_forward_pre_hook(note)
    try:
        yield lambda **_: None
    finally:
        handle.remove()


def table_of(title: str, values: Tensor, cut: Literal["rows", "columns", ""]) -> Heat:
    """Return the picture of a table (samples, units) and of what is normalised together in it."""
    cells = tuple(
        (say("sample {number}", number=i), say("unit {number}", number=j), float(value))
        for i, row in enumerate(values, 1)
        for j, value in enumerate(row, 1)
    )
    return Heat(title, say("unit"), say("sample"), cells, cut=cut, written=True)
