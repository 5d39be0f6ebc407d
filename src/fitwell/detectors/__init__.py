"""Detectors: each judges a trace for one condition; plain numbers in, findings out."""

from fitwell.detectors.batch_norms import RecurrentBatchNorm, SmallBatchNorm
from fitwell.detectors.carried import AccumulatedGradients
from fitwell.detectors.exploding import ExplodingGradients
from fitwell.detectors.fitting import Overfitting
from fitwell.detectors.initialization import BadInitialization
from fitwell.detectors.modes import WrongMode
from fitwell.detectors.non_finite import NonFinite
from fitwell.detectors.outputs import LossOutputMismatch
from fitwell.detectors.progress import NotLearning, OscillatingLoss
from fitwell.detectors.rate_too_high import LearningRateTooHigh
from fitwell.detectors.rate_too_low import LearningRateTooLow
from fitwell.detectors.scale import UnscaledInputs
from fitwell.detectors.shift import DistributionShift
from fitwell.detectors.underfitting import Underfitting
from fitwell.detectors.units import DeadUnits, SaturatedUnits
from fitwell.detectors.untrained import UntrainedParameters
from fitwell.detectors.vanishing import VanishingGradients
from fitwell.interfaces import Detector

DETECTORS: tuple[Detector, ...] = (
    LossOutputMismatch(),
    UnscaledInputs(),
    UntrainedParameters(),
    AccumulatedGradients(),
    WrongMode(),
    DistributionShift(),
    SmallBatchNorm(),
    RecurrentBatchNorm(),
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
    "AccumulatedGradients",
    "BadInitialization",
    "DeadUnits",
    "DistributionShift",
    "ExplodingGradients",
    "LearningRateTooHigh",
    "LearningRateTooLow",
    "LossOutputMismatch",
    "NonFinite",
    "NotLearning",
    "OscillatingLoss",
    "Overfitting",
    "RecurrentBatchNorm",
    "SaturatedUnits",
    "SmallBatchNorm",
    "Underfitting",
    "UnscaledInputs",
    "UntrainedParameters",
    "VanishingGradients",
    "WrongMode",
]
