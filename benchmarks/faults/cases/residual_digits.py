"""Digits by residual networks: of layers, and of convolutions."""

from __future__ import annotations

from typing import Any

from benchmarks.faults import sides
from benchmarks.faults.case import program
from benchmarks.faults.data import table
from benchmarks.faults.lab import Lab
from benchmarks.faults.spoiling import spoil
from benchmarks.faults.training import Loop, train
from torch import Tensor, nn

NORMS = {"": nn.Identity, "layer": nn.LayerNorm, "batch": nn.BatchNorm1d}


class ResidualBlock(nn.Module):
    """Two layers, and a connection around them; the norm before them or behind."""

    def __init__(self, width: int, *, norm: str, post: bool, dropout: float) -> None:
        super().__init__()
        self.norm = NORMS[norm](width)
        self.up, self.act = nn.Linear(width, width), nn.ReLU()
        self.drop = nn.Dropout(dropout)
        self.down = nn.Linear(width, width)
        self.post = post

    def forward(self, x: Tensor) -> Tensor:
        inner = x if self.post else self.norm(x)
        x = x + self.down(self.drop(self.act(self.up(inner))))
        return self.norm(x) if self.post else x


class ResidualMLP(nn.Module):
    """A layer in, blocks, a layer out."""

    def __init__(
        self,
        features: int,
        width: int,
        depth: int,
        outputs: int,
        *,
        norm: str = "layer",
        post: bool = False,
        dropout: float = 0.0,
        last: str = "",
    ) -> None:
        super().__init__()
        self.stem = nn.Linear(features, width)
        self.blocks = nn.Sequential(
            *(ResidualBlock(width, norm=norm, post=post, dropout=dropout) for _ in range(depth))
        )
        self.head = nn.Linear(width, outputs)
        kinds = {"": nn.Identity(), "softmax": nn.Softmax(dim=1), "relu": nn.ReLU()}
        self.last = kinds[last]

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.head(self.blocks(self.stem(x))))


@program("residual", "classification", split="calibration")
def residual_mlp(
    lab: Lab,
    *,
    width: int = 48,
    depth: int = 4,
    rows: int = 900,
    net: dict[str, Any] | None = None,
    weights: float | None = None,
    up_bias: float | None = None,
    value: float | None = None,
    factor: float = 1.0,
    inverted: bool = False,
    missing: int = 0,
    noise: float = 0.0,
    **loop: Any,
) -> dict[str, float]:
    model = ResidualMLP(64, width, depth, 10, **(net or {}))
    spoil(model, gain=weights, value=value)
    spoil(model, only=".up", bias=up_bias)
    found = sides.scaled(sides.pictures(table("digits"), rows, 500, lab.seed), factor)
    found = sides.gapped(sides.shifted(found, sides.inverted if inverted else None), missing)
    found = sides.mislabelled(found, noise, 10)
    given = {"rate": 2e-3, "epochs": 8, **loop}
    return train(lab, model, nn.CrossEntropyLoss(), found, Loop(**given))


class ConvBlock(nn.Module):
    """Two convolutions with their norms, and a connection around them."""

    def __init__(self, width: int, norm: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.norm1, self.norm2 = _norm(norm, width), _norm(norm, width)
        self.act1, self.act2 = nn.ReLU(), nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm2(self.conv2(self.act1(self.norm1(self.conv1(x)))))
        return self.act2(x + inner)


class ResidualCNN(nn.Module):
    """A small ResNet for pictures of 8 × 8 pixels."""

    def __init__(self, width: int, depth: int, *, norm: str = "batch", softmax: bool = False):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.norm, self.act = _norm(norm, width), nn.ReLU()
        self.blocks = nn.Sequential(*(ConvBlock(width, norm) for _ in range(depth)))
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.head = nn.Linear(4 * width, 10)
        self.last = nn.Softmax(dim=1) if softmax else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.act(self.norm(self.stem(x))))
        return self.last(self.head(self.pool(x).flatten(1)))


def _norm(kind: str, width: int) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm2d(width)
    return nn.GroupNorm(2, width) if kind == "group" else nn.Identity()


@program("residual", "classification", split="held-out")
def residual_cnn(
    lab: Lab,
    *,
    width: int = 12,
    depth: int = 2,
    rows: int = 600,
    norm: str = "batch",
    softmax: bool = False,
    weights: float | None = None,
    conv1_bias: float | None = None,
    factor: float = 1.0,
    offset: float = 0.0,
    inverted: bool = False,
    noise: float = 0.0,
    **loop: Any,
) -> dict[str, float]:
    model = spoil(ResidualCNN(width, depth, norm=norm, softmax=softmax), gain=weights)
    spoil(model, only="conv1", bias=conv1_bias)
    x, y = table("digits")
    found = sides.pictures((x.reshape(-1, 1, 8, 8), y), rows, 400, lab.seed)
    found = sides.shifted(sides.scaled(found, factor, offset), sides.inverted if inverted else None)
    found = sides.mislabelled(found, noise, 10)
    given = {"optimizer": "sgd", "momentum": 0.9, "rate": 0.05, "epochs": 7, "logs": "all", **loop}
    return train(lab, model, nn.CrossEntropyLoss(), found, Loop(**given))


_UPS = tuple(f"blocks.{i}.up" for i in range(4))
_PARTS = tuple(f"blocks.{i}.{part}" for i in range(4) for part in ("up", "down"))
_CONVS = tuple(f"blocks.{i}.{part}" for i in range(2) for part in ("conv1", "conv2"))

CASES = (
    residual_mlp.healthy("residual-mlp"),
    residual_mlp.healthy("residual-mlp-deep", depth=10, epochs=6),
    residual_mlp.healthy("residual-mlp-post-norm", net={"post": True}, warmup=40),
    residual_mlp.healthy("residual-mlp-batch-norm", net={"norm": "batch"}, logs="val"),
    residual_mlp.sick("residual-mlp-memorises", "overfitting", rows=400, epochs=40, noise=0.3,
                      repair={"rows": 400, "epochs": 7, "noise": 0.3}),
    residual_mlp.healthy("residual-mlp-label-noise", noise=0.3, epochs=5),
    residual_mlp.sick("residual-mlp-two-units", "underfitting", width=2, epochs=12),
    residual_mlp.sick("residual-mlp-large-weights", "exploding_gradients", depth=8, weights=5.0,
                      net={"norm": ""}, repair={"depth": 8, "net": {"norm": ""}},
                      accept=("bad_initialization",)),
    residual_mlp.sick("residual-mlp-zero-weights", "bad_initialization", value=0.0),
    residual_mlp.sick("residual-mlp-dead-blocks", "dead_units", up_bias=-12.0, layers=_UPS,
                      accept=("bad_initialization",)),
    residual_mlp.sick("residual-mlp-batches-of-2-norm", "small_batch_norm", net={"norm": "batch"},
                      batch=2, rows=500, epochs=3,
                      repair={"net": {"norm": "layer"}, "batch": 2, "rows": 500, "epochs": 3},
                      layers=tuple(f"blocks.{i}.norm" for i in range(4))),
    residual_mlp.sick("residual-mlp-rate-high", "learning_rate_too_high", rate=0.3),
    residual_mlp.sick("residual-mlp-rate-low", "learning_rate_too_low", rate=2e-6, visible_at=40),
    residual_mlp.sick("residual-mlp-misplaced-labels", "not_learning", misplaced=True, epochs=3,
                      visible_at=40),
    residual_mlp.sick("residual-mlp-softmax-first", "loss_output_mismatch",
                      net={"last": "softmax"}),
    residual_mlp.sick("residual-mlp-pixels-large", "unscaled_inputs", factor=1000.0,
                      net={"norm": ""}, repair={"net": {"norm": ""}},
                      accept=("exploding_gradients",)),
    residual_mlp.sick("residual-mlp-head-only", "untrained_parameters", only="head",
                      layers=("stem", *_PARTS)),
    residual_mlp.sick("residual-mlp-no-zero-grad", "accumulated_gradients", zero_grad=False,
                      visible_at=1),
    residual_mlp.sick("residual-mlp-dropout-in-validation", "wrong_mode", net={"dropout": 0.7},
                      mode="no_eval", outcome="reported_loss", repair={"net": {"dropout": 0.7}}),
    residual_mlp.sick("residual-mlp-black-on-white", "distribution_shift", inverted=True),
    residual_mlp.sick("residual-mlp-missing-value", "non_finite", missing=5),
    residual_cnn.healthy("residual-cnn"),
    residual_cnn.healthy("residual-cnn-group-norm", norm="group"),
    residual_cnn.healthy("residual-cnn-adam", optimizer="adam", rate=3e-3),
    residual_cnn.sick("residual-cnn-batches-of-2", "small_batch_norm", batch=2, rows=300,
                      epochs=4, rate=0.01, layers=("norm", *(f"blocks.{i}.norm{k}" for i in
                      range(2) for k in (1, 2))),
                      repair={"norm": "group", "batch": 2, "rows": 300, "epochs": 4,
                              "rate": 0.01}),
    residual_cnn.sick("residual-cnn-never-in-training", "wrong_mode", mode="never_train",
                      weights=3.0, depth=4, repair={"weights": 3.0, "depth": 4}),
    residual_cnn.sick("residual-cnn-norm-in-validation", "wrong_mode", mode="stuck", rate=0.3,
                      weights=3.0, repair={"rate": 0.3, "weights": 3.0}),
    residual_cnn.sick("residual-cnn-large-weights", "exploding_gradients", norm="", weights=6.0,
                      depth=3, repair={"norm": "", "depth": 3}, accept=("bad_initialization",)),
    residual_cnn.sick("residual-cnn-dead-blocks", "dead_units", norm="", conv1_bias=-8.0, depth=2,
                      epochs=10, repair={"norm": "", "depth": 2, "epochs": 10},
                      layers=("blocks.0.conv1", "blocks.1.conv1"),
                      accept=("bad_initialization",)),
    residual_cnn.sick("residual-cnn-memorises", "overfitting", rows=200, epochs=50, noise=0.3,
                      repair={"rows": 200, "epochs": 8, "noise": 0.3}),
    residual_cnn.sick("residual-cnn-rate-high", "learning_rate_too_high", rate=20.0),
    residual_cnn.sick("residual-cnn-rate-low", "learning_rate_too_low", rate=5e-6, visible_at=40),
    residual_cnn.sick("residual-cnn-misplaced-labels", "not_learning", misplaced=True, epochs=5,
                      visible_at=40),
    residual_cnn.sick("residual-cnn-softmax-first", "loss_output_mismatch", softmax=True),
    residual_cnn.sick("residual-cnn-raw-offset", "unscaled_inputs", norm="", factor=300.0,
                      offset=200.0, repair={"norm": "", "epochs": 10}, epochs=10),
    residual_cnn.sick("residual-cnn-blocks-forgotten", "untrained_parameters",
                      only=("stem", "norm", "head"), layers=_CONVS),
    residual_cnn.sick("residual-cnn-no-zero-grad", "accumulated_gradients", zero_grad=False,
                      visible_at=1),
    residual_cnn.sick("residual-cnn-black-on-white", "distribution_shift", inverted=True),
)  # fmt: skip
