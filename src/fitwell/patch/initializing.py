"""Statements that are added to a constructor: new modules, and a block that fills weights."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from itertools import groupby
from textwrap import dedent
from typing import Any, final

import libcst as cst
import libcst.matchers as m
from torch import nn

from fitwell.patch.arguments import literal
from fitwell.patch.names import Names
from fitwell.patch.spots import Inexpressible
from fitwell.records import Initialize

_VARIABLES = ("weight", "bias")


def in_groups(edits: Iterable[Initialize]) -> list[list[Initialize]]:
    """Return edits that call one function with the same arguments together, in order."""
    groups: dict[tuple[str, str], list[Initialize]] = {}
    for edit in edits:
        groups.setdefault((edit.function, repr(edit.args)), []).append(edit)
    return list(groups.values())


@final
class Constructor:
    """The function of a class that makes its modules: ``__init__``.

    Args:
        tree: The file, as patched so far.
        qualname: Qualified name of the class.
        limit: Columns that a line may have.
    """

    def __init__(self, tree: cst.Module, qualname: str, *, limit: int) -> None:
        self._tree, self._qualname, self._limit = tree, qualname, limit
        self._unit, self._end = tree.default_indent, tree.default_newline

    def with_modules(self, statements: Sequence[str]) -> cst.Module:
        """Return the file with modules made behind those that the constructor makes.

        Args:
            statements: For each module its name and what makes it, as ``"act = nn.ReLU()"``.

        Raises:
            Inexpressible: If the constructor cannot take statements.
        """
        owner, made = self._found()
        if made is None:
            return self._with_constructor(
                owner, "".join(f"self.{s}{self._end}" for s in statements)
            )
        block = cst.ensure_type(made.body, cst.IndentedBlock)
        own = _self(made)
        new = [self._statement(f"{own}.{text}") for text in statements]
        last = [n for n, s in enumerate(block.body) if _sets_attribute(s, own)]
        at = last[-1] + 1 if last else len(block.body)
        return self._with_body(made, [*block.body[:at], *new, *block.body[at:]])

    def with_weights(
        self, groups: Sequence[Sequence[Initialize]], model: nn.Module, names: Names
    ) -> cst.Module:
        """Return the file with a block that fills weights at the end of the constructor.

        A block that stands there already is not written twice.

        Args:
            groups: What to fill, as :func:`in_groups` gives it.
            model: A network of the patched class, for the way to each parameter.
            names: How to spell torch's names.

        Raises:
            Inexpressible: If the constructor cannot take statements.
        """
        owner, made = self._found()
        if made is None:
            return self._with_constructor(owner, self._text(groups, model, names, "self"))
        body = cst.ensure_type(made.body, cst.IndentedBlock).body
        statement = self._statement(self._text(groups, model, names, _self(made)))
        if _meaning(self._code(body[-1])) == _meaning(self._code(statement)):
            return self._tree
        return self._with_body(made, [*body, statement])

    def _found(self) -> tuple[cst.ClassDef, cst.FunctionDef | None]:
        """Return the class and its constructor, if it has one of its own."""
        owner = _class(self._tree, self._qualname)
        if owner is None or not isinstance(owner.body, cst.IndentedBlock):
            raise Inexpressible(
                f"{self._qualname} has no class statement to which it could be added"
            )
        methods = [f for f in map(_method, owner.body.body) if f is not None]
        made = methods[-1] if methods else None
        if made is not None and not isinstance(made.body, cst.IndentedBlock):
            raise Inexpressible(f"{made.name.value} of {self._qualname} stands on one line")
        return owner, made

    def _with_body(self, made: cst.FunctionDef, body: Sequence[cst.BaseStatement]) -> cst.Module:
        longer = made.body.with_changes(body=body)
        return cst.ensure_type(
            self._tree.deep_replace(made, made.with_changes(body=longer)), cst.Module
        )

    def _with_constructor(self, owner: cst.ClassDef, text: str) -> cst.Module:
        """Give a class that inherits its constructor one that calls it."""
        inner = "".join(self._unit + line for line in text.splitlines(keepends=True))
        code = (
            f"def __init__(self, *args, **kwargs):{self._end}"
            f"{self._unit}super().__init__(*args, **kwargs){self._end}{inner}"
        )
        new = cst.ensure_type(self._statement(code), cst.FunctionDef)
        block = cst.ensure_type(owner.body, cst.IndentedBlock)
        kept: list[Any] = [s for s in block.body if not _is_pass(s)]
        at = next((n for n, s in enumerate(kept) if isinstance(s, cst.FunctionDef)), len(kept))
        if at:
            new = new.with_changes(leading_lines=[cst.EmptyLine(indent=False)])
        if at < len(kept) and not kept[at].leading_lines:
            kept[at] = kept[at].with_changes(leading_lines=[cst.EmptyLine(indent=False)])
        longer = block.with_changes(body=[*kept[:at], new, *kept[at:]])
        return cst.ensure_type(
            self._tree.deep_replace(owner, owner.with_changes(body=longer)), cst.Module
        )

    def _statement(self, text: str) -> cst.SimpleStatementLine | cst.BaseCompoundStatement:
        return cst.parse_statement(text, config=self._tree.config_for_parsing)

    def _code(self, node: cst.CSTNode) -> str:
        return self._tree.code_for_node(node)

    def _text(
        self, groups: Sequence[Sequence[Initialize]], model: nn.Module, names: Names, own: str
    ) -> str:
        lines = [f"with {names.no_grad()}():"]
        init = names.initializers()
        for group in groups:
            args = "".join(f", {name}={literal(v)}" for name, v in group[0].args.items())
            targets = _targets(group, model, own)
            variable = _variable(group)
            if len(targets) == 1 and not targets[0].startswith("*"):
                lines.append(f"{self._unit}{init}.{group[0].function}({targets[0]}{args})")
                continue
            lines += self._loop(variable, targets)
            lines.append(f"{self._unit * 2}{init}.{group[0].function}({variable}{args})")
        return "".join(line + self._end for line in lines)

    def _loop(self, variable: str, targets: Sequence[str]) -> list[str]:
        unit = self._unit
        if len(targets) == 1:
            return [f"{unit}for {variable} in {targets[0].lstrip('*')}:"]
        line = f"{unit}for {variable} in ({', '.join(targets)}):"
        if len((unit * 2 + line).expandtabs(4)) <= self._limit:
            return [line]
        return [
            f"{unit}for {variable} in (",
            *(f"{unit * 2}{target}," for target in targets),
            f"{unit}):",
        ]


def _meaning(code: str) -> str:
    """Return a statement without its layout."""
    return ast.dump(ast.parse(dedent(code)))


def _targets(group: Sequence[Initialize], model: nn.Module, own: str) -> list[str]:
    """Return the expressions for what a group fills; equal blocks of rows as one ``chunk``."""
    targets = []
    for parameter, found in groupby(group, key=lambda edit: edit.parameter):
        edits = list(found)
        name = way_to(model, parameter, own)
        rows = [edit.rows for edit in edits]
        whole, length = len(rows), model.get_parameter(parameter).shape[0]
        size = length // whole
        if whole > 1 and rows == [(n * size, (n + 1) * size) for n in range(whole)]:
            targets.append(f"*{name}.chunk({whole})")
        else:
            targets += [name + (f"[{r[0]}:{r[1]}]" if r is not None else "") for r in rows]
    return targets


def way_to(model: nn.Module, parameter: str, own: str) -> str:
    """Return the expression for a parameter, as ``self.blocks[0].fc.weight``."""
    module, text = model, own
    *names, last = parameter.split(".")
    for name in names:
        children = list(module._modules)
        listed = isinstance(module, (nn.Sequential, nn.ModuleList)) and name.isdigit()
        if listed and children[int(name) : int(name) + 1] == [name]:
            text += f"[{name}]"
        elif isinstance(module, nn.ModuleDict):
            text += f"[{literal(name)}]"
        elif name.isidentifier():
            text += f".{name}"
        else:
            return f"{own}.get_parameter({literal(parameter)})"
        module = module.get_submodule(name)
    return f"{text}.{last}" if last.isidentifier() else f"{own}.get_parameter({literal(parameter)})"


def _variable(group: Sequence[Initialize]) -> str:
    own = {edit.parameter.rpartition(".")[2] for edit in group}
    return next((v for v in _VARIABLES if all(n.startswith(v) for n in own)), "parameter")


def _class(tree: cst.Module, qualname: str) -> cst.ClassDef | None:
    body: Sequence[cst.BaseStatement] = tree.body
    found: cst.ClassDef | None = None
    for name in qualname.split("."):
        named = [n for n in body if isinstance(n, cst.ClassDef) and n.name.value == name]
        if not named:
            return None
        found = named[-1]
        block = found.body
        body = [n for n in block.body if isinstance(n, cst.BaseStatement)]
    return found


def _method(statement: cst.CSTNode) -> cst.FunctionDef | None:
    """Return a statement if it defines the constructor, or what a dataclass has in its place."""
    names = ("__init__", "__post_init__")
    if isinstance(statement, cst.FunctionDef) and statement.name.value in names:
        return statement
    return None


def _self(function: cst.FunctionDef) -> str:
    first = (*function.params.posonly_params, *function.params.params)[:1]
    return first[0].name.value if first else "self"


def _sets_attribute(statement: cst.CSTNode, own: str) -> bool:
    """Whether a statement is ``self.<name> = ...``."""
    return m.matches(
        statement,
        m.SimpleStatementLine(
            body=[m.Assign(targets=[m.AssignTarget(m.Attribute(value=m.Name(own)))])]
        ),
    )


def _is_pass(statement: cst.CSTNode) -> bool:
    return isinstance(statement, cst.SimpleStatementLine) and isinstance(
        statement.body[0], cst.Pass
    )


def performed(groups: Iterable[Iterable[Initialize]], model: nn.Module) -> None:
    """Fill the weights of a network in the order in which the block does it."""
    for group in groups:
        for edit in group:
            parameter = model.get_parameter(edit.parameter)
            part = parameter if edit.rows is None else parameter[edit.rows[0] : edit.rows[1]]
            getattr(nn.init, edit.function)(part, **edit.args)
