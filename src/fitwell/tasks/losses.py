"""Losses by name: what targets they take, and what a constant prediction would cost."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Literal, TypeAlias, TypeVar, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fitwell.errors import TaskError
from fitwell.modules.ensemble import (
    mean_of_log_odds,
    mean_of_log_probabilities,
    mean_of_logits,
    mean_of_numbers,
)

Choice = TypeVar("Choice")
TensorPair: TypeAlias = Callable[[Tensor, Tensor], Tensor]
TensorMean: TypeAlias = Callable[[Tensor], Tensor]

Targets: TypeAlias = Literal["class", "binary", "number", "own"]
"""What a loss is given as targets: class numbers (long), zeros and ones (float), real numbers
(float), or whatever a callable of the user's own takes."""

_AVERAGES: Mapping[str, TensorMean] = MappingProxyType(
    {
        "cross_entropy": mean_of_logits,
        "nll": mean_of_log_probabilities,
        "bce_with_logits": mean_of_log_odds,
    }
)


@final
@dataclass(frozen=True)
class Loss:
    """A mean loss over the rows of a batch.

    Args:
        name: Its name, as ``"cross_entropy"``.
        targets: What it takes as targets.
        function: The loss itself: outputs, targets -> scalar tensor.
        constant: The best constant output for these targets, where it is known.
        of_rows: The same loss without the mean, where it is the plain mean over what is counted.
    """

    name: str
    targets: Targets
    function: TensorPair
    constant: Callable[[Tensor], Tensor] | None = None
    of_rows: TensorPair | None = None

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss; float targets of another shape but equal size are reshaped."""
        return self.function(outputs, like(outputs, targets))

    @property
    def average(self) -> TensorMean:
        """How outputs of several networks are averaged, (networks, rows, ...) -> (rows, ...).

        As probabilities where the loss is of classes, else as the outputs that they are.
        """
        return (
            mean_of_numbers if self.targets == "own" else _AVERAGES.get(self.name, mean_of_numbers)
        )

    def of_chance(self, targets: Tensor) -> float | None:
        """Return the loss of the best constant prediction of ``targets``, or None if unknown."""
        if self.constant is None or (self.targets == "class" and targets.ndim != 1):
            return None
        best = self.constant(targets)
        return float(self(best.expand(len(targets), -1), targets))


def like(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return float targets in the shape of the outputs where both hold equally many numbers.

    Outputs (rows,) against targets (rows, 1) would otherwise broadcast to (rows, rows).
    """
    if targets.is_floating_point() and targets.numel() == outputs.numel():
        return targets.reshape(outputs.shape)
    return targets


def _class_frequencies(targets: Tensor) -> Tensor:
    return torch.bincount(targets).clamp(min=1e-12).div(len(targets)).log()


def _log_odds(targets: Tensor) -> Tensor:
    return torch.logit(_rows(targets).mean(0), eps=1e-6)


def _mean(targets: Tensor) -> Tensor:
    return _rows(targets).mean(0)


def _median(targets: Tensor) -> Tensor:
    return _rows(targets).median(0).values


def _huber_centre(targets: Tensor) -> Tensor:
    """Bisect for the point where the clipped residuals, the slope of the loss, sum to zero."""
    rows = _rows(targets)
    low, high = rows.min(0).values, rows.max(0).values
    for _ in range(40):
        middle = (low + high) / 2
        above = (rows - middle).clamp(-1, 1).sum(0) > 0
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    return (low + high) / 2


def _rows(targets: Tensor) -> Tensor:
    """As (rows, outputs)."""
    return targets.reshape(len(targets), -1)


def _of_torch(
    name: str,
    targets: Targets,
    function: Callable[..., Tensor],
    constant: Callable[[Tensor], Tensor],
) -> Loss:
    return Loss(name, targets, function, constant, partial(function, reduction="none"))


LOSSES: Mapping[str, Loss] = MappingProxyType(
    {
        loss.name: loss
        for loss in (
            _of_torch("cross_entropy", "class", F.cross_entropy, _class_frequencies),
            _of_torch("nll", "class", F.nll_loss, _class_frequencies),
            _of_torch("bce_with_logits", "binary", F.binary_cross_entropy_with_logits, _log_odds),
            _of_torch("mse", "number", F.mse_loss, _mean),
            _of_torch("mae", "number", F.l1_loss, _median),
            _of_torch("huber", "number", F.huber_loss, _huber_centre),
        )
    }
)
"""The losses that a task can name."""

_MODULES: Mapping[type[nn.Module], str] = MappingProxyType(
    {
        nn.CrossEntropyLoss: "cross_entropy",
        nn.NLLLoss: "nll",
        nn.BCEWithLogitsLoss: "bce_with_logits",
        nn.MSELoss: "mse",
        nn.L1Loss: "mae",
        nn.HuberLoss: "huber",
        nn.SmoothL1Loss: "huber",
    }
)


def loss_of(given: str | TensorPair) -> Loss:
    """Return the loss that a name or a callable stands for.

    PyTorch's own loss functions and modules are recognised, so that their targets are prepared
    as they need them; a module with settings of its own (class weights, smoothing) keeps them.

    Raises:
        TaskError: If the name is unknown, or what was given cannot be called.
    """
    if isinstance(given, str):
        return named(given, LOSSES, "loss")
    if isinstance(given, type) or not callable(given):
        raise TaskError(
            f"A loss is a name or a callable (outputs, targets) -> tensor, got {given!r}: "
            f"the names are {', '.join(LOSSES)}."
        )
    for loss in LOSSES.values():
        if given is loss.function:
            return loss
    if isinstance(given, nn.Module) and type(given) in _MODULES:
        known = LOSSES[_MODULES[type(given)]]
        plain = _settings(given) == _settings(type(given)())
        if not plain:
            return Loss(known.name, known.targets, given)
        return replace(known, function=given)
    return Loss(getattr(given, "__name__", type(given).__name__), "own", given)


def _settings(module: nn.Module) -> dict[str, object]:
    """What was chosen in a loss module: its public attributes, and its buffers by size."""
    chosen = {key: value for key, value in vars(module).items() if not key.startswith("_")}
    buffers = {key: tuple(buffer.shape) for key, buffer in module.named_buffers()}
    return {**chosen, **buffers, "training": True}


def named(name: str, choices: Mapping[str, Choice], what: str) -> Choice:
    """Look a name up, or say which ones there are and which is nearest.

    Raises:
        TaskError: If the name is unknown.
    """
    spelled = name.strip().lower().replace("-", "_").replace(" ", "_")
    if spelled in choices:
        return choices[spelled]
    near = difflib.get_close_matches(spelled, choices, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise TaskError(f"Unknown {what} {name!r}: choose from {', '.join(choices)}.{hint}")
