"""Recurrent layers of torch, opened: the same weights in a module that can do more at each step."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fitwell.records import ModuleSpec, Node

_CELLS: Mapping[str, str] = {"LSTMCell": "LSTM", "GRUCell": "GRU", "RNNCell": "RNN"}
_OPTIONS: Mapping[str, Any] = {
    "num_layers": 1,
    "bias": True,
    "batch_first": False,
    "dropout": 0.0,
    "bidirectional": False,
    "norm": False,
    "variational": 0.0,
    "eps": 1e-5,
}
"""Arguments of :class:`fitwell.modules.Recurrent`, and their defaults."""

_PLAIN = re.compile(r"^(weight|bias)_(ih|hh)(_l\d+(_reverse)?)?$|^(gain|offset)\w*$")
"""Names of the parameters that it takes over."""


def is_cell(layer: Node) -> bool:
    """Whether a recurrent layer is called once a step."""
    return layer.kind in _CELLS or layer.kind == "RecurrentCell"


def opened(layer: Node, **options: Any) -> ModuleSpec | str:
    """Return the module of ours that equals a recurrent layer, or why there is none.

    Args:
        layer: The recurrent layer.
        options: What shall be different, as ``norm=True``.
    """
    settings = layer.settings
    if layer.functional or settings.get("own_forward"):
        return f"is {layer.kind}, whose steps are of its own making"
    if settings.get("proj_size"):
        return "projects its state (proj_size), which is not supported"
    if not all(_PLAIN.match(name.rpartition(".")[2]) for name in layer.parameters):
        return "computes its weights from others"
    args = {
        name: value
        for name, default in _OPTIONS.items()
        if (value := options.get(name, settings.get(name, default))) != default
    }
    sizes = {name: settings[name] for name in ("input_size", "hidden_size")}
    if is_cell(layer):
        mode = settings.get("mode", _CELLS.get(layer.kind))
        mode = f"RNN_{settings['nonlinearity']}".upper() if mode == "RNN" else mode
        return ModuleSpec("RecurrentCell", {"mode": mode, **sizes, **args}, own=True)
    return ModuleSpec("Recurrent", {"mode": settings["mode"], **sizes, **args}, own=True)
