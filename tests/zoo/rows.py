"""Plain torch: the modules of networks that take rows of numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, CLASSES = 12, 3


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
