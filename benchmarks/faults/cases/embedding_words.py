"""Docstrings told apart by their words: a sparse bag, and a mean with layers behind it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from benchmarks.faults import sides, texts
from benchmarks.faults.case import program
from benchmarks.faults.data import split
from benchmarks.faults.lab import Lab
from benchmarks.faults.spoiling import spoil
from benchmarks.faults.training import Loop, train
from torch import Tensor, nn

WORDS, STEPS = 1500, 40


class Bag(nn.Module):
    """The sum of the words' vectors, and one layer behind it."""

    def __init__(self, width: int, *, sparse: bool, softmax: bool, norm: str) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(WORDS, width, mode="mean", sparse=sparse, padding_idx=0)
        self.norm = {"": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}[norm](width)
        self.head = nn.Linear(width, texts.LABELS)
        self.last = nn.Softmax(dim=1) if softmax else nn.Identity()

    def forward(self, words: Tensor) -> Tensor:
        return self.last(self.head(self.norm(self.words(words))))


class Pooled(nn.Module):
    """The mean of the words' vectors through hidden layers."""

    def __init__(
        self, width: int, depth: int, *, activation: str, dropout: float, softmax: bool
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 32, padding_idx=0)
        kind = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}[activation]
        sizes = (32, *[width] * depth)
        self.layers = nn.Sequential(
            *(m for a, b in pairwise(sizes)
              for m in (nn.Linear(a, b), kind(), nn.Dropout(dropout)))
        )  # fmt: skip
        self.head = nn.Linear(width, texts.LABELS)
        self.last = nn.Softmax(dim=1) if softmax else nn.Identity()

    def forward(self, words: Tensor) -> Tensor:
        kept = (words != 0).unsqueeze(-1)
        mean = (self.words(words) * kept).sum(1) / kept.sum(1)
        return self.last(self.head(self.layers(mean)))


def _docstrings(
    lab: Lab, rows: int, *, empty: int = 0, renumbered: bool = False, noise: float = 0.0
) -> sides.Sides:
    found = split(texts.sentences(STEPS, WORDS), rows, 400, lab.seed)
    found[0][0][:empty] = 0
    found = sides.shifted(found, sides.renumbered(WORDS) if renumbered else None)
    return sides.mislabelled(found, noise, texts.LABELS)


@program("embedding", "classification", split="calibration")
def bag(
    lab: Lab,
    *,
    width: int = 32,
    rows: int = 1200,
    sparse: bool = False,
    softmax: bool = False,
    norm: str = "",
    value: float | None = None,
    weights: float | None = None,
    renumbered: bool = False,
    noise: float = 0.0,
    **loop: Any,
) -> dict[str, float]:
    model = spoil(Bag(width, sparse=sparse, softmax=softmax, norm=norm), value=value, gain=weights)
    if sparse:  # a sparse optimizer takes the sparse gradients alone: the head stays as it is
        model.head.requires_grad_(requires_grad=False)
    given = {"rate": 5e-3, "epochs": 8, **loop}
    data = _docstrings(lab, rows, renumbered=renumbered, noise=noise)
    return train(lab, model, nn.CrossEntropyLoss(), data, Loop(**given))


@program("embedding", "classification", split="held-out")
def pooled_words(
    lab: Lab,
    *,
    width: int = 64,
    depth: int = 2,
    rows: int = 1600,
    activation: str = "relu",
    dropout: float = 0.4,
    softmax: bool = False,
    frozen: bool = False,
    weights: float | None = None,
    hidden_bias: float | None = None,
    empty: int = 0,
    renumbered: bool = False,
    **loop: Any,
) -> dict[str, float]:
    model = Pooled(width, depth, activation=activation, dropout=dropout, softmax=softmax)
    spoil(model, only="layers", gain=weights)
    spoil(model, only="layers", bias=hidden_bias)
    model.words.requires_grad_(not frozen)
    given = {"rate": 3e-3, "epochs": 6, "logs": "all", **loop}
    data = _docstrings(lab, rows, empty=empty, renumbered=renumbered)
    return train(lab, model, nn.CrossEntropyLoss(), data, Loop(**given))


_HIDDEN = ("layers.0", "layers.3")

CASES = (
    bag.healthy("bag"),
    bag.healthy("bag-sparse-gradients", sparse=True, optimizer="sparse_adam", rate=2e-2, epochs=5),
    bag.healthy("bag-sgd", optimizer="sgd", momentum=0.9, rate=0.3, epochs=6),
    bag.sick("bag-memorises", "overfitting", rows=200, epochs=60, noise=0.3, rate=2e-2,
             repair={"rows": 200, "epochs": 6, "noise": 0.3, "rate": 2e-2}),
    bag.sick("bag-one-unit", "underfitting", width=1, epochs=12),
    bag.sick("bag-zero-weights", "bad_initialization", value=0.0),
    bag.sick("bag-batches-of-2-norm", "small_batch_norm", norm="batch", batch=2, rows=800,
             epochs=4, layers=("norm",),
             repair={"norm": "layer", "batch": 2, "rows": 800, "epochs": 4}),
    bag.sick("bag-rate-high", "learning_rate_too_high", rate=3.0),
    bag.sick("bag-rate-low", "learning_rate_too_low", rate=5e-6, visible_at=40),
    bag.sick("bag-sgd-rate-low", "learning_rate_too_low", optimizer="sgd", momentum=0.9,
             rate=1e-3, visible_at=40, repair={"optimizer": "sgd", "momentum": 0.9, "rate": 0.3}),
    bag.sick("bag-oscillates", "oscillating_loss", optimizer="sgd", momentum=0.9, rate=60.0,
             visible_at=40, accept=("learning_rate_too_high",),
             repair={"optimizer": "sgd", "momentum": 0.9, "rate": 0.3}),
    bag.sick("bag-misplaced-labels", "not_learning", misplaced=True, epochs=2, visible_at=30),
    bag.sick("bag-softmax-first", "loss_output_mismatch", softmax=True),
    bag.sick("bag-head-only", "untrained_parameters", only="head", layers=("words",)),
    bag.sick("bag-no-zero-grad", "accumulated_gradients", zero_grad=False, visible_at=1),
    bag.sick("bag-other-vocabulary", "distribution_shift", renumbered=True),
    pooled_words.healthy("pooled-words"),
    pooled_words.healthy("pooled-words-frozen", frozen=True, epochs=5),
    pooled_words.healthy("pooled-words-tanh", activation="tanh", rate=1e-3),
    pooled_words.sick("pooled-words-memorises", "overfitting", rows=200, epochs=60, dropout=0.0,
                      repair={"rows": 200, "epochs": 8, "dropout": 0.0}),
    pooled_words.sick("pooled-words-one-unit", "underfitting", width=1, dropout=0.0, epochs=12),
    pooled_words.sick("pooled-words-eight-sigmoids", "vanishing_gradients", depth=8, dropout=0.0,
                      activation="sigmoid", optimizer="sgd", rate=0.1, momentum=0.9,
                      layers=tuple(f"layers.{3 * i}" for i in range(7)), epochs=10,
                      accept=("not_learning",)),
    pooled_words.sick("pooled-words-dead-hidden", "dead_units", hidden_bias=-5.0, layers=_HIDDEN,
                      accept=("bad_initialization",)),
    pooled_words.sick("pooled-words-saturated", "saturated_units", activation="sigmoid",
                      weights=60.0, hidden_bias=-8.0, layers=_HIDDEN,
                      repair={"activation": "sigmoid"},
                      accept=("bad_initialization",)),
    pooled_words.sick("pooled-words-huge-weights", "bad_initialization", weights=30.0,
                      layers=_HIDDEN, accept=("exploding_gradients",)),
    pooled_words.sick("pooled-words-rate-high", "learning_rate_too_high", rate=0.3),
    pooled_words.sick("pooled-words-rate-low", "learning_rate_too_low", rate=3e-6, visible_at=40),
    pooled_words.sick("pooled-words-misplaced-labels", "not_learning", misplaced=True, epochs=4,
                      visible_at=40),
    pooled_words.sick("pooled-words-softmax-first", "loss_output_mismatch", softmax=True),
    pooled_words.sick("pooled-words-embedding-forgotten", "untrained_parameters",
                      only=("layers", "head"), layers=("words",)),
    pooled_words.sick("pooled-words-no-zero-grad", "accumulated_gradients", zero_grad=False,
                      visible_at=1),
    pooled_words.sick("pooled-words-dropout-in-validation", "wrong_mode", dropout=0.7,
                      mode="no_eval", outcome="reported_loss", repair={"dropout": 0.7}),
    pooled_words.sick("pooled-words-other-vocabulary", "distribution_shift", renumbered=True),
    pooled_words.sick("pooled-words-empty-text", "non_finite", empty=3),
)  # fmt: skip
