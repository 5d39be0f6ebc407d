"""Example inputs, as the command line spells them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fitwell.errors import BadInput


def inputs_in(texts: Sequence[str]) -> tuple[Tensor, ...]:
    """Return one tensor for each text: ``2,1,28,28``, or ``2,8:long`` for numbers of words.

    Floating numbers are drawn from [0, 1), whole ones from 0 and 1.

    Raises:
        BadInput: If one cannot be read.
    """
    return tuple(_input(text) for text in texts)


def _input(text: str) -> Tensor:
    sizes, _, name = text.partition(":")
    dtype = getattr(torch, name.strip() or "float32", None)
    try:
        shape = [int(size) for size in sizes.split(",")]
    except ValueError:
        shape = []
    if not shape or min(shape) < 1 or not isinstance(dtype, torch.dtype):
        raise BadInput(
            f"Cannot read the input {text!r}: give its shape, as 2,1,28,28, "
            "with :long behind it for whole numbers."
        )
    generator = torch.Generator().manual_seed(0)
    if dtype.is_floating_point or dtype.is_complex:
        return torch.rand(shape, generator=generator).to(dtype)
    return torch.randint(0, 2, shape, generator=generator).to(dtype)
