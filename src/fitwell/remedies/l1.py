"""L1 penalty: weights that are exactly zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, final

import torch
from torch import Tensor
from torch.nn import functional as F

from fitwell.errors import in_range
from fitwell.interfaces import Plain, Remedy, Stage
from fitwell.remedies.leading import along

if TYPE_CHECKING:
    from fitwell.interfaces import Tensors


@final
@dataclass(frozen=True, slots=True)
class L1(Remedy):
    """Add λ Σ|w| to the cost, by a proximal step after each update.

    The step draws every weight towards zero by rate · λ and stops there: weights that the data do
    not hold up are exactly zero, which the gradient of |w| alone never reaches. Biases and
    normalisation are not penalised. An optimizer with momentum μ goes 1 / (1 - μ) times as far as
    its rate says, so that λ counts for 1 - μ of itself. One that scales every gradient by its own
    size, as Adam does, goes as far for a small gradient as for a large one, and λ is then no weight
    in a cost: it is how far a weight is drawn back in each step, in units of the rate.
    ``Treated.unused_inputs()`` names the input features that only zeros read.

    Args:
        strength: λ, in [0, 1000].

    Raises:
        ThresholdError: If the strength is out of range.

    References:
        Tibshirani, "Regression Shrinkage and Selection via the Lasso", JRSS B 1996.
        Beck & Teboulle, "A Fast Iterative Shrinkage-Thresholding Algorithm", 2009.
    """

    stage: ClassVar[Stage] = Stage.UPDATE
    scope: ClassVar[Literal["weights", "all"]] = "weights"
    doses: ClassVar[tuple[str, ...]] = ("strength",)

    strength: float = 1e-4

    def __post_init__(self) -> None:
        in_range("strength", self.strength, 0.0, 1000.0)

    def after_update(self, parameters: Tensors, rate: float | Tensor) -> Tensors:
        """Return the weights after soft-thresholding at rate · λ."""
        return soft_threshold(parameters, rate, strength=self.strength)

    def plain(self) -> Mapping[str, Plain]:
        """Name the function behind the seam."""
        return {"after_update": Plain(soft_threshold, {"strength": self.strength}, (along,))}


def soft_threshold(
    parameters: Mapping[str, Tensor],
    rate: float | Tensor,
    strength: float | Tensor,
    lead: int = 0,
) -> dict[str, Tensor]:
    """Draw every value towards zero by rate * strength, and stop at zero."""
    step = rate * strength
    if not isinstance(step, Tensor):
        return {name: F.softshrink(value, step) for name, value in parameters.items()}
    drawn = {}
    for name, value in parameters.items():
        limit = along(step, value, lead)
        inside = torch.maximum(value, -limit)
        drawn[name] = value - torch.minimum(inside, limit, out=inside)
    return drawn
