"""Digits by an MLP with batch norm and dropout, where mode and batch size matter."""

from __future__ import annotations

from typing import Any

import torch
from benchmarks.faults import data
from benchmarks.faults.case import program
from benchmarks.faults.lab import Lab
from benchmarks.faults.measuring import measured
from torch import nn


@program("mlp", "classification", split="held-out")
def normed_mlp(
    lab: Lab,
    *,
    norm: str = "BatchNorm1d",
    batch: int = 32,
    rows: int = 1000,
    epochs: int = 5,
    rate: float = 0.02,
    dropout: float = 0.2,
    trains: str = "always",
    evaluates: str = "in eval",
    mixup: float = 0.0,
    averaged: bool = False,
    monte_carlo: bool = False,
    cleared: bool = True,
    shift: float = 0.0,
    decay: float = 0.0,
    softmax: bool = False,
) -> dict[str, float]:
    x, y = data.table("digits")
    train, validation = data.split(((x - 4.9) / 6, y), rows, 500, lab.seed)
    validation = (validation[0] + shift, validation[1])
    dims = (64, 96, 48)
    parts: list[nn.Module] = []
    for before, after in ((64, 96), (96, 48)):
        parts += [
            nn.Linear(before, after),
            getattr(nn, norm)(after),
            nn.GELU(),
            nn.Dropout(dropout),
        ]
    model: Any = nn.Sequential(*parts, nn.Linear(dims[-1], 10))
    if softmax:
        model.append(nn.Softmax(-1))
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=decay)
    loss_fn: Any = nn.CrossEntropyLoss()
    average = torch.optim.swa_utils.AveragedModel(model) if averaged else None
    model, optimizer, loss_fn = lab.prepare(model, optimizer, loss_fn, train[0][:batch])
    reported = float("nan")
    if trains == "never":
        model.eval()
    with lab.watch(model, optimizer, loss_fn):
        for epoch in range(epochs):
            if trains == "always":
                model.train()
            for inputs, labels in data.batches(train, batch, drop_last=True):
                inputs, labels = lab.batch(inputs, labels)
                if cleared:
                    optimizer.zero_grad()
                if mixup:
                    share = float(torch.distributions.Beta(mixup, mixup).sample())
                    other = torch.randperm(len(labels))
                    output = model(share * inputs + (1 - share) * inputs[other])
                    loss = share * loss_fn(output, labels)
                    loss = loss + (1 - share) * loss_fn(output, labels[other])
                else:
                    loss = loss_fn(model(inputs), labels)
                loss.backward()
                optimizer.step()
            if average is not None and epoch >= epochs // 2:
                average.update_parameters(model)
            if evaluates == "in eval":
                model.eval()
            if monte_carlo:
                for module in model.modules():
                    if isinstance(module, nn.Dropout):
                        module.train()
            with torch.no_grad():
                losses = [
                    float(loss_fn(model(inputs), labels))
                    for inputs, labels in data.batches(
                        validation, 2 if evaluates == "in train, two by two" else 100
                    )
                ]
            reported = sum(losses) / len(losses)
            if lab.should_stop(reported):
                break
    model = lab.finished(model)
    found = measured(model, nn.CrossEntropyLoss(), val=validation, train=train)
    return {**found, "reported_loss": reported}


CASES = (
    normed_mlp.healthy("normed-mlp"),
    normed_mlp.healthy("normed-mlp-dropout-and-mixup", dropout=0.5, mixup=0.4),
    normed_mlp.healthy("normed-mlp-averaged", averaged=True),
    normed_mlp.healthy("normed-mlp-monte-carlo-dropout", monte_carlo=True),
    normed_mlp.healthy("normed-mlp-layer-norm", norm="LayerNorm"),
    normed_mlp.healthy("normed-mlp-batches-of-16", batch=16, rate=0.01),
    normed_mlp.healthy("normed-mlp-weight-decay", decay=1e-3),
    normed_mlp.sick(
        "normed-mlp-batches-of-2",
        "small_batch_norm",
        batch=2,
        rows=500,
        epochs=1,
        rate=0.005,
        repair={"norm": "LayerNorm", "batch": 2, "rows": 500, "epochs": 1, "rate": 0.005},
    ),
    normed_mlp.sick(
        "normed-mlp-batches-of-3",
        "small_batch_norm",
        batch=3,
        rows=600,
        epochs=1,
        rate=0.005,
        repair={"norm": "LayerNorm", "batch": 3, "rows": 600, "epochs": 1, "rate": 0.005},
    ),
    normed_mlp.sick(
        "normed-mlp-never-in-train",
        "wrong_mode",
        trains="never",
        rate=0.005,
        epochs=3,
        repair={"rate": 0.005, "epochs": 3},
    ),
    normed_mlp.sick(
        "normed-mlp-evaluates-in-train",
        "wrong_mode",
        evaluates="in train",
        dropout=0.6,
        outcome="reported_loss",
        repair={"dropout": 0.6},
        visible_at=30,
    ),
    normed_mlp.sick(
        "normed-mlp-evaluates-in-train-two-by-two",
        "wrong_mode",
        evaluates="in train, two by two",
        outcome="reported_loss",
        visible_at=30,
    ),
    normed_mlp.sick("normed-mlp-never-cleared", "accumulated_gradients", cleared=False),
    normed_mlp.sick(
        "normed-mlp-shifted-validation", "distribution_shift", shift=1.0, visible_at=30
    ),
    normed_mlp.sick("normed-mlp-softmax-first", "loss_output_mismatch", softmax=True),
    normed_mlp.sick("normed-mlp-rate-too-low", "learning_rate_too_low", rate=1e-5, visible_at=40),
    normed_mlp.sick(
        "normed-mlp-60-rows",
        "overfitting",
        rows=60,
        batch=20,
        epochs=80,
        dropout=0.0,
        repair={"dropout": 0.0},
        visible_at=60,
    ),
)
