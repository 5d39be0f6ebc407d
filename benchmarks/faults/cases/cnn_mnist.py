"""MNIST by a small convolutional network: as the examples of PyTorch are written."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from benchmarks.faults import data
from benchmarks.faults.case import program
from benchmarks.faults.lab import Lab
from benchmarks.faults.measuring import measured
from benchmarks.faults.starts import scaled_weights, shifted_biases
from torch import nn


class MnistNet(nn.Module):
    """Two convolutions, with or without a norm, and two linear layers."""

    def __init__(self, norm: str, activation: str, dropout: float, log_softmax: bool) -> None:
        super().__init__()
        norms = {
            "batch": nn.BatchNorm2d,
            "group": partial(nn.GroupNorm, 4),
            "": nn.Identity,
        }
        self.conv1 = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.norm1 = norms[norm](8)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.norm2 = norms[norm](16)
        self.act = getattr(nn, activation)()
        self.drop = nn.Dropout(dropout)
        self.fc1 = nn.Linear(784, 64)
        self.norm3 = nn.BatchNorm1d(64) if norm == "batch" else norms[norm](64)
        self.fc2 = nn.Linear(64, 10)
        self.log_softmax = log_softmax

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.norm1(self.conv1(x)))
        x = self.act(self.norm2(self.conv2(x)))
        x = self.drop(self.act(self.norm3(self.fc1(torch.flatten(x, 1)))))
        x = self.fc2(x)
        return F.log_softmax(x, dim=1) if self.log_softmax else x


@program("cnn", "classification", split="calibration")
def mnist_cnn(
    lab: Lab,
    *,
    norm: str = "",
    activation: str = "ReLU",
    dropout: float = 0.25,
    log_softmax: bool = False,
    loss: str = "CrossEntropyLoss",
    optimizer_name: str = "Adam",
    rate: float = 1e-3,
    rows: int = 1600,
    batch: int = 32,
    epochs: int = 4,
    divisor: float = 255.0,
    validation: str = "same",
    weights: float = 1.0,
    dead: str = "",
    zero_grad: bool = True,
    mode: str = "right",
    clip: float | None = None,
    frozen: bool = False,
) -> dict[str, float]:
    images, digits = data.mnist()
    train, held_out = data.split((images / divisor, digits), rows, 500, lab.seed)
    if validation == "inverted":
        held_out = (1 - held_out[0], held_out[1])
    elif validation == "not divided":
        held_out = (held_out[0] * divisor, held_out[1])
    train_loader = data.batches(train, batch, drop_last=True)
    test_loader = data.batches(held_out, 250, shuffle=False)

    model: Any = MnistNet(norm, activation, dropout, log_softmax)
    scaled_weights(model, weights)
    shifted_biases(model, -10.0, dead)
    parameters = model.fc2.parameters() if frozen else model.parameters()
    options = {"momentum": 0.9} if optimizer_name == "SGD" else {}
    optimizer: Any = getattr(torch.optim, optimizer_name)(parameters, lr=rate, **options)
    criterion: Any = getattr(nn, loss)()
    model, optimizer, criterion = lab.prepare(model, optimizer, criterion, train[0][:batch])
    reported = float("nan")

    def fit() -> None:
        if mode in ("right", "evaluates in train"):
            model.train()
        for image, label in train_loader:
            image, label = lab.batch(image, label)
            if zero_grad:
                optimizer.zero_grad()
            output = model(image)
            loss = criterion(output, label)
            loss.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()

    def test() -> float:
        if mode != "evaluates in train":
            model.eval()
        test_loss = 0.0
        with torch.no_grad():
            for image, label in test_loader:
                test_loss += criterion(model(image), label).item() * len(label)
        return test_loss / len(held_out[1])

    if mode == "trains in eval":
        model.eval()
    with lab.watch(model, optimizer, criterion):
        for _ in range(epochs):
            fit()
            reported = test()
            if lab.should_stop(reported):
                break
    model = lab.finished(model)
    return {
        **measured(model, nn.CrossEntropyLoss(), val=held_out, train=train),
        "reported_loss": reported,
    }


_SGD = {"optimizer_name": "SGD", "rate": 0.02}

CASES = (
    mnist_cnn.healthy("mnist-cnn"),
    mnist_cnn.healthy("mnist-cnn-nll", log_softmax=True, loss="NLLLoss"),
    mnist_cnn.healthy("mnist-cnn-batch-norm", norm="batch", epochs=3),
    mnist_cnn.healthy(
        "mnist-cnn-group-norm-batch-of-4", norm="group", batch=4, rows=1000, epochs=1
    ),
    mnist_cnn.healthy("mnist-cnn-sgd", **_SGD),
    mnist_cnn.healthy("mnist-cnn-tanh", activation="Tanh"),
    mnist_cnn.healthy("mnist-cnn-short-run", rows=1920, epochs=1),
    mnist_cnn.healthy("mnist-cnn-clipped", clip=0.5, **_SGD),
    mnist_cnn.healthy("mnist-cnn-dropout-half", dropout=0.5),
    mnist_cnn.sick(
        "mnist-cnn-no-zero-grad",
        "accumulated_gradients",
        zero_grad=False,
        **_SGD,
        repair=_SGD,
    ),
    mnist_cnn.sick("mnist-cnn-adam-no-zero-grad", "accumulated_gradients", zero_grad=False),
    mnist_cnn.sick(
        "mnist-cnn-logits-into-nll",
        "loss_output_mismatch",
        loss="NLLLoss",
        outcome="val_loss",
        repair={"log_softmax": True, "loss": "NLLLoss"},
    ),
    mnist_cnn.sick(
        "mnist-cnn-bytes",
        "unscaled_inputs",
        divisor=1.0,
        **_SGD,
        accept=("exploding_gradients",),
        repair=_SGD,
    ),
    mnist_cnn.sick(
        "mnist-cnn-weights-times-10",
        "bad_initialization",
        weights=10.0,
        accept=("exploding_gradients",),
        layers=("conv1", "conv2", "fc1", "fc2"),
    ),
    mnist_cnn.sick(
        "mnist-cnn-weights-tiny",
        "bad_initialization",
        weights=1e-3,
        **_SGD,
        accept=("vanishing_gradients",),
        layers=("conv1", "conv2", "fc1", "fc2"),
        repair=_SGD,
    ),
    mnist_cnn.sick(
        "mnist-cnn-dead-convolution",
        "dead_units",
        dead="conv2",
        accept=("bad_initialization",),
        layers=("conv2",),
    ),
    mnist_cnn.sick(
        "mnist-cnn-dead-linear",
        "dead_units",
        dead="fc1",
        accept=("bad_initialization",),
        layers=("fc1",),
    ),
    mnist_cnn.sick(
        "mnist-cnn-rate-too-high",
        "learning_rate_too_high",
        rate=0.1,
        accept=("dead_units",),
    ),
    mnist_cnn.sick(
        "mnist-cnn-sgd-rate-too-high",
        "learning_rate_too_high",
        optimizer_name="SGD",
        rate=2.0,
        accept=("exploding_gradients", "non_finite"),
        repair=_SGD,
    ),
    mnist_cnn.sick("mnist-cnn-rate-too-low", "learning_rate_too_low", rate=2e-6, visible_at=40),
    mnist_cnn.sick(
        "mnist-cnn-batches-of-2",
        "small_batch_norm",
        norm="batch",
        batch=2,
        rows=500,
        epochs=1,
        repair={"norm": "group", "batch": 2, "rows": 500, "epochs": 1},
    ),
    mnist_cnn.sick(
        "mnist-cnn-evaluates-in-train",
        "wrong_mode",
        mode="evaluates in train",
        dropout=0.7,
        outcome="reported_loss",
        repair={"dropout": 0.7},
        visible_at=49,
    ),
    mnist_cnn.sick(
        "mnist-cnn-trains-in-eval",
        "wrong_mode",
        mode="trains in eval",
        norm="batch",
        optimizer_name="SGD",
        rate=1e-3,
        repair={"norm": "batch", "optimizer_name": "SGD", "rate": 1e-3},
    ),
    mnist_cnn.sick(
        "mnist-cnn-validation-inverted",
        "distribution_shift",
        validation="inverted",
        visible_at=49,
    ),
    mnist_cnn.sick(
        "mnist-cnn-validation-not-divided",
        "distribution_shift",
        validation="not divided",
        visible_at=49,
    ),
    mnist_cnn.sick(
        "mnist-cnn-100-rows",
        "overfitting",
        rows=100,
        batch=20,
        epochs=40,
        dropout=0.0,
        repair={},
        visible_at=100,
    ),
    mnist_cnn.sick(
        "mnist-cnn-only-head-in-optimizer",
        "untrained_parameters",
        frozen=True,
        layers=("conv1", "conv2", "fc1"),
    ),
)
