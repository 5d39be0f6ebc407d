"""What commands write beside their story, and how little they say if asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fitwell.cli import main

USERS_FILE = """
import torch
from fitwell import Task

def small():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(90, 3, generator=draw)
    y = (x[:, 0] > 0).long()
    model = lambda: torch.nn.Sequential(
        torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)
    )
    return Task("small", model, (x, y), "cross_entropy", "accuracy", epochs=3)
"""
SCRIPT = """
import torch

net = torch.nn.Linear(3, 2)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
x, y = torch.randn(32, 3), torch.randint(0, 2, (32,))
print("the script's own")
for _ in range(12):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(net(x), y).backward()
    optimizer.step()
"""


@pytest.fixture
def task(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(USERS_FILE)
    return f"{tmp_path / 'mine.py'}:small"


@pytest.fixture
def script(tmp_path: Path) -> str:
    (tmp_path / "train.py").write_text(SCRIPT)
    return str(tmp_path / "train.py")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_quiet_check_is_one_line_with_the_same_files(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, figures = tmp_path / "found.md", tmp_path / "new" / "figures"
    options = ["-q", "--report", str(report), "--figures", str(figures)]
    assert main(["check", task, *options]) == 0
    told = capsys.readouterr()
    assert told.out.count("\n") == 1
    assert told.out.startswith("healthy: ")
    assert told.err == ""
    assert report.read_text().startswith("## small\n\n**healthy**: ")
    drawn = {"the-network.svg", "the-network.png", "size-of-the-gradient-by-layer-and-step.svg"}
    assert drawn <= names(figures)
    assert len(names(figures)) % 2 == 0


def test_a_quiet_comparison_is_its_verdict_and_shows_no_progress(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "study.md"
    arguments = ["-r", "soft=dropout(0.5)", "--seeds", "2", "--quiet", "--report", str(report)]
    assert main(["compare", task, *arguments, "--figures", str(tmp_path / "drawn")]) == 0
    told = capsys.readouterr()
    assert (told.out.count("\n"), told.err) == (1, "")
    assert "| soft |" in report.read_text()
    assert f"fitwell compare {task} --recipe 'soft=dropout(0.5)' --seeds 2" in report.read_text()
    assert "the-arms-compared-on-test-data.png" in names(tmp_path / "drawn")


def test_a_quiet_watch_leaves_the_script_its_own_words(
    script: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "watched.html"
    arguments = ["-q", "--report", str(report), "--figures", str(tmp_path / "drawn"), script]
    assert main(["watch", *arguments]) == 0
    own, line = capsys.readouterr().out.splitlines()
    assert own == "the script's own"
    assert ": " in line
    page = report.read_text()
    assert page.startswith("<!doctype html>")
    assert "Linear, 8 parameters; 12 steps of SGD" in page
    assert "loss-over-the-steps.svg" in names(tmp_path / "drawn")


def test_quiet_tasks_are_names_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "-q"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "mnist-small" in lines
    assert all(" " not in line for line in lines)


@pytest.mark.parametrize("command", ["check", "compare", "watch"])
def test_a_report_of_another_kind_is_refused_before_any_work(
    command: str, task: str, script: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--report", str(tmp_path / "report.pdf")]
    given = {"check": [task], "compare": ["-r", "a=l2", task], "watch": [script]}[command]
    assert main([command, *options, *given]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("fitwell: A report is a page (.html) or Markdown (.md); got ")
    assert told.err.count("\n") == 1


def test_figures_cannot_go_into_a_file(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")
    assert main(["check", task, "--figures", str(tmp_path / "taken")]) == 2
    assert "name a folder" in capsys.readouterr().err


@pytest.mark.parametrize(("colours", "coloured"), [("FORCE_COLOR", True), ("NO_COLOR", False)])
def test_colours_follow_the_environment_and_a_pipe_gets_no_bars(
    task: str, colours: str, coloured: bool
) -> None:
    command = [sys.executable, "-m", "fitwell", "compare", task, "-r", "a=l2(0.1)", "--seeds", "2"]
    kept = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "NO_COLOR")}
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**kept, colours: "1"}
    )
    assert ("\x1b[" in done.stdout) == coloured
    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr
