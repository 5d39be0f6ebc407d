"""What holds for every remedy on every network, checked for one pair at a time."""

from __future__ import annotations

import copy
import io
import random as python_random
import traceback
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy
import torch
from torch import Tensor, nn

from fitwell.anatomy import run, undisturbed
from fitwell.errors import BadInput, NotApplicable
from fitwell.interfaces import Remedy
from fitwell.recipe import ConflictWarning, Recipe, Treated
from fitwell.surgery.copying import COMPILED

from .network import Network, parts

SEED = 3
"""Seed that every recipe is applied with."""


@final
@dataclass(frozen=True)
class Outcome:
    """What became of one remedy on one network.

    Args:
        kind: Whether it was applied, refused, or failed.
        said: The reason of a refusal, or what failed.
        trace: Where an unexpected error came from.
    """

    kind: Literal["applied", "not applicable", "failed"]
    said: str = ""
    trace: str = ""


class Broken(AssertionError):
    """A promise that was not kept, in words."""


@final
class Specimen:
    """A network of the zoo that has been trained for a moment: it has gradients and statistics.

    Args:
        network: What to make.

    Raises:
        Broken: If the network does not train as it is.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.example = network.example()
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            torch.manual_seed(SEED)
            self.model = network.make()
            output = run(self.model, self.example)
            self.targets = network.targets(output)
            network.loss(network.scores(output), self.targets).backward()
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        promise(bool(gradients), "no parameter of the untreated network has a gradient")
        promise(all_finite(gradients), "the untreated network has gradients that are not finite")
        self.shape = shape_of(self.model, self.example)
        self._before = _state_of(self.model)

    def check_untouched(self) -> None:
        """Check that nothing of the original, and no global random state, has changed."""
        for what, value in _state_of(self.model).items():
            promise(_equal(self._before[what], value), f"the original's {what} changed")


def outcome(specimen: Specimen, remedy: Remedy) -> Outcome:
    """Apply one remedy to one network, and check all that must hold."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf")
            warnings.simplefilter("ignore", ConflictWarning)
            _check(specimen, remedy)
    except (NotApplicable, BadInput) as refusal:
        said = str(refusal)
        if not said.strip().splitlines():
            return Outcome("failed", "refused without a reason")
        try:
            specimen.check_untouched()
        except Broken as broken:
            return Outcome("failed", f"after a refusal, {broken}")
        return Outcome("not applicable", said)
    except Broken as broken:
        return Outcome("failed", str(broken))
    except Exception as error:  # noqa: BLE001  # the sweep reports every failure, whatever it is
        last = "".join(traceback.format_exception(error, limit=-4))
        return Outcome("failed", f"{type(error).__name__}: {error}", last)
    return Outcome("applied")


def promise(kept: bool, what: str) -> None:
    """Raise what was promised and not kept."""
    if not kept:
        raise Broken(what)


def shape_of(model: nn.Module, example: object) -> dict[str, tuple[torch.Size, torch.dtype]]:
    """Return where in the output of a model tensors of which shape and dtype are."""
    with undisturbed(model), torch.no_grad():
        return {at: (t.shape, t.dtype) for at, t in parts(run(model, example))}


def all_finite(tensors: Iterator[Tensor] | list[Tensor]) -> bool:
    """Whether all numbers in all tensors are finite."""
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


def _check(specimen: Specimen, remedy: Remedy) -> None:
    treated = _apply(specimen, remedy)
    specimen.check_untouched()
    again = _apply(specimen, remedy)
    promise(
        _equal(treated.model.state_dict(), again.model.state_dict()),
        "the same seed gave other weights",
    )
    _check_weights(specimen.model, treated)
    _check_loading_the_original(specimen.model, again)
    promise(
        shape_of(treated.model, specimen.example) == specimen.shape,
        "the output has another structure, shape or dtype",
    )
    promise(
        _equal(copy.deepcopy(treated.model).state_dict(), treated.model.state_dict()),
        "a deep copy has other weights",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        _check_training(specimen, treated)
    _check_loading(treated.model, again.model)
    specimen.check_untouched()


def _apply(specimen: Specimen, remedy: Remedy) -> Treated:
    return Recipe(remedy).apply(
        specimen.model,
        example_input=specimen.example,
        make_model=specimen.network.make,
        data=_in_another_unit(specimen.example),
        seed=SEED,
    )


def _in_another_unit(example: object) -> object:
    """Return training rows of which a remedy that measures has something to say."""
    if isinstance(example, tuple):
        return tuple(_in_another_unit(part) for part in example)
    if isinstance(example, Tensor) and example.is_floating_point():
        return 3 * example + 1
    return example


def _check_weights(model: nn.Module, treated: Treated) -> None:
    """Check that weights which no change names are where they were, bit for bit.

    Only the name under which ``torch.compile`` keeps a network may be gone from a key.
    """
    new = treated.model.state_dict()
    old = {_inner(key): tensor for key, tensor in model.state_dict(keep_vars=True).items()}
    items = treated.changes.items
    drawn = {item.where for item in items if item.what.startswith("filled by")}
    kept = ("filled by", "followed by")
    rebuilt = {item.where for item in items if not item.what.startswith(kept)}
    tied = {id(tensor) for key, tensor in old.items() if key in drawn}
    for key, tensor in old.items():
        if any(key == path or key.startswith(f"{path}.") for path in rebuilt):
            continue
        moved = treated.changes.keys.get(key, key)
        promise(moved in new, f"the weight {key} is gone, and no change names it")
        promise(new[moved].shape == tensor.shape, f"the weight {key} has another shape")
        if id(tensor) not in tied:
            promise(torch.equal(new[moved], tensor), f"the weight {key} changed, unnamed")


def _check_loading_the_original(model: nn.Module, treated: Treated) -> None:
    """Check that weights of the original find their places, where every one of them has one."""
    new = treated.model.state_dict()
    old = {_inner(key): tensor for key, tensor in model.state_dict().items()}
    places = {key: new.get(treated.changes.keys.get(key, key)) for key in old}
    if all(p is not None and p.shape == old[key].shape for key, p in places.items()):
        treated.load_original(model.state_dict())
        loaded = treated.model.state_dict()
        for key, tensor in old.items():
            moved = treated.changes.keys.get(key, key)
            promise(torch.equal(loaded[moved], tensor), f"{key} of the original was not loaded")


def _inner(key: str) -> str:
    """Return the name of a weight without that which ``torch.compile`` puts around networks."""
    return ".".join(part for part in key.split(".") if part != COMPILED)


def _check_training(specimen: Specimen, treated: Treated) -> None:
    """Check that a plain loop with every seam trains, and that nothing of the recipe is unused."""
    network = specimen.network
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.05)
    loss_fn = treated.loss(network.loss)
    scheduler = treated.scheduler(optimizer)
    start = [p.detach().clone() for p in treated.model.parameters()]
    for _ in range(3):
        x, y = treated.batch(specimen.example, specimen.targets)
        optimizer.zero_grad()
        loss = loss_fn(network.scores(run(treated.model, x)), y)
        promise(bool(loss.isfinite()), "the loss is not finite")
        loss.backward()
        gradients = [p.grad for p in treated.model.parameters() if p.grad is not None]
        promise(bool(gradients), "no parameter has a gradient")
        promise(all_finite(gradients), "a gradient is not finite")
        optimizer.step()
        scheduler.step()
        promise(all_finite(list(treated.model.parameters())), "a parameter is not finite")
        if not _equal(start, [p.detach() for p in treated.model.parameters()]):
            break
    else:
        raise Broken("three steps changed no parameter")
    treated.should_stop(val_loss=loss.detach())
    treated.finish()
    promise(treated.unused() == (), f"unused after a full loop: {treated.unused()}")


def _check_loading(model: nn.Module, other: nn.Module) -> None:
    """Check that saved weights load into a second application of the same recipe."""
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    promise(_equal(model.state_dict(), other.state_dict()), "saved and loaded, weights differ")


def _state_of(model: nn.Module) -> Mapping[str, Any]:
    """Return all of a model and of the process that a remedy must leave as it is."""
    return {
        "parameters": {name: p.detach().clone() for name, p in model.named_parameters()},
        "buffers": {name: b.detach().clone() for name, b in model.named_buffers()},
        "gradients": {
            name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None
        },
        "frozen parameters": [p.requires_grad for p in model.parameters()],
        "training modes": [module.training for module in model.modules()],
        "modules": repr(model),
        "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()],
        "random state of torch": torch.get_rng_state(),
        "random state of numpy": repr(numpy.random.get_state()),
        "random state of python": python_random.getstate(),
        "gradient mode": torch.is_grad_enabled(),
    }


def _equal(first: object, second: object) -> bool:
    """Whether nested values are equal, tensors bit for bit."""
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return list(first) == list(second) and all(_equal(first[k], second[k]) for k in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_equal, first, second))
    return first == second
