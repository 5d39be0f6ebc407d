"""How long a forward pass takes."""

from __future__ import annotations

import statistics
import time

import torch
from torch import nn

from fitwell import anatomy
from fitwell.words import say

_TIMED_FOR, _LEAST_PASSES = 0.2, 6
"""Seconds for which a forward pass is timed, and the least number of passes; the first warms up."""


def forward_time(model: nn.Module, example_input: object) -> float:
    """Return the median seconds of a forward pass in evaluation."""
    seconds: list[float] = []
    with anatomy.undisturbed(model), torch.no_grad():
        end = time.perf_counter() + _TIMED_FOR
        while len(seconds) < _LEAST_PASSES or time.perf_counter() < end:
            start = time.perf_counter()
            anatomy.run(model, example_input)
            _wait(model)
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def _wait(model: nn.Module) -> None:
    """Wait until the device of a network has done what it was given."""
    if any(p.is_cuda for p in model.parameters()):
        torch.cuda.synchronize()


def faster(before: float, after: float) -> str:
    """Say which share of the time is left."""
    return say(
        "a forward pass takes {share} of the time ({after} ms, before {before} ms)",
        share=f"{after / before:.2f}",
        after=f"{1e3 * after:.3g}",
        before=f"{1e3 * before:.3g}",
    )
