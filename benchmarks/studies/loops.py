"""The loop a user writes: a DataLoader, AdamW, one run after the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from fitwell.tasks import Task


@lru_cache(maxsize=1)
def made(make: Callable[[], Task]) -> Task:
    """Return the task, made once a process, with its data prepared."""
    task = make()
    len(task.data.train)
    return task


def users_run(task: Task, seed: int, rate: float = 1e-3) -> float:
    """Train once and return the accuracy on the validation rows after the last epoch.

    Everything in it is what PyTorch's own tutorials do; the validation rows go through the network
    in large batches, and nothing is read from a tensor that need not be.
    """
    torch.manual_seed(seed)
    model = task.make_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    loss_fn = nn.CrossEntropyLoss()
    data = task.data
    rows = TensorDataset(data.train.x, data.train.y)
    loader = DataLoader(rows, batch_size=task.batch_size, shuffle=True)
    held_out = DataLoader(TensorDataset(data.validation.x, data.validation.y), batch_size=1024)
    accuracy = 0.0
    for _ in range(task.epochs):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
        _, accuracy = validated(model, held_out, loss_fn)
    return accuracy


@torch.no_grad()
def validated(
    model: nn.Module, loader: DataLoader[Any], loss_fn: Callable[[Tensor, Tensor], Tensor]
) -> tuple[float, float]:
    """Return mean loss and accuracy of a network over the rows of a loader."""
    model.eval()
    total, right, count = 0.0, 0, 0
    for x, y in loader:
        outputs = model(x)
        total += float(loss_fn(outputs, y)) * len(y)
        right += int((outputs.argmax(1) == y).sum())
        count += len(y)
    return total / count, right / count


def in_turn(make: Callable[[], Task], seeds: Sequence[int]) -> list[float]:
    """Do a user's runs one after the other, in the process that this is called in."""
    return [users_run(made(make), seed) for seed in seeds]


def begin(threads: int) -> None:
    """Set up a process for a loop with so many threads."""
    torch.set_num_threads(threads)
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)  # its first use imports for seconds


def workers(processes: int, threads: int) -> Any:
    """Return started worker processes with so many threads each."""
    from joblib.externals.loky import ProcessPoolExecutor

    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    pool = ProcessPoolExecutor(
        processes,
        initializer=begin,
        initargs=(threads,),
        env=dict.fromkeys(variables, str(threads)),
        timeout=3600,
    )
    for waiting in [pool.submit(os.getpid) for _ in range(processes)]:
        waiting.result()
    return pool
