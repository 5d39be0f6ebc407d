"""Where is the digit? Its centre is regressed from a picture in which it was moved about."""

from __future__ import annotations

from typing import Any

import torch
from benchmarks.faults import data
from benchmarks.faults.case import program
from benchmarks.faults.lab import Lab
from benchmarks.faults.measuring import measured
from benchmarks.faults.starts import scaled_weights, shifted_biases
from torch import Tensor, nn


def moved(seed: int, rows: int) -> tuple[Tensor, Tensor]:
    """Digits of 8 × 8 somewhere in 20 × 20, and how far right and down, from -1 to 1."""
    x, _ = data.table("digits")
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(x), generator=generator)[:rows]
    places = torch.randint(13, (rows, 2), generator=generator)
    pictures = torch.zeros(rows, 1, 20, 20)
    for picture, row, (right, down) in zip(pictures, chosen, places.tolist(), strict=True):
        picture[0, down : down + 8, right : right + 8] = x[row].reshape(8, 8) / 16
    return pictures, places / 6 - 1


@program("cnn", "regression", split="calibration")
def placing_cnn(
    lab: Lab,
    *,
    rate: float = 2e-3,
    rows: int = 800,
    epochs: int = 5,
    batch: int = 32,
    activation: str = "ReLU",
    last: str = "Identity",
    unit: float = 1.0,
    brightness: float = 1.0,
    weights: float = 1.0,
    dead: str = "",
    zero_grad: bool = True,
    reduction: str = "mean",
    square_root: bool = False,
    validation_flipped: bool = False,
    optimizer_name: str = "Adam",
    one_target: bool = False,
    flat_target: bool = False,
    noise: float = 0.0,
) -> dict[str, float]:
    x, y = moved(lab.seed, rows + 300)
    x, y = x * brightness, y * unit
    if one_target:
        y = y[:, :1]
    if flat_target:
        y = y[:, 0]
    train, validation = (x[:rows], y[:rows]), (x[rows:], y[rows:])
    if validation_flipped:
        validation = (torch.flip(validation[0], dims=(3,)) * 0.5 + 0.5, validation[1])
    if noise:
        train = (train[0], train[1] + noise * torch.randn_like(train[1]))
    act = getattr(nn, activation)
    model: Any = nn.Sequential(
        *(nn.Conv2d(1, 8, 3, stride=2), act(), nn.Conv2d(8, 16, 3, stride=2), act()),
        *(nn.Flatten(), nn.Linear(256, 32), act()),
        *(nn.Linear(32, 1 if one_target or flat_target else 2), getattr(nn, last)()),
    )
    scaled_weights(model, weights)
    shifted_biases(model, -10.0, dead)
    optimizer: Any = getattr(torch.optim, optimizer_name)(model.parameters(), lr=rate)
    loss_fn: Any = nn.MSELoss(reduction=reduction)

    def root(output: Tensor, target: Tensor) -> Tensor:
        return (output - target).square().sum(1).clamp_min(0).mul(0).sqrt().sum() + loss_fn(
            output, target
        )

    model, optimizer, loss_fn = lab.prepare(model, optimizer, loss_fn, train[0][:batch])
    with lab.watch(model, optimizer, loss_fn):
        for _ in range(epochs):
            model.train()
            for pictures, places in data.batches(train, batch):
                pictures, places = lab.batch(pictures, places)
                output = model(pictures)
                loss = root(output, places) if square_root else loss_fn(output, places)
                if zero_grad:
                    optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                total = sum(
                    float(loss_fn(model(pictures), places))
                    for pictures, places in data.batches(validation, 100, shuffle=False)
                )
            if lab.should_stop(total / 3):
                break
    model = lab.finished(model)
    found = measured(model, nn.MSELoss(), val=validation, train=train)
    return {name: value / unit**2 for name, value in found.items()}


CASES = (
    placing_cnn.healthy("placing-cnn"),
    placing_cnn.healthy("placing-cnn-tanh-last", last="Tanh"),
    placing_cnn.healthy("placing-cnn-sgd", optimizer_name="SGD", rate=0.1),
    placing_cnn.healthy("placing-cnn-converged", rows=1200, epochs=9),
    placing_cnn.healthy("placing-cnn-leaky", activation="LeakyReLU"),
    placing_cnn.healthy("placing-cnn-noisy-targets", noise=0.5),
    placing_cnn.healthy("placing-cnn-sum", reduction="sum", rate=1e-3),
    placing_cnn.sick("placing-cnn-relu-last", "loss_output_mismatch", last="ReLU"),
    placing_cnn.sick("placing-cnn-sigmoid-last", "loss_output_mismatch", last="Sigmoid"),
    placing_cnn.sick(
        "placing-cnn-tanh-last-in-pixels",
        "loss_output_mismatch",
        last="Tanh",
        unit=20.0,
        accept=("saturated_units",),
    ),
    placing_cnn.sick(
        "placing-cnn-broadcast",
        "loss_output_mismatch",
        flat_target=True,
        repair={"one_target": True},
    ),
    placing_cnn.sick(
        "placing-cnn-bytes",
        "unscaled_inputs",
        brightness=4000.0,
        optimizer_name="SGD",
        rate=0.1,
        accept=("exploding_gradients",),
        repair={"optimizer_name": "SGD", "rate": 0.1},
    ),
    placing_cnn.sick("placing-cnn-no-zero-grad", "accumulated_gradients", zero_grad=False),
    placing_cnn.sick(
        "placing-cnn-rate-too-high", "learning_rate_too_high", rate=0.3, accept=("dead_units",)
    ),
    placing_cnn.sick(
        "placing-cnn-sum-rate-too-high",
        "learning_rate_too_high",
        reduction="sum",
        optimizer_name="SGD",
        rate=0.1,
        accept=("exploding_gradients", "non_finite"),
        repair={"optimizer_name": "SGD", "rate": 0.1},
    ),
    placing_cnn.sick("placing-cnn-rate-too-low", "learning_rate_too_low", rate=2e-6, visible_at=40),
    placing_cnn.sick(
        "placing-cnn-weights-times-10",
        "bad_initialization",
        weights=10.0,
        accept=("exploding_gradients",),
        layers=("0", "2", "5", "7"),
    ),
    placing_cnn.sick(
        "placing-cnn-dead", "dead_units", dead="2", accept=("bad_initialization",), layers=("2",)
    ),
    placing_cnn.sick(
        "placing-cnn-root-at-zero", "non_finite", square_root=True, accept=("exploding_gradients",)
    ),
    placing_cnn.sick(
        "placing-cnn-60-noisy-rows",
        "overfitting",
        rows=60,
        batch=20,
        epochs=80,
        noise=0.5,
        repair={"noise": 0.5},
        visible_at=80,
    ),
    placing_cnn.sick(
        "placing-cnn-oscillating",
        "oscillating_loss",
        optimizer_name="SGD",
        rate=1.5,
        accept=("learning_rate_too_high",),
        repair={"optimizer_name": "SGD", "rate": 0.1},
    ),
    placing_cnn.sick(
        "placing-cnn-validation-flipped",
        "distribution_shift",
        validation_flipped=True,
        visible_at=24,
    ),
)
