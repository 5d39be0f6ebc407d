from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fitwell.claims import Claim, keeping
from fitwell.claims.keeping import Kept, digest
from fitwell.errors import OutputError
from fitwell.records import Measured
from fitwell.words import Said


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "measured")


def keep(kept: Kept, claim: Claim) -> Measured:
    measured = claim.experiment(range(8))
    kept.write(claim, measured, 1.5)
    return measured


def test_what_was_measured_comes_back_equal_with_every_kind_of_picture(
    kept: Kept, claim: Claim
) -> None:
    measured = keep(kept, claim)
    assert kept.read(claim) == (measured, 1.5)


def test_a_sentence_comes_back_able_to_be_told_in_another_language(
    kept: Kept, claim: Claim
) -> None:
    keep(kept, claim)
    found = kept.read(claim)
    assert found is not None
    (arms,) = found[0].values.values()
    treated = list(arms)[1]
    assert isinstance(treated, Said)
    assert (treated.template, treated.values) == (("dose of {dose}",), {"dose": "0.5"})


def test_nothing_kept_is_measured_anew(kept: Kept, claim: Claim) -> None:
    assert kept.read(claim) is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '"x"', '{"seconds": 1}', '{"digest": 3, "measured": {}}']
)
def test_a_broken_file_is_measured_anew(kept: Kept, claim: Claim, content: str) -> None:
    keep(kept, claim)
    (kept.folder / "made-up.json").write_text(content)
    assert kept.read(claim) is None


def test_a_file_with_the_right_digest_and_a_broken_rest_is_measured_anew(
    kept: Kept, claim: Claim
) -> None:
    keep(kept, claim)
    file = kept.folder / "made-up.json"
    file.write_text(file.read_text().replace('"Heat"', '"Heap"'))
    assert kept.read(claim) is None
    file.write_text(f'{{"digest": "{digest(claim)}", "seconds": 1, "measured": 3}}')
    assert kept.read(claim) is None


def test_other_seeds_are_measured_anew(kept: Kept, claim: Claim) -> None:
    keep(kept, claim)
    assert kept.read(replace(claim, seeds=9)) is None


def test_another_version_of_a_library_is_measured_anew(
    kept: Kept, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(kept, claim)
    monkeypatch.setattr(keeping, "version", lambda name: f"{name} 99")
    assert kept.read(claim) is None


def source(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have digests read a small tree of files in the place of the package."""
    for name in ("__init__.py", "claims/c10_a.py", "claims/c11_b.py", "claims/training.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("before")
    for name in ("report/page.py", "cli/app.py", "locale/ko.po", "studies/fit.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("before")
    monkeypatch.setattr(keeping, "_root", lambda: root)
    keeping._shared_code.cache_clear()


@pytest.mark.parametrize(
    ("changed", "anew"),
    [
        ("claims/c10_a.py", True),
        ("claims/c11_b.py", False),
        ("claims/training.py", True),
        ("studies/fit.py", True),
        ("studies/new.py", True),
        ("report/page.py", False),
        ("cli/app.py", False),
        ("locale/ko.po", False),
    ],
)
def test_only_a_change_that_can_reach_the_numbers_makes_another_digest(
    claim: Claim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str, anew: bool
) -> None:
    source(tmp_path, monkeypatch)
    before = digest(claim)
    (tmp_path / changed).write_text("after")
    keeping._shared_code.cache_clear()
    try:
        assert (digest(claim) != before) is anew
    finally:
        keeping._shared_code.cache_clear()


def test_a_folder_that_cannot_be_made_is_told_in_one_line(claim: Claim, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"^Cannot write .*made-up\.json"):
        keep(Kept(tmp_path / "file"), claim)
