"""How much may be spent: wall time, a number of runs, or both."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import final

from fitwell.errors import BadInput, BudgetTooSmall

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
PROOF_SHARE = 0.4
"""Smallest share of the time that is kept for the proof."""
LEAST_SEARCH = 6
"""Runs of the smallest search worth its name; a budget that does not cover them is refused."""
MARGIN = 1.25
"""How much longer than estimated a proof may take."""
ASIDE = 0.2
"""Largest part of the search, in runs and in time, that may be kept for what follows the proof."""

ROUNDING = 1e-6
"""Partial runs are shares, and shares do not add up to the last digit."""


def parse_budget(text: str) -> float:
    """Return a budget such as ``"2min"``, ``"90s"`` or ``"1.5h"`` in seconds.

    Raises:
        BadInput: If it is no positive number followed by ``s``, ``min`` or ``h``.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(s|min|h)\s*", str(text))
    seconds = float(match[1]) * UNITS[match[2]] if match else 0.0
    if not 0 < seconds < float("inf"):
        raise BadInput(
            "A budget is a positive number with s, min or h, as 90s, 2min or 1h; "
            f"got {str(text)!r}."
        )
    return seconds


def spelled(seconds: float) -> str:
    """Return seconds as a budget that :func:`parse_budget` reads, rounded up."""
    whole = int(-(-seconds // 1))
    return f"{whole}s" if whole < 120 else f"{-(-whole // 60)}min"


@final
class Budget:
    """What a cure may spend, and what it has spent.

    With ``runs`` alone nothing here reads the clock to decide: the same command then takes the
    same decisions on any machine.

    Args:
        seconds: Wall time from the first baseline run to the verdict; None for no limit.
        runs: Largest number of search runs; None for no limit.
        spent: Seconds already spent by an interrupted cure that is now resumed.
        now: The clock.

    Raises:
        BadInput: If neither limit is given, or ``runs`` is less than 1.
    """

    def __init__(
        self,
        seconds: float | None,
        runs: int | None = None,
        *,
        spent: float = 0.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        if seconds is None and runs is None:
            raise BadInput("A search needs a limit: give a budget, a number of runs, or both.")
        if runs is not None and runs < 1:
            raise BadInput(f"runs must be at least 1, got {runs}.")
        self.seconds, self.runs = seconds, runs
        self.runs_spent = 0.0
        self._now, self._spent = now, spent
        self._started: float | None = None
        self._search_began = 0.0
        self._proof_seconds = PROOF_SHARE * seconds if seconds is not None else 0.0
        self._aside_runs, self._aside_seconds = 0, 0.0

    def start(self) -> None:
        """Start the clock, at the first baseline run."""
        if self._started is None:
            self._started = self._now()

    @property
    def elapsed(self) -> float:
        """Seconds spent so far; for the record, not for decisions."""
        return self._spent + (self._now() - self._started if self._started is not None else 0.0)

    def require(self, seconds: float) -> None:
        """Check that there is time for the least that must be run.

        Args:
            seconds: What a baseline, the smallest search and the proof take together.

        Raises:
            BudgetTooSmall: If there is not; the message says how much is needed.
        """
        if self.seconds is not None and seconds > self.seconds:
            raise BudgetTooSmall(
                f"A budget of {spelled(self.seconds)} is too small: a baseline, a search and a "
                f"proof need about {spelled(seconds)} here. Give --budget {spelled(seconds)} or "
                "more, or fewer --seeds."
            )

    def reserve(self, seconds: float) -> None:
        """Keep time for a proof estimated to take that long, and at least 40 % of all."""
        if self.seconds is not None:
            self._proof_seconds = max(PROOF_SHARE * self.seconds, seconds * MARGIN)

    def set_aside(self, runs: int, seconds: float) -> bool:
        """Keep a part of the search for what follows the proof, and say whether that was done.

        It is done if what is to be kept is at most a fifth of the search, in runs and in time.

        Args:
            runs: How many runs follow.
            seconds: How long they are estimated to take. Read only where time is limited.
        """
        whole = self.search_seconds
        if self.runs is not None and runs > ASIDE * self.runs:
            return False
        if whole is not None and seconds * MARGIN > ASIDE * whole:
            return False
        self._aside_runs, self._aside_seconds = runs, seconds * MARGIN
        return True

    def can_follow(self, runs: int, seconds: float) -> bool:
        """Say whether so many runs, of that estimated length together, fit after the proof."""
        counted = self.runs is None or self.runs_spent + runs <= self.runs + ROUNDING
        return counted and (self.seconds is None or self.elapsed + seconds <= self.seconds)

    @property
    def search_seconds(self) -> float | None:
        """Wall time that baseline and search may take, or None for no limit."""
        if self.seconds is None:
            return None
        return max(0.0, self.seconds - self._proof_seconds - self._aside_seconds)

    @property
    def search_runs(self) -> int | None:
        """Runs that the search may take, or None for no limit."""
        return None if self.runs is None else self.runs - self._aside_runs

    def begin_search(self) -> None:
        """Note that the search begins: its shares are of the time from here on."""
        if self.seconds is not None:
            self._search_began = self.elapsed

    def covers(self, runs: float, *, share: float) -> bool:
        """Say whether a number of runs more is allowed; the first run always is.

        Args:
            runs: How many, partial ones by their share of a run.
            share: Part of the search, in (0, 1], that what is going on may use up.
        """
        limit = self.search_runs
        return limit is None or self.runs_spent + runs <= max(1.0, share * limit) + ROUNDING

    def seconds_left(self, share: float) -> float | None:
        """Return the time until that share of the search is over, or None for no limit."""
        if self.search_seconds is None:
            return None
        allowed = max(0.0, self.search_seconds - self._search_began)
        return self._search_began + share * allowed - self.elapsed

    def has_room(self, runs: int, seconds: float) -> bool:
        """Say whether so many runs, of that estimated length together, still fit the search."""
        limit = self.search_runs
        counted = limit is None or self.runs_spent + runs <= limit + ROUNDING
        left = self.seconds_left(1.0)
        return counted and (left is None or seconds <= left)

    def can_prove(self, seconds: float) -> bool:
        """Say whether a proof of that estimated length still ends in time."""
        return self.seconds is None or self.elapsed + seconds <= self.seconds
