"""A few steps of training: of runs one after the other, and of the same runs as one stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fitwell.recipe import StackedRecipe, Treated
from fitwell.recipe.printed import floating_buffers, show

RATE, STEPS = 0.05, 4


@dataclass(frozen=True)
class Course:
    """What became of one run.

    Args:
        losses: Training loss of every step.
        weights: Parameters at the end, by name.
        averages: Averaged weights, by name.
        stops: Whether it was to stop after each step, were each an epoch.
        effects: What is said of the recipe, without notes on the network.
    """

    losses: tuple[float, ...]
    weights: dict[str, Tensor]
    averages: dict[str, Tensor]
    stops: tuple[bool, ...]
    effects: tuple[str, ...]


def alone(
    treated: Sequence[Treated],
    batches: Sequence[tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor],
) -> list[Course]:
    """Train every run by itself, as a user's loop does.

    Args:
        treated: The treatment of every run.
        batches: The batch of every run, the same in every step.
        loss: The mean loss of a batch.
    """
    return [
        _alone(each, run, batch, loss)
        for run, (each, batch) in enumerate(zip(treated, batches, strict=True))
    ]


def _alone(
    treated: Treated,
    run: int,
    batch: tuple[Tensor, Tensor],
    loss: Callable[[Tensor, Tensor], Tensor],
) -> Course:
    optimizer = treated.optimizer(torch.optim.SGD, lr=RATE)
    scheduler, loss_fn = treated.scheduler(optimizer), treated.loss(loss)
    losses, stops = [], []
    for step in range(STEPS):
        x, y = treated.batch(*batch)
        torch.manual_seed(1000 * step + run)
        optimizer.zero_grad()
        value = loss_fn(treated.model(x), y)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        scheduler.step()
        losses.append(float(value.detach()))
        stops.append(treated.should_stop(val_loss=losses[-1]))
    with treated.averaged() as model:
        averages = {n: p.detach().clone() for n, p in model.named_parameters()}
    weights = {n: p.detach().clone() for n, p in treated.model.named_parameters()}
    treated.finish()
    effects = _without_notes(treated.effects(), treated)
    return Course(tuple(losses), weights, averages, tuple(stops), effects)


def stacked(
    treated: Sequence[Treated],
    batches: Sequence[tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    spoiled: int | None = None,
) -> list[Course]:
    """Train all runs as one stack; arguments are as for :func:`alone`.

    Args:
        treated: The treatment of every run.
        batches: The batch of every run.
        loss: The mean loss of a batch.
        spoiled: A run whose weights become NaN after the first step.
    """
    stack, models = StackedRecipe(treated), [each.model for each in treated]
    loss_fn = stack.loss(lambda outputs, targets: torch.stack(list(map(loss, outputs, targets))))
    losses: list[Tensor] = []
    stops: list[tuple[bool, ...]] = []
    xs, ys = (torch.stack(list(part)) for part in zip(*batches, strict=True))
    for step in range(STEPS):
        x, y = stack.batch(xs, ys)
        outputs = []
        for run, model in enumerate(models):
            torch.manual_seed(1000 * step + run)
            outputs.append(model(x[run]))
        value = loss_fn(torch.stack(outputs), y)
        _update(stack, models, value, [RATE * factor for factor in stack.rate_factors(step)])
        if spoiled is not None and not step:
            with torch.no_grad():
                for parameter in models[spoiled].parameters():
                    parameter.fill_(torch.nan)
        losses.append(value.detach())
        stops.append(stack.should_stop(value.tolist()))
    own = [{n: p.detach().clone() for n, p in model.named_parameters()} for model in models]
    averages = stack.averages()
    for run, model in enumerate(models):
        show(model, {name: average[run] for name, average in averages.items()})
    return [
        Course(
            tuple(float(value[run]) for value in losses),
            own[run],
            {name: averages[name][run] if name in averages else p for name, p in own[run].items()},
            tuple(stop[run] for stop in stops),
            _without_notes(stack.effects(run, each.model), each),
        )
        for run, each in enumerate(treated)
    ]


def _without_notes(effects: Sequence[str], treated: Treated) -> tuple[str, ...]:
    """Leave out what was measured when the network was treated, as times."""
    return tuple(said for said in effects if said not in treated.changes.notes)


def _update(
    stack: StackedRecipe, models: Sequence[nn.Module], losses: Tensor, rates: Sequence[float]
) -> None:
    """Make a step of gradient descent in every run."""
    live = [{n: p for n, p in model.named_parameters() if p.requires_grad} for model in models]
    flat = [p for own in live for p in own.values()]
    found = torch.autograd.grad(losses.sum(), flat, allow_unused=True)
    by_run = [dict(zip(live[0], part, strict=True)) for part in _parts(found, len(models))]
    names = [n for n in live[0] if by_run[0][n] is not None]
    parameters = {n: torch.stack([own[n].detach() for own in live]) for n in names}
    gradients = {n: torch.stack([own[n] for own in by_run]) for n in names}
    gradients = stack.change_gradients(gradients, parameters)
    factors = torch.tensor(rates)
    moved = {
        n: p - factors.reshape(-1, *[1] * (p.dim() - 1)).to(p) * gradients[n]
        for n, p in parameters.items()
    }
    changed = stack.change_parameters(moved, rates)
    with torch.no_grad():
        for run, own in enumerate(live):
            for name in names:
                own[name].copy_(changed[name][run])
    held = [{**own, **floating_buffers(model)} for own, model in zip(live, models, strict=True)]
    stack.end_step({n: torch.stack([own[n].detach() for own in held]) for n in held[0]})


def _parts(tensors: Sequence[Tensor], count: int) -> list[Sequence[Tensor]]:
    size = len(tensors) // count
    return [tensors[i * size : (i + 1) * size] for i in range(count)]
