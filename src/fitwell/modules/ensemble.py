"""Several networks as one: what they put out, averaged; torch alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Ensemble(nn.Module):
    """Puts out the mean of what several networks put out.

    Args:
        networks: Networks that take the same inputs.
        average: Takes the outputs of all, (networks, rows, ...), and returns their mean
            (rows, ...), as a loss understands it.
    """

    def __init__(self, networks: Iterable[nn.Module], average: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.average = average

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return the mean over the networks."""
        return self.average(torch.stack([network(*args, **kwargs) for network in self.networks]))


def mean_of_logits(outputs: Tensor) -> Tensor:
    """Return the logarithm of the mean probability of every class, given logits of classes."""
    # (networks, rows, classes, ...)
    return F.log_softmax(outputs, 2).logsumexp(0) - math.log(len(outputs))


def mean_of_log_probabilities(outputs: Tensor) -> Tensor:
    """Return the logarithm of the mean probability, given logarithms of probabilities."""
    return outputs.logsumexp(0) - math.log(len(outputs))


def mean_of_log_odds(outputs: Tensor) -> Tensor:
    """Return the logit of the mean probability, given logits of yes or no."""
    return F.logsigmoid(outputs).logsumexp(0) - F.logsigmoid(-outputs).logsumexp(0)


def mean_of_numbers(outputs: Tensor) -> Tensor:
    """Return the mean of the outputs."""
    return outputs.mean(0)
