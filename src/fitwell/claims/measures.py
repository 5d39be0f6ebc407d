"""What is measured of a trained network: its weights, biases left out, and its outputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def weights(model: nn.Module) -> Tensor:
    """Return the weights of all layers as one row, without the biases."""
    every = [p.detach().flatten() for name, p in model.named_parameters() if "weight" in name]
    return torch.cat(every)


def zeros(model: nn.Module) -> float:
    """Return the share of the weights that are exactly zero."""
    return float((weights(model) == 0).double().mean())


def size(model: nn.Module) -> float:
    """Return the root mean square of the weights."""
    return float(weights(model).double().square().mean().sqrt())


def unread(model: nn.Module) -> Tensor:
    """Return of every input feature whether all the weights that read it are exactly zero."""
    first = next(layer for layer in model.modules() if isinstance(layer, nn.Linear))
    return (first.weight.detach() == 0).all(dim=0)


def distance(outputs: Tensor, to: Tensor) -> float:
    """Return how far outputs are from others, as a share of the size of those."""
    return float((outputs - to).norm() / to.norm())


def accuracy(outputs: Tensor, classes: Tensor) -> float:
    """Return the share of the rows whose largest output is that of their class."""
    return float((outputs.argmax(dim=1) == classes).double().mean())
