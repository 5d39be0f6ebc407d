"""All networks of the zoo, by name."""
from __future__ import annotations
from .feedforward import FEEDFORWARD
from .convolutions import CONVOLUTIONS
from .sequences import SEQUENCES
from .vision import VISION
from .language import LANGUAGE
from .sound import SOUND
NETWORKS = {n.name: n for n in (*FEEDFORWARD,*CONVOLUTIONS,*SEQUENCES,*VISION,*LANGUAGE,*SOUND)}
