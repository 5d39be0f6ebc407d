"""How long a page takes to open: from the start of navigation to the last figure drawn.

Run it as ``python -m benchmarks.page [PAGE.html …] [--repeats N]``; without pages it makes those
of the largest studies: 200 runs, and 200 runs with a network of 300 layers. The time is read in
the page itself, in a Chromium without a network, the profile warm after a first opening that does
not count.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.browser.chromium import Chromium, chromium, programs
from tests.browser.pages import LARGE, page


def seconds(browser: Chromium, target: Path, repeats: int) -> list[float]:
    """Return the times of opening a page, in seconds."""
    times = []
    for _ in range(1 + repeats):
        browser.open(target)
        times.append(float(browser.run("return drawnAt")) / 1000)
    return times[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description="Times of opening pages.")
    parser.add_argument("pages", nargs="*", type=Path)
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    found = programs()
    if found is None:
        raise SystemExit("Chromium is not installed: apt-get install chromium chromium-driver")
    with TemporaryDirectory() as folder, chromium(*found) as browser:
        targets = [target.resolve() for target in given.pages]
        for name in () if targets else LARGE:
            target = Path(folder) / f"{name}.html"
            target.write_text(page(name), encoding="utf-8")
            targets.append(target)
        for target in targets:
            times = seconds(browser, target, given.repeats)
            marks = sum(chart["marks"] for chart in browser.charts())
            print(
                f"{target.stem}: median {median(times):.2f} s, from {min(times):.2f} to "
                f"{max(times):.2f}; {target.stat().st_size / 1e6:.2f} MB, {marks:,} marks"
            )


if __name__ == "__main__":
    main()
