"""What a prediction costs: operations, which are the same everywhere, and time, which is not."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from fitwell.studies.training import reproducible

_FREE = (torch.ops.aten.t.default, torch.ops.aten.empty.memory_format)
"""Views and reserving of memory: they compute nothing."""
BLOCKS, PASSES = 15, 20
"""How often the networks take turns, and predictions in a turn."""


@torch.no_grad()
def operations(model: nn.Module, x: Tensor) -> float:
    """Return how many operations PyTorch does in one forward pass that compute something."""
    with _Operations() as counted:  # type: ignore[no-untyped-call]
        model(x)
    return float(counted.count)


@torch.no_grad()
def times(models: Mapping[str, nn.Module], x: Tensor) -> dict[str, float]:
    """Return the processor time of a forward pass of each network, in seconds.

    They take turns and the median turn counts, so that what else the machine does meets all.
    """
    turns: Mapping[str, list[float]] = {name: [] for name in models}
    with reproducible(0):
        for _ in range(BLOCKS):
            for name, model in models.items():
                started = time.thread_time()
                for _ in range(PASSES):
                    model(x)
                turns[name].append((time.thread_time() - started) / PASSES)
    return {name: median(own) for name, own in turns.items()}


@final
class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    count = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        self.count += func not in _FREE
        return func(*args, **(kwargs or {}))
