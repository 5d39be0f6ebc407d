"""Where in the source each module of a network was made.

While a network is built, every call of ``nn.Module.__init__`` is noted with the expression, in the
source, whose evaluation called it. Loops, helpers, subclasses and default arguments need no rule of
their own: what ran is what is noted.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any, Self, final

from torch import nn

MODEL = "<model>"
"""Stands for a file where the expression that constructs the network is evaluated."""

_MADE = nn.Module.__init__.__code__


@final
@dataclass(frozen=True)
class Origin:
    """The expression that made a module.

    Args:
        file: The file that the class was called in.
        scope: Qualified name of the function that it was called in.
        kind: The class that was constructed.
        line: Line of the end of the expression, from 1.
        column: Column just behind the expression, in bytes of UTF-8, from 0.
        outside: Whether the class was called in another file than the expression stands in, which
            is then the nearest one in the user's file; its line is 0 where there is none.
    """

    file: str
    scope: str
    kind: type[nn.Module]
    line: int
    column: int
    outside: bool

    @property
    def place(self) -> tuple[int, int]:
        """Where the expression ends: no two calls or subscripts of a file end at one place."""
        return self.line, self.column


@final
class Origins:
    """Context manager around the building of a network: notes where its modules are made.

    It listens to the interpreter's own profiling events, of this thread; nothing of torch is
    replaced, and a profiler that was there before is put back.

    Args:
        file: The user's file, resolved.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._found: dict[int, Origin] = {}
        self._alive: list[nn.Module] = []
        self._theirs: dict[str, bool] = {}
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = sys.getprofile()
        sys.setprofile(self._noted)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        sys.setprofile(self._before)

    def of(self, module: nn.Module) -> Origin | None:
        """Return what made a module; None for a copy, which nothing of the source has made."""
        return self._found.get(id(module))

    def _noted(self, frame: FrameType, event: str, arg: object) -> None:
        if event != "call" or frame.f_code is not _MADE:
            return
        module = frame.f_locals["self"]
        if id(module) in self._found:
            return
        maker = _outside(frame, module)
        if maker is None:
            return
        theirs: FrameType | None = maker
        while theirs is not None and not self._is_theirs(theirs.f_code.co_filename):
            theirs = theirs.f_back
        line, column = _end_of_expression(theirs) if theirs is not None else (0, 0)
        code = maker.f_code
        outside = theirs is not maker
        self._found[id(module)] = Origin(
            code.co_filename, code.co_qualname, type(module), line, column, outside
        )
        self._alive.append(module)  # no other module gets its id

    def _is_theirs(self, name: str) -> bool:
        if name not in self._theirs:
            self._theirs[name] = Path(name).resolve() == self._file
        return self._theirs[name]


def _outside(frame: FrameType, module: nn.Module) -> FrameType | None:
    """Return the nearest frame that is no method of the module: the one that constructed it."""
    outer: FrameType | None = frame
    while outer is not None and _is_method_of(outer, module):
        outer = outer.f_back
    return outer


def _is_method_of(frame: FrameType, module: nn.Module) -> bool:
    code: CodeType = frame.f_code
    return code.co_argcount > 0 and frame.f_locals.get(code.co_varnames[0]) is module


def _end_of_expression(frame: FrameType) -> tuple[int, int]:
    """Return where the expression that a frame is evaluating ends."""
    positions = islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
    _, line, _, column = next(positions, (None, None, None, None))
    return line or 0, column or 0
