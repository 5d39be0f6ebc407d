"""Colours stay apart for everyone: normal sight, deuteranopia and protanopia, in both schemes.

The matrices act on linear RGB and are those of Machado, Oliveira and Fernandes, "A
Physiologically-based Model for Simulation of Color Vision Deficiency", 2009, at severity 1.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from fitwell.report.theme import colours

SIGHT = {
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
}
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
APART = 15.0
"""Least distance in CIELAB (1976) of colours that are told apart; 2.3 is just seen."""


def lab(colour: str, sight: str) -> np.ndarray:
    """Return a colour of the sRGB cube in CIELAB, under D65, as that sight sees it."""
    coded = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    ratio = TO_XYZ @ np.clip(SIGHT[sight] @ linear, 0, 1) / TO_XYZ.sum(axis=1)
    x, y, z = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(one: str, other: str, sight: str) -> float:
    return float(np.linalg.norm(lab(one, sight) - lab(other, sight)))


def test_the_distance_is_that_of_the_textbook() -> None:
    assert lab("#ffffff", "normal") == pytest.approx([100, 0, 0], abs=0.02)
    assert lab("#ff0000", "normal") == pytest.approx([53.24, 80.09, 67.20], abs=0.02)
    assert distance("#ff0000", "#00a000", "normal") > 2 * distance(
        "#c00000", "#808000", "deuteranopia"
    )


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "names",
    [
        ("blue", "orange", "green", "violet", "ochre", "soft"),
        ("good", "bad"),
        ("mild", "moderate", "severe"),
        ("lost", "empty"),
    ],
    ids=" ".join,
)
def test_colours_that_carry_a_meaning_stay_apart(
    names: tuple[str, ...], scheme: str, sight: str
) -> None:
    known = colours(scheme)
    for one, other in combinations(names, 2):
        assert distance(known[one], known[other], sight) > APART, (one, other)
