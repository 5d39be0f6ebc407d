"""What holds for every page, in a browser without a network."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from tests.browser.chromium import Chromium, Scheme
from tests.browser.pages import LARGE, PAGES

LETTERS = """
const soft = document.createElement("i");
soft.style.color = "var(--soft)";
document.body.append(soft);
const wanted = getComputedStyle(soft).color;
soft.remove();
const texts = [...document.querySelectorAll(".chart svg .role-axis-label text")];
return [texts.length, texts.filter((text) => getComputedStyle(text).fill !== wanted).length];
"""
"""How many labels the axes of all charts have, and how many are not in the colour of the page."""
OUTSIDE = """
const width = document.documentElement.clientWidth;
return [...document.querySelectorAll("main *")].filter((element) => {
  const box = element.getBoundingClientRect();
  return box.right > width + 1 && box.width > 0 && !element.closest(".scroll, pre, .unseen");
}).map((element) => element.outerHTML.slice(0, 120)).slice(0, 5);
"""
"""What sticks out of the window, except in what scrolls by itself."""
STOPS = """
return [...document.querySelectorAll("summary, button, a[href], [tabindex='0']")]
  .filter((element) => element.checkVisibility()).map((element) => {
    element.dataset.stop ??= String(document.querySelectorAll("[data-stop]").length);
    return element.dataset.stop;
  });
"""
"""What a reader without a mouse must come to, in the order of the page."""


@dataclass(frozen=True)
class Opened:
    """A page that is open, and what was noted while it opened."""

    browser: Chromium
    messages: list[str]
    requests: list[str]
    charts: list[dict[str, Any]]


@pytest.fixture(
    scope="module",
    params=[pytest.param(n, marks=pytest.mark.slow if n in LARGE else ()) for n in PAGES],
)
def opened(
    request: pytest.FixtureRequest, browser: Chromium, written: Callable[[str], Path]
) -> Opened:
    browser.open(written(request.param))
    return Opened(browser, browser.messages(), browser.requests(), browser.charts())


def letters(text: str) -> str:
    """Return a text without spaces and ligatures, which paper has its own of."""
    return "".join(unicodedata.normalize("NFKC", text).split())


@pytest.fixture(autouse=True)
def on_a_light_desk(opened: Opened) -> None:
    opened.browser.resize(1440)
    opened.browser.paint("light")


def test_every_chart_is_drawn(opened: Opened) -> None:
    assert opened.charts
    for chart in opened.charts:
        assert chart["data"] > 0, chart
        assert chart["width"] > 200, chart
        assert chart["height"] > 60, chart


def test_the_console_is_told_nothing(opened: Opened) -> None:
    assert opened.messages == []


def test_a_page_asks_for_nothing_but_itself(opened: Opened) -> None:
    asked = [address for address in opened.requests if not address.startswith("data:")]
    assert asked == [opened.browser.driver.current_url]


def test_nothing_is_refused_by_its_policy_and_nothing_alerts(opened: Opened) -> None:
    assert opened.browser.run("return [refused, alerted]") == [[], []]


@pytest.mark.parametrize("schemes", [("dark", "light"), ("light", "dark")])
def test_charts_take_the_colours_of_the_scheme(
    opened: Opened, schemes: tuple[Scheme, Scheme]
) -> None:
    for scheme in schemes:
        opened.browser.paint(scheme)
        WebDriverWait(opened.browser.driver, 10, 0.05).until(
            lambda _: opened.browser.run(LETTERS)[1] == 0
        )
    opened.browser.settle()
    assert opened.browser.run(LETTERS)[0] > 3
    assert [c["name"] for c in opened.browser.charts()] == [c["name"] for c in opened.charts]


def test_a_telephone_shows_it_without_scrolling_sideways(opened: Opened) -> None:
    opened.browser.resize(390, 844)
    opened.browser.settle()
    needed, there = opened.browser.run(
        "const e = document.documentElement; return [e.scrollWidth, e.clientWidth]"
    )
    assert needed <= there
    assert opened.browser.run(OUTSIDE) == []


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened: Opened, scheme: Scheme, width: int) -> None:
    opened.browser.resize(width)
    opened.browser.paint(scheme)
    opened.browser.settle()
    assert opened.browser.violations("serious", "critical") == []


def test_the_keyboard_comes_to_everything_in_the_order_of_the_page(opened: Opened) -> None:
    stops, seen = opened.browser.run(STOPS), []
    opened.browser.run("document.activeElement.blur(); getSelection().removeAllRanges()")
    for _ in stops:
        opened.browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        stop, ring = opened.browser.run(
            "const at = document.activeElement;"
            "return [at.dataset.stop, getComputedStyle(at).outlineStyle];"
        )
        seen.append(stop)
        assert ring != "none"
    assert seen == stops


def test_enter_opens_and_closes_what_is_folded(opened: Opened) -> None:
    for place in range(opened.browser.run("return document.querySelectorAll('details').length")):
        summary = opened.browser.run(
            "return document.querySelectorAll('details > summary')[arguments[0]]", place
        )
        before = opened.browser.run("return arguments[0].parentElement.open", summary)
        for wanted in (not before, before):
            summary.send_keys(Keys.ENTER)
            assert opened.browser.run("return arguments[0].parentElement.open", summary) is wanted


def test_it_prints_in_its_order(opened: Opened) -> None:
    sheets = PdfReader(io.BytesIO(opened.browser.pdf())).pages
    printed, place = letters(" ".join(sheet.extract_text() for sheet in sheets)), 0
    for text in opened.browser.run(
        "return [...document.querySelectorAll('h1, h2, h3, figcaption')]"
        ".filter((e) => e.checkVisibility()).map((e) => e.innerText)"
    ):
        if any(unicodedata.category(letter) == "Cf" for letter in text):
            continue  # paper has no marks of direction, and puts the letters in another order
        wanted = letters(text)[:60]
        assert wanted in printed[place:], text
        place = printed.index(wanted, place) + len(wanted)


def test_a_button_saves_what_a_figure_draws(opened: Opened, tmp_path: Path) -> None:
    browser = opened.browser
    browser.save_into(tmp_path)
    buttons = browser.run("return [...document.querySelectorAll('button.csv')]")
    for button in buttons[:: max(1, len(buttons) // 3)]:
        specs = browser.run(
            "return [...arguments[0].closest('figure').querySelectorAll('.chart[data-spec]')]"
            ".map((chart) => document.getElementById(chart.dataset.spec).textContent)",
            button,
        )
        browser.run("arguments[0].scrollIntoView({ block: 'center' })", button)
        button.click()
        WebDriverWait(browser.driver, 10, 0.05).until(
            lambda _: any(file.stat().st_size for file in tmp_path.glob("*.csv"))
        )
        (saved,) = tmp_path.glob("*.csv")
        with saved.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        drawn = [
            row
            for spec in map(json.loads, specs)
            for row in csv.DictReader(io.StringIO(spec["datasets"]["drawn"]))
        ]
        assert len(drawn) > 0
        assert [
            {name: row[name] for name in known} for row, known in zip(rows, drawn, strict=True)
        ] == drawn
        assert len(rows) == len(drawn)
        saved.unlink()
