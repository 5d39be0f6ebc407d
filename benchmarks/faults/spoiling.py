"""First weights as they should not be."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def spoil(model: nn.Module, *, only: str = "", **how: float | None) -> nn.Module:
    """Change the first weights of a network in place, and return it.

    Args:
        model: The network.
        only: What the name of a parameter must contain.
        how: ``gain``, which weight matrices are multiplied by; ``recurrent_gain``, the same for
            weights between time steps; ``value`` that all weight matrices hold; ``bias`` that all
            biases hold. None and what is left out changes nothing.
    """
    for name, parameter in model.named_parameters():
        last = name.rpartition(".")[2]
        if only not in name:
            continue
        if "bias" in last:
            _set(parameter, how.get("bias"), None)
        elif last.startswith("weight_hh") or "outer" in name:
            gain = how.get("recurrent_gain")
            _set(parameter, how.get("value"), how.get("gain") if gain is None else gain)
        elif parameter.dim() > 1:
            _set(parameter, how.get("value"), how.get("gain"))
    return model


def _set(parameter: nn.Parameter, value: float | None, gain: float | None) -> None:
    if value is not None:
        parameter.fill_(value)
    if gain is not None:
        parameter.mul_(gain)
