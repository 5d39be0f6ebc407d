"""What a recipe does to a network: edits, planned, performed and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import nn

from fitwell import anatomy, surgery
from fitwell.errors import NotApplicable, in_range
from fitwell.interfaces import Remedy
from fitwell.records import (
    Anatomy,
    Change,
    Configure,
    Edit,
    Initialize,
    InsertAfter,
    InsertBefore,
    ModuleSpec,
    Replace,
    ReplaceCall,
)

_SEEDS_OF_A_RUN = 100
"""Distance between the seeds of two runs: each stage of a recipe has one of its own between."""


@final
@dataclass(frozen=True)
class Changes:
    """What was done to a network.

    Args:
        items: Every change, in words, in order.
        keys: The ``state_dict`` keys that moved: old name to new name.
    """

    items: tuple[Change, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "\n".join(str(item) for item in self.items) or "nothing was changed"


@final
@dataclass(frozen=True)
class Operation:
    """The edits of one remedy, and the seed that they are performed with."""

    remedy: str
    edits: tuple[Edit, ...]
    seed: int


def operate(
    model: nn.Module, remedies: Iterable[Remedy], *, example_input: object, seed: int
) -> tuple[Changes, tuple[Operation, ...]]:
    """Treat a copy of a model in place, one remedy after the other.

    Every stage draws from a seed of its own, so that two recipes that share a remedy give it the
    same random numbers, whatever else they hold.

    Args:
        model: A copy of the user's model; it is changed.
        remedies: What to do, in order.
        example_input: What the model can be called with.
        seed: Seed of new weights, in [0, 1e12].

    Raises:
        NotApplicable: If a remedy cannot serve this network.
    """
    in_range("seed", seed, 0, 1e12)
    items: list[Change] = []
    keys = {key: key for key in model.state_dict()}
    done: list[Operation] = []
    editing = [remedy for remedy in remedies if "edit" in remedy.seams()]
    if not editing:
        return Changes(), ()
    before = anatomy.inspect(model, example_input)
    for remedy in editing:
        name = type(remedy).__name__
        edits = _of_trained(model, name, tuple(remedy.edit(before)))
        edits = _possible(model, edits, example_input)
        if not edits:
            continue
        operation = Operation(name, edits, seed * _SEEDS_OF_A_RUN + int(remedy.stage))
        modules = list(model.modules())
        moved = surgery.perform(model, edits, seed=operation.seed, rows=example_input)
        keys = {old: moved.get(new, new) for old, new in keys.items()}
        after = _checked(model, name, example_input=example_input, before=before)
        _check_that_all_ran(model, name, modules, after)
        items += [Change(name, _place(edit) or "forward", _words(edit, before)) for edit in edits]
        done.append(operation)
        before = after
    moved = {old: new for old, new in keys.items() if old != new}
    return Changes(tuple(items), moved), tuple(done)


def _of_trained(model: nn.Module, remedy: str, edits: tuple[Edit, ...]) -> tuple[Edit, ...]:
    """Leave out what would change frozen weights, or what they are learned to put out."""
    kept = tuple(edit for edit in edits if not _concerns_frozen(model, edit))
    frozen = list(dict.fromkeys(_place(edit) for edit in edits if edit not in kept))
    # What keeps its weights is swapped place by place; what does not must fit its neighbours.
    replaced = [
        _place(edit)
        for edit in edits
        if edit not in kept and isinstance(edit, Replace) and not edit.keep
    ]
    if replaced or (frozen and not kept):
        raise NotApplicable(
            f"{remedy} would change frozen layers, whose weights keep what they have learned.\n"
            f"  frozen: {', '.join(replaced or frozen)}\n"
            "  apply it to the part that is trained, or set requires_grad_(True)"
        )
    return kept


def _possible(model: nn.Module, edits: tuple[Edit, ...], example_input: object) -> tuple[Edit, ...]:
    """Leave out optional edits that cannot be done; if none remains, keep all: they say why."""
    kept = tuple(
        edit
        for edit in edits
        if not (isinstance(edit, ReplaceCall) and edit.optional)
        or not surgery.obstacle(model, edit, example_input)
    )
    return kept or edits


def _concerns_frozen(model: nn.Module, edit: Edit) -> bool:
    """Whether an edit draws, replaces or normalises weights that take no gradient."""
    if isinstance(edit, Initialize):
        return not model.get_parameter(edit.parameter).requires_grad
    if isinstance(edit, Configure):
        return False
    old = model.get_submodule(edit.path)
    if isinstance(edit, (InsertAfter, InsertBefore, ReplaceCall)):
        with torch.device("meta"):
            new = surgery.made(edit.module, old, old)
        if next(new.parameters(), None) is None:
            return False
    own = list(old.parameters())
    return bool(own) and not any(parameter.requires_grad for parameter in own)


def _checked(
    model: nn.Module,
    remedy: str,
    *,
    example_input: object,
    before: Anatomy,
) -> Anatomy:
    """Return the anatomy after the edits, if the network still runs and its output fits."""
    try:
        after = anatomy.inspect(model, example_input)
        fast_path = torch.backends.mha.get_fastpath_enabled()
        with anatomy.undisturbed(model), torch.no_grad():
            torch.backends.mha.set_fastpath_enabled(fast_path)
            anatomy.run(model, example_input)
    except (RuntimeError, AttributeError, TypeError, ValueError, IndexError) as error:
        raise NotApplicable(
            f"{remedy} does not fit this network: its own code relies on what would change.\n"
            f"  {type(error).__name__}: {error}{_hint(error)}"
        ) from error
    if after.outputs != before.outputs:
        raise NotApplicable(
            f"{remedy} does not fit this network: its output would go from "
            f"{_shapes(before)} to {_shapes(after)}."
        )
    return after


def _shapes(found: Anatomy) -> str:
    return ", ".join(str(shape) for shape in found.outputs)


def _hint(error: Exception) -> str:
    """Say what to do where a forward reads an attribute of a layer that became a sequence."""
    if not isinstance(error, AttributeError) or not isinstance(error.obj, nn.Sequential):
        return ""
    children = ", ".join(str(child) for child in error.obj.children())
    return (
        f"\n  forward() reads .{error.name} of a layer, which would stand inside a sequence: "
        f"{children}\n"
        "  call the layer instead of reading its parameters, or write the new module into forward()"
    )


def _check_that_all_ran(
    model: nn.Module, remedy: str, modules: Sequence[nn.Module], after: Anatomy
) -> None:
    """Refuse a change that put modules where they never run."""
    known = {id(module) for module in modules}
    ran = {node.path for node in after.nodes if not node.functional}
    for module in model.modules():
        if id(module) in known or isinstance(module, nn.Sequential):
            continue
        paths = surgery.module_paths(model, module)
        if ran.isdisjoint(paths):
            raise NotApplicable(
                f"{remedy} would have no effect: {module} at {paths[0]} never runs."
            )


def _place(edit: Edit) -> str:
    return edit.parameter if isinstance(edit, Initialize) else edit.path


def _words(edit: Edit, before: Anatomy) -> str:
    """Say in words what an edit does."""
    nodes = {node.path: node for node in before.nodes if not node.functional}
    match edit:
        case Replace(path, module, _) if path in nodes:
            kind = nodes[path].kind
            old = ModuleSpec(kind, _told(nodes[path].settings, module), own=not hasattr(nn, kind))
            return f"{old} -> {module}"
        case Replace(_, module, _):
            return f"replaced by {module}"
        case InsertBefore(_, _, module):
            return f"preceded by {module}"
        case ReplaceCall(_, function, _, module):
            what = f"followed by {module}" if edit.follow else f"-> {module}"
            return f"{function} at {edit.source.rpartition('/')[2]} {what}"
        case InsertAfter(_, _, module):
            return f"followed by {module}"
        case Configure(path, attribute, value):
            old_value = nodes[path].settings.get(attribute) if path in nodes else None
            return f"{attribute} {old_value} -> {value}"
        case Initialize():
            args = ", ".join(f"{k}={v!r}" for k, v in edit.args.items())
            rows = f" in rows {edit.rows[0]} to {edit.rows[1] - 1}" if edit.rows else ""
            return f"filled by {edit.function}({args}){rows}"


def _told(settings: Mapping[str, object], module: ModuleSpec) -> dict[str, object]:
    """The settings that a new module names too."""
    return {name: settings[name] for name in module.args if name in settings}
