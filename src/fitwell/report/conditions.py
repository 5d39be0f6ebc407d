"""What the conditions are called, and what each of them is."""

from __future__ import annotations

from collections.abc import Sequence

from fitwell.records import CONDITIONS, Finding
from fitwell.words import told

CONDITION_TITLES = {
    "loss_output_mismatch": "Loss and output do not fit",
    "small_batch_norm": "Batch norm on small batches",
    "recurrent_batch_norm": "Batch norm in a recurrence",
    "non_finite": "NaN or infinity",
    "wrong_mode": "Wrong mode",
}
"""Titles of the conditions whose name is no title by itself."""

CONDITION_WORDS = {
    "overfitting": "The network has learned its training rows better than the task.",
    "underfitting": "The network does not even fit the rows that it is trained on.",
    "vanishing_gradients": "Next to no gradient reaches the first layers.",
    "exploding_gradients": "Gradients are far too large for the weights that they change.",
    "non_finite": "A NaN or an infinity has spread, and the weights are lost.",
    "dead_units": "Units put out zero for every sample, so that no gradient can revive them.",
    "saturated_units": "Units lie in the flat part of their activation, where no gradient passes.",
    "bad_initialization": "The first weights are of the wrong size, or all alike.",
    "small_batch_norm": "Batch statistics of a few rows are noise, and evaluation uses others.",
    "recurrent_batch_norm": "Statistics over a batch mix the time steps of a recurrence.",
    "learning_rate_too_high": "Steps are so long that they miss what they aim at.",
    "learning_rate_too_low": "Steps are so short that the run ends before the network has learned.",
    "oscillating_loss": "The loss swings up and down and does not come down.",
    "not_learning": "The loss stays where a constant guess would leave it.",
    "loss_output_mismatch": "The loss is given what it was not made for.",
    "unscaled_inputs": "What enters the network is far too large or of very different sizes.",
    "untrained_parameters": "Parameters that should be trained are not.",
    "accumulated_gradients": "Gradients of earlier steps are added to those of every new one.",
    "wrong_mode": "The network is in training mode where it should evaluate, or the reverse.",
    "distribution_shift": "Validation differs from training before anything is learned.",
}
"""What each condition is, in one sentence that needs no numbers."""


def condition_title(slug: str) -> str:
    """Return ``"Vanishing gradients"`` for ``"vanishing_gradients"``."""
    return CONDITION_TITLES.get(slug, slug.replace("_", " ").capitalize())


def condition_sentence(slug: str) -> str:
    """Return what a condition is, in one sentence; "" if it is not known."""
    return CONDITION_WORDS.get(slug, "")


def unexplained(chain: Sequence[Finding]) -> str:
    """Return what explains the first finding of a chain though it is not in it, or ""."""
    cause = chain[0].cause
    return (
        "" if cause is None else f"explained by {condition_title(cause.condition).lower()}, muted"
    )


def unjudged_sentence(text: str) -> str:
    """Return why a condition could not be judged, with its title in front instead of its slug."""
    slug, colon, why = told(text).partition(":")
    return f"{condition_title(slug)}{colon}{why}" if slug in CONDITIONS else told(text)
