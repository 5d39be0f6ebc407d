"""A patched file is run, and the network that it gives compared with the treated one."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from types import ModuleType
from typing import Any, TypeAlias

import torch
from torch import Tensor, fx, nn

from fitwell import anatomy
from fitwell.patch.drafting import Draft
from fitwell.patch.initializing import performed
from fitwell.patch.places import Subject
from fitwell.records import ReplaceCall

Build: TypeAlias = Callable[[ModuleType], Any]
"""Makes a network of the class in a module."""

_TOLERANCE = 1e-6
FAILURES = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError),
    *(OSError, RuntimeError, SyntaxError, TypeError, ValueError),
)
"""What running a file that does not fit can raise."""


@contextmanager
def executed(data: bytes, subject: Subject) -> Iterator[ModuleType]:
    """Run the text of a file as a module of its own, which is gone afterwards.

    Args:
        data: The text, as the file would hold it.
        subject: Where the file is, and the package that it belongs to.
    """
    plain = str(subject.source.names["__name__"])
    number = next(n for n in count() if f"{plain}_patched_{n}" not in sys.modules)
    name = str(subject.file.with_name(f"{subject.file.stem}_patched_{number}.py"))
    module = ModuleType(f"{plain}_patched_{number}")
    module.__file__ = str(subject.file)
    module.__package__ = subject.source.names.get("__package__")
    lines = data.decode(errors="replace").splitlines(keepends=True)
    linecache.cache[name] = (len(data), None, lines, name)
    sys.modules[module.__name__] = module
    try:
        exec(compile(data, name, "exec"), vars(module))  # noqa: S102  # the user's own file
        yield module
    finally:
        del sys.modules[module.__name__]
        linecache.cache.pop(name, None)


def difference(draft: Draft, subject: Subject, build: Build) -> str:
    """Say how a draft differs from what it must give, or "" if it is the same.

    The keys, shapes and types of the ``state_dict``, the settings of all modules, what takes a
    gradient, the initial weights, and the outputs in evaluation mode with the same weights are
    compared.

    Args:
        draft: The patched file.
        subject: What was patched.
        build: Makes the network.
    """
    try:
        with torch.random.fork_rng(devices=[]), executed(draft.text, subject) as module:
            torch.manual_seed(0)
            made = build(module)
            told = _unlike_weights(draft, made, subject, build) if draft.fills_more else ""
            shared = any(isinstance(step.edit, ReplaceCall) for step in draft.steps)
            return told or _unlike(draft.target, made, subject.example_input, shared=shared)
    except FAILURES as error:
        return f"the class would fail: {type(error).__name__}: {' '.join(str(error).split())}"


def _unlike_weights(draft: Draft, made: nn.Module, subject: Subject, build: Build) -> str:
    """Compare initial weights with those of the same class, filled from outside."""
    with executed(draft.without_initializers, subject) as module:
        torch.manual_seed(0)
        filled = build(module)
        with torch.no_grad():
            performed(draft.fills, filled)
    wanted = filled.state_dict()
    for name, tensor in made.state_dict().items():
        if name not in wanted or not torch.equal(tensor, wanted[name]):
            return f"the initial {name} would not be as the recipe has it"
    return ""


def _unlike(target: nn.Module, made: nn.Module, example_input: object, *, shared: bool) -> str:
    wanted, found = _shapes(target), _shapes(made)
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            return (
                f"{name} of the state_dict would be {found.get(name, 'missing')} and not "
                f"{wanted.get(name, 'missing')}"
            )
    ours, theirs = dict(target.named_modules()), dict(made.named_modules())
    for path in sorted({*ours, *theirs}):
        if not _alike(ours.get(path), theirs.get(path), shared=shared):
            return f"{path} would be {theirs.get(path)} and not {ours.get(path)}"
    made.load_state_dict(target.state_dict())
    for example in (example_input, _drawn_like(example_input)):
        for training in (False, True):
            told = _unlike_outputs(target, made, example, training=training)
            if told:
                return told
    return ""


def _unlike_outputs(
    target: nn.Module, made: nn.Module, example_input: object, *, training: bool
) -> str:
    try:
        first, again = (_outputs(target, example_input, training=training) for _ in range(2))
    except ValueError as error:
        if training:  # a batch norm may want more rows than the example has
            return ""
        return f"the treated network would fail: {error}"
    if not _same(first, again):
        return "" if training else "the network gives another output every time it is called"
    if not _same(first, _outputs(made, example_input, training=training)):
        return "its outputs would differ from those of the treated network"
    return ""


def _outputs(model: nn.Module, example_input: object, *, training: bool) -> list[Tensor]:
    with torch.no_grad(), anatomy.undisturbed(model, training=training):
        torch.manual_seed(0)
        return [t.clone() for t in anatomy.tensors_in(anatomy.run(model, example_input))]


def _alike(one: nn.Module | None, other: nn.Module | None, *, shared: bool) -> bool:
    """Whether two modules are of one kind and have the same settings.

    A forward that was traced has lost the name of its class. A module that it calls in the place of
    functions may serve several of them in the source (``shared``), where the treated network has
    one for each: such a one, without state, need not be on both sides.
    """
    if one is None or other is None:
        return shared and not (one or other or nn.Identity()).state_dict()
    traced = isinstance(one, fx.GraphModule) or isinstance(other, fx.GraphModule)
    same_kind = traced or type(one).__name__ == type(other).__name__
    return same_kind and one.extra_repr() == other.extra_repr()


def _shapes(model: nn.Module) -> dict[str, tuple[tuple[int, ...], torch.dtype, bool]]:
    """Shape and type of each entry, and whether it takes a gradient."""
    return {
        name: (tuple(tensor.shape), tensor.dtype, tensor.requires_grad)
        for name, tensor in model.state_dict(keep_vars=True).items()
    }


def _same(first: list[Tensor], second: list[Tensor]) -> bool:
    return len(first) == len(second) and all(map(_close, first, second))


def _close(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if not one.is_floating_point():
        return torch.equal(one, other)
    return torch.allclose(one, other, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True)


def _drawn_like(example_input: object) -> object:
    """Return an input of the same form with other numbers: zeros hide what weights do."""
    if isinstance(example_input, Tensor):
        if not example_input.is_floating_point():
            return example_input
        drawn = torch.rand(example_input.shape, generator=torch.Generator().manual_seed(0))
        return drawn.to(example_input)
    if isinstance(example_input, dict):
        return {name: _drawn_like(value) for name, value in example_input.items()}
    if isinstance(example_input, (tuple, list)):
        return type(example_input)(_drawn_like(value) for value in example_input)
    return example_input
