"""A network that knows the digits 0 to 4 already, and is to learn 5 to 9."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from benchmarks.faults import data
from benchmarks.faults.case import program
from benchmarks.faults.lab import Lab
from benchmarks.faults.measuring import measured
from torch import nn


def _features() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(12, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(384, 48), nn.ReLU()),
    )


class Classifier(nn.Module):
    """Features and a head that can be replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.features = _features()
        self.head = nn.Linear(48, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))


@lru_cache
def pretrained() -> dict[str, torch.Tensor]:
    """Return the weights after training on the digits 0 to 4, from a seed of their own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        x, y = data.table("digits")
        x, y = (x / 8 - 1).reshape(-1, 1, 8, 8)[y < 5], y[y < 5]
        model = Classifier()
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        for inputs, labels in (batch for _ in range(4) for batch in data.batches((x, y), 64)):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
    return {name: value.clone() for name, value in model.state_dict().items()}


@program("cnn", "classification", split="held-out")
def fine_tuned_cnn(
    lab: Lab,
    *,
    frozen: bool = True,
    norms_in_eval: bool = True,
    optimizer_first: bool = False,
    rate: float = 0.05,
    rows: int = 600,
    batch: int = 32,
    epochs: int = 5,
    brightness: float = 0.0,
    no_grad_features: bool = False,
    whole_rate: float | None = None,
) -> dict[str, float]:
    x, y = data.table("digits")
    kept = y >= 5
    images = (x / 8 - 1).reshape(-1, 1, 8, 8)[kept]
    train, validation = data.split((images, y[kept] - 5), rows, 250, lab.seed)
    validation = (validation[0] + brightness, validation[1])
    model: Any = Classifier()
    model.load_state_dict(pretrained())
    if frozen:
        model.features.requires_grad_(False)
    if optimizer_first:  # the head that is replaced below is the one that it holds
        optimizer: Any = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    model.head = nn.Linear(48, 5)
    if not optimizer_first:
        groups: list[dict[str, Any]] = [{"params": model.head.parameters()}]
        if not frozen:
            groups.append({"params": model.features.parameters(), "lr": whole_rate or rate / 10})
        optimizer = torch.optim.SGD(groups, lr=rate, momentum=0.9)
    loss_fn: Any = nn.CrossEntropyLoss()
    model, optimizer, loss_fn = lab.prepare(model, optimizer, loss_fn, train[0][:batch])
    with lab.watch(model, optimizer, loss_fn):
        for _ in range(epochs):
            model.train()
            if norms_in_eval:
                for module in model.modules():
                    if isinstance(module, nn.BatchNorm2d):
                        module.eval()
            for inputs, labels in data.batches(train, batch):
                inputs, labels = lab.batch(inputs, labels)
                optimizer.zero_grad()
                loss_fn(model(inputs), labels).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                if lab.should_stop(float(loss_fn(model(validation[0]), validation[1]))):
                    break
    return measured(lab.finished(model), nn.CrossEntropyLoss(), val=validation, train=train)


CASES = (
    fine_tuned_cnn.healthy("fine-tuned-cnn-frozen"),
    fine_tuned_cnn.healthy("fine-tuned-cnn-frozen-norms-in-train", norms_in_eval=False),
    fine_tuned_cnn.healthy("fine-tuned-cnn-all", frozen=False),
    fine_tuned_cnn.healthy("fine-tuned-cnn-all-norms-in-train", frozen=False, norms_in_eval=False),
    fine_tuned_cnn.sick(
        "fine-tuned-cnn-optimizer-before-head",
        "untrained_parameters",
        optimizer_first=True,
        frozen=False,
        rate=0.002,
        epochs=2,
        layers=("head",),
        repair={"frozen": False, "rate": 0.02, "epochs": 2},
    ),
    fine_tuned_cnn.sick(
        "fine-tuned-cnn-rate-too-high",
        "learning_rate_too_high",
        frozen=False,
        rate=3.0,
        whole_rate=3.0,
        norms_in_eval=False,
        accept=("dead_units", "exploding_gradients", "non_finite"),
        repair={"frozen": False},
    ),
    fine_tuned_cnn.sick(
        "fine-tuned-cnn-rate-too-low", "learning_rate_too_low", rate=1e-5, visible_at=40
    ),
    fine_tuned_cnn.sick(
        "fine-tuned-cnn-brighter-validation",
        "distribution_shift",
        brightness=1.5,
        visible_at=18,
    ),
)
