from __future__ import annotations

from dataclasses import replace

from rich.console import Console

from fitwell.records import Effect
from fitwell.report.evidence import evidence, evidence_lines
from fitwell.report.html import cure_page, study_page
from fitwell.report.terminal import cure_story, study_story

WIDE = Effect(0.049, -0.01, 0.108, 0.1, 8)
NARROW = Effect(0.049, 0.02, 0.078, 0.01, 8)


def text_of(story: object) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(story)
    return captured.get()


def test_no_evidence_tells_the_effect_that_could_not_have_been_seen(task, verdict):
    said = replace(verdict, outcome="no evidence", detectable=0.0123)
    assert evidence(said, task) == (
        "an effect under 1.2 points could not have been seen with 8 seeds (80 % power)",
    )
    error = replace(task, metric="mae")
    assert evidence(said, error)[0].startswith("an effect under 0.0123 could not")


def test_a_verdict_with_evidence_does_not_tell_it(task, verdict):
    assert evidence(replace(verdict, detectable=0.0123), task) == ()


def test_evidence_tells_whether_it_holds_on_other_rows(task, verdict):
    assert evidence(replace(verdict, other_rows=NARROW), task) == (
        "on other test rows like these 3,500 it holds (95 % interval +2.0 to +7.8 points)",
    )
    assert evidence(replace(verdict, other_rows=WIDE), task) == (
        "on other test rows like these 3,500 it may not hold (95 % interval -1.0 to +10.8 points)",
    )
    assert evidence(replace(verdict, outcome="no evidence", other_rows=WIDE), task) == ()


def test_cautions_come_last(task, verdict):
    said = replace(verdict, other_rows=NARROW, cautions=("one", "two"))
    assert evidence(said, task)[1:] == ("one", "two")


def test_every_report_has_the_lines(cured, proof, verdict):
    untreated, treated = proof.arms
    said = replace(verdict, cautions=("2 of 8 runs diverged, a caution",))
    study = replace(proof, arms=(untreated, replace(treated, verdict=said)))
    line = "treated: 2 of 8 runs diverged, a caution."
    assert evidence_lines(study.task, study.arms) == (line,)
    record = replace(cured, proof=study)
    for text in (text_of(study_story(study)), text_of(cure_story(record))):
        assert line in text
    for page in (study_page(study), cure_page(record)):
        assert line in page


def test_the_result_file_has_what_stands_beside_the_verdict(cured, proof, verdict):
    untreated, treated = proof.arms
    said = replace(
        verdict, sign_flip_p=0.0078, detectable=0.01, other_rows=NARROW, cautions=("one",)
    )
    study = replace(proof, arms=(untreated, replace(treated, verdict=said)))
    tested = replace(cured, proof=study).to_dict()["tested"]
    assert (tested["sign_flip_p"], tested["detectable"]) == (0.0078, 0.01)
    assert tested["other_rows"] == {"mean": 0.049, "low": 0.02, "high": 0.078, "p": 0.01}
    assert tested["cautions"] == ["one"]
