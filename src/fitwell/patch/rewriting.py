"""Constructor calls of the user's file, rewritten in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, final

import libcst as cst
import libcst.matchers as m
from torch import nn

from fitwell.anatomy.roles import settings
from fitwell.patch.arguments import (
    can_be_repeated,
    constant,
    inserted,
    is_constant,
    literal,
    position,
    with_argument,
)
from fitwell.patch.names import Names
from fitwell.patch.origins import Origin
from fitwell.patch.source import Source
from fitwell.patch.spelling import Spelling, with_beside
from fitwell.patch.spots import SIZES, Inexpressible, Spot
from fitwell.records import ModuleSpec
from fitwell.surgery import LAYER

Maker: TypeAlias = cst.Call | cst.Subscript
Rewrite: TypeAlias = Callable[[Any], cst.BaseExpression]

_PLACE = "the_layer_that_stands_here"
"""Stands, in text that is parsed, for the call that is put there."""


@final
class Rewriter:
    """Collects what calls become, and writes it.

    Args:
        source: The user's file.
        names: How to spell what is written.

    Attributes:
        spelling: Spells new modules.
    """

    def __init__(self, source: Source, names: Names) -> None:
        self._source = source
        self.spelling = Spelling(source, names)
        self._calls: dict[cst.CSTNode, Rewrite] = {}
        self._defaults: dict[cst.CSTNode, str] = {}
        self._growth: dict[int, int] = {}

    def add(self, spot: Spot, origin: Origin) -> None:
        """Note that the call which makes the module of a spot becomes what the sketch says.

        Raises:
            Inexpressible: If that cannot be written there; nothing is noted then.
        """
        maker = self._source.makers.get(origin.place)
        if maker is None:
            raise Inexpressible(f"no constructor call ends in line {origin.line}")
        parts: list[Rewrite] = []
        defaults: dict[cst.CSTNode, str] = {}
        if isinstance(spot.made, ModuleSpec):
            parts.append(self._replacement(spot, spot.made, self._named(maker, origin), origin))
        for name, value in spot.arguments.items():
            named = self._named(maker, origin)
            part = self._argument(spot, named, origin, name, value, defaults)
            parts += [part] if part else []
        if spot.is_wrapped:
            parts.append(self._wrapping(spot, maker, origin))
        elif spot.added:
            parts.append(self._insertion(spot, maker))
        self._calls[maker] = _in_turn(parts)
        self._defaults.update(defaults)

    def put(self, call: cst.Call, rewrite: Rewrite) -> None:
        """Note what a call of a function becomes."""
        self._calls[call] = rewrite

    def written(self) -> cst.Module:
        """Return the file with everything that was noted."""
        tree = self._source.tree.visit(_Writer(self._calls, self._defaults))
        return cst.ensure_type(tree, cst.Module)

    def _named(self, maker: Maker, origin: Origin) -> cst.Call:
        """Check that a call names the class, so that its arguments are the constructor's."""
        if isinstance(maker, cst.Call) and self._names_class(maker, origin):
            return maker
        text = self._source.text(maker.func if isinstance(maker, cst.Call) else maker)
        raise Inexpressible(
            f"line {origin.line} makes it by {text}{'()' * isinstance(maker, cst.Call)}, "
            f"which may be another class than {origin.kind.__name__}"
        )

    def _names_class(self, maker: Maker, origin: Origin) -> bool:
        named = isinstance(maker, cst.Call) and not origin.outside
        return named and self._source.value_of(cst.ensure_type(maker, cst.Call).func) is origin.kind

    def _replacement(self, spot: Spot, spec: ModuleSpec, call: cst.Call, origin: Origin) -> Rewrite:
        size = self._size(spot, call, origin, SIZES)
        text = self.spelling.new(spec, self.spelling.sizes(spot, size))
        self._grows(call, len(text) - len(self._source.text(call)))
        return lambda _: cst.parse_expression(text)

    def _argument(
        self,
        spot: Spot,
        call: cst.Call,
        origin: Origin,
        name: str,
        value: Any,
        defaults: dict[cst.CSTNode, str],
    ) -> Rewrite | None:
        """Set an argument whose value is a constant, there or as the default of a parameter."""
        number = position(call, origin.kind, name)
        if number is None:
            text = literal(value)
            return lambda node: with_argument(_call(node), None, name, text)
        given = call.args[number].value
        try:
            old = constant(self._source.text(given))
        except ValueError:
            param = self._parameter(call, given)
            if param is None or param.default is None:
                raise Inexpressible(
                    _variable(spot, self._source, origin, name, call.args[number])
                ) from None
            old = constant(self._source.text(param.default))
            _check_old(spot, name, old, origin)
            text = literal(_like(old, value))
            if self._defaults.get(param, text) != text or defaults.get(param, text) != text:
                raise Inexpressible(
                    _variable(spot, self._source, origin, name, call.args[number])
                ) from None
            defaults[param] = text
            return None
        _check_old(spot, name, old, origin)
        text = literal(_like(old, value))
        return lambda node: with_argument(_call(node), number, name, text)

    def _parameter(self, call: cst.Call, given: cst.BaseExpression) -> cst.Param | None:
        """Return the parameter that a name stands for, if its default is a constant."""
        function = self._source.function_around(call)
        if function is None or not isinstance(given, cst.Name):
            return None
        for param in (*function.params.params, *function.params.kwonly_params):
            if param.name.value == given.value and param.default is not None:
                try:
                    constant(self._source.text(param.default))
                except ValueError:
                    return None
                return param
        return None

    def _wrapping(self, spot: Spot, maker: Maker, origin: Origin) -> Rewrite:
        before = self._size(spot, maker, origin, ("out_features", "out_channels", *SIZES))
        factory, chain = _factory(self._source, maker), self.spelling.chain
        parts = with_beside(spot, (LAYER, _PLACE), lambda new: chain(new, before, factory))
        text = self._sequence(parts, maker)
        config = self._source.tree.config_for_parsing

        def wrapped(node: cst.BaseExpression) -> cst.BaseExpression:
            outer = cst.parse_expression(text, config=config)
            (place,) = m.findall(outer, m.Name(_PLACE))
            return cst.ensure_type(outer.deep_replace(place, node), cst.Call)

        return wrapped

    def _insertion(self, spot: Spot, call: Maker) -> Rewrite:
        """Add to the list that a sequence is made of."""
        if not m.matches(call, m.Call(args=[m.Arg(m.Call(args=[m.Arg(m.List())]))])):
            raise Inexpressible("the sequence that it would join is not written as a list of pairs")
        elements = [
            (front, cst.Element(cst.parse_expression(f'("{name}", {self.spelling.chain(new)})')))
            for front, added in ((True, spot.front), (False, spot.back))
            for name, new in added
        ]

        def joined(node: cst.BaseExpression) -> cst.BaseExpression:
            outer, place = _call(node), list(spot.children).index(LAYER) + 1
            inner = cst.ensure_type(outer.args[0].value, cst.Call)
            pairs = cst.ensure_type(inner.args[0].value, cst.List)
            found = [cst.ensure_type(element, cst.Element) for element in pairs.elements]
            opening = pairs.lbracket.whitespace_after
            for front, element in elements:
                at = place if front else len(found)
                place += front
                found = inserted(found, at, element, opening=opening)
            again = inner.with_changes(
                args=[
                    inner.args[0].with_changes(value=pairs.with_changes(elements=found)),
                    *inner.args[1:],
                ]
            )
            return outer.with_changes(args=[outer.args[0].with_changes(value=again)])

        return joined

    def _size(self, spot: Spot, call: Maker, origin: Origin, names: Sequence[str]) -> str | None:
        """Return the expression that says how many outputs a layer has.

        None where that is a constant, "" where no expression of the call can stand twice.
        """
        if not isinstance(call, cst.Call):
            return ""
        for name in names if self._names_class(call, origin) else ():
            try:
                number = position(call, origin.kind, name)
            except Inexpressible:
                continue
            if number is None:
                continue
            given = call.args[number].value
            text = self._source.text(given)
            if name in spot.arguments and not isinstance(given, cst.Name):
                return None
            return text if can_be_repeated(text) else ""
        return None if is_constant(call) else ""

    def _sequence(self, parts: list[tuple[str, str]], call: Maker) -> str:
        """Return a sequence on one line where it fits, else with a line for each module."""
        text = self.spelling.in_line(parts)
        place = self._source.ranges[call]
        grown = len(text) - len(_PLACE)
        line = self._source.lines[place.start.line - 1].rstrip("\r")
        width = len(line.expandtabs(4)) + self._growth.get(place.start.line, 0) + grown
        if place.start.line == place.end.line and width <= self._source.limit:
            self._grows(call, grown)
            return text
        return self.spelling.in_lines(parts, self._source.hanging(call))

    def _grows(self, call: Maker, columns: int) -> None:
        line = self._source.line(call)
        self._growth[line] = self._growth.get(line, 0) + columns


def _factory(source: Source, call: Maker) -> Mapping[str, str]:
    """The ``device`` and ``dtype`` that a layer is given, which its neighbour needs too."""
    return {
        argument.keyword.value: source.text(argument.value)
        for argument in (call.args if isinstance(call, cst.Call) else ())
        if argument.keyword is not None and argument.keyword.value in ("device", "dtype")
    }


def _variable(spot: Spot, source: Source, origin: Origin, name: str, arg: cst.Arg) -> str:
    value = source.text(arg.value)
    return f"line {origin.line} makes {spot.key} with {name} {value}, which is no constant"


def _check_old(spot: Spot, name: str, old: object, origin: Origin) -> None:
    """Check that a constant is what the module was really made with."""
    assert isinstance(spot.made, nn.Module)
    present = settings(spot.made).get(name, getattr(spot.made, name, None))
    if _like(old, present) != old:
        raise Inexpressible(
            f"line {origin.line} makes {spot.key} with {name} {old!r}, but it has {present!r}"
        )


def _like(old: object, value: object) -> object:
    """A shape of one dimension is written as a number where the source does so."""
    if isinstance(value, tuple) and len(value) == 1 and isinstance(old, int):
        return value[0]
    return value


def _call(node: cst.BaseExpression) -> cst.Call:
    return cst.ensure_type(node, cst.Call)


def _in_turn(parts: list[Rewrite]) -> Rewrite:
    def rewritten(node: cst.BaseExpression) -> cst.BaseExpression:
        result: cst.BaseExpression = node
        for part in parts:
            result = part(result)
        return result

    return rewritten


@final
class _Writer(cst.CSTTransformer):
    """Puts what was noted in the place of the nodes of the file."""

    def __init__(
        self, calls: Mapping[cst.CSTNode, Rewrite], defaults: Mapping[cst.CSTNode, str]
    ) -> None:
        super().__init__()
        self._calls, self._defaults = calls, defaults

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:  # noqa: N802
        rewrite = self._calls.get(original_node)
        return rewrite(updated_node) if rewrite else updated_node

    def leave_Subscript(  # noqa: N802
        self, original_node: cst.Subscript, updated_node: cst.Subscript
    ) -> cst.BaseExpression:
        rewrite = self._calls.get(original_node)
        return rewrite(updated_node) if rewrite else updated_node

    def leave_Param(self, original_node: cst.Param, updated_node: cst.Param) -> cst.Param:  # noqa: N802
        text = self._defaults.get(original_node)
        if text is None:
            return updated_node
        return updated_node.with_changes(default=cst.parse_expression(text))
