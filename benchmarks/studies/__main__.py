"""``python -m benchmarks.studies``: print the tables."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Sequence

import torch
from benchmarks.studies import peers, products, unstacked, users

TABLES = {
    "users": users.table,
    "cores": users.core_table,
    "unstacked": unstacked.table,
    "peers": peers.table,
    "products": products.table,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks.studies", description=__doc__)
    parser.add_argument("tables", nargs="*", default=list(TABLES), help=f"of {', '.join(TABLES)}")
    parser.add_argument("--only", nargs="*", default=[], metavar="ROW", help="names; all")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one turn each")
    given = parser.parse_args(arguments)
    print(
        f"PyTorch {torch.__version__}, {platform.machine()}, {users.cores()} cores; "
        f"load {os.getloadavg()[0]:.1f} at the start.\n"
    )
    for name in given.tables:
        for line in TABLES[name](given.only, 1 if given.quick else given.repeats):
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
