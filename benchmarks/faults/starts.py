"""How a network starts when somebody has set its weights by hand."""

from __future__ import annotations

import torch
from torch import nn


def scaled_weights(model: nn.Module, factor: float, *names: str) -> None:
    """Multiply the weight matrices and kernels of the named layers; of all, by default."""
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv1d | nn.ConvTranspose2d) and (
                not names or name in names
            ):
                module.weight.mul_(factor)


def shifted_biases(model: nn.Module, value: float, *names: str) -> None:
    """Set the biases of the named layers."""
    with torch.no_grad():
        for name, module in model.named_modules():
            if name and name in names:
                module.bias.fill_(value)


def constant_weights(model: nn.Module, value: float) -> None:
    """Set every weight to one value, as a hand-written initialisation does."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.constant_(module.weight, value)
            nn.init.zeros_(module.bias)


def normal_weights(model: nn.Module, deviation: float) -> None:
    """Draw every weight from a normal distribution, biases zero."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=deviation)
            nn.init.zeros_(module.bias)


def he_weights(model: nn.Module) -> None:
    """Draw every weight as He et al. 2015 do for ReLU, biases zero."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)
