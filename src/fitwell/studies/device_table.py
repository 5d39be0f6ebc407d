"""What stacking gains on a device, measured: how many runs to train as one program."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeAlias, final, get_args

import torch
import typer

from fitwell.errors import BadInput

Kind: TypeAlias = Literal["chain", "mapped", "convolution"]
"""How runs train as one: layer by layer in batched products, or mapped over the runs, without and
with convolutions."""

COUNTS = (1, 2, 4, 8, 16, 32, 64)
"""Numbers of runs that are measured together."""
SCHEMA = 1
ENOUGH = 0.97
"""A smaller number of runs is taken if it gains that share of what the best number gains."""
LEAST_GAIN = 1.05
"""A gain that is smaller is not told from none, and the runs stay alone."""


@final
@dataclass(frozen=True)
class Load:
    """What one run of a program asks of a device in a training step.

    Args:
        kind: How such runs train as one.
        layers: Layers with parameters; at least 1.
        parameters: Numbers that are trained; at least 1.
        work: Multiplications of a forward pass of one batch; at least 1.
    """

    kind: Kind
    layers: int
    parameters: int
    work: int

    def distance(self, other: Load) -> float:
        """Return how unlike two loads of a kind are, in doublings.

        The work of a layer says what its call costs beyond the fixed part, the parameters what has
        to fit into the cache.
        """
        layer = math.log2((self.work / self.layers) / (other.work / other.layers))
        return math.hypot(layer, math.log2(self.parameters / other.parameters))


@final
@dataclass(frozen=True)
class Point:
    """A load, and what was measured for it.

    Args:
        load: What was measured.
        gains: By number of runs, how many times sooner they are done as one program than one
            after another without it. A number that is missing was not worth measuring.
    """

    load: Load
    gains: Mapping[int, float]

    @property
    def pays(self) -> bool:
        """Whether runs of such a load are done as stacks, a single one as a stack of one.

        A full stack must gain, and more than a run that is by itself loses.
        """
        best = max(self.gains.values(), default=1.0)
        return best * min(1.0, self.gains.get(1, 1.0)) >= LEAST_GAIN

    @property
    def most(self) -> int:
        """How many runs to train as one."""
        if not self.pays:
            return 1
        best = max(self.gains.values())
        return min(n for n, gain in self.gains.items() if gain >= ENOUGH * best and gain >= 1.0)

    def gain(self, count: int) -> float:
        """Return the gain of a number of runs, between those measured on a line in doublings.

        It is 1 where runs are not stacked.
        """
        if not self.pays:
            return 1.0
        known = sorted({1: 1.0, **self.gains}.items())
        for (few, low), (many, high) in pairwise(known):
            if few <= count <= many:
                part = math.log(count / few) / math.log(many / few)
                return low + part * (high - low)
        return known[-1][1]


@final
@dataclass(frozen=True)
class DeviceTable:
    """What was measured on a device.

    Args:
        device: Its name.
        points: Measured loads.
        measured: When and with what, as a sentence.
    """

    device: str
    points: Sequence[Point]
    measured: str = ""

    def nearest(self, load: Load) -> Point | None:
        """Return the measured load of its kind that is most like it, or None without any."""
        same = [point for point in self.points if point.load.kind == load.kind]
        return min(same, key=lambda point: point.load.distance(load), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return the table as JSON-ready data."""
        points = [
            {**asdict(p.load), "gains": {str(n): round(g, 3) for n, g in p.gains.items()}}
            for p in self.points
        ]
        return {
            "schema": SCHEMA,
            "device": self.device,
            "measured": self.measured,
            "points": points,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DeviceTable:
        """Read what :meth:`to_dict` has written.

        Raises:
            KeyError, TypeError, ValueError: If it is something else.
        """
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']}")
        points = []
        for given in data["points"]:
            values = dict(given)
            gains = {int(n): float(gain) for n, gain in values.pop("gains").items()}
            load = Load(**values)
            if not (gains and min(load.layers, load.parameters, load.work) >= 1):
                raise ValueError("a point without gains or size")
            points.append(Point(load, gains))
        return cls(str(data["device"]), tuple(points), str(data["measured"]))


ASSUMED = tuple(
    Point(Load(kind, 4, parameters, 32 * parameters), gains)
    for kind in get_args(Kind)
    for parameters, gains in (
        (10**4, {1: 1.0, 64: 16.0}),
        (10**6, {1: 1.0, 8: 2.0}),
        (10**8, {1: 1.0}),
    )
)
"""What is taken for a device that nobody measured."""


def device_name(device: str) -> str:
    """Return the name of a device's table: ``cpu``, or what a GPU calls itself."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(torch.device(device))
    return torch.device(device).type


def own_file(name: str) -> Path:
    """Return where the user's own table of a device lies, there or not."""
    slug = "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-")
    return Path(typer.get_app_dir("fitwell")) / "devices" / f"{slug}.json"


def table_for(device: str) -> DeviceTable:
    """Return the user's own table of a device, or else the one that fitwell brings.

    For a device that nobody measured, it is assumed that the calls of small networks cost more than
    their arithmetic, so that these gain from a stack and large ones do not.

    Raises:
        BadInput: If the user's own cannot be read.
    """
    name = device_name(device)
    own = own_file(name)
    if own.exists():
        try:
            return DeviceTable.from_dict(json.loads(own.read_text(encoding="utf-8")))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise BadInput(
                f"The device table {own} cannot be read ({error}): remove it, or measure anew with "
                f"fitwell calibrate --device {device}."
            ) from error
    shipped = files("fitwell.studies") / "tables" / f"{torch.device(device).type}.json"
    if not shipped.is_file():
        return DeviceTable(name, ASSUMED, "not measured: assumed")
    return DeviceTable.from_dict(json.loads(shipped.read_text(encoding="utf-8")))
