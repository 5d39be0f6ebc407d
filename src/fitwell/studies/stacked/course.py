"""The course of many runs that train as one program, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

import torch
from torch import Generator, Tensor, nn

from fitwell.recipe import Treated
from fitwell.recipe.stacked import StackedRecipe
from fitwell.records import Score
from fitwell.studies.job import Job
from fitwell.studies.stacked.evaluation import outputs_of, scores_of
from fitwell.studies.stacked.masks import Masks
from fitwell.studies.stacked.objective import Objective
from fitwell.studies.stacked.optimizers import StackedOptimizer
from fitwell.studies.stacked.program import Program, stacked, state_of, trained_parameters
from fitwell.studies.stacked.rows import Rows
from fitwell.studies.stacked.storage import Slab
from fitwell.studies.standing import standing_of
from fitwell.studies.subsets import passes
from fitwell.studies.training import chances, scored
from fitwell.tasks import Task


@final
class StackedCourse:
    """The course of runs of one structure: that of each is the one that it goes alone.

    A run that has diverged or was stopped leaves the stack after its epoch.

    Args:
        task: What is to be learned.
        jobs: Runs of one structure, best in the order of their rates.
        treated: The treated network of each.
        program: How the networks are worked through.
        rows: The data.
    """

    def __init__(
        self,
        task: Task,
        jobs: Sequence[Job],
        treated: Sequence[Treated],
        program: Program,
        rows: Rows,
    ) -> None:
        self.task, self.jobs, self.program, self.rows = task, jobs, program, rows
        self.models = [each.model for each in treated]
        self.standings = [standing_of(task) for _ in jobs]
        self.effects: dict[int, tuple[str, ...]] = {}
        self.outputs: dict[int, Tensor] = {}
        self._live = list(range(len(jobs)))
        self._stack(treated)
        self._best = {name: tensor.clone() for name, tensor in self._values.items()}
        self._orders = [Generator().manual_seed(job.seed) for job in jobs]
        self._masks = Masks(self.models, [job.seed for job in jobs])
        self._steps = 0

    def _stack(self, treated: Sequence[Treated]) -> None:
        parameters = stacked([trained_parameters(model) for model in self.models])
        first = next(iter(parameters.values()))
        shapes = {name: p.shape[1:] for name, p in parameters.items()}
        self._weights = Slab(shapes, len(first), first, self.program.turned)
        self._weights.fill(parameters)
        self._gradients = self._weights.like()
        self._state = stacked([state_of(model) for model in self.models])
        optimizers = [
            self.task.make_optimizer(model.parameters(), job.rate)
            for job, model in zip(self.jobs, self.models, strict=True)
        ]
        self._optimizer = StackedOptimizer(optimizers, self.models, self._weights, self._gradients)
        self._recipe = StackedRecipe(treated)
        self._bind()

    def _bind(self) -> None:
        """Let everything act on the runs that are there."""
        self._values = {**self._weights.tensors, **self._state}
        floating = {n: t for n, t in self._state.items() if t.is_floating_point()}
        self._averaged = {**self._weights.tensors, **floating}
        self._objective = Objective(self.task, self._recipe)
        self.program.bind(self._values)
        self.program.accept(self._gradients.tensors)

    @torch.no_grad()
    def run(self) -> None:
        """Train to the end; every network then has the weights of its best epoch."""
        for epoch in range(self._epochs):
            finite = self._epoch(epoch)
            ended = self._measure(finite)
            if all(ended):
                break
            if any(ended):
                self._keep([place for place, over in enumerate(ended) if not over])
        for place, run in enumerate(self._live):
            self.effects[run] = self._recipe.effects(place, self._finished(run))

    @property
    def _epochs(self) -> int:
        return self.jobs[0].epochs or self.task.epochs

    def _epoch(self, epoch: int) -> Tensor:
        """Train on every row once, a share more often; say in which runs the loss was finite."""
        total = torch.zeros(len(self._live), device=self.rows.train.x.device)
        for _ in range(passes(epoch, self._epochs, self.rows.repeats)):
            for chosen in self.rows.batches(self._live, self._orders, self.task.batch_size):
                total += self._step(chosen)
        return torch.isfinite(total)

    def _step(self, chosen: Tensor) -> Tensor:
        """Make one update in every run; return the losses."""
        x, y = self._recipe.batch(*self.rows.gathered(chosen))
        outputs = self.program.train(x, self._masks.draw(x))
        losses, gradient = self._objective(outputs, y)
        self.program.backward(gradient)
        if self._recipe.needs("on_gradients"):
            self._overwrite(
                self._gradients,
                self._recipe.change_gradients(self._gradients.tensors, self._weights.tensors),
            )
        factors = self._recipe.rate_factors(self._steps)
        self._optimizer.step(factors)
        if self._recipe.needs("after_update"):
            self._change_parameters(factors)
        self._recipe.end_step(self._averaged)
        self._steps += 1
        return losses

    def _change_parameters(self, factors: Sequence[float]) -> None:
        for group, names in enumerate(self._optimizer.names()):
            own = {name: self._weights.tensors[name] for name in names}
            rates = self._optimizer.rates(group, factors)
            self._overwrite(self._weights, self._recipe.change_parameters(own, rates))

    def _overwrite(self, slab: Slab, changed: dict[str, Tensor]) -> None:
        pairs = [(slab.tensors[n], t) for n, t in changed.items() if t is not slab.tensors[n]]
        if pairs:
            torch._foreach_copy_([a for a, _ in pairs], [b for _, b in pairs])

    def _measure(self, finite: Tensor) -> list[bool]:
        """Evaluate all runs, keep the weights of those at their best; say which are over."""
        averages = self._recipe.averages()
        values = {**self._values, **averages}
        if averages:
            self.program.bind(values)
        seen, held_out = self._scores("seen"), self._scores("validation")
        if averages:
            self.program.bind(self._values)
        standings = [self.standings[run] for run in self._live]
        better = [
            standing.note(*scores, finite=bool(ok))
            for standing, *scores, ok in zip(
                standings, seen, held_out, finite.tolist(), strict=True
            )
        ]
        self._note_best([place for place, best in enumerate(better) if best], values)
        losses = [
            None if standing.diverged else score.loss
            for standing, score in zip(standings, held_out, strict=True)
        ]
        stops = self._recipe.should_stop(losses)
        return [s.diverged or stop for s, stop in zip(standings, stops, strict=True)]

    def _scores(self, part: str) -> list[Score]:
        split, rows = self.rows.part(part, self._live)
        return scores_of(self.program, self.task, split, rows, len(self._live))

    def _note_best(self, places: list[int], values: dict[str, Tensor]) -> None:
        if len(places) == len(self.jobs):
            for name, best in self._best.items():
                best.copy_(values[name])
        elif places:
            runs = torch.tensor([self._live[place] for place in places])
            chosen = torch.tensor(places)
            for name, best in self._best.items():
                best[runs] = values[name][chosen].to(best.dtype)

    def _keep(self, places: list[int]) -> None:
        """Go on with the runs at some places; the others are over."""
        for place, run in enumerate(self._live):
            if place not in places:
                self.effects[run] = self._recipe.effects(place, self._finished(run))
        device = self._weights.flat.device
        chosen = torch.tensor(places, device=device)
        self._live = [self._live[place] for place in places]
        self._weights, self._gradients = self._weights.kept(chosen), self._gradients.kept(chosen)
        self._state = {name: tensor[chosen] for name, tensor in self._state.items()}
        self._optimizer.keep(chosen, self._weights, self._gradients)
        self._recipe = self._recipe.keep(places)
        self._masks.keep(places)
        self._bind()

    def _finished(self, run: int) -> nn.Module:
        """Return the network of a run with the weights that it ends with."""
        model = self.models[run]
        own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        values = self._best
        if self.standings[run].best is None:
            values = {n: t[self._live.index(run)] for n, t in self._values.items()}
        for name, tensor in own.items():
            tensor.copy_(values[name][run] if values is self._best else values[name])
        return model.eval()

    @torch.no_grad()
    def scores(self) -> Iterator[tuple[Score, Score | None]]:
        """Yield the scores of every run on validation and, if its job asks for it, on test."""
        tested = [
            run
            for run, job in enumerate(self.jobs)
            if job.test and self.standings[run].best is not None
        ]
        on_test: dict[int, Score] = {}
        if tested:
            self.program.bind({name: best[tested] for name, best in self._best.items()})
            test = self.rows.test
            self.outputs = dict(
                zip(tested, outputs_of(self.program, test.x, None, len(tested)), strict=True)
            )
            on_test = {run: scored(self.task, out, test) for run, out in self.outputs.items()}
        for run, (job, standing) in enumerate(zip(self.jobs, self.standings, strict=True)):
            if standing.best is None:
                yield chances(self.task, job)
            else:
                yield standing.best, on_test.get(run)
