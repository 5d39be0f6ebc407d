"""How a run stands, epoch by epoch, and the record that is made of it in the end."""

from __future__ import annotations

import math
from typing import final

from fitwell.records import Curves, RunRecord, Score
from fitwell.studies.job import Job


@final
class Standing:
    """The curves of a run and its best epoch so far: the best metric, then the lowest loss.

    Args:
        higher_is_better: Which way the metric points.
    """

    def __init__(self, *, higher_is_better: bool) -> None:
        self._sign = 1.0 if higher_is_better else -1.0
        self.points: list[tuple[float, float, float, float]] = []
        self.best: Score | None = None
        self.best_epoch = 0
        self.diverged = False

    @property
    def epochs(self) -> int:
        """Epochs trained."""
        return len(self.points)

    def note(self, seen: Score, held_out: Score, *, finite: bool) -> bool:
        """Note what an epoch gave, and say whether it is the best so far.

        Args:
            seen: Score on rows that were trained on.
            held_out: Score on the validation rows.
            finite: Whether the training loss stayed finite; a run where it did not, or where a
                score is not finite, has diverged, and such an epoch is never the best.
        """
        self.points.append((seen.loss, held_out.loss, seen.metric, held_out.metric))
        if not (finite and math.isfinite(held_out.loss) and math.isfinite(held_out.metric)):
            self.diverged = True
            return False
        if self.best is not None and self._rank(held_out) <= self._rank(self.best):
            return False
        self.best, self.best_epoch = held_out, self.epochs - 1
        return True

    def _rank(self, score: Score) -> tuple[float, float]:
        return self._sign * score.metric, -score.loss

    def record(
        self,
        job: Job,
        scores: tuple[Score, Score | None],
        *,
        seconds: float,
        parameters: int,
        took_effect: tuple[str, ...],
    ) -> RunRecord:
        """Return the record of the run.

        Args:
            job: What was asked for.
            scores: On validation and, if the job asks for it, on test.
            seconds: Wall time.
            parameters: Number of parameters of the network.
            took_effect: What each remedy was seen to do.
        """
        return RunRecord(
            arm=job.arm,
            seed=job.seed,
            rate=job.rate,
            epochs=self.epochs,
            best_epoch=self.best_epoch,
            diverged=self.diverged,
            validation=scores[0],
            test=scores[1],
            seconds=seconds,
            parameters=parameters,
            curves=Curves(*(tuple(values) for values in zip(*self.points, strict=True))),
            took_effect=took_effect,
        )
