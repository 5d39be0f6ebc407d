"""Edits as lines of plain PyTorch, and what those lines need."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import singledispatch
from types import ModuleType
from typing import Any

from fitwell.modules import (
    MODULES,
    attached,
    folding,
    lsuv,
    pruning,
    remaking,
    standardize,
    tracing,
)
from fitwell.recipe import printed
from fitwell.records import (
    Configure,
    Edit,
    FoldNorm,
    Initialize,
    InsertAfter,
    InsertBefore,
    LevelOutputs,
    MeasureInputs,
    ModuleSpec,
    PruneUnits,
    Remake,
    Replace,
    ReplaceCall,
)

_FITTING = (printed.fitted, printed.put)
_HELPERS: Mapping[type, tuple[Callable[..., Any], ...]] = {
    Replace: _FITTING,
    InsertBefore: (*_FITTING, printed.precede),
    InsertAfter: (*_FITTING, printed.is_sequence, printed.follow),
    ReplaceCall: (printed.fitted,),
    Initialize: (printed.fill,),
}
"""Kinds of edits, and the functions that their lines call."""

_FILES: Mapping[type, ModuleType] = {
    ReplaceCall: tracing,
    MeasureInputs: standardize,
    LevelOutputs: lsuv,
    FoldNorm: folding,
    PruneUnits: pruning,
    Remake: remaking,
}
"""Kinds of edits, and the files of ours that their lines call."""


@singledispatch
def line_of(edit: object) -> str:
    """Return the line that does one edit to ``model``; every kind registers a function here."""
    raise TypeError(f"Expected an edit, got {type(edit).__name__}.")


@line_of.register
def _(edit: Replace) -> str:
    at = json.dumps(edit.path)
    keep = ", keep=True" if edit.keep else ""
    return f"put(model, {at}, fitted(model, {at}, {edit.module}{keep}))"


@line_of.register
def _(edit: InsertBefore) -> str:
    at, name = json.dumps(edit.path), json.dumps(edit.name)
    row = ", Attached" if edit.answers else ""
    return f"precede(model, {at}, {name}, fitted(model, {at}, {edit.module}){row})"


@line_of.register
def _(edit: InsertAfter) -> str:
    at, name = json.dumps(edit.path), json.dumps(edit.name)
    return f"follow(model, {at}, {name}, fitted(model, {at}, {edit.module}))"


@line_of.register
def _(edit: ReplaceCall) -> str:
    at, name = json.dumps(edit.path), json.dumps(edit.name)
    follow = ", follow=True" if edit.follow else ""
    return (
        f"call_module(model.get_submodule({at}), {json.dumps(edit.function)}, {edit.order}, "
        f"{name}, fitted(model, {at}, {edit.module}){follow})"
    )


@line_of.register
def _(edit: Initialize) -> str:
    part = f"[{edit.rows[0]}:{edit.rows[1]}]" if edit.rows else ""
    given = "".join(f", {name}={value!r}" for name, value in edit.args.items())
    parameter = f"model.get_parameter({json.dumps(edit.parameter)}){part}"
    return f"fill({parameter}, nn.init.{edit.function}{given})"


@line_of.register
def _(edit: Configure) -> str:
    return f"model.get_submodule({json.dumps(edit.path)}).{edit.attribute} = {edit.value!r}"


@line_of.register
def _(edit: MeasureInputs) -> str:
    return f"measure_inputs(model, {_list(edit.paths)}, rows)"


@line_of.register
def _(edit: LevelOutputs) -> str:
    return f"level_outputs(model, {_list(edit.paths)}, rows, {edit.tolerance!r}, {edit.rounds})"


@line_of.register
def _(edit: FoldNorm) -> str:
    first = ", first=True" if edit.first else ""
    return f"fold_norm(model, {json.dumps(edit.layer)}, {json.dumps(edit.norm)}{first})"


@line_of.register
def _(edit: PruneUnits) -> str:
    keep = f", keep={_list(edit.keep)}" if edit.keep else ""
    fresh = ", fresh=True" if edit.fresh else ""
    how = f"{edit.share!r}, {json.dumps(edit.importance)}{keep}{fresh}"
    return f"prune_units(model, example, {how})"


@line_of.register
def _(edit: Remake) -> str:
    inside: dict[str, str] = {}
    given = []
    for name, value in edit.args.items():
        argument, _, field = name.partition(".")
        if field:
            inside[argument] = f"{inside.get(argument, '')}, {field}={value!r}"
        else:
            given.append(f"{argument}={value!r}")
    given += [
        f"{argument}=altered(make_model, {json.dumps(argument)}{values})"
        for argument, values in inside.items()
    ]
    return f"model = as_given(make_model({', '.join(given)}), model)"


def _list(names: Iterable[str]) -> str:
    return f"[{', '.join(map(json.dumps, names))}]"


def helpers_of(edits: Iterable[Edit]) -> list[Callable[..., Any]]:
    """Return the functions that the lines of edits call, each once."""
    needed = (function for edit in edits for function in _HELPERS.get(type(edit), ()))
    return list(dict.fromkeys(needed))


def files_of(edits: Iterable[Edit]) -> list[ModuleType]:
    """Return the files of ours whose source the lines need, each once."""
    files: list[ModuleType] = []
    for edit in edits:
        spec = getattr(edit, "module", None)
        if isinstance(spec, ModuleSpec) and spec.own:
            file = inspect.getmodule(MODULES[spec.kind])
            assert file is not None
            files.append(file)
        if isinstance(edit, InsertBefore) and edit.answers:
            files.append(attached)
        if type(edit) in _FILES:
            files.append(_FILES[type(edit)])
    return list(dict.fromkeys(needed for file in files for needed in (*_needed_by(file), file)))


def _needed_by(file: ModuleType) -> list[ModuleType]:
    """Return the other files of ours that one imports from."""
    imports = (n for n in ast.parse(inspect.getsource(file)).body if isinstance(n, ast.ImportFrom))
    found = [sys.modules[node.module or ""] for node in imports if _is_ours(node)]
    return [needed for other in found for needed in (*_needed_by(other), other)]


def _is_ours(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fitwell.")


def split_source(file: ModuleType) -> tuple[list[str], str]:
    """Return the imports of a file, and what stands behind them."""
    text = inspect.getsource(file)
    nodes = ast.parse(text).body
    imports = [n for n in nodes if isinstance(n, (ast.Import, ast.ImportFrom))]
    last = imports[-1].end_lineno or 0
    theirs = [ast.unparse(node) for node in imports if not _is_ours(node)]
    return theirs, "\n".join(text.splitlines()[last:]).strip() + "\n"
