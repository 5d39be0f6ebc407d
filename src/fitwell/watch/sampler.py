"""Attach the probes to the steps that the budget allows, and keep what they read."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, final

import torch
from torch import Tensor, nn

from fitwell.anatomy import undisturbed
from fitwell.interfaces import Numbers, Probe, Reading
from fitwell.modules.rows import sample
from fitwell.probes import Activations, Gradientless, Gradients, Hook, Losses, TimeGradients
from fitwell.watch import probing
from fitwell.watch.alarms import Alarms
from fitwell.watch.budget import Budget, Level
from fitwell.watch.layers import Layers, part_of
from fitwell.watch.ledger import Ledger
from fitwell.watch.run import Run

_PATIENCE = 3
"""After so many sampled steps without a forward pass that could be listened to, none is expected:
hooks on what runs compiled inside of something else would have it compiled anew each time."""

_ROWS = 16
"""Rows of a batch on which a compiled network is run aside."""


@final
class Sampler:
    """The probes on a live run.

    Layers carry hooks only during the forward pass of a sampled step, the network two light hooks
    in a sampled step beside those of the probes that stand for the whole run, an optimizer two.
    With several optimizers, a step is over when each has stepped once, or one is about to step
    again.

    Args:
        run: What is watched; what is found out is noted there.
        budget: Says which steps can be afforded.
        ledger: Keeps what was read.
        alarms: Judge the run while it goes on, if that is wanted.
    """

    def __init__(
        self, run: Run, budget: Budget, ledger: Ledger, alarms: Alarms | None = None
    ) -> None:
        self._alarms = alarms
        self._run, self._budget, self._ledger = run, budget, ledger
        self._whole_run, self._this_step, self._this_forward = (ExitStack() for _ in range(3))
        self._layers = Layers(run)
        self._standing = probing.for_run(run)
        self._around_any_step = probing.for_any_step(run)
        self._around_step = probing.for_step(run)
        self._around_forward = probing.for_forward(run)
        self._at_update: dict[int, tuple[list[Probe], list[Probe]]] = {}
        self._level, self._aside = Level.NOTHING, False
        self._entered: list[Probe] = []
        self._updating: list[Probe] = []
        self._unheard = 0
        self._stepped: set[int] = set()
        self._found: list[tuple[list[Reading | Numbers], Tensor | None]] = []
        self._skipped: Tensor | None = None

    def start(self) -> None:
        """Attach what stands for the whole run, and sample the first step."""
        for probe in self._standing:
            self._whole_run.enter_context(probe)
        for optimizer in self._run.optimizers:
            before = optimizer.register_step_pre_hook(Hook(self._before_update))
            self._whole_run.callback(before.remove)
            after = optimizer.register_step_post_hook(Hook(self._after_update))
            self._whole_run.callback(after.remove)
        self._prepare()

    def stop(self) -> None:
        """Take everything off, whatever happened."""
        try:
            self._this_forward.close()
        finally:
            self._detach()
            self._whole_run.close()
            self.take_standing()

    def take_standing(self) -> None:
        """Note what the probes that stand for the whole run have read."""
        run = self._run
        for probe in self._standing:
            self._ledger.add(run.clock.step, probe.numbers(), epoch=run.clock.epoch)
            run.learned.update(probe.facts())

    def _prepare(self) -> None:
        """Attach what the step that comes is to be read with."""
        self._level = self._budget.level(self._run.clock.step)
        full = self._level == Level.EVERYTHING
        if self._level == Level.NOTHING or not self._run.hears:
            return
        if not full and (self._run.called is not None or not self._layers.heard):
            return  # what is compiled carries no hook more than it must
        self._entered = [*self._around_any_step, *(self._around_step if full else ())]
        for probe in self._entered:
            self._this_step.enter_context(probe)
        if not full:
            return
        if self._run.called is not None:
            aside = Hook(self._run_aside)
            handle = self._run.called.register_forward_pre_hook(aside, with_kwargs=True)
            self._this_step.callback(handle.remove)
            return
        for root in self._run.roots:
            handle = root.register_forward_pre_hook(Hook(self._forward_begins))
            self._this_step.callback(handle.remove)
            left = Hook(self._forward_ended)
            handle = root.register_forward_hook(left, prepend=True, always_call=True)
            self._this_step.callback(handle.remove)

    def _detach(self) -> None:
        self._this_step.close()
        self._level, self._aside = Level.NOTHING, False
        self._entered, self._updating, self._found = [], [], []

    def _forward_begins(self, root: nn.Module, args: object) -> None:
        if not torch.is_grad_enabled():
            return
        with self._run.spending():
            self._listen(root)

    def _listen(self, root: nn.Module) -> None:
        """Attach what stands around the forward pass that begins."""
        self._layers.record(root, self._this_forward)
        for probe in self._around_forward:
            self._this_forward.enter_context(probe)

    def _forward_ended(self, root: nn.Module, args: object, output: object) -> None:
        with self._run.spending():
            self._layers.returned(output)
            self._this_forward.close()
            if self._layers.ended(root, output):
                self._tell_layers()

    def _run_aside(self, root: nn.Module, args: Any, kwargs: Any) -> None:
        """Run the original of a compiled network on a few rows, and listen to that.

        Hooks on what is compiled would have it compiled anew. The first pass of a step counts.
        """
        if not torch.is_grad_enabled() or self._aside:
            return
        self._aside = True
        model = self._run.model
        with self._run.spending(), undisturbed(model, training=model.training):
            self._listen(root)
            try:
                output = model(*sample(args, _ROWS), **sample(kwargs, _ROWS))
                self._layers.returned(output)
            finally:
                self._this_forward.close()
            if self._layers.ended(root, output):
                self._tell_layers()

    def _tell_layers(self) -> None:
        self._at_update = {}
        for probe in self._around_forward:
            if isinstance(probe, Activations):
                probe.layout = self._run.layout
        for probe in self._around_step:
            if isinstance(probe, TimeGradients):
                probe.looped = self._run.looped

    def _probes_of(self, optimizer: torch.optim.Optimizer) -> list[Probe]:
        """Return what is to be read around the update of an optimizer in this step."""
        run = self._run
        if run.layout is None:
            self._layers.settle()
            self._tell_layers()
        if id(optimizer) not in self._at_update and run.layout is not None:
            layout = run.layout
            if len(run.optimizers) > 1:
                layout = part_of(layout, optimizer, rest=optimizer is run.optimizers[0])
            self._at_update[id(optimizer)] = (
                probing.for_gradients(layout, optimizer),
                probing.for_update(run, layout, optimizer),
            )
        cheap, others = self._at_update[id(optimizer)]
        return cheap + others if self._level == Level.EVERYTHING else cheap

    def _before_update(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if id(optimizer) in self._stepped:
            self._step_ends()
        if self._level == Level.NOTHING:
            return
        with self._run.spending():
            found_inf = getattr(optimizer, "found_inf", None)
            self._skipped = found_inf.clone() if isinstance(found_inf, Tensor) else None
            self._updating = self._probes_of(optimizer)
            for probe in self._updating:
                self._this_step.enter_context(probe)
            for probe in (*self._entered, *self._updating):
                if not (_of_gradients(probe) and _closure(args, kwargs)):
                    probe.before_update()

    def _after_update(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self._level != Level.NOTHING:
            with self._run.spending():
                self._read_update(closure=_closure(args, kwargs))
        if len(self._run.optimizers) > 1:
            self._stepped.add(id(optimizer))
            if len(self._stepped) < len(self._run.optimizers):
                return
        self._step_ends()

    def _read_update(self, *, closure: bool) -> None:
        """Collect what was measured around an update."""
        found: list[Reading | Numbers] = []
        for probe in self._updating:
            if closure and _of_gradients(probe):
                probe.before_update()
            probe.after_update()
            found += probe.numbers()
        self._found.append((found, self._skipped))
        self._updating = []

    def _step_ends(self) -> None:
        """Keep what was measured in the step, and prepare the next one."""
        self._stepped.clear()
        clock, level = self._run.clock, self._level
        if level == Level.EVERYTHING and not self._layers.heard:
            self._unheard += 1
            self._run.hears &= self._unheard < _PATIENCE
        if level != Level.NOTHING:
            with self._run.spending():
                self._keep()
                self._detach()
        if clock.step >= self._budget.wake:
            self._budget.step_done(clock.step, level)
            for probe in self._standing:
                if isinstance(probe, Losses):
                    probe.stride = self._budget.stride
        evaluated = clock.evaluated
        if evaluated or not clock.step:
            with self._run.spending():
                clock.evaluated = False
                self.take_standing()
        clock.step += 1
        if clock.step >= self._budget.wake:
            with self._run.spending():
                self._prepare()
        if self._alarms is not None:
            sampled = level != Level.NOTHING
            with self._run.spending():
                self._alarms.step_ended(clock.step, sampled=sampled, evaluated=evaluated)

    def _keep(self) -> None:
        """Hand what the probes of the step measured to the ledger."""
        clock = self._run.clock
        for found, skipped in self._found:
            self._ledger.add(clock.step, found, epoch=clock.epoch, skipped=skipped)
        for probe in self._entered:
            probe.after_update()
        full = self._level == Level.EVERYTHING
        for probe in (*self._entered, *(self._around_forward if full else ())):
            self._ledger.add(clock.step, probe.numbers(), epoch=clock.epoch)
            self._run.learned.update(probe.facts())


def _of_gradients(probe: Probe) -> bool:
    """Whether a probe needs the gradients of the step: with a closure, they come during it."""
    return isinstance(probe, (Gradients, Gradientless))


def _closure(args: tuple[object, ...], kwargs: dict[str, object]) -> bool:
    """Whether a step was given a closure: gradients are then computed inside it."""
    given = [*args, *kwargs.values()]
    return any(callable(value) for value in given)
