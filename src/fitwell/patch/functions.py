"""Functions called inside a ``forward``, written as calls of modules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import final

import libcst as cst
from torch import nn

from fitwell.patch.rewriting import Rewriter
from fitwell.patch.source import Source
from fitwell.patch.spots import Inexpressible, Spot, Step
from fitwell.records import ModuleSpec, ReplaceCall


@final
@dataclass(frozen=True)
class Called:
    """A module that shall be called where a forward calls a function.

    Args:
        edit: The edit.
        spot: The new module.
        owner: The module whose forward it is.
    """

    edit: ReplaceCall
    spot: Spot
    owner: nn.Module

    @property
    def place(self) -> tuple[str, str]:
        """The line of the call, and the function."""
        return self.edit.source, self.edit.function


@final
@dataclass(frozen=True)
class Declaration:
    """A statement for a constructor: ``self.<name> = <made>``.

    Args:
        qualname: The class.
        name: Name of the new module.
        made: What makes it, on one line.
        text: The same as it is laid out.
    """

    qualname: str
    name: str
    made: str
    text: str


@final
class Functions:
    """Writes calls of modules where a forward calls functions.

    Args:
        source: The user's file.
        file: Where it is.
        model: The network.
        rewriter: Takes what the calls become.
    """

    def __init__(self, source: Source, file: Path, model: nn.Module, rewriter: Rewriter) -> None:
        self._source, self._file, self._model = source, file, model
        self._rewriter = rewriter
        self.declared: dict[tuple[str, str], Declaration] = {}

    def add(self, found: Sequence[Called]) -> int:
        """Note what becomes of the calls of one function in one line, and return the line.

        Raises:
            Inexpressible: If the line does not show the calls, or not all that it does change.
        """
        edit, spot = found[0].edit, found[0].spot
        file, _, number = edit.source.rpartition(":")
        line = int(number or 0)
        if not file or Path(file).resolve() != self._file:
            raise Inexpressible(f"{edit.function} is called at {edit.source}, in another file")
        calls = [c for c in self._calls(edit.function) if self._source.line(c) == line]
        if not calls:
            raise Inexpressible(f"line {line} shows no call of {edit.function}")
        if len({(c.spot.shape(), c.edit.follow) for c in found}) > 1:
            raise Inexpressible(f"the calls of {edit.function} in line {line} need unlike changes")
        function, owner = self._method(calls[0], line)
        self._check_all(found, calls, f"{owner}.{function.name.value}", line)
        name = self._name(found, calls, owner, line)
        own = function.params.params[0].name.value if function.params.params else "self"
        target = cst.Attribute(cst.Name(own), cst.Name(name))
        for call in calls:
            taken = self._taken(call, line)
            self._rewriter.put(call, partial(_called, target, number=taken, follow=edit.follow))
        self.declared[owner, name] = self._declaration(owner, name, spot)
        return line

    def _declaration(self, owner: str, name: str, spot: Spot) -> Declaration:
        columns = 2 * len(self._source.tree.default_indent) + len(f"self.{name} = ")
        short = self._rewriter.spelling.chain(spot)
        return Declaration(
            owner, name, short, self._rewriter.spelling.laid_out(spot, columns=columns)
        )

    def _calls(self, function: str) -> Iterable[cst.Call]:
        for call in self._source.calls:
            match call.func:
                case cst.Name(value) | cst.Attribute(attr=cst.Name(value)):
                    if value.strip("_") == function:
                        yield call

    def _method(self, call: cst.Call, line: int) -> tuple[cst.FunctionDef, str]:
        """Return the method that a call stands in, and the qualified name of its class."""
        function = self._source.function_around(call)
        classes = self._source.classes_around(function) if function is not None else []
        if function is None or not classes:
            raise Inexpressible(f"line {line} stands in no method, from which self could be used")
        return function, ".".join(c.name.value for c in classes)

    def _check_all(
        self, found: Sequence[Called], calls: Sequence[cst.Call], method: str, line: int
    ) -> None:
        """Check that these calls change in every module that runs the method."""
        counts: dict[int, int] = {}
        for called in found:
            counts[id(called.owner)] = counts.get(id(called.owner), 0) + 1
        for module in self._model.modules():
            own = getattr(type(module), method.rpartition(".")[2], None)
            if getattr(own, "__qualname__", "") == method:
                counts.setdefault(id(module), 0)
        if len(set(counts.values())) > 1 or any(n % len(calls) for n in counts.values()):
            raise Inexpressible(
                f"line {line} runs in {len(counts)} modules, and not every call would change"
            )

    def _name(
        self, found: Sequence[Called], calls: Sequence[cst.Call], owner: str, line: int
    ) -> str:
        """Return the name of the new module; one without parameters serves all its calls."""
        spot = found[0].spot
        name = spot.home[1] if spot.home else ""
        if not has_parameters(spot):
            made = self._rewriter.spelling.chain(spot)
            same = (d.name for d in self.declared.values() if (d.qualname, d.made) == (owner, made))
            return next(same, name)
        if len(calls) > 1 or len(found) != len({id(called.owner) for called in found}):
            raise Inexpressible(
                f"line {line} calls {found[0].edit.function} several times, "
                "each of which would have weights of its own"
            )
        return name

    def _taken(self, call: cst.Call, line: int) -> int | None:
        """Return which argument of a call is the tensor; None if it is a method of it."""
        function = self._source.value_of(call.func)
        if function is None and isinstance(call.func, cst.Attribute):
            return None
        for number, argument in enumerate(call.args):
            if not argument.star and (
                argument.keyword is None or argument.keyword.value == "input"
            ):
                return number
        raise Inexpressible(f"line {line} does not show what the function is called on")


def has_parameters(spot: Spot) -> bool:
    """Whether a new module, or one beside it, has parameters or buffers."""
    spec = spot.made
    assert isinstance(spec, ModuleSpec)
    own = getattr(nn, spec.kind)(**spec.args).state_dict() if hasattr(nn, spec.kind) else {}
    return bool(own) or any(has_parameters(new) for _, new in spot.added)


def _called(
    target: cst.BaseExpression, node: cst.Call, *, number: int | None, follow: bool
) -> cst.BaseExpression:
    """Return the call of a module on what a function is called on, or on its result."""
    if follow:
        taken: cst.BaseExpression = node
    elif number is None:
        taken = cst.ensure_type(node.func, cst.Attribute).value
    else:
        taken = node.args[number].value
    return cst.Call(target, [cst.Arg(taken)])


def in_lines(
    steps: Iterable[Step], spots: Mapping[int | str, Spot], model: nn.Module
) -> list[tuple[list[Step], list[Called]]]:
    """Return the steps that change calls of functions, those of one function in one line together.

    Args:
        steps: Steps of a plan.
        spots: The spots of the sketch, by key.
        model: The network.
    """
    found: dict[tuple[str, str], tuple[list[Step], list[Called]]] = {}
    for step in steps:
        if isinstance(step.edit, ReplaceCall):
            owner = model.get_submodule(str(step.spot))
            called = Called(step.edit, spots[step.number], owner)
            group = found.setdefault(called.place, ([], []))
            group[0].append(step)
            group[1].append(called)
    return list(found.values())
