"""Surgery on a large network copies it once, and once only."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_SCRIPT = """
import os, sys
import torch
from torch import nn
from fitwell import Recipe

def peak():  # of this program alone: ru_maxrss begins with that of the process that started it
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def network(width):
    norm = nn.BatchNorm1d if "fold" in sys.argv[1] else lambda width: nn.Identity()
    hidden = [
        part for _ in range(6) for part in (nn.Linear(width, width), norm(width), nn.ReLU())
    ]
    return nn.Sequential(*hidden, nn.Linear(width, 10))

recipe = Recipe.from_text(sys.argv[1])
x = torch.randn(4, 64)
recipe.apply(network(64), example_input=x, data=x)
before = resident()
model = network(4096)
size = sum(p.numel() * p.element_size() for p in model.parameters())
alone = resident()
options = {"make_model": lambda width=4096: network(width)} if "make" in sys.argv else {}
x = torch.randn(4, 4096)
treated = recipe.apply(model, example_input=x, data=x, **options)
print(size, alone - before, peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read where Linux keeps it")
@pytest.mark.parametrize(
    "recipe",
    [
        "batch_norm()+activation(leaky_relu)+dropout(0.5)+initialization()",
        "layer_norm()+activation(gelu)+clip_norm(1.0)+l2(0.01)+early_stopping()",
        "scale_inputs()",
        "prune(0.3)+fold_batch_norm()",
        "shrink(0.5)",
        "shrink(0.5) make",
    ],
)
def test_surgery_on_100_million_parameters_takes_less_than_two_copies_and_a_fifth(recipe):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _SCRIPT, *recipe.split()],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    size, alone, together = map(int, done.stdout.split())
    assert size > 4 * 100_000_000
    assert alone > 0.95 * size
    assert together < 2.2 * size
