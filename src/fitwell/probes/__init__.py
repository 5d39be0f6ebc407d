"""Probes: each reads one kind of number from a live network, cheaply and without a trace left."""

from fitwell.probes.activations import SATURATED_BEYOND, ZERO_SIDED, Activations
from fitwell.probes.carried import Carried
from fitwell.probes.clock import Clock
from fitwell.probes.drift import StatisticsDrift
from fitwell.probes.gradientless import Gradientless
from fitwell.probes.gradients import Gradients
from fitwell.probes.hooks import Hook, Inert
from fitwell.probes.inputs import Inputs
from fitwell.probes.layout import Layer, Layout, layout_of
from fitwell.probes.learning_rate import LearningRate
from fitwell.probes.losses import Losses
from fitwell.probes.membership import Membership, held_by
from fitwell.probes.mode import EvaluationMode, Mode
from fitwell.probes.neighbors import Neighbors
from fitwell.probes.pairs import Pairs
from fitwell.probes.rarely import Rarely
from fitwell.probes.shift import Shift, Tallies
from fitwell.probes.time_gradients import TimeGradients
from fitwell.probes.updates import Updates
from fitwell.probes.weights import Weights

__all__ = [
    "SATURATED_BEYOND",
    "ZERO_SIDED",
    "Activations",
    "Carried",
    "Clock",
    "EvaluationMode",
    "Gradientless",
    "Gradients",
    "Hook",
    "Inert",
    "Inputs",
    "Layer",
    "Layout",
    "LearningRate",
    "Losses",
    "Membership",
    "Mode",
    "Neighbors",
    "Pairs",
    "Rarely",
    "Shift",
    "StatisticsDrift",
    "Tallies",
    "TimeGradients",
    "Updates",
    "Weights",
    "held_by",
    "layout_of",
]
