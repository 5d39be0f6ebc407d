"""What a loss function and a network tell by themselves of the facts beside a trace."""

from __future__ import annotations

import math
import re

from torch import nn

LOSS_NAMES = {
    "CrossEntropyLoss": "cross_entropy",
    "NLLLoss": "cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy",
    "BCELoss": "binary_cross_entropy",
    "MSELoss": "mse",
    "L1Loss": "mae",
    "nll_loss": "cross_entropy",
    "binary_cross_entropy_with_logits": "binary_cross_entropy",
    "mse_loss": "mse",
    "l1_loss": "mae",
}
"""Class of a loss module, or function of torch, to the name that facts carry."""

EXPECTS = {
    "logits": "CrossEntropyLoss BCEWithLogitsLoss MultiLabelSoftMarginLoss SoftMarginLoss "
    "MultiMarginLoss MultiLabelMarginLoss cross_entropy binary_cross_entropy_with_logits "
    "multilabel_soft_margin_loss multi_margin_loss",
    "probabilities": "BCELoss binary_cross_entropy",
    "log_probabilities": "NLLLoss KLDivLoss CTCLoss nll_loss kl_div ctc_loss",
    "values": "MSELoss L1Loss SmoothL1Loss HuberLoss GaussianNLLLoss PoissonNLLLoss mse_loss "
    "l1_loss smooth_l1_loss huber_loss gaussian_nll_loss poisson_nll_loss",
}
"""What a loss takes as output, to the losses of torch that do, by class or function."""


def expected_output(loss_fn: object) -> str:
    """Return what a loss takes as output: ``"logits"``, ``"values"`` …; "" if unknown."""
    names = {cls.__name__ for cls in type(loss_fn).__mro__} | {getattr(loss_fn, "__name__", "")}
    return next((what for what, losses in EXPECTS.items() if names & {*losses.split()}), "")


def loss_name(loss_fn: object) -> str:
    """Return the name of a loss: of a known module, or of the class or function in snake case."""
    if loss_fn is None:
        return ""
    name = (
        type(loss_fn).__name__
        if isinstance(loss_fn, nn.Module)
        else getattr(loss_fn, "__name__", "")
    )
    plain = name.removesuffix("Loss") or name
    return LOSS_NAMES.get(name) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain).lower()


def chance_of(loss: str, classes: int) -> float | None:
    """Return the loss of a constant guess where it follows from the kind of loss alone.

    For cross entropy over C classes, log C is what equal probabilities cost: with unequal classes
    the best constant does better, so this is an upper bound of the true value.
    """
    if loss == "cross_entropy" and classes > 1:
        return math.log(classes)
    return math.log(2) if loss == "binary_cross_entropy" else None


def classes_of(loss: str, outputs: tuple[int, ...]) -> int:
    """Return the number of classes that an output shape (batch, classes, …) tells, or 0."""
    return outputs[1] if loss == "cross_entropy" and len(outputs) > 1 else 0


def has_noise(model: nn.Module) -> bool:
    """Whether a network in training mode drops values at random."""
    kinds = nn.modules.dropout._DropoutNd
    return any(isinstance(m, kinds) and m.p > 0 for m in model.modules())
