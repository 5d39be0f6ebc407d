"""The three small interfaces. READ THIS FIRST.

A probe measures, a detector judges, a remedy changes. Each implementation is one short file with
one final class; a study (:mod:`fitwell.studies`) compares what the remedies did.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    Protocol,
    Self,
    TypeAlias,
    final,
)

from fitwell.records import (
    Anatomy,
    Capacity,
    Edit,
    Finding,
    Quantity,
    Remake,
    RemedySpec,
    Row,
    Trace,
)

if TYPE_CHECKING:
    from torch import Generator, Tensor

    Tensors: TypeAlias = Mapping[str, Tensor]
    """Tensors by name: parameters and gradients by the one that ``named_parameters()`` gives."""


@final
@dataclass(frozen=True, slots=True)
class Reading:
    """One number that a probe took, still on its device: nothing waits for it.

    ``value`` is a tensor without dimensions; the other fields are as in
    :class:`fitwell.records.Row`.
    """

    quantity: Quantity
    value: Tensor
    module: str = ""
    call: int = 0
    count: int = 1
    phase: str = "train"


@final
@dataclass(frozen=True, slots=True)
class Numbers:
    """Many numbers that a probe took, and how rows are made of them once somebody asks.

    Args:
        values: What is still on its device: tensors without dimensions, or of one axis.
        finish: Called with the plain numbers, in that order; returns rows. It is not called while
            the run goes on, so that its time costs the run nothing.
        stamped: Whether the rows carry the step and the epoch that they belong to; else they are
            given those at which the numbers were handed out.
    """

    values: Sequence[Tensor]
    finish: Callable[[Sequence[float]], Iterable[Row]]
    stamped: bool = False


class Probe(ABC):
    """Reads one kind of number from a live network, during one sampled step.

    A probe is a context manager around the step: what it attaches in ``__enter__`` is gone after
    ``__exit__``, an exception included. It changes nothing of the run: no weight, no gradient, no
    random number, no output. The same probe is entered again for the next sampled step.

    A few stand for a whole run instead: they must be light, and ``readings`` hands out once what
    was read since the last call. Which probe stands when is said in ``fitwell.watch.probing``.
    """

    def __enter__(self) -> Self:
        """Attach to the network, where there is something to attach."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Detach, whatever happened."""

    def before_update(self) -> None:
        """Read what is there between the backward pass and the optimizer's step."""

    def after_update(self) -> None:
        """Read what is there after the optimizer's step."""

    @abstractmethod
    def readings(self) -> Iterable[Reading]:
        """Return what was measured in this step."""

    def numbers(self) -> Iterable[Reading | Numbers]:
        """Return the same as ``readings``, by those that take many numbers in as few calls."""
        return self.readings()

    def facts(self) -> Mapping[str, Any]:
        """Return fields of :class:`fitwell.records.Facts` that it found out, by name."""
        return {}


class Detector(ABC):
    """Judges a trace: plain numbers in, findings of one condition out.

    Implementations are frozen dataclasses; their fields are the limits, each with its reason in
    the docstring. They name no remedy: :mod:`fitwell.prescribe` does.
    """

    condition: ClassVar[str]
    """Slug of the condition that it reports."""

    @abstractmethod
    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return the findings; none where the trace does not hold what is needed."""

    def unjudged(self, trace: Trace) -> str | None:
        """Say what the trace lacks for a judgement, or None if it can be judged."""
        return None


class Stage(IntEnum):
    """Where a remedy stands in a recipe: recipes keep this order, whatever order they are given."""

    CAPACITY = 0
    ACTIVATION = 1
    NORMALIZATION = 2
    DROPOUT = 3
    INITIALIZATION = 4
    BATCH = 5
    LOSS = 6
    GRADIENT = 7
    CLIPPING = 8
    UPDATE = 9
    STOPPING = 10


class Mixed(NamedTuple):
    """Targets of rows that others were mixed into.

    The loss is mixed in their place: ``share`` times the loss against ``first``, plus the rest
    times the loss against ``second``. So any mean loss can be used, and nobody needs to know how
    many classes there are.

    Args:
        first: Targets of the rows themselves.
        second: Targets of the rows that were mixed into them.
        share: Weight of the first, in [0, 1]; a tensor without dimensions.
    """

    first: Tensor
    second: Tensor
    share: Tensor


class Plain(NamedTuple):
    """The pure function behind a seam, which printed code carries along.

    Args:
        function: A module-level function of torch and the standard library alone; its first
            arguments are those of the seam. It may take an argument ``lead``, the number of leading
            axes of every tensor that are those of runs: 0 by default, 1 for a stack, where doses
            may be vectors and a seam of batches is given a sequence of generators. One that does
            not is mapped over the runs.
        args: The keyword arguments that the remedy calls it with, as plain values.
        needs: Further functions and classes that it uses, to be printed before it.
    """

    function: Callable[..., Any]
    args: Mapping[str, Any]
    needs: tuple[Callable[..., Any], ...] = ()


class Sizes(Protocol):
    """What is known of the arguments of a factory that set the size of its network."""

    def capacities(self) -> Sequence[Capacity]:
        """Return these arguments, by measurement."""

    def nearest(
        self, wanted: Mapping[str, int], given: Mapping[str, int] | None = None
    ) -> Mapping[str, int]:
        """Return the nearest values with which the network still runs, beside those given."""

    def shorter(self, name: str, layers: int) -> int | None:
        """Return the largest value that leaves that many hidden layers at most."""


SEAMS = (
    *("edit", "on_batch", "on_loss", "remember", "on_gradients"),
    *("after_update", "average", "rate_factor", "should_stop"),
)
"""Names of the methods of a remedy that act, in the order in which a training loop meets them."""


class Remedy(ABC):
    """One change to how a network is built or trained.

    Implementations are frozen dataclasses whose fields are plain values, so that they compare, hash
    and save. A remedy overrides the seams that it needs and leaves the others alone. All seams are
    pure: what they are given is never changed. No remedy knows whether it serves a user's loop
    (:class:`fitwell.recipe.Treated`), a study, or the printed code.

    Many runs may train as one, on tensors with a leading axis of runs
    (:class:`fitwell.recipe.StackedRecipe`). A remedy need do nothing for it; see ``doses``, and
    :class:`Plain` for what makes it quick.
    """

    stage: ClassVar[Stage]
    """Place in the canonical order."""

    scope: ClassVar[Literal["weights", "all"]] = "all"
    """Which parameters ``remember``, ``on_gradients`` and ``after_update`` are given: all, or only
    the weights that multiply an input (no biases, nothing of a normalisation layer)."""

    units_first: ClassVar[bool] = False
    """Whether the gradient seams are given tensors with the units on the first axis, whatever the
    layer: a transposed convolution has them on the second, and is handed over as a view."""

    doses: ClassVar[tuple[str, ...]] = ()
    """Names of the arguments in which runs that train as one stack may differ: numbers that are
    handed to the functions of :meth:`plain` alone, as vectors over the runs, or used on the host.
    With none, only runs of the very same remedy are stacked."""

    mixes: ClassVar[bool] = False
    """Whether ``on_batch`` returns :class:`Mixed` targets, which only ``Treated.loss`` can take."""

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Return the edits that treat this network, in order.

        Raises:
            NotApplicable: If it cannot serve this network; the message says why.
        """
        return ()

    def remake(self, factory: Sizes) -> Remake | None:
        """Return how the factory shall make the network, in place of :meth:`edit`; None to edit."""
        return None

    def on_batch(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor | Mixed]:
        """Return the batch to train on; all randomness comes from ``generator``."""
        return x, y

    def on_loss(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss to go down on, given the mean loss of a batch."""
        return loss

    def remember(self, memory: Tensors, gradients: Tensors) -> Tensors:
        """Return what is known after a further step, given what was known before it.

        Called before :meth:`on_gradients`, which is given the result; every optimizer has a memory
        of its own. At first it is empty, and zeros mean the same as nothing: where a step is
        skipped, what was known before, or zeros, takes the place of the result.
        """
        return memory

    def on_gradients(self, gradients: Tensors, parameters: Tensors, memory: Tensors) -> Tensors:
        """Return the gradients that the optimizer shall see, under the same names."""
        return gradients

    def after_update(self, parameters: Tensors, rate: float | Tensor) -> Tensors:
        """Return the parameters after the optimizer's step at learning rate ``rate``."""
        return parameters

    def average(self, averages: Tensors, parameters: Tensors, step: int) -> Tensors:
        """Return the running average of the weights after an update.

        Args:
            averages: What it was before; empty at first.
            parameters: The parameters after the update, and the floating-point buffers.
            step: Number of the update, from 0.

        Returns:
            The average of each; empty where there is none yet, and the weights themselves count.
        """
        return averages

    def rate_factor(self, step: int) -> float:
        """Return the multiple of the learning rate that update ``step`` is made with, from 0."""
        return 1.0

    def should_stop(self, losses: Sequence[float]) -> bool:
        """Say whether training shall end, given the validation loss of every epoch so far."""
        return False

    def plain(self) -> Mapping[str, Plain]:
        """Return the function behind each seam that acts, but ``edit``.

        ``Recipe.to_code`` prints them, and stacks of runs call them.
        """
        return {}

    @classmethod
    def seams(cls) -> frozenset[str]:
        """Names of the seams that this remedy overrides."""
        return frozenset(n for n in SEAMS if getattr(cls, n) is not getattr(Remedy, n))

    @property
    def makes_anew(self) -> bool:
        """Whether it may have the network made anew by its factory."""
        return type(self).remake is not Remedy.remake

    @property
    def spec(self) -> RemedySpec:
        """Name and arguments as plain data; arguments at their default are left out."""
        args: dict[str, Any] = {
            f.name: getattr(self, f.name)
            for f in fields(self)  # type: ignore[arg-type]  # every remedy is a dataclass
            if getattr(self, f.name) != f.default
        }
        return RemedySpec(type(self).__name__, args)

    def __str__(self) -> str:
        return str(self.spec)
