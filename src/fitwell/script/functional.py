"""The losses of ``torch.nn.functional`` and the backward passes, told as they are called."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, final

import torch
import torch.nn.functional as F
from torch import Tensor

LOSS_FUNCTIONS = {
    "cross_entropy": ("cross_entropy", "logits"),
    "nll_loss": ("cross_entropy", "log_probabilities"),
    "binary_cross_entropy": ("binary_cross_entropy", "probabilities"),
    "binary_cross_entropy_with_logits": ("binary_cross_entropy", "logits"),
    "mse_loss": ("mse", "values"),
    "l1_loss": ("mae", "values"),
    "smooth_l1_loss": ("smooth_l1", "values"),
    "huber_loss": ("huber", "values"),
    "kl_div": ("kl_div", "log_probabilities"),
    "poisson_nll_loss": ("poisson_nll", "values"),
    "gaussian_nll_loss": ("gaussian_nll", "values"),
    "soft_margin_loss": ("soft_margin", "values"),
    "multilabel_soft_margin_loss": ("multilabel_soft_margin", "logits"),
    "multi_margin_loss": ("multi_margin", "values"),
    "hinge_embedding_loss": ("hinge_embedding", "values"),
    "ctc_loss": ("ctc", "log_probabilities"),
}
"""Function of torch to the name that facts carry, and what it takes as output. The loss modules
of torch call these functions: so a module is heard of too."""

_IGNORING = ("cross_entropy", "nll_loss")

_MARK = "fitwell.script"
"""Entry of a graph node's metadata: a node lives as long as its graph, and keeps nothing alive."""


@final
@dataclass(frozen=True)
class LossCall:
    """One call of a loss function.

    Args:
        function: Name of the function of torch.
        outputs: What it was given as output of the network, without its graph.
        targets: What it was given as target.
        value: Mean loss over the rows.
        rows: Rows of the batch.
        key: Mark of the loss in the graph; 0 if no gradient can flow from it.
        ignored: Target that is left out, or None.
    """

    function: str
    outputs: Tensor
    targets: Tensor
    value: Tensor
    rows: int
    key: int
    ignored: int | None


class LossListener(Protocol):
    """Who wants to hear of losses."""

    def loss_computed(self, call: LossCall) -> None:
        """Hear of a loss."""

    def loss_failed(self, function: str, outputs: Tensor, targets: Tensor) -> None:
        """Hear of a loss that raised."""

    def backward_began(self, losses: tuple[Tensor, ...]) -> None:
        """Hear of a backward pass, before it runs."""


@contextmanager
def losses_told(listener: LossListener) -> Iterator[None]:
    """Tell a listener of every loss function and backward pass of torch in this process.

    The functions are replaced by wrappers for as long as the context lasts: what a program has
    imported from ``torch.nn.functional`` inside it goes on to work afterwards.

    Args:
        listener: Who is told.
    """
    kept: dict[str, Callable[..., Any]] = {name: getattr(F, name) for name in LOSS_FUNCTIONS}
    backward = torch.autograd.backward
    state = _State()
    for name, function in kept.items():
        setattr(F, name, _told(name, function, listener, state))

    @functools.wraps(backward)
    def told_backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
        if not torch.compiler.is_compiling():
            given = (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)
            listener.backward_began(given)
        backward(tensors, *args, **kwargs)

    torch.autograd.backward = told_backward
    try:
        yield
    finally:
        torch.autograd.backward = backward
        for name, function in kept.items():
            setattr(F, name, function)


@final
class _State:
    """How deep loss functions are nested, and how many were marked in a graph.

    A function that calls another is told of once.
    """

    def __init__(self) -> None:
        self.depth = self.marks = 0

    def mark(self, result: Tensor) -> int:
        """Mark a loss in its graph and return the key; 0 if no gradient can flow from it."""
        if result.grad_fn is None:
            return 0
        self.marks += 1
        metadata: Any = result.grad_fn.metadata
        metadata[_MARK] = self.marks
        return self.marks


def _told(
    name: str, function: Callable[..., Any], listener: LossListener, state: _State
) -> Callable[..., Any]:
    @functools.wraps(function)
    def loss(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling() or state.depth:
            return function(*args, **kwargs)
        outputs, targets = _operands(args, kwargs)
        state.depth += 1
        try:
            result = function(*args, **kwargs)
        except (RuntimeError, ValueError, IndexError):
            if outputs is not None and targets is not None:
                listener.loss_failed(name, outputs.detach(), targets.detach())
            raise
        finally:
            state.depth -= 1
        if outputs is None or targets is None or not isinstance(result, Tensor):
            return result
        if outputs.dim() and outputs.numel() and result.numel():
            value, key = _mean(result, outputs, kwargs), state.mark(result)
            ignored = kwargs.get("ignore_index", -100) if name in _IGNORING else None
            call = LossCall(
                name, outputs.detach(), targets.detach(), value, len(outputs), key, ignored
            )
            listener.loss_computed(call)
        return result

    return loss


def _operands(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor | None, Tensor | None]:
    given: list[Any] = list(args[:2])
    for name in ("input", "log_probs", "target", "targets"):
        if name in kwargs and len(given) < 2:
            given.append(kwargs[name])
    tensors = [t if isinstance(t, Tensor) else None for t in given]
    tensors += [None, None]
    return tensors[0], tensors[1]


def _mean(result: Tensor, outputs: Tensor, kwargs: dict[str, Any]) -> Tensor:
    """Return the mean over the rows: a sum is divided by their number."""
    value = result.detach().mean() if result.dim() else result.detach()
    return value / len(outputs) if kwargs.get("reduction") == "sum" else value


def reached(losses: Iterable[Tensor], keys: Iterable[int], most: int = 400) -> set[int]:
    """Return the keys of the losses that a backward pass goes through.

    Args:
        losses: What the backward pass begins at.
        keys: Keys that are looked for: a search that finds all ends there.
        most: Nodes of the graph that are looked at, at most.
    """
    wanted, found = set(keys), set[int]()
    nodes: list[Any] = [loss.grad_fn for loss in losses if loss.grad_fn is not None]
    seen: set[Any] = set()
    while nodes and wanted and len(seen) < most:
        following: list[Any] = []
        for node in nodes:
            if node is None or node in seen:
                continue
            seen.add(node)
            key = node.metadata.get(_MARK, 0)
            if key in wanted:
                wanted.remove(key)
                found.add(key)
            else:
                following += [n for n, _ in node.next_functions]
        nodes = following
    return found
