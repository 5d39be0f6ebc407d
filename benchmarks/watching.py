"""What watching costs: step times of watched loops against bare ones, in interleaved blocks.

Run it as ``python benchmarks/watching.py [NETWORK ...] [--repeats N] [--steps N]``. In every
repeat each arm trains a network of its own from its first step; the arms take turns, a block of
steps each, so that whatever else the machine does meets them all. The ratio of an arm is its time
over the mean of the two bare loops; the difference between these two is the noise. ``watch.cost``
is that of a loop by itself, after as many steps: waiting for one's turn would count as run time.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import fitwell

BLOCK = 10
"""Steps that an arm makes before the next one has its turn."""


class Network(NamedTuple):
    """What is trained: makes a model, and a batch for it."""

    model: Callable[[], nn.Module]
    batch: Callable[[], tuple[Tensor, Tensor]]


class LastState(nn.Module):
    """An LSTM over 50 time steps, and a layer on its last state."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(32, 128, batch_first=True), nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.lstm(x)[0][:, -1])
        return out


class Encoder(nn.Module):
    """A transformer of four layers, and a layer on the mean of its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(100, 128)
        layer = nn.TransformerEncoderLayer(128, 4, 256, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.head = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.encoder(self.embed(x)).mean(1))
        return out


def mlp() -> nn.Module:
    """Return 64 inputs, six hidden layers of 256, 10 classes."""
    sizes = [64, *[256] * 6]
    hidden = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(256, 10))


def cnn() -> nn.Module:
    """Return two convolutions with pooling, and two layers on top, for images of 28 x 28."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1568, 64), nn.ReLU(), nn.Linear(64, 10)),
    )


def _labels(rows: int) -> Tensor:
    return torch.arange(rows) % 10


NETWORKS = {
    "mlp": Network(mlp, lambda: (torch.randn(128, 64), _labels(128))),
    "cnn": Network(cnn, lambda: (torch.randn(64, 1, 28, 28), _labels(64))),
    "lstm": Network(LastState, lambda: (torch.randn(128, 50, 32), _labels(128))),
    "transformer": Network(Encoder, lambda: (torch.randint(100, (16, 64)), _labels(16))),
}

ARMS: dict[str, dict[str, Any] | None] = {
    "bare": None,
    "bare again": None,
    "default": {},
    "every step": {"overhead": 1.0, "updates": False},
    "every step, updates": {"overhead": 1.0},
}


class Loop:
    """A training loop that can be run a block at a time.

    Args:
        network: What to train.
        options: Arguments of the watch; None for a bare loop.
        optimizer: Makes the optimizer.
        now: Reads the clock.
    """

    def __init__(
        self,
        network: Network,
        options: dict[str, Any] | None,
        optimizer: Callable[..., Any],
        now: Callable[[], float] = perf_counter,
    ) -> None:
        self.now = now
        torch.manual_seed(0)
        self.model, (self.x, self.y) = network.model(), network.batch()
        self.loss_fn = nn.CrossEntropyLoss()
        self.optimizer = optimizer(self.model.parameters(), lr=1e-3)
        self.watch: Any = None
        self.stack = ExitStack()
        if options is not None:
            watched = fitwell.watch(self.model, self.optimizer, self.loss_fn, **options)
            self.watch = self.stack.enter_context(watched)

    def run(self, steps: int) -> float:
        """Train for so many steps, and return the seconds that they took."""
        began = self.now()
        for _ in range(steps):
            self.optimizer.zero_grad()
            self.loss_fn(self.model(self.x), self.y).backward()
            self.optimizer.step()
        return self.now() - began


def measure(
    network: Network, arms: dict[str, Any], *, repeats: int, steps: int, optimizer: Any, now: Any
) -> dict[str, list[tuple[float, float, float]]]:
    """Return for each arm, a repeat at a time: seconds a step, its ratio to bare, and the cost."""
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in arms}
    for _ in range(repeats):
        loops = {name: Loop(network, options, optimizer, now) for name, options in arms.items()}
        blocks: dict[str, list[float]] = {name: [] for name in arms}
        for _ in range(steps // BLOCK):
            order = list(loops)
            random.shuffle(order)
            for name in order:
                blocks[name].append(loops[name].run(BLOCK))
        bare = [(a + b) / 2 for a, b in zip(blocks["bare"], blocks["bare again"], strict=True)]
        for name, loop in loops.items():
            loop.stack.close()
            alone = Loop(network, arms[name], optimizer)
            if alone.watch is not None:
                alone.run(steps)
            # Blocks that something else ran into are left out, in pairs: the rest is summed.
            pairs = [(mine, b) for mine, b in zip(blocks[name], bare, strict=True)]
            usual = median(bare)
            kept = [(m, b) for m, b in pairs if b < 1.5 * usual] or pairs
            ratio = sum(m for m, _ in kept) / sum(b for _, b in kept)
            cost = alone.watch.cost if alone.watch is not None else 0.0
            alone.stack.close()
            found[name].append((usual / BLOCK, ratio, cost))
    return found


def table(name: str, found: dict[str, list[tuple[float, float, float]]]) -> str:
    """Return the rows of one network: median ratio, its quartiles over repeats, and the cost."""
    lines = []
    for arm, runs in found.items():
        ratios = [ratio for _, ratio, _ in runs]
        low, _, high = quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
        cost = median(cost for *_, cost in runs)
        shown = f"{cost:.2%}" if cost else ""
        bare = f"{1e3 * median(s for s, *_ in runs):.2f} ms" if arm == "bare" else ""
        lines.append(
            f"{name:12} {arm:20} {median(ratios):6.3f}  {low:.3f} to {high:.3f}  {shown:>7} {bare}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure the networks that were asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--arms", nargs="*", default=list(ARMS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--optimizer", default="Adam")
    parser.add_argument("--cpu-time", action="store_true", help="for a machine that is busy")
    args = parser.parse_args()
    torch.set_num_threads(1)
    arms = {name: ARMS[name] for name in dict.fromkeys(["bare", "bare again", *args.arms])}
    print(f"{'network':12} {'arm':20}  ratio  quartiles         cost  a bare step")
    for name in args.networks:
        found = measure(
            NETWORKS[name],
            arms,
            repeats=args.repeats,
            steps=args.steps,
            optimizer=getattr(torch.optim, args.optimizer),
            now=process_time if args.cpu_time else perf_counter,
        )
        print(table(name, found), flush=True)


if __name__ == "__main__":
    main()
