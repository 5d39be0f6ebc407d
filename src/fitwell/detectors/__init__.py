"""Detectors: each judges a trace for one condition; plain numbers in, findings out."""

from fitwell.detectors.fitting import Overfitting
from fitwell.detectors.gradients import ExplodingGradients, VanishingGradients
from fitwell.detectors.initialization import BadInitialization
from fitwell.detectors.non_finite import NonFinite
from fitwell.detectors.progress import NotLearning, OscillatingLoss
from fitwell.detectors.rates import LearningRateTooHigh, LearningRateTooLow
from fitwell.detectors.underfitting import Underfitting
from fitwell.detectors.units import DeadUnits, SaturatedUnits
from fitwell.interfaces import Detector

DETECTORS: tuple[Detector, ...] = (
    BadInitialization(),
    ExplodingGradients(),
    VanishingGradients(),
    DeadUnits(),
    SaturatedUnits(),
    NonFinite(),
    LearningRateTooHigh(),
    LearningRateTooLow(),
    OscillatingLoss(),
    NotLearning(),
    Overfitting(),
    Underfitting(),
)
"""Every detector with its default limits."""

__all__ = [
    "DETECTORS",
    "BadInitialization",
    "DeadUnits",
    "ExplodingGradients",
    "LearningRateTooHigh",
    "LearningRateTooLow",
    "NonFinite",
    "NotLearning",
    "OscillatingLoss",
    "Overfitting",
    "SaturatedUnits",
    "Underfitting",
    "VanishingGradients",
]
