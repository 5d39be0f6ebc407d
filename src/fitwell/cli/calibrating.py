"""``fitwell calibrate``: measure what stacking runs gains on a device."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, TypeAlias

import typer

from fitwell.cli.options import Json, Quiet
from fitwell.cli.output import result, show, writable, write_json
from fitwell.cli.progress import progress_of

Device: TypeAlias = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help="Where to measure: cpu, cuda, cuda:1.")
]


def calibrate(device: Device = "cpu", json: Json = None, quiet: Quiet = False) -> None:
    """Measure how many runs to train as one program on a device.

    It takes a few minutes, best on an idle machine. Later studies on the device follow what was
    found, which is kept with your settings; until then they follow what fitwell brings.
    """
    writable(json)
    from fitwell.report.tables import device_table
    from fitwell.studies.calibrating import calibrate as measure
    from fitwell.studies.device_table import own_file

    with progress_of(quiet=quiet) as progress:
        table = measure(device, progress=progress)
    path = own_file(table.device)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = table.to_dict()
    write_json(path, data)
    rows = [{**asdict(p.load), "most": p.most, "gain": p.gain(p.most)} for p in table.points]
    kept = f"Kept for the studies on {table.device} in {path}"
    if quiet:
        result(kept)
    else:
        show(device_table(rows))
        show(kept)
    write_json(json, data)
