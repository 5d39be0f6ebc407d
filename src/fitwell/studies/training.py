"""The training loop: one recipe, one seed, one run; and nothing that differs between arms."""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from fitwell.errors import NotApplicable
from fitwell.recipe import ConflictWarning, Recipe, Treated
from fitwell.records import Change, RemedySpec, RunRecord, Score
from fitwell.studies.job import Job
from fitwell.studies.memory_format import laid_out, memory_format_of, turn
from fitwell.studies.pooling import pooling_first
from fitwell.studies.standing import standing_of
from fitwell.studies.subsets import passes, repeats, subset
from fitwell.tasks import Split, Task

EVALUATION_ROWS = 1024
"""Rows in one forward pass of an evaluation."""
FOR_TRAINED = ("FoldBatchNorm", "Prune")
"""Remedies of a trained network, which a study can only give to an untrained one."""
EXAMPLE_ROWS = 8
"""Rows of the example input that shows the order of the layers."""

Listener: TypeAlias = Callable[..., None]
"""Called after every epoch with ``train_loss``, ``val_loss``, ``train_metric``, ``val_metric``."""
Observer: TypeAlias = Callable[[nn.Module, Optimizer], AbstractContextManager[Listener]]
"""Given the network and the optimizer, a context around the epochs that listens to them."""


@final
@dataclass(frozen=True)
class Fitted:
    """A finished run, and its network with the weights of the best epoch, in evaluation mode.

    Args:
        run: The record.
        model: The network.
        outputs: What it put out for the test rows when it was scored on them; None where they
            were not read, or there was no epoch to score.
    """

    run: RunRecord
    model: nn.Module
    outputs: Tensor | None = None


def train(
    task: Task,
    recipe: Recipe,
    *,
    seed: int,
    rate: float = 1.0,
    epochs: int | None = None,
    arm: str = "",
    test: bool = False,
    observer: Observer | None = None,
    device: str = "cpu",
) -> RunRecord:
    """Train the task's network once under a recipe and score it on held-out rows.

    Runs of one seed share the order of the data and, where the arms share them, the initial
    weights. The weights of the best epoch on validation are scored, which :class:`Standing` tells;
    where a remedy averages them, it is the averages that are evaluated and kept. A run whose loss
    becomes non-finite ends there and is scored by its best epoch before; by the best constant
    prediction if there was none.

    Args:
        task: What is to be learned.
        recipe: Remedies; ``Recipe()`` is the untreated arm.
        seed: Seed of initial weights, order of the data, and treatment.
        rate: Learning rate as a multiple of the task's own.
        epochs: Epochs to train, by default the task's.
        arm: Name for the record.
        test: Whether to read the test rows, once, at the best epoch.
        observer: Context around the epochs; what it does must change nothing of the run.
        device: Where to train, as ``"cpu"`` or ``"cuda"``.

    Raises:
        NotApplicable: If a remedy cannot serve the task's network.
    """
    job = Job(tuple(recipe.specs), seed, rate, test, epochs, arm)
    return fit(task, job, observer=observer, device=device).run


def fit(task: Task, job: Job, *, observer: Observer | None = None, device: str = "cpu") -> Fitted:
    """Do a run and hand back its network too; see :func:`train`."""
    started = time.perf_counter()
    with reproducible(job.seed, device):
        course = _Course(task, job, device)
        if observer is None:
            with pooling_first(course.model):
                course.run(_ignore)
        else:
            with observer(course.model, course.optimizer) as listener:
                course.run(listener)
        scores = course.score()
    run = course.standing.record(
        job,
        scores,
        seconds=time.perf_counter() - started,
        parameters=sum(p.numel() for p in course.model.parameters()),
        took_effect=course.treated.effects(),
    )
    return Fitted(run, course.model, course.outputs)


def conflicts_of_recipe(task: Task, recipe: Sequence[RemedySpec]) -> tuple[str, ...]:
    """Say what does not go together in a recipe, or not with the task's network and batches.

    Nothing is said of a recipe that cannot serve the network: its runs say why.
    """
    rows = task.data.train.x
    with reproducible(0):
        try:
            found = Recipe(*recipe).conflicts(
                task.make_model(),
                example_input=rows[:EXAMPLE_ROWS],
                make_model=task.make_model,
                batch_size=min(task.batch_size, len(rows)),
            )
        except NotApplicable:
            return ()
    untrained = tuple(
        f"{spec.name}: it is for a trained network, and here it takes the first weights. Apply it "
        "to the network that the study gives."
        for spec in recipe
        if spec.name in FOR_TRAINED
    )
    return (*untrained, *map(str, found))


def check_serves(task: Task, recipe: Sequence[RemedySpec]) -> None:
    """Check that a recipe serves the task's network, before a run is spent on it.

    Raises:
        NotApplicable: If a remedy cannot serve it.
    """
    with reproducible(0):
        treated_network(task, recipe, task.data.train.x, seed=0)


def changes_of(task: Task, recipe: Sequence[RemedySpec]) -> tuple[Change, ...]:
    """Return what a recipe does to the task's network, place by place."""
    with reproducible(0):
        return treated_network(task, recipe, task.data.train.x, seed=0).changes.items


def treated_network(
    task: Task, recipe: Sequence[RemedySpec], rows: Tensor, *, seed: int
) -> Treated:
    """Make a network of the task on the device of the rows, and treat it, as a run does.

    Raises:
        NotApplicable: If a remedy cannot serve it.
    """
    model = task.make_model().to(rows.device)
    with warnings.catch_warnings():
        # A study names conflicts once, before its runs: conflicts_of_recipe.
        warnings.simplefilter("ignore", ConflictWarning)
        return Recipe(*recipe).apply(
            model,
            example_input=rows[:EXAMPLE_ROWS],
            make_model=task.make_model,
            data=rows,
            seed=seed,
        )


@contextmanager
def reproducible(seed: int, device: str = "cpu") -> Iterator[None]:
    """Fix seed and number of threads inside; leave the caller's as they were."""
    threads = torch.get_num_threads()
    devices = [torch.device(device)] if device.startswith("cuda") else []
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def batches(rows: int, size: int, order: torch.Generator) -> tuple[Tensor, ...]:
    """Return shuffled row numbers in batches of nearly equal size, none above ``size``.

    Equal sizes leave no batch of a single row over, which batch norm cannot train on.
    """
    return torch.randperm(rows, generator=order).tensor_split(max(1, math.ceil(rows / size)))


def without_test(task: Task) -> Task:
    """Return the task with its test rows withheld: what a search is given."""
    blind = copy.copy(task)
    test = Split(task.data.test.x[:0], task.data.test.y[:0])
    vars(blind)["data"] = replace(task.data, test=test)  # the slot of the cached property
    return blind


@torch.no_grad()
def evaluate(task: Task, model: nn.Module, split: Split) -> Score:
    """Return metric and mean loss of a network in evaluation mode; it is left in training mode."""
    found = scored(task, predicted(model, split), split)
    model.train()
    return found


@torch.no_grad()
def predicted(model: nn.Module, split: Split) -> Tensor:
    """Return what a network puts out for every row; it is left in evaluation mode."""
    model.eval()
    return torch.cat([model(rows) for rows in torch.split(split.x, EVALUATION_ROWS)])


def scored(task: Task, outputs: Tensor, split: Split) -> Score:
    """Return metric and mean loss of the outputs for the rows of a split."""
    return Score(float(task.metric_fn(outputs, split.y)), float(task.loss_fn(outputs, split.y)))


@final
class _Course:
    """The course of one run, epoch by epoch."""

    def __init__(self, task: Task, job: Job, device: str) -> None:
        self.task, self.job, self.device = task, job, device
        data = task.data
        self.train = on_device(subset(data.train, job.share, seed=job.seed), device)
        self.repeats = repeats(len(data.train), len(self.train), task.batch_size)
        self.treated = treated_network(task, job.recipe, self.train.x, seed=job.seed)
        self.model: nn.Module = self.treated.model
        self.format = memory_format_of(self.model, self.train.x)
        turn(self.model, self.format)
        self.train = laid_out(self.train, self.format)
        self.validation = laid_out(on_device(data.validation, device), self.format)
        self.subset = _seen(self.train, len(self.validation))
        self.optimizer = self.treated.optimizer(partial(_quick_optimizer, task, job.rate))
        self.scheduler = self.treated.scheduler(self.optimizer)
        self.standing = standing_of(task)
        self.weights: dict[str, Tensor] = {}
        self.outputs: Tensor | None = None

    def run(self, listener: Listener) -> None:
        """Train to the end, keeping the weights of the best epoch."""
        loss_fn = self.treated.loss(self.task.loss_fn)
        order = torch.Generator().manual_seed(self.job.seed)
        torch.manual_seed(self.job.seed)
        self.model.train()
        for _ in range(self.job.epochs or self.task.epochs):
            finite = self._epoch(loss_fn, order)
            with self.treated.averaged():
                seen, held_out = self._measure(listener)
                if self.standing.note(seen, held_out, finite=finite):
                    state = self.model.state_dict()
                    self.weights = {k: v.detach().clone() for k, v in state.items()}
            if self.standing.diverged or self.treated.should_stop(val_loss=held_out.loss):
                break
        self.treated.finish()
        if self.weights:
            self.model.load_state_dict(self.weights)
        turn(self.model, torch.contiguous_format)
        self.model.eval()

    def _epoch(self, loss_fn: Callable[[Any, Any], Tensor], order: torch.Generator) -> bool:
        """Train on every row once, a share more often; say whether the loss stayed finite."""
        total = torch.zeros((), device=self.device)
        for rows in self._batches(order):
            chosen = rows.to(self.device)
            x, y = self.treated.batch(self.train.x[chosen], self.train.y[chosen])
            self.optimizer.zero_grad()
            loss = loss_fn(self.model(x), y)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.scheduler.step()
            total += loss.detach()
        return bool(torch.isfinite(total))

    def _batches(self, order: torch.Generator) -> Iterator[Tensor]:
        epochs = self.job.epochs or self.task.epochs
        for _ in range(passes(self.standing.epochs, epochs, self.repeats)):
            yield from batches(len(self.train), self.task.batch_size, order)

    def _measure(self, listener: Listener) -> tuple[Score, Score]:
        seen = evaluate(self.task, self.model, self.subset)
        held_out = evaluate(self.task, self.model, self.validation)
        listener(
            train_loss=seen.loss,
            val_loss=held_out.loss,
            train_metric=seen.metric,
            val_metric=held_out.metric,
        )
        return seen, held_out

    def score(self) -> tuple[Score, Score | None]:
        """Return the scores on validation and, if the job asks for it, on test."""
        best = self.standing.best
        if best is None:
            return chances(self.task, self.job)
        if not self.job.test:
            return best, None
        split = on_device(self.task.data.test, self.device)
        self.outputs = predicted(self.model, split)
        return best, scored(self.task, self.outputs, split)


def chances(task: Task, job: Job) -> tuple[Score, Score | None]:
    """Return the scores of a run without a finite epoch: those of a constant prediction."""
    test = chance(task, task.data.test) if job.test else None
    return chance(task, task.data.validation), test


@torch.no_grad()
def chance(task: Task, split: Split) -> Score:
    """Return the score of the best constant prediction: the honest worst of a run that diverged."""
    return scored(task, constant(task, split), split)


@torch.no_grad()
def constant(task: Task, split: Split) -> Tensor:
    """Return the best constant prediction as outputs for the rows of a split.

    For classes it is the share of each in the training rows, for numbers their mean.
    """
    targets = task.data.train.y
    if targets.is_floating_point():
        centre = targets.mean(0)
        binary = bool(((targets == 0) | (targets == 1)).all())
        return (torch.logit(centre, eps=1e-6) if binary else centre).expand(split.y.shape)
    count = max(len(task.data.classes), int(targets.max()) + 1)
    share = torch.bincount(targets.flatten(), minlength=count) / targets.numel()
    return share.clamp_min(1e-6).log().expand(len(split), count)


def _quick_optimizer(task: Task, rate: float, params: Iterable[nn.Parameter]) -> Optimizer:
    """Return the task's optimizer, updating all values of a parameter in one pass.

    PyTorch's fused kernels compute the same update, in two thirds of a small network's time.
    """
    optimizer = task.make_optimizer(params, rate)
    if type(optimizer) in (SGD, Adam, AdamW):
        for group in optimizer.param_groups:
            free = group["fused"] is None and not (group["foreach"] or group["differentiable"])
            if free and all(p.is_floating_point() for p in group["params"]):
                group["fused"] = True
    return optimizer


def seen_rows(total: int, rows: int) -> Tensor:
    """Return the numbers of that many training rows at most, always the same ones."""
    if total <= rows:
        return torch.arange(total)
    return torch.randperm(total, generator=torch.Generator().manual_seed(0))[:rows]


def _seen(split: Split, rows: int) -> Split:
    if len(split) <= rows:
        return split
    chosen = seen_rows(len(split), rows).to(split.x.device)
    return Split(split.x[chosen], split.y[chosen])


def on_device(split: Split, device: str) -> Split:
    """Return the rows on a device."""
    return Split(split.x.to(device), split.y.to(device))


def _ignore(**numbers: float) -> None:
    """Listen to nothing."""
