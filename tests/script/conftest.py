from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fitwell.cli import main


@dataclass
class Watched:
    """What one command left behind."""

    code: int
    out: str
    err: str
    found: dict[str, Any]

    @property
    def script_out(self) -> str:
        """What was printed before the story."""
        return self.out.partition("\nfitwell watched ")[0]

    @property
    def story(self) -> str:
        return self.out.partition("\nfitwell watched ")[2]

    @property
    def conditions(self) -> list[str]:
        return [finding["condition"] for finding in self.found["findings"]]

    @property
    def names(self) -> list[str]:
        return [model["name"] for model in self.found["models"]]


Run = Callable[..., Watched]


@pytest.fixture
def in_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Run]:
    """Run a script under watch in this process: quick, and what it changes is set back."""
    kept = sys.modules["__main__"], sys.argv, list(sys.path)

    def run(source: str, *arguments: str, options: tuple[str, ...] = ()) -> Watched:
        script = tmp_path / "script.py"
        script.write_text(source)
        data = tmp_path / "result.json"
        code = main(["watch", *options, "--json", str(data), str(script), *arguments])
        out, err = capsys.readouterr()
        found = json.loads(data.read_text()) if data.exists() else {}
        return Watched(code, out, err, found)

    yield run
    sys.modules["__main__"], sys.argv, sys.path[:] = kept


@pytest.fixture
def as_command(tmp_path: Path) -> Run:
    """Run a script under watch as a user does: in a process of its own."""

    def run(source: str, *arguments: str, options: tuple[str, ...] = ()) -> Watched:
        script = tmp_path / "script.py"
        script.write_text(source)
        data = tmp_path / "result.json"
        command = [*FITWELL, "watch", *options, "--json", str(data), "script.py", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        found = json.loads(data.read_text()) if data.exists() else {}
        return Watched(done.returncode, done.stdout, done.stderr, found)

    return run


FITWELL = (sys.executable, "-c", "import sys; from fitwell.cli import main; sys.exit(main())")

TRAINING = """
import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
loss_fn = nn.CrossEntropyLoss()
x = torch.randn(96, 6)
y = x[:, :3].argmax(1)
def train(steps):
    for step in range(steps):
        rows = slice(step % 4 * 16, step % 4 * 16 + 16)
        optimizer.zero_grad()
        loss = loss_fn(net(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
    return loss
"""
"""A sound little program: what a test adds decides what happens."""
