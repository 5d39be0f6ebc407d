"""Digits of 8 × 8 by an object-oriented trainer that accumulates gradients."""

from __future__ import annotations

from typing import Any

import torch
from benchmarks.faults import data
from benchmarks.faults.case import program
from benchmarks.faults.lab import Lab
from benchmarks.faults.measuring import measured
from benchmarks.faults.starts import normal_weights, shifted_biases
from torch import Tensor, nn


def block(channels: int, wider: int, *, norm: bool, kind: str, spatial: float) -> nn.Sequential:
    """A convolution, perhaps a norm, an activation, perhaps dropout of channels."""
    parts: list[nn.Module] = [nn.Conv2d(channels, wider, 3, padding=1, bias=not norm)]
    parts += [nn.BatchNorm2d(wider)] if norm else []
    parts += [getattr(nn, kind)()]
    parts += [nn.Dropout2d(spatial)] if spatial else []
    return nn.Sequential(*parts)


@program("cnn", "classification", split="held-out")
def digits_cnn(
    lab: Lab,
    *,
    kind: str = "ReLU",
    norm: bool = False,
    spatial: float = 0.0,
    last: str = "",
    rate: float = 0.08,
    rows: int = 1000,
    batch: int = 16,
    accumulated: int = 2,
    cleared: bool = True,
    epochs: int = 5,
    deviation: float | None = None,
    dead: str = "",
    detached: bool = False,
    shifted: bool = False,
    adam: bool = False,
    stays_in_eval: bool = False,
    noise: float = 0.0,
) -> dict[str, float]:
    x, y = data.table("digits")
    images = (x / 8 - 1).reshape(-1, 1, 8, 8)
    train, validation = data.split((images, y), rows, 500, lab.seed)
    if noise:
        labels = train[1].clone()
        wrong = torch.rand(rows) < noise
        labels[wrong] = torch.randint(10, (int(wrong.sum()),))
        train = (train[0], labels)
    if shifted:
        validation = (torch.roll(validation[0], 3, dims=3) + 1.0, validation[1])

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            more = {"norm": norm, "kind": kind, "spatial": spatial}
            self.stem = block(1, 12, **more)
            self.pool = nn.MaxPool2d(2)
            self.middle = block(12, 24, **more)
            self.top = block(24, 24, **more)
            self.head = nn.Linear(24, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = self.middle(self.pool(self.stem(x)))
            if detached:
                x = x.detach()
            scores = self.head(self.top(x).mean((2, 3)))
            return getattr(torch, last)(scores) if last else scores

    class Trainer:
        def __init__(self) -> None:
            self.model: Any = Net()
            if deviation is not None:
                normal_weights(self.model, deviation)
            shifted_biases(self.model, -10.0, dead)
            parameters = self.model.parameters()
            self.optimizer: Any = (
                torch.optim.Adam(parameters, lr=rate)
                if adam
                else torch.optim.SGD(parameters, lr=rate, momentum=0.9, nesterov=True)
            )
            self.loss: Any = nn.CrossEntropyLoss()

        def train_epoch(self) -> None:
            self.model.train(not stays_in_eval)
            for number, (images, labels) in enumerate(data.batches(train, batch), 1):
                images, labels = lab.batch(images, labels)
                loss = self.loss(self.model(images), labels) / accumulated
                loss.backward()
                if number % accumulated == 0:
                    self.optimizer.step()
                    if cleared:
                        self.optimizer.zero_grad()

        @torch.no_grad()
        def validate(self) -> float:
            self.model.eval()
            return float(self.loss(self.model(validation[0]), validation[1]))

    trainer = Trainer()
    trainer.model, trainer.optimizer, trainer.loss = lab.prepare(
        trainer.model, trainer.optimizer, trainer.loss, train[0][:batch]
    )
    with lab.watch(trainer.model, trainer.optimizer, trainer.loss):
        for _ in range(epochs):
            trainer.train_epoch()
            if lab.should_stop(trainer.validate()):
                break
    model = lab.finished(trainer.model)
    return measured(model, nn.CrossEntropyLoss(), val=validation, train=train)


_ADAM = {"adam": True, "rate": 5e-3, "accumulated": 1, "batch": 32}

CASES = (
    digits_cnn.healthy("digits-cnn-accumulating"),
    digits_cnn.healthy("digits-cnn-accumulating-4", accumulated=4, batch=8),
    digits_cnn.healthy("digits-cnn-batch-norm", norm=True),
    digits_cnn.healthy("digits-cnn-channel-dropout", spatial=0.1, **_ADAM),
    digits_cnn.healthy("digits-cnn-adam", **_ADAM),
    digits_cnn.healthy("digits-cnn-elu", kind="ELU", **_ADAM),
    digits_cnn.healthy("digits-cnn-label-noise", noise=0.2, **_ADAM),
    digits_cnn.sick("digits-cnn-never-cleared", "accumulated_gradients", cleared=False),
    digits_cnn.sick(
        "digits-cnn-softmax-first",
        "loss_output_mismatch",
        last="sigmoid",
        outcome="val_loss",
    ),
    digits_cnn.sick(
        "digits-cnn-relu-on-scores", "loss_output_mismatch", last="relu", accept=("dead_units",)
    ),
    digits_cnn.sick(
        "digits-cnn-body-detached",
        "untrained_parameters",
        detached=True,
        layers=("stem.0", "middle.0"),
        **_ADAM,
        repair=_ADAM,
    ),
    digits_cnn.sick(
        "digits-cnn-tiny-weights",
        "bad_initialization",
        deviation=1e-3,
        accept=("vanishing_gradients",),
        layers=("stem.0", "middle.0", "top.0", "head"),
    ),
    digits_cnn.sick(
        "digits-cnn-huge-weights",
        "bad_initialization",
        deviation=1.5,
        accept=("exploding_gradients",),
        layers=("stem.0", "middle.0", "top.0", "head"),
    ),
    digits_cnn.sick(
        "digits-cnn-dead",
        "dead_units",
        dead="middle.0",
        accept=("bad_initialization",),
        layers=("middle.0",),
    ),
    digits_cnn.sick(
        "digits-cnn-sigmoid",
        "vanishing_gradients",
        kind="Sigmoid",
        layers=("stem.0", "middle.0"),
        accept=("not_learning",),
    ),
    digits_cnn.sick(
        "digits-cnn-rate-too-high",
        "learning_rate_too_high",
        rate=3.0,
        accept=("dead_units", "exploding_gradients", "non_finite"),
    ),
    digits_cnn.sick(
        "digits-cnn-adam-rate-too-high",
        "learning_rate_too_high",
        **{**_ADAM, "rate": 0.3},
        accept=("dead_units",),
        repair=_ADAM,
    ),
    digits_cnn.sick("digits-cnn-rate-too-low", "learning_rate_too_low", rate=1e-5, visible_at=40),
    digits_cnn.sick(
        "digits-cnn-batches-of-2",
        "small_batch_norm",
        norm=True,
        batch=2,
        accumulated=1,
        rows=400,
        epochs=1,
        rate=0.02,
        repair={
            "norm": True,
            "batch": 32,
            "accumulated": 1,
            "rows": 400,
            "epochs": 8,
            "rate": 0.02,
        },
    ),
    digits_cnn.sick(
        "digits-cnn-shifted-validation", "distribution_shift", shifted=True, visible_at=37
    ),
    digits_cnn.sick(
        "digits-cnn-stays-in-eval",
        "wrong_mode",
        norm=True,
        stays_in_eval=True,
        rate=0.005,
        repair={"norm": True, "rate": 0.005},
    ),
    digits_cnn.sick(
        "digits-cnn-40-rows",
        "overfitting",
        **{**_ADAM, "rows": 40, "batch": 20, "epochs": 100},
        repair=_ADAM,
        visible_at=100,
    ),
)
