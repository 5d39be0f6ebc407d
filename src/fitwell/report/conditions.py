"""What the conditions are called, and what each of them is."""

from __future__ import annotations

from collections.abc import Sequence

from fitwell.records import CONDITIONS, Finding
from fitwell.words import say, told

CONDITION_TITLES = {
    "overfitting": say("Overfitting"),
    "underfitting": say("Underfitting"),
    "vanishing_gradients": say("Vanishing gradients"),
    "exploding_gradients": say("Exploding gradients"),
    "non_finite": say("NaN or infinity"),
    "dead_units": say("Dead units"),
    "saturated_units": say("Saturated units"),
    "bad_initialization": say("Bad initialization"),
    "small_batch_norm": say("Batch norm on small batches"),
    "recurrent_batch_norm": say("Batch norm in a recurrence"),
    "learning_rate_too_high": say("Learning rate too high"),
    "learning_rate_too_low": say("Learning rate too low"),
    "oscillating_loss": say("Oscillating loss"),
    "not_learning": say("Not learning"),
    "loss_output_mismatch": say("Loss and output do not fit"),
    "unscaled_inputs": say("Unscaled inputs"),
    "untrained_parameters": say("Untrained parameters"),
    "accumulated_gradients": say("Accumulated gradients"),
    "wrong_mode": say("Wrong mode"),
    "distribution_shift": say("Distribution shift"),
}
"""What the conditions are called."""

SEVERITY_WORDS = {
    "mild": say("mild"),
    "moderate": say("moderate"),
    "severe": say("severe"),
}
"""What the severities are called."""

CONDITION_WORDS = {
    "overfitting": say("The network has learned its training rows better than the task."),
    "underfitting": say("The network does not even fit the rows that it is trained on."),
    "vanishing_gradients": say("Next to no gradient reaches the first layers."),
    "exploding_gradients": say("Gradients are far too large for the weights that they change."),
    "non_finite": say("A NaN or an infinity has spread, and the weights are lost."),
    "dead_units": say("Units put out zero for every sample, so that no gradient can revive them."),
    "saturated_units": say(
        "Units lie in the flat part of their activation, where no gradient passes."
    ),
    "bad_initialization": say("The first weights are of the wrong size, or all alike."),
    "small_batch_norm": say(
        "Batch statistics of a few rows are noise, and evaluation uses others."
    ),
    "recurrent_batch_norm": say("Statistics over a batch mix the time steps of a recurrence."),
    "learning_rate_too_high": say("Steps are so long that they miss what they aim at."),
    "learning_rate_too_low": say(
        "Steps are so short that the run ends before the network has learned."
    ),
    "oscillating_loss": say("The loss swings up and down and does not come down."),
    "not_learning": say("The loss stays where a constant guess would leave it."),
    "loss_output_mismatch": say("The loss is given what it was not made for."),
    "unscaled_inputs": say("What enters the network is far too large or of very different sizes."),
    "untrained_parameters": say("Parameters that should be trained are not."),
    "accumulated_gradients": say("Gradients of earlier steps are added to those of every new one."),
    "wrong_mode": say("The network is in training mode where it should evaluate, or the reverse."),
    "distribution_shift": say("Validation differs from training before anything is learned."),
}
"""What each condition is, in one sentence that needs no numbers."""


def condition_title(slug: str) -> str:
    """Return ``"Vanishing gradients"`` for ``"vanishing_gradients"``."""
    return told(CONDITION_TITLES.get(slug, slug.replace("_", " ").capitalize()))


def severity_word(severity: str) -> str:
    """Return what a severity is called."""
    return told(SEVERITY_WORDS.get(severity, severity))


def condition_sentence(slug: str) -> str:
    """Return what a condition is, in one sentence; "" if it is not known."""
    return told(CONDITION_WORDS.get(slug, ""))


def unexplained(chain: Sequence[Finding]) -> str:
    """Return what explains the first finding of a chain though it is not in it, or ""."""
    cause = chain[0].cause
    if cause is None:
        return ""
    return say(
        "explained by {condition}, muted", condition=condition_title(cause.condition).lower()
    )


def unjudged_sentence(text: str) -> str:
    """Return why a condition could not be judged, with its title in front instead of its slug."""
    slug, colon, why = told(text).partition(":")
    return f"{condition_title(slug)}{colon}{why}" if slug in CONDITIONS else told(text)
