"""A claim that was put to the test: its texts, what was measured, and the pictures of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final, get_args

from fitwell.records.results import Effect

ClaimOutcome: TypeAlias = Literal["supported", "not supported", "reversed"]
Measures: TypeAlias = Mapping[str, Mapping[str, tuple[float, ...]]]
"""Measure -> arm -> one value a seed, in the order of the seeds."""


@final
@dataclass(frozen=True)
class Lines:
    """Curves: rows of (curve, x, y), or (curve, x, y, low, high) where a band is known."""

    title: str
    x: str
    y: str
    rows: tuple[tuple[str, float, float] | tuple[str, float, float, float, float], ...]
    log_x: bool = False
    log_y: bool = False


@final
@dataclass(frozen=True)
class Bars:
    """Bars: rows of (category, group, value); one colour a group, side by side in a category."""

    title: str
    x: str
    y: str
    rows: tuple[tuple[str, str, float], ...]
    log_y: bool = False


@final
@dataclass(frozen=True)
class Histogram:
    """Values of each arm, binned by the drawing; exact zeros are counted and drawn apart."""

    title: str
    x: str
    values: Mapping[str, tuple[float, ...]]


@final
@dataclass(frozen=True)
class Heat:
    """A table of numbers in colour: rows of (row, column, value).

    Args:
        title: What it shows.
        x: What the columns are.
        y: What the rows are.
        rows: The cells, row by row.
        cut: Outlines around what is taken together: each row, each column, or nothing.
        written: Whether the number stands in its cell.
        log: Whether the colours are on a logarithmic scale.
    """

    title: str
    x: str
    y: str
    rows: tuple[tuple[str, str, float], ...]
    cut: Literal["rows", "columns", ""] = ""
    written: bool = False
    log: bool = False


@final
@dataclass(frozen=True)
class Units:
    """A network drawn unit by unit, layer by layer: True is a unit that is there."""

    title: str
    layers: tuple[tuple[bool, ...], ...]


@final
@dataclass(frozen=True)
class Arrows:
    """Vectors of a plane from the origin, rows of (name, x, y), and the circle that bounds them."""

    title: str
    rows: tuple[tuple[str, float, float], ...]
    radius: float


@final
@dataclass(frozen=True)
class Images:
    """Grey images side by side, each with its label: rows of pixels in [0, 1], 0 is paper."""

    title: str
    images: tuple[tuple[str, tuple[tuple[float, ...], ...]], ...]


Picture: TypeAlias = Lines | Bars | Histogram | Heat | Units | Arrows | Images


@final
@dataclass(frozen=True)
class Measured:
    """What the experiment of a claim measured.

    Args:
        values: Measure -> arm -> one value a seed. The names are shown as they are.
        pictures: The idea, drawn from what was measured; the one that shows it best first.
    """

    values: Measures
    pictures: tuple[Picture, ...] = ()


@final
@dataclass(frozen=True)
class Answer:
    """What one expectation of a claim came to.

    Args:
        expected: The expectation in words.
        measure: What was measured.
        arm: The arm that is judged.
        other: What it is held against: another arm, or a number.
        span: Where the effect was expected to lie: from, to; infinite where it is open.
        effect: Of the first arm over what it is held against, as the measure was taken: positive is
            larger, not better.
        outcome: Whether the interval lies where it was expected, on the other side, or neither.
    """

    expected: str
    measure: str
    arm: str
    other: str | float
    span: tuple[float, float]
    effect: Effect
    outcome: ClaimOutcome

    def to_dict(self) -> dict[str, Any]:
        """Return what was expected and what came out as JSON-ready data."""
        return {
            "expected": self.expected,
            "measure": self.measure,
            "outcome": self.outcome,
            "effect": self.effect.to_dict(),
        }


@final
@dataclass(frozen=True)
class ClaimRecord:
    """One claim and its outcome.

    Args:
        number: Its number among the claims, from 1.
        name: Its name for the command line, as ``"dropout"``.
        title: The claim itself, a short sentence.
        question: What is asked.
        data: What it was measured on, in words.
        formula: LaTeX of the formula behind it, or "".
        explanation: A paragraph.
        torch: Code that does it in plain PyTorch.
        keras: Code that does it in Keras 3.
        seeds: The seeds, in order.
        measured: What came out.
        answers: The expectations and what they came to; the first is the claim's own.
        seconds: What the experiment took.
    """

    number: int
    name: str
    title: str
    question: str
    data: str
    formula: str
    explanation: str
    torch: str
    keras: str
    seeds: tuple[int, ...]
    measured: Measured
    answers: tuple[Answer, ...]
    seconds: float

    @property
    def outcome(self) -> ClaimOutcome:
        """Reversed if any expectation was, supported if all were, else not supported."""
        outcomes = {answer.outcome for answer in self.answers}
        if "reversed" in outcomes:
            return "reversed"
        return "supported" if outcomes == {"supported"} else "not supported"

    @property
    def deciding(self) -> Answer:
        """The answer that the outcome rests on: the first that came to it."""
        return next(answer for answer in self.answers if answer.outcome == self.outcome)

    def to_dict(self) -> dict[str, Any]:
        """Return outcome and numbers as JSON-ready data; texts and pictures are left out."""
        return {
            "number": self.number,
            "name": self.name,
            "title": self.title,
            "outcome": self.outcome,
            "answers": [answer.to_dict() for answer in self.answers],
            "measured": {
                measure: {arm: list(values) for arm, values in arms.items()}
                for measure, arms in self.measured.values.items()
            },
            "seeds": list(self.seeds),
            "seconds": self.seconds,
        }


def claims_to_dict(records: Sequence[ClaimRecord]) -> dict[str, Any]:
    """Return claims as JSON-ready data: each with its numbers, and how many came to what."""
    outcomes = [record.outcome for record in records]
    return {
        "schema": 1,
        "claims": [record.to_dict() for record in records],
        **{name.replace(" ", "_"): outcomes.count(name) for name in get_args(ClaimOutcome)},
    }
