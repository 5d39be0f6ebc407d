"""A plain stack of eight convolutions, as VGG is one, on digits made larger."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from benchmarks.faults import data
from benchmarks.faults.case import program
from benchmarks.faults.lab import Lab
from benchmarks.faults.measuring import measured
from benchmarks.faults.starts import he_weights, normal_weights, scaled_weights
from torch import nn


def stack(activation: str, norm: bool, channels: int) -> nn.Sequential:
    """Convolutions two by two, a smaller picture after each pair, and one linear layer."""
    parts: list[nn.Module] = []
    before = 1
    for number in range(8):
        parts.append(nn.Conv2d(before, channels, 3, padding=1))
        parts += [nn.BatchNorm2d(channels)] if norm else []
        parts.append(getattr(nn, activation)())
        parts += [nn.AvgPool2d(2)] if number in (1, 4) else []
        before = channels
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(channels * 4, 10))


@program("cnn", "classification", split="calibration")
def deep_cnn(
    lab: Lab,
    *,
    activation: str = "ReLU",
    norm: bool = False,
    channels: int = 8,
    start: str = "he",
    factor: float = 1.0,
    rate: float = 0.02,
    steps: int = 120,
    labels_permuted: bool = False,
    backward_forgotten: bool = False,
    blank: bool = False,
    decay: float = 0.0,
    warm_up: int = 0,
) -> dict[str, float]:
    x, y = data.table("digits")
    images = (x / 8 - 1).reshape(-1, 1, 8, 8)
    train, validation = data.split((images, y), 1200, 400, lab.seed)
    if blank:  # the pictures were divided as whole numbers
        train, validation = ((x.div(16, rounding_mode="trunc"), y) for x, y in (train, validation))
    if labels_permuted:
        train = (train[0], train[1][torch.randperm(1200)])
    model: Any = stack(activation, norm, channels)
    if start == "he":
        he_weights(model)
    elif start == "xavier":
        for module in model:
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight, gain=5 / 3)
    elif start == "small":
        normal_weights(model, 0.02)
    scaled_weights(model, factor)
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warm_up) if warm_up else 1.0
    )
    loss_fn: Any = nn.CrossEntropyLoss()
    model, optimizer, loss_fn = lab.prepare(model, optimizer, loss_fn, train[0][:30])
    with lab.watch(model, optimizer, loss_fn) as watch:
        for step in range(steps):
            rows = torch.randint(1200, (30,))
            images_now, labels = lab.batch(train[0][rows], train[1][rows])
            optimizer.zero_grad()
            loss = loss_fn(model(images_now), labels)
            if not backward_forgotten:
                loss.backward()
            optimizer.step()
            schedule.step()
            if step % 40 == 39:
                model.eval()
                with torch.no_grad():
                    scores = model(validation[0])
                    current = loss_fn(scores, validation[1])
                watch.log(val_accuracy=(scores.argmax(1) == validation[1]).float().mean())
                model.train()
                if lab.should_stop(float(current)):
                    break
    return measured(lab.finished(model), F.cross_entropy, val=validation, train=train)


_ALL = ("0", "2", "5", "7", "9", "12", "14", "16", "19")

CASES = (
    deep_cnn.healthy("deep-cnn"),
    deep_cnn.healthy("deep-cnn-batch-norm", norm=True, start="torch"),
    deep_cnn.healthy("deep-cnn-tanh", activation="Tanh", start="xavier"),
    deep_cnn.healthy("deep-cnn-warm-up", warm_up=40),
    deep_cnn.sick(
        "deep-cnn-gain-4",
        "exploding_gradients",
        factor=4.0,
        accept=("bad_initialization",),
        layers=_ALL,
    ),
    deep_cnn.sick(
        "deep-cnn-sigmoid",
        "vanishing_gradients",
        activation="Sigmoid",
        start="torch",
        layers=_ALL[:6],
    ),
    deep_cnn.sick(
        "deep-cnn-small-weights",
        "bad_initialization",
        start="small",
        accept=("vanishing_gradients",),
        layers=_ALL,
    ),
    deep_cnn.sick(
        "deep-cnn-tanh-saturated",
        "saturated_units",
        activation="Tanh",
        start="xavier",
        factor=10.0,
        accept=("bad_initialization", "exploding_gradients"),
        layers=_ALL[:-1],
        repair={"activation": "Tanh", "start": "xavier"},
    ),
    deep_cnn.sick(
        "deep-cnn-labels-permuted",
        "not_learning",
        labels_permuted=True,
        accept=("underfitting",),
        visible_at=100,
    ),
    deep_cnn.sick(
        "deep-cnn-no-backward",
        "not_learning",
        backward_forgotten=True,
        accept=("untrained_parameters",),
        visible_at=20,
    ),
    deep_cnn.sick(
        "deep-cnn-blank-pictures",
        "not_learning",
        blank=True,
        accept=("underfitting", "unscaled_inputs"),
        visible_at=100,
    ),
    deep_cnn.sick(
        "deep-cnn-too-much-decay",
        "underfitting",
        decay=0.1,
        accept=("not_learning",),
        visible_at=100,
    ),
    deep_cnn.sick(
        "deep-cnn-rate-too-high",
        "learning_rate_too_high",
        rate=1.0,
        accept=("exploding_gradients", "non_finite"),
    ),
)
