"""Edits as lines of plain PyTorch, and what those lines need."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from functools import singledispatch
from types import ModuleType
from typing import Any

from fitwell.modules import MODULES, tracing
from fitwell.recipe import printed
from fitwell.records import (
    Configure,
    Edit,
    Initialize,
    InsertAfter,
    InsertBefore,
    ModuleSpec,
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
    return f"precede(model, {at}, {name}, fitted(model, {at}, {edit.module}))"


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
        if isinstance(edit, ReplaceCall):
            files.append(tracing)
    return list(dict.fromkeys(files))


def split_source(file: ModuleType) -> tuple[list[str], str]:
    """Return the imports of a file, and what stands behind them."""
    text = inspect.getsource(file)
    nodes = ast.parse(text).body
    imports = [n for n in nodes if isinstance(n, (ast.Import, ast.ImportFrom))]
    last = imports[-1].end_lineno or 0
    return [ast.unparse(n) for n in imports], "\n".join(text.splitlines()[last:]).strip() + "\n"
