"""What a first user of the command line met and should not meet again."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitwell.cli import main
from fitwell.tasks.reading import read_table

USERS_FILE = """
import sys
import torch
from fitwell.tasks import Task

X = torch.randn(90, 3, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()

def narrow():
    return Task("narrow", lambda: torch.nn.Linear(3, 1), (X, Y), "cross_entropy", "accuracy")

def unlike():
    return Task("unlike", lambda: torch.nn.Linear(7, 2), (X, Y), "cross_entropy", "accuracy")

def fixed():
    return Task("fixed", lambda: torch.nn.Flatten(), (X, Y), "cross_entropy", "accuracy")

def ends():
    sys.exit(3)

def wants(more):
    return None

def small():
    return Task("small", lambda: torch.nn.Linear(3, 2), (X, Y), "cross_entropy", "accuracy",
                epochs=3)
"""


@pytest.fixture
def users_file(tmp_path: Path) -> str:
    path = tmp_path / "mine.py"
    path.write_text(USERS_FILE)
    return str(path)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must be refused before any work; return what it says."""
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("fitwell: ")
    return told.err.removeprefix("fitwell: ").rstrip("\n")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("narrow", "The network must return outputs of shape (32, 2)"),
        ("unlike", "The network cannot take a batch of shape (32, 3)"),
        ("fixed", "The network has no parameter to train"),
    ],
)
def test_check_refuses_a_network_that_does_not_fit_in_one_line(
    capsys: pytest.CaptureFixture[str], users_file: str, function: str, said: str
) -> None:
    told = refused(capsys, "check", f"{users_file}:{function}")
    assert told.startswith(said)
    assert "\n" not in told


def test_a_users_function_that_ends_the_program_is_refused_and_not_obeyed(
    capsys: pytest.CaptureFixture[str], users_file: str
) -> None:
    told = refused(capsys, "check", f"{users_file}:ends")
    assert "mine.py:ends ended the program with exit code 3" in told


def test_a_failure_outside_of_the_users_code_is_told_once(
    capsys: pytest.CaptureFixture[str], users_file: str
) -> None:
    assert "\n" not in refused(capsys, "check", f"{users_file}:wants")


@pytest.mark.parametrize("ending", ["", ":", ":two words"])
def test_a_file_without_a_function_is_told_to_name_one(
    capsys: pytest.CaptureFixture[str], users_file: str, ending: str
) -> None:
    told = refused(capsys, "check", users_file + ending)
    assert told.startswith(f"Name the function that returns the task, as in {users_file}:make_task")


def test_a_file_system_that_takes_no_files_is_refused_before_any_work(
    capsys: pytest.CaptureFixture[str], users_file: str
) -> None:
    virtual = Path("/proc")
    if not virtual.is_dir():
        pytest.skip("needs a virtual file system")
    told = refused(capsys, "check", f"{users_file}:small", "--json", str(virtual / "x.json"))
    assert told.startswith("Cannot write /proc/x.json: ")


def test_a_wrong_recipe_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    told = refused(capsys, "compare", "wine", "-r", "good=l2(0.1)", "-r", "strong=dropout(7)")
    assert told.startswith("In the recipe 'strong': ")


def test_a_recipe_without_a_remedy_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "compare", "wine", "-r", "a=").startswith("Expected NAME=RECIPE")


def test_check_says_what_was_done_to_the_data(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table, page = tmp_path / "t.csv", tmp_path / "t.html"
    cells = [
        f"{i % 7},{i * 37 % 11},{'' if i < 3 else 'yes' if i % 2 else 'no'}" for i in range(63)
    ]
    table.write_text("\n".join(["a,b,y", *cells]))
    assert main(["check", str(table), "--target", "y", "--report", str(page)]) == 0
    said = "3 of 63 rows have no target"
    assert said in capsys.readouterr().out
    assert said in page.read_text()


@pytest.mark.parametrize(
    "words", [["à côté", "déjà vu", "où"], ["blåbær", "øre", "Ås"], ["mañana", "¿qué?", "año"]]
)
def test_a_table_in_latin_1_is_read_whatever_western_language_it_holds(
    tmp_path: Path, words: list[str]
) -> None:
    path = tmp_path / "t.csv"
    lines = ["id;word;x", *(f"{i};{words[i % 3]};{i},5" for i in range(90))]
    path.write_bytes("\n".join(lines).encode("latin-1"))
    frame, notes = read_table(path)
    assert frame["word"].to_list()[:3] == words
    assert notes[0].startswith("The file was read as cp1252:")
