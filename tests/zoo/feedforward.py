"""Plain torch: rows of numbers, shared and reparametrised weights, odd inputs and outputs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from .network import BATCH, Network, random, whole
from .rows import (
    CLASSES,
    VAE,
    WIDTH,
    Branching,
    Experts,
    FunctionalMLP,
    Gated,
    Graph,
    Nested,
    Positional,
    ResidualMLP,
    SharedLayers,
    Siamese,
    TiedAutoencoder,
    TwoInputs,
)


def rows(count: int = BATCH) -> Tensor:
    return random(count, WIDTH)


class _Centred(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight - weight.mean()


def mlp(act: Callable[[], nn.Module], depth: int = 2, **options: Any) -> nn.Sequential:
    """Return layers of 16 units, each with an activation."""
    sizes = [WIDTH, *[16] * depth]
    parts = [
        part for low, high in pairwise(sizes) for part in (nn.Linear(low, high, **options), act())
    ]
    return nn.Sequential(*parts, nn.Linear(16, CLASSES, **options))


def _named() -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            [
                *[("one", nn.Linear(WIDTH, 16)), ("norm", nn.BatchNorm1d(16)), ("act", nn.ReLU())],
                *[("drop", nn.Dropout(0.2)), ("two", nn.Linear(16, 16)), ("act2", nn.GELU())],
                *[("norm2", nn.LayerNorm(16)), ("head", nn.Linear(16, CLASSES))],
            ]
        )
    )


def _weight_normed() -> nn.Module:
    network = mlp(nn.ReLU)
    for index in (0, 2):
        parametrizations.weight_norm(network[index])
    return network


def _spectral() -> nn.Module:
    network = mlp(nn.LeakyReLU)
    for index in (0, 2):
        parametrizations.spectral_norm(network[index])
    return network


def _parametrized() -> nn.Module:
    network = mlp(nn.Sigmoid)
    parametrizations.orthogonal(network[2])
    parametrize.register_parametrization(network[0], "weight", _Centred())
    return network


def _frozen() -> nn.Module:
    network = nn.Sequential(
        OrderedDict(
            backbone=nn.Sequential(
                *(nn.Linear(WIDTH, 16), nn.BatchNorm1d(16), nn.ReLU()),
                *(nn.Linear(16, 16), nn.ReLU()),
            ),
            head=nn.Sequential(nn.Linear(16, 16), nn.Sigmoid(), nn.Linear(16, CLASSES)),
        )
    )
    network.backbone.requires_grad_(False).eval()
    return network


def _mapping() -> dict[str, Tensor]:
    return {"words": whole(10, BATCH), "numbers": rows(), "scale": torch.ones(BATCH, 1)}


def _graph() -> tuple[Tensor, Tensor]:
    return random(BATCH, 6, WIDTH), (random(BATCH, 6, 6) > 0).float()


def plain(
    name: str,
    build: Callable[[], nn.Module],
    example: Callable[[], object] = rows,
    *,
    classes: str = "self",
) -> Network:
    """Return a network that takes rows and classifies them, unless said otherwise."""
    return Network(name, "plain torch: rows", build, example, classes=classes)


FEEDFORWARD = (
    plain("MLP, ReLU modules", lambda: mlp(nn.ReLU)),
    plain("MLP, functional activations", FunctionalMLP),
    plain("MLP, six sigmoid layers", lambda: mlp(nn.Sigmoid, depth=6)),
    plain("MLP, normalised, named", _named),
    plain("MLP, ReLU in place", lambda: mlp(lambda: nn.ReLU(inplace=True))),
    plain("MLP, PReLU", lambda: mlp(nn.PReLU)),
    plain("MLP, no biases, SELU", lambda: mlp(nn.SELU, bias=False)),
    plain("MLP, float64", lambda: mlp(nn.Tanh).double(), lambda: rows().double()),
    plain("MLP, bfloat16", lambda: mlp(nn.Tanh).bfloat16(), lambda: rows().bfloat16()),
    plain("MLP, compiled (eager)", lambda: torch.compile(mlp(nn.Tanh), backend="eager")),
    plain("MLP, compiled (inductor)", lambda: torch.compile(mlp(nn.Tanh))),
    plain("Linear model", lambda: nn.Linear(WIDTH, CLASSES)),
    plain("Linear regression", lambda: nn.Sequential(nn.Linear(WIDTH, 1)), classes=""),
    plain("Residual MLP", ResidualMLP),
    plain("Mixture of experts", Experts),
    plain("Gated MLP", Gated),
    plain("Autoencoder, tied weights", TiedAutoencoder, classes=""),
    plain("Variational autoencoder", VAE, classes=""),
    plain("Shared layers", SharedLayers),
    plain("Nested containers", Nested, classes=""),
    plain("Keyword inputs, dictionary output", TwoInputs, _mapping, classes="scores"),
    plain("Two inputs, tuple output", Positional, lambda: (rows(), random(BATCH, 5)), classes=""),
    plain("Control flow", Branching),
    plain("Siamese pair", Siamese, lambda: (rows(), random(BATCH, WIDTH, seed=4))),
    plain("Graph convolutions", Graph, _graph),
    plain("Weight norm", _weight_normed),
    plain("Spectral norm", _spectral),
    plain("Parametrised weights", _parametrized),
    plain("Frozen backbone", _frozen),
)
