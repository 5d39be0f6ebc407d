"""Batch norm taken into the weights beside it, once training is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar, final

from torch import nn

from fitwell.errors import NotApplicable
from fitwell.interfaces import Remedy, Stage
from fitwell.records import Anatomy, Edit, FoldNorm, Node, Role
from fitwell.remedies.places import calls, is_convolution, is_linear

_PLAIN = "Linear Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d".split()


@final
@dataclass(frozen=True, slots=True)
class FoldBatchNorm(Remedy):
    """Take every batch norm into the linear layer or convolution beside it.

    For a trained network: in evaluation batch norm is a scale and a shift, which the weights before
    it can hold as well, so that predicting is as fast as without. Outputs stay the same. A norm
    before a layer is taken in too, where that is exact: not before a convolution that pads with
    zeros, which the shift would have to reach as well. An identity stands in the place of the norm.
    How long a forward pass takes, before and after, is measured and told.

    Raises:
        NotApplicable: On ``edit``, if there is no batch norm that can be taken in; each with the
            reason.

    References:
        Ioffe & Szegedy, "Batch Normalization", 2015, arXiv:1502.03167.
        Jacob et al., 2018, arXiv:1712.05877, section 3.2 (folding).
    """

    stage: ClassVar[Stage] = Stage.NORMALIZATION

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Fold every norm into the layer before it, or into the one behind it."""
        edits: list[Edit] = []
        reasons: list[str] = []
        for norm in anatomy.of_role(Role.NORMALIZATION):
            if norm.call or "batchnorm" not in norm.slug:
                continue
            reason = _objection(anatomy, norm)
            before = reason or _before(anatomy, norm)
            after = reason or _after(anatomy, norm)
            if isinstance(before, Node):
                edits.append(FoldNorm(before.path, norm.path))
            elif isinstance(after, Node):
                edits.append(FoldNorm(after.path, norm.path, first=True))
            else:
                reasons.append(f"{norm.path or norm.kind} {reason or f'{before}, and {after}'}")
        if not edits:
            raise NotApplicable(
                "No batch norm found that a layer could take into its weights.\n  "
                + ("\n  ".join(reasons) or "the network has no batch norm")
            )
        return edits


def _objection(anatomy: Anatomy, norm: Node) -> str:
    """Say why a norm can be taken in by no layer, or ""."""
    if norm.functional or not hasattr(nn, norm.kind):
        return f"is of kind {norm.kind}, not torch's own module"
    if not norm.settings.get("track_running_stats", True):
        return "has no running statistics"
    if len(calls(anatomy, norm.path)) > 1:
        return "is called several times"
    return ""


def _before(anatomy: Anatomy, norm: Node) -> Node | str:
    """Return the layer before a norm that can take it in, or say why there is none."""
    producers = anatomy.producers(norm)
    if len(producers) != 1 or producers[0].role != Role.LAYER:
        return "does not follow a layer directly"
    (layer,) = producers
    return _reason(anatomy, layer, norm, alone=len(anatomy.consumers(layer)) == 1) or layer


def _after(anatomy: Anatomy, norm: Node) -> Node | str:
    """Return the layer behind a norm that can take it in, or say why there is none."""
    consumers = anatomy.consumers(norm)
    if len(consumers) != 1 or consumers[0].role != Role.LAYER:
        return "no layer follows it directly"
    (layer,) = consumers
    reason = _reason(anatomy, layer, norm, alone=len(layer.inputs) == 1)
    if not reason and layer.kind.startswith("ConvTranspose"):
        reason = f"{layer.path} adds up its shift differently at the borders"
    if not reason and is_convolution(layer) and _pads_with_zeros(layer):
        reason = f"{layer.path} pads with zeros, which its shift does not reach"
    return reason or layer


def _pads_with_zeros(layer: Node) -> bool:
    padding = layer.settings.get("padding", 0)
    if padding == "same":
        padding = (prod(layer.settings["kernel_size"]) - 1,)
    some = padding != "valid" and any(padding if isinstance(padding, tuple) else (padding,))
    return some and layer.settings.get("padding_mode", "zeros") == "zeros"


def _reason(anatomy: Anatomy, layer: Node, norm: Node, *, alone: bool) -> str:
    """Say why a layer beside a norm cannot take it in, or ""."""
    owners = Counter(
        name for node in {n.path: n for n in anatomy.layers}.values() for name in node.parameters
    )
    if layer.functional or layer.kind not in _PLAIN:
        return f"is beside {layer.path or layer.kind}, of kind {layer.kind}"
    if {name.rpartition(".")[2] for name in layer.parameters} - {"weight", "bias"}:
        return f"is beside {layer.path}, whose weights are computed from others"
    if not alone:
        return f"is not the only one that {layer.path} is connected with"
    if len(calls(anatomy, layer.path)) > 1 or any(owners[name] > 1 for name in layer.parameters):
        return f"is beside {layer.path}, which is used elsewhere too"
    if is_linear(layer) and len(layer.shape) != 2:
        return f"normalises the steps that {layer.path} works on, not its units"
    return ""
