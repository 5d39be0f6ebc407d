"""How a study tells what it is doing, whoever shows it."""

from __future__ import annotations

from typing import Protocol, final


class Progress(Protocol):
    """Where a study reports to; a terminal shows it as bars with the time left."""

    def stage(self, name: str, total: int | None) -> None:
        """Begin a stage of ``total`` runs, or of an unknown number."""

    def advance(self, n: int = 1) -> None:
        """Count runs of the stage as done."""

    def say(self, text: str) -> None:
        """Tell one sentence about what was found or decided."""

    def done(self) -> None:
        """End the last stage."""


@final
class Silent:
    """Shows nothing."""

    def stage(self, name: str, total: int | None) -> None:
        """Do nothing."""

    def advance(self, n: int = 1) -> None:
        """Do nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""

    def done(self) -> None:
        """Do nothing."""
