"""The last good state of a run: what a stopped run can be taken up from."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import torch
from torch import nn


@final
class Checkpoint:
    """Keeps one copy of a network and of its optimizers' states, on their devices.

    Args:
        model: The network in training.
        optimizers: What trains it.
        path: File that it is to be saved as.
    """

    def __init__(
        self, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer], path: str | Path
    ) -> None:
        self._model, self._optimizers = model, tuple(optimizers)
        self._kept: dict[str, Any] | None = None
        self.path = Path(path)

    def keep(self, step: int) -> None:
        """Copy the state as it is now, in place of the one before.

        Args:
            step: Number of steps that were made.
        """
        states = [optimizer.state_dict() for optimizer in self._optimizers]
        self._kept = {
            "step": step,
            "model": _copied(self._model.state_dict()),
            "optimizer": _copied(states[0] if len(states) == 1 else states),
        }

    def save(self) -> Path:
        """Write what was kept last: ``step``, ``model`` and ``optimizer``, for ``torch.load``."""
        torch.save(self._kept, self.path)
        return self.path


@torch.no_grad()
def _copied(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copied(item) for item in value]
    return copy.deepcopy(value)
