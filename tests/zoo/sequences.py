"""Plain torch: recurrent networks, transformers of torch, texts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .network import BATCH, Network, random, whole

CLASSES, STEPS, FEATURES, WORDS = 3, 7, 6, 20


def steps() -> Tensor:
    return random(BATCH, STEPS, FEATURES)


class Recurrent(nn.Module):
    """Classifies by the last state of a recurrent layer."""

    def __init__(self, layer: nn.RNNBase, width: int) -> None:
        super().__init__()
        self.rnn = layer
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


class Packed(nn.Module):
    """Words of different length through a bidirectional LSTM of two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 8, padding_idx=0)
        self.rnn = nn.LSTM(8, 8, num_layers=2, bidirectional=True, batch_first=True, dropout=0.1)
        self.hidden = nn.Linear(16, 16)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(
            self.words(x), lengths, batch_first=True, enforce_sorted=False
        )
        out, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        return self.head(torch.tanh(self.hidden(out.max(dim=1).values)))


class Looped(nn.Module):
    """A Python loop over a cell."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(FEATURES, 8)
        self.act = nn.ReLU()
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        state = (x.new_zeros(len(x), 8), x.new_zeros(len(x), 8))
        for step in x.unbind(1):
            state = self.cell(step, state)
        return self.head(self.act(state[0]))


class OwnLoop(nn.Module):
    """An Elman network written with two linear layers and a module of tanh."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(FEATURES, 8), nn.Linear(8, 8, bias=False)
        self.tanh = nn.Tanh()
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 8)
        for step in x.unbind(1):
            state = self.tanh(self.inner(step) + self.outer(state))
        return self.head(state)


class ConvolutionThenGRU(nn.Module):
    """Features by a convolution over time, then a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(FEATURES, 8, 3, padding=1)
        self.act = nn.ReLU()
        self.rnn = nn.GRU(8, 8, batch_first=True)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.conv(x.transpose(1, 2))).transpose(1, 2)
        _, last = self.rnn(x)
        return self.head(last[-1])


class TorchTransformer(nn.Module):
    """nn.Transformer from words to words."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 16)
        self.transformer = nn.Transformer(16, 2, 1, 1, 32, batch_first=True)
        self.head = nn.Linear(16, WORDS)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        mask = self.transformer.generate_square_subsequent_mask(target.shape[1])
        out = self.transformer(self.words(source), self.words(target), tgt_mask=mask)
        return self.head(out)


class EncoderClassifier(nn.Module):
    """TransformerEncoder over steps."""

    def __init__(self, *, first: bool) -> None:
        super().__init__()
        self.inner = nn.Linear(FEATURES, 16)
        layer = nn.TransformerEncoderLayer(
            16, 2, 32, 0.1, "gelu", batch_first=True, norm_first=first
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.inner(x)).mean(dim=1))


class Attention(nn.Module):
    """Attention written with matrix products and a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(FEATURES, 24)
        self.mix = nn.Linear(8, 16)
        self.norm = nn.LayerNorm(16)
        self.act = nn.GELU()
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        weights = torch.softmax(query @ key.transpose(1, 2) / 8**0.5, dim=-1)
        return self.head(self.act(self.norm(self.mix(weights @ value))).mean(dim=1))


class Bag(nn.Module):
    """A bag of words through two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(WORDS, 8, mode="mean")
        self.hidden = nn.Linear(8, 16)
        self.act = nn.Sigmoid()
        self.head = nn.Linear(16, CLASSES)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(self.act(self.hidden(self.words(words))))


class TiedLanguageModel(nn.Module):
    """Reads and writes words by one matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 16)
        self.rnn = nn.GRU(16, 16, batch_first=True)
        self.head = nn.Linear(16, WORDS, bias=False)
        self.head.weight = self.words.weight

    def forward(self, words: Tensor) -> Tensor:
        return self.head(F.dropout(self.rnn(self.words(words))[0], 0.2, self.training))


def _seq(
    name: str,
    build: Callable[[], nn.Module],
    example: Callable[[], object] = steps,
    classes: str = "self",
) -> Network:
    return Network(name, "plain torch: sequences", build, example, classes=classes)


def _texts() -> Tensor:
    return whole(WORDS, BATCH, STEPS)


SEQUENCES = (
    _seq("RNN", lambda: Recurrent(nn.RNN(FEATURES, 8, batch_first=True), 8)),
    _seq(
        "RNN, ReLU, two layers",
        lambda: Recurrent(nn.RNN(FEATURES, 8, 2, "relu", batch_first=True), 8),
    ),
    _seq("LSTM", lambda: Recurrent(nn.LSTM(FEATURES, 8, batch_first=True), 8)),
    _seq(
        "LSTM with projection",
        lambda: Recurrent(nn.LSTM(FEATURES, 8, batch_first=True, proj_size=4), 4),
    ),
    _seq(
        "GRU, two layers",
        lambda: Recurrent(nn.GRU(FEATURES, 8, 2, batch_first=True, dropout=0.1), 8),
    ),
    _seq(
        "LSTM, bidirectional, packed",
        Packed,
        lambda: (whole(WORDS - 1, BATCH, STEPS) + 1, torch.tensor([7, 3, 5, 6])),
    ),
    _seq("Loop over LSTMCell", Looped),
    _seq("Loop over linear layers", OwnLoop),
    _seq("Convolution, then GRU", ConvolutionThenGRU),
    _seq("nn.Transformer", TorchTransformer, lambda: (_texts(), whole(WORDS, BATCH, 5, seed=4))),
    _seq("TransformerEncoder", lambda: EncoderClassifier(first=False)),
    _seq("TransformerEncoder, norm first", lambda: EncoderClassifier(first=True)),
    _seq("Attention by hand", Attention),
    _seq("Bag of words", Bag, _texts),
    _seq("Language model, tied weights", TiedLanguageModel, _texts),
)
