"""The loop that the programs on sequences, texts and residual networks share, faults included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import torch
from benchmarks.faults.data import Pair, batches
from benchmarks.faults.lab import Lab
from benchmarks.faults.measuring import measured
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_


@final
@dataclass(frozen=True)
class Loop:
    """How a network is trained. The defaults are right; a fault of the code is another value.

    Args:
        rate: Learning rate.
        optimizer: ``"adam"``, ``"adamw"``, ``"sgd"`` or ``"sparse_adam"``.
        momentum: Of ``"sgd"``.
        decay: Weight decay.
        epochs: Passes over the training rows; each ends with an evaluation.
        batch: Rows in a batch.
        accumulate: Batches whose gradients are added up before a step is made, on purpose.
        clip: Largest norm of the gradient; 0 for any.
        warmup: Steps in which the rate rises to its full size.
        zero_grad: Whether gradients are cleared.
        mode: ``"right"``; ``"never_train"`` where ``model.eval()`` is called before training,
            ``"stuck"`` where nothing undoes that of the first evaluation, ``"no_eval"`` where
            validation runs in training mode.
        only: Beginning of the names of the parameters that the optimizer is given; "" for all.
        misplaced: Whether the rows are shuffled without their targets.
        logs: What the loop logs itself: ``""`` for nothing, as the watch reads the loss;
            ``"val"`` for the validation loss and accuracy; ``"all"`` for the training loss too.
    """

    rate: float = 3e-3
    optimizer: str = "adam"
    momentum: float = 0.0
    decay: float = 0.0
    epochs: int = 10
    batch: int = 32
    accumulate: int = 1
    clip: float = 0.0
    warmup: int = 0
    zero_grad: bool = True
    mode: str = "right"
    only: str = ""
    misplaced: bool = False
    logs: str = ""


def train(
    lab: Lab, model: nn.Module, loss_fn: nn.Module, data: tuple[Pair, Pair], loop: Loop
) -> dict[str, float]:
    """Train a network as users do, and return its outcome.

    The outcome holds ``reported_loss`` beside what :func:`measured` tells: the last validation
    loss as the loop itself computed it.
    """
    plain, (training, validation) = loss_fn, data
    made = _optimizer(model, loop)
    model, optimizer, loss_fn = lab.prepare(model, made, loss_fn, training[0])
    model.train(loop.mode != "never_train")
    steps = reported = 0.0
    with lab.watch(model, optimizer, loss_fn) as watch:
        for _ in range(loop.epochs):
            if loop.mode not in ("never_train", "stuck"):
                model.train()
            seen = []
            for x, y in _rows(training, loop):
                _warm_up(optimizer, loop, steps)
                seen.append(_step(model, loss_fn, optimizer, lab.batch(x, y), loop, steps))
                steps += 1
            if loop.mode != "no_eval":
                model.eval()
            reported, accuracy = _evaluated(model, plain if loop.logs else loss_fn, validation)
            if loop.logs:
                watch.log(val_loss=reported, **accuracy)
            if loop.logs == "all":
                watch.log(train_loss=torch.stack(seen).mean())
            if lab.should_stop(reported):
                break
    model = lab.finished(model)
    few = (training[0][:512], training[1][:512])
    told = partial(loss_of, plain)
    return {**measured(model, told, val=validation, train=few), "reported_loss": reported}


def loss_of(loss_fn: Any, output: Tensor, target: Any) -> Tensor:
    """Return the loss; of (rows, steps, classes) as if every step were a row."""
    if output.dim() == 3 and isinstance(target, Tensor) and not target.is_floating_point():
        output, target = output.flatten(0, 1), target.flatten()
    loss: Tensor = loss_fn(output, target)
    return loss


def _optimizer(model: nn.Module, loop: Loop) -> torch.optim.Optimizer:
    held = [p for name, p in model.named_parameters() if name.startswith(loop.only)]
    if loop.optimizer == "sgd":
        return torch.optim.SGD(held, lr=loop.rate, momentum=loop.momentum, weight_decay=loop.decay)
    if loop.optimizer == "sparse_adam":
        return torch.optim.SparseAdam(held, lr=loop.rate)
    kind = torch.optim.AdamW if loop.optimizer == "adamw" else torch.optim.Adam
    return kind(held, lr=loop.rate, weight_decay=loop.decay)


def _rows(data: Pair, loop: Loop) -> Iterator[Pair]:
    """The batches of an epoch; rows without their targets where these are misplaced."""
    x, y = data
    if loop.misplaced:
        x = x[torch.randperm(len(x))]
    yield from batches((x, y), loop.batch, drop_last=True)


def _warm_up(optimizer: torch.optim.Optimizer, loop: Loop, steps: float) -> None:
    if steps < loop.warmup:
        for group in optimizer.param_groups:
            group["lr"] = loop.rate * (steps + 1) / loop.warmup


def _step(
    model: nn.Module,
    loss_fn: Any,
    optimizer: torch.optim.Optimizer,
    batch: tuple[Tensor, Any],
    loop: Loop,
    steps: float,
) -> Tensor:
    """Learn from one batch, and return its loss."""
    first = steps % loop.accumulate == 0
    if loop.zero_grad and first:
        optimizer.zero_grad()
    loss = loss_of(loss_fn, model(batch[0]), batch[1])
    (loss / loop.accumulate).backward()
    if loop.clip:
        clip_grad_norm_(model.parameters(), loop.clip)
    if (steps + 1) % loop.accumulate == 0:
        optimizer.step()
    return loss.detach()


@torch.no_grad()
def _evaluated(model: nn.Module, loss_fn: Any, data: Pair) -> tuple[float, dict[str, float]]:
    """Return the loss of the validation rows and, for classes, their accuracy."""
    total = right = 0.0
    for x, y in batches(data, 256, shuffle=False):
        output = model(x)
        total += float(loss_of(loss_fn, output, y)) * len(y)
        if not y.is_floating_point() and output.dim() == 2 and y.dim() == 1:
            right += float((output.argmax(1) == y).sum())
    rows = len(data[1])
    return total / rows, {"val_accuracy": right / rows} if right else {}
