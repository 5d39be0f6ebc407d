"""Pictures reconstructed by a plain and by a convolutional autoencoder."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from benchmarks.faults import data
from benchmarks.faults.case import program
from benchmarks.faults.lab import Lab
from benchmarks.faults.measuring import measured
from benchmarks.faults.starts import scaled_weights, shifted_biases
from torch import Tensor, nn


@program("mlp", "reconstruction", split="calibration")
def digits_autoencoder(
    lab: Lab,
    *,
    code: int = 8,
    act: str = "ReLU",
    last: str = "Sigmoid",
    divisor: float = 16.0,
    rate: float = 3e-3,
    optimizer_name: str = "Adam",
    zero_grad: bool = True,
    dead: tuple[str, ...] = (),
    weights: float = 1.0,
    tied: bool = False,
    rows: int = 1200,
    epochs: int = 6,
    decoder_only: bool = False,
    inverted: bool = False,
) -> dict[str, float]:
    """The targets are the inputs; the weights of the decoder may be those of the encoder."""
    (x, _), (x_val, _) = data.split(data.table("digits"), rows, 300, lab.seed)
    x, x_val = x / divisor, x_val / divisor
    if inverted:
        x_val = x_val.max() - x_val

    class Autoencoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.enc1, self.enc2 = nn.Linear(64, 48), nn.Linear(48, code)
            self.dec1, self.dec2 = nn.Linear(code, 48), nn.Linear(48, 64)
            if tied:
                self.dec1.weight = nn.Parameter(self.enc2.weight.detach().t().clone())
                self.dec2 = nn.Linear(48, 64)
                self.shared = self.enc1.weight
            self.act, self.last = getattr(nn, act)(), getattr(nn, last)()

        def forward(self, x: Tensor) -> Tensor:
            hidden = self.dec1(self.enc2(self.act(self.enc1(x))))
            hidden = self.act(hidden)
            if tied:
                return self.last(F.linear(hidden, self.enc1.weight.t(), self.dec2.bias))
            return self.last(self.dec2(hidden))

    model: Any = Autoencoder()
    scaled_weights(model, weights)
    shifted_biases(model, -10.0, *dead)
    parameters = (
        [*model.dec1.parameters(), *model.dec2.parameters()] if decoder_only else model.parameters()
    )
    optimizer: Any = getattr(torch.optim, optimizer_name)(parameters, lr=rate)
    loss_fn: Any = nn.MSELoss()
    model, optimizer, loss_fn = lab.prepare(model, optimizer, loss_fn, x[:40])
    with lab.watch(model, optimizer, loss_fn):
        for _ in range(epochs):
            for rows_now in torch.randperm(len(x)).split(40):
                part, target = lab.batch(x[rows_now], x[rows_now])
                if zero_grad:
                    optimizer.zero_grad()
                loss = loss_fn(model(part), target)
                loss.backward()
                optimizer.step()
            with torch.no_grad():
                if lab.should_stop(float(loss_fn(model(x_val), x_val))):
                    break
    model = lab.finished(model)
    found = measured(model, nn.MSELoss(), val=(x_val, x_val), train=(x, x))
    return {name: value / float(x.var()) for name, value in found.items()}


@program("cnn", "reconstruction", split="held-out")
def mnist_autoencoder(
    lab: Lab,
    *,
    loss: str = "BCEWithLogitsLoss",
    sigmoid: bool = False,
    rate: float = 3e-3,
    activation: str = "ReLU",
    weights: float = 1.0,
    dead: str = "",
    cleared: bool = True,
    epochs: int = 3,
    rows: int = 1280,
    denoising: float = 0.0,
    upside_down: bool = False,
    optimizer_name: str = "AdamW",
) -> dict[str, float]:
    """Strided convolutions down, transposed ones up."""
    images, digits = data.mnist()
    small = F.avg_pool2d(images, 2) / 255
    (x, _), (x_val, _) = data.split((small, digits), rows, 300, lab.seed)
    if upside_down:
        x_val = 1 - torch.flip(x_val, dims=(2,))
    act = getattr(nn, activation)
    model: Any = nn.Sequential(
        nn.Sequential(
            *(nn.Conv2d(1, 8, 3, stride=2, padding=1), act()),
            *(nn.Conv2d(8, 8, 3, stride=2, padding=1), act()),
        ),
        nn.Sequential(
            *(nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1), act()),
            nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1),
            *([nn.Sigmoid()] if sigmoid else []),
        ),
    )
    scaled_weights(model, weights)
    shifted_biases(model, -10.0, dead)
    optimizer: Any = getattr(torch.optim, optimizer_name)(model.parameters(), lr=rate)
    criterion: Any = getattr(nn, loss)()
    model, optimizer, criterion = lab.prepare(model, optimizer, criterion, x[:32])
    with lab.watch(model, optimizer, criterion):
        for _ in range(epochs):
            model.train()
            for images_now, _ in data.batches((x, torch.arange(rows)), 32):
                given, wanted = lab.batch(images_now, images_now)
                noisy = given + denoising * torch.randn_like(given)
                loss_now = criterion(model(noisy), wanted)
                if cleared:
                    for parameter in model.parameters():
                        parameter.grad = None
                loss_now.backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                if lab.should_stop(float(criterion(model(x_val), x_val))):
                    break
    model = lab.finished(model)
    model.eval()
    with torch.no_grad():
        output = model(x_val)
        output = output.sigmoid() if "Logits" in loss and not sigmoid else output
        error = (output - x_val).square().mean() / x_val.var()
    return {"val_loss": float(error)}


_MSE = {"loss": "MSELoss", "sigmoid": True}

CASES = (
    digits_autoencoder.healthy("digits-autoencoder"),
    digits_autoencoder.healthy("digits-autoencoder-linear-last", last="Identity"),
    digits_autoencoder.healthy("digits-autoencoder-shared-weights", tied=True),
    digits_autoencoder.healthy("digits-autoencoder-tanh", act="Tanh"),
    digits_autoencoder.sick(
        "digits-autoencoder-not-divided",
        "loss_output_mismatch",
        divisor=1.0,
        accept=("unscaled_inputs", "saturated_units"),
    ),
    digits_autoencoder.sick(
        "digits-autoencoder-code-of-1", "underfitting", code=1, epochs=12, visible_at=250
    ),
    digits_autoencoder.sick(
        "digits-autoencoder-no-zero-grad", "accumulated_gradients", zero_grad=False
    ),
    digits_autoencoder.sick(
        "digits-autoencoder-dead",
        "dead_units",
        dead=("enc1",),
        accept=("bad_initialization",),
        layers=("enc1",),
    ),
    digits_autoencoder.sick(
        "digits-autoencoder-rate-too-high",
        "learning_rate_too_high",
        rate=0.5,
        accept=("dead_units", "saturated_units"),
    ),
    digits_autoencoder.sick(
        "digits-autoencoder-rate-too-low", "learning_rate_too_low", rate=3e-6, visible_at=40
    ),
    digits_autoencoder.sick(
        "digits-autoencoder-sgd-rate-too-low",
        "learning_rate_too_low",
        rate=1e-4,
        optimizer_name="SGD",
        visible_at=40,
    ),
    digits_autoencoder.sick(
        "digits-autoencoder-weights-times-20",
        "bad_initialization",
        weights=20.0,
        accept=("saturated_units", "exploding_gradients"),
        layers=("enc1", "enc2", "dec1", "dec2"),
    ),
    digits_autoencoder.sick(
        "digits-autoencoder-validation-inverted",
        "distribution_shift",
        inverted=True,
        visible_at=29,
    ),
    mnist_autoencoder.healthy("mnist-autoencoder"),
    mnist_autoencoder.healthy("mnist-autoencoder-mse", **_MSE),
    mnist_autoencoder.healthy("mnist-autoencoder-denoising", denoising=0.2),
    mnist_autoencoder.sick("mnist-autoencoder-sigmoid-twice", "loss_output_mismatch", sigmoid=True),
    mnist_autoencoder.sick(
        "mnist-autoencoder-never-cleared", "accumulated_gradients", cleared=False
    ),
    mnist_autoencoder.sick(
        "mnist-autoencoder-dead",
        "dead_units",
        dead="0.2",
        accept=("bad_initialization",),
        layers=("0.2",),
    ),
    mnist_autoencoder.sick(
        "mnist-autoencoder-weights-tiny",
        "bad_initialization",
        weights=1e-3,
        accept=("vanishing_gradients",),
        layers=("0.0", "0.2", "1.0", "1.2"),
    ),
    mnist_autoencoder.sick(
        "mnist-autoencoder-rate-too-high",
        "learning_rate_too_high",
        rate=1.0,
        accept=("dead_units", "oscillating_loss"),
    ),
    mnist_autoencoder.sick(
        "mnist-autoencoder-rate-too-low", "learning_rate_too_low", rate=2e-6, visible_at=40
    ),
    mnist_autoencoder.sick(
        "mnist-autoencoder-validation-upside-down",
        "distribution_shift",
        upside_down=True,
        visible_at=39,
    ),
)
