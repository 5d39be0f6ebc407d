"""One model of Keras in training, under watch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor

from fitwell.integrations.keras.clock import KerasSteps
from fitwell.integrations.keras.facts import loss_facts, optimizer_facts, output_shape
from fitwell.integrations.keras.network import KerasNetwork
from fitwell.probes.pairs import pair_facts
from fitwell.records import Facts, Recorded, Trace
from fitwell.watch import ToldLoss, Watch


@final
class KerasSession:
    """A watch on a Keras model, for as many calls of ``fit`` as the program makes.

    Args:
        model: The model, compiled.
        name: What the program calls it.
        overhead: Share of the run's time that watching may take.
    """

    def __init__(self, model: Any, name: str, overhead: float) -> None:
        self.model, self.name = model, name
        self._overhead = overhead
        self._loss = ToldLoss()
        self._network: KerasNetwork | None = None
        self._clock: KerasSteps | None = None
        self._watch: Watch | None = None
        self._facts: dict[str, Any] = {}
        self._inside = False
        self.steps = 0

    @contextmanager
    def training(self) -> Iterator[None]:
        """Listen while the model trains; the model must be built."""
        if self._inside:
            yield
            return
        self._prepare()
        model, clock = self.model, self._clock
        assert self._network is not None
        self._inside = True
        compute_loss = model.compute_loss
        vars(model)["compute_loss"] = _ComputeLoss(self, compute_loss)
        if clock is not None:
            vars(model.optimizer)["apply"] = clock
        try:
            with self._network.instead():
                yield
        finally:
            self._inside = False
            vars(model).pop("compute_loss", None)
            if clock is not None:
                vars(model.optimizer).pop("apply", None)

    def _prepare(self) -> None:
        """Make network, clock and watch, or those parts that have changed since the last time."""
        optimizer = self.model.optimizer
        if self._network is None:
            self._network = KerasNetwork(self.model)
        if optimizer is None:
            return
        if self._clock is None:
            self._clock = KerasSteps(optimizer, self._network)
            self._clock.register_step_post_hook(self._stepped)
            self._watch = Watch(
                self._network,
                (self._clock,),
                self._loss,
                overhead=self._overhead,
                every=None,
                dense=True,
            )
            self._watch.__enter__()
        self._clock.follow(optimizer)
        self._facts |= loss_facts(self.model) | optimizer_facts(self.model)

    def _stepped(self, *args: object) -> None:
        self.steps += 1

    def loss_computed(self, y: Any, y_pred: Any, value: Any) -> None:
        """Hear of a loss."""
        outputs, targets = _first_tensor(y_pred), _first_tensor(y)
        if outputs is not None and isinstance(value, Tensor) and outputs.dim():
            self._loss.tell(value, outputs, targets, training=torch.is_grad_enabled())

    def loss_failed(self, y: Any, y_pred: Any) -> None:
        """Hear of outputs and targets that the loss did not take."""
        outputs, targets = _first_tensor(y_pred), _first_tensor(y)
        if outputs is not None and targets is not None:
            self._facts |= pair_facts(outputs, targets)
            if outputs.requires_grad:  # what was given is measured all the same
                self._loss.tell(torch.full((), torch.nan), outputs, targets, training=True)

    def epoch_ended(self, logs: Mapping[str, Any]) -> None:
        """Hear of the metrics of an epoch; losses are heard of batch by batch."""
        if self._watch is None:
            return
        own = {k: float(v) for k, v in logs.items() if not k.startswith("val_") and _counts(k)}
        name = next(iter(own), None)
        if name is not None:
            numbers: dict[str, Any] = {f"train_{name}": own[name]}
            if f"val_{name}" in logs:
                numbers[f"val_{name}"] = float(logs[f"val_{name}"])
            self._watch.log(**numbers)

    def describe(self, **facts: Any) -> None:
        """Note facts."""
        self._facts |= facts

    def failed(self, error: BaseException) -> None:
        """Note the exception that ended training."""
        self._facts["error"] = f"{type(error).__name__}: {error}"
        if not self._facts.get("loss"):
            self._facts |= loss_facts(self.model) | optimizer_facts(self.model)
        if not self._facts.get("output_shape"):
            self._facts["output_shape"] = tuple(int(n or 0) for n in output_shape(self.model))

    def close(self) -> Recorded:
        """Take everything off and return what was recorded."""
        trace, cost = Trace(), 0.0
        if self._watch is not None:
            self._watch.__exit__(None, None, None)
            self._watch.describe(**self._facts)
            trace, cost = self._watch.trace, self._watch.cost
        elif self._facts:
            trace = Trace(facts=Facts(**self._facts))
        built = getattr(self.model, "built", False)
        return Recorded(
            name=self.name,
            kind=type(self.model).__name__,
            parameters=self.model.count_params() if built else 0,
            optimizer=str(self._facts.get("optimizer", "")),
            steps=self.steps,
            trace=trace,
            cost=cost,
        )


@final
class _ComputeLoss:
    """Called in place of ``model.compute_loss``."""

    def __init__(self, session: KerasSession, plain: Any) -> None:
        self._session, self._plain = session, plain

    def __call__(
        self, x: Any = None, y: Any = None, y_pred: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        try:
            value = self._plain(x, y, y_pred, *args, **kwargs)
        except (RuntimeError, ValueError, IndexError, TypeError):
            self._session.loss_failed(y, y_pred)
            raise
        self._session.loss_computed(y, y_pred, value)
        return value


def _first_tensor(values: Any) -> Tensor | None:
    if isinstance(values, Mapping):
        values = next(iter(values.values()), None)
    if isinstance(values, (list, tuple)):
        values = values[0] if values else None
    return values if isinstance(values, Tensor) and not values.is_meta else None


def _counts(name: str) -> bool:
    """Whether a log is a metric of the model, and no loss or rate."""
    return "loss" not in name and name not in ("lr", "learning_rate")
