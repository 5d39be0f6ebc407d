"""Detectors: each judges a trace for one condition; plain numbers in, findings out."""

from fitwell.detectors.exploding import ExplodingGradients
from fitwell.detectors.fitting import Overfitting, Underfitting
from fitwell.detectors.initialization import BadInitialization
from fitwell.detectors.non_finite import NonFinite
from fitwell.detectors.units import DeadUnits, SaturatedUnits
from fitwell.detectors.vanishing import VanishingGradients
from fitwell.interfaces import Detector

DETECTORS: tuple[Detector, ...] = (
    BadInitialization(),
    ExplodingGradients(),
    VanishingGradients(),
    DeadUnits(),
    SaturatedUnits(),
    NonFinite(),
    Overfitting(),
    Underfitting(),
)
"""Every detector with its default limits."""

__all__ = [
    "DETECTORS",
    "BadInitialization",
    "DeadUnits",
    "ExplodingGradients",
    "NonFinite",
    "Overfitting",
    "SaturatedUnits",
    "Underfitting",
    "VanishingGradients",
]
