"""Digits by a plain network of three layers: the loop of every tutorial."""

from __future__ import annotations

from typing import Any

import torch
from benchmarks.faults import data
from benchmarks.faults.case import program
from benchmarks.faults.lab import Lab
from benchmarks.faults.measuring import measured
from torch import nn


@program("mlp", "classification", split="calibration")
def digits_mlp(
    lab: Lab,
    *,
    rate: float = 0.1,
    rows: int = 1200,
    width: int = 64,
    epochs: int = 6,
    noise: float = 0.0,
    divisor: float = 16.0,
    validation_divisor: float | None = None,
    zero_grad: bool = True,
    softmax: bool = False,
    first_bias: float | None = None,
    weights: float = 1.0,
    dropout: float = 0.0,
    decay: float = 0.0,
    head_only: bool = False,
    adam: bool = False,
) -> dict[str, float]:
    train, validation = data.split(data.table("digits"), rows, 500, lab.seed)
    clean = (validation[0] / divisor, validation[1])
    validation = (validation[0] / (validation_divisor or divisor), validation[1])
    train = (train[0] / divisor, train[1].clone())
    flipped = torch.rand(rows) < noise
    train[1][flipped] = torch.randint(10, (int(flipped.sum()),))
    layers: list[nn.Module] = [nn.Linear(64, width), nn.ReLU(), nn.Dropout(dropout)]
    layers += [nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 10)]
    if softmax:
        layers.append(nn.Softmax(dim=1))
    model: Any = nn.Sequential(*layers)
    with torch.no_grad():
        for layer in (model[0], model[3], model[6]):
            layer.weight.mul_(weights)
        if first_bias is not None:
            model[0].bias.fill_(first_bias)
    trained = model[6] if head_only else model
    optimizer: Any = (
        torch.optim.Adam(trained.parameters(), lr=rate, weight_decay=decay)
        if adam
        else torch.optim.SGD(trained.parameters(), lr=rate, momentum=0.9, weight_decay=decay)
    )
    loss_fn: Any = nn.CrossEntropyLoss()
    loader, held_out = data.batches(train, 32), data.batches(validation, 250, shuffle=False)

    model, optimizer, loss_fn = lab.prepare(model, optimizer, loss_fn, train[0][:32])
    with lab.watch(model, optimizer, loss_fn):
        for _ in range(epochs):
            model.train()
            for inputs, labels in loader:
                inputs, labels = lab.batch(inputs, labels)
                if zero_grad:
                    optimizer.zero_grad()
                loss = loss_fn(model(inputs), labels)
                loss.backward()
                optimizer.step()
            model.eval()
            total = 0.0
            with torch.no_grad():
                for inputs, labels in held_out:
                    total += loss_fn(model(inputs), labels).item() * len(labels)
            if lab.should_stop(total / 500):
                break
    model = lab.finished(model)
    return measured(
        model,
        nn.CrossEntropyLoss(),
        val=clean if not validation_divisor else validation,
        train=train,
    )


CASES = (
    digits_mlp.healthy("digits-mlp"),
    digits_mlp.healthy("digits-mlp-adam", adam=True, rate=1e-3),
    digits_mlp.healthy("digits-mlp-label-noise", noise=0.3, dropout=0.2, epochs=4),
    digits_mlp.sick("digits-mlp-no-zero-grad", "accumulated_gradients", zero_grad=False, repair={}),
    digits_mlp.sick(
        "digits-mlp-softmax-first", "loss_output_mismatch", softmax=True, outcome="val_accuracy"
    ),
    digits_mlp.sick("digits-mlp-rate-too-low", "learning_rate_too_low", rate=1e-5, visible_at=40),
)
