"""Copy a network and change the copy.

Edits are plain data (:mod:`fitwell.records.edits`); here they are performed, one kind a function.
A module that stands under several names stays shared, because the new one is put under all of them.
"""

from fitwell.surgery.copying import COMPILED, copy_of, module_paths, weight_names
from fitwell.surgery.edits import LAYER, made, moved_keys, perform, taken_out
from fitwell.surgery.factory import Factory
from fitwell.surgery.measuring import MEASURING
from fitwell.surgery.rewriting import obstacle

__all__ = [
    "COMPILED",
    "LAYER",
    "MEASURING",
    "Factory",
    "copy_of",
    "made",
    "module_paths",
    "moved_keys",
    "obstacle",
    "perform",
    "taken_out",
    "weight_names",
]
