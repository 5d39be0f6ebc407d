"""``fitwell calibrate``: measure what stacking runs gains on a device."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from fitwell.cli.output import show, writable, write_json
from fitwell.cli.progress import TerminalProgress

Device: TypeAlias = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help="Where to measure: cpu, cuda, cuda:1.")
]
Json: TypeAlias = Annotated[
    Path | None, typer.Option("--json", metavar="PATH", help="Write the result as data.")
]


def calibrate(device: Device = "cpu", json: Json = None) -> None:
    """Measure how many runs to train as one program on a device.

    It takes a few minutes, best on an idle machine. Later studies on the device follow what was
    found, which is kept with your settings; until then they follow what fitwell brings.
    """
    writable(json)
    from fitwell.report.tables import device_table
    from fitwell.studies.calibrating import calibrate as measure
    from fitwell.studies.device_table import own_file

    with TerminalProgress() as progress:
        table = measure(device, progress=progress)
    path = own_file(table.device)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = table.to_dict()
    write_json(path, data)
    rows = [{**asdict(p.load), "most": p.most, "gain": p.gain(p.most)} for p in table.points]
    show(device_table(rows))
    show(f"Kept for the studies on {table.device} in {path}")
    write_json(json, data)
