"""Where remedies meet: what does not go together, named before training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, final

from fitwell.errors import BadInput
from fitwell.interfaces import Remedy
from fitwell.records import Anatomy, Node, Role

LEAST_BATCH = 8
"""Rows under which the statistics of a batch are mostly noise: the error of batch norm rises from
16 rows down and is a multiple at 2 (Wu & He, "Group Normalization", ECCV 2018, figure 1)."""

_CLIPS = ("ClipNorm", "ClipValue", "AdaptiveClip", "PercentileClip")
_NORMS = ("BatchNorm", "LayerNorm", "GroupNorm")
_MIXERS = ("Mixup", "CutMix")
_RECTIFIERS = frozenset({"relu", "leaky_relu", "prelu", "elu", "gelu", "silu"})


class ConflictWarning(UserWarning):
    """Remedies of a recipe do not go together, or one does not go with the network."""


@final
@dataclass(frozen=True)
class Conflict:
    """Remedies that do not go together, or a remedy that does not go with the network.

    Args:
        remedies: Names of the remedies.
        what: What happens, as a sentence.
        instead: What to do.
    """

    remedies: tuple[str, ...]
    what: str
    instead: str

    def __str__(self) -> str:
        return f"{' and '.join(self.remedies)}: {self.what} {self.instead}"


@final
@dataclass(frozen=True)
class Meeting:
    """What is known of a recipe, and of the network and the batches that it meets.

    Args:
        remedies: The remedies by name.
        anatomy: The treated network; empty if unknown.
        batch_size: Rows in a training batch, or None if unknown.
    """

    remedies: Mapping[str, Remedy]
    anatomy: Anatomy = field(default_factory=lambda: Anatomy(()))
    batch_size: int | None = None

    def among(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return which of the names are there, in this order."""
        return tuple(name for name in names if name in self.remedies)

    def value(self, remedy: str, argument: str) -> Any:
        """Return an argument of a remedy, or None if the remedy is not there."""
        return getattr(self.remedies.get(remedy), argument, None)

    @property
    def batch_norms(self) -> tuple[Node, ...]:
        """The batch normalisations of the network."""
        norms = self.anatomy.of_role(Role.NORMALIZATION)
        return tuple(node for node in norms if node.slug.startswith("batchnorm"))


Rule: TypeAlias = Callable[[Meeting], Iterator[Conflict]]


def stand_ins(meeting: Meeting) -> Iterator[Conflict]:
    """Name remedies that do the same thing in two ways."""
    for names, what, instead in (
        (_CLIPS, "the second clips what the first has clipped already.", "Keep one of them."),
        (_NORMS, "each would normalise the same layers.", "Keep one of them."),
    ):
        found = meeting.among(names)
        if len(found) > 1:
            yield Conflict(found, what, instead)


def dropout_before_batch_norm(meeting: Meeting) -> Iterator[Conflict]:
    """Name dropout that a batch norm follows with no layer between.

    Dropout raises the variance in training alone, so the moving averages are wrong in evaluation
    (Li et al., "Understanding the Disharmony between Dropout and Batch Normalization by Variance
    Shift", CVPR 2019, arXiv:1801.05134).
    """
    for norm in meeting.batch_norms:
        before = _before(meeting.anatomy, norm)
        if before is not None and before.role == Role.DROPOUT:
            yield Conflict(
                meeting.among(("Dropout", "BatchNorm")) or ("Dropout",),
                f"dropout stands right before the batch norm {norm.path}, whose moving averages "
                "then do not fit evaluation.",
                "Put dropout behind it.",
            )
            return


def _before(anatomy: Anatomy, node: Node) -> Node | None:
    """Return what a node works on, looking through shapes and activations."""
    while True:
        producers = anatomy.producers(node)
        if len(producers) != 1:
            return None
        (node,) = producers
        if node.role not in (Role.SHAPE, Role.ACTIVATION):
            return node


def decay_of_normalized_weights(meeting: Meeting) -> Iterator[Conflict]:
    """Name a penalty on weights whose size a norm takes out again.

    There it does not limit the function; it only raises the effective learning rate (van Laarhoven,
    "L2 Regularization versus Batch and Weight Normalization", 2017, arXiv:1706.05350).
    """
    penalties = meeting.among(("L2", "L1"))
    anatomy = meeting.anatomy
    layers = [node for node in anatomy.layers if _is_normalized(anatomy, node)]
    if penalties and layers:
        yield Conflict(
            penalties,
            f"{len(layers)} of {len(anatomy.layers)} layers are followed by a norm, which takes "
            "the size of their weights out again: there it only raises the effective learning "
            "rate.",
            "Tune the learning rate with it.",
        )


def _is_normalized(anatomy: Anatomy, layer: Node) -> bool:
    return any(node.role == Role.NORMALIZATION for node in anatomy.consumers(layer))


def batch_norm_out_of_place(meeting: Meeting) -> Iterator[Conflict]:
    """Name batch norm in a recurrent network, and with few rows in a batch.

    References:
        Laurent et al., "Batch normalized recurrent neural networks", 2015, arXiv:1510.01378.
        Wu & He, "Group Normalization", 2018, arXiv:1803.08494.
    """
    if "BatchNorm" in meeting.remedies and meeting.anatomy.of_role(Role.RECURRENT):
        yield Conflict(
            ("BatchNorm",),
            "the network is recurrent, and its statistics differ from step to step.",
            "Take LayerNorm.",
        )
    there = "BatchNorm" in meeting.remedies or meeting.batch_norms
    if there and meeting.batch_size is not None and meeting.batch_size < LEAST_BATCH:
        yield Conflict(
            ("BatchNorm",),
            f"a batch has {meeting.batch_size} rows, whose mean and variance are mostly noise.",
            f"Take LayerNorm or GroupNorm, or at least {LEAST_BATCH} rows.",
        )


def weights_drawn_for_nothing(meeting: Meeting) -> Iterator[Conflict]:
    """Name initial weights that something else makes irrelevant.

    References:
        Mishkin & Matas, "All you need is a good init", 2015, arXiv:1511.06422 (LSUV).
        He et al., 2015, arXiv:1502.01852 (Xavier under ReLU). Klambauer et al., 2017,
        arXiv:1706.02515 (SELU).
    """
    if "LSUV" in meeting.remedies and meeting.batch_norms:
        yield Conflict(
            ("LSUV", *meeting.among(("BatchNorm",))),
            "batch norm sets the variance of its layers itself, whatever LSUV made of it.",
            "Keep one of them.",
        )
    if {"LSUV", "Initialization"} <= meeting.remedies.keys():
        yield Conflict(
            ("LSUV", "Initialization"), "LSUV draws the same weights anew.", "Keep one of them."
        )
    scheme = meeting.value("Initialization", "scheme") or ""
    kinds = {node.slug for node in meeting.anatomy.of_role(Role.ACTIVATION)}
    rectified = meeting.value("Activation", "kind") in _RECTIFIERS or kinds & {"relu", "leakyrelu"}
    if scheme.startswith("xavier") and rectified:
        yield Conflict(
            ("Initialization", *meeting.among(("Activation",))),
            f"{scheme} halves the variance at every ReLU.",
            "Take he_normal, or auto.",
        )


def self_normalizing(meeting: Meeting) -> Iterator[Conflict]:
    """Name what undoes the self-normalisation of SELU (Klambauer et al., 2017)."""
    others = meeting.among((*_NORMS, "Dropout"))
    if meeting.value("Activation", "kind") == "selu" and others:
        yield Conflict(
            ("Activation", *others),
            "SELU keeps mean and variance level by itself, which norms and plain dropout disturb.",
            "Leave them out, or take another activation.",
        )


def soft_targets_twice(meeting: Meeting) -> Iterator[Conflict]:
    """Name targets that are made soft in two ways (Müller et al., 2019, arXiv:1906.02629)."""
    mixers = meeting.among(_MIXERS)
    if mixers and "LabelSmoothing" in meeting.remedies:
        yield Conflict(
            (*mixers, "LabelSmoothing"),
            "the targets are made soft twice.",
            "Keep one of them, or a smaller amount.",
        )


def stopped_before_the_end(meeting: Meeting) -> Iterator[Conflict]:
    """Name a schedule that an early stop cuts off."""
    schedule = meeting.value("LearningRate", "schedule")
    if "EarlyStopping" in meeting.remedies and schedule not in (None, "constant"):
        yield Conflict(
            ("EarlyStopping", "LearningRate"),
            f"the {schedule} schedule improves most at its end, before which training may stop.",
            "Keep one of them.",
        )


RULES: tuple[Rule, ...] = (
    stand_ins,
    dropout_before_batch_norm,
    decay_of_normalized_weights,
    batch_norm_out_of_place,
    weights_drawn_for_nothing,
    self_normalizing,
    soft_targets_twice,
    stopped_before_the_end,
)
"""Every rule; each yields what it finds."""


def conflicts_of(meeting: Meeting) -> tuple[Conflict, ...]:
    """Return everything that does not go together, in the order of the rules."""
    return tuple(conflict for rule in RULES for conflict in rule(meeting))


def refuse_impossible(remedies: Sequence[Remedy]) -> None:
    """Refuse remedies of which one undoes the other, or cannot take what the other returns.

    A remedy of a trained network does not go with what trains it, or draws it anew. Rows that were
    mixed have two targets, which no second remedy can mix.

    Raises:
        BadInput: If there are both; which, and what to do.
    """
    names = [type(remedy).__name__ for remedy in remedies]
    undone = {
        "FoldBatchNorm": [name for name in names if name not in ("FoldBatchNorm", "Prune")],
        "Prune": [name for name in names if name in ("Initialization", "LSUV", "Shrink")],
    }
    for remedy, others in undone.items():
        if remedy in names and others:
            raise BadInput(
                f"{remedy} is for a trained network and does not go with {', '.join(others)}: "
                f"train first, then apply Recipe({remedy}()) to the trained network."
            )
    mixers = [type(remedy).__name__ for remedy in remedies if remedy.mixes]
    if len(mixers) > 1:
        raise BadInput(
            f"{' and '.join(mixers)} both mix the rows of a batch, and rows are mixed once: keep "
            "one of them."
        )
