"""Digits by a plain network of three layers: the loop of every tutorial."""

from __future__ import annotations

from typing import Any

import torch
from benchmarks.faults import data
from benchmarks.faults.case import program
from benchmarks.faults.lab import Lab
from benchmarks.faults.measuring import measured
from benchmarks.faults.starts import constant_weights, scaled_weights, shifted_biases
from torch import nn


@program("mlp", "classification", split="calibration")
def digits_mlp(
    lab: Lab,
    *,
    optimizer_name: str = "sgd",
    rate: float = 0.03,
    decay: float = 0.0,
    rows: int = 1200,
    validation_rows: int = 500,
    batch: int = 32,
    epochs: int = 6,
    width: int = 64,
    dropout: float = 0.0,
    smoothing: float = 0.0,
    divisor: float = 16.0,
    validation_divisor: float | None = None,
    divided_by_deviation: bool = False,
    zero_grad: bool = True,
    zero_grad_after_backward: bool = False,
    softmax: bool = False,
    nll: bool = False,
    dead_bias: float | None = None,
    weights: float = 1.0,
    constant: float | None = None,
    trained: str = "all",
    noisy_labels: float = 0.0,
    labels_shuffled: bool = False,
) -> dict[str, float]:
    train, validation = data.split(data.table("digits"), rows, validation_rows, lab.seed)
    clean = (validation[0] / divisor, validation[1])
    validation = (validation[0] / (validation_divisor or divisor), validation[1])
    x, y = train[0] / divisor, train[1].clone()
    if divided_by_deviation:  # some pixels are the same in every row
        x = (x - x.mean(0)) / x.std(0)
    flipped = torch.rand(rows) < noisy_labels
    y[flipped] = torch.randint(10, (int(flipped.sum()),))
    if labels_shuffled:
        y = y[torch.randperm(rows)]

    layers: list[nn.Module] = [nn.Linear(64, width), nn.ReLU(), nn.Dropout(dropout)]
    layers += [nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 10)]
    if softmax or nll:
        layers.append(nn.Softmax(dim=1))
    model: Any = nn.Sequential(*layers)
    scaled_weights(model, weights)
    if constant is not None:
        constant_weights(model, constant)
    if dead_bias is not None:
        shifted_biases(model, dead_bias, "3")
    part = {"all": model, "head": model[6], "body": model[:6]}[trained]
    optimizer: Any = {
        "sgd": lambda p: torch.optim.SGD(p, lr=rate, momentum=0.9, weight_decay=decay),
        "plain": lambda p: torch.optim.SGD(p, lr=rate, weight_decay=decay),
        "adam": lambda p: torch.optim.Adam(p, lr=rate, weight_decay=decay),
    }[optimizer_name](part.parameters())
    loss_fn: Any = nn.NLLLoss() if nll else nn.CrossEntropyLoss(label_smoothing=smoothing)
    loader = data.batches((x, y), batch)
    held_out = data.batches(validation, 250, shuffle=False)

    model, optimizer, loss_fn = lab.prepare(model, optimizer, loss_fn, x[:32])
    with lab.watch(model, optimizer, loss_fn):
        for _ in range(epochs):
            model.train()
            for inputs, labels in loader:
                inputs, labels = lab.batch(inputs, labels)
                if zero_grad:
                    optimizer.zero_grad()
                loss = loss_fn(model(inputs), labels)
                loss.backward()
                if zero_grad_after_backward:
                    optimizer.zero_grad()
                optimizer.step()
            model.eval()
            total = 0.0
            with torch.no_grad():
                for inputs, labels in held_out:
                    total += loss_fn(model(inputs), labels).item() * len(labels)
            if lab.should_stop(total / validation_rows):
                break
    model = lab.finished(model)
    judged = validation if validation_divisor else clean
    return measured(model, nn.CrossEntropyLoss(), val=judged, train=(x, train[1]))


_NOISY = {
    "noisy_labels": 0.4,
    "optimizer_name": "adam",
    "rate": 2e-3,
    "rows": 200,
    "batch": 20,
    "width": 256,
}

CASES = (
    digits_mlp.healthy("digits-mlp"),
    digits_mlp.healthy("digits-mlp-adam", optimizer_name="adam", rate=1e-3),
    digits_mlp.healthy("digits-mlp-label-noise", noisy_labels=0.3, dropout=0.2, epochs=4),
    digits_mlp.healthy(
        "digits-mlp-small-batches-noisy-loss", batch=4, rate=0.01, rows=900, epochs=2
    ),
    digits_mlp.healthy("digits-mlp-small-validation", validation_rows=60, epochs=8, rate=0.03),
    digits_mlp.healthy("digits-mlp-wide-sparse", width=512, rate=0.03, epochs=3),
    digits_mlp.healthy("digits-mlp-label-smoothing", smoothing=0.1),
    digits_mlp.healthy("digits-mlp-short-but-falling", optimizer_name="plain", rate=0.1, epochs=3),
    digits_mlp.sick("digits-mlp-no-zero-grad", "accumulated_gradients", zero_grad=False),
    digits_mlp.sick(
        "digits-mlp-softmax-first", "loss_output_mismatch", softmax=True, outcome="val_accuracy"
    ),
    digits_mlp.sick(
        "digits-mlp-softmax-into-nll", "loss_output_mismatch", nll=True, outcome="val_accuracy"
    ),
    digits_mlp.sick("digits-mlp-rate-too-low", "learning_rate_too_low", rate=1e-5, visible_at=40),
    digits_mlp.sick(
        "digits-mlp-adam-rate-too-low",
        "learning_rate_too_low",
        optimizer_name="adam",
        rate=3e-6,
        repair={"optimizer_name": "adam", "rate": 1e-3},
        visible_at=40,
    ),
    digits_mlp.sick(
        "digits-mlp-rate-too-high",
        "learning_rate_too_high",
        rate=3.0,
        accept=("non_finite", "exploding_gradients"),
    ),
    digits_mlp.sick(
        "digits-mlp-adam-rate-too-high",
        "learning_rate_too_high",
        optimizer_name="adam",
        rate=0.3,
        accept=("oscillating_loss",),
        repair={"optimizer_name": "adam", "rate": 1e-3},
    ),
    digits_mlp.sick(
        "digits-mlp-oscillating",
        "oscillating_loss",
        optimizer_name="adam",
        rate=0.15,
        accept=("learning_rate_too_high",),
        repair={"optimizer_name": "adam", "rate": 1e-3},
    ),
    digits_mlp.sick(
        "digits-mlp-weights-times-20",
        "bad_initialization",
        weights=20.0,
        accept=("exploding_gradients",),
        layers=("0", "3", "6"),
    ),
    digits_mlp.sick(
        "digits-mlp-constant-weights",
        "bad_initialization",
        constant=0.05,
        layers=("0", "3"),
    ),
    digits_mlp.sick(
        "digits-mlp-zero-weights",
        "bad_initialization",
        constant=0.0,
        accept=("vanishing_gradients",),
        layers=("0", "3"),
    ),
    digits_mlp.sick(
        "digits-mlp-dead-bias",
        "dead_units",
        dead_bias=-10.0,
        accept=("bad_initialization",),
        layers=("3",),
    ),
    digits_mlp.sick(
        "digits-mlp-unscaled",
        "unscaled_inputs",
        divisor=0.02,
        outcome="val_accuracy",
        accept=("exploding_gradients",),
    ),
    digits_mlp.sick(
        "digits-mlp-divided-by-no-deviation",
        "non_finite",
        divided_by_deviation=True,
        accept=("unscaled_inputs",),
    ),
    digits_mlp.sick(
        "digits-mlp-validation-not-divided",
        "distribution_shift",
        validation_divisor=1.0,
    ),
    digits_mlp.sick(
        "digits-mlp-only-head-in-optimizer",
        "untrained_parameters",
        trained="head",
        layers=("0", "3"),
    ),
    digits_mlp.sick(
        "digits-mlp-60-rows",
        "overfitting",
        optimizer_name="adam",
        rate=2e-3,
        rows=60,
        batch=20,
        width=256,
        epochs=80,
        repair={"optimizer_name": "adam", "rate": 2e-3, "width": 256, "batch": 100, "epochs": 20},
        visible_at=120,
    ),
    digits_mlp.sick(
        "digits-mlp-memorised-noise",
        "overfitting",
        noisy_labels=0.4,
        optimizer_name="adam",
        rate=2e-3,
        rows=150,
        batch=25,
        width=256,
        epochs=80,
        repair={**_NOISY, "epochs": 8},
        visible_at=150,
    ),
    digits_mlp.sick(
        "digits-mlp-three-units",
        "underfitting",
        optimizer_name="adam",
        rate=1e-2,
        width=3,
        epochs=12,
        repair={"optimizer_name": "adam", "rate": 1e-2},
        visible_at=300,
    ),
    digits_mlp.sick(
        "digits-mlp-too-much-decay",
        "underfitting",
        decay=0.2,
        rate=0.03,
        accept=("not_learning",),
        visible_at=120,
    ),
    digits_mlp.sick(
        "digits-mlp-labels-shuffled",
        "not_learning",
        labels_shuffled=True,
        rate=0.03,
        accept=("underfitting",),
        visible_at=120,
    ),
    digits_mlp.sick(
        "digits-mlp-cleared-before-step",
        "not_learning",
        zero_grad_after_backward=True,
        accept=("untrained_parameters", "learning_rate_too_low"),
        visible_at=20,
    ),
)
