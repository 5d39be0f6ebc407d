"""What a network of the zoo is: how to make it, what to call it with, what it learns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BATCH = 4
"""Rows of every example, enough for the statistics of a batch."""


@final
@dataclass(frozen=True)
class Network:
    """One network of the zoo.

    Args:
        name: Its name, unique in the zoo.
        family: Group that it stands in, as ``"vision"``.
        build: Makes it, with whatever random numbers are current.
        example: Makes what it is called with: a tensor, a tuple or a mapping. The same each time.
        classes: Where the class scores of its output are, as an attribute or a key; ``"self"`` if
            the output is the scores, ``""`` if it does not classify and learns to put out numbers.
        optional: Whether it is of a library that need not be installed: the page leaves it out.
    """

    name: str
    family: str
    build: Callable[[], nn.Module]
    example: Callable[[], object]
    classes: str = ""
    optional: bool = False

    def make(self) -> nn.Module:
        """Return it, with the same weights each time; the global random state stays."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            return self.build()

    def scores(self, output: object) -> Tensor:
        """Return what the loss is taken of: class scores (batch, classes, *space), or numbers."""
        if not self.classes:
            numbers = [
                t.float().flatten(1) for t in floats_in(output) if t.dim() and len(t) == BATCH
            ]
            return torch.cat(numbers, dim=1)
        found = output if self.classes == "self" else _part(output, self.classes)
        assert isinstance(found, Tensor)
        return found.transpose(1, -1) if found.dim() == 3 else found

    def targets(self, output: object) -> Tensor:
        """Return targets for an output: class numbers, or numbers to come near to."""
        generator = torch.Generator().manual_seed(11)
        scores = self.scores(output)
        if not self.classes:
            return torch.randn(scores.shape, generator=generator)
        shape = (scores.shape[0], *scores.shape[2:])
        return torch.randint(scores.shape[1], shape, generator=generator)

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of a batch."""
        if self.classes:
            return F.cross_entropy(scores, targets)
        return F.mse_loss(scores, targets)


def floats_in(value: object) -> Iterator[Tensor]:
    """Yield the floating-point tensors of an output, in order."""
    return (tensor for _, tensor in parts(value) if tensor.is_floating_point())


def parts(value: object, at: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor of nested outputs, and where it stands."""
    if isinstance(value, Tensor):
        yield at, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from parts(item, f"{at}[{key!r}]")
    elif isinstance(value, (tuple, list)):
        for index, item in enumerate(value):
            yield from parts(item, f"{at}[{index}]")
    elif is_dataclass(value):
        for field in fields(value):
            yield from parts(getattr(value, field.name), f"{at}.{field.name}")


def _part(output: object, name: str) -> object:
    return output[name] if isinstance(output, Mapping) else getattr(output, name)


def random(*shape: int, seed: int = 3) -> Tensor:
    """Return random numbers, the same each time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def whole(high: int, *shape: int, seed: int = 3) -> Tensor:
    """Return random whole numbers in [0, high), the same each time."""
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))
