"""Sequences rebuilt, masked words guessed, and one block used four times over."""

from __future__ import annotations

from typing import Any

import torch
from benchmarks.faults import sides, texts
from benchmarks.faults.blocks import Block
from benchmarks.faults.case import program
from benchmarks.faults.data import Pair, split, table
from benchmarks.faults.lab import Lab
from benchmarks.faults.spoiling import spoil
from benchmarks.faults.training import Loop, train
from torch import Tensor, nn

WORDS, STEPS, MASK, SKIPPED = 400, 16, 1, -100


class RowCoder(nn.Module):
    """Reads the rows of a digit into one state, and writes them from it; the truth is fed in."""

    def __init__(self, width: int, *, last: str) -> None:
        super().__init__()
        self.reader = nn.LSTM(8, width, batch_first=True)
        self.writer = nn.LSTM(8, width, batch_first=True)
        self.head = nn.Linear(width, 8)
        self.last = {"": nn.Identity, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}[last]()

    def forward(self, x: Tensor) -> Tensor:
        _, state = self.reader(x)
        before = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], dim=1)
        return self.last(self.head(self.writer(before, state)[0]))


@program("recurrent", "reconstruction", split="calibration")
def row_coder(
    lab: Lab,
    *,
    width: int = 48,
    rows: int = 900,
    last: str = "",
    weights: float | None = None,
    factor: float = 1.0,
    inverted: bool = False,
    missing: int = 0,
    **loop: Any,
) -> dict[str, float]:
    model = spoil(RowCoder(width, last=last), gain=weights)
    found = sides.pictures(table("digits"), rows, 500, lab.seed)
    mean, deviation = found[0][0].mean(), found[0][0].std()
    found = sides.shifted(found, sides.inverted if inverted else None)
    found = sides.gapped(
        sides.scaled(found, 1 / float(deviation), -float(mean / deviation)), missing
    )
    data = (_rebuilt(found[0], factor), _rebuilt(found[1], factor))
    given = {"rate": 1e-2, "epochs": 8, "logs": "val", **loop}
    return train(lab, model, nn.MSELoss(), data, Loop(**given))


def _rebuilt(data: Pair, factor: float) -> Pair:
    rows = data[0].reshape(-1, 8, 8)
    return rows * factor, rows


class MaskedWords(nn.Module):
    """Guesses the words that were taken out of a text, by a transformer encoder of torch."""

    def __init__(self, width: int, depth: int, *, dropout: float, softmax: bool) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, width, padding_idx=0)
        self.position = nn.Parameter(0.1 * torch.randn(STEPS, width))
        layer = nn.TransformerEncoderLayer(
            width, 2, 2 * width, dropout, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, WORDS)
        self.last = nn.Softmax(dim=-1) if softmax else nn.Identity()

    def forward(self, words: Tensor) -> Tensor:
        x = self.encoder(self.words(words) + self.position, src_key_padding_mask=words == 0)
        return self.last(self.head(x))


@program("transformer", "language_modelling", split="calibration")
def masked_words(
    lab: Lab,
    *,
    width: int = 32,
    depth: int = 2,
    dropout: float = 0.1,
    softmax: bool = False,
    weights: float | None = None,
    renumbered: bool = False,
    **loop: Any,
) -> dict[str, float]:
    model = spoil(MaskedWords(width, depth, dropout=dropout, softmax=softmax), gain=weights)
    words, _ = texts.sentences(STEPS, WORDS)
    draw = torch.rand(words.shape, generator=torch.Generator().manual_seed(lab.seed))
    hidden = (draw < 0.2) & (words > MASK)
    hidden[:, 0] |= words[:, 0] > MASK  # there is something to guess in every text
    target = torch.where(hidden, words, torch.full_like(words, SKIPPED))
    kept = hidden.any(1)
    found = split((words.masked_fill(hidden, MASK)[kept], target[kept]), 1200, 300, lab.seed)
    found = sides.shifted(found, sides.renumbered(WORDS) if renumbered else None)
    given = {"rate": 3e-3, "epochs": 6, "warmup": 30, **loop}
    return train(lab, model, nn.CrossEntropyLoss(ignore_index=SKIPPED), found, Loop(**given))


class Repeated(nn.Module):
    """One block of attention over the rows of a digit, used several times."""

    def __init__(self, width: int, times: int, *, norm: str) -> None:
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.position = nn.Parameter(0.1 * torch.randn(8, width))
        self.block = Block(width, causal=False, norm=norm, residual=True, dropout=0.0)
        self.norm = nn.LayerNorm(width) if norm == "pre" else nn.Identity()
        self.head = nn.Linear(width, 10)
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x) + self.position
        for _ in range(self.times):
            x = self.block(x)
        return self.head(self.norm(x).mean(1))


@program("transformer", "classification", split="held-out")
def repeated_block(
    lab: Lab,
    *,
    width: int = 32,
    times: int = 4,
    norm: str = "pre",
    weights: float | None = None,
    factor: float = 1.0,
    **loop: Any,
) -> dict[str, float]:
    model = spoil(Repeated(width, times, norm=norm), gain=weights)
    x, y = table("digits")
    found = sides.pictures((x.reshape(-1, 8, 8), y), 900, 500, lab.seed)
    given = {"rate": 3e-3, "epochs": 7, "logs": "all", **loop}
    return train(lab, model, nn.CrossEntropyLoss(), sides.scaled(found, factor), Loop(**given))


CASES = (
    row_coder.healthy("row-coder"),
    row_coder.healthy("row-coder-clipped", clip=0.1),
    row_coder.sick("row-coder-one-unit", "underfitting", width=1),
    row_coder.sick("row-coder-relu-output", "loss_output_mismatch", last="relu"),
    row_coder.sick("row-coder-sigmoid-output", "loss_output_mismatch", last="sigmoid"),
    row_coder.sick("row-coder-large-inputs", "unscaled_inputs", factor=1000.0),
    row_coder.sick("row-coder-rate-high", "learning_rate_too_high", rate=1.0),
    row_coder.sick("row-coder-rate-low", "learning_rate_too_low", rate=1e-5, visible_at=40),
    row_coder.sick("row-coder-misplaced-targets", "not_learning", misplaced=True, epochs=5,
                   visible_at=40, accept=("underfitting",)),
    row_coder.sick("row-coder-reader-forgotten", "untrained_parameters",
                   only=("writer", "head"), layers=("reader",)),
    row_coder.sick("row-coder-no-zero-grad", "accumulated_gradients", zero_grad=False,
                   visible_at=1),
    row_coder.sick("row-coder-missing-value", "non_finite", missing=5),
    row_coder.sick("row-coder-black-on-white", "distribution_shift", inverted=True),
    masked_words.healthy("masked-words"),
    masked_words.healthy("masked-words-adamw", optimizer="adamw", decay=0.1),
    masked_words.sick("masked-words-rate-high", "learning_rate_too_high", rate=0.3, warmup=0),
    masked_words.sick("masked-words-rate-low", "learning_rate_too_low", rate=3e-6, visible_at=40),
    masked_words.sick("masked-words-softmax-first", "loss_output_mismatch", softmax=True),
    masked_words.sick("masked-words-no-zero-grad", "accumulated_gradients", zero_grad=False,
                      visible_at=1),
    masked_words.sick("masked-words-huge-weights", "bad_initialization", weights=20.0,
                      accept=("exploding_gradients",)),
    repeated_block.healthy("repeated-block"),
    repeated_block.healthy("repeated-block-eight-times", times=8, epochs=6),
    repeated_block.sick("repeated-block-large-weights", "exploding_gradients", norm="none",
                        weights=5.0, repair={"norm": "none"}, accept=("bad_initialization",)),
    repeated_block.sick("repeated-block-rate-high", "learning_rate_too_high", rate=0.3),
    repeated_block.sick("repeated-block-rate-low", "learning_rate_too_low", rate=3e-6,
                        visible_at=40),
    repeated_block.sick("repeated-block-no-zero-grad", "accumulated_gradients", zero_grad=False,
                        visible_at=1),
    repeated_block.sick("repeated-block-block-forgotten", "untrained_parameters",
                        only=("embed", "head"), layers=("block.attention.qkv",
                        "block.attention.out", "block.up", "block.down")),
)  # fmt: skip
