"""A real Chromium that opens a page from the disk, and tells what happened while it did."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, final

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

FLAGS = """--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run
--disable-background-networking --disable-component-update --disable-sync --disable-extensions
--disable-dev-shm-usage --hide-scrollbars --force-color-profile=srgb
--font-render-hinting=none""".split()
WATCH = """
window.alerted = [];
window.alert = window.confirm = window.prompt = (text) => { window.alerted.push(String(text)); };
window.refused = [];
addEventListener("securitypolicyviolation", (no) => window.refused.push(no.violatedDirective));
window.drawnAt = 0;
new MutationObserver((changes) => {
  const drawn = (node) => node.nodeType === 1 && (node.matches("svg") || node.querySelector("svg"));
  if (changes.some((change) => [...change.addedNodes].some(drawn))) drawnAt = performance.now();
}).observe(document, { childList: true, subtree: true });
"""
"""Runs before any script of a page: keeps what it alerts, what its policy refuses, when it drew."""
CHARTS = """
return [...document.querySelectorAll(".chart[data-spec]")].map((chart) => {
  const svg = chart.querySelector("svg"), box = svg ? svg.getBoundingClientRect() : {};
  return {
    name: chart.dataset.spec, width: box.width || 0, height: box.height || 0,
    marks: svg ? svg.querySelectorAll("path, rect, text, line, circle, image").length : 0,
    data: svg ? svg.querySelectorAll(".mark-rect path, .mark-symbol path, .mark-line path, "
      + ".mark-area path, .mark-rule line, .mark-text text, .mark-image image").length : 0,
  };
});
"""
"""The charts of a page: their size, all their marks, and those that stand for data."""
DRAWN = """
return document.readyState === "complete"
  && [...document.querySelectorAll(".chart[data-spec]")].every((c) => c.querySelector("svg"));
"""
PATIENCE = 20.0
"""Seconds within which all charts must be drawn, on a machine that has other work."""
Scheme = Literal["light", "dark"]


def programs() -> tuple[str, str] | None:
    """Return the paths of Chromium and of its driver, or None where either is missing."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((found for name in names if (found := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


def axe_source() -> str:
    """Return the script of axe-core, which finds what keeps people from reading a page."""
    package = files("selenium_axe_python")
    return (package / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@contextmanager
def chromium(browser: str, driver: str) -> Iterator[Chromium]:
    """Start a Chromium with an empty profile and no network; it ends with the ``with``."""
    with TemporaryDirectory(prefix="fitwell-chromium-") as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = browser
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        started = webdriver.Chrome(options, Service(driver))
        try:
            started.set_script_timeout(60)
            yield Chromium(started)
        finally:
            started.quit()


@final
class Chromium:
    """A browser with one page open at a time.

    Args:
        driver: What drives it.
    """

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self.command("Network.enable")
        nothing = {"latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        self.command("Network.emulateNetworkConditions", offline=True, **nothing)
        self.command("Page.addScriptToEvaluateOnNewDocument", source=WATCH)

    def command(self, name: str, **arguments: Any) -> Any:
        """Send a command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, arguments)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page and hand back what it returns."""
        return self.driver.execute_script(script, *arguments)

    def save_into(self, folder: Path) -> None:
        """Save what a page hands out in a folder from now on."""
        self.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def open(
        self, page: Path, *, width: int = 1440, height: int = 900, scheme: Scheme = "light"
    ) -> None:
        """Open a page and wait until all its charts are drawn."""
        self.messages()
        self.requests()
        self.resize(width, height)
        self.paint(scheme)
        self.driver.get(page.as_uri())
        self.settle()

    def settle(self) -> None:
        """Wait until all charts are drawn, and two frames more."""
        WebDriverWait(self.driver, PATIENCE, 0.02).until(lambda driver: self.run(DRAWN))
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "requestAnimationFrame(() => requestAnimationFrame(() => done()));"
        )

    def resize(self, width: int, height: int = 900) -> None:
        """Make the window as wide and high as that, in CSS pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", **size)

    def paint(self, scheme: Scheme, medium: str = "") -> None:
        """Let the reader prefer light or dark, on a screen or, with ``"print"``, on paper."""
        wish = {"name": "prefers-color-scheme", "value": scheme}
        self.command("Emulation.setEmulatedMedia", media=medium, features=[wish])

    def messages(self) -> list[str]:
        """Return what the console was told since it was last asked, each with its level."""
        return [f"{m['level']}: {m['message']}" for m in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Return every address that was asked for since this was last asked."""
        events = (json.loads(e["message"])["message"] for e in self.driver.get_log("performance"))
        return [
            str(event["params"]["request"]["url"])
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def charts(self) -> list[dict[str, Any]]:
        """Return name, width, height and marks of every chart."""
        return list(self.run(CHARTS))

    def text(self) -> str:
        """Return the text that is seen, as one line."""
        return " ".join(self.run("return document.body.innerText").split())

    def violations(self, *impacts: str, without: str = "#none") -> list[str]:
        """Return what axe finds of these impacts, each with the first elements concerned.

        Args:
            impacts: As axe names them, from ``"minor"`` to ``"critical"``.
            without: Selector of what is left out.
        """
        if not self.run("return typeof axe === 'object'"):
            self.run(axe_source())
        found = self.driver.execute_async_script(
            "const [without, done] = arguments;"
            "axe.run({ exclude: [[without]] }, { resultTypes: ['violations'] })"
            ".then((r) => done(r.violations), (e) => done([{ impact: 'critical', id: String(e),"
            " help: '', nodes: [] }]));",
            without,
        )
        return [
            f"{v['impact']}: {v['id']}: {v['help']}: "
            + "; ".join(str(node["html"])[:160] for node in v["nodes"][:3])
            for v in found
            if v["impact"] in impacts
        ]

    def element(self, selector: str) -> Any:
        """Return the first element of a CSS selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def pdf(self) -> bytes:
        """Print the page on A4."""
        paper = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": True}
        return base64.b64decode(self.command("Page.printToPDF", **paper)["data"])

    def picture(self, most: int = 30_000) -> bytes:
        """Return the whole page, or as much of its height as that, as a PNG."""
        width, height = self.run(
            "const e = document.documentElement; return [e.clientWidth, e.scrollHeight]"
        )
        part = {"x": 0, "y": 0, "width": width, "height": min(height, most), "scale": 1}
        shot = self.command("Page.captureScreenshot", captureBeyondViewport=True, clip=part)
        return base64.b64decode(shot["data"])
