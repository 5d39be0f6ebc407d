from __future__ import annotations

import csv
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import pytest

from fitwell.records import (
    CureRecord,
    Curves,
    Diagnosis,
    Quantity,
    RemedySpec,
    Row,
    StudyRecord,
    Trace,
)
from fitwell.report.charts import loss_figure
from fitwell.report.html import cure_page, diagnosis_page, study_page

HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)>&amp;{{ 7 * 7 }}"
LIMIT = 3_000_000


class Page(HTMLParser):
    """Reads a page as a browser does: elements, scripts by kind, visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.data: dict[str, Any] = {}
        self.code: list[str] = []
        self.text = ""
        self._within: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self._within and self._within.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        tag, attributes = self._within[-1] if self._within else ("", {})
        if tag == "script" and attributes.get("type") == "application/json":
            self.data[str(attributes["id"])] = json.loads(data)
        elif tag == "script":
            self.code.append(data)
        elif tag != "style":
            self.text += data

    def values(self, tag: str, attribute: str) -> list[str | None]:
        return [found.get(attribute) for name, found in self.elements if name == tag]


@pytest.fixture
def page(cured: CureRecord) -> Page:
    return Page(cure_page(cured))


def words(text: str) -> str:
    return " ".join(text.replace("\u00a0", " ").split())


def drawn(spec: Any) -> list[dict[str, Any]]:
    """The numbers of a panel, as its reader has them in a file; empty cells are left out."""
    rows = csv.DictReader(StringIO(spec["datasets"]["drawn"]))
    return [{name: _number(text) for name, text in row.items() if text} for row in rows]


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def values_in(spec: Any) -> list[dict[str, Any]]:
    """Every row of data inside a specification that only helps to draw it."""
    if isinstance(spec, dict):
        own = spec["values"] if isinstance(spec.get("values"), list) else []
        rows = [row for row in own if isinstance(row, dict)]
        return rows + [row for value in spec.values() for row in values_in(value)]
    if isinstance(spec, list):
        return [row for value in spec for row in values_in(value)]
    return []


def test_a_page_begins_with_the_verdict_in_one_number_and_one_sentence(page: Page) -> None:
    text = words(page.text)
    assert "The verdict +4.9 points Cured: accuracy on test rises from 86.0 % to 90.9 %" in text
    assert text.index("The verdict") < text.index("What was wrong") < text.index("The proof")


def test_a_page_says_how_to_make_it_again(page: Page) -> None:
    text = words(page.text)
    assert "fitwell cure mnist-small --budget 2min" in text
    assert "torch 2.13.0" in text
    assert "sha256:4be1d0f2" in text


@pytest.mark.parametrize("name", ["cured", "unproven", "healthy"])
def test_a_page_needs_nothing_beside_itself(name: str, request: pytest.FixtureRequest) -> None:
    html = cure_page(request.getfixturevalue(name))
    page = Page(html)
    assert len(html.encode()) < LIMIT
    assert [tag for tag, found in page.elements if "src" in found] == []
    assert page.values("link", "href") == ["data:,"]
    assert page.values("a", "href") == []
    assert "default-src 'none'" in html
    assert "@import" not in html.split("</style>")[0]


def test_vega_is_carried_once_however_many_charts_there_are(page: Page) -> None:
    assert len(page.values("div", "data-spec")) - page.values("div", "data-spec").count(None) > 3
    assert sum("vegaEmbed=" in code for code in page.code) == 1
    assert len(page.code) == 2


def test_every_chart_finds_its_specification_and_says_in_words_what_it_shows(page: Page) -> None:
    charts = [found for tag, found in page.elements if tag == "div" and "data-spec" in found]
    assert {chart["data-spec"] for chart in charts} == set(page.data)
    described = {found["id"] for tag, found in page.elements if tag == "p" and "id" in found}
    for chart in charts:
        assert chart["role"] == "img"
        assert 10 < len(chart["aria-label"] or "") < 90
        assert chart["aria-describedby"] in described


def test_every_figure_has_a_caption_and_its_numbers_as_a_table(page: Page) -> None:
    tags = [tag for tag, _ in page.elements]
    assert tags.count("figure") == tags.count("figcaption") == 4
    assert page.text.count("How to read it:") == 4
    assert page.text.count("The numbers as a table") == 4
    assert page.text.count("Data as CSV") == tags.count("button") == 4


def test_text_out_of_a_run_is_shown_and_never_obeyed(cured: CureRecord) -> None:
    finding = replace(
        cured.diagnosis.findings[0],
        layers=(HOSTILE,) * 5,
        explanation=HOSTILE,
        evidence={HOSTILE: 1.0},
        remedies=(RemedySpec(HOSTILE, {"x": HOSTILE}),),
    )
    rows = [Row(step, Quantity.GRADIENT_NORM, 1.0, HOSTILE) for step in range(3)]
    assert cured.proof is not None
    untreated, treated = cured.proof.arms
    task = replace(
        cured.task, name=HOSTILE, description=HOSTILE, network=HOSTILE, notes=(HOSTILE,),
        classes=(HOSTILE, HOSTILE), loss=HOSTILE,
    )  # fmt: skip
    record = replace(
        cured,
        task=task,
        diagnosis=Diagnosis((finding,), (HOSTILE,)),
        trace=Trace(rows),
        recipe=(RemedySpec(HOSTILE),),
        proof=replace(cured.proof, arms=(untreated, replace(treated, name=HOSTILE))),
        notes=(HOSTILE,),
        command=HOSTILE,
        versions={HOSTILE: HOSTILE},
    )
    plain, hostile = Page(cure_page(cured)), Page(cure_page(record))
    assert [tag for tag, _ in hostile.elements if tag == "img"] == []
    assert hostile.code == plain.code
    assert hostile.text.count(HOSTILE) > 12
    assert {row["layer"] for row in drawn(hostile.data["gradients-1"])} == {HOSTILE}


def test_numbers_that_json_cannot_hold_do_not_break_a_page(cured: CureRecord) -> None:
    assert cured.proof is not None
    untreated, treated = cured.proof.arms
    run = untreated.runs[0]
    assert run.test is not None
    lost = replace(
        run,
        diverged=True,
        test=replace(run.test, metric=math.nan),
        curves=Curves((1.0, math.nan, math.inf), (1.0, math.inf, math.nan)),
    )
    rows = [Row(0, Quantity.GRADIENT_NORM, math.inf, "fc1")]
    arms = (replace(untreated, runs=(lost, *untreated.runs[1:])), treated)
    page = Page(cure_page(replace(cured, trace=Trace(rows), proof=replace(cured.proof, arms=arms))))
    for spec in page.data.values():
        numbers = [v for row in drawn(spec) for v in row.values() if isinstance(v, float)]
        assert all(math.isfinite(number) for number in numbers)
    assert "1 of 8 runs diverged" in page.text
    assert "Values that are not finite were seen in fc1." in page.text


def test_loss_curves_of_both_arms_share_one_scale_and_carry_the_gap(page: Page) -> None:
    before, after = page.data["losses-1"], page.data["losses-2"]
    scales = [re.findall(r'"domain": \[[^\]]*\]', json.dumps(spec)) for spec in (before, after)]
    assert scales[0] == scales[1]
    styles = [layer["mark"]["style"] for layer in before["layer"]]
    assert styles == ["gap", "band", "curve", "kept"]
    shaded = [row for row in values_in(before) if "other" in row]
    assert len(shaded) == 40
    assert shaded[-1]["other"] - shaded[-1]["loss"] > 0.8


def test_a_loss_that_explodes_is_drawn_on_a_log_scale(cured: CureRecord) -> None:
    run = replace(cured.baseline[0], curves=Curves((1e9, 1e3, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0)))
    page = Page(cure_page(replace(cured, proof=None, recipe=(), baseline=(run,))))
    assert '"type": "log"' in json.dumps(page.data["losses-1"])
    assert "logarithmic" in page.text


def test_a_training_loss_that_goes_to_zero_is_still_drawn_on_a_linear_scale(
    cured: CureRecord,
) -> None:
    run = replace(cured.baseline[0], curves=Curves((1.0, 1e-6, 1e-6), (1.0, 0.3, 0.3)))
    page = Page(cure_page(replace(cured, proof=None, recipe=(), baseline=(run,))))
    assert '"type": "log"' not in json.dumps(page.data["losses-1"])


def test_gradients_are_drawn_by_layer_and_step_on_a_log_scale(page: Page) -> None:
    spec = page.data["gradients-1"]
    assert '"type": "log"' in json.dumps(spec)
    assert list(dict.fromkeys(row["layer"] for row in drawn(spec))) == [
        "fc1",
        "fc2",
        "fc3",
        "out",
    ]


def test_a_trace_without_gradients_leaves_their_figure_out(cured: CureRecord) -> None:
    assert "gradients-1" not in Page(cure_page(replace(cured, trace=Trace()))).data


def test_an_interval_is_drawn_in_points_with_a_dot_for_every_seed(page: Page) -> None:
    rows = drawn(page.data["scores-2"])
    (effect,) = {(row["mean"], row["low"], row["high"]) for row in rows if "mean" in row}
    assert effect == pytest.approx((4.92, 4.41, 5.43))
    assert len([row for row in rows if "value" in row]) == 8


def test_a_healthy_page_says_so_and_draws_no_proof(healthy: CureRecord) -> None:
    page = Page(cure_page(healthy))
    assert "Healthy: nothing was found." in page.text
    assert "The proof" not in page.text
    assert set(page.data) == {"gradients-1", "losses-1"}


def test_an_unproven_page_shows_what_fell_short(unproven: CureRecord) -> None:
    text = words(Page(cure_page(unproven)).text)
    assert "The recipe is empty. This one was the best of the search" in text
    assert "Dropout(p=0.5)" in text


def test_a_study_page_tells_every_arm(proof: StudyRecord) -> None:
    text = words(Page(study_page(proof)).text)
    assert "treated helps: accuracy is better by 4.9 points" in text
    assert "BatchNorm + Dropout(p=0.5) + Augment(strength=1)" in text


def test_a_diagnosis_page_tells_findings_with_their_evidence(
    diagnosis: Diagnosis, cured: CureRecord
) -> None:
    page = Page(diagnosis_page(diagnosis, cured.trace, "mine"))
    text = words(page.text)
    assert "1 illness Found: bad initialization (severe)." in text
    assert "validation loss rise 0.38" in text
    assert "gradients-1" in page.data


def test_a_page_shows_an_illness_in_one_block_with_its_chain(
    diagnosis: Diagnosis, cured: CureRecord
) -> None:
    effect, root = diagnosis.findings
    root = replace(root, phrase="weights 10 times too large", advice="Draw them anew.")
    effect = replace(effect, cause=root, phrase="it overfits")
    sick = Diagnosis((root, effect), muted=("dead_units",))
    page = Page(diagnosis_page(sick, cured.trace, "mine"))
    text = words(page.text)
    assert [tag for tag, _ in page.elements].count("article") == 1
    assert "weights 10 times too large \u2192 it overfits" in text
    assert "Change: Draw them anew." in text
    assert "Muted: dead units." in text
    left = Diagnosis((effect,), muted=("bad_initialization",))
    alone = words(Page(diagnosis_page(left, cured.trace, "mine")).text)
    assert "Explained by bad initialization, muted." in alone


def test_of_many_arms_the_eight_that_tell_most_have_their_losses_drawn(
    proof: StudyRecord,
) -> None:
    untreated, treated = proof.arms
    assert treated.verdict is not None
    verdict = treated.verdict
    arms = [
        replace(
            treated,
            name=f"arm {place}",
            verdict=replace(verdict, effect=replace(verdict.effect, mean=place / 1000)),
        )
        for place in range(-12, 12)
    ]
    figure = loss_figure(proof.task, [untreated, *arms])
    assert figure is not None
    named = [panel.heading.partition(":")[0] for panel in figure.panels]
    assert named == ["untreated", *(f"arm {n}" for n in (-12, -11, -10, -9, 9, 10, 11))]
    assert "the 7 of 24 others" in figure.caption
