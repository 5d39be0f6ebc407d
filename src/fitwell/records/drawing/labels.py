"""What a node is called in a picture, and what it is, with its sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fitwell.records.drawing.folding import is_resampling
from fitwell.records.network import Node, Role

GLYPHS: Mapping[str, str] = MappingProxyType(
    {
        "input": "○",
        "layer": "●",
        "recurrent": "↻",
        "activation": "ƒ",
        "normalization": "≈",
        "dropout": "░",
        "add": "⊕",
        "gate": "σ",
        "scaling": "⊗",
        "product": "⊠",
        "attention": "◎",
        "join": "◇",
        "pooling": "▽",
        "output": "■",
    }
)
"""The sign of each kind of line."""

_ADDING = frozenset("add radd iadd sub rsub".split())
_SCALING = frozenset("mul rmul imul multiply".split())
_SIZES = (
    ("in_features", "out_features"),
    ("in_channels", "out_channels"),
    ("input_size", "hidden_size"),
)


def style_of(node: Node, *, head: bool) -> str:
    """Return the kind of line that a node gets, a key of :data:`GLYPHS`."""
    if head:
        return "output"
    if node.role not in (Role.SHAPE, Role.OTHER):
        return str(node.role)
    if is_resampling(node):
        return "pooling"
    if node.slug in _ADDING:
        return "add"
    return "scaling" if node.slug in _SCALING else "join"


def relative(path: str, within: str) -> str:
    """Return a path as seen from a block: with a leading dot, or "" for the block itself."""
    if within and (path == within or path.startswith(f"{within}.")):
        return path[len(within) :]
    return path


def name_of(node: Node, within: str = "") -> str:
    """Return the path of a module, or ``"function (in path)"``, as seen from a block."""
    path = relative(node.path, within)
    if node.functional:
        return f"{node.kind} (in {path})" if path else node.kind
    return path or "the network"


def what_of(node: Node, within: str = "") -> str:
    """Return what a node is: ``"Conv2d 3 → 16, 3×3, stride 2"``, and whose weights it shares.

    Of a function only the parameters are told that its own name does not.
    """
    if node.functional:
        told = node.role in (Role.LAYER, Role.RECURRENT) or not node.parameters
        seen_from = node.path or within
        names = [relative(name, seen_from).removeprefix(".") for name in node.parameters]
        return "" if told else f"with {_some(names)}"
    parts = [" ".join([node.kind, *_first(node)]), *_further(node)]
    owners = dict.fromkeys(name.rpartition(".")[0] for name in node.parameters)
    foreign = [owner for owner in owners if not f"{owner}.".startswith(f"{node.path}.")]
    if foreign and node.path:
        parts.append(f"weights of {_some([relative(owner, within) for owner in foreign])}")
    if node.call:
        parts.append("again" if node.call == 1 else f"call {node.call + 1}")
    return ", ".join(parts)


def shape_of(node: Node) -> str:
    """Return the shape of the output without the batch, as ``"16×32×32"``."""
    return "×".join(str(size) for size in node.shape[1:])


def _first(node: Node) -> list[str]:
    """Return the size that says most about a module."""
    settings = node.settings
    for before, after in _SIZES:
        if before in settings and after in settings:
            return [f"{settings[before]} → {settings[after]}"]
    if "num_embeddings" in settings and "embedding_dim" in settings:
        return [f"{settings['num_embeddings']} × {settings['embedding_dim']}"]
    if node.role == Role.DROPOUT and "p" in settings:
        return [f"{settings['p']:g}"]
    if node.role == Role.NORMALIZATION:
        return _normalized(settings)
    if is_resampling(node):
        return _kernel(node, "kernel_size") or [f"to {s}" for s in _kernel(node, "output_size")]
    return []


def _normalized(settings: Mapping[str, Any]) -> list[str]:
    for name in ("num_features", "num_channels"):
        if name in settings:
            return [str(settings[name])]
    shape = settings.get("normalized_shape", ())
    return ["×".join(str(size) for size in shape)] if shape else []


def _further(node: Node) -> list[str]:
    """Return what else tells a layer from its like: kernel, stride, groups, depth."""
    settings = node.settings
    parts: list[str] = []
    if node.role == Role.LAYER and "in_channels" in settings:
        kernel = _kernel(node, "kernel_size")
        parts += [size if "×" in size else f"kernel {size}" for size in kernel]
        parts += [f"stride {size}" for size in _kernel(node, "stride", all_alike=True)]
        parts += [f"dilation {size}" for size in _kernel(node, "dilation", all_alike=True)]
        groups = settings.get("groups", 1)
        if groups > 1:
            parts.append("depthwise" if groups == settings["in_channels"] else f"{groups} groups")
    if "num_groups" in settings:
        parts.append(f"{settings['num_groups']} groups")
    if node.role == Role.RECURRENT:
        if settings.get("num_layers", 1) > 1:
            parts.append(f"{settings['num_layers']} layers")
        if settings.get("bidirectional"):
            parts.append("both directions")
    return parts


def _kernel(node: Node, name: str, *, all_alike: bool = False) -> list[str]:
    """Return a size for every axis, as ``"3×3"``.

    With ``all_alike``, one number where the axes have the same, and nothing where that is 1.
    """
    size = node.settings.get(name)
    if size is None:
        return []
    axes = re.search(r"([123])d$", node.kind)
    sizes = size if isinstance(size, (tuple, list)) else (size,) * int(axes[1] if axes else 1)
    if all_alike and len(set(sizes)) == 1:
        return [] if sizes[0] == 1 else [f"{sizes[0]}"]
    return ["×".join(str(one) for one in sizes)]


def _some(names: list[str], limit: int = 2) -> str:
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")
