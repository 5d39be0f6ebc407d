"""L2 penalty: small weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, final

import torch
from torch import Tensor

from fitwell.errors import in_range, is_flag
from fitwell.interfaces import Plain, Remedy, Stage
from fitwell.remedies.leading import along

if TYPE_CHECKING:
    from fitwell.interfaces import Tensors


@final
@dataclass(frozen=True, slots=True)
class L2(Remedy):
    """Add ½ λ Σ w² to the cost: weight decay.

    Decoupled, each step ends by shrinking the weights by the factor 1 - rate · λ, whatever the
    optimizer made of the gradient (as AdamW does). Coupled, λ w is added to the gradient, and the
    optimizer scales it like the rest (as SGD and Adam with ``weight_decay`` do); under plain SGD
    both are the same to first order. Weights become small, not zero. Biases and normalisation are
    not penalised.

    Args:
        strength: λ, in [0, 1000].
        decoupled: Whether to shrink after the update, and not through the gradient.

    Raises:
        ThresholdError: If the strength is out of range.
        BadInput: If ``decoupled`` is neither True nor False.

    References:
        Krogh & Hertz, "A Simple Weight Decay Can Improve Generalization", NeurIPS 1991.
        Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2019, arXiv:1711.05101.
    """

    stage: ClassVar[Stage] = Stage.GRADIENT
    scope: ClassVar[Literal["weights", "all"]] = "weights"
    doses: ClassVar[tuple[str, ...]] = ("strength",)

    strength: float = 1e-2
    decoupled: bool = True

    def __post_init__(self) -> None:
        in_range("strength", self.strength, 0.0, 1000.0)
        is_flag("decoupled", self.decoupled)

    def on_gradients(self, gradients: Tensors, parameters: Tensors, memory: Tensors) -> Tensors:
        """Return g + λ w if coupled; else the gradients as they are."""
        if self.decoupled:
            return gradients
        return add_decay(gradients, parameters, memory, strength=self.strength)

    def after_update(self, parameters: Tensors, rate: float | Tensor) -> Tensors:
        """Return (1 - rate · λ) w if decoupled; else the weights as they are."""
        if not self.decoupled:
            return parameters
        return decay(parameters, rate, strength=self.strength)

    def plain(self) -> Mapping[str, Plain]:
        """Name the function behind the seam that acts."""
        if self.decoupled:
            return {"after_update": Plain(decay, {"strength": self.strength}, (along,))}
        return {"on_gradients": Plain(add_decay, {"strength": self.strength}, (along,))}


def add_decay(
    gradients: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    memory: Mapping[str, Tensor],
    strength: float | Tensor,
    lead: int = 0,
) -> dict[str, Tensor]:
    """Add strength times the weight to every gradient."""
    if not gradients:
        return {}
    values, weights = list(gradients.values()), [parameters[name] for name in gradients]
    if isinstance(strength, Tensor):
        strengths = [along(strength, weight, lead) for weight in weights]
        added = torch._foreach_addcmul(values, weights, strengths)
    else:
        added = torch._foreach_add(values, weights, alpha=strength)
    return dict(zip(gradients, added, strict=True))


def decay(
    parameters: Mapping[str, Tensor],
    rate: float | Tensor,
    strength: float | Tensor,
    lead: int = 0,
) -> dict[str, Tensor]:
    """Shrink every value by the factor 1 - rate * strength, which never turns negative."""
    if not parameters:
        return {}
    factor = 1.0 - rate * strength
    values = list(parameters.values())
    if isinstance(factor, Tensor):
        factor = factor.clamp(min=0.0)
        shrunk = torch._foreach_mul(values, [along(factor, value, lead) for value in values])
    else:
        shrunk = torch._foreach_mul(values, max(factor, 0.0))
    return dict(zip(parameters, shrunk, strict=True))
