"""All networks of the zoo, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .convolutions import CONVOLUTIONS
from .feedforward import FEEDFORWARD
from .language import LANGUAGE
from .network import Network
from .optional import OPTIONAL
from .sequences import SEQUENCES
from .sound import SOUND
from .vision import VISION

NETWORKS: Mapping[str, Network] = MappingProxyType(
    {
        network.name: network
        for network in (
            *(*FEEDFORWARD, *CONVOLUTIONS, *SEQUENCES),
            *(*VISION, *LANGUAGE, *SOUND, *OPTIONAL),
        )
    }
)
"""Every network by its name; those of libraries that are not installed are left out."""
