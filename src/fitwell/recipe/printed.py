"""What printed code carries along; it uses torch and the standard library alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn


def fitted(model: nn.Module, path: str, new: nn.Module, keep: bool = False) -> nn.Module:
    """Bring a new module to the device, dtype and mode of the one at a path.

    With ``keep``, it takes over the parameters and buffers of the same name and shape.
    """
    old = model.get_submodule(path)
    like = [p for m in (old, model) for p in m.parameters() if p.is_floating_point()]
    if like:
        new = new.to(device=like[0].device, dtype=like[0].dtype)
    if keep:
        own = {**new._parameters, **new._buffers}
        for name, value in {**old._parameters, **old._buffers}.items():
            mine = own.get(name)
            if mine is not None and value is not None and mine.shape == value.shape:
                setattr(new, name, value)
    return new.train(old.training)


def put(model: nn.Module, path: str, new: nn.Module) -> None:
    """Put a new module wherever the one at a path stands."""
    old = model.get_submodule(path)
    places = [
        (parent, name)
        for parent in model.modules()
        for name, child in parent._modules.items()
        if child is old
    ]
    for parent, name in places:
        setattr(parent, name, new)


def fill(part: Tensor, function: Callable[..., object], **args: object) -> None:
    """Fill a weight, or some of its rows; half precision is drawn in float32."""
    drawn = (part.float() if part.dtype in (torch.float16, torch.bfloat16) else part).contiguous()
    function(drawn, **args)
    part.copy_(drawn)


def is_sequence(module: nn.Module) -> bool:
    """Whether a module is a sequence around a layer."""
    return isinstance(module, nn.Sequential) and "layer" in module._modules


def precede(
    model: nn.Module,
    path: str,
    name: str,
    new: nn.Module,
    row: type[nn.Sequential] = nn.Sequential,
) -> None:
    """Make the module at a path a sequence of a new one and itself."""
    old = model.get_submodule(path)
    put(model, path, row(OrderedDict([(name, new), ("layer", old)])).train(old.training))


def follow(model: nn.Module, path: str, name: str, new: nn.Module) -> None:
    """Make the module at a path a sequence of itself and a new one."""
    place, _, own = path.rpartition(".")
    old = model.get_submodule(path)
    before: list[tuple[str, nn.Module]] = list(old.named_children())
    after: list[tuple[str, nn.Module]] = []
    if is_sequence(old):
        place = path
    elif own == "layer" and is_sequence(model.get_submodule(place)):
        children = list(model.get_submodule(place).named_children())
        cut = [child for child, _ in children].index("layer") + 1
        before, after = children[:cut], children[cut:]
    else:
        place, before = path, [("layer", old)]
    taken = {child for child, _ in (*before, *after)}
    free = next(n for n in (name, *(f"{name}{i}" for i in range(2, 99))) if n not in taken)
    put(model, place, nn.Sequential(OrderedDict([*before, (free, new), *after])))


def turned(
    tensors: Mapping[str, Tensor], names: Collection[str], lead: int = 0
) -> dict[str, Tensor]:
    """Exchange the first two axes after the leading ones of the named tensors, as views."""
    return {n: t.transpose(lead, lead + 1) if n in names else t for n, t in tensors.items()}


def mixed_loss(loss_fn: Callable[[Any, Any], Tensor], outputs: Any, targets: Any) -> Tensor:
    """Return the loss against targets of mixed rows: the losses against both, mixed alike."""
    share: Tensor = targets.share
    first, second = (loss_fn(outputs, part) for part in (targets.first, targets.second))
    return share * first + (1 - share) * second


def floating_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Return the floating-point buffers of a model, as the statistics of batch norm."""
    return {name: b for name, b in model.named_buffers() if b.is_floating_point()}


@torch.no_grad()
def show(model: nn.Module, averages: Mapping[str, Tensor]) -> None:
    """Put averaged weights and buffers into a model."""
    own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for name, value in averages.items():
        own[name].copy_(value)


@contextmanager
def shown(model: nn.Module, averages: Mapping[str, Tensor]) -> Iterator[nn.Module]:
    """Show averaged weights in a model; afterwards its own are back."""
    own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    live = {name: own[name].detach().clone() for name in averages}
    show(model, averages)
    try:
        yield model
    finally:
        show(model, live)


@final
class Best:
    """Notes validation losses, and keeps the weights of the epoch with the lowest."""

    def __init__(self, model: nn.Module, stops: Callable[[Sequence[float]], bool]) -> None:
        self.model = model
        self.stops = stops
        self.losses: list[float] = []
        self.weights: dict[str, Tensor] = {}

    def note(self, val_loss: float) -> bool:
        """Note the loss of an epoch, and say whether training shall end."""
        if val_loss < min((loss for loss in self.losses if loss == loss), default=float("inf")):
            state = self.model.state_dict()
            self.weights = {key: tensor.detach().clone() for key, tensor in state.items()}
        self.losses.append(float(val_loss))
        return self.stops(self.losses)

    def restore(self) -> None:
        """Put the best weights back."""
        if self.weights:
            self.model.load_state_dict(self.weights)
