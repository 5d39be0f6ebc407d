"""New modules as source."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import final

from torch import nn

from fitwell.patch.arguments import literal
from fitwell.patch.names import Names
from fitwell.patch.source import Source
from fitwell.patch.spots import SIZES, Inexpressible, Spot
from fitwell.records import ModuleSpec
from fitwell.surgery import LAYER


@final
class Spelling:
    """Spells new modules as the file at hand would.

    Args:
        source: The user's file.
        names: Its names for torch.
    """

    def __init__(self, source: Source, names: Names) -> None:
        self._source, self._names = source, names

    def laid_out(self, spot: Spot, *, columns: int = 0) -> str:
        """Return the source of a new module, and of what stands beside it.

        Args:
            spot: The new module.
            columns: Columns before it on its line: what does not fit stands on several lines.

        Raises:
            Inexpressible: If it cannot be written.
        """
        text = self.chain(spot)
        if not spot.added or columns + len(text) <= self._source.limit:
            return text
        assert isinstance(spot.made, ModuleSpec)
        own = (LAYER, self.new(spot.made, self.sizes(spot, None)))
        return self.in_lines(with_beside(spot, own, lambda n: self.chain(n)))

    def chain(self, spot: Spot, before: str | None = None, factory: Mapping[str, str] = {}) -> str:
        """Return the source of a new module, and of what stands beside it, on one line.

        Args:
            spot: The new module.
            before: Expression for the number of outputs before it, if it can be repeated.
            factory: The ``device`` and ``dtype`` that it is made with.

        Raises:
            Inexpressible: If it cannot be written.
        """
        assert isinstance(spot.made, ModuleSpec)
        text = self.new(spot.made, self.sizes(spot, before), factory)
        if not spot.added:
            return text
        return self.in_line(
            with_beside(spot, (LAYER, text), lambda n: self.chain(n, before, factory))
        )

    def sizes(self, spot: Spot, size: str | None) -> Mapping[str, str]:
        """Return the arguments of a new module that repeat a size of the source.

        Args:
            spot: The new module.
            size: Expression for that size; "" if there is none that could be repeated, None if the
                size is a constant.

        Raises:
            Inexpressible: If the size is not the same wherever the source is run.
        """
        given = spot.made.args if isinstance(spot.made, ModuleSpec) else {}
        if size == "" and any(name in SIZES for name in given):
            raise Inexpressible(f"no expression in the source says the size of {spot.made}")
        return {n: size for n, v in given.items() if size and spot.repeats(n, v)}

    def new(
        self, spec: ModuleSpec, sizes: Mapping[str, str] = {}, factory: Mapping[str, str] = {}
    ) -> str:
        """Return the call that makes a new module; what it must be given stands without a name."""
        if spec.own:
            raise Inexpressible(
                f"torch has no {spec.kind}: Recipe.to_code carries its source along"
            )
        name = self._names.layer(spec.kind)
        known = inspect.signature(getattr(nn, spec.kind)).parameters
        given = []
        for key, value in spec.args.items():
            text = sizes.get(key) or literal(value)
            required = key in known and known[key].default is inspect.Parameter.empty
            given.append(text if required else f"{key}={text}")
        given += [f"{key}={text}" for key, text in factory.items() if key in known]
        return f"{name}({', '.join(given)})"

    def in_line(self, parts: Sequence[tuple[str, str]]) -> str:
        """Return a sequence of named modules on one line."""
        pairs = ", ".join(f'("{name}", {text})' for name, text in parts)
        return f"{self._names.layer('Sequential')}({self._names.ordered()}([{pairs}]))"

    def in_lines(self, parts: Sequence[tuple[str, str]], extra: str = "") -> str:
        """Return a sequence with a line for each module.

        Args:
            parts: The modules, each with its name.
            extra: By how much its lines are indented more than the statement.
        """
        end, unit = self._source.tree.default_newline, self._source.tree.default_indent
        lines = "".join(f'{extra}{unit}("{name}", {text}),{end}' for name, text in parts)
        opening = f"{self._names.layer('Sequential')}({self._names.ordered()}(["
        return f"{opening}{end}{lines}{extra}]))"


def with_beside(
    spot: Spot, own: tuple[str, str], written: Callable[[Spot], str]
) -> list[tuple[str, str]]:
    """Return a module among those that stand beside it, in order, each with its source."""
    before = [(name, written(new)) for name, new in spot.before]
    return [*before, own, *((name, written(new)) for name, new in (*spot.front, *spot.back))]
