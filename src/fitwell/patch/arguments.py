"""Arguments of a constructor call: found by name, read where they are constants, and set."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import libcst as cst
from torch import nn

from fitwell.patch.spots import Inexpressible

_CONSTANT = (
    *(ast.Expression, ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop),
    *(ast.Tuple, ast.List, ast.expr_context),
)
_PLAIN = (ast.Expression, ast.Constant, ast.BinOp, ast.operator, ast.expr_context)
_PLAIN_NAMES = (ast.Name, ast.Attribute, ast.Subscript, ast.UnaryOp, ast.unaryop)

_PURE = frozenset({"int", "round", "abs", "min", "max", "len"})

Item = TypeVar("Item", cst.Arg, cst.Element)


def literal(value: object) -> str:
    """Return a value as source.

    Raises:
        Inexpressible: If it has no literal.
    """
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    try:
        ast.literal_eval(repr(value))
    except (ValueError, SyntaxError) as error:
        raise Inexpressible(f"{value!r} cannot be written as a literal") from error
    return repr(value)


def position(call: cst.Call, kind: Callable[..., Any], name: str) -> int | None:
    """Return which argument of a call is the parameter of that name; None if it is left out.

    Raises:
        Inexpressible: If the constructor has no such parameter, or a ``*`` or ``**`` hides it.
    """
    parameters = _parameters(kind)
    if name not in parameters:
        raise Inexpressible(f"{kind.__name__} takes no argument {name}")
    place = 0
    for number, argument in enumerate(call.args):
        if argument.star:
            raise Inexpressible(f"its arguments are unpacked by {argument.star}")
        if argument.keyword is not None:
            if argument.keyword.value == name:
                return number
        else:
            if parameters[place : place + 1] == [name]:
                return number
            place += 1
    return None


def _parameters(kind: Callable[..., Any]) -> list[str]:
    """Return the parameters of a constructor, in order; torch's recurrent layers hide theirs."""
    if kind not in (nn.RNN, nn.LSTM, nn.GRU):
        return list(inspect.signature(kind).parameters)
    names = [name for name in inspect.signature(nn.RNNBase).parameters if name != "mode"]
    if kind is nn.RNN:
        names.insert(names.index("num_layers") + 1, "nonlinearity")
    return names


def constant(text: str) -> object:
    """Return what an expression without names comes to, as ``16 * 5 * 5``.

    Raises:
        ValueError: If there is a name or a call in it.
    """
    tree = ast.parse(text.strip(), mode="eval")
    if not all(isinstance(node, _CONSTANT) for node in ast.walk(tree)):
        raise ValueError(f"{text} is no constant")
    return eval(compile(tree, "<constant>", "eval"), {"__builtins__": {}})  # noqa: S307  # no names


def can_be_repeated(text: str) -> bool:
    """Whether an expression can be written twice: names, arithmetic and plain functions of them."""
    if "\n" in text or "\r" in text:
        return False
    tree = ast.parse(text.strip(), mode="eval")
    return all(
        isinstance(node, (*_PLAIN, *_PLAIN_NAMES))
        or (isinstance(node, ast.Call) and ast.unparse(node.func) in _PURE)
        for node in ast.walk(tree)
    )


def is_constant(call: cst.Call) -> bool:
    """Whether all arguments of a call are constants: it makes the same wherever it is called."""
    tree = cst.Module([])
    for argument in call.args:
        try:
            constant(tree.code_for_node(argument.value))
        except ValueError:
            return False
    return not any(argument.star for argument in call.args)


def with_argument(call: cst.Call, number: int | None, name: str, text: str) -> cst.Call:
    """Return a call with one argument set: in place, or as a keyword at the end."""
    value = cst.parse_expression(text)
    args = list(call.args)
    if number is not None:
        args[number] = args[number].with_changes(value=value)
        return call.with_changes(args=args)
    equal = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    new = cst.Arg(value, keyword=cst.Name(name), equal=equal)
    if not args:
        return call.with_changes(args=[new])
    last = args[-1]
    new = new.with_changes(whitespace_after_arg=last.whitespace_after_arg)
    args[-1] = last.with_changes(whitespace_after_arg=cst.SimpleWhitespace(""))
    return call.with_changes(
        args=inserted(args, len(args), new, opening=call.whitespace_before_args)
    )


def inserted(
    items: Sequence[Item], at: int, new: Item, *, opening: cst.BaseParenthesizableWhitespace
) -> list[Item]:
    """Return items with a new one among them, set apart as the others are.

    Args:
        items: At least one argument, or element of a list.
        at: Where the new one comes to stand, from 1.
        new: The new one.
        opening: The white space behind the opening bracket.
    """
    found: list[Item] = list(items)
    before = found[at - 1]
    if at < len(found):
        found.insert(at, new.with_changes(comma=before.comma))
        return found
    space: cst.BaseParenthesizableWhitespace = cst.SimpleWhitespace(" ")
    if len(found) > 1 and isinstance(found[-2].comma, cst.Comma):
        space = found[-2].comma.whitespace_after
    elif isinstance(opening, cst.ParenthesizedWhitespace):
        space = opening
    separated = before.with_changes(comma=cst.Comma(whitespace_after=space))
    found[-1:] = [separated, new.with_changes(comma=before.comma)]
    return found
