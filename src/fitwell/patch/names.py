"""Names for what a patch writes, and the imports that it needs."""

from __future__ import annotations

import collections
import sys
from collections import OrderedDict
from collections.abc import Mapping
from types import ModuleType
from typing import final

import libcst as cst
import torch
from torch import nn

from fitwell.patch.source import Source
from fitwell.patch.spots import Inexpressible


@final
class Names:
    """Names for what a patch writes: those that the file imports already, else new imports.

    Args:
        source: The user's file.
    """

    def __init__(self, source: Source) -> None:
        self._names = source.names
        self.missing: dict[str, str] = {}

    def layer(self, kind: str) -> str:
        """Return how the file spells a class of ``torch.nn``.

        Raises:
            Inexpressible: If torch has no class of that name.
        """
        wanted = getattr(nn, kind, None)
        if wanted is None:
            raise Inexpressible(f"torch.nn has no class {kind}")
        holder, own = self._bound_to(nn), self._bound_to(wanted)
        holder = holder or (None if own else self._inside(torch, "nn"))
        if holder:
            return f"{holder}.{kind}"
        return own or self._imported("torch.nn", kind, wanted)

    def initializers(self) -> str:
        """Return how the file spells ``torch.nn.init``."""
        holder = self._bound_to(nn.init)
        package = self._bound_to(nn) or self._inside(torch, "nn")
        return holder or (
            f"{package}.init" if package else self._imported("torch.nn", "init", nn.init)
        )

    def no_grad(self) -> str:
        """Return how the file spells ``torch.no_grad``."""
        holder = self._bound_to(torch)
        own = self._bound_to(torch.no_grad)
        if holder or not own:
            return f"{holder or self._imported('', 'torch', torch)}.no_grad"
        return own

    def ordered(self) -> str:
        """Return how the file spells ``collections.OrderedDict``."""
        own = self._bound_to(OrderedDict)
        holder = self._bound_to(collections)
        if own or not holder:
            return own or self._imported("collections", "OrderedDict", OrderedDict)
        return f"{holder}.OrderedDict"

    def _bound_to(self, wanted: object) -> str | None:
        return next((name for name, value in self._names.items() if value is wanted), None)

    def _inside(self, package: ModuleType, name: str) -> str | None:
        holder = self._bound_to(package)
        return f"{holder}.{name}" if holder else None

    def _imported(self, module: str, name: str, wanted: object) -> str:
        """Ask for an import; the name must be free in the file."""
        if self._names.get(name, wanted) is not wanted:
            raise Inexpressible(f"the name {name} means something else in this file")
        self.missing[name] = module
        return name


def with_imports(tree: cst.Module, missing: Mapping[str, str]) -> cst.Module:
    """Return a file with imports added: to lines that import from there, else as new lines.

    Args:
        tree: The file.
        missing: Name to the module that it comes from; "" for a module of its own.
    """
    for name, module in missing.items():
        tree = _extended(tree, name, module) or _with_line(tree, name, module)
    return tree


def _extended(tree: cst.Module, name: str, module: str) -> cst.Module | None:
    """Add a name to a line of the top level that imports from the same module."""
    for statement in tree.body:
        if not isinstance(statement, cst.SimpleStatementLine):
            continue
        for part in statement.body:
            if _from(part) != module or not isinstance(part, cst.ImportFrom):
                continue
            if isinstance(part.names, cst.ImportStar):
                continue
            *others, last = part.names
            comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
            if others:
                comma = cst.ensure_type(others[-1].comma, cst.Comma)
            added = cst.ImportAlias(cst.Name(name), comma=last.comma)
            names = [*others, last.with_changes(comma=comma), added]
            return cst.ensure_type(
                tree.deep_replace(part, part.with_changes(names=names)), cst.Module
            )
    return None


def _from(part: cst.BaseSmallStatement) -> str | None:
    """Return the module that a statement imports from, or that it imports."""
    match part:
        case cst.ImportFrom(module=cst.Attribute() | cst.Name() as module, relative=()):
            return cst.Module([]).code_for_node(module)
        case cst.Import(names=[first, *_]):
            return cst.Module([]).code_for_node(first.name)
    return None


def _with_line(tree: cst.Module, name: str, module: str) -> cst.Module:
    """Add an import of its own: behind the others of its kind, or before the first."""
    text = f"from {module} import {name}" if module else f"import {name}"
    new = cst.ensure_type(
        cst.parse_statement(text, config=tree.config_for_parsing), cst.SimpleStatementLine
    )
    body = list(tree.body)
    imports = [
        (number, origin)
        for number, statement in enumerate(body)
        if isinstance(statement, cst.SimpleStatementLine)
        and (origin := _from(statement.body[0])) is not None
    ]
    standard = _is_standard(module or name)
    alike = [
        n for n, origin in imports if origin != "__future__" and _is_standard(origin) == standard
    ]
    later = [n for n, origin in imports if origin != "__future__"]
    if alike:
        body.insert(alike[-1] + 1, new)
    elif later and standard:
        first = body[later[0]]
        lines = list(cst.ensure_type(first, cst.SimpleStatementLine).leading_lines)
        blank = next((n for n, line in enumerate(lines) if line.comment), len(lines))
        rest = lines[blank:] or [cst.EmptyLine(indent=False)]
        body[later[0]] = first.with_changes(leading_lines=rest)
        body.insert(later[0], new.with_changes(leading_lines=lines[:blank]))
    elif imports:
        body.insert(
            imports[-1][0] + 1, new.with_changes(leading_lines=[cst.EmptyLine(indent=False)])
        )
    else:
        at = int(tree.get_docstring() is not None)
        body.insert(at, new)
    return tree.with_changes(body=body)


def _is_standard(module: str) -> bool:
    return module.split(".")[0] in sys.stdlib_module_names
