"""What a study asks for and what it gets: one run to be done, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias, final

from fitwell.records import RemedySpec, RunRecord


@final
@dataclass(frozen=True)
class Job:
    """One run to be done: everything that its result depends on, besides the task.

    Args:
        recipe: Remedies; none is the untreated arm.
        seed: Seed of initial weights, order of the data, and treatment.
        rate: Learning rate as a multiple of the task's own.
        test: Whether the test rows are read.
        epochs: Epochs to train, or None for the task's own number. Fewer are the beginning of a
            run of more.
        arm: Name for the record; the result does not depend on it.
        share: Share of the training rows that are trained on, in (0, 1]; which rows, the seed
            says, and those of a smaller share are among those of a larger one. A share is passed
            over more often, so that all shares make the same number of updates.
    """

    recipe: tuple[RemedySpec, ...]
    seed: int
    rate: float = 1.0
    test: bool = False
    epochs: int | None = None
    arm: str = ""
    share: float = 1.0

    @property
    def key(self) -> str:
        """Text that is equal for jobs with the same result."""
        values = asdict(self) | {"recipe": [spec.to_dict() for spec in self.recipe]}
        del values["arm"]
        if self.share == 1:  # as it was written before there were shares
            del values["share"]
        return json.dumps(values, sort_keys=True)

    def __str__(self) -> str:
        told = self.arm or " + ".join(map(str, self.recipe)) or "untreated"
        return f"the run of {told!r} with seed {self.seed}"


@final
@dataclass(frozen=True)
class Refusal:
    """A run that could not be done because a remedy cannot serve the network."""

    arm: str
    reason: str


Done: TypeAlias = RunRecord | Refusal
"""What became of a job."""

Batch: TypeAlias = tuple[Job, ...]
"""Jobs that go to a worker together, and train as one program where they share a structure."""

Results: TypeAlias = Sequence[Done]
"""What became of the jobs of a batch, in their order."""
