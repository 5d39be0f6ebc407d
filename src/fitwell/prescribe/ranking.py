"""Which remedies answer which condition in which network, the most promising first.

The orders come from single remedies tried on small real runs: digits read as rows and as sequences
by networks of 2 to 20 layers with sigmoid, tanh and ReLU, under SGD and AdamW, each with one fault.
What decided was seen in all of them:

- behind sigmoids, only a normalisation repairs a gradient that vanishes, whatever the optimizer
  (accuracy 0.87 to 0.95 where new weights leave 0.09, another activation 0.09 to 0.93);
- weights of a wrong size are repaired by new ones (0.96 in shallow networks, 0.89 to 0.94 in deep
  ones under AdamW, where a normalisation gives 0.12 to 0.91; in the fault corpus 10 of 12 runs
  reach the outcome of their sound twins). Where weights as PyTorch makes them let signals fade over
  depth, SGD needs a normalisation (0.74 to 0.94; new weights 0.10 to 0.38);
- units that were born dead are repaired by new weights and zero biases (0.96), units that a step
  has killed by a lower rate (0.91 to 0.95; new weights 0.09 to 0.27);
- a rate that is too high is repaired by one that is usual for the optimizer (0.92 to 0.97), and
  under SGD next by clipping at a tenth (0.86 to 0.95), under Adam by batch norm (0.88 to 0.95);
- recurrent weights that are too large are repaired by new ones (0.93 to 0.96), next by a layer
  norm (0.66 to 0.94); clipping helps less (0.42 to 0.73).
"""

from __future__ import annotations

from collections.abc import Iterable

from fitwell.records import Facts, Finding, RemedySpec

Specs = tuple[RemedySpec, ...]

SMALL_BATCH = 16
"""Below this many rows in a batch, batch norm is not named: batch statistics of few rows are noise
(Wu and He, "Group normalization", ECCV 2018, shows the loss from 16 down)."""

DEEP = 6
"""From so many hidden layers on, new weights alone do not repair what depth does under SGD."""

USUAL_RATES = (0.003, 0.03, 0.1)
"""Learning rates that suit most networks: adaptive optimizers, SGD with momentum, and without. A
rate that was found too high or too low is moved there, by a factor of ten at least."""

_ADAPTIVE = ("adam", "rmsprop", "adagrad", "adadelta", "lion", "adafactor", "lamb", "nadam")
_INIT, _LSUV = RemedySpec("Initialization"), RemedySpec("LSUV")
_FINER_CLIPS = tuple(RemedySpec(n) for n in ("ClipValue", "AdaptiveClip", "PercentileClip"))


def is_recurrent(facts: Facts) -> bool:
    """Whether a layer of the network feeds on its own output."""
    return any(layer.role == "recurrent" for layer in facts.layers)


def is_adaptive(facts: Facts) -> bool:
    """Whether the optimizer scales every weight's step by that weight's own gradients."""
    return any(name in facts.optimizer.lower() for name in _ADAPTIVE)


def norm(facts: Facts) -> Specs:
    """Batch norm; for small batches group or layer norm; for recurrent networks layer norm.

    None where the network is normalised already.
    """
    hidden = [layer for layer in facts.layers if layer.role in ("hidden", "recurrent")]
    if not hidden or all(layer.normalized for layer in hidden):
        return ()
    if is_recurrent(facts):
        return (RemedySpec("LayerNorm"),)
    if 0 < facts.batch_size < SMALL_BATCH:
        # Channels of an image are best taken in groups, units of a row together.
        maps = any(layer.kind.startswith("Conv") for layer in hidden)
        return (RemedySpec("GroupNorm" if maps else "LayerNorm"),)
    return (RemedySpec("BatchNorm"),)


def activation(facts: Facts) -> Specs:
    """ReLU, where a sigmoid or tanh between layers can be replaced."""
    return (RemedySpec("Activation"),) if _between(facts) & {"sigmoid", "tanh"} else ()


def clip(facts: Facts) -> RemedySpec:
    """A clipping that takes effect: steps of SGD are as large as the gradient is."""
    return RemedySpec("ClipNorm", {} if is_adaptive(facts) else {"max_norm": 0.1})


def rate(finding: Finding, facts: Facts, *, lower: bool) -> RemedySpec:
    """A learning rate that is usual for the optimizer; ten times another where none is known.

    Args:
        finding: Its evidence may hold the ``rate`` of the run.
        facts: What is known of the optimizer.
        lower: Whether the rate was too high, and not too low.
    """
    now = finding.evidence.get("rate", 0.0)
    factor = _usual(facts) / now if now > 0 else 0.1 if lower else 10.0
    factor = min(factor, 0.1) if lower else max(factor, 10.0)
    return RemedySpec(
        "LearningRate", {"factor": float(f"{min(max(factor, 1e-6), 1e6):.1g}"), "warmup": 0}
    )


def for_first_weights(finding: Finding, facts: Facts) -> Specs:
    """New weights; a normalisation first behind sigmoids, and where depth alone fades signals."""
    if "alike" in finding.evidence:
        return (_INIT, _LSUV)
    if is_recurrent(facts):
        return (_INIT, *norm(facts), RemedySpec("ClipNorm"), _LSUV)
    if "sigmoid" in _between(facts) and _depth(facts) > 2:
        return _once((*norm(facts), *activation(facts), _INIT, _LSUV))
    if is_adaptive(facts):
        return _once((_INIT, _LSUV, *norm(facts), *activation(facts)))
    fades = set(finding.evidence) & {"factor", "growth", "fall"} == {"fall"}
    if fades and _depth(facts) >= DEEP:
        return _once((*norm(facts), _INIT, _LSUV, *activation(facts)))
    return _once((_INIT, *norm(facts), _LSUV, *activation(facts)))


def for_explosion(finding: Finding, facts: Facts) -> Specs:
    """New weights where it was there before the first step, else a lower rate and clipping."""
    warm = RemedySpec("LearningRate")
    if finding.since and not is_recurrent(facts):
        lower = rate(finding, facts, lower=True)
        return _once((lower, clip(facts), *norm(facts), _INIT, *_FINER_CLIPS))
    if is_recurrent(facts):
        clipped = (RemedySpec("ClipNorm"), *_FINER_CLIPS)
        if finding.since:
            return _once((*clipped[:1], _INIT, *norm(facts), *clipped, warm))
        high = finding.evidence.get("rate", 0.0) >= _usual(facts)
        slower = (rate(finding, facts, lower=True),) if high else ()
        return _once((_INIT, *norm(facts), *slower, *clipped, warm))
    weights = for_first_weights(finding, facts)
    return _once((*weights, RemedySpec("ClipNorm"), *_FINER_CLIPS, warm))


def for_vanishing(finding: Finding, facts: Facts) -> Specs:
    """A normalisation, or new weights where ReLU or tanh and an adaptive optimizer are at work."""
    if is_recurrent(facts):
        return _once((_INIT, *norm(facts), RemedySpec("ClipNorm")))
    batches = any(spec.name == "BatchNorm" for spec in norm(facts))
    if "sigmoid" in _between(facts):
        both = (*norm(facts), *activation(facts))
        return _once((*(both if batches else both[::-1]), _INIT, _LSUV))
    if is_adaptive(facts) or not batches:
        return _once((_INIT, _LSUV, *norm(facts), *activation(facts)))
    return _once((*norm(facts), _INIT, _LSUV, *activation(facts)))


def for_dead(finding: Finding, facts: Facts) -> Specs:
    """New weights and zero biases for units born dead, a lower rate for those killed by a step."""
    leaky = RemedySpec("Activation", {"kind": "leaky_relu"})
    if born(finding, "dead_share"):
        return _once((_INIT, *norm(facts), leaky, _LSUV))
    return _once((rate(finding, facts, lower=True), *norm(facts), clip(facts), leaky, _INIT))


def for_saturation(finding: Finding, facts: Facts) -> Specs:
    """New weights for units saturated from the start, a lower rate for those driven there."""
    if born(finding, "saturated_share"):
        return _once((_INIT, *norm(facts), _LSUV, *activation(facts)))
    return _once((rate(finding, facts, lower=True), clip(facts), *norm(facts), _INIT))


def for_broken(finding: Finding, facts: Facts) -> Specs:
    """Nothing where the data are broken; else what keeps numbers small.

    Clipping first: it also skips a step whose gradient is not finite. Where a few texts without a
    word gave NaN (fault corpus), it led to 0.72, the sound twin to 0.70, and a lower rate to NaN.
    """
    if {"inputs", "targets"} & set(finding.evidence):
        return ()
    return _once((clip(facts), rate(finding, facts, lower=True), *norm(facts), _INIT))


def for_unscaled(finding: Finding, facts: Facts) -> Specs:
    """The inputs themselves; what softens their effect next."""
    return _once((RemedySpec("ScaleInputs"), *norm(facts), clip(facts)))


def for_high_rate(finding: Finding, facts: Facts) -> Specs:
    """A lower rate; then clipping under SGD, a normalisation under an adaptive optimizer."""
    second = (*norm(facts), clip(facts)) if is_adaptive(facts) else (clip(facts), *norm(facts))
    return _once((rate(finding, facts, lower=True), *second))


def for_low_rate(finding: Finding, facts: Facts) -> Specs:
    """A higher rate."""
    return _once((rate(finding, facts, lower=False), *norm(facts)))


def born(finding: Finding, share: str) -> bool:
    """Whether units were dead or saturated before the first update.

    Args:
        finding: On dead or saturated units.
        share: Name of the share in its evidence.
    """
    now, first = finding.evidence.get(share, 1.0), finding.evidence.get("first_share", 1.0)
    return first >= now / 2


def _usual(facts: Facts) -> float:
    adaptive, momentum, plain = USUAL_RATES
    return adaptive if is_adaptive(facts) else momentum if facts.momentum >= 0.8 else plain


def _between(facts: Facts) -> set[str]:
    return {layer.activation for layer in facts.layers if layer.role == "hidden"}


def _depth(facts: Facts) -> int:
    return sum(layer.role == "hidden" and not layer.bypassed for layer in facts.layers)


def _once(specs: Iterable[RemedySpec]) -> Specs:
    """Each remedy once, where it stands first."""
    found: dict[str, RemedySpec] = {}
    for spec in specs:
        found.setdefault(spec.name, spec)
    return tuple(found.values())
