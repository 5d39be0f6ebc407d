"""Condition -> remedies, and what else it brings about: one row each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

from fitwell.prescribe.ranking import (
    activation,
    for_broken,
    for_dead,
    for_explosion,
    for_first_weights,
    for_high_rate,
    for_low_rate,
    for_saturation,
    for_unscaled,
    for_vanishing,
    norm,
    rate,
)
from fitwell.records import Facts, Finding, RemedySpec


@final
@dataclass(frozen=True)
class Row:
    """What one condition leads to.

    Args:
        remedies: Names what answers a finding, the most promising first.
        explains: Conditions that this one brings about.
    """

    remedies: Callable[[Finding, Facts], tuple[RemedySpec, ...]]
    explains: tuple[str, ...] = ()


def _for_overfitting(finding: Finding, facts: Facts) -> tuple[RemedySpec, ...]:
    """Stopping in time first: it takes back what memorising has spoilt, whatever the network.

    Tried on seven runs of the fault corpus that memorise (words, letters, digits, half digits; bags
    of words, perceptrons, residual, convolutional and recurrent networks), each remedy by itself.
    Brought to the validation loss of the twin that was not trained too long: by stopping in time 7
    of 7; by dropout 6 of the 6 that have a hidden layer; by augmentation 3 of the 3 that read
    numbers; by label smoothing 4 of 5 classifications; by weight decay 3 of 7; by averaging the
    weights 2 of 7. What reads tokens has no values in between to augment or mix.
    """
    names = ["EarlyStopping", "Augment", "Dropout"]
    if facts.classes or "cross_entropy" in facts.loss:
        names.append("LabelSmoothing")
    names += ["L2", *(s.name for s in norm(facts)), "Mixup", "CutMix"]
    names += ["WeightAverage", "Shrink", "L1"]
    mixing = {"Augment", "Mixup", "CutMix"} if facts.input_kind == "tokens" else set()
    return tuple(RemedySpec(name) for name in names if name not in mixing)


def _for_underfitting(finding: Finding, facts: Facts) -> tuple[RemedySpec, ...]:
    """Nothing of its own where another condition explains it: treat that one.

    Nothing either where a hidden layer has fewer units than there are classes: in the fault corpus
    neither a normalisation nor new weights moved such a network (nothing but width did).
    """
    if finding.cause is not None or _narrow(facts):
        return ()
    return (*norm(facts), RemedySpec("Initialization"), *activation(facts))


def _narrow(facts: Facts) -> bool:
    """Whether a hidden layer has fewer units than there are classes, or a single one."""
    hidden = (layer for layer in facts.layers if layer.role in ("hidden", "recurrent"))
    return any(0 < layer.units < max(2, facts.classes) for layer in hidden)


def _advice_only(finding: Finding, facts: Facts) -> tuple[RemedySpec, ...]:
    """None: the code is to be changed, as the finding's advice says."""
    return ()


def _for_small_batch_norm(finding: Finding, facts: Facts) -> tuple[RemedySpec, ...]:
    maps = any(layer.kind.startswith("Conv") for layer in facts.layers)
    names = ("GroupNorm", "LayerNorm") if maps else ("LayerNorm", "GroupNorm")
    return tuple(RemedySpec(name) for name in names)


def _for_recurrent_batch_norm(finding: Finding, facts: Facts) -> tuple[RemedySpec, ...]:
    return (RemedySpec("LayerNorm"),)


def _for_not_learning(finding: Finding, facts: Facts) -> tuple[RemedySpec, ...]:
    """Nothing of its own where another condition explains it: treat that one.

    Nothing either where the finding advises to look at the data: rows that have lost their targets
    were repaired by none of new weights, a normalisation and a higher rate in the fault corpus.
    """
    if finding.cause is not None or finding.advice:
        return ()
    higher = rate(finding, facts, lower=False)
    return (RemedySpec("Initialization"), *norm(facts), *activation(facts), higher)


_UNTRAINABLE = ("not_learning", "underfitting", "learning_rate_too_low")
_NO_GRADIENT = ("dead_units", "saturated_units", "vanishing_gradients")
_SETUP = (*_NO_GRADIENT, "exploding_gradients", "non_finite", "oscillating_loss", *_UNTRAINABLE)

REMEDIES_FOR: Mapping[str, Row] = MappingProxyType(
    {
        "loss_output_mismatch": Row(_advice_only, (*_SETUP, "learning_rate_too_high")),
        "accumulated_gradients": Row(_advice_only, (*_SETUP, "learning_rate_too_high")),
        "untrained_parameters": Row(_advice_only, ("vanishing_gradients", *_UNTRAINABLE)),
        "wrong_mode": Row(_advice_only, ("small_batch_norm", *_UNTRAINABLE)),
        "distribution_shift": Row(_advice_only, ("overfitting",)),
        "unscaled_inputs": Row(
            for_unscaled, (*_SETUP, "bad_initialization", "learning_rate_too_high")
        ),
        "bad_initialization": Row(for_first_weights, (*_SETUP, "learning_rate_too_high")),
        "learning_rate_too_high": Row(
            for_high_rate,
            (
                *(*_NO_GRADIENT, "exploding_gradients", "non_finite", "oscillating_loss"),
                *("not_learning", "underfitting"),
            ),
        ),
        "recurrent_batch_norm": Row(
            _for_recurrent_batch_norm,
            ("small_batch_norm", "overfitting", "oscillating_loss", *_UNTRAINABLE),
        ),
        "small_batch_norm": Row(
            _for_small_batch_norm, ("overfitting", "oscillating_loss", *_UNTRAINABLE)
        ),
        "exploding_gradients": Row(
            for_explosion,
            (
                *(*_NO_GRADIENT, "learning_rate_too_high", "non_finite", "oscillating_loss"),
                *_UNTRAINABLE,
            ),
        ),
        "dead_units": Row(for_dead, ("vanishing_gradients", *_UNTRAINABLE)),
        "saturated_units": Row(for_saturation, ("vanishing_gradients", *_UNTRAINABLE)),
        "vanishing_gradients": Row(for_vanishing, ("untrained_parameters", *_UNTRAINABLE)),
        "non_finite": Row(for_broken, _UNTRAINABLE),
        "learning_rate_too_low": Row(for_low_rate, ("not_learning", "underfitting")),
        "oscillating_loss": Row(for_high_rate, ("not_learning", "underfitting")),
        "not_learning": Row(_for_not_learning, ("underfitting",)),
        "overfitting": Row(_for_overfitting),
        "underfitting": Row(_for_underfitting, ("not_learning",)),
    }
)
"""Condition to what it leads to; roots stand before what they explain, but that a gradient which is
too large from the start makes any learning rate too high, one that has vanished may be rounded
away, so that weights seem not to be trained, and a network that is held back may learn nothing.
What may explain is not yet what does:
:mod:`fitwell.prescribe.causes` looks at the run."""


def remedies_for(finding: Finding, facts: Facts) -> tuple[RemedySpec, ...]:
    """Return the remedies that answer a finding in this network, the most promising first.

    Args:
        finding: What was found.
        facts: What is known of the network, its batches and its loss.

    Returns:
        Names and arguments; which of them helps is for a study to say. Empty where the table
        holds no row for the condition.
    """
    row = REMEDIES_FOR.get(finding.condition)
    return row.remedies(finding, facts) if row else ()
