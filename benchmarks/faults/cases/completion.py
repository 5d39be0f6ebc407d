"""The lower half of a digit from its upper half, and rows from those before: regressions."""

from __future__ import annotations

from typing import Any

from benchmarks.faults import sides
from benchmarks.faults.case import program
from benchmarks.faults.cases.residual_digits import ResidualMLP
from benchmarks.faults.data import Pair, table
from benchmarks.faults.lab import Lab
from benchmarks.faults.spoiling import spoil
from benchmarks.faults.training import Loop, train
from torch import Tensor, nn


@program("residual", "regression", split="held-out")
def completion(
    lab: Lab,
    *,
    width: int = 48,
    depth: int = 3,
    rows: int = 1000,
    net: dict[str, Any] | None = None,
    weights: float | None = None,
    up_bias: float | None = None,
    factor: float = 1.0,
    offset: float = 0.0,
    inverted: bool = False,
    **loop: Any,
) -> dict[str, float]:
    model = ResidualMLP(32, width, depth, 32, **(net or {}))
    spoil(model, gain=weights)
    spoil(model, only=".up", bias=up_bias)
    (x, _), (u, _) = sides.pictures(table("digits"), rows, 500, lab.seed)
    scale = 1 / x.std()
    y, v = ((x - x.mean()) * scale)[:, 32:], ((u - x.mean()) * scale)[:, 32:]
    found = sides.scaled(((x[:, :32], y), (u[:, :32], v)), factor, offset)
    found = sides.shifted(found, sides.inverted if inverted else None)
    given = {"rate": 2e-3, "epochs": 8, "logs": "val", **loop}
    return train(lab, model, nn.MSELoss(), found, Loop(**given))


class NextRow(nn.Module):
    """Says after every row of a digit what the next one will be."""

    def __init__(self, width: int, *, depth: int, last: str) -> None:
        super().__init__()
        self.rnn = nn.GRU(8, width, depth, batch_first=True)
        self.head = nn.Linear(width, 8)
        self.last = {"": nn.Identity, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}[last]()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.head(self.rnn(x)[0]))


def _next(data: Pair, mean: Tensor, deviation: Tensor) -> Pair:
    x = ((data[0] - mean) / deviation).reshape(-1, 8, 8)
    return x[:, :-1].contiguous(), x[:, 1:].contiguous()


@program("recurrent", "regression", split="held-out")
def next_row(
    lab: Lab,
    *,
    width: int = 32,
    depth: int = 2,
    rows: int = 900,
    last: str = "",
    weights: float | None = None,
    factor: float = 1.0,
    inverted: bool = False,
    **loop: Any,
) -> dict[str, float]:
    model = spoil(NextRow(width, depth=depth, last=last), gain=weights)
    training, validation = sides.pictures(table("digits"), rows, 500, lab.seed)
    mean, deviation = training[0].mean(), training[0].std()
    found = (_next(training, mean, deviation), _next(validation, mean, deviation))
    found = sides.scaled(found, factor)
    found = sides.shifted(found, (lambda x: -x) if inverted else None)
    given = {"rate": 1e-2, "epochs": 8, **loop}
    return train(lab, model, nn.MSELoss(), found, Loop(**given))


CASES = (
    completion.healthy("completion"),
    completion.healthy("completion-deep", depth=8, epochs=6),
    completion.healthy("completion-no-norm", net={"norm": ""}),
    completion.sick("completion-memorises", "overfitting", rows=80, epochs=150, width=128,
                    rate=5e-3,
                    repair={"rows": 80, "epochs": 12, "width": 128, "rate": 5e-3}),
    completion.sick("completion-two-units", "underfitting", width=2),
    completion.sick("completion-relu-output", "loss_output_mismatch", net={"last": "relu"}),
    completion.sick("completion-softmax-output", "loss_output_mismatch", net={"last": "softmax"}),
    completion.sick("completion-large-weights", "exploding_gradients", depth=8, weights=5.0,
                    net={"norm": ""}, repair={"depth": 8, "net": {"norm": ""}},
                    accept=("bad_initialization",)),
    completion.sick("completion-dead-blocks", "dead_units", up_bias=-12.0,
                    layers=tuple(f"blocks.{i}.up" for i in range(3)),
                    accept=("bad_initialization",)),
    completion.sick("completion-unscaled", "unscaled_inputs", factor=500.0, offset=3000.0,
                    net={"norm": ""}, repair={"net": {"norm": ""}},
                    accept=("exploding_gradients",)),
    completion.sick("completion-rate-high", "learning_rate_too_high", rate=0.5),
    completion.sick("completion-rate-low", "learning_rate_too_low", rate=2e-6, visible_at=40),
    completion.sick("completion-misplaced-targets", "not_learning", misplaced=True, epochs=3,
                    visible_at=40),
    completion.sick("completion-no-zero-grad", "accumulated_gradients", zero_grad=False,
                    visible_at=1),
    completion.sick("completion-blocks-forgotten", "untrained_parameters", only=("stem", "head"),
                    layers=tuple(f"blocks.{i}.{p}" for i in range(3) for p in ("up", "down"))),
    completion.sick("completion-black-on-white", "distribution_shift", inverted=True),
    next_row.healthy("next-row"),
    next_row.healthy("next-row-one-layer", depth=1, clip=0.5, optimizer="sgd", momentum=0.9,
                     rate=0.3),
    next_row.sick("next-row-memorises", "overfitting", rows=48, batch=16, epochs=110, width=96,
                  depth=1, repair={"rows": 48, "batch": 16, "epochs": 20, "width": 96,
                                    "depth": 1}),
    next_row.sick("next-row-one-unit", "underfitting", width=1),
    next_row.sick("next-row-relu-output", "loss_output_mismatch", last="relu"),
    next_row.sick("next-row-sigmoid-output", "loss_output_mismatch", last="sigmoid"),
    next_row.sick("next-row-huge-weights", "bad_initialization", weights=30.0,
                  accept=("exploding_gradients",)),
    next_row.sick("next-row-large-values", "unscaled_inputs", factor=1000.0),
    next_row.sick("next-row-rate-high", "learning_rate_too_high", rate=1.0),
    next_row.sick("next-row-rate-low", "learning_rate_too_low", rate=5e-6, visible_at=40),
    next_row.sick("next-row-misplaced-targets", "not_learning", misplaced=True, epochs=4,
                  visible_at=40),
    next_row.sick("next-row-head-only", "untrained_parameters", only="head", layers=("rnn",)),
    next_row.sick("next-row-no-zero-grad", "accumulated_gradients", zero_grad=False,
                  visible_at=1),
    next_row.sick("next-row-inverted", "distribution_shift", inverted=True),
)  # fmt: skip
