"""Whether rows with near inputs have near targets: what no network can fit, it cannot learn."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import final

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fitwell.anatomy import tensors_in
from fitwell.interfaces import Reading
from fitwell.probes.hooks import Hook, Hooked
from fitwell.records import Quantity

_FEWEST = 32
"""Below so many rows nearness says too little for a number."""

_BINS = 256
_MOST_FEATURES = 1024


@final
class Neighbors(Hooked):
    """Reads how much the targets of nearest rows differ, against those of any two rows.

    The first rows of the training batches are kept, thinned to 1,024 features; at the end of the
    run the nearest other row of each is looked for, features scaled to the same deviation. Texts
    are compared by which words they hold. Batches from the second epoch on repeat what is there
    and are left out.

    For classes it is the share of rows whose nearest row is of another class, over that of two
    rows drawn at random; for numbers the mean squared difference, over that of two such rows.

    It stands for a whole run, and takes its hooks off as soon as it has enough.

    Args:
        model: The network that is trained.
        loss_fn: The loss module that is called with (output, target).
        most: Number of rows to keep.
    """

    def __init__(self, model: nn.Module, loss_fn: nn.Module, *, most: int = 512) -> None:
        super().__init__()
        self._model, self._loss_fn, self._most = model, loss_fn, most
        self._input: Tensor | None = None
        self._kept: list[tuple[Tensor, Tensor]] = []
        self._ended = False

    def _attach(self) -> Iterable[RemovableHandle]:
        yield self._model.register_forward_pre_hook(Hook(self._entered), with_kwargs=True)
        yield self._loss_fn.register_forward_hook(Hook(self._computed), with_kwargs=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        self._ended = True

    def _detach(self) -> None:
        super()._detach()
        self._input = None

    def _entered(self, module: nn.Module, args: object, kwargs: object) -> None:
        if torch.is_grad_enabled():
            self._input = next((t for t in tensors_in((args, kwargs)) if t.dim() > 1), None)

    @torch.no_grad()
    def _computed(self, module: nn.Module, args: object, kwargs: object, loss: object) -> None:
        given = list(tensors_in((args, kwargs)))[:2]
        inputs, self._input = self._input, None
        if inputs is None or len(given) < 2 or not isinstance(loss, Tensor):
            return
        target = given[1]
        whole = not target.is_floating_point()
        if not loss.requires_grad or not target.dim() or len(target) != len(inputs):
            return
        if whole and target.numel() != len(target):
            return
        missing = self._most - sum(len(rows) for rows, _ in self._kept)
        stride = max(1, len(inputs) // missing)
        rows = slice(0, stride * missing, stride)
        self._kept.append((_features(inputs[rows].detach()), _answers(target[rows].detach())))
        if sum(len(kept) for kept, _ in self._kept) >= self._most:
            self._detach()

    def readings(self) -> Iterable[Reading]:
        """Return one number when the run has ended, and none before."""
        if not self._ended:
            return ()
        kept, self._kept = first_epoch(self._kept), []
        if sum(len(rows) for rows, _ in kept) < _FEWEST:
            return ()
        inputs, targets = (torch.cat(parts) for parts in zip(*kept, strict=True))
        value = disagreement(inputs, targets)
        return (Reading(Quantity.NEIGHBOR_DISAGREEMENT, value, count=len(inputs)),)


def _features(inputs: Tensor) -> Tensor:
    """Return (rows, features): shares of words for integers, thinned numbers otherwise."""
    flat = inputs.flatten(1)
    if not flat.is_floating_point():
        words = flat.long() % _BINS
        counts = torch.zeros(len(flat), _BINS, device=flat.device)
        return counts.scatter_add_(1, words, torch.ones_like(words, dtype=counts.dtype))
    thinned = flat[:, :: max(1, -(-flat.shape[1] // _MOST_FEATURES))]
    return thinned.to(torch.float32, copy=True)


def _answers(target: Tensor) -> Tensor:
    """Return (rows, numbers), or (rows,) integers."""
    if not target.is_floating_point():
        return target.reshape(-1).to(torch.int64, copy=True)
    flat = target.flatten(1) if target.dim() > 1 else target[:, None]
    return flat[:, :: max(1, -(-flat.shape[1] // _MOST_FEATURES))].to(torch.float32, copy=True)


def first_epoch(kept: list[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """Return the batches before the first one that half repeats rows of those before it."""
    seen: set[bytes] = set()
    fresh: list[tuple[Tensor, Tensor]] = []
    for inputs, targets in kept:
        alike = [t for t in fresh[:1] if t[0].shape[1] != inputs.shape[1]]
        names = [
            x.tobytes() + y.tobytes()
            for x, y in zip(inputs.cpu().numpy(), targets.cpu().numpy(), strict=True)
        ]
        if alike or 2 * sum(name in seen for name in names) > len(names):
            break
        seen.update(names)
        fresh.append((inputs, targets))
    return fresh


def disagreement(inputs: Tensor, targets: Tensor) -> Tensor:
    """Return how much the targets of nearest rows differ, against those of any two rows.

    Args:
        inputs: (rows, features).
        targets: (rows,) classes, or (rows, numbers).
    """
    values = torch.nan_to_num(inputs)
    apart = values - values.mean(0)
    deviation = apart.square().mean(0).sqrt()
    scaled = torch.where(deviation > 0, apart / deviation, torch.zeros_like(apart))
    distance = torch.cdist(scaled, scaled).fill_diagonal_(float("inf"))
    nearest = targets[distance.argmin(1)]
    rows = len(targets)
    if targets.dim() == 1:
        differing = (nearest != targets).to(torch.float32).mean()
        pairs = (targets[:, None] != targets).to(torch.float32).sum() / (rows * (rows - 1))
    else:
        differing = (nearest - targets).square().mean()
        pairs = 2 * targets.var(0, correction=1).mean()
    return torch.where(pairs > 0, differing / pairs, torch.zeros_like(pairs))
