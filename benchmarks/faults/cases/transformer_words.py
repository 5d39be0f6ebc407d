"""Docstrings told apart by a transformer encoder of torch, over their first words."""

from __future__ import annotations

from typing import Any

import torch
from benchmarks.faults import sides, texts
from benchmarks.faults.case import program
from benchmarks.faults.data import split
from benchmarks.faults.lab import Lab
from benchmarks.faults.spoiling import spoil
from benchmarks.faults.training import Loop, train
from torch import Tensor, nn

WORDS, STEPS = 800, 20


class WordEncoder(nn.Module):
    """Words and positions through an encoder; the mean over the words, not the padding."""

    def __init__(
        self, width: int, depth: int, *, first: bool, dropout: float, pooler: bool, softmax: bool
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, width, padding_idx=0)
        self.position = nn.Parameter(0.1 * torch.randn(STEPS, width))
        layer = nn.TransformerEncoderLayer(
            width, 2 if width > 2 else 1, 2 * width, dropout, batch_first=True, norm_first=first
        )
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.pooler = nn.Linear(width, width) if pooler else nn.Identity()
        self.act = nn.Tanh() if pooler else nn.Identity()
        self.head = nn.Linear(width, texts.LABELS)
        self.last = nn.Softmax(dim=1) if softmax else nn.Identity()

    def forward(self, words: Tensor) -> Tensor:
        padding = words == 0
        x = self.encoder(self.words(words) + self.position, src_key_padding_mask=padding)
        kept = (~padding).unsqueeze(-1)
        mean = (x * kept).sum(1) / kept.sum(1)
        return self.last(self.head(self.act(self.pooler(mean))))


@program("transformer", "classification", split="calibration")
def word_encoder(
    lab: Lab,
    *,
    width: int = 32,
    depth: int = 2,
    first: bool = True,
    rows: int = 1600,
    dropout: float = 0.3,
    pooler: bool = False,
    softmax: bool = False,
    weights: float | None = None,
    pooler_weights: float | None = None,
    empty: int = 0,
    renumbered: bool = False,
    **loop: Any,
) -> dict[str, float]:
    model = WordEncoder(width, depth, first=first, dropout=dropout, pooler=pooler, softmax=softmax)
    spoil(model, gain=weights)
    spoil(model, only="pooler", gain=pooler_weights)
    found = split(texts.sentences(STEPS, WORDS), rows, 400, lab.seed)
    found[0][0][:empty] = 0
    found = sides.shifted(found, sides.renumbered(WORDS) if renumbered else None)
    given = {"rate": 1e-3, "epochs": 5, **loop}
    return train(lab, model, nn.CrossEntropyLoss(), found, Loop(**given))


CASES = (
    word_encoder.healthy("word-encoder"),
    word_encoder.healthy("word-encoder-post-norm-warm-up", first=False, warmup=60),
    word_encoder.healthy("word-encoder-pooler", pooler=True, logs="val"),
    word_encoder.healthy("word-encoder-adamw", optimizer="adamw", decay=0.05),
    word_encoder.sick("word-encoder-memorises", "overfitting", rows=200, epochs=40, dropout=0.0,
                      repair={"rows": 200, "epochs": 8, "dropout": 0.0}),
    word_encoder.sick("word-encoder-two-units", "underfitting", width=2, epochs=8, dropout=0.0,
                      repair={}),
    word_encoder.sick("word-encoder-huge-weights", "bad_initialization", weights=15.0,
                      accept=("exploding_gradients",)),
    word_encoder.sick("word-encoder-saturated-pooler", "saturated_units", pooler=True,
                      pooler_weights=100.0, layers=("pooler",), accept=("bad_initialization",),
                      repair={"pooler": True}),
    word_encoder.sick("word-encoder-rate-high", "learning_rate_too_high", rate=0.1),
    word_encoder.sick("word-encoder-rate-low", "learning_rate_too_low", rate=2e-6, visible_at=40),
    word_encoder.sick("word-encoder-oscillates", "oscillating_loss", optimizer="sgd", rate=0.3,
                      momentum=0.9, visible_at=40, accept=("learning_rate_too_high",)),
    word_encoder.sick("word-encoder-misplaced-labels", "not_learning", misplaced=True,
                      visible_at=40),
    word_encoder.sick("word-encoder-softmax-first", "loss_output_mismatch", softmax=True),
    word_encoder.sick("word-encoder-head-only", "untrained_parameters", only="head",
                      layers=("words", *(f"encoder.layers.{i}.{part}" for i in range(2) for part in
                      ("self_attn", "linear1", "linear2")))),
    word_encoder.sick("word-encoder-no-zero-grad", "accumulated_gradients", zero_grad=False,
                      visible_at=1),
    word_encoder.sick("word-encoder-dropout-in-validation", "wrong_mode", dropout=0.6,
                      mode="no_eval", outcome="reported_loss", repair={"dropout": 0.6}),
    word_encoder.sick("word-encoder-other-vocabulary", "distribution_shift", renumbered=True),
    word_encoder.sick("word-encoder-empty-text", "non_finite", empty=3),
)  # fmt: skip
