"""Small tables: wine by a functional loop, breast cancer by one output, diabetes by regression."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from benchmarks.faults import data
from benchmarks.faults.case import program
from benchmarks.faults.lab import Lab
from benchmarks.faults.measuring import measured
from benchmarks.faults.starts import normal_weights, scaled_weights, shifted_biases
from torch import nn


@program("mlp", "classification", split="held-out")
def wine_mlp(
    lab: Lab,
    *,
    rate: float = 0.02,
    epochs: int = 25,
    hidden: int = 24,
    activation: str = "ReLU",
    scaled: bool = True,
    validation_scaled: bool | None = None,
    zero_grad: bool = True,
    probabilities: bool = False,
    deviation: float | None = None,
    dead: bool = False,
    double: bool = False,
    schedule: str = "cosine",
    shuffled: bool = False,
) -> dict[str, float]:
    """A functional loss, so the losses are logged; one schedule or another."""
    raw, raw_validation = data.split(data.table("wine"), 120, 58, lab.seed)
    train, validation = data.standardized(raw, raw_validation) if scaled else (raw, raw_validation)
    if validation_scaled is False:
        validation = raw_validation
    if double:
        train, validation = ((x.double(), y) for x, y in (train, validation))
    x, y = train
    if shuffled:
        x = x[torch.randperm(len(x))]

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(13, hidden)
            self.act = getattr(nn, activation)()
            self.middle = nn.Linear(hidden, hidden)
            self.act2 = getattr(nn, activation)()
            self.out = nn.Linear(hidden, 3)

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            scores = self.out(self.act2(self.middle(self.act(self.inner(rows)))))
            return scores.softmax(-1) if probabilities else scores

    model: Any = Net().double() if double else Net()
    if deviation is not None:
        normal_weights(model, deviation)
    if dead:
        shifted_biases(model, -20.0, "inner")
    optimizer: Any = torch.optim.AdamW(model.parameters(), lr=rate)
    steps = epochs * 8
    scheduler = {
        "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps),
        "restarts": lambda: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 50),
        "one-cycle": lambda: torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps),
        "none": lambda: torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0),
    }[schedule]()
    loss_fn: Any = F.cross_entropy
    model, optimizer, loss_fn = lab.prepare(model, optimizer, loss_fn, x[:15])
    with lab.watch(model, optimizer, loss_fn) as watch:
        for _ in range(epochs):
            for rows in torch.randperm(len(y)).split(15):
                if zero_grad:
                    model.zero_grad()
                loss = F.cross_entropy(model(x[rows]), y[rows])
                loss.backward()
                optimizer.step()
                scheduler.step()
                watch.log(train_loss=loss)
            with torch.no_grad():
                scores = model(validation[0])
                watch.log(
                    val_loss=F.cross_entropy(scores, validation[1]),
                    val_accuracy=(scores.argmax(1) == validation[1]).float().mean(),
                )
    return measured(lab.finished(model), F.cross_entropy, val=validation, train=train)


@program("mlp", "classification", split="calibration")
def cancer_mlp(
    lab: Lab,
    *,
    loss: str = "bce_with_logits",
    sigmoid: bool = False,
    rate: float = 0.05,
    epochs: int = 10,
    activation: str = "Tanh",
    scaled: bool = True,
    weights: float = 1.0,
    zero_grad: bool = True,
    momentum: float = 0.9,
    rows: int = 400,
    dropout: float = 0.0,
    stays_in_eval: bool = False,
    evaluates_in_train: bool = False,
) -> dict[str, float]:
    """One output for two classes; the loop is a function of its own."""
    raw = data.split(data.table("breast_cancer"), rows, 160, lab.seed)
    train, validation = data.standardized(*raw) if scaled else raw
    train, validation = ((x, y.float().unsqueeze(1)) for x, y in (train, validation))
    act = getattr(nn, activation)
    model: Any = nn.Sequential(
        *(nn.Linear(30, 32), act(), nn.Dropout(dropout)),
        *(nn.Linear(32, 16), act(), nn.Dropout(dropout), nn.Linear(16, 1)),
        *([nn.Sigmoid()] if sigmoid else []),
    )
    scaled_weights(model, weights, "0", "3")
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum)
    loss_fn: Any = {
        "bce_with_logits": nn.BCEWithLogitsLoss,
        "bce": nn.BCELoss,
        "cross_entropy": nn.CrossEntropyLoss,
        "mse": nn.MSELoss,
    }[loss]()
    reported = float("nan")

    def one_epoch(watch: Any) -> float:
        if not stays_in_eval:
            model.train()
        for inputs, labels in data.batches(train, 20):
            if zero_grad:
                optimizer.zero_grad()
            loss_fn(model(inputs), labels).backward()
            optimizer.step()
        if not evaluates_in_train:
            model.eval()
        with torch.no_grad():
            return float(loss_fn(model(validation[0]), validation[1]))

    model, optimizer, loss_fn = lab.prepare(model, optimizer, loss_fn, train[0][:20])
    with lab.watch(model, optimizer, loss_fn) as watch:
        for _ in range(epochs):
            reported = one_epoch(watch)
    model = lab.finished(model)
    found = measured(model, loss_fn, val=validation, train=train)
    model.eval()
    with torch.no_grad():
        threshold = 0.5 if sigmoid or loss == "mse" else 0.0
        hits = (model(validation[0]) > threshold) == (validation[1] > 0.5)
    return {**found, "val_accuracy": float(hits.float().mean()), "reported_loss": reported}


@program("mlp", "regression", split="held-out")
def diabetes_mlp(
    lab: Lab,
    *,
    rate: float = 3e-3,
    rows: int = 340,
    epochs: int = 14,
    width: int = 32,
    decay: float = 1e-2,
    last: str = "Identity",
    squeezed: bool = True,
    inputs_scaled: bool = True,
    targets_scaled: bool = True,
    zero_grad: bool = True,
    deviation: float | None = None,
    clip: float | None = None,
    huber: bool = False,
    validation_shifted: bool = False,
) -> dict[str, float]:
    """A regression that can explain half the variance, by a module with a squeezed output."""
    raw = data.split(data.table("diabetes"), rows, 100, lab.seed)
    train, validation = data.standardized(*raw) if inputs_scaled else raw
    mean, spread = train[1].mean(), train[1].std()
    if targets_scaled:
        train, validation = ((x, (y - mean) / spread) for x, y in (train, validation))
    if validation_shifted:
        validation = (validation[0] * 3 + 2, validation[1])

    class Regressor(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(10, width), nn.ReLU(), nn.Linear(width, width))
            self.head = nn.Linear(width, 1)
            self.last = getattr(nn, last)()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found = self.last(self.head(F.relu(self.body(x))))
            return found.squeeze(1) if squeezed else found

    model: Any = Regressor()
    if deviation is not None:
        normal_weights(model, deviation)
    optimizer: Any = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
    loss_fn: Any = nn.HuberLoss() if huber else nn.MSELoss()
    model, optimizer, loss_fn = lab.prepare(model, optimizer, loss_fn, train[0][:20])
    with lab.watch(model, optimizer, loss_fn):
        for _ in range(epochs):
            for x, y in data.batches(train, 20, drop_last=True):
                x, y = lab.batch(x, y)
                loss = loss_fn(model(x), y)
                if zero_grad:
                    optimizer.zero_grad(set_to_none=False)
                loss.backward()
                if clip:
                    nn.utils.clip_grad_norm_(model.parameters(), clip)
                optimizer.step()
            with torch.no_grad():
                found = loss_fn(model(validation[0]), validation[1])
            if lab.should_stop(float(found)):
                break
    model = lab.finished(model)
    with torch.no_grad():
        error = (model(validation[0]).reshape(-1) - validation[1]) / (
            1 if targets_scaled else spread
        )
    return {"val_loss": float(error.square().mean())}


CASES = (
    wine_mlp.healthy("wine-mlp-cosine"),
    wine_mlp.healthy("wine-mlp-warm-restarts", schedule="restarts"),
    wine_mlp.healthy("wine-mlp-one-cycle", schedule="one-cycle"),
    wine_mlp.healthy("wine-mlp-float64", double=True, schedule="none"),
    wine_mlp.healthy("wine-mlp-tanh", activation="Tanh", schedule="none", rate=5e-3),
    wine_mlp.sick("wine-mlp-raw", "unscaled_inputs", scaled=False),
    wine_mlp.sick(
        "wine-mlp-validation-raw", "distribution_shift", validation_scaled=False, visible_at=7
    ),
    wine_mlp.sick(
        "wine-mlp-softmax-first",
        "loss_output_mismatch",
        probabilities=True,
        visible_at=10,
    ),
    wine_mlp.sick(
        "wine-mlp-rate-too-high",
        "learning_rate_too_high",
        rate=10.0,
        schedule="none",
        outcome="val_accuracy",
        accept=("oscillating_loss",),
    ),
    wine_mlp.sick("wine-mlp-rate-too-low", "learning_rate_too_low", rate=2e-6, visible_at=40),
    wine_mlp.sick(
        "wine-mlp-tiny-weights",
        "bad_initialization",
        deviation=1e-4,
        rate=1e-3,
        schedule="none",
        accept=("vanishing_gradients",),
        layers=("inner", "middle", "out"),
        repair={"rate": 1e-3, "schedule": "none"},
    ),
    wine_mlp.sick(
        "wine-mlp-huge-weights",
        "bad_initialization",
        deviation=5.0,
        schedule="none",
        rate=1e-3,
        accept=("exploding_gradients",),
        layers=("inner", "middle", "out"),
        repair={"rate": 1e-3, "schedule": "none"},
    ),
    wine_mlp.sick(
        "wine-mlp-dead", "dead_units", dead=True, accept=("bad_initialization",), layers=("inner",)
    ),
    wine_mlp.sick(
        "wine-mlp-rows-shuffled",
        "not_learning",
        shuffled=True,
        hidden=4,
        rate=5e-3,
        epochs=20,
        accept=("underfitting", "overfitting"),
        visible_at=80,
    ),
    cancer_mlp.healthy("cancer-mlp"),
    cancer_mlp.healthy("cancer-mlp-sure", loss="bce", sigmoid=True, epochs=14, rate=0.03),
    cancer_mlp.healthy("cancer-mlp-relu", activation="ReLU", momentum=0.0),
    cancer_mlp.healthy("cancer-mlp-dropout", activation="ReLU", dropout=0.5, epochs=8),
    cancer_mlp.sick(
        "cancer-mlp-sigmoid-twice", "loss_output_mismatch", sigmoid=True, outcome="val_loss"
    ),
    cancer_mlp.sick(
        "cancer-mlp-one-unit-cross-entropy",
        "loss_output_mismatch",
        loss="cross_entropy",
        outcome="val_accuracy",
    ),
    cancer_mlp.sick("cancer-mlp-raw", "unscaled_inputs", scaled=False, accept=("saturated_units",)),
    cancer_mlp.sick(
        "cancer-mlp-saturated",
        "saturated_units",
        weights=40.0,
        rate=0.01,
        accept=("bad_initialization",),
        layers=("0", "3"),
        repair={"rate": 0.01},
    ),
    cancer_mlp.sick(
        "cancer-mlp-rate-too-high",
        "learning_rate_too_high",
        rate=20.0,
        accept=("oscillating_loss", "saturated_units"),
    ),
    cancer_mlp.sick(
        "cancer-mlp-rate-too-low",
        "learning_rate_too_low",
        rate=1e-5,
        visible_at=40,
    ),
    cancer_mlp.sick(
        "cancer-mlp-evaluates-in-train",
        "wrong_mode",
        dropout=0.7,
        evaluates_in_train=True,
        outcome="reported_loss",
        repair={"dropout": 0.7},
        visible_at=20,
    ),
    cancer_mlp.sick("cancer-mlp-no-zero-grad", "accumulated_gradients", zero_grad=False),
    diabetes_mlp.healthy("diabetes-mlp"),
    diabetes_mlp.healthy("diabetes-mlp-huber", huber=True),
    diabetes_mlp.healthy("diabetes-mlp-clipped", clip=1.0, rate=2e-3),
    diabetes_mlp.sick("diabetes-mlp-broadcast", "loss_output_mismatch", squeezed=False),
    diabetes_mlp.sick("diabetes-mlp-relu-last", "loss_output_mismatch", last="ReLU"),
    diabetes_mlp.sick(
        "diabetes-mlp-sigmoid-last",
        "loss_output_mismatch",
        last="Sigmoid",
        targets_scaled=False,
        repair={},
    ),
    diabetes_mlp.sick(
        "diabetes-mlp-raw-inputs",
        "unscaled_inputs",
        inputs_scaled=False,
    ),
    diabetes_mlp.sick(
        "diabetes-mlp-60-rows",
        "overfitting",
        rows=60,
        width=256,
        epochs=90,
        rate=2e-3,
        repair={},
        visible_at=60,
    ),
    diabetes_mlp.sick(
        "diabetes-mlp-rate-too-low", "learning_rate_too_low", rate=2e-6, visible_at=40
    ),
    diabetes_mlp.sick(
        "diabetes-mlp-rate-too-high",
        "learning_rate_too_high",
        rate=1.0,
        accept=("oscillating_loss", "exploding_gradients"),
    ),
    diabetes_mlp.sick(
        "diabetes-mlp-oscillating",
        "oscillating_loss",
        rate=0.3,
        accept=("learning_rate_too_high",),
    ),
    diabetes_mlp.sick(
        "diabetes-mlp-huge-weights",
        "bad_initialization",
        deviation=3.0,
        accept=("exploding_gradients",),
        layers=("body.0", "body.2", "head"),
    ),
    diabetes_mlp.sick(
        "diabetes-mlp-validation-shifted",
        "distribution_shift",
        validation_shifted=True,
        visible_at=17,
    ),
)
