"""Label smoothing for cross entropy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn import functional as F

from fitwell.errors import BadInput, NotApplicable, in_range
from fitwell.interfaces import Plain, Remedy, Stage
from fitwell.records import Anatomy, Edit
from fitwell.remedies.leading import along


@final
@dataclass(frozen=True, slots=True)
class LabelSmoothing(Remedy):
    """Spread a share of each target over all classes, so that the network need not be certain.

    The loss becomes what ``torch.nn.CrossEntropyLoss(label_smoothing=amount)`` gives: (1 - amount)
    times the cross entropy, plus amount times the mean over the classes of -log p. It needs class
    scores ``(batch, classes, *space)`` and a loss that is the mean cross entropy of the batch,
    without class weights.

    Args:
        amount: Share that is spread, in [0, 1].

    Raises:
        ThresholdError: If the amount is out of range.
        NotApplicable: On ``edit``, if the network puts out one number and so has no classes.
        BadInput: On ``on_loss``, if outputs and targets are not those of a classification, or if
            the loss against floating-point targets is not the cross entropy.

    References:
        Szegedy et al., "Rethinking the Inception Architecture", 2016, arXiv:1512.00567.
    """

    stage: ClassVar[Stage] = Stage.LOSS
    doses: ClassVar[tuple[str, ...]] = ("amount",)

    amount: float = 0.1

    def __post_init__(self) -> None:
        in_range("amount", self.amount, 0.0, 1.0)

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Change nothing of the network, but refuse one that has no classes."""
        if not any(len(shape) > 1 and shape[1] > 1 for shape in anatomy.outputs):
            raise NotApplicable(
                "Label smoothing needs scores of two classes or more (batch, classes): this "
                f"network puts out {', '.join(map(str, anatomy.outputs)) or 'no tensor'}."
            )
        return ()

    def on_loss(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the smoothed loss."""
        if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor):
            raise BadInput(
                "Label smoothing needs class scores and targets as tensors: got "
                f"{type(outputs).__name__} and {type(targets).__name__}."
            )
        hard = not targets.is_floating_point()
        expected = (outputs.shape[0], *outputs.shape[2:]) if hard else tuple(outputs.shape)
        if outputs.dim() < 2 or tuple(targets.shape) != expected:
            raise BadInput(
                "Label smoothing needs class scores (batch, classes) and class numbers (batch,): "
                f"got outputs {tuple(outputs.shape)} and {targets.dtype} targets "
                f"{tuple(targets.shape)}."
            )
        if not hard:
            _check_cross_entropy(loss, outputs, targets)
        return smooth_labels(loss, outputs, targets, amount=self.amount)

    def plain(self) -> Mapping[str, Plain]:
        """Name the function behind the seam."""
        return {"on_loss": Plain(smooth_labels, {"amount": self.amount}, (along,))}


def _check_cross_entropy(loss: Tensor, outputs: Tensor, targets: Tensor) -> None:
    """Refuse a loss against floating-point targets that is none of classes, as a squared error.

    Targets alone do not tell shares of classes from numbers, so the value of the loss is compared;
    on an accelerator this waits for it, in every step with such targets.
    """
    expected = float(F.cross_entropy(outputs.detach().double(), targets.double()))
    given = float(loss.detach())
    precise = loss.dtype in (torch.float32, torch.float64) and outputs.dtype == loss.dtype
    same = math.isclose(given, expected, rel_tol=1e-3 if precise else 5e-2, abs_tol=1e-3)
    if not same and math.isfinite(given) and math.isfinite(expected):
        raise BadInput(
            "Label smoothing needs the mean cross entropy as the loss: against these "
            f"floating-point targets it is {expected:.4g}, and the loss is {given:.4g}.\n"
            "  a squared error has no labels to smooth: leave LabelSmoothing out"
        )


def smooth_labels(
    loss: Tensor, outputs: Tensor, targets: Tensor, amount: float | Tensor, lead: int = 0
) -> Tensor:
    """Mix a mean cross entropy with the mean of -log p over all classes."""
    # With the classes first, the kernels go along the rows in vector registers.
    scores = outputs.movedim(lead + 1, lead).contiguous()
    uniform = -F.log_softmax(scores, dim=lead).mean(dim=lead).flatten(lead)
    if targets.is_floating_point():
        spread = uniform.mean(dim=-1)
    else:
        counted = (targets != -100).to(uniform.dtype).flatten(lead)
        spread = (uniform * counted).sum(dim=-1) / counted.sum(dim=-1)
    amount = along(amount, loss, lead)
    return (1.0 - amount) * loss + amount * spread
