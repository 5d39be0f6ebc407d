"""What an edit does, in words: one sentence for every place that it changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from torch import nn

from fitwell.records import (
    Anatomy,
    Configure,
    Edit,
    FoldNorm,
    Initialize,
    InsertAfter,
    InsertBefore,
    LevelOutputs,
    MeasureInputs,
    ModuleSpec,
    Node,
    PruneUnits,
    Remake,
    Replace,
    ReplaceCall,
)

Said: TypeAlias = tuple[str, str]
"""Where, and what."""


def place(edit: Edit) -> str:
    """Return the name of the module or parameter that an edit is about; "" for the network."""
    match edit:
        case Initialize(parameter):
            return parameter
        case FoldNorm(layer):
            return layer
        case MeasureInputs() | LevelOutputs() | PruneUnits() | Remake():
            return ""
    return edit.path


def words_of(edit: Edit, before: Anatomy, after: Anatomy) -> list[Said]:
    """Say where an edit changes a network, and what it does there.

    Args:
        edit: What was done.
        before: The network before the remedy that the edit belongs to.
        after: The network after it.
    """
    match edit:
        case MeasureInputs(paths):
            return [(path, "its mean and deviation measured on the rows") for path in paths]
        case LevelOutputs(paths):
            return [(path, "its weights scaled until the output has variance 1") for path in paths]
        case FoldNorm(layer, norm):
            return [(layer, f"takes {norm} into its weights"), (norm, f"is part of {layer} now")]
        case PruneUnits():
            drawn = ", drawn anew" if edit.fresh else ""
            return [(path, what + drawn) for path, what in resized(before, after)]
        case Remake(args):
            given = ", ".join(f"{name}={value!r}" for name, value in args.items())
            made = ("forward", f"made anew by make_model({given})")
            return [made, *resized(before, after)]
    return [(place(edit) or "forward", _words(edit, before))]


def _words(edit: Edit, before: Anatomy) -> str:
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
    raise TypeError(f"Expected an edit, got {type(edit).__name__}.")


def resized(before: Anatomy, after: Anatomy) -> Iterator[Said]:
    """Say of every module of two networks how its settings differ."""
    old, new = _modules(before), _modules(after)
    for path, node in old.items():
        if path not in new:
            yield path, f"left out ({node.kind})"
            continue
        changed = [k for k, v in node.settings.items() if new[path].settings.get(k) != v]
        if changed:
            was = ModuleSpec(node.kind, {k: node.settings[k] for k in changed})
            now = ModuleSpec(new[path].kind, {k: new[path].settings.get(k) for k in changed})
            yield path, f"{was} -> {now}"


def _modules(anatomy: Anatomy) -> dict[str, Node]:
    return {node.path: node for node in anatomy.nodes if not node.functional and node.settings}


def _told(settings: Mapping[str, object], module: ModuleSpec) -> dict[str, object]:
    """The settings that a new module names too."""
    return {name: settings[name] for name in module.args if name in settings}
