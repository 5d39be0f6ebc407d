"""Keras 3 on torch: its models under watch."""

from fitwell.integrations.keras.answers import Answers, older_spellings
from fitwell.integrations.keras.clock import KerasSteps
from fitwell.integrations.keras.network import KerasNetwork
from fitwell.integrations.keras.session import KerasSession
from fitwell.integrations.keras.trainings import KerasTrainings

__all__ = [
    "Answers",
    "KerasNetwork",
    "KerasSession",
    "KerasSteps",
    "KerasTrainings",
    "older_spellings",
]
