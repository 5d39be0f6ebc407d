"""First weights that give every layer outputs of variance 1, by measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from fitwell.errors import NotApplicable, ThresholdError, in_range
from fitwell.interfaces import Remedy, Stage
from fitwell.records import Anatomy, Edit, Initialize, LevelOutputs, Node
from fitwell.remedies.places import feeds_itself, is_convolution, is_linear


@final
@dataclass(frozen=True, slots=True)
class LSUV(Remedy):
    """Draw orthonormal weights, then scale them layer by layer until the outputs have variance 1.

    The variance is that of all values which a layer puts out for a batch of training rows (the
    example input, where no rows are given); each layer sees what the layers before it make of the
    batch after they were scaled. Biases become zero. Layers that feed on their own output,
    attention, embeddings and weights that are shared or computed from others keep theirs.

    Args:
        tolerance: How far from 1 a variance may stay, in (0, 1].
        rounds: How often the weights of a layer are scaled at most; at least 1.

    Raises:
        ThresholdError: If an argument is out of range.
        NotApplicable: On ``edit``, if there is no layer to scale. On ``apply``, if the output of a
            layer is the same for the whole batch, so that no factor gives it a variance.

    References:
        Mishkin & Matas, "All you need is a good init", 2015, arXiv:1511.06422; there the tolerance
        is 0.1 and there are 10 rounds.
    """

    stage: ClassVar[Stage] = Stage.INITIALIZATION

    tolerance: float = 0.05
    rounds: int = 10

    def __post_init__(self) -> None:
        in_range("tolerance", self.tolerance, 0.0, 1.0, open_low=True)
        in_range("rounds", self.rounds, 1, 1_000)
        if not isinstance(self.rounds, int):
            raise ThresholdError(f"rounds must be a whole number, got {self.rounds!r}.")

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Draw every weight once, then scale the layers in the order in which they run."""
        edits: list[Edit] = []
        paths: list[str] = []
        left: list[str] = []
        kept = {n for node in anatomy.nodes if "embedding" in node.slug for n in node.parameters}
        for layer in anatomy.layers:
            names = {name.rpartition(".")[2]: name for name in layer.parameters}
            reason = _objection(anatomy, layer, kept)
            if reason:
                left.append(f"{layer.path or layer.kind} keeps its weights: {reason}")
                continue
            kept |= set(layer.parameters)
            paths.append(layer.path)
            edits.append(Initialize(names["weight"], "orthogonal_"))
            if "bias" in names:
                edits.append(Initialize(names["bias"], "zeros_"))
        if not paths:
            raise NotApplicable(
                "No linear layer or convolution found whose output could be scaled.\n  "
                + ("\n  ".join(left) or "the network has no layers")
            )
        return [*edits, LevelOutputs(tuple(paths), self.tolerance, self.rounds, tuple(left))]


def _objection(anatomy: Anatomy, layer: Node, kept: set[str]) -> str:
    """Say why the weights of a layer stay, or ""."""
    names = {name.rpartition(".")[2] for name in layer.parameters}
    if layer.functional or not (is_linear(layer) or is_convolution(layer)):
        return f"it is of kind {layer.kind}"
    if "weight" not in names:
        return "they are computed from others"
    if kept & set(layer.parameters):
        return "they are shared"
    if feeds_itself(anatomy, layer):
        return "it feeds on its own output"
    return ""
