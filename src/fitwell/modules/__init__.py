"""Modules that torch lacks: plain torch, no line of fitwell in them.

A treated network may hold them. Each is one file that imports torch and the standard library alone,
so that printed code can carry its source along.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from torch import nn

from fitwell.modules.recurrent import Recurrent, RecurrentCell

MODULES: Mapping[str, type[nn.Module]] = MappingProxyType(
    {module.__name__: module for module in (Recurrent, RecurrentCell)}
)
"""Every module of ours by its name."""
