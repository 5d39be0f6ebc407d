"""Transformer blocks written by hand: attention, feed-forward, residual connections."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Self-attention of several heads."""

    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.heads, self.causal = heads, causal

    def forward(self, x: Tensor) -> Tensor:
        # (rows, steps, 3 × heads × features) -> three of (rows, heads, steps, features)
        rows, steps, width = x.shape
        parts = self.qkv(x).reshape(rows, steps, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(
            parts[0], parts[1], parts[2], is_causal=self.causal
        )
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(rows, steps, width))
        return out


class Block(nn.Module):
    """Attention and a feed-forward part.

    ``norm`` is ``"pre"``, ``"post"`` or ``"none"``; without ``residual``, nothing leads around.
    """

    def __init__(
        self, width: int, *, causal: bool, norm: str, residual: bool, dropout: float
    ) -> None:
        super().__init__()
        kind = nn.Identity if norm == "none" else nn.LayerNorm
        self.norm1, self.norm2 = kind(width), kind(width)
        self.attention = Attention(width, 2, causal=causal)
        self.up, self.act = nn.Linear(width, 2 * width), nn.ReLU()
        self.down = nn.Linear(2 * width, width)
        self.drop = nn.Dropout(dropout)
        self.norm, self.residual = norm, residual

    def forward(self, x: Tensor) -> Tensor:
        x = self._around(x, self.norm1, self.attention)
        return self._around(x, self.norm2, lambda z: self.down(self.act(self.up(z))))

    def _around(self, x: Tensor, norm: nn.Module, inner: object) -> Tensor:
        assert callable(inner)
        out = self.drop(inner(norm(x) if self.norm == "pre" else x))
        x = x + out if self.residual else out
        out = norm(x) if self.norm == "post" else x
        assert isinstance(out, Tensor)
        return out


class Stack(nn.Module):
    """Blocks one after another, the first with a position added to every step."""

    def __init__(
        self,
        width: int,
        depth: int,
        steps: int,
        *,
        causal: bool = False,
        norm: str = "pre",
        residual: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.position = nn.Parameter(0.02 * torch.randn(steps, width))
        self.blocks = nn.ModuleList(
            Block(width, causal=causal, norm=norm, residual=residual, dropout=dropout)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width) if norm == "pre" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.position[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.norm(x)
        return out
