"""Which probe stands when: a further probe is one line in one of these lists.

Every list is made once a run. A probe of :func:`for_step` or :func:`for_update` is entered anew
for each sampled step, and keeps between steps what it needs.
"""

from __future__ import annotations

import torch
from torch import nn

from fitwell.interfaces import Probe
from fitwell.probes import (
    Activations,
    Carried,
    EvaluationMode,
    Gradientless,
    Gradients,
    Inputs,
    Layout,
    LearningRate,
    Losses,
    Mode,
    Neighbors,
    Pairs,
    Rarely,
    Shift,
    StatisticsDrift,
    TimeGradients,
    Updates,
    Weights,
)
from fitwell.watch.run import Run
from fitwell.watch.told import ToldLoss


def for_run(run: Run) -> list[Probe]:
    """Return the probes that stand for the whole run, on every step and evaluation.

    Their hooks must be light: a few microseconds a call, with nothing that waits for the device.
    """
    loss_fn = run.loss_fn if isinstance(run.loss_fn, nn.Module) else None
    root = run.roots[0]
    probes: list[Probe] = [
        EvaluationMode(root, run.clock),
        Shift(root, loss_fn, run.tallies, spending=run.spending),
    ]
    if loss_fn is not None:
        told = isinstance(loss_fn, ToldLoss)  # it knows what is trained on, whatever the mode
        trained = loss_fn if told else run.model
        probes += [
            Losses(loss_fn, trained, run.clock, spending=run.spending),
            Neighbors(root, loss_fn),
        ]
    return probes


def for_any_step(run: Run) -> list[Probe]:
    """Return the probes that stand around every step in which anything is read.

    They must cost some ten microseconds: how a loop treats its network shows only in several steps.
    """
    return [Mode(run.roots[0]), *(Rarely(Carried(optimizer)) for optimizer in run.optimizers)]


def for_step(run: Run) -> list[Probe]:
    """Return the probes that stand around the whole of a sampled step, from before its forward."""
    root = run.roots[0]
    probes: list[Probe] = [
        TimeGradients(run.model, clock=lambda: run.clock.step),
        Rarely(Inputs(root, tally=run.tallies.inputs, spending=run.spending)),
        Rarely(StatisticsDrift(run.model, spending=run.spending)),
    ]
    if isinstance(run.loss_fn, nn.Module):
        pairs = Pairs(run.loss_fn, tallies=run.tallies, spending=run.spending)
        probes.append(Rarely(pairs))
    return probes


def for_forward(run: Run) -> list[Probe]:
    """Return the probes that stand around each forward pass of a sampled step.

    The layers are not known in the first one: a probe of which they have to be told carries a
    ``layout`` that may be set later.
    """
    return [Activations(run.model, run.layout, spending=run.spending)]


def for_gradients(layout: Layout, optimizer: torch.optim.Optimizer) -> list[Probe]:
    """Return the probes that are cheap enough to be read far more often than the others."""
    return [LearningRate(optimizer), Gradients(layout, optimizer)]


def for_update(run: Run, layout: Layout, optimizer: torch.optim.Optimizer) -> list[Probe]:
    """Return the probes of a sampled step that read before and after an optimizer's update.

    Args:
        run: What is known of the run.
        layout: The layers of which that optimizer holds weights.
        optimizer: One of those of the run.
    """
    probes: list[Probe] = [
        Weights(layout, spread=True),
        Gradientless(run.model, (optimizer,)),
    ]
    if run.updates:
        probes.append(Updates(layout, clock=lambda: run.clock.step, keep=run.every_step))
    return probes
