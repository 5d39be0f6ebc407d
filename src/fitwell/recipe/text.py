"""Recipes as text on a command line: ``dropout(0.5)+l2(0.001, decoupled=False)``."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any

from fitwell.errors import BadInput
from fitwell.interfaces import Remedy
from fitwell.records import RemedySpec
from fitwell.remedies import by_name

UNTREATED = "untreated"
"""The text of the recipe without a remedy."""


def to_text(remedies: Iterable[Remedy]) -> str:
    """Return remedies as text; arguments at their default are left out."""
    return "+".join(_call(remedy) for remedy in remedies) or UNTREATED


def _call(remedy: Remedy) -> str:
    names = [field.name for field in fields(remedy)]  # type: ignore[arg-type]  # all are dataclasses
    args = [
        _written(value) if name == names[0] else f"{name}={_written(value)}"
        for name, value in remedy.spec.args.items()
    ]
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(remedy).__name__).lower()
    return f"{snake}({', '.join(args)})"


def _written(value: object) -> str:
    """A word stands without quotes, so that a shell leaves it alone."""
    bare = isinstance(value, str) and value.isidentifier() and not keyword.iskeyword(value)
    return str(value) if bare else repr(value)


def specs_in(text: str) -> tuple[RemedySpec, ...]:
    """Read what :func:`to_text` wrote, or what a user typed.

    Raises:
        BadInput: If the text is no sum of remedies, or a remedy is unknown.
    """
    if text.strip() in ("", UNTREATED):
        return ()
    try:
        expression = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise _unreadable(text) from error
    return tuple(_spec(term, text) for term in _terms(expression))


def _terms(expression: ast.expr) -> Iterator[ast.expr]:
    if isinstance(expression, ast.BinOp) and isinstance(expression.op, ast.Add):
        yield from _terms(expression.left)
        yield from _terms(expression.right)
    else:
        yield expression


def _spec(term: ast.expr, text: str) -> RemedySpec:
    if isinstance(term, ast.Name):
        return RemedySpec(by_name(term.id).__name__)
    if not isinstance(term, ast.Call) or not isinstance(term.func, ast.Name):
        raise _unreadable(text)
    remedy = by_name(term.func.id)
    names = [field.name for field in fields(remedy)]  # type: ignore[arg-type]  # all are dataclasses
    if len(term.args) > len(names):
        raise BadInput(
            f"{remedy.__name__} takes {len(names)} arguments at most: got {len(term.args)}."
        )
    args = {name: _value(node, text) for name, node in zip(names, term.args, strict=False)}
    for given in term.keywords:
        if given.arg is None:
            raise _unreadable(text)
        if given.arg in args:
            raise BadInput(f"{remedy.__name__} is given {given.arg} twice in {text!r}.")
        args[given.arg] = _value(given.value, text)
    return RemedySpec(remedy.__name__, args)


def _value(node: ast.expr, text: str) -> Any:
    if isinstance(node, ast.Name):
        return node.id
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise _unreadable(text) from error


def _unreadable(text: str) -> BadInput:
    return BadInput(
        f"Cannot read the recipe {text!r}: expected name(arg=value)+name(...), "
        'as in "dropout(0.5)+l2(1e-3)".'
    )
