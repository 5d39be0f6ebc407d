from __future__ import annotations

import importlib
import inspect
import json
import math
import re
import subprocess
import sys
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from rich.console import Console
from rich.text import Text

import fitwell.studies
from fitwell.cli import main
from fitwell.cli.failures import exit_code
from fitwell.cli.output import show, write_json
from fitwell.cli.progress import TerminalProgress
from fitwell.errors import BadInput, FitwellError, Interrupted, OutputError
from fitwell.recipe import Recipe
from fitwell.records import Diagnosis, Finding, Trace

CURE = importlib.import_module("fitwell.cure")
"""The module: the package offers its function under the same name."""

USERS_FILE = """
import torch
from fitwell.tasks import Task

def boom():
    raise ValueError("no such luck")

def small():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(90, 3, generator=draw)
    y = (x[:, 0] > 0).long()
    model = lambda: torch.nn.Sequential(
        torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)
    )
    return Task("small", model, (x, y), "cross_entropy", "accuracy", epochs=3)
"""


@pytest.fixture
def users_file(tmp_path: Path) -> str:
    path = tmp_path / "mine.py"
    path.write_text(USERS_FILE)
    return str(path)


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must be refused, and return what it says: its first line."""
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("fitwell: ")
    return told.err.removeprefix("fitwell: ").splitlines()[0]


def test_help_needs_nothing_of_the_lab() -> None:
    code = (
        "import sys; from fitwell.cli import main; code = main(['--help']);"
        "heavy = {'altair', 'optuna', 'sklearn', 'scipy', 'polars'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(command in done.stdout for command in ("cure", "check", "compare", "tasks"))


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"fitwell {version('fitwell')}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing command. Try fitwell --help."),
        (["heal"], "No such command 'heal'"),
        (["cure"], "Missing argument 'TASK'. Try fitwell cure --help."),
        (["cure", "wine", "--seeds", "many"], "Invalid value for '--seeds'"),
        (["cure", "wine", "--sed", "3"], "No such option: --sed"),
        (["check", "wine", "--kind", "clustering"], "Invalid value for '--kind'"),
        (["check", "wine", "--fail-on", "always"], "Invalid value for '--fail-on'"),
        (["compare", "wine"], "Missing option '--recipe' / '-r'"),
    ],
)
def test_wrong_use_is_one_line_on_standard_error(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"fitwell: {said}")
    assert told.err.count("\n") == 1


def test_an_unknown_task_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'mnist-small'?" in failed(capsys, "cure", "mnist-smal")


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("dropout(0.5)", "Expected NAME=RECIPE after -r, got 'dropout(0.5)'"),
        ("dropout(p=0.5)", "Expected NAME=RECIPE after -r, got 'dropout(p=0.5)'"),
        ("=dropout(0.5)", "Expected NAME=RECIPE after -r, got '=dropout(0.5)'"),
        ("mine=missing.json", "Cannot read the recipe missing.json: No such file or directory."),
        ("mine=dropout(", "Cannot read the recipe 'dropout('"),
    ],
)
def test_a_recipe_that_cannot_be_read_is_refused(
    capsys: pytest.CaptureFixture[str], recipe: str, said: str
) -> None:
    assert failed(capsys, "compare", "wine", "-r", recipe).startswith(said)


def test_two_recipes_of_one_name_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    said = failed(capsys, "compare", "wine", "-r", "a=dropout(0.5)", "-r", "a=l2(0.1)")
    assert said.startswith("Two recipes are called 'a'")


@pytest.mark.parametrize("command", [["cure", "wine"], ["check", "wine"], ["tasks"]])
def test_a_file_that_cannot_be_written_is_refused_before_any_work(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: list[str]
) -> None:
    missing = tmp_path / "nowhere" / "result.json"
    assert "there is no folder" in failed(capsys, *command, "--json", str(missing))
    assert "it is a folder" in failed(capsys, *command, "--json", str(tmp_path))


def test_a_users_function_that_raises_shows_its_own_traceback_and_not_ours(
    users_file: str,
) -> None:
    command = [sys.executable, "-c", "import sys; from fitwell.cli import main; sys.exit(main())"]
    done = subprocess.run(
        [*command, "check", f"{users_file}:boom"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("fitwell: ")
    assert "no such luck" in done.stderr.splitlines()[0]
    assert 'mine.py", line 6, in boom' in done.stderr
    assert str(Path("fitwell") / "cli") not in done.stderr
    assert str(Path("fitwell") / "tasks") not in done.stderr


def test_the_tasks_are_listed_for_people_and_as_data(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "tasks.json"
    assert main(["tasks", "--json", str(path)]) == 0
    printed, data = capsys.readouterr().out, json.loads(path.read_text())
    names = [task["name"] for task in data["tasks"]]
    assert {"mnist-small", "digits-deep", "digits-healthy"} <= set(names)
    assert all(name in printed for name in names)
    assert all(task["rows"] > 0 and task["ails"] for task in data["tasks"])


def _finding(severity: Any) -> Finding:
    return Finding("overfitting", severity, 0.9, (), 3, {"gap": 1.0}, "It overfits.")


@pytest.mark.parametrize(
    ("found", "limit", "code"),
    [
        (None, "mild", 0),
        ("severe", None, 0),
        ("severe", "never", 0),
        ("mild", "moderate", 0),
        ("moderate", "moderate", 1),
        ("severe", "moderate", 1),
    ],
)
def test_check_fails_from_the_severity_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
    users_file: str,
    found: str | None,
    limit: str | None,
    code: int,
) -> None:
    diagnosis = Diagnosis((_finding(found),) if found else ())
    monkeypatch.setattr(fitwell.studies, "check", lambda task: (diagnosis, Trace()))
    options = ["--fail-on", limit] if limit else []
    assert main(["check", f"{users_file}:small", *options]) == code


def test_check_tells_its_diagnosis_and_writes_it_as_data_and_as_a_page(
    capsys: pytest.CaptureFixture[str], users_file: str, tmp_path: Path
) -> None:
    data, page = tmp_path / "found.json", tmp_path / "found.html"
    arguments = ["check", f"{users_file}:small", "--json", str(data), "--report", str(page)]
    assert main(arguments) == 0
    found = json.loads(data.read_text())
    assert found["schema"] == 1
    assert found["healthy"] == (found["findings"] == [])
    told = capsys.readouterr().out
    assert ("Healthy" in told) == found["healthy"]
    assert "○  input" not in told
    assert page.read_text().startswith("<!doctype html>")
    assert '<svg xmlns="http://www.w3.org/2000/svg" class="network"' in page.read_text()


def test_check_draws_the_network_before_the_diagnosis_if_asked(
    capsys: pytest.CaptureFixture[str], users_file: str, tmp_path: Path
) -> None:
    data = tmp_path / "found.json"
    assert main(["check", f"{users_file}:small", "--network", "--json", str(data)]) == 0
    told = capsys.readouterr().out
    assert re.search(r"^○  input$\n^● .* Linear \d+ → \d+ +\d+$", told, re.MULTILINE)
    assert set(json.loads(data.read_text())) == {
        *("schema", "healthy", "findings", "chains", "unjudged", "muted"),
    }


def test_check_speaks_korean_if_asked_and_its_data_stay_english(
    capsys: pytest.CaptureFixture[str], users_file: str, tmp_path: Path
) -> None:
    page, found = tmp_path / "found.html", {}
    for lang in ("en", "ko"):
        data = tmp_path / f"{lang}.json"
        written = ["--json", str(data), "--report", str(page)]
        assert main(["check", f"{users_file}:small", "--lang", lang, *written]) == 0
        found[lang] = json.loads(data.read_text())
    assert found["ko"] == found["en"]
    told = capsys.readouterr().out
    assert " test rows; " in told.partition("훈련 ")[0]
    assert re.search(r"훈련 \d+행, 검증 \d+행, 테스트 \d+행", told)
    assert '<html lang="ko">' in page.read_text()


def test_a_comparison_and_its_progress_speak_korean_if_asked(
    capsys: pytest.CaptureFixture[str], users_file: str
) -> None:
    arguments = ["-r", "soft=dropout(0.5)", "--seeds", "2", "--lang", "ko"]
    assert main(["compare", f"{users_file}:small", *arguments]) == 0
    told = capsys.readouterr()
    assert "처방 없음" in told.out
    assert "비교 (실행 4개) ..." in told.err


@pytest.mark.parametrize("command", ["cure", "check", "compare", "watch", "learn"])
def test_a_language_that_is_not_known_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    rest = ["-r", "a=l2(0.1)"] if command == "compare" else []
    said = failed(capsys, command, "--lang", "fr", *rest, "wine")
    assert said == "A language is one of en, ko; got 'fr'."


def test_compare_tells_every_arm_and_writes_it_as_data_and_as_a_page(
    capsys: pytest.CaptureFixture[str], users_file: str, tmp_path: Path
) -> None:
    data, page = tmp_path / "study.json", tmp_path / "study.html"
    recipe = tmp_path / "recipe.json"
    recipe.write_text(Recipe.from_text("l2(0.01)").to_json())
    arguments = ["-r", "soft=dropout(0.5)", "-r", f"small={recipe}", "--seeds", "2"]
    files = ["--json", str(data), "--report", str(page)]
    assert main(["compare", f"{users_file}:small", *arguments, *files]) == 0
    told = json.loads(data.read_text())
    assert [arm["name"] for arm in told["arms"]] == ["untreated", "soft", "small"]
    assert [len(arm["per_seed"]) for arm in told["arms"]] == [2, 2, 2]
    printed = capsys.readouterr().out
    assert "untreated" in printed
    assert all(arm["verdict"]["outcome"] in printed for arm in told["arms"][1:])
    assert page.read_text().startswith("<!doctype html>")


def test_compare_with_no_seed_is_refused(
    capsys: pytest.CaptureFixture[str], users_file: str
) -> None:
    said = failed(capsys, "compare", f"{users_file}:small", "-r", "a=l2(0.1)", "--seeds", "0")
    assert "seeds" in said


@pytest.mark.parametrize(
    "options", [["--budget", "1"], ["--budget", "banana"], ["--runs", "0"], ["--seeds", "0"]]
)
def test_cure_refuses_a_cap_that_means_nothing(
    capsys: pytest.CaptureFixture[str], users_file: str, tmp_path: Path, options: list[str]
) -> None:
    out = tmp_path / "out"
    said = failed(capsys, "cure", f"{users_file}:small", "--out", str(out), *options)
    assert options[0].removeprefix("--") in said.lower()
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "caps"),
    [
        ([], ("2min", None)),
        (["--budget", "30s"], ("30s", None)),
        (["--runs", "7"], (None, 7)),
        (["--budget", "30s", "--runs", "7"], ("30s", 7)),
    ],
)
def test_cure_hands_on_its_caps_and_runs_alone_means_no_time_limit(
    monkeypatch: pytest.MonkeyPatch,
    users_file: str,
    options: list[str],
    caps: tuple[str | None, int | None],
) -> None:
    signature = inspect.signature(CURE.cure)

    def spy(*args: Any, **named: Any) -> None:
        given = signature.bind(*args, **named).arguments
        assert (given["budget"], given["runs"]) == caps
        assert (given["seeds"], given["overwrite"]) == (3, True)
        assert given["command"].startswith(f"fitwell cure {users_file}:small --")
        assert given["command"].endswith("--seeds 3")
        raise Interrupted("stopped here: run it again to go on.")

    monkeypatch.setattr(CURE, "cure", spy)
    more = ["--seeds", "3", "--overwrite"]
    assert main(["cure", f"{users_file}:small", *options, *more]) == 130


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (BadInput("Wanted this.\n  got: that"), 2, "fitwell: Wanted this.\n  got: that\n"),
        (FitwellError("\x1b[31mred"), 2, "fitwell: \\x1b[31mred\n"),
        (Interrupted("stopped: run it again."), 130, "fitwell: stopped: run it again.\n"),
        (KeyboardInterrupt(), 130, "fitwell: interrupted.\n"),
        (typer.Abort(), 130, "fitwell: interrupted.\n"),
    ],
)
def test_what_goes_wrong_becomes_a_line_and_a_code(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    def command() -> int:
        raise error

    assert exit_code(command) == code
    assert capsys.readouterr() == ("", said)


def test_an_error_of_ours_that_nobody_foresaw_is_not_swallowed() -> None:
    def command() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        exit_code(command)


def test_a_piped_story_is_80_columns_wide_without_colour_or_trailing_blanks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    show(Text("word " * 40, style="bold red"))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == 3
    assert all(line == line.rstrip() and "\x1b" not in line for line in lines)


def test_numbers_that_json_cannot_hold_are_spelled_out(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": [math.nan, 1.5], "b": (math.inf,)})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": ["nan", 1.5], "b": ["inf"]}


def test_a_file_that_fails_to_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "taken").mkdir()
    with pytest.raises(OutputError, match="Cannot write"):
        write_json(tmp_path / "folder" / "taken", {})
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["taken"]


def _progress(terminal: bool) -> tuple[TerminalProgress, StringIO]:
    stream = StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100, color_system=None)
    return TerminalProgress(console), stream


def test_progress_that_is_piped_is_a_line_for_each_stage_and_saying() -> None:
    progress, stream = _progress(terminal=False)
    with progress:
        progress.stage("search", 2)
        progress.advance()
        progress.say("[bold]dropout leads[/]")
        progress.advance()
        progress.stage("proof", None)
        progress.done()
        progress.done()
    told = stream.getvalue().splitlines()
    assert told[0] == "search (2 runs) ..."
    assert told[1] == "[bold]dropout leads[/]"
    assert told[2].startswith("search: 2 runs in ")
    assert told[3] == "proof ..."
    assert told[4].startswith("proof: 0 runs in ")
    assert len(told) == 5


def test_progress_on_a_terminal_is_a_bar_that_is_closed_even_by_an_error() -> None:
    progress, stream = _progress(terminal=True)

    def study() -> None:
        with progress:
            progress.stage("search [x]", 4)
            progress.advance(3)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        study()
    assert "search [x]" in stream.getvalue()
    progress.say("afterwards")
    assert stream.getvalue().endswith("afterwards\n")


def test_progress_is_what_a_study_asks_for() -> None:
    wanted = [name for name in vars(fitwell.studies.Progress) if not name.startswith("_")]
    ours: Any = SimpleNamespace(**{name: getattr(TerminalProgress, name) for name in wanted})
    for name in wanted:
        theirs = inspect.signature(getattr(fitwell.studies.Progress, name))
        assert str(inspect.signature(getattr(ours, name))) == str(theirs)


def test_a_result_is_never_written_over_the_table_that_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("a,b\n1,2\n")
    for command in (["cure"], ["check"], ["compare", "-r", "a=l2"]):
        said = failed(capsys, *command, str(table), "--target", "b", "--json", str(table))
        assert said == f"Cannot write {table}: that is what is read; name another file."
    assert table.read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize("wrong", ["weight_average(0.99)", "nonsense(1)", "l2(-1)"])
def test_of_several_recipes_the_wrong_one_is_named(
    capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    said = failed(capsys, "compare", "wine", "-r", "good=l2", "-r", f"wrong={wrong}")
    assert said.startswith("In the recipe 'wrong': ")


def test_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "fitwell", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout[:7]) == (0, "fitwell")
