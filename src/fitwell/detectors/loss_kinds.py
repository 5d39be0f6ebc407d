"""Which kind of loss a name stands for, however torch, Keras or the user spells it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

LossKind: TypeAlias = Literal["classes", "binary", "squared", "absolute", ""]
"""Cross entropy over exclusive classes, cross entropy of each unit by itself, squared error,
absolute error (or one that grows like it), or something else."""

_ABSOLUTE = ("mae", "l1", "l1loss", "meanabsoluteerror")

_KINDS: Mapping[str, LossKind] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                *("crossentropy", "nll", "nllloss", "crossentropyloss"),
                *("categoricalcrossentropy", "sparsecategoricalcrossentropy"),
            ),
            "classes",
        ),
        **dict.fromkeys(
            (
                *("binarycrossentropy", "bce", "bceloss", "bcewithlogits", "bcewithlogitsloss"),
                "binarycrossentropywithlogits",
            ),
            "binary",
        ),
        **dict.fromkeys(("mse", "mseloss", "meansquarederror", "squarederror"), "squared"),
        **dict.fromkeys(
            (
                *(*_ABSOLUTE, "huber", "huberloss"),
                *("smoothl1", "smoothl1loss", "logcosh"),
            ),
            "absolute",
        ),
    }
)


def loss_kind(name: str) -> LossKind:
    """Return the kind that a loss is of, by its name; "" where the name is not a known one."""
    return _KINDS.get(_bare(name), "")


def is_absolute(name: str) -> bool:
    """Whether a loss is the absolute error itself, not one that only grows like it."""
    return _bare(name) in _ABSOLUTE


def _bare(name: str) -> str:
    return name.lower().replace("_", "").replace(" ", "")
