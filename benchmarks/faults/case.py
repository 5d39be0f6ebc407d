"""A program with the faults as its arguments, and the cases made of it. READ THIS FIRST.

Example::

    @program("mlp", "classification", split="calibration")
    def digits_mlp(lab, *, rate=0.1, zero_grad=True):
        ...                                   # model, optimizer, loss, loaders: plain PyTorch
        with lab.watch(model, optimizer, loss_fn) as watch:
            ...                               # a loop as users write it
        return measured(model, loss_fn, validation)

    CASES = (
        digits_mlp.healthy("digits-mlp"),
        digits_mlp.sick("digits-mlp-no-zero-grad", "accumulated_gradients", zero_grad=False),
    )
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, final

from benchmarks.faults.lab import Lab

from fitwell.records import CONDITIONS

FAMILIES = ("mlp", "cnn", "residual", "recurrent", "transformer", "embedding")
KINDS = ("classification", "regression", "reconstruction", "language_modelling")
SPLITS = ("calibration", "held-out")

Outcome = Mapping[str, float]
"""Names to numbers of a finished run: ``val_loss``, ``val_accuracy``, ``train_loss`` …"""


@final
@dataclass(frozen=True)
class Program:
    """A training script of one architecture.

    Args:
        run: The script; its keyword arguments are what can be wrong with it, and their defaults
            are right. It returns the outcome, measured after the watch and always in the same way.
        family: One of :data:`FAMILIES`.
        kind: One of :data:`KINDS`.
        split: ``"calibration"`` if limits may be set on its cases, ``"held-out"`` if they are only
            scored. It belongs to the architecture, so that no limit is fitted to a network that
            it is judged on.
    """

    run: Callable[..., Outcome]
    family: str
    kind: str
    split: Literal["calibration", "held-out"]

    @property
    def name(self) -> str:
        """Name of the architecture."""
        return self.run.__name__.replace("_", "-")

    def healthy(self, name: str, **settings: Any) -> Case:
        """Return a case that must be left in peace."""
        return Case(name, self, "", settings=settings)

    def sick(self, name: str, condition: str, **about: Any) -> Case:
        """Return a case with a fault: ``about`` holds fields of :class:`Case`, and settings."""
        known = ("accept", "layers", "visible_at", "repair", "outcome")
        fields = {key: about.pop(key) for key in known if key in about}
        return Case(name, self, condition, settings=about, **fields)


@final
@dataclass(frozen=True)
class Case:
    """A short real run with one known fault, or none.

    Args:
        name: Its own name; a slug.
        program: What is run.
        condition: What is wrong, as a slug of the conditions; "" if nothing is.
        settings: What the program is run with.
        accept: Further conditions that are an equally right root cause.
        layers: Names of the layers that the fault is in; () if it is in no layer.
        visible_at: Optimizer step from which the fault shows in what can be recorded.
        repair: Settings that undo the fault; by default, none of ``settings`` is given.
        outcome: Name of the number that proves the fault. What ends in ``loss`` is better lower.
    """

    name: str
    program: Program
    condition: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    accept: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    visible_at: int = 0
    repair: Mapping[str, Any] = field(default_factory=dict)
    outcome: str = "val_loss"

    def __post_init__(self) -> None:
        assert self.program.family in FAMILIES, self.program.family
        assert self.program.kind in KINDS, self.program.kind
        assert self.program.split in SPLITS, self.program.split
        for condition in (self.condition, *self.accept):
            assert condition in ("", *CONDITIONS), f"{self.name}: no condition {condition!r}"

    @property
    def causes(self) -> tuple[str, ...]:
        """Every right answer to what is wrong."""
        return (self.condition, *self.accept) if self.condition else ()

    @property
    def twin(self) -> Case:
        """The same program with the fault undone; its outcome is what the fault costs."""
        given = "-".join(f"{key}={value}" for key, value in sorted(self.repair.items()))
        return Case(f"{self.program.name}--{given}", self.program, "", settings=self.repair)

    def run(self, lab: Lab) -> Outcome:
        """Train once."""
        return self.program.run(lab, **self.settings)


def program(
    family: str, kind: str, *, split: Literal["calibration", "held-out"]
) -> Callable[[Callable[..., Outcome]], Program]:
    """Make a program of a function."""
    return lambda run: Program(run, family, kind, split)
