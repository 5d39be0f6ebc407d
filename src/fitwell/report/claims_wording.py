"""What came of claims in words: outcomes, effects, and how many held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from fitwell.records import Answer, ClaimOutcome, ClaimRecord
from fitwell.report.numbers import p_value, quantity
from fitwell.words import say, say_many, told

OUTCOMES: tuple[ClaimOutcome, ...] = ("supported", "not supported", "reversed")
MARKS: Mapping[ClaimOutcome, str] = {"supported": "✓", "not supported": "○", "reversed": "✗"}
"""What stands beside an outcome, so that it is told without colour."""


@final
@dataclass(frozen=True)
class About:
    """How a page or a table of claims was made.

    Args:
        command: What makes it again.
        versions: Versions of the libraries that results depend on.
        made: The day.
    """

    command: str
    versions: Mapping[str, str]
    made: str


def outcome_words(outcome: ClaimOutcome) -> str:
    """Return an outcome in the reader's language."""
    return {
        "supported": say("supported"),
        "not supported": say("not supported"),
        "reversed": say("reversed"),
    }[outcome]


def signed(value: float) -> str:
    """Return a difference with its sign: ``"+0.12"``."""
    return f"{'+' if value > 0 else ''}{quantity(value)}"


def answer_effect(answer: Answer) -> str:
    """Return an effect with its interval, short: ``"-0.067 [-0.075, -0.059]"``."""
    effect = answer.effect
    return f"{signed(effect.mean)} [{signed(effect.low)}, {signed(effect.high)}]"


def answer_sentence(answer: Answer) -> str:
    """Return what was expected of a measure, and what came out."""
    effect = answer.effect
    return say(
        "Expected: {expected} ({measure}). Measured: a difference of {mean} (95 % interval {low} "
        "to {high}, {p} over {seeds}): {outcome}.",
        expected=told(answer.expected),
        measure=told(answer.measure),
        mean=signed(effect.mean),
        low=signed(effect.low),
        high=signed(effect.high),
        p=p_value(effect.p),
        seeds=say_many("{number} seed", "{number} seeds", effect.pairs),
        outcome=outcome_words(answer.outcome),
    )


def verdict_sentence(record: ClaimRecord) -> str:
    """Return the outcome of a claim in one sentence that stands alone."""
    return {
        "supported": say("Supported: the experiment shows what the claim says."),
        "not supported": say(
            "Not supported: the experiment does not show what the claim says, nor the opposite."
        ),
        "reversed": say("Reversed: the experiment shows the opposite of what the claim says."),
    }[record.outcome]


def tally(records: Iterable[ClaimRecord]) -> dict[ClaimOutcome, int]:
    """Return how many claims came to each outcome."""
    found = [record.outcome for record in records]
    return {outcome: found.count(outcome) for outcome in OUTCOMES}


def tally_sentence(records: Sequence[ClaimRecord]) -> str:
    """Return how many of the claims held, in one sentence."""
    counts = tally(records)
    return say(
        "Of {claims}, {supported} supported, {unsupported} not supported, {reversed} reversed.",
        claims=say_many("{number} claim", "{number} claims", len(records)),
        supported=counts["supported"],
        unsupported=counts["not supported"],
        reversed=counts["reversed"],
    )
