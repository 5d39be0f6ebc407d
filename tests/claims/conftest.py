"""A claim that is measured in no time, with one picture of every kind."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from fitwell.claims import Claim, Larger
from fitwell.records import Arrows, Bars, Heat, Histogram, Images, Lines, Measured, Units
from fitwell.words import say

PLAIN, TREATED, SCORE = say("plain"), say("dose of {dose}", dose="0.5"), say("score")
PICTURES = (
    Lines("Curves", "step", "size", ((PLAIN, 1.0, 2.0), (TREATED, 1.0, 3.0, 2.5, 3.5))),
    Bars("Bars", "layer", "size", (("one", PLAIN, 1.0), ("one", TREATED, 2.0))),
    Histogram("Weights", "weight", {PLAIN: (0.5, -0.5), TREATED: (0.0, 0.1)}),
    Heat("Cells", "column", "row", (("a", "b", 1.0), ("a", "c", math.inf)), cut="rows"),
    Units("Units", ((True, False), (True,))),
    Arrows("Arrows", (("long", 3.0, 4.0),), 1.0),
    Images("Images", (("seven", ((0.0, 1.0), (0.5, 0.25))),)),
)


def experiment(seeds: Sequence[int]) -> Measured:
    values = {PLAIN: tuple(map(float, seeds)), TREATED: tuple(s + 1 + s % 2 / 10 for s in seeds)}
    return Measured({SCORE: values}, PICTURES)


@pytest.fixture
def claim() -> Claim:
    return Claim(
        number=10,
        name="made-up",
        title="A made-up claim",
        question="Does it hold?",
        data="Numbers",
        experiment=experiment,
        expects=(Larger(TREATED, PLAIN, of=SCORE),),
        explanation="Because it was made so.",
        torch="nn.Identity()",
        keras="keras.layers.Identity()",
    )
