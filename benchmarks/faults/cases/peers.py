"""The seven sick and four healthy small runs that other packages were tried on."""

from __future__ import annotations

from typing import Any

import torch
from benchmarks.faults import data
from benchmarks.faults.case import program
from benchmarks.faults.lab import Lab
from benchmarks.faults.measuring import measured
from benchmarks.faults.starts import he_weights, scaled_weights, shifted_biases
from torch import Tensor, nn


def mlp(depth: int, width: int, act: type[nn.Module], *, norm: str = "") -> nn.Sequential:
    """A plain network of equal layers."""
    parts: list[nn.Module] = [nn.Linear(64, width), act()]
    for _ in range(depth - 1):
        parts.append(nn.Linear(width, width))
        parts += [getattr(nn, norm)(width)] if norm else []
        parts.append(act())
    return nn.Sequential(*parts, nn.Linear(width, 10))


class RowReader(nn.Module):
    """Reads an image row by row."""

    def __init__(self, gain: float | None) -> None:
        super().__init__()
        kind = "tanh" if gain is None else "relu"
        self.rnn = nn.RNN(8, 32, nonlinearity=kind, batch_first=True)
        self.head = nn.Linear(32, 10)
        if gain is not None:
            with torch.no_grad():
                nn.init.eye_(self.rnn.weight_hh_l0).mul_(gain)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.rnn(x.reshape(len(x), -1, 8))
        return self.head(states[:, -1])


def train(
    lab: Lab,
    model: Any,
    rate: float,
    *,
    rows: int = 1200,
    batch: int = 32,
    epochs: int = 5,
    momentum: float = 0.9,
) -> dict[str, float]:
    """The same loop for all of them."""
    x, y = data.table("digits")
    (x, y), validation = data.split((x / 16, y), rows, 500, lab.seed)
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum)
    loss_fn: Any = nn.CrossEntropyLoss()
    model, optimizer, loss_fn = lab.prepare(model, optimizer, loss_fn, x[:batch])
    with lab.watch(model, optimizer, loss_fn):
        for _ in range(epochs):
            model.train()
            for inputs, labels in data.batches((x, y), batch):
                inputs, labels = lab.batch(inputs, labels)
                optimizer.zero_grad()
                loss = loss_fn(model(inputs), labels)
                loss.backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                if lab.should_stop(float(loss_fn(model(validation[0]), validation[1]))):
                    break
    return measured(lab.finished(model), nn.CrossEntropyLoss(), val=validation, train=(x, y))


@program("mlp", "classification", split="held-out")
def peers_mlp(
    lab: Lab,
    *,
    act: str = "ReLU",
    depth: int = 3,
    width: int = 64,
    weights: float = 1.0,
    dead: tuple[str, ...] = (),
    rate: float = 0.05,
    rows: int = 1200,
    batch: int = 32,
    epochs: int = 5,
    norm: str = "",
    he: bool = False,
) -> dict[str, float]:
    model = mlp(depth, width, getattr(nn, act), norm=norm)
    if he:
        he_weights(model)
    scaled_weights(model, weights)
    shifted_biases(model, -10.0, *dead)
    return train(lab, model, rate, rows=rows, batch=batch, epochs=epochs)


@program("recurrent", "classification", split="held-out")
def peers_rnn(
    lab: Lab, *, gain: float | None = None, rate: float = 0.03, epochs: int = 6
) -> dict[str, float]:
    return train(lab, RowReader(gain), rate, epochs=epochs)


CASES = (
    peers_mlp.healthy("peers-mlp"),
    peers_mlp.healthy("peers-deep-he", depth=8, he=True, rate=0.01),
    peers_mlp.healthy("peers-batch-norm", norm="BatchNorm1d"),
    peers_rnn.healthy("peers-rnn"),
    peers_mlp.sick(
        "peers-vanishing",
        "vanishing_gradients",
        act="Sigmoid",
        depth=10,
        layers=tuple(str(2 * n) for n in range(7)),
    ),
    peers_mlp.sick(
        "peers-exploding-by-initialisation",
        "exploding_gradients",
        depth=8,
        he=True,
        weights=4.0,
        accept=("bad_initialization",),
        layers=tuple(str(2 * n) for n in range(9)),
    ),
    peers_rnn.sick(
        "peers-exploding-rnn",
        "exploding_gradients",
        gain=2.5,
        accept=("bad_initialization",),
        layers=("rnn",),
    ),
    peers_mlp.sick(
        "peers-dead-relu",
        "dead_units",
        dead=("0", "2"),
        accept=("bad_initialization",),
        layers=("0", "2"),
    ),
    peers_mlp.sick(
        "peers-overfitting",
        "overfitting",
        rows=60,
        width=256,
        batch=20,
        epochs=80,
        repair={"width": 256},
        visible_at=100,
    ),
    peers_mlp.sick(
        "peers-nan-by-rate",
        "learning_rate_too_high",
        rate=1e4,
        accept=("non_finite", "exploding_gradients"),
    ),
    peers_mlp.sick(
        "peers-batch-norm-of-2",
        "small_batch_norm",
        norm="BatchNorm1d",
        batch=2,
        rows=500,
        epochs=1,
        rate=0.01,
        repair={"norm": "LayerNorm", "batch": 2, "rows": 500, "epochs": 1, "rate": 0.01},
    ),
)
