"""How often the statistics of a study are right, where the truth is known by construction.

    .venv/bin/python -m benchmarks.calibration [--only effects power rows splits races real]
                                               [--studies 1000] [--real 200] [--quick]

Simulated studies have arms that are equal, or different by a known amount; real ones train small
networks on real data through ``fitwell.compare``, with an arm that changes nothing but the random
numbers of the initial weights. All numbers are per cent of studies, unless said. Prints the
Markdown tables of ``docs/statistics.md``.
"""

from __future__ import annotations

import argparse
import time

from benchmarks.calibration.races import races
from benchmarks.calibration.real import real
from benchmarks.calibration.simulated import effects, power
from benchmarks.calibration.wider import rows, splits

PARTS = {
    "effects": effects,
    "power": power,
    "rows": rows,
    "splits": splits,
    "races": races,
    "real": real,
}


def main(arguments: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="calibration", description=__doc__)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--studies", type=int, default=1000, help="simulated studies a row")
    parser.add_argument("--real", type=int, default=200, help="real studies")
    parser.add_argument("--quick", action="store_true", help="a handful of each, to see it work")
    chosen = parser.parse_args(arguments)
    for name in chosen.only:
        started = time.perf_counter()
        studies = chosen.real if name == "real" else chosen.studies
        print(f"\n### {name}: {PARTS[name].__doc__}\n")
        for line in PARTS[name](4 if chosen.quick else studies):
            print(line, flush=True)
        print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
