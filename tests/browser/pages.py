"""The pages that are opened: of real results, of records made up to be extreme, of every kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.browser import made, real
from torch import nn

import fitwell
from fitwell.cure import cure
from fitwell.recipe import Recipe
from fitwell.report.claims_page import claims_page
from fitwell.report.claims_wording import About
from fitwell.report.html import cure_page, diagnosis_page, study_page, watched_page
from fitwell.studies import InProcess, check, compare
from fitwell.tasks import Task

ABOUT = About("fitwell learn", {"fitwell": "0.1.0"}, "2026-11-30")


@cache
def page(name: str) -> str:
    """Return a page as HTML; it is made once."""
    return PAGES[name]()


def _checked(task: Task) -> str:
    diagnosis, trace = check(task)
    about = task.record()
    return diagnosis_page(diagnosis, trace, about.name, notes=about.notes, anatomy=about.anatomy)


def _cured() -> str:
    with TemporaryDirectory() as folder:
        task = real.task(layers=6, epochs=6)
        found = cure(task, runs=4, seeds=3, out=Path(folder) / "out", executor=InProcess())
    return cure_page(found.record)


def _compared() -> str:
    arms = {
        "relu": Recipe(fitwell.remedies.Activation("relu")),
        "batch norm": Recipe(fitwell.remedies.BatchNorm()),
    }
    task = real.task(layers=3, epochs=6)
    return study_page(compare(task, arms, 4, executor=InProcess()).record)


PAGES: Mapping[str, Callable[[], str]] = {
    "check": lambda: _checked(real.task()),
    "check of a healthy network": lambda: _checked(real.task(nn.ReLU, 1, 20)),
    "compare": _compared,
    "cure": _cured,
    "cure that helped nothing": lambda: cure_page(made.not_helped()),
    "cure of runs that diverge": lambda: cure_page(made.diverged()),
    "cure of hostile names": lambda: cure_page(made.hostile()),
    "cure in Korean": lambda: cure_page(made.not_helped(), lang="ko"),
    "watch": lambda: watched_page(made.program("maker", *made.HOSTILE[:3])),
    "learn": lambda: claims_page(made.claims("Dropout helps", *made.HOSTILE[:2]), ABOUT),
    "cure of 200 runs and 300 layers": lambda: cure_page(made.cured(arms=25, layers=300)),
    "compare of 200 runs": lambda: study_page(made.study(25)),
}
LARGE = ("cure of 200 runs and 300 layers", "compare of 200 runs")
"""Pages of the largest studies: what is asked of every page takes longest on them."""
