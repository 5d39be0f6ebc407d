"""What a notebook shows: through IPython's own formatters, and once in a kernel."""

from __future__ import annotations

import builtins
import re
import warnings
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from IPython.core.formatters import DisplayFormatter
from nbclient import NotebookClient
from torch import nn

import fitwell
from fitwell import remedies as r
from fitwell.records import CureRecord, Diagnosis, RemedySpec, StudyRecord, Trace
from fitwell.records.shown import html_of, markdown_of

HOSTILE = "</div><script>alert(1)</script><img src=x onerror=alert(1)>"
LIMIT = 200_000
SAFE = {"div", "p", "b", "span", "code", "table", "thead", "tbody", "tr", "th", "td", "img"}


class Tags(HTMLParser):
    """The elements of a card with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def cure(cured: CureRecord) -> fitwell.Cure:
    return fitwell.Cure(cured, nn.Identity(), Path("fitwell-runs/mnist-small/1"))


@pytest.fixture
def everything(
    cure: fitwell.Cure, diagnosis: Diagnosis, proof: StudyRecord, cured: CureRecord
) -> list[Any]:
    recipe = fitwell.Recipe(r.Dropout(0.3), r.L2(0.01))
    return [cure, diagnosis, fitwell.Study(proof), cured.trace, recipe]


def test_whatever_is_shown_is_small_safe_and_carries_its_own_style(everything: list[Any]) -> None:
    for shown in everything:
        data, _ = DisplayFormatter().format(shown)
        tags = Tags(data["text/html"])
        assert tags.open == []
        assert {name for name, _ in tags.found} <= SAFE
        assert not [a for _, found in tags.found for a in found if a.startswith("on")]
        assert len(data["text/html"]) < LIMIT
        assert all(
            (found["src"] or "").startswith("data:image/svg+xml;base64,")
            for name, found in tags.found
            if name == "img"
        )


def test_diagnoses_studies_and_cures_are_markdown_too(everything: list[Any]) -> None:
    for shown in everything[:3]:
        assert DisplayFormatter().format(shown)[0]["text/markdown"].startswith("## ")


def test_a_cure_shows_its_verdict_its_arms_its_recipe_and_its_files(cure: fitwell.Cure) -> None:
    html = cure._repr_html_()
    assert "+4.9 points</span> Cured: accuracy on test rises" in html
    assert "+4.9 points [+4.4 to +5.4], p &lt; 0.001" in html
    assert "Augment(strength=1)</code>" in html
    assert "The files are in fitwell-runs/mnist-small/1." in html
    assert html.count("<img") == 2


def test_a_healthy_diagnosis_is_one_line() -> None:
    html = Diagnosis()._repr_html_()
    assert "healthy</span> Nothing was found that needs treatment." in html
    assert "<table" not in html


def test_no_name_is_obeyed(cure: fitwell.Cure) -> None:
    def named(text: str) -> list[str]:
        record = cure.record
        finding = replace(
            record.diagnosis.findings[0], layers=(text,), explanation=text, advice=text
        )
        assert record.proof is not None
        arms = tuple(replace(arm, name=text) for arm in record.proof.arms)
        task = replace(record.task, name=text)
        changed = replace(
            record,
            task=task,
            diagnosis=Diagnosis((finding,), (text,)),
            recipe=(RemedySpec("Dropout", {text: text}),),
            proof=replace(record.proof, task=task, arms=arms),
        )
        html = replace(cure, record=changed, out=Path(text))._repr_html_()
        return [name for name, _ in Tags(html).found]

    assert named(HOSTILE) == named("plain")


def test_without_the_lab_tables_stand_alone(
    cured: CureRecord, proof: StudyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = builtins.__import__

    def missing(name: str, *arguments: Any) -> Any:
        if name.partition(".")[0] in ("altair", "vl_convert"):
            raise ModuleNotFoundError(name=name)
        return found(name, *arguments)

    monkeypatch.setattr("importlib.import_module", missing)
    assert "<img" not in fitwell.Study(proof)._repr_html_()
    html = cured.trace._repr_html_()
    assert "norm of the gradient, median" in html
    assert [name for name, _ in Tags(html).found].count("tr") == 6 + 1 + 4


def test_an_empty_trace_and_an_empty_recipe_are_shown() -> None:
    assert "rows</th>" in Trace()._repr_html_()
    assert "The network stays untreated." in fitwell.Recipe()._repr_html_()


def test_a_kind_that_nothing_draws_is_its_own_text() -> None:
    assert html_of("<a>") == "<pre>&lt;a&gt;</pre>"
    assert markdown_of("a```b") == "```\nab\n```"


def test_a_real_notebook_shows_a_diagnosis_and_a_recipe() -> None:
    cell = nbformat.v4.new_code_cell
    cells = [
        cell(
            "import torch, fitwell\nfrom fitwell import remedies as r\n"
            "x, y = torch.randn(32, 4), torch.randint(0, 2, (32,))\n"
            "net = torch.nn.Sequential(*[m for _ in range(20) for m in "
            "(torch.nn.Linear(4, 4), torch.nn.Sigmoid())], torch.nn.Linear(4, 2))\n"
            "fitwell.preflight(net, (x, y), torch.nn.CrossEntropyLoss())"
        ),
        cell("fitwell.Recipe(r.Dropout(0.3))"),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the kernel's own libraries
        NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    first, second = (one.outputs[-1].data for one in notebook.cells)
    assert "Vanishing gradients" in first["text/html"]
    assert re.search(r"Dropout\(\w+=0\.3\)</code>", second["text/html"])
    assert second["text/plain"].startswith("Recipe(")
