"""One batch before training: does all fit together, and will a gradient reach every layer?"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from torch import Tensor, nn

from fitwell import prescribe
from fitwell.preflight.step import first_step
from fitwell.records import Diagnosis

__all__ = ["JUDGED", "first_step", "preflight"]

JUDGED = (
    "loss_output_mismatch",
    "unscaled_inputs",
    "untrained_parameters",
    "small_batch_norm",
    "recurrent_batch_norm",
    "bad_initialization",
    "exploding_gradients",
    "vanishing_gradients",
    "dead_units",
    "saturated_units",
    "non_finite",
)
"""Conditions that can show in the first step."""


def preflight(
    model: nn.Module,
    batch: Any,
    loss_fn: Callable[..., Tensor],
    *,
    mute: Collection[str] = (),
) -> Diagnosis:
    """Run one forward and one backward pass, and judge what the first step would see.

    Looked at are whether output, loss and targets fit one another, by their shapes and ranges; the
    first loss against that of a guess; the scale of the inputs; how signal and gradient travel
    through the depth; dead and saturated units; weights that are alike or of the wrong size;
    parameters without a gradient; the rows that batch norm gets.

    The model is left exactly as it was: weights, ``.grad``, buffers, training mode and random
    numbers. It is run in training mode, as the first step would run it. It takes about the time
    and the memory of one training step.

    Args:
        model: The network before training.
        batch: (inputs, targets); inputs are a tensor, a tuple of arguments or a mapping of
            keyword arguments.
        loss_fn: Called as ``loss_fn(outputs, targets)``. What it calls of torch's losses is seen
            in a function, too. If it raises over what it is given, that is a finding.
        mute: Conditions not to look for.

    Returns:
        What is wrong already; nothing that needs a run of training is looked for.

    Raises:
        BadInput: If the model is none of PyTorch, the batch no pair or without rows, no parameter
            can be trained, the loss cannot be called or is no tensor, or ``mute`` names no
            condition.
    """
    prescribe.are_conditions("mute", mute)
    return prescribe.diagnose(first_step(model, batch, loss_fn), only=JUDGED, mute=mute)
