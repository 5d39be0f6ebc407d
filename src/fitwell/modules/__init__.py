"""Modules that torch lacks, and functions that change networks: plain torch, nothing of fitwell.

A treated network may hold the modules. Each file imports torch, the standard library and other
files of this folder alone, so that printed code can carry its source along. Only
:mod:`fitwell.modules.pruning` needs more: torch-pruning, when it is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from torch import nn

from fitwell.modules.attached import Attached
from fitwell.modules.recurrent import Recurrent, RecurrentCell
from fitwell.modules.standardize import Standardize

MODULES: Mapping[str, type[nn.Module]] = MappingProxyType(
    {module.__name__: module for module in (Attached, Recurrent, RecurrentCell, Standardize)}
)
"""Every module of ours by its name."""
