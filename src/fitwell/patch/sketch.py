"""What stands where in a network after edits, as far as its source can say it.

A sketch follows edits as plain data: at every spot stands the module that the source makes, or a
newly made one, perhaps followed by others. It names nothing of the source; it says for each call
of a constructor what the call must become.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, final

from torch import nn

from fitwell.patch.spots import Inexpressible, Key, Spot, Step
from fitwell.records import (
    Configure,
    Initialize,
    InsertAfter,
    InsertBefore,
    ModuleSpec,
    Replace,
    ReplaceCall,
    SourceEdit,
)
from fitwell.surgery import LAYER


@final
class Sketch:
    """The spots of a network.

    Args:
        model: The network as the source makes it; it is only read.
    """

    def __init__(self, model: nn.Module) -> None:
        self._spots: dict[int, Spot] = {}
        self.by_key: dict[Key, Spot] = {}
        for path, module in model.named_modules():
            spot = Spot(path, module, module)
            self._spots[id(module)] = spot
            self.by_key[path] = spot

    @property
    def changed(self) -> Iterator[Spot]:
        """The spots of the source where something changes."""
        for key, spot in self.by_key.items():
            new = isinstance(spot.made, ModuleSpec)
            if isinstance(key, str) and (new or spot.arguments or spot.added):
                yield spot

    def find(self, path: str) -> tuple[Spot, bool]:
        """Return the spot of a path of the treated network, and whether it is the inner module.

        Raises:
            Inexpressible: If the path leads to nothing that was sketched.
        """
        spot, inner = self.by_key[""], False
        for name in path.split(".") if path else ():
            added = dict(spot.added)
            if spot.is_wrapped and not inner and name == LAYER:
                inner = True
                continue
            if name in added and not (spot.is_wrapped and inner):
                spot, inner = added[name], False
                continue
            called, child = dict(spot.called).get(name), spot.children.get(name)
            if (called is None and child is None) or (spot.is_wrapped and not inner):
                raise Inexpressible(f"nothing of the source stands at {path}")
            spot, inner = called or self._spots[id(child)], False
        return spot, inner

    def path(self, spot: Spot, *, inner: bool = False) -> str:
        """Return the path of a spot in the treated network."""
        if spot.home is not None:
            parent, name = spot.home
            names = [*filter(None, [self.path(parent, inner=spot.inside)]), name]
        else:
            names, at = [], self.by_key[""]
            for name in str(spot.key).split(".") if spot.key else ():
                names += [LAYER, name] if at.is_wrapped else [name]
                at = self._spots[id(at.children[name])]
        return ".".join([*names, LAYER] if inner and spot.is_wrapped else names)

    def perform(self, step: Step) -> SourceEdit:
        """Note what a step does, and return its edit with the path that it has in this sketch.

        Raises:
            Inexpressible: If the edit is of a kind that cannot be written, or its spot is gone.
        """
        spot = self.by_key.get(step.spot)
        if spot is None:
            raise Inexpressible("what it would change could not be written either")
        path, edit = self.path(spot, inner=step.inner), step.edit
        match edit:
            case Initialize(parameter):
                own = parameter.rpartition(".")[2]
                return replace(edit, parameter=f"{path}.{own}".lstrip("."))
            case Configure(_, attribute, value):
                _set(spot, {attribute: value})
                return replace(edit, path=path)
            case Replace(_, module):
                _replaced(spot, module)
                return replace(edit, path=path)
            case InsertAfter(_, name, module):
                self._follow(spot, step, name, module)
                return replace(edit, path=path)
            case InsertBefore(_, name, module):
                if spot.added:
                    raise Inexpressible(f"{path} stands in a sequence already")
                new = self._new(step, module, (spot, name))
                spot.before.append((name, new))
                return replace(edit, path=path)
            case ReplaceCall(_, _, _, module, name):
                new = self._new(step, module, (spot, _free_attribute(spot, name)), inside=True)
                spot.called.append((new.home[1] if new.home else name, new))
                return replace(edit, path=path)
            case _:
                raise Inexpressible(f"{type(edit).__name__} has no form in the source")

    def _new(
        self, step: Step, module: ModuleSpec, home: tuple[Spot, str], *, inside: bool = False
    ) -> Spot:
        new = Spot(step.number, module, home=home, inside=inside)
        self.by_key[step.number] = new
        return new

    def _follow(self, spot: Spot, step: Step, name: str, module: ModuleSpec) -> None:
        parent = self._sequence_around(spot)
        first = step.inner
        if parent is not None and not spot.is_sequence:
            spot, first = parent, True
        taken = {LAYER, *dict(spot.added), *(spot.children if spot.is_sequence else ())}
        free = next(n for n in (name, *(f"{name}{i}" for i in range(2, 99))) if n not in taken)
        new = self._new(step, module, (spot, free))
        if first:
            spot.front.insert(0, (free, new))
        else:
            spot.back.append((free, new))

    def _sequence_around(self, spot: Spot) -> Spot | None:
        """Return the sequence of the source that a spot is the first module of."""
        above, _, name = str(spot.key).rpartition(".")
        if spot.home is not None or spot.is_wrapped or name != LAYER:
            return None
        parent = self.by_key[above]
        return parent if parent.is_sequence else None


def _free_attribute(spot: Spot, name: str) -> str:
    taken = dict(spot.called)
    names = (name, *(f"{name}{i}" for i in range(2, 999)))
    return next(n for n in names if n not in taken and not hasattr(spot.made, n))


def _set(spot: Spot, arguments: Mapping[str, Any]) -> None:
    """Change constructor arguments; those that are so already stay."""
    if isinstance(spot.made, ModuleSpec):
        spot.made = replace(spot.made, args={**spot.made.args, **arguments})
        return
    for name, value in arguments.items():
        if getattr(spot.made, name, None) != value:
            spot.arguments[name] = value


def _replaced(spot: Spot, module: ModuleSpec) -> None:
    """Put a new module in place; one of the same kind is made by changed arguments."""
    same = isinstance(spot.made, nn.Module) and type(spot.made) is getattr(nn, module.kind, None)
    if same:
        _set(spot, module.args)
    else:
        spot.made, spot.arguments = module, {}


def steps_of(
    model: nn.Module, planned: Iterable[tuple[str, SourceEdit, str]]
) -> tuple[list[Step], list[tuple[Step, str]]]:
    """Number the edits of a plan and find the spot of each.

    Args:
        model: The network as the source makes it.
        planned: Remedy, edit and words of every edit, in order.

    Returns:
        The steps, and those that cannot be taken, each with the reason.
    """
    sketch = Sketch(model)
    steps: list[Step] = []
    failed: list[tuple[Step, str]] = []
    for number, (remedy, edit, words) in enumerate(planned):
        step = Step(number, remedy, edit, words)
        try:
            spot, inner = sketch.find(_path(edit))
            step = replace(step, spot=spot.key, inner=inner)
            sketch.perform(step)
        except Inexpressible as error:
            failed.append((step, str(error)))
        else:
            if not _is_so_already(step, spot):
                steps.append(step)
    return steps, failed


def _is_so_already(step: Step, spot: Spot) -> bool:
    """Whether a step sets what the source sets already."""
    setting = isinstance(step.edit, (Configure, Replace))
    return setting and isinstance(spot.made, nn.Module) and not spot.arguments


def _path(edit: SourceEdit) -> str:
    return edit.parameter.rpartition(".")[0] if isinstance(edit, Initialize) else edit.path


def sketched(
    model: nn.Module, steps: Iterable[Step]
) -> tuple[Sketch, list[tuple[Step, SourceEdit]], list[tuple[Step, str]]]:
    """Return the sketch after some steps, the steps with their edits, and those that failed."""
    sketch = Sketch(model)
    done: list[tuple[Step, SourceEdit]] = []
    failed: list[tuple[Step, str]] = []
    for step in steps:
        try:
            done.append((step, sketch.perform(step)))
        except Inexpressible as error:
            failed.append((step, str(error)))
    return sketch, done, failed
