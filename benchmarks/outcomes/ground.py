"""A ground: a task, or one a split of its rows, and what a cure is to reach on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, final

from fitwell.tasks import Task

Make: TypeAlias = Callable[[int], Task]
"""Returns the task of a split, by its number from 0."""


@final
@dataclass(frozen=True)
class Ground:
    """What is cured, and how long it may take.

    Args:
        name: Its name on the command line and in the tables.
        family: ``"deep"``, ``"images"``, ``"text"``, ``"tables"`` or ``"defaults"``.
        make: Returns the task of a split.
        goal: What is to be reached, in words.
        budget: Wall time of a cure, or None for no limit of time.
        runs: Largest number of search runs, or None for no limit.
        seeds: Seeds of the proof.
        splits: How many splits of the rows there are.
    """

    name: str
    family: str
    make: Make
    goal: str
    budget: str | None = None
    runs: int | None = None
    seeds: int = 8
    splits: int = 1
