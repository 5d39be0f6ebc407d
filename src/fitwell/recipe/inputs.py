"""Which input features a network no longer uses, by the weights that read them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from fitwell.records import Anatomy, Node, Role

_KEEPING = frozenset(
    "identity flatten view reshape contiguous float to permute transpose batchnorm batchnorm1d "
    "batchnorm2d batchnorm3d dropout dropout1d dropout2d dropout3d standardize".split()
)
"""Nodes that treat every feature by itself; layer norm is none, its mean is over all of them."""


@torch.no_grad()
def unused_inputs(model: nn.Module, anatomy: Anatomy) -> tuple[int, ...]:
    """Return the numbers of the input features that a network certainly does not use.

    A feature is not used if all weights that read it are exactly zero, in every layer that reads
    the input. Features are columns of ``(batch, features)`` and ``(batch, steps, features)``, and
    channels of images; behind a flattening they are what it puts out. Where anything but a linear,
    convolutional or recurrent module reads the input, everything counts as used.

    Args:
        model: The network, with its weights as they are now.
        anatomy: Its anatomy.
    """
    found = [_columns(model, reader) for reader in _readers(anatomy, -1)]
    read = [columns for columns in found if columns is not None]
    if not read or len(read) < len(found) or len({len(columns) for columns in read}) > 1:
        return ()
    used = torch.stack([columns.cpu() for columns in read]).any(dim=0)
    return tuple((~used).nonzero().flatten().tolist())


def _readers(anatomy: Anatomy, source: int) -> Iterator[Node]:
    """Yield what reads the output of a node, looking through what keeps the features in place."""
    for node in anatomy.nodes:
        if source not in node.inputs:
            continue
        # What nothing reads is put out, and so is every feature in it.
        if node.slug in _KEEPING and anatomy.consumers(node):
            yield from _readers(anatomy, node.index)
        else:
            yield node


def _columns(model: nn.Module, reader: Node) -> Tensor | None:
    """Return for every feature whether a layer reads it; None for what is no such layer."""
    if reader.functional or reader.role not in (Role.LAYER, Role.RECURRENT):
        return None
    module = model.get_submodule(reader.path)
    if isinstance(module, nn.Linear):
        return (module.weight != 0).any(dim=0)
    if isinstance(module, nn.RNNBase):
        firsts = [w for name, w in module.named_parameters() if "weight_ih_l0" in name]
        return torch.stack([(w != 0).any(dim=0) for w in firsts]).any(dim=0)
    if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        weight = module.weight.flatten(2)
        groups = weight.reshape(module.groups, -1, *weight.shape[1:])
        return (groups != 0).any(dim=3).any(dim=1).flatten()
    return None
