from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fitwell.claims import Claim, running
from fitwell.claims.keeping import Kept
from fitwell.cli import main
from fitwell.records import Measured


@pytest.fixture
def made_up(claim: Claim, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have one claim exist, and note when it is measured."""
    calls: list[str] = []

    def measure(name: str) -> tuple[Measured, float]:
        calls.append(name)
        return claim.experiment(range(8)), 0.5

    monkeypatch.setattr(running, "claims", lambda: (claim,))
    monkeypatch.setattr(running, "measure", measure)
    return calls


def test_learn_tells_claims_and_leaves_a_page_a_table_and_data(
    made_up: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, copy = tmp_path / "deep" / "out", tmp_path / "copy.json"
    assert main(["learn", "--out", str(out), "--json", str(copy)]) == 0
    told = capsys.readouterr().out
    assert "10  A made-up claim  ✓ supported  +1.05 [+1.01, +1.09]" in told
    assert "Of 1 claim, 1 supported" in told
    assert all(len(line) <= 80 for line in told.splitlines() if str(tmp_path) not in line)
    assert {path.name for path in out.iterdir()} == {
        *("learn.html", "learn.md", "measured", "result.json"),
    }
    assert json.loads(copy.read_text()) == json.loads((out / "result.json").read_text())


def test_a_second_call_takes_what_was_measured_and_fresh_does_not(
    made_up: list[str], tmp_path: Path
) -> None:
    for arguments in ([], [], ["--fresh"]):
        assert main(["learn", "made-up", "--out", str(tmp_path), *arguments]) == 0
    assert made_up == ["made-up"] * 2


def test_a_page_keeps_the_claims_that_were_measured_before(
    claim: Claim, made_up: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(claim, number=11, name="another")
    monkeypatch.setattr(running, "claims", lambda: (claim, other))
    for asked in (["made-up"], ["another"]):
        assert main(["learn", *asked, "--out", str(tmp_path)]) == 0
    assert made_up == ["made-up", "another"]
    data = json.loads((tmp_path / "result.json").read_text())
    assert [one["name"] for one in data["claims"]] == ["made-up", "another"]


def test_a_list_is_written_as_data_too(made_up: list[str], tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    assert main(["learn", "--list", "--json", str(file)]) == 0
    assert json.loads(file.read_text())["claims"] == [
        {"number": 10, "name": "made-up", "title": "A made-up claim"}
    ]
    assert made_up == []


def test_quiet_leaves_one_line_and_figures_are_written_as_files(
    made_up: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = tmp_path / "figures"
    assert main(["learn", "-q", "--out", str(tmp_path), "--figures", str(figures)]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("Of 1 claim, 1 supported, 0 not supported, 0 reversed.\n", "")
    assert len(list(figures.glob("*.png"))) == len(list(figures.glob("*.svg"))) == 8


def test_listing_measures_nothing(
    made_up: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["learn", "--list", "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == "10  made-up  A made-up claim\n"
    assert (made_up, list(tmp_path.iterdir())) == ([], [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dropuot"], "There is no claim 'dropuot': did you mean dropout?"),
        (["31"], "There is no claim '31'"),
        (["--lang", "xx"], "A language is one of en, ko; got 'xx'."),
        (["--out", "/dev/null/x"], "Cannot write the folder /dev/null/x: Not a directory."),
        (["--json", "/no/where.json"], "Cannot write /no/where.json"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["learn", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"fitwell: {said}")
    assert len(told.err.splitlines()) == 1


def test_an_interruption_says_what_is_kept(
    claim: Claim,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def measure(name: str) -> tuple[Measured, float]:
        raise KeyboardInterrupt

    second = replace(claim, number=11, name="second")
    monkeypatch.setattr(running, "claims", lambda: (claim, second))
    monkeypatch.setattr(running, "measure", measure)
    Kept(tmp_path / "measured").write(claim, claim.experiment(range(8)), 1.0)
    assert main(["learn", "--out", str(tmp_path)]) == 130
    assert "1 of 2 claims are measured and kept in" in capsys.readouterr().err
