from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fitwell.claims import Claim, claims, running
from fitwell.claims.keeping import Kept
from fitwell.claims.running import chosen, learn
from fitwell.errors import BadInput
from fitwell.records import Measured
from fitwell.words import speaking, spoken


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "measured")


@pytest.fixture
def measured(claim: Claim, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have one claim exist, and note when it is measured."""
    calls: list[str] = []

    def measure(name: str) -> tuple[Measured, float]:
        calls.append(name)
        return claim.experiment(range(8)), 0.5

    monkeypatch.setattr(running, "claims", lambda: (claim,))
    monkeypatch.setattr(running, "measure", measure)
    return calls


def test_a_claim_is_chosen_by_name_or_number_and_comes_once() -> None:
    assert [c.name for c in chosen(["dropout"])] == ["dropout"]
    assert chosen(["10", "Dropout", "10"]) == chosen(["dropout"])
    assert chosen([]) == claims()


def test_an_unknown_claim_is_told_with_those_that_are_near() -> None:
    with pytest.raises(BadInput, match=r"no claim 'dropuot': did you mean .*dropout.*--list"):
        chosen(["dropuot"])
    with pytest.raises(BadInput, match=r"^There is no claim 'zzz': fitwell learn --list names"):
        chosen(["zzz"])


def test_files_are_named_by_number_and_name_and_no_number_comes_twice() -> None:
    files = sorted(Path(running.__file__).parent.glob("c[0-9][0-9]_*.py"))
    assert [int(file.name[1:3]) for file in files] == [claim.number for claim in claims()]
    assert len({claim.name for claim in claims()}) == len(files)


def test_a_claim_is_measured_once_and_then_kept(
    claim: Claim, kept: Kept, measured: list[str]
) -> None:
    first = list(learn([claim], kept))
    assert list(learn([claim], kept)) == first
    assert measured == ["made-up"]
    assert (first[0].outcome, first[0].seconds) == ("supported", 0.5)


def test_fresh_measures_what_was_kept(claim: Claim, kept: Kept, measured: list[str]) -> None:
    list(learn([claim], kept))
    list(learn([claim], kept, fresh=True))
    assert measured == ["made-up"] * 2


def test_an_interruption_keeps_what_was_finished(
    claim: Claim, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(name: str) -> tuple[Measured, float]:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "claims", lambda: (claim,))
    monkeypatch.setattr(running, "measure", measure)
    with pytest.raises(KeyboardInterrupt):
        list(learn([claim], kept))
    assert kept.read(claim) is None


def test_an_experiment_speaks_english_whatever_language_its_page_has(claim: Claim) -> None:
    heard: list[str] = []

    def experiment(seeds: object) -> Measured:
        heard.append(spoken())
        return claim.experiment(range(8))

    with speaking("ko"):
        record = replace(claim, experiment=experiment).run()
    assert heard == ["en"]
    assert record.answers[0].expected == "dose of 0.5 larger than plain"
