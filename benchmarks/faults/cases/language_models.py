"""Characters of docstrings foretold: by an LSTM, a transformer, and a network of the last five."""

from __future__ import annotations

from typing import Any

from benchmarks.faults import sides, texts
from benchmarks.faults.blocks import Stack
from benchmarks.faults.case import program
from benchmarks.faults.data import split
from benchmarks.faults.lab import Lab
from benchmarks.faults.spoiling import spoil
from benchmarks.faults.training import Loop, train
from torch import Tensor, nn

LETTERS = len(texts.LETTERS) + 1
STEPS = 32


class CharLSTM(nn.Module):
    """Embedding, LSTM, and the letter that follows at every step."""

    def __init__(self, width: int, *, softmax: bool, dropout: float) -> None:
        super().__init__()
        self.letters = nn.Embedding(LETTERS, 24)
        self.rnn = nn.LSTM(24, width, batch_first=True)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(width, LETTERS)
        self.last = nn.Softmax(dim=-1) if softmax else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.head(self.drop(self.rnn(self.letters(x))[0])))


class CharTransformer(nn.Module):
    """A causal transformer that reads and writes letters by one matrix."""

    def __init__(self, width: int, depth: int, *, softmax: bool, **block: Any) -> None:
        super().__init__()
        self.letters = nn.Embedding(LETTERS, width)
        nn.init.normal_(self.letters.weight, std=0.05)
        self.stack = Stack(width, depth, STEPS, causal=True, **block)
        self.head = nn.Linear(width, LETTERS, bias=False)
        self.head.weight = self.letters.weight
        self.last = nn.Softmax(dim=-1) if softmax else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.head(self.stack(self.letters(x))))


class NextLetter(nn.Module):
    """The letter after five others, as Bengio et al. 2003: embeddings side by side, one layer."""

    def __init__(self, width: int, *, activation: str, softmax: bool) -> None:
        super().__init__()
        self.letters = nn.Embedding(LETTERS, 16)
        self.hidden = nn.Linear(80, width)
        self.act = nn.Tanh() if activation == "tanh" else nn.ReLU()
        self.head = nn.Linear(width, LETTERS)
        self.last = nn.Softmax(dim=-1) if softmax else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.head(self.act(self.hidden(self.letters(x).flatten(1)))))


def _text(lab: Lab, rows: int, renumbered: bool) -> sides.Sides:
    found = split(texts.passages(STEPS, 2000), rows, 200, lab.seed)
    return sides.shifted(found, sides.renumbered(LETTERS) if renumbered else None)


@program("recurrent", "language_modelling", split="calibration")
def char_lstm(
    lab: Lab,
    *,
    width: int = 64,
    rows: int = 640,
    softmax: bool = False,
    dropout: float = 0.0,
    weights: float | None = None,
    renumbered: bool = False,
    **loop: Any,
) -> dict[str, float]:
    model = spoil(CharLSTM(width, softmax=softmax, dropout=dropout), gain=weights)
    given = {"rate": 1e-2, "epochs": 8, "clip": 1.0, **loop}
    data = _text(lab, rows, renumbered)
    return train(lab, model, nn.CrossEntropyLoss(), data, Loop(**given))


@program("transformer", "language_modelling", split="held-out")
def char_transformer(
    lab: Lab,
    *,
    width: int = 32,
    depth: int = 3,
    rows: int = 640,
    softmax: bool = False,
    block: dict[str, Any] | None = None,
    weights: float | None = None,
    renumbered: bool = False,
    **loop: Any,
) -> dict[str, float]:
    model = spoil(CharTransformer(width, depth, softmax=softmax, **(block or {})), gain=weights)
    given = {"rate": 5e-3, "epochs": 8, "warmup": 30, "clip": 1.0, **loop}
    data = _text(lab, rows, renumbered)
    return train(lab, model, nn.CrossEntropyLoss(), data, Loop(**given))


@program("embedding", "language_modelling", split="held-out")
def next_letter(
    lab: Lab,
    *,
    width: int = 64,
    rows: int = 12000,
    activation: str = "relu",
    softmax: bool = False,
    weights: float | None = None,
    hidden_bias: float | None = None,
    hidden_weights: float | None = None,
    renumbered: bool = False,
    **loop: Any,
) -> dict[str, float]:
    model = spoil(NextLetter(width, activation=activation, softmax=softmax), gain=weights)
    spoil(model, only="hidden", bias=hidden_bias, gain=hidden_weights)
    x, y = texts.passages(5, 20000)
    found = split((x, y[:, -1].clone()), rows, 800, lab.seed)
    found = sides.shifted(found, sides.renumbered(LETTERS) if renumbered else None)
    given = {"rate": 5e-3, "epochs": 5, "batch": 128, "logs": "all", **loop}
    return train(lab, model, nn.CrossEntropyLoss(), found, Loop(**given))


CASES = (
    char_lstm.healthy("char-lstm"),
    char_lstm.healthy("char-lstm-dropout", dropout=0.2),
    char_lstm.healthy("char-lstm-one-epoch-of-much", rows=1800, epochs=3),
    char_lstm.healthy("char-lstm-no-clipping", clip=0.0, rate=4e-3),
    char_lstm.sick("char-lstm-memorises", "overfitting", rows=64, epochs=80, rate=2e-2,
                   repair={"rows": 64, "epochs": 20, "rate": 2e-2}),
    char_lstm.sick("char-lstm-two-units", "underfitting", width=2),
    char_lstm.sick("char-lstm-huge-weights", "bad_initialization", weights=30.0,
                   accept=("exploding_gradients",)),
    char_lstm.sick("char-lstm-rate-high", "learning_rate_too_high", rate=1.0),
    char_lstm.sick("char-lstm-rate-low", "learning_rate_too_low", rate=5e-6, visible_at=40),
    char_lstm.sick("char-lstm-softmax-first", "loss_output_mismatch", softmax=True),
    char_lstm.sick("char-lstm-rnn-forgotten", "untrained_parameters", only=("letters", "head"),
                   layers=("rnn",)),
    char_lstm.sick("char-lstm-no-zero-grad", "accumulated_gradients", zero_grad=False, clip=0.0,
                   visible_at=1),
    char_lstm.sick("char-lstm-misplaced-targets", "not_learning", misplaced=True, visible_at=40,
                   accept=("underfitting",)),
    char_lstm.sick("char-lstm-other-alphabet", "distribution_shift", renumbered=True),
    char_lstm.sick("char-lstm-dropout-in-validation", "wrong_mode", dropout=0.6, mode="no_eval",
                   outcome="reported_loss", repair={"dropout": 0.6}),
    char_transformer.healthy("char-transformer"),
    char_transformer.healthy("char-transformer-deep", depth=6, epochs=6, rate=3e-3),
    char_transformer.healthy("char-transformer-post-norm", block={"norm": "post"}, warmup=60),
    char_transformer.sick("char-transformer-memorises", "overfitting", rows=48, epochs=90,
                          batch=16, depth=2,
                          repair={"rows": 48, "epochs": 30, "batch": 16, "depth": 2}),
    char_transformer.sick("char-transformer-two-units", "underfitting", width=2),
    char_transformer.sick("char-transformer-no-residual", "vanishing_gradients", depth=6,
                          block={"norm": "none", "residual": False}, repair={"depth": 6},
                          accept=("not_learning", "bad_initialization")),
    char_transformer.sick("char-transformer-huge-weights", "bad_initialization", weights=25.0,
                          accept=("exploding_gradients",)),
    char_transformer.sick("char-transformer-rate-high", "learning_rate_too_high", rate=0.3,
                          warmup=0),
    char_transformer.sick("char-transformer-rate-low", "learning_rate_too_low", rate=5e-6,
                          visible_at=40),
    char_transformer.sick("char-transformer-softmax-first", "loss_output_mismatch", softmax=True),
    char_transformer.sick("char-transformer-no-zero-grad", "accumulated_gradients",
                          zero_grad=False, clip=0.0, visible_at=1),
    char_transformer.sick("char-transformer-misplaced-targets", "not_learning", misplaced=True,
                          visible_at=40, accept=("underfitting",)),
    char_transformer.sick("char-transformer-other-alphabet", "distribution_shift",
                          renumbered=True),
    char_transformer.sick("char-transformer-dropout-in-validation", "wrong_mode",
                          block={"dropout": 0.5}, mode="no_eval", outcome="reported_loss",
                          repair={"block": {"dropout": 0.5}}),
    next_letter.healthy("next-letter"),
    next_letter.healthy("next-letter-tanh", activation="tanh"),
    next_letter.sick("next-letter-memorises", "overfitting", rows=300, epochs=80, width=256,
                     batch=64, repair={"rows": 300, "epochs": 6, "width": 256, "batch": 64}),
    next_letter.sick("next-letter-one-unit", "underfitting", width=1),
    next_letter.sick("next-letter-dead-hidden", "dead_units", hidden_bias=-10.0,
                     layers=("hidden",), accept=("bad_initialization",)),
    next_letter.sick("next-letter-saturated", "saturated_units", activation="tanh",
                     hidden_weights=40.0, repair={"activation": "tanh"}, layers=("hidden",),
                     accept=("bad_initialization",)),
    next_letter.sick("next-letter-rate-high", "learning_rate_too_high", rate=0.5),
    next_letter.sick("next-letter-rate-low", "learning_rate_too_low", rate=5e-6, visible_at=40),
    next_letter.sick("next-letter-oscillates", "oscillating_loss", optimizer="sgd", rate=3.0,
                     momentum=0.9, visible_at=40, accept=("learning_rate_too_high",)),
    next_letter.sick("next-letter-softmax-first", "loss_output_mismatch", softmax=True),
    next_letter.sick("next-letter-letters-forgotten", "untrained_parameters",
                     only=("hidden", "head"), layers=("letters",)),
    next_letter.sick("next-letter-no-zero-grad", "accumulated_gradients", zero_grad=False,
                     visible_at=1),
    next_letter.sick("next-letter-misplaced-targets", "not_learning", misplaced=True,
                     visible_at=40, accept=("underfitting",)),
    next_letter.sick("next-letter-other-alphabet", "distribution_shift", renumbered=True),
)  # fmt: skip
