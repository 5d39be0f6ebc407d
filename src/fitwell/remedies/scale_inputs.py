"""Inputs of mean 0 and deviation 1, whatever unit they come in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from fitwell.errors import NotApplicable
from fitwell.interfaces import Remedy, Stage
from fitwell.records import Anatomy, Edit, InsertBefore, MeasureInputs, ModuleSpec, Node, Role
from fitwell.remedies.places import calls, is_convolution

NAME = "scale"
"""Name of the new module beside what reads the input."""
_INPUT = -1
"""What a node lists among its inputs where it reads the input of the network."""
_IMAGE = 4
"""Axes of a batch of images."""


@final
@dataclass(frozen=True, slots=True)
class ScaleInputs(Remedy):
    """Bring the inputs to mean 0 and deviation 1 inside the network.

    A module that subtracts the mean of the training rows and divides by their deviation stands
    before whatever reads the input, so that training and evaluation agree and raw inputs stay
    right: each feature of rows and sequences has its own, each channel of images. Where an image is
    flattened before a module reads it, all its values share one. A feature that is the same in
    every row is only shifted. Numbers of words have no scale, and are refused.

    Raises:
        NotApplicable: On ``edit``, if the network reads numbers of words, or standardises by
            itself; if its input is read by a function before which no module can stand. On
            ``apply``, if the inputs are standardised already.
        BadInput: On ``apply``, if no training rows are given as ``data``, or one is not finite.

    References:
        LeCun et al., "Efficient BackProp", 1998, section 4.3.
    """

    stage: ClassVar[Stage] = Stage.NORMALIZATION

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Insert one module before every module that reads the input."""
        readers: dict[str, Node] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        queue = [(node, len(node.taken)) for node in anatomy.nodes if _INPUT in node.inputs]
        seen: set[int] = set()
        words = ""
        while queue:
            node, axes = queue.pop(0)
            if node.index in seen:
                continue
            seen.add(node.index)
            if _passes_on(node):
                queue += [(consumer, axes) for consumer in anatomy.consumers(node)]
                continue
            if "embedding" in node.slug:
                words = words or node.path
                continue
            _refuse(anatomy, node)
            readers[node.path] = node
            shapes[node.path] = (1,) if axes >= _IMAGE > len(node.taken) else _shape(node)
        if words and not readers:
            raise NotApplicable(
                f"The network reads numbers of words ({words}), which have no scale."
            )
        if not readers:
            raise NotApplicable("Nothing in the network was seen to read its input.")
        edits: list[Edit] = [
            InsertBefore(
                path, NAME, ModuleSpec("Standardize", {"shape": shape}, own=True), answers=True
            )
            for path, shape in shapes.items()
        ]
        return [*edits, MeasureInputs(tuple(f"{path}.{NAME}" for path in readers))]


def _passes_on(node: Node) -> bool:
    """Whether a node is a function that prepares the input and learns nothing."""
    prepares = node.role in (Role.SHAPE, Role.OTHER) and node.functional
    return prepares and not node.parameters and len(node.inputs) == 1


def _refuse(anatomy: Anatomy, node: Node) -> None:
    """Raise if no scale can stand before what reads the input."""
    name = node.path or node.kind
    if node.slug == "standardize" or "batchnorm" in node.slug:
        raise NotApplicable(f"The network standardises its inputs already: {name} ({node.kind}).")
    if node.functional:
        raise NotApplicable(
            f"The input is read by the function {node.kind} at {node.source or 'an unknown line'}, "
            "before which no module can stand.\n"
            "  scale the rows before, or call a module of torch.nn there"
        )
    if any(len(call.inputs) != 1 for call in calls(anatomy, node.path)):
        raise NotApplicable(
            f"The input is read by {name} together with something else, as a state.\n"
            "  scale the rows before"
        )
    if len(node.taken) <= 1:
        raise NotApplicable(f"{name} takes no batch of rows: its input has the shape {node.taken}.")


def _shape(node: Node) -> tuple[int, ...]:
    """Return the shape of what is measured: features last, or channels second."""
    space = len(node.taken) - 2
    images = is_convolution(node) or space + 2 >= _IMAGE or "num_channels" in node.settings
    if images and not {"in_features", "input_size", "normalized_shape"} & node.settings.keys():
        return (node.taken[1], *(1 for _ in range(space)))
    return (node.taken[-1],)
