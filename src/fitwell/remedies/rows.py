"""What remedies of the batch ask of a network's input: one tensor of floating-point rows."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor

from fitwell.errors import BadInput, NotApplicable
from fitwell.records import Anatomy


def check_input(anatomy: Anatomy, remedy: str, *, dimensions: Collection[int] = ()) -> None:
    """Refuse a network whose input is not one tensor of floating-point rows.

    Args:
        anatomy: What the network is made of, and what it was called with.
        remedy: Name of the remedy, for the message.
        dimensions: Numbers of dimensions that it can change; empty for any from two.

    Raises:
        NotApplicable: If it is called with keywords, several tensors or whole numbers, or if the
            tensor has another number of dimensions.
    """
    for node in anatomy.readers:
        if "embedding" in node.slug:
            raise NotApplicable(
                "The network reads numbers of words or the like, which have no neighbours to "
                f"move to: {node.path} is an {node.kind}."
            )
    given = anatomy.inputs
    for tensor in given:
        if not tensor.floating:
            raise NotApplicable(
                f"{remedy} needs floating-point inputs: this network reads whole numbers "
                f"{tensor.shape}, which have no values in between."
            )
    if len(given) > 1 or any(tensor.name for tensor in given):
        called = ", ".join(tensor.name or str(tensor.shape) for tensor in given)
        how = "by keyword, with" if given[0].name else "with"
        raise NotApplicable(
            f"{remedy} changes batches that are one tensor: this network is called {how} {called}."
        )
    for tensor in given:
        count = len(tensor.shape)
        if count < 2 or (dimensions and count not in dimensions):
            raise NotApplicable(
                f"{remedy} changes {_told(dimensions)}: this network reads {tensor.shape}."
            )


def check_axis_of_steps(anatomy: Anatomy, remedy: str, kind: str) -> None:
    """Refuse to take (batch, channels, steps) for (batch, steps, features).

    Raises:
        NotApplicable: If a one-dimensional convolution reads the input, and the kind does not say
            that the channels come first.
    """
    convolution = next((n for n in anatomy.readers if n.slug.startswith("conv1d")), None)
    if convolution is not None and kind != "signal":
        raise NotApplicable(
            f'{remedy} must be told that channels come before steps: write kind="signal".\n'
            f"  {convolution.path or 'the network'} is a {convolution.kind}, which reads "
            "(batch, channels, steps)"
        )


def check_batch(remedy: str, x: object, y: object) -> None:
    """Refuse a batch whose rows cannot be mixed.

    Raises:
        BadInput: If the inputs are not one tensor of floating-point rows, or the targets not one
            tensor with as many rows.
    """
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.dim() < 2:
        raise BadInput(
            f"{remedy} needs a batch of floating-point rows (2 dimensions or more): "
            f"got {described(x)}."
        )
    if not isinstance(y, Tensor) or y.dim() < 1 or len(y) != len(x):
        raise BadInput(
            f"{remedy} needs targets as one tensor with a row for each of the {len(x)} inputs: "
            f"got {described(y)}."
        )


def described(value: object) -> str:
    """Return dtype and shape of a tensor, or the class of anything else."""
    if isinstance(value, Tensor):
        return f"{value.dtype} {tuple(value.shape)}"
    return type(value).__name__


def _told(dimensions: Collection[int]) -> str:
    names = {2: "rows (batch, features)", 3: "sequences (3 dimensions)", 4: "images (4 dimensions)"}
    return " or ".join(names[count] for count in sorted(dimensions)) or "batches of rows"
