"""What a claim is: a question, an experiment, what is expected of it, and how to do it yourself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import cleandoc
from math import inf
from typing import TypeAlias, final

from fitwell.records import Answer, ClaimOutcome, ClaimRecord, Measured
from fitwell.report.numbers import quantity
from fitwell.studies.statistics import paired_effect
from fitwell.studies.training import reproducible
from fitwell.words import say, speaking

Experiment: TypeAlias = Callable[[Sequence[int]], Measured]
"""Measures every arm on every seed; the same numbers for the same seeds."""


@final
@dataclass(frozen=True)
class Larger:
    """An arm is expected to measure more than another, or than a number.

    Args:
        arm: The arm.
        than: The other arm, or a number.
        of: The measure.
        by: So much at least, in the measure's own unit.
    """

    arm: str
    than: str | float
    of: str
    by: float = 0.0

    def answer(self, measured: Measured) -> Answer:
        """Judge it: the whole 95 % interval must lie where it is expected."""
        how = say("{arm} larger than {than}", arm=self.arm, than=_named(self.than))
        if self.by:
            how = say(
                "{arm} larger than {than} by {by}",
                arm=self.arm,
                than=_named(self.than),
                by=quantity(self.by),
            )
        return _judged(self, how, self.than, measured, (self.by, inf), (min(0.0, self.by), inf))


@final
@dataclass(frozen=True)
class Smaller:
    """An arm is expected to measure less than another, or than a number; see :class:`Larger`."""

    arm: str
    than: str | float
    of: str
    by: float = 0.0

    def answer(self, measured: Measured) -> Answer:
        """Judge it: the whole 95 % interval must lie where it is expected."""
        how = say("{arm} smaller than {than}", arm=self.arm, than=_named(self.than))
        if self.by:
            how = say(
                "{arm} smaller than {than} by {by}",
                arm=self.arm,
                than=_named(self.than),
                by=quantity(self.by),
            )
        most = 0.0 - self.by
        return _judged(self, how, self.than, measured, (-inf, most), (-inf, max(0.0, most)))


@final
@dataclass(frozen=True)
class Close:
    """An arm is expected to measure the same as another, or as a number, within a margin.

    Args:
        arm: The arm.
        to: The other arm, or a number.
        of: The measure.
        within: Largest difference that counts as the same, in the measure's own unit.
    """

    arm: str
    to: str | float
    of: str
    within: float

    def answer(self, measured: Measured) -> Answer:
        """Judge it: the whole 95 % interval must lie within the margin."""
        how = say(
            "{arm} as large as {than}, within {within}",
            arm=self.arm,
            than=_named(self.to),
            within=quantity(self.within),
        )
        span = (-self.within, self.within)
        return _judged(self, how, self.to, measured, span, span)


Expectation: TypeAlias = Larger | Smaller | Close


@final
@dataclass(frozen=True)
class Claim:
    """One claim of the craft as an experiment.

    Args:
        number: Its number, from 1 to 30.
        name: Its name for the command line.
        title: The claim itself, a short sentence.
        question: What is asked.
        data: What it is measured on, in words.
        experiment: Measures the arms on seeds.
        expects: What must come out; the first expectation is the claim's own.
        explanation: A paragraph: why it is so, and how far.
        torch: Code that does it in plain PyTorch.
        keras: Code that does it in Keras 3.
        formula: LaTeX of the formula behind it.
        seeds: How many seeds; at least 8.
    """

    number: int
    name: str
    title: str
    question: str
    data: str
    experiment: Experiment
    expects: tuple[Expectation, ...]
    explanation: str
    torch: str
    keras: str
    formula: str = ""
    seeds: int = 8

    def run(self) -> ClaimRecord:
        """Do the experiment, in one thread, and judge it."""
        started = time.perf_counter()
        with reproducible(0), speaking("en"):
            measured = self.experiment(tuple(range(self.seeds)))
        return self.judged(measured, time.perf_counter() - started)

    def judged(self, measured: Measured, seconds: float) -> ClaimRecord:
        """Judge what the experiment measured.

        Args:
            measured: What it measured.
            seconds: How long it took.
        """
        with speaking("en"):
            answers = tuple(expected.answer(measured) for expected in self.expects)
        return ClaimRecord(
            number=self.number,
            name=self.name,
            title=self.title,
            question=self.question,
            data=self.data,
            formula=self.formula,
            explanation=self.explanation,
            torch=cleandoc(self.torch),
            keras=cleandoc(self.keras),
            seeds=tuple(range(self.seeds)),
            measured=measured,
            answers=answers,
            seconds=seconds,
        )


def _judged(
    expected: Expectation,
    how: str,
    other: str | float,
    measured: Measured,
    span: tuple[float, float],
    against: tuple[float, float],
) -> Answer:
    """Judge how much larger an arm measures, seed by seed, by where the whole interval lies.

    Args:
        expected: What was expected.
        how: The same in words.
        other: What the arm is held against.
        measured: What was measured.
        span: Where the interval is expected.
        against: What it must lie wholly outside of to be the reverse.
    """
    values = measured.values[expected.of]
    arm = values[expected.arm]
    base = values[other] if isinstance(other, str) else (other,) * len(arm)
    effect = paired_effect(base, arm, higher_is_better=True)
    outcome: ClaimOutcome = "not supported"
    if isinstance(expected, Close):  # whose margin belongs to what counts as the same
        there = span[0] <= effect.low and effect.high <= span[1]
    else:
        there = span[0] < effect.low and effect.high < span[1]
    if there:
        outcome = "supported"
    elif effect.high < against[0] or effect.low > against[1]:
        outcome = "reversed"
    return Answer(how, expected.of, expected.arm, other, span, effect, outcome)


def _named(other: str | float) -> str:
    return other if isinstance(other, str) else quantity(other)
