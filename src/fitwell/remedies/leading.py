"""What lets one function serve a single run, and a stack of runs on the first axis of tensors.

``lead`` is the number of leading axes that are those of runs: 0 for one run, 1 for a stack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor


def along(dose: float | Tensor, value: Tensor, lead: int) -> Any:
    """Return doses, one a run, so that they broadcast over a tensor and keep its dtype."""
    if not isinstance(dose, Tensor):
        return dose
    return dose.reshape(dose.shape + (1,) * (value.dim() - lead)).to(value)


def drawn(
    make: Callable[..., Tensor],
    size: Sequence[int] | int,
    generator: Generator | Sequence[Generator],
    **options: Any,
) -> Tensor:
    """Return random numbers: of one generator, or of those of the runs, one beside the other."""
    if isinstance(generator, Generator):
        return make(size, generator=generator, device=generator.device, **options)
    return torch.stack([make(size, generator=g, device=g.device, **options) for g in generator])


def picked(values: Tensor, rows: Tensor, lead: int) -> Tensor:
    """Return the rows of these numbers; those of a run out of the same run."""
    rows = rows.to(values.device)
    if not lead:
        return values[rows]
    return values[torch.arange(len(values), device=values.device)[:, None], rows]
