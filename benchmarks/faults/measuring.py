"""Outcomes of finished runs: always in evaluation mode, on clean data, without the watch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def measured(model: nn.Module, loss_fn: Any, **data: tuple[Tensor, Tensor]) -> dict[str, float]:
    """Return ``NAME_loss`` and, for classes, ``NAME_accuracy`` of every named (inputs, targets).

    Args:
        model: The trained network.
        loss_fn: The loss that outcomes are told in.
        data: Such as ``val=(x, y)``, ``train=(x, y)``.
    """
    found: dict[str, float] = {}
    was = model.training
    model.eval()
    with torch.no_grad():
        for name, (x, y) in data.items():
            output = torch.cat([model(part) for part in x.split(512)])
            found[f"{name}_loss"] = float(loss_fn(output, y))
            if not y.is_floating_point() and output.dim() == 2 and output.shape[1] > 1:
                found[f"{name}_accuracy"] = float((output.argmax(1) == y).float().mean())
    model.train(was)
    return found
