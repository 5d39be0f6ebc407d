"""Which remedies the zoo tries: every registered one, some with several arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fitwell.interfaces import Remedy
from fitwell.remedies import REMEDIES

_ARGUMENTS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "Activation": ({"kind": "relu"}, {"kind": "leaky_relu"}, {"kind": "prelu"}, {"kind": "selu"}),
    "Augment": ({}, {"kind": "bag"}),
    "ClipNorm": ({"max_norm": 0.1},),
    "ClipValue": ({"max_value": 0.01},),
    "Dropout": ({"rate": 0.2}, {"rate": 0.2, "kind": "spatial"}, {"kind": "variational"}),
    "EarlyStopping": ({"patience": 1},),
    "Initialization": (
        *({}, {"scheme": "xavier_uniform"}, {"scheme": "orthogonal"}),
        {"zero_init_residual": True},
    ),
    "L1": ({"strength": 1e-4},),
    "LearningRate": ({"warmup": 2}, {"schedule": "cosine", "warmup": 1, "steps": 9}),
    "Shrink": ({}, {"width": 1.0, "layers": 1}),
    "WeightAverage": ({}, {"kind": "swa"}),
}
"""Arguments to try, by remedy; a remedy that is not here is tried as it is by default."""


def remedies() -> tuple[Remedy, ...]:
    """Return every remedy of the registry, once for each of its arguments to try."""
    return tuple(
        remedy(**arguments)
        for name, remedy in REMEDIES.items()
        for arguments in _ARGUMENTS.get(name, ({},))
    )
