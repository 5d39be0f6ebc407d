"""Runs that look ill to a rule of thumb, and are not."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from benchmarks.faults import data
from benchmarks.faults.case import program
from benchmarks.faults.lab import Lab
from benchmarks.faults.measuring import measured
from torch import Tensor, nn


@program("mlp", "classification", split="held-out")
def rare_digit_mlp(lab: Lab, *, weighted: bool = False, gated: bool = False) -> dict[str, float]:
    """Is it an eight? One row in ten is."""
    x, y = data.table("digits")
    train, validation = data.split((x / 16, (y == 8).float().unsqueeze(1)), 1200, 500, lab.seed)

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.value, self.gate = nn.Linear(64, 48), nn.Linear(64, 48)
            self.out = nn.Linear(48, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(torch.tanh(self.value(x)) * torch.sigmoid(4 * self.gate(x)))

    model: Any = (
        Gated()
        if gated
        else nn.Sequential(
            nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 1)
        )
    )
    optimizer: Any = torch.optim.Adam(model.parameters(), lr=2e-3)
    loss_fn: Any = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([9.0]) if weighted else None)
    model, optimizer, loss_fn = lab.prepare(model, optimizer, loss_fn, train[0][:40])
    with lab.watch(model, optimizer, loss_fn):
        for _ in range(7):
            for inputs, labels in data.batches(train, 40):
                optimizer.zero_grad()
                loss_fn(model(inputs), labels).backward()
                optimizer.step()
            with torch.no_grad():
                loss_fn(model(validation[0]), validation[1])
    return measured(lab.finished(model), loss_fn, val=validation, train=train)


@program("mlp", "regression", split="calibration")
def ink_mlp(
    lab: Lab,
    *,
    steps: int = 400,
    rate: float = 2e-2,
    spike: bool = False,
    noisier_validation: float = 0.0,
) -> dict[str, float]:
    """How dark a digit is, left and right: learned to the end, so that gradients become tiny."""
    x, _ = data.table("digits")
    x = x / 16
    pictures = x.reshape(-1, 8, 8)
    y = torch.stack([pictures[:, :, :4].mean((1, 2)), pictures[:, :, 4:].mean((1, 2))], 1)
    train, validation = data.split((x, (y - y.mean(0)) / y.std(0)), 1200, 500, lab.seed)
    if noisier_validation:  # the same quantity, measured by a worse instrument
        noise = noisier_validation * torch.randn_like(validation[1])
        validation = (validation[0], validation[1] + noise)
    model: Any = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 2))
    if spike:
        nn.init.normal_(model[2].weight, std=3.0)
    optimizer: Any = torch.optim.Adam(model.parameters(), lr=rate)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99)
    loss_fn: Any = nn.MSELoss()
    model, optimizer, loss_fn = lab.prepare(model, optimizer, loss_fn, train[0][:60])
    with lab.watch(model, optimizer, loss_fn):
        for step in range(steps):
            rows = torch.randint(1200, (60,))
            optimizer.zero_grad()
            loss_fn(model(train[0][rows]), train[1][rows]).backward()
            optimizer.step()
            scheduler.step()
            if step % 40 == 39:
                with torch.no_grad():
                    loss_fn(model(validation[0]), validation[1])
    return measured(lab.finished(model), nn.MSELoss(), val=validation, train=train)


@program("residual", "classification", split="calibration")
def residual_mlp(
    lab: Lab, *, blocks: int = 12, normed: bool = True, scale: float = 1.0
) -> dict[str, float]:
    """Deep and residual: the norm of the signal grows with depth, and does no harm."""
    x, y = data.table("digits")
    train, validation = data.split((x / 8 - 1, y), 1200, 500, lab.seed)

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(48) if normed else nn.Identity()
            self.up, self.down = nn.Linear(48, 48), nn.Linear(48, 48)
            if not normed:
                nn.init.zeros_(self.down.weight)

        def forward(self, x: Tensor) -> Tensor:
            return x + scale * self.down(F.gelu(self.up(self.norm(x))))

    model: Any = nn.Sequential(
        nn.Linear(64, 48), *(Block() for _ in range(blocks)), nn.LayerNorm(48), nn.Linear(48, 10)
    )
    optimizer: Any = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loss_fn: Any = nn.CrossEntropyLoss()
    model, optimizer, loss_fn = lab.prepare(model, optimizer, loss_fn, train[0][:40])
    with lab.watch(model, optimizer, loss_fn):
        for _ in range(5):
            model.train()
            for inputs, labels in data.batches(train, 40):
                optimizer.zero_grad()
                loss_fn(model(inputs), labels).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                loss_fn(model(validation[0]), validation[1])
    return measured(lab.finished(model), loss_fn, val=validation, train=train)


@program("mlp", "reconstruction", split="calibration")
def digits_gan(lab: Lab, *, watched: str = "judge") -> dict[str, float]:
    """Two networks and two optimizers against each other; one of them is watched."""
    (x, _), _ = data.split(data.table("digits"), 1200, 500, lab.seed)
    x = x / 8 - 1
    maker = nn.Sequential(nn.Linear(16, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.Tanh())
    judge = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
    slow = {"lr": 4e-4, "betas": (0.5, 0.999)}
    of_maker = torch.optim.Adam(maker.parameters(), **slow)
    of_judge = torch.optim.Adam(judge.parameters(), **slow)
    loss_of_maker, loss_of_judge = nn.BCEWithLogitsLoss(), nn.BCEWithLogitsLoss()
    seen = (
        (judge, of_judge, loss_of_judge) if watched == "judge" else (maker, of_maker, loss_of_maker)
    )
    with lab.watch(*seen):
        for _ in range(6):
            for real in x[torch.randperm(1200)].split(40):
                fake = maker(torch.randn(40, 16))
                of_judge.zero_grad()
                both = torch.cat([judge(real), judge(fake.detach())])
                loss_of_judge(both, torch.cat([torch.ones(40, 1), torch.zeros(40, 1)])).backward()
                of_judge.step()
                of_maker.zero_grad()
                loss_of_maker(judge(fake), torch.ones(40, 1)).backward()
                of_maker.step()
    with torch.no_grad():
        made = maker(torch.randn(500, 16))
    return {"val_loss": float((made.mean(0) - x.mean(0)).square().mean())}


CASES = (
    rare_digit_mlp.healthy("rare-digit-mlp"),
    rare_digit_mlp.healthy("rare-digit-mlp-weighted", weighted=True),
    rare_digit_mlp.healthy("rare-digit-mlp-gated", gated=True),
    ink_mlp.healthy("ink-mlp-converged"),
    ink_mlp.healthy("ink-mlp-harder-validation", noisier_validation=0.5),
    ink_mlp.healthy("ink-mlp-first-gradient-huge", spike=True, steps=300, rate=2e-2),
    residual_mlp.healthy("residual-mlp-normed"),
    residual_mlp.healthy("residual-mlp-large-signal", scale=3.0),
    residual_mlp.healthy("residual-mlp-zero-branches", normed=False),
    digits_gan.healthy("digits-gan-judge"),
    digits_gan.healthy("digits-gan-maker", watched="maker"),
)
