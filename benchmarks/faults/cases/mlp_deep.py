"""Deep plain networks, where signals and gradients are lost or blown up on their way."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import Any

import torch
from benchmarks.faults import data
from benchmarks.faults.case import program
from benchmarks.faults.lab import Lab
from benchmarks.faults.measuring import measured
from benchmarks.faults.starts import he_weights, normal_weights, scaled_weights, shifted_biases
from torch import nn

_ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "leaky": nn.LeakyReLU}


@program("mlp", "classification", split="calibration")
def deep_digits_mlp(
    lab: Lab,
    *,
    depth: int = 8,
    activation: str = "relu",
    start: str = "he",
    factor: float = 1.0,
    one_layer: str = "",
    rate: float = 0.01,
    norm: str = "",
    epochs: int = 6,
    dead: tuple[str, ...] = (),
    zero_output: bool = False,
) -> dict[str, float]:
    """Blocks by name, SGD with momentum, every loss printed by hand."""
    (x, y), (x_val, y_val) = data.split(data.table("digits"), 1200, 500, lab.seed)
    x, x_val = x / 8 - 1, x_val / 8 - 1
    blocks: OrderedDict[str, nn.Module] = OrderedDict()
    for number in range(depth):
        blocks[f"fc{number + 1}"] = nn.Linear(64, 64)
        if norm:
            blocks[f"norm{number + 1}"] = getattr(nn, norm)(64)
        blocks[f"act{number + 1}"] = _ACTIVATIONS[activation]()
    blocks["out"] = nn.Linear(64, 10)
    model: Any = nn.Sequential(blocks)
    if start == "he":
        he_weights(model)
    elif start == "small":
        normal_weights(model, 0.01)
    elif start == "xavier":
        for layer in model:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight, gain=5 / 3)
    elif start == "unit":
        normal_weights(model, 1.0)
    scaled_weights(model, factor, *([one_layer] if one_layer else []))
    shifted_biases(model, -10.0, *dead)
    if zero_output:
        nn.init.zeros_(model.out.weight)
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    loss_fn: Any = nn.CrossEntropyLoss()
    model, optimizer, loss_fn = lab.prepare(model, optimizer, loss_fn, x[:40])
    losses: list[float] = []
    with lab.watch(model, optimizer, loss_fn):
        for _ in range(epochs):
            order = torch.randperm(1200)
            model.train()
            for start_row in range(0, 1200, 40):
                rows = order[start_row : start_row + 40]
                inputs, labels = lab.batch(x[rows], y[rows])
                optimizer.zero_grad()
                loss = loss_fn(model(inputs), labels)
                losses.append(loss.item())
                loss.backward()
                optimizer.step()
            model.eval()
            with torch.inference_mode():
                if lab.should_stop(float(loss_fn(model(x_val), y_val))):
                    break
    model = lab.finished(model)
    return measured(model, nn.CrossEntropyLoss(), val=(x_val, y_val), train=(x, y))


@program("mlp", "classification", split="held-out")
def deep_mnist_mlp(
    lab: Lab,
    *,
    depth: int = 10,
    activation: str = "ReLU",
    gain: float | None = None,
    rate: float = 1e-3,
    normed: bool = False,
    raw: bool = False,
    dead: int | None = None,
    steps: int = 200,
    optimizer_class: str = "Adam",
    validation_inverted: bool = False,
    clip: float | None = None,
) -> dict[str, float]:
    """Counted steps instead of epochs; a class with a list of blocks; narrowing layers."""
    images, digits = data.mnist()
    small = torch.nn.functional.avg_pool2d(images, 2).flatten(1)
    (x, y), (x_val, y_val) = data.split(
        (small if raw else small / 255, digits), 2500, 500, lab.seed
    )
    if validation_inverted:
        x_val = 1 - x_val

    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            widths = [196, *[80 - 4 * i for i in range(depth)]]
            self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
            self.norms = nn.ModuleList(
                nn.LayerNorm(b) if normed else nn.Identity() for b in widths[1:]
            )
            self.act = getattr(nn, activation)()
            self.classify = nn.Linear(widths[-1], 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer, norm in zip(self.layers, self.norms, strict=True):
                x = self.act(norm(layer(x)))
            return self.classify(x)

    model: Any = Deep()
    for layer in model.layers:
        nn.init.xavier_uniform_(layer.weight, gain=gain or nn.init.calculate_gain("relu"))
        nn.init.zeros_(layer.bias)
    if dead is not None:
        nn.init.constant_(model.layers[dead].bias, -30.0)
    optimizer: Any = getattr(torch.optim, optimizer_class)(model.parameters(), lr=rate)
    loss_fn: Any = nn.CrossEntropyLoss()
    model, optimizer, loss_fn = lab.prepare(model, optimizer, loss_fn, x[:50])
    step = 0
    with lab.watch(model, optimizer, loss_fn):
        while step < steps:
            for inputs, labels in data.batches((x, y), 50):
                inputs, labels = lab.batch(inputs, labels)
                output = model(inputs)
                loss = loss_fn(output, labels)
                model.zero_grad(set_to_none=True)
                loss.backward()
                if clip is not None:
                    torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
                optimizer.step()
                step += 1
                if step % 50 == 0:
                    model.eval()
                    with torch.no_grad():
                        current = loss_fn(model(x_val), y_val)
                    model.train()
                    if lab.should_stop(float(current)) or step >= steps:
                        step = max(step, steps) if step >= steps else steps
                        break
    model = lab.finished(model)
    return measured(model, nn.CrossEntropyLoss(), val=(x_val, y_val), train=(x, y))


_FIRST = tuple(f"fc{n}" for n in range(1, 6))
_ALL = (*(f"fc{n}" for n in range(1, 9)), "out")
_EVERY = (*(f"layers.{n}" for n in range(10)), "classify")

CASES = (
    deep_digits_mlp.healthy("deep-digits-mlp-he"),
    deep_digits_mlp.healthy("deep-digits-mlp-tanh", activation="tanh", start="xavier"),
    deep_digits_mlp.healthy(
        "deep-digits-mlp-layer-norm-large-weights", norm="LayerNorm", factor=3.0
    ),
    deep_digits_mlp.healthy("deep-digits-mlp-batch-norm", norm="BatchNorm1d", start="torch"),
    deep_digits_mlp.healthy("deep-digits-mlp-zero-output", zero_output=True),
    deep_digits_mlp.healthy("deep-digits-mlp-leaky", activation="leaky", depth=5),
    deep_digits_mlp.sick(
        "deep-digits-mlp-sigmoid",
        "vanishing_gradients",
        activation="sigmoid",
        start="torch",
        rate=0.05,
        accept=("saturated_units",),
        layers=_FIRST,
    ),
    deep_digits_mlp.sick(
        "deep-digits-mlp-sigmoid-12",
        "vanishing_gradients",
        activation="sigmoid",
        depth=12,
        start="torch",
        layers=tuple(f"fc{n}" for n in range(1, 9)),
    ),
    deep_digits_mlp.sick(
        "deep-digits-mlp-small-weights",
        "bad_initialization",
        start="small",
        accept=("vanishing_gradients",),
        layers=_ALL,
    ),
    deep_digits_mlp.sick(
        "deep-digits-mlp-tanh-small-weights",
        "bad_initialization",
        activation="tanh",
        start="small",
        accept=("vanishing_gradients",),
        layers=_ALL,
        repair={"activation": "tanh", "start": "xavier"},
    ),
    deep_digits_mlp.sick(
        "deep-digits-mlp-unit-weights",
        "bad_initialization",
        start="unit",
        accept=("exploding_gradients",),
        layers=_ALL,
    ),
    deep_digits_mlp.sick(
        "deep-digits-mlp-gain-3",
        "exploding_gradients",
        factor=3.0,
        accept=("bad_initialization",),
        layers=_ALL,
    ),
    deep_digits_mlp.sick(
        "deep-digits-mlp-tanh-unit-weights",
        "saturated_units",
        activation="tanh",
        start="unit",
        factor=2.0,
        accept=("bad_initialization", "exploding_gradients"),
        layers=_ALL[:-1],
        repair={"activation": "tanh", "start": "xavier"},
    ),
    deep_digits_mlp.sick(
        "deep-digits-mlp-one-large-layer",
        "bad_initialization",
        factor=100.0,
        one_layer="fc4",
        accept=("exploding_gradients",),
        layers=("fc4",),
    ),
    deep_digits_mlp.sick(
        "deep-digits-mlp-one-dead-layer",
        "dead_units",
        dead=("fc5",),
        accept=("bad_initialization",),
        layers=("fc5",),
    ),
    deep_digits_mlp.sick(
        "deep-digits-mlp-rate-too-high",
        "learning_rate_too_high",
        rate=1.0,
        accept=("exploding_gradients", "non_finite"),
    ),
    deep_digits_mlp.sick(
        "deep-digits-mlp-rate-high-dying",
        "learning_rate_too_high",
        rate=0.2,
        accept=("dead_units",),
        visible_at=5,
    ),
    deep_mnist_mlp.healthy("deep-mnist-mlp"),
    deep_mnist_mlp.healthy("deep-mnist-mlp-layer-norm", normed=True, gain=3.0),
    deep_mnist_mlp.healthy(
        "deep-mnist-mlp-clipped", clip=1.0, optimizer_class="SGD", rate=0.1, steps=300
    ),
    deep_mnist_mlp.healthy("deep-mnist-mlp-elu", activation="ELU", gain=1.0),
    deep_mnist_mlp.sick(
        "deep-mnist-mlp-sigmoid",
        "vanishing_gradients",
        activation="Sigmoid",
        gain=1.0,
        optimizer_class="SGD",
        rate=0.1,
        layers=tuple(f"layers.{n}" for n in range(7)),
    ),
    deep_mnist_mlp.sick(
        "deep-mnist-mlp-tiny-gain",
        "bad_initialization",
        gain=0.05,
        accept=("vanishing_gradients",),
        layers=_EVERY,
        optimizer_class="SGD",
        rate=0.05,
    ),
    deep_mnist_mlp.sick(
        "deep-mnist-mlp-large-gain",
        "exploding_gradients",
        gain=4.0,
        accept=("bad_initialization",),
        layers=_EVERY,
    ),
    deep_mnist_mlp.sick(
        "deep-mnist-mlp-tanh-large-gain",
        "saturated_units",
        activation="Tanh",
        gain=12.0,
        accept=("bad_initialization",),
        layers=tuple(f"layers.{n}" for n in range(10)),
    ),
    deep_mnist_mlp.sick(
        "deep-mnist-mlp-dead",
        "dead_units",
        dead=3,
        accept=("bad_initialization",),
        layers=("layers.3",),
    ),
    deep_mnist_mlp.sick(
        "deep-mnist-mlp-raw",
        "unscaled_inputs",
        raw=True,
        optimizer_class="SGD",
        rate=0.05,
        accept=("exploding_gradients",),
        repair={"optimizer_class": "SGD", "rate": 0.05},
    ),
    deep_mnist_mlp.sick(
        "deep-mnist-mlp-rate-too-high",
        "learning_rate_too_high",
        rate=0.1,
        accept=("dead_units",),
    ),
    deep_mnist_mlp.sick(
        "deep-mnist-mlp-validation-inverted",
        "distribution_shift",
        validation_inverted=True,
        visible_at=49,
    ),
)
