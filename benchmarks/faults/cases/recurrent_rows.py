"""MNIST digits read row by row by recurrent layers."""

from __future__ import annotations

from typing import Any

from benchmarks.faults import sides
from benchmarks.faults.case import program
from benchmarks.faults.data import mnist
from benchmarks.faults.lab import Lab
from benchmarks.faults.spoiling import spoil
from benchmarks.faults.training import Loop, train
from torch import Tensor, nn

RECURRENT = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class RowReader(nn.Module):
    """Classifies by the last state of a recurrent layer, through a hidden layer."""

    def __init__(
        self, kind: str, width: int, *, norm: str = "", dropout: float = 0.0, softmax: bool = False
    ) -> None:
        super().__init__()
        self.rnn = RECURRENT[kind](28, width, batch_first=True)
        self.hidden = nn.Linear(width, width)
        self.norm = {"": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}[norm](width)
        self.act = nn.ReLU()
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(width, 10)
        self.last = nn.Softmax(dim=1) if softmax else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        state = self.rnn(x)[0][:, -1]
        return self.last(self.head(self.drop(self.act(self.norm(self.hidden(state))))))


def _rows(
    lab: Lab, rows: int, factor: float = 1.0, missing: int = 0, inverted: bool = False
) -> sides.Sides:
    images, labels = mnist()
    found = sides.pictures((images[:, 0], labels), rows, 400, lab.seed)
    found = sides.gapped(sides.scaled(found, factor), missing)
    return sides.shifted(found, sides.inverted if inverted else None)


@program("recurrent", "classification", split="calibration")
def row_lstm(
    lab: Lab,
    *,
    width: int = 32,
    rows: int = 800,
    norm: str = "",
    dropout: float = 0.0,
    softmax: bool = False,
    weights: float | None = None,
    value: float | None = None,
    hidden_bias: float | None = None,
    data: dict[str, Any] | None = None,
    **loop: Any,
) -> dict[str, float]:
    model = RowReader("lstm", width, norm=norm, dropout=dropout, softmax=softmax)
    spoil(model, gain=weights, value=value)
    spoil(model, only="hidden.", bias=hidden_bias)
    given = {"rate": 5e-3, "epochs": 10, **loop}
    return train(lab, model, nn.CrossEntropyLoss(), _rows(lab, rows, **(data or {})), Loop(**given))


@program("recurrent", "classification", split="held-out")
def row_gru(
    lab: Lab,
    *,
    width: int = 32,
    rows: int = 800,
    norm: str = "",
    dropout: float = 0.0,
    softmax: bool = False,
    weights: float | None = None,
    hidden_bias: float | None = None,
    data: dict[str, Any] | None = None,
    **loop: Any,
) -> dict[str, float]:
    model = RowReader("gru", width, norm=norm, dropout=dropout, softmax=softmax)
    spoil(model, gain=weights)
    spoil(model, only="hidden.", bias=hidden_bias)
    given = {"rate": 8e-3, "epochs": 10, "logs": "val", **loop}
    return train(lab, model, nn.CrossEntropyLoss(), _rows(lab, rows, **(data or {})), Loop(**given))


CASES = (
    row_lstm.healthy("row-lstm"),
    row_lstm.healthy("row-lstm-clipped-sgd", optimizer="sgd", momentum=0.9, rate=0.1, clip=1.0),
    row_lstm.healthy("row-lstm-dropout", dropout=0.3, logs="all"),
    row_lstm.healthy("row-lstm-accumulation-on-purpose", accumulate=2, batch=16),
    row_lstm.sick(
        "row-lstm-memorises", "overfitting",
        rows=100, epochs=60, width=96, repair={"rows": 100, "epochs": 14, "width": 96},
    ),
    row_lstm.sick("row-lstm-two-units", "underfitting", width=2, epochs=14),
    row_lstm.sick("row-lstm-zero-weights", "bad_initialization", value=0.0),
    row_lstm.sick("row-lstm-huge-weights", "bad_initialization", weights=25.0,
                  accept=("exploding_gradients",)),
    row_lstm.sick("row-lstm-dead-hidden", "dead_units", hidden_bias=-4.0, layers=("hidden",),
                  accept=("bad_initialization",)),
    row_lstm.sick(
        "row-lstm-batches-of-2-norm", "small_batch_norm",
        norm="batch", batch=2, rows=400, epochs=5, layers=("norm",),
        repair={"norm": "layer", "batch": 2, "rows": 400, "epochs": 5},
    ),
    row_lstm.sick("row-lstm-rate-high", "learning_rate_too_high", rate=0.5),
    row_lstm.sick("row-lstm-rate-low", "learning_rate_too_low", rate=5e-6, visible_at=40),
    row_lstm.sick("row-lstm-misplaced-labels", "not_learning", misplaced=True, visible_at=40),
    row_lstm.sick("row-lstm-softmax-first", "loss_output_mismatch", softmax=True,
                  outcome="val_loss"),
    row_lstm.sick("row-lstm-bytes", "unscaled_inputs", optimizer="sgd", momentum=0.9,
                  rate=0.1, data={"factor": 255.0}, accept=("saturated_units",),
                  repair={"optimizer": "sgd", "momentum": 0.9, "rate": 0.1}),
    row_lstm.sick("row-lstm-head-only", "untrained_parameters", only="head",
                  layers=("rnn", "hidden")),
    row_lstm.sick("row-lstm-no-zero-grad", "accumulated_gradients", zero_grad=False, visible_at=1),
    row_lstm.sick(
        "row-lstm-dropout-never-acts", "wrong_mode",
        rows=100, epochs=40, dropout=0.5, mode="never_train", visible_at=0,
        repair={"rows": 100, "epochs": 40, "dropout": 0.5},
    ),
    row_lstm.sick("row-lstm-black-on-white", "distribution_shift", data={"inverted": True}),
    row_lstm.sick("row-lstm-missing-value", "non_finite", data={"missing": 8}),
    row_gru.healthy("row-gru"),
    row_gru.healthy("row-gru-adamw", optimizer="adamw", rate=5e-3, decay=0.01),
    row_gru.healthy("row-gru-large-gradients", clip=0.5, optimizer="sgd",
                    momentum=0.9, rate=0.2, weights=2.0),
    row_gru.sick(
        "row-gru-memorises", "overfitting",
        rows=80, epochs=60, batch=16, rate=5e-3,
        repair={"rows": 80, "epochs": 14, "batch": 16, "rate": 5e-3},
    ),
    row_gru.sick("row-gru-two-units", "underfitting", width=2, rate=1e-2),
    row_gru.sick("row-gru-huge-weights", "bad_initialization", weights=25.0,
                 accept=("exploding_gradients",)),
    row_gru.sick("row-gru-dead-hidden", "dead_units", hidden_bias=-5.0, layers=("hidden",),
                 accept=("bad_initialization",)),
    row_gru.sick("row-gru-rate-high", "learning_rate_too_high", rate=0.5),
    row_gru.sick("row-gru-rate-low", "learning_rate_too_low", rate=5e-6, visible_at=40),
    row_gru.sick("row-gru-oscillates", "oscillating_loss", optimizer="sgd", momentum=0.9, rate=0.6,
                 visible_at=40, repair={"optimizer": "sgd", "momentum": 0.9, "rate": 0.1},
                 accept=("learning_rate_too_high",)),
    row_gru.sick("row-gru-misplaced-labels", "not_learning", misplaced=True, visible_at=40),
    row_gru.sick("row-gru-softmax-first", "loss_output_mismatch", softmax=True),
    row_gru.sick("row-gru-bytes", "unscaled_inputs", data={"factor": 255.0},
                 accept=("saturated_units",)),
    row_gru.sick("row-gru-rnn-forgotten", "untrained_parameters", only=("hidden", "head"),
                 layers=("rnn",)),
    row_gru.sick("row-gru-no-zero-grad", "accumulated_gradients", zero_grad=False, visible_at=1),
    row_gru.sick(
        "row-gru-dropout-in-validation", "wrong_mode",
        dropout=0.6, mode="no_eval", outcome="reported_loss", repair={"dropout": 0.6},
    ),
    row_gru.sick("row-gru-black-on-white", "distribution_shift", data={"inverted": True}),
)  # fmt: skip
