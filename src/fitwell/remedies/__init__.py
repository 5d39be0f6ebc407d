"""Remedies: one change each, to the model, its first weights, the batches, the loss or the step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from types import MappingProxyType

from fitwell.errors import BadInput
from fitwell.interfaces import Remedy
from fitwell.records import RemedySpec
from fitwell.remedies.activation import Activation
from fitwell.remedies.adaptive_clip import AdaptiveClip
from fitwell.remedies.augment import Augment
from fitwell.remedies.batch_norm import BatchNorm
from fitwell.remedies.clip_norm import ClipNorm
from fitwell.remedies.clip_value import ClipValue
from fitwell.remedies.cutmix import CutMix
from fitwell.remedies.dropout import Dropout
from fitwell.remedies.early_stopping import EarlyStopping
from fitwell.remedies.fold_batch_norm import FoldBatchNorm
from fitwell.remedies.group_norm import GroupNorm
from fitwell.remedies.initialization import Initialization
from fitwell.remedies.l1 import L1
from fitwell.remedies.l2 import L2
from fitwell.remedies.label_smoothing import LabelSmoothing
from fitwell.remedies.layer_norm import LayerNorm
from fitwell.remedies.learning_rate import LearningRate
from fitwell.remedies.lsuv import LSUV
from fitwell.remedies.mixup import Mixup
from fitwell.remedies.percentile_clip import PercentileClip
from fitwell.remedies.prune import Prune
from fitwell.remedies.scale_inputs import ScaleInputs
from fitwell.remedies.shrink import Shrink
from fitwell.remedies.weight_average import WeightAverage

__all__ = [
    "L1",
    "L2",
    "LSUV",
    "REMEDIES",
    "Activation",
    "AdaptiveClip",
    "Augment",
    "BatchNorm",
    "ClipNorm",
    "ClipValue",
    "CutMix",
    "Dropout",
    "EarlyStopping",
    "FoldBatchNorm",
    "GroupNorm",
    "Initialization",
    "LabelSmoothing",
    "LayerNorm",
    "LearningRate",
    "Mixup",
    "PercentileClip",
    "Prune",
    "ScaleInputs",
    "Shrink",
    "WeightAverage",
    "by_name",
    "from_spec",
]

REMEDIES: Mapping[str, type[Remedy]] = MappingProxyType(
    {
        name: found
        for name, found in sorted(globals().items())
        if isinstance(found, type) and issubclass(found, Remedy) and found is not Remedy
    }
)
"""Every remedy by its name."""


def by_name(name: str) -> type[Remedy]:
    """Return a remedy by its name; ``ClipNorm``, ``clip_norm`` and ``clipnorm`` are one.

    Raises:
        BadInput: If there is none of that name; the nearest one is named.
    """
    plain = {known.lower(): known for known in REMEDIES}
    wanted = name.lower().replace("_", "").replace("-", "")
    if wanted in plain:
        return REMEDIES[plain[wanted]]
    near = get_close_matches(wanted, plain, n=1, cutoff=0.5)
    hint = f" Did you mean {plain[near[0]]}?" if near else ""
    raise BadInput(f"Unknown remedy {name!r}.{hint}\n  known: {', '.join(REMEDIES)}")


def from_spec(spec: RemedySpec) -> Remedy:
    """Make a remedy of its name and arguments.

    Raises:
        BadInput: If the name or an argument is unknown, or an argument is out of range.
    """
    remedy = by_name(spec.name)
    known = [field.name for field in fields(remedy)]  # type: ignore[arg-type]  # all are dataclasses
    for name in spec.args:
        if name not in known:
            raise BadInput(
                f"{remedy.__name__} takes no argument {name!r}: "
                + (f"it takes {', '.join(known)}." if known else "it takes none.")
            )
    return remedy(**spec.args)
