"""MNIST digits read as patches by transformer blocks written by hand."""

from __future__ import annotations

from typing import Any

from benchmarks.faults import sides
from benchmarks.faults.blocks import Stack
from benchmarks.faults.case import program
from benchmarks.faults.data import mnist
from benchmarks.faults.lab import Lab
from benchmarks.faults.spoiling import spoil
from benchmarks.faults.training import Loop, train
from torch import Tensor, nn


class Patches(nn.Module):
    """Patches of 7 × 7 pixels embedded, mixed by blocks, and averaged."""

    def __init__(self, width: int, depth: int, *, softmax: bool = False, **block: Any) -> None:
        super().__init__()
        self.embed = nn.Linear(49, width)
        self.stack = Stack(width, depth, 16, **block)
        self.head = nn.Linear(width, 10)
        self.last = nn.Softmax(dim=1) if softmax else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.head(self.stack(self.embed(x)).mean(1)))


def _patches(x: Tensor) -> Tensor:
    # (rows, 1, 28, 28) -> (rows, 16, 49)
    return x.unfold(2, 7, 7).unfold(3, 7, 7).reshape(len(x), 16, 49)


@program("transformer", "classification", split="held-out")
def patch_transformer(
    lab: Lab,
    *,
    width: int = 32,
    depth: int = 3,
    rows: int = 800,
    softmax: bool = False,
    block: dict[str, Any] | None = None,
    weights: float | None = None,
    factor: float = 1.0,
    inverted: bool = False,
    missing: int = 0,
    **loop: Any,
) -> dict[str, float]:
    model = Patches(width, depth, softmax=softmax, **(block or {}))
    spoil(model, gain=weights)
    found = sides.scaled(sides.pictures(mnist(), rows, 400, lab.seed), factor)
    found = sides.shifted(found, sides.inverted if inverted else None)
    (x, y), (u, v) = sides.gapped(found, missing)
    given = {"rate": 2e-3, "epochs": 10, "logs": "val", **loop}
    data = ((_patches(x), y), (_patches(u), v))
    return train(lab, model, nn.CrossEntropyLoss(), data, Loop(**given))


CASES = (
    patch_transformer.healthy("patch-transformer"),
    patch_transformer.healthy("patch-transformer-deep", depth=6, epochs=7),
    patch_transformer.healthy("patch-transformer-post-norm", block={"norm": "post"}, warmup=50),
    patch_transformer.sick("patch-transformer-no-residual", "vanishing_gradients", depth=6,
                           block={"norm": "none", "residual": False}, repair={"depth": 6},
                           accept=("not_learning",)),
    patch_transformer.sick("patch-transformer-huge-weights", "exploding_gradients", depth=4,
                           weights=6.0, block={"norm": "none"}, repair={"depth": 4},
                           accept=("bad_initialization",)),
    patch_transformer.sick("patch-transformer-tiny-weights", "bad_initialization", weights=0.001,
                           block={"norm": "none"}, repair={"block": {"norm": "none"}},
                           accept=("vanishing_gradients",)),
    patch_transformer.sick("patch-transformer-memorises", "overfitting", rows=120, epochs=70,
                           repair={"rows": 120, "epochs": 15}),
    patch_transformer.sick("patch-transformer-two-units", "underfitting", width=2, epochs=12),
    patch_transformer.sick("patch-transformer-rate-high", "learning_rate_too_high", rate=0.2),
    patch_transformer.sick("patch-transformer-rate-low", "learning_rate_too_low", rate=2e-6,
                           visible_at=40),
    patch_transformer.sick("patch-transformer-misplaced-labels", "not_learning", misplaced=True,
                           visible_at=40),
    patch_transformer.sick("patch-transformer-softmax-first", "loss_output_mismatch",
                           softmax=True),
    patch_transformer.sick("patch-transformer-bytes", "unscaled_inputs", factor=255.0),
    patch_transformer.sick("patch-transformer-head-only", "untrained_parameters", only="head",
                           layers=("embed", *(f"stack.blocks.{i}.{part}" for i in range(3) for part
                           in ("attention.qkv", "attention.out", "up", "down")))),
    patch_transformer.sick("patch-transformer-no-zero-grad", "accumulated_gradients",
                           zero_grad=False, visible_at=1),
    patch_transformer.sick("patch-transformer-dropout-in-validation", "wrong_mode",
                           block={"dropout": 0.5}, mode="no_eval", outcome="reported_loss",
                           repair={"block": {"dropout": 0.5}}),
    patch_transformer.sick("patch-transformer-black-on-white", "distribution_shift",
                           inverted=True),
    patch_transformer.sick("patch-transformer-missing-value", "non_finite", missing=5),
)  # fmt: skip
