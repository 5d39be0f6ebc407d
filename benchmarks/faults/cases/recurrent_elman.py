"""Elman's network, as a layer of torch and as a loop written by hand, over 28 rows and further."""

from __future__ import annotations

from typing import Any

import torch
from benchmarks.faults import sides
from benchmarks.faults.case import program
from benchmarks.faults.data import mnist, table
from benchmarks.faults.lab import Lab
from benchmarks.faults.spoiling import spoil
from benchmarks.faults.training import Loop, train
from torch import Tensor, nn


class Elman(nn.Module):
    """A plain recurrent layer, whose recurrent weights begin orthogonal, and a head."""

    def __init__(self, features: int, width: int, *, kind: str, softmax: bool) -> None:
        super().__init__()
        self.rnn = nn.RNN(features, width, nonlinearity=kind, batch_first=True)
        nn.init.orthogonal_(self.rnn.weight_hh_l0)
        self.head = nn.Linear(width, 10)
        self.last = nn.Softmax(dim=1) if softmax else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.head(self.rnn(x)[0][:, -1]))


@program("recurrent", "classification", split="held-out")
def elman_rows(
    lab: Lab,
    *,
    width: int = 40,
    kind: str = "tanh",
    softmax: bool = False,
    weights: float | None = None,
    recurrent_weights: float | None = None,
    bias: float | None = None,
    factor: float = 1.0,
    inverted: bool = False,
    first: int = 28,
    **loop: Any,
) -> dict[str, float]:
    model = Elman(28, width, kind=kind, softmax=softmax)
    spoil(model, gain=weights, recurrent_gain=recurrent_weights)
    spoil(model, only="rnn", bias=bias)
    images, labels = mnist()
    found = sides.scaled(sides.pictures((images[:, 0], labels), 800, 400, lab.seed), factor)
    found = sides.shifted(found, sides.inverted if inverted else None)
    # Only the first rows are shown, the others are blank: what they said has to be remembered.
    found = sides.shifted(((_blank(found[0][0], first), found[0][1]), found[1]),
                          lambda x: _blank(x, first))  # fmt: skip
    given = {"rate": 2e-3, "epochs": 10, **loop}
    return train(lab, model, nn.CrossEntropyLoss(), found, Loop(**given))


def _blank(x: Tensor, first: int) -> Tensor:
    kept = x.clone()
    kept[:, first:] = 0
    return kept


class HandLoop(nn.Module):
    """Elman's recurrence written out, with a normalisation within it."""

    def __init__(self, width: int, norm: str) -> None:
        super().__init__()
        self.inner = nn.Linear(8, width)
        self.outer = nn.Linear(width, width, bias=False)
        nn.init.orthogonal_(self.outer.weight)
        self.norm = {"": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}[norm](width)
        self.head = nn.Linear(width, 10)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), self.width)
        for step in x.unbind(1):
            state = torch.tanh(self.norm(self.inner(step) + self.outer(state)))
        return self.head(state)


@program("recurrent", "classification", split="calibration")
def hand_loop(
    lab: Lab,
    *,
    width: int = 32,
    norm: str = "",
    weights: float | None = None,
    recurrent_weights: float | None = None,
    bias: float | None = None,
    factor: float = 1.0,
    rows: int = 900,
    **loop: Any,
) -> dict[str, float]:
    model = HandLoop(width, norm)
    spoil(model, gain=weights, recurrent_gain=recurrent_weights)
    spoil(model, only="inner", bias=bias)
    x, y = table("digits")
    found = sides.pictures((x.reshape(-1, 8, 8), y), rows, 500, lab.seed)
    given = {"optimizer": "sgd", "momentum": 0.9, "rate": 0.03, "epochs": 12, **loop}
    return train(lab, model, nn.CrossEntropyLoss(), sides.scaled(found, factor), Loop(**given))


class CellLoop(nn.Module):
    """A loop over an LSTM cell, the states normalised at every step."""

    def __init__(self, width: int, norm: str) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(8, width)
        self.norm = {"": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}[norm](width)
        self.head = nn.Linear(width, 10)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        state = memory = x.new_zeros(len(x), self.width)
        for step in x.unbind(1):
            state, memory = self.cell(step, (state, memory))
            state = self.norm(state)
        return self.head(state)


@program("recurrent", "classification", split="held-out")
def cell_loop(
    lab: Lab, *, width: int = 32, norm: str = "", rows: int = 600, **loop: Any
) -> dict[str, float]:
    model = CellLoop(width, norm)
    x, y = table("digits")
    found = sides.pictures((x.reshape(-1, 8, 8), y), rows, 500, lab.seed)
    given = {"rate": 1e-2, "epochs": 10, "logs": "val", **loop}
    return train(lab, model, nn.CrossEntropyLoss(), found, Loop(**given))


CASES = (
    elman_rows.healthy("elman-rows"),
    elman_rows.healthy("elman-rows-relu", kind="relu", clip=1.0),
    elman_rows.healthy("elman-rows-remembered", first=20, clip=1.0),
    elman_rows.sick("elman-rows-recurrent-weights-small", "vanishing_gradients",
                    recurrent_weights=0.1, first=20, repair={"first": 20}, layers=("rnn",),
                    accept=("bad_initialization",)),
    elman_rows.sick("elman-rows-recurrent-weights-large", "exploding_gradients",
                    recurrent_weights=4.0, layers=("rnn",),
                    accept=("bad_initialization", "saturated_units")),
    elman_rows.sick("elman-rows-relu-explodes", "exploding_gradients", kind="relu",
                    recurrent_weights=2.0, repair={"kind": "relu"}, layers=("rnn",),
                    accept=("bad_initialization", "non_finite")),
    elman_rows.sick("elman-rows-saturated", "saturated_units", bias=4.0, layers=("rnn",),
                    accept=("bad_initialization",)),
    elman_rows.sick("elman-rows-relu-dead", "dead_units", kind="relu", bias=-3.0,
                    repair={"kind": "relu"}, layers=("rnn",), accept=("bad_initialization",)),
    elman_rows.sick("elman-rows-bytes", "unscaled_inputs", factor=255.0,
                    accept=("saturated_units",)),
    elman_rows.sick("elman-rows-rate-high", "learning_rate_too_high", rate=0.3),
    elman_rows.sick("elman-rows-rate-low", "learning_rate_too_low", rate=3e-6, visible_at=40),
    elman_rows.sick("elman-rows-softmax-first", "loss_output_mismatch", softmax=True),
    elman_rows.sick("elman-rows-no-zero-grad", "accumulated_gradients", zero_grad=False,
                    visible_at=1),
    elman_rows.sick("elman-rows-black-on-white", "distribution_shift", inverted=True),
    elman_rows.sick("elman-rows-misplaced-labels", "not_learning", misplaced=True, visible_at=40),
    hand_loop.healthy("hand-loop"),
    hand_loop.healthy("hand-loop-layer-norm", norm="layer"),
    hand_loop.sick("hand-loop-batch-norm", "recurrent_batch_norm", norm="batch", layers=("norm",),
                   repair={"norm": "layer"}),
    hand_loop.sick("hand-loop-recurrent-weights-large", "exploding_gradients",
                   recurrent_weights=5.0, layers=("outer",),
                   accept=("bad_initialization", "saturated_units")),
    hand_loop.sick("hand-loop-saturated", "saturated_units", bias=5.0, layers=("inner",),
                   accept=("bad_initialization",)),
    hand_loop.sick("hand-loop-rate-high", "learning_rate_too_high", rate=1.5),
    hand_loop.sick("hand-loop-rate-low", "learning_rate_too_low", rate=3e-5, visible_at=40),
    hand_loop.sick("hand-loop-oscillates", "oscillating_loss", rate=0.25, visible_at=40,
                   accept=("learning_rate_too_high",)),
    hand_loop.sick("hand-loop-raw-pixels", "unscaled_inputs", factor=100.0,
                   accept=("saturated_units",)),
    hand_loop.sick("hand-loop-no-zero-grad", "accumulated_gradients", zero_grad=False,
                   visible_at=1),
    hand_loop.sick("hand-loop-head-only", "untrained_parameters", only="head",
                   layers=("inner", "outer")),
    hand_loop.sick("hand-loop-misplaced-labels", "not_learning", misplaced=True, visible_at=40),
    cell_loop.healthy("cell-loop"),
    cell_loop.healthy("cell-loop-layer-norm", norm="layer"),
    cell_loop.sick("cell-loop-batch-norm", "recurrent_batch_norm", norm="batch", layers=("norm",),
                   repair={"norm": "layer"}),
    cell_loop.sick("cell-loop-batch-norm-pairs", "recurrent_batch_norm", norm="batch", batch=4,
                   rows=200, epochs=6, repair={"norm": "layer", "batch": 4, "rows": 200,
                   "epochs": 6}, accept=("small_batch_norm",), layers=("norm",)),
)  # fmt: skip
