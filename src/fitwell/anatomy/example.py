"""An input for a network that nobody gave one for."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from fitwell.anatomy.inspection import undisturbed
from fitwell.errors import BadInput

_SIDES = (28, 32, 64, 8, 224)
"""Sides of the images that are tried, and numbers of steps of the sequences."""


def example_for(model: nn.Module) -> Tensor:
    """Make two rows that a network can be called with, from what its first layer takes.

    Args:
        model: A network that takes one tensor: rows, images, sequences or numbers of words.

    Raises:
        BadInput: If nothing that was tried goes through.
    """
    like = next(model.parameters(), torch.empty(0))
    for candidate in _candidates(model):
        example = candidate.to(like.device)
        if example.is_floating_point():
            example = example.to(like.dtype)
        try:
            with undisturbed(model), torch.no_grad():
                model(example)
        except (RuntimeError, TypeError, ValueError, IndexError, AssertionError):
            continue
        return example
    raise BadInput(
        "No input could be made that goes through the network: give example_input=, "
        "as model(example_input) takes it."
    )


def _candidates(model: nn.Module) -> Iterator[Tensor]:
    """Yield inputs that the first layer of the network would take, the most usual first."""
    for module in model.modules():
        match module:
            case nn.Linear():
                yield from (torch.zeros(2, *n, module.in_features) for n in ((), (8,)))
            case nn.Conv1d():
                yield from (torch.zeros(2, module.in_channels, side) for side in _SIDES)
            case nn.Conv2d():
                yield from (torch.zeros(2, module.in_channels, side, side) for side in _SIDES)
            case nn.RNNBase() | nn.RNNCellBase():
                yield torch.zeros(2, 8, module.input_size)
            case nn.Embedding():
                yield torch.zeros(2, 8, dtype=torch.long)
            case _:
                continue
        return
