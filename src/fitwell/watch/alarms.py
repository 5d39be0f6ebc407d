"""Judge a run while it goes on: tell of findings as they appear, and stop where asked to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import final

from fitwell.errors import TrainingStopped
from fitwell.records import SEVERITIES, Diagnosis, Finding, Severity
from fitwell.watch.checkpoint import Checkpoint

_FIRST = 5
_GROWTH = 1.5
"""Steps between two judgements grow by this factor, and so does what there is to judge."""


@final
@dataclass(frozen=True)
class Asked:
    """What a user wants to hear of a run while it goes on.

    Args:
        on_finding: Called with each finding once, when its condition is seen for the first time.
        stop_on: Least severity at which training is stopped, or None.
        checkpoint: File for the last good state, where training may be stopped.
        mute: Conditions that are not looked for.
    """

    on_finding: Callable[[Finding], object] | None = None
    stop_on: Severity | None = None
    checkpoint: str | Path = "fitwell-checkpoint.pt"
    mute: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether the run has to be judged while it goes on."""
        return self.on_finding is not None or self.stop_on is not None


@final
class Alarms:
    """Judges a run at steps spaced geometrically and at evaluations, as often as time permits.

    Args:
        diagnose: Judges what was recorded so far.
        share: Share of the run's time that judging at evaluations may take.
        asked: What is wanted.
        checkpoint: Keeps the last good state, where training may be stopped.
    """

    def __init__(
        self,
        diagnose: Callable[[], Diagnosis],
        share: float,
        *,
        asked: Asked,
        checkpoint: Checkpoint,
    ) -> None:
        self._diagnose, self._share = diagnose, share
        self._on_finding, self._stop_on = asked.on_finding, asked.stop_on
        self._checkpoint = checkpoint
        self._told: set[str] = set()
        self._due, self._evaluations = _FIRST, 0
        self._began, self._spent, self._last = perf_counter(), 0.0, 0.0

    def begin(self) -> None:
        """Keep the state that the run begins with."""
        self._began = perf_counter()
        if self._stop_on is not None:
            self._checkpoint.keep(0)

    def step_ended(self, steps: int, *, sampled: bool, evaluated: bool) -> None:
        """Judge the run if it is time to.

        Args:
            steps: Steps made so far.
            sampled: Whether the last one was sampled.
            evaluated: Whether an evaluation went before it.

        Raises:
            TrainingStopped: If a finding is as severe as the run is to be stopped for.
        """
        self._evaluations += evaluated
        affordable = self._spent + self._last <= self._share * (perf_counter() - self._began)
        if sampled and steps >= self._due:
            self._due = max(steps + 1, int(_GROWTH * steps))
        elif not (evaluated and (affordable or self._evaluations <= _FIRST)):
            return
        began = perf_counter()
        diagnosis = self._diagnose()
        self._last = perf_counter() - began
        self._spent += self._last
        self._tell(diagnosis)
        self._stop(diagnosis, steps)

    def end(self) -> None:
        """Tell of what is seen at the end of the run alone."""
        if self._on_finding is not None:
            self._tell(self._diagnose())

    def _tell(self, diagnosis: Diagnosis) -> None:
        for finding in diagnosis:
            if finding.condition not in self._told:
                self._told.add(finding.condition)
                if self._on_finding is not None:
                    self._on_finding(finding)

    def _stop(self, diagnosis: Diagnosis, steps: int) -> None:
        if self._stop_on is None:
            return
        least = SEVERITIES.index(self._stop_on)
        severe = [f for f in diagnosis if SEVERITIES.index(f.severity) >= least]
        if severe:
            raise TrainingStopped(diagnosis, self._checkpoint.save(), severe[0], steps)
        if diagnosis.healthy:
            self._checkpoint.keep(steps)
