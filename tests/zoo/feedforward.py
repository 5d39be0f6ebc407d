"""Plain torch: rows of numbers, shared and reparametrised weights, odd inputs and outputs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

from .network import BATCH, Network, random, whole

WIDTH, CLASSES = 12, 3


def rows(count: int = BATCH) -> Tensor:
    return random(count, WIDTH)


class FunctionalMLP(nn.Module):
    """All its activations are calls in ``forward``."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(WIDTH, 16)
        self.two = nn.Linear(16, 16)
        self.three = nn.Linear(16, 16)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.one(x))
        x = torch.sigmoid(self.two(x))
        x = self.three(x).tanh()
        return self.head(F.dropout(x, 0.1, self.training))


class ResidualMLP(nn.Module):
    """Blocks whose output is added to their input."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(WIDTH, 16)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16)) for _ in range(2)
        )
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


class Experts(nn.Module):
    """A gate that weighs the outputs of several networks."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(WIDTH, 3)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(WIDTH, 16), nn.ReLU(), nn.Linear(16, 8)) for _ in range(3)
        )
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.gate(x).softmax(dim=-1)
        found = torch.stack([expert(x) for expert in self.experts], dim=1)
        return self.head(F.relu((weights.unsqueeze(-1) * found).sum(dim=1)))


class TiedAutoencoder(nn.Module):
    """Decodes with the transposed weight that it encodes with."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Linear(WIDTH, 8)
        self.act = nn.Sigmoid()
        self.bias = nn.Parameter(torch.zeros(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.act(self.encode(x)), self.encode.weight.t(), self.bias)


class SharedLayers(nn.Module):
    """One layer and one activation, used several times; one layer under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(WIDTH, 16)
        self.again = nn.Linear(16, 16)
        self.also = self.again
        self.act = nn.Tanh()
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.first(x))
        x = self.act(self.again(x))
        x = self.act(self.also(x))
        return self.head(x)


class Nested(nn.Module):
    """Lists and dictionaries of modules within each other."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(
            {
                "stem": nn.ModuleList([nn.Linear(WIDTH, 16), nn.Sigmoid()]),
                "body": nn.ModuleDict(
                    {"deep": nn.Sequential(nn.Sequential(nn.Linear(16, 16), nn.Tanh()))}
                ),
            }
        )
        self.heads = nn.ModuleList([nn.Linear(16, CLASSES), nn.Linear(16, 1)])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for module in self.parts["stem"]:
            x = module(x)
        x = self.parts["body"]["deep"](x)
        return self.heads[0](x), self.heads[1](x)


class TwoInputs(nn.Module):
    """Takes two arguments and a keyword, and returns a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(10, 8)
        self.numbers = nn.Linear(WIDTH, 8)
        self.mix = nn.Sequential(nn.Linear(16, 16), nn.Sigmoid(), nn.Linear(16, CLASSES))

    def forward(self, words: Tensor, numbers: Tensor, *, scale: Tensor) -> dict[str, Any]:
        both = torch.cat([self.words(words), self.numbers(numbers).sigmoid()], dim=-1)
        scores = self.mix(both * scale)
        return {"scores": scores, "extra": {"both": both, "size": len(words)}}


class Positional(nn.Module):
    """Takes a tuple of two tensors and returns one."""

    def __init__(self) -> None:
        super().__init__()
        self.bilinear = nn.Bilinear(WIDTH, 5, 16)
        self.act = nn.ReLU()
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.act(self.bilinear(x, z))
        return self.head(hidden), hidden


class Branching(nn.Module):
    """Takes one way or the other, by a flag and by its data."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Linear(WIDTH, 16), nn.ReLU())
        self.two = nn.Sequential(nn.Linear(WIDTH, 16), nn.Tanh())
        self.head = nn.Linear(16, CLASSES)
        self.wide = True

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.one(x) if self.wide else self.two(x)
        if bool(x.mean() > 1e6):
            hidden = hidden + self.two(x)
        while bool(hidden.abs().max() > 1e3):
            hidden = hidden / 2
        return self.head(hidden)


class Siamese(nn.Module):
    """Compares two inputs by one network."""

    def __init__(self) -> None:
        super().__init__()
        self.side = nn.Sequential(nn.Linear(WIDTH, 16), nn.ReLU(), nn.Linear(16, 8))
        self.head = nn.Linear(8, 2)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.head((self.side(left) - self.side(right)).abs())


class Graph(nn.Module):
    """Two graph convolutions, with a dense adjacency matrix and functional activations."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(WIDTH, 16, bias=False)
        self.two = nn.Linear(16, 16, bias=False)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, nodes: Tensor, adjacency: Tensor) -> Tensor:
        near = adjacency / adjacency.sum(dim=-1, keepdim=True).clamp(min=1)
        hidden = F.relu(near @ self.one(nodes))
        hidden = F.relu(torch.matmul(near, self.two(hidden)))
        return self.head(hidden.mean(dim=1))


class VAE(nn.Module):
    """A variational autoencoder: draws a code and returns a reconstruction and its bounds."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(WIDTH, 16), nn.ReLU())
        self.mean, self.spread = nn.Linear(16, 4), nn.Linear(16, 4)
        self.decode = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, WIDTH), nn.Sigmoid())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = self.encode(x)
        mean, spread = self.mean(hidden), self.spread(hidden)
        code = mean + torch.randn_like(mean) * (0.5 * spread).exp()
        return self.decode(code), mean, spread


class Gated(nn.Module):
    """A highway block and a gated linear unit."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(WIDTH, 16)
        self.carry, self.change = nn.Linear(16, 16), nn.Linear(16, 16)
        self.sigmoid, self.tanh = nn.Sigmoid(), nn.Tanh()
        self.twice = nn.Linear(16, 32)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.first(x))
        gate = self.sigmoid(self.carry(x))
        x = gate * self.tanh(self.change(x)) + (1 - gate) * x
        return self.head(F.glu(self.twice(x), dim=-1))


class _Centred(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight - weight.mean()


def mlp(act: Callable[[], nn.Module], depth: int = 2, **options: Any) -> nn.Sequential:
    """Return layers of 16 units, each with an activation."""
    sizes = [WIDTH, *[16] * depth]
    parts = [
        part
        for low, high in zip(sizes, sizes[1:], strict=False)
        for part in (nn.Linear(low, high, **options), act())
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


def plain(name: str, build: Callable[[], nn.Module], example: Callable[[], object] = rows, *,
          classes: str = "self", slow: bool = False) -> Network:
    """Return a network that takes rows and classifies them, unless said otherwise."""
    return Network(name, "plain torch: rows", build, example, classes=classes, slow=slow)


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
    plain("MLP, compiled (inductor)", lambda: torch.compile(mlp(nn.Tanh)), slow=True),
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
