"""Attach the probes to the steps that the budget allows, and keep what they read."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, final

import torch
from torch import Tensor, nn

from fitwell.anatomy import Recorder, looped, network_facts
from fitwell.interfaces import Probe, Reading
from fitwell.probes import Activations, Gradients, Hook, TimeGradients, layout_of
from fitwell.records import Quantity
from fitwell.watch import probing
from fitwell.watch.budget import Budget
from fitwell.watch.ledger import Ledger
from fitwell.watch.run import Run


@final
class Sampler:
    """The probes on a live run.

    Layers carry hooks only during the forward pass of a sampled step, the network two light hooks
    in a sampled step beside those of the probes that stand for the whole run, the optimizer two.

    Args:
        run: What is watched; what is found out is noted there.
        budget: Says which steps can be afforded.
        ledger: Keeps what was read.
    """

    def __init__(self, run: Run, budget: Budget, ledger: Ledger) -> None:
        self._run, self._budget, self._ledger = run, budget, ledger
        self._whole_run, self._this_step, self._this_forward = (ExitStack() for _ in range(3))
        self._standing = probing.for_run(run)
        self._around_step = probing.for_step(run)
        self._around_forward = probing.for_forward(run)
        self._around_update: list[Probe] | None = None
        self._recorder: Recorder | None = None
        self._sampling = self._updating = False
        self._skipped: Tensor | None = None

    def start(self) -> None:
        """Attach what stands for the whole run, and sample the first step."""
        for probe in self._standing:
            self._whole_run.enter_context(probe)
        (optimizer,) = self._run.optimizers
        before = optimizer.register_step_pre_hook(Hook(self._before_update))
        self._whole_run.callback(before.remove)
        after = optimizer.register_step_post_hook(Hook(self._after_update))
        self._whole_run.callback(after.remove)
        self._attach()

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
        run, evaluated = self._run, False
        for probe in self._standing:
            for reading in probe.readings():
                training = reading.phase == "train"
                step = run.step if training else max(run.step - 1, 0)
                self._ledger.add(step, [reading], epoch=run.epoch)
                evaluated |= not training and reading.quantity == Quantity.LOSS
            run.learned.update(probe.facts())
        run.epoch += evaluated

    def _attach(self) -> None:
        """Make the step that comes a sampled one."""
        for probe in self._around_step:
            self._this_step.enter_context(probe)
        entered = Hook(self._forward_begins)
        handle = self._run.model.register_forward_pre_hook(entered)
        self._this_step.callback(handle.remove)
        left = Hook(self._forward_ended)
        handle = self._run.model.register_forward_hook(left, prepend=True, always_call=True)
        self._this_step.callback(handle.remove)
        self._sampling = True

    def _detach(self) -> None:
        self._this_step.close()
        self._sampling = self._updating = False

    def _forward_begins(self, module: nn.Module, args: object) -> None:
        if not torch.is_grad_enabled() or torch.compiler.is_compiling():
            return
        with self._run.spending():
            if self._run.layout is None:
                self._recorder = Recorder(self._run.model)
                self._this_forward.enter_context(self._recorder)
            for probe in self._around_forward:
                self._this_forward.enter_context(probe)

    def _forward_ended(self, module: nn.Module, args: object, output: object) -> None:
        with self._run.spending():
            if self._recorder is not None:
                self._recorder.returned(output)
            self._this_forward.close()
            if self._recorder is not None and self._run.layout is None and output is not None:
                self._know_layers()

    def _know_layers(self) -> None:
        run = self._run
        anatomy = self._recorder.anatomy() if self._recorder is not None else None
        run.layout, run.layers = layout_of(run.model, anatomy, run.optimizers[0])
        if anatomy is not None:
            run.learned.update(network_facts(run.model, anatomy))
            for probe in self._around_step:
                if isinstance(probe, TimeGradients):
                    probe.looped = looped(anatomy)
        self._recorder = None
        for probe in self._around_forward:
            if isinstance(probe, Activations):
                probe.layout = run.layout

    def _before_update(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not self._sampling:
            return
        with self._run.spending():
            if self._run.layout is None:
                self._recorder = None
                self._know_layers()
            if self._around_update is None and self._run.layout is not None:
                self._around_update = probing.for_update(self._run, self._run.layout)
            found_inf = getattr(optimizer, "found_inf", None)
            self._skipped = found_inf.clone() if isinstance(found_inf, Tensor) else None
            self._updating = True
            for probe in self._around_update or ():
                self._this_step.enter_context(probe)
            for probe in self._probes():
                if not (isinstance(probe, Gradients) and _closure(args, kwargs)):
                    probe.before_update()

    def _after_update(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        sampled = self._sampling
        with self._run.spending():
            if sampled:
                self._read(closure=_closure(args, kwargs))
            self.take_standing()
        self._budget.step_done(self._run.step, sampled=sampled)
        self._run.step += 1
        with self._run.spending():
            if self._budget.allows(self._run.step):
                self._attach()

    def _probes(self) -> list[Probe]:
        """Return the probes of a sampled step, in the order in which they are read."""
        at_update = (self._around_update or []) if self._updating else []
        return [*self._around_step, *at_update, *self._around_forward]

    def _read(self, *, closure: bool) -> None:
        """Collect what the probes of this step measured, and take them off."""
        found: list[Reading] = []
        for probe in self._probes():
            if closure and isinstance(probe, Gradients):
                probe.before_update()
            probe.after_update()
            found += probe.readings()
            self._run.learned.update(probe.facts())
        self._ledger.add(self._run.step, found, epoch=self._run.epoch, skipped=self._skipped)
        self._detach()


def _closure(args: tuple[object, ...], kwargs: dict[str, object]) -> bool:
    """Whether a step was given a closure: gradients are then computed inside it."""
    given = [*args, *kwargs.values()]
    return any(callable(value) for value in given)
