"""The user's file as a syntax tree: where its calls stand, and what its names mean."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from types import ModuleType
from typing import Any, final

import libcst as cst
import libcst.matchers as m
from libcst.metadata import CodeRange, MetadataWrapper, ParentNodeProvider, PositionProvider

_SHORTEST_LIMIT, _LONGEST_LIMIT = 79, 100


@final
class Source:
    """A parsed file.

    Args:
        data: The bytes of the file.
        module: The module that the file gave when it was imported.
    """

    def __init__(self, data: bytes, module: ModuleType) -> None:
        self._wrapper = MetadataWrapper(cst.parse_module(data))
        self.tree = self._wrapper.module
        self.lines = self.tree.code.split("\n")
        self.names: Mapping[str, Any] = vars(module)

    @cached_property
    def ranges(self) -> Mapping[cst.CSTNode, CodeRange]:
        """Where every node stands; lines from 1, columns in characters from 0."""
        return self._wrapper.resolve(PositionProvider)

    @cached_property
    def parents(self) -> Mapping[cst.CSTNode, cst.CSTNode]:
        """The node around every node."""
        return self._wrapper.resolve(ParentNodeProvider)

    @cached_property
    def makers(self) -> Mapping[tuple[int, int], cst.Call | cst.Subscript]:
        """What may make a module, by where it ends: its line, and the column in bytes of UTF-8."""
        found: dict[tuple[int, int], cst.Call | cst.Subscript] = {}
        for node, place in self.ranges.items():
            if isinstance(node, (cst.Call, cst.Subscript)):
                before = self.lines[place.end.line - 1][: place.end.column]
                found[place.end.line, len(before.encode())] = node
        return found

    @property
    def calls(self) -> list[cst.Call]:
        """Every call."""
        return [node for node in self.makers.values() if isinstance(node, cst.Call)]

    @cached_property
    def limit(self) -> int:
        """Columns that a line may have: as many as the file's own longest, within reason."""
        longest = max(len(line.rstrip("\r")) for line in self.lines)
        return min(_LONGEST_LIMIT, max(_SHORTEST_LIMIT, longest))

    def line(self, node: cst.CSTNode) -> int:
        """Return the line that a node begins in, from 1."""
        return self.ranges[node].start.line

    def hanging(self, node: cst.CSTNode) -> str:
        """Return by how much the line of a node is indented more than the statement around it."""
        statement: cst.CSTNode = node
        while not isinstance(statement, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
            statement = self.parents[statement]
        block, own = self._indent(self.line(statement)), self._indent(self.line(node))
        return own[len(block) :] if own.startswith(block) else ""

    def _indent(self, line: int) -> str:
        text = self.lines[line - 1]
        return text[: len(text) - len(text.lstrip(" \t"))]

    def function_around(self, node: cst.CSTNode) -> cst.FunctionDef | None:
        """Return the innermost function that a node stands in."""
        around: cst.CSTNode | None = self.parents.get(node)
        while around is not None and not isinstance(around, cst.FunctionDef):
            around = self.parents.get(around)
        return around

    def classes_around(self, function: cst.FunctionDef) -> list[cst.ClassDef]:
        """Return the classes that a method stands in, the outermost first; none if it is none."""
        found: list[cst.ClassDef] = []
        around: cst.CSTNode | None = self.parents.get(function)
        while around is not None and not isinstance(around, cst.FunctionDef):
            if isinstance(around, cst.ClassDef):
                found.insert(0, around)
            around = self.parents.get(around)
        return found if around is None else []

    def used_besides(self, lines: Collection[int], qualname: str) -> set[str]:
        """Return what else in the file makes use of what changes, or is changed itself.

        Args:
            lines: Lines that change.
            qualname: The class that they change for; what it uses itself is left out.
        """
        uses: dict[str, set[str]] = {}
        changed: set[str] = set()
        for statement in self.tree.body:
            if isinstance(statement, (cst.ClassDef, cst.FunctionDef)):
                name, place = statement.name.value, self.ranges[statement]
                uses[name] = _names(statement)
                if any(place.start.line <= line <= place.end.line for line in lines):
                    changed.add(name)
        own = _reached({qualname.split(".")[0]}, uses)
        others = {name for name in uses if _reached({name}, uses) & changed}
        return others - own

    def text(self, node: cst.CSTNode) -> str:
        """Return the source of a node."""
        return self.tree.code_for_node(node)

    def value_of(self, expression: cst.BaseExpression) -> Any:
        """Return what a dotted name of the file means at its top level; None if it is no name."""
        match expression:
            case cst.Name(value):
                return self.names.get(value)
            case cst.Attribute(value=base, attr=attr):
                holder = self.value_of(base)
                return getattr(holder, attr.value, None) if holder is not None else None
        return None


def _names(node: cst.CSTNode) -> set[str]:
    return {name.value for name in m.findall(node, m.Name()) if isinstance(name, cst.Name)}


def _reached(names: set[str], uses: Mapping[str, set[str]]) -> set[str]:
    """Return names with all that they make use of, at any remove."""
    found: set[str] = set()
    queue = list(names)
    while queue:
        name = queue.pop()
        if name in uses and name not in found:
            found.add(name)
            queue += uses[name]
    return found
