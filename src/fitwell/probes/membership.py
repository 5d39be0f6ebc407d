"""Which parameters are trained, by what settings, and whether modes matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor, nn


@final
class Membership:
    """Tells which parameters nobody trains, whenever it is asked.

    A parameter that none of the optimizers holds is forgotten only if it has not been written to
    since this object was made: another optimizer may train it.

    Args:
        model: The network.
        optimizers: What trains it, as far as known.
    """

    def __init__(self, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer] = ()) -> None:
        self._model, self._optimizers = model, tuple(optimizers)
        self._versions = {name: _version(p) for name, p in model.named_parameters()}
        self._frozen = {n for n, p in model.named_parameters() if not p.requires_grad}

    def facts(self) -> dict[str, Any]:
        """Return the fields of :class:`fitwell.records.Facts` that follow."""
        groups = [group for o in self._optimizers for group in o.param_groups]
        held = {id(p) for p in held_by(*self._optimizers)}
        named = list(self._model.named_parameters())
        dropout = dropout_of(self._model)
        return {
            "forgotten": tuple(
                name
                for name, p in named
                if groups
                and p.requires_grad
                and id(p) not in held
                and self._versions.get(name) == _version(p)
            ),
            "frozen": tuple(n for n, p in named if not p.requires_grad and n in self._frozen),
            "mode_matters": dropout > 0 or _tracks(self._model),
            "dropout": dropout,
            "weight_decay": max((float(g.get("weight_decay") or 0) for g in groups), default=0.0),
            "momentum": max((_momentum(g) for g in groups), default=0.0),
        }


def held_by(*optimizers: torch.optim.Optimizer) -> list[Tensor]:
    """Return the parameters that optimizers hold, in order."""
    return [p for o in optimizers for group in o.param_groups for p in group["params"]]


def dropout_of(model: nn.Module) -> float:
    """Return the largest rate at which a module of a network drops values at random."""
    rates = [0.0]
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            rates.append(float(module.p))
        elif isinstance(module, (nn.RNNBase, nn.MultiheadAttention)):
            rates.append(float(module.dropout))
    return max(rates)


def _tracks(model: nn.Module) -> bool:
    kinds = nn.modules.batchnorm._NormBase
    return any(isinstance(m, kinds) and m.running_mean is not None for m in model.modules())


def _momentum(group: dict[str, Any]) -> float:
    betas = group.get("betas") or (0.0,)
    return float(group.get("momentum") or betas[0])


def _version(parameter: nn.Parameter) -> int:
    """How often a parameter was written to in place."""
    return int(parameter._version)
