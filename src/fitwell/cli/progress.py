"""How far a study is: bars with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Self, final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from fitwell.report.numbers import duration, printable
from fitwell.words import say, say_many, speaking, told

if TYPE_CHECKING:
    from fitwell.studies import Progress as StudyProgress


def progress_of(*, quiet: bool, lang: str = "en") -> AbstractContextManager[StudyProgress]:
    """Return what a study tells its progress, on standard error or nobody."""
    from fitwell.studies.progress import Silent

    return nullcontext(Silent()) if quiet else TerminalProgress(lang=lang)


@final
class TerminalProgress:
    """Shows the stages of a study on standard error; use it as a context manager.

    On a terminal every stage is a bar that is gone at the end; elsewhere, whatever the
    environment says of colours, a stage is one line when it begins and one when it ends.

    Args:
        console: Where to show it; by default standard error.
        lang: Language that it speaks.
    """

    def __init__(self, console: Console | None = None, *, lang: str = "en") -> None:
        self._lang = lang
        self._console = console or Console(
            stderr=True,
            markup=False,
            highlight=False,
            emoji=False,
            force_terminal=None if sys.stderr.isatty() else False,
        )
        self._bars: Progress | None = None
        self._bar: TaskID | None = None
        self._name, self._runs, self._began = "", 0, 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn(self._in_words(say("left:"))),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def stage(self, name: str, total: int | None) -> None:
        """Begin a stage of ``total`` runs, or of an unknown number; the one before has ended."""
        self.done()
        self._name, self._runs, self._began = self._in_words(name), 0, time.monotonic()
        if self._bars is not None:
            self._bar = self._bars.add_task(self._name, total=total)
        elif total is None:
            self._line(f"{self._name} ...")
        else:
            with speaking(self._lang):
                runs = say_many("{number} run", "{number} runs", total)
            self._line(f"{self._name} ({runs}) ...")

    def advance(self, n: int = 1) -> None:
        """Count runs of the stage as done."""
        self._runs += n
        if self._bars is not None and self._bar is not None:
            self._bars.advance(self._bar, n)

    def say(self, text: str) -> None:
        """Tell one sentence about what was found or decided."""
        self._line(self._in_words(text))

    def done(self) -> None:
        """End the stage."""
        if not self._name:
            return
        if self._bars is not None and self._bar is not None:
            self._bars.remove_task(self._bar)
            self._bar = None
        with speaking(self._lang):
            took = say_many(
                "{number} run in {time}",
                "{number} runs in {time}",
                self._runs,
                time=duration(time.monotonic() - self._began),
            )
        self._line(f"{self._name}: {took}")
        self._name = ""

    def _in_words(self, text: str) -> str:
        with speaking(self._lang):
            return "\n".join(map(printable, told(text).splitlines()))

    def _line(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)
