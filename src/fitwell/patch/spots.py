"""Spots: places for one module each, and steps: edits of a plan, each at its spot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, final

from torch import nn

from fitwell.records import ModuleSpec, SourceEdit
from fitwell.surgery import LAYER

Key: TypeAlias = str | int
"""A spot: path of the module that the source makes there, or number of the step that adds one."""

SIZES = ("num_features", "num_channels", "normalized_shape")
"""Arguments of a new module that repeat how many outputs the layer before it has."""


class Inexpressible(Exception):
    """A change that cannot be written into the source; the message says why."""


@final
@dataclass(frozen=True)
class Step:
    """One edit of a plan, with the spot that it concerns.

    Args:
        number: Place in the plan, from 0.
        remedy: Name of the remedy that it belongs to.
        edit: The edit.
        words: What it does, in words.
        spot: The spot concerned.
        inner: Whether it concerns the module at the spot and not the sequence made around it.
    """

    number: int
    remedy: str
    edit: SourceEdit
    words: str
    spot: Key = ""
    inner: bool = False


@final
@dataclass(eq=False)
class Spot:
    """A place for one module.

    Args:
        key: What names the spot.
        made: The module that the source makes, or the spec of a new one.
        original: The module that the source makes; None for a new spot.
        arguments: Constructor arguments that change, by name.
        before: Modules that are called before it, in order.
        front: Modules that come right behind it, in order.
        back: Modules that come behind those, in order; for a sequence that the source makes
            itself, at its end.
        called: Modules that its forward calls in the place of functions, or on their results.
        home: For a new module, the spot that it stands beside, or whose forward calls it, and its
            name there.
        inside: For a new module, whether a forward calls it.
    """

    key: Key
    made: nn.Module | ModuleSpec
    original: nn.Module | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    before: list[tuple[str, Spot]] = field(default_factory=list)
    front: list[tuple[str, Spot]] = field(default_factory=list)
    back: list[tuple[str, Spot]] = field(default_factory=list)
    called: list[tuple[str, Spot]] = field(default_factory=list)
    home: tuple[Spot, str] | None = None
    inside: bool = False

    @property
    def added(self) -> list[tuple[str, Spot]]:
        """What was put beside the module, by name."""
        return [*self.before, *self.front, *self.back]

    @property
    def children(self) -> Mapping[str, nn.Module]:
        """What the module at the spot holds itself."""
        own = self.made._modules.items() if isinstance(self.made, nn.Module) else ()
        return {name: child for name, child in own if child is not None}

    @property
    def is_sequence(self) -> bool:
        """Whether the source itself makes a sequence here that insertions are added to."""
        return isinstance(self.made, nn.Sequential) and LAYER in self.children

    @property
    def is_wrapped(self) -> bool:
        """Whether a sequence is made around the module."""
        return bool(self.added) and not self.is_sequence

    @property
    def base(self) -> Spot:
        """The spot that is written first: of the source, or called by a forward."""
        return self if self.home is None or self.inside else self.home[0].base

    @property
    def size(self) -> int | None:
        """How many features or channels come out, as the source has it; None if nobody can say."""
        for name in ("out_features", "out_channels", *SIZES):
            value = self.arguments.get(name, getattr(self.original, name, None))
            if isinstance(value, tuple) and len(value) == 1:
                (value,) = value
            if isinstance(value, int):
                return value
        return None

    def repeats(self, name: str, value: object) -> bool:
        """Whether an argument of a new module repeats a size that the source gives already."""
        return name in SIZES and value == self.base.size is not None

    def shape(self) -> object:
        """Return what the spot becomes, as a value: equal for calls that need the same change."""
        made: object = None
        if isinstance(self.made, ModuleSpec):
            given = self.made.args.items()
            told = tuple((n, "size" if self.repeats(n, v) else repr(v)) for n, v in given)
            made = (self.made.kind, told)
        beside = (self.before, self.front, self.back)
        return (
            made,
            tuple((name, repr(value)) for name, value in self.arguments.items()),
            tuple(tuple((name, spot.shape()) for name, spot in part) for part in beside),
        )
