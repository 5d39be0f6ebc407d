"""Normalisation between a layer and its activation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from fitwell.errors import NotApplicable, in_range
from fitwell.interfaces import Remedy, Stage
from fitwell.records import Anatomy, Edit, InsertAfter, ModuleSpec, Node, Role
from fitwell.remedies.places import calls, follower, is_convolution, is_hidden, is_linear

NAME = "norm"
"""Name of the new module beside the layer that it follows."""


@final
@dataclass(frozen=True, slots=True)
class BatchNorm(Remedy):
    """Normalise what hidden layers put out over the batch, before the activation.

    Each unit (or channel) gets mean β and deviation γ, both learned: from the batch in training,
    from moving averages in evaluation. It stands after linear layers and convolutions that lead
    to an activation; not after the output, a recurrent layer, a layer that is called several times
    in one pass, or a linear layer over the steps of a sequence, whose statistics would be mixed.

    Args:
        momentum: Weight of the newest batch in the moving averages, in (0, 1].
        eps: Added to the variance, in (0, 1].

    Raises:
        ThresholdError: If an argument is out of range.
        NotApplicable: On ``edit``, if no layer can be followed by it; each with the reason.

    References:
        Ioffe & Szegedy, "Batch Normalization", 2015, arXiv:1502.03167.
    """

    stage: ClassVar[Stage] = Stage.NORMALIZATION

    momentum: float = 0.1
    eps: float = 1e-5

    def __post_init__(self) -> None:
        in_range("momentum", self.momentum, 0.0, 1.0, open_low=True)
        in_range("eps", self.eps, 0.0, 1.0, open_low=True)

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Insert one normalisation after every layer that can take it."""
        return _insertions(anatomy, "batch", self._module, self._objection)

    def _module(self, layer: Node) -> ModuleSpec:
        space = len(layer.shape) - 2
        args = {"num_features": _units(layer), **self.spec.args}
        return ModuleSpec(f"BatchNorm{max(space, 1)}d", args)

    @staticmethod
    def _objection(anatomy: Anatomy, layer: Node) -> str:
        if is_linear(layer) and len(layer.shape) != 2:
            return "works on sequences, whose steps would share one statistic: use LayerNorm"
        if len(calls(anatomy, layer.path)) > 1:
            return "is called several times, each with statistics of its own: use LayerNorm"
        return ""


@final
@dataclass(frozen=True, slots=True)
class LayerNorm(Remedy):
    """Normalise what hidden layers put out over the features of each sample, before the activation.

    It does not look at the batch, and so serves small batches and sequences. After a convolution
    it is taken over channels and space together (``GroupNorm(1, channels)``), which keeps one
    scale and one offset a channel.

    Args:
        eps: Added to the variance, in (0, 1].

    Raises:
        ThresholdError: If an argument is out of range.
        NotApplicable: On ``edit``, if no layer can be followed by it; each with the reason.

    References:
        Ba et al., "Layer Normalization", 2016, arXiv:1607.06450.
        Wu & He, "Group Normalization", 2018, arXiv:1803.08494.
    """

    stage: ClassVar[Stage] = Stage.NORMALIZATION

    eps: float = 1e-5

    def __post_init__(self) -> None:
        in_range("eps", self.eps, 0.0, 1.0, open_low=True)

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Insert one normalisation after every layer that can take it."""
        return _insertions(anatomy, "layer", self._module)

    def _module(self, layer: Node) -> ModuleSpec:
        if is_linear(layer):
            return ModuleSpec("LayerNorm", {"normalized_shape": _units(layer), **self.spec.args})
        args = {"num_groups": 1, "num_channels": _units(layer), **self.spec.args}
        return ModuleSpec("GroupNorm", args)


def _units(layer: Node) -> int:
    return int(layer.settings["out_features" if is_linear(layer) else "out_channels"])


def _insertions(
    anatomy: Anatomy,
    kind: str,
    module: Callable[[Node], ModuleSpec],
    objection: Callable[[Anatomy, Node], str] | None = None,
) -> list[Edit]:
    """Return an insertion for every hidden layer that nothing speaks against."""
    edits: list[Edit] = []
    reasons: list[str] = []
    for layer in anatomy.layers:
        reason = _general_objection(anatomy, layer)
        if not reason and objection is not None:
            reason = objection(anatomy, layer)
        if reason:
            reasons.append(f"{layer.path or layer.kind} {reason}")
        else:
            edits.append(InsertAfter(layer.path, NAME, module(layer)))
    if not edits:
        raise NotApplicable(
            f"No hidden layer found that {kind} normalisation could follow.\n  "
            + ("\n  ".join(reasons) or "the network has no layers")
        )
    return edits


def _general_objection(anatomy: Anatomy, layer: Node) -> str:
    """Say why no normalisation may follow a layer, or "" if one may."""
    if layer.role == Role.RECURRENT:
        return "is recurrent: its state cannot be reached from outside"
    if not all(is_hidden(anatomy, call) for call in calls(anatomy, layer.path)):
        return "is the output"
    space = len(layer.shape) - 2
    if layer.functional or not (is_linear(layer) or (is_convolution(layer) and space in (1, 2, 3))):
        return f"is no linear layer or convolution but {layer.kind}"
    activation, normalized = follower(anatomy, layer)
    if normalized:
        return "is followed by a normalisation already"
    if activation is None:
        return "leads to no activation, gates left aside"
    return ""
