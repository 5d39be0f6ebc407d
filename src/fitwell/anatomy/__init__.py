"""What a network is made of, recorded from a real forward pass.

A :class:`Recorder` stands around a forward pass and writes down every call of a module and of a
function, in the order in which they ran, with what fed what. It needs no tracing: control flow,
shared modules, functional calls and keyword inputs are seen as they happened.
"""

from fitwell.anatomy.connections import looped, norm_facts, output_activation
from fitwell.anatomy.example import example_for
from fitwell.anatomy.inspection import (
    inspect,
    layer_facts,
    network_facts,
    normalizes_input,
    undisturbed,
)
from fitwell.anatomy.recorder import Recorder
from fitwell.anatomy.roles import ACTIVATION_NAMES, activation_name, is_normalization
from fitwell.modules.rows import run, tensors_in

__all__ = [
    "ACTIVATION_NAMES",
    "Recorder",
    "activation_name",
    "example_for",
    "inspect",
    "is_normalization",
    "layer_facts",
    "looped",
    "network_facts",
    "norm_facts",
    "normalizes_input",
    "output_activation",
    "run",
    "tensors_in",
    "undisturbed",
]
