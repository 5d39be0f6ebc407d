"""One seam of the same remedy in many runs, acting on all of them at once."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, final

import torch
from torch import Generator, Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from fitwell.interfaces import Mixed

if TYPE_CHECKING:
    from fitwell.interfaces import Remedy

    Given: TypeAlias = Any
    """A tensor whose first axis is that of the runs, a mapping of such, or what all runs share."""

_UNFIT = (RuntimeError, ValueError, TypeError, LookupError, AttributeError)
"""What a function raises that cannot be mapped over runs, as one that asks for a number."""


@final
class StackedSeam:
    """Lets the remedies of many runs act at one seam, in one pass where that is possible.

    There are three ways. A function that takes ``lead``, the number of leading axes that are
    those of runs, is called once with all of them. Another one is mapped by ``torch.func.vmap``.
    What cannot be mapped either is called once a run. Numbers in which the runs differ become
    vectors over them.

    Args:
        remedies: The remedy of every run, all of one class.
        name: The seam, as ``"on_gradients"``.
    """

    def __init__(self, remedies: Sequence[Remedy], name: str) -> None:
        self._methods: list[Callable[..., Any]] = [getattr(r, name) for r in remedies]
        plain = [r.plain().get(name) for r in remedies]
        known = [p for p in plain if p is not None]
        self._function = known[0].function if known else self._methods[0]
        args = [p.args for p in known] or [{} for _ in remedies]
        self._leads = "lead" in inspect.signature(self._function).parameters
        named = [key for key in args[0] if self._leads and key in remedies[0].doses]
        differing = [key for key in args[0] if any(a[key] != args[0][key] for a in args)]
        # Named doses are vectors even where all are equal: a run's numbers do not depend on others.
        vectors = {*differing, *(key for key in named if type(args[0][key]) in (int, float))}
        self._shared = {k: v for k, v in args[0].items() if k not in vectors}
        self._doses = {key: [a[key] for a in args] for key in vectors}
        self._vectors: dict[tuple[torch.device, torch.dtype], dict[str, Tensor]] = {}
        self._at_once = self._can_act_at_once(bool(known), remedies)
        self._seen = False

    def _can_act_at_once(self, told: bool, remedies: Sequence[Remedy]) -> bool:
        """Whether the function and its arguments are the same but for numbers."""
        if not told and any(remedy != remedies[0] for remedy in remedies):
            return False
        return all(isinstance(v, (int, float)) for values in self._doses.values() for v in values)

    def __call__(self, *given: Given) -> Any:
        """Return what the seam makes of tensors of all runs: each as alone, stacked."""
        if self._at_once and not self._seen:
            self._check(given)
        if not self._at_once:
            return self._each(given)
        if self._leads:
            vectors = self._precise(_first(given).device)
            return self._function(*given, **self._shared, **vectors, lead=1)
        try:
            return self._mapped(given)
        except _UNFIT:
            self._at_once = False
            return self._each(given)

    def on_batch(self, x: Tensor, y: Tensor, generators: Sequence[Generator]) -> tuple[Any, Any]:
        """Return the batches of all runs; what is random in one comes from its own generator."""
        if self._at_once and self._leads:
            if not self._seen:
                self._methods[0](x[0], y[0], Generator(generators[0].device).manual_seed(0))
                self._seen = True
            changed: tuple[Any, Any] = self._function(
                x, y, generators, **self._shared, **self._precise(x.device), lead=1
            )
            return changed
        each = [
            method(x[run], _at(y, run), generator)
            for run, (method, generator) in enumerate(zip(self._methods, generators, strict=True))
        ]
        return torch.stack([a for a, _ in each]), _stacked([b for _, b in each])

    def _check(self, given: tuple[Given, ...]) -> None:
        """See, once, what the seam refuses of the first run alone, and whether it can be mapped."""
        with torch.no_grad():
            alone = self._methods[0](*(_at(part, 0) for part in given))
            self._at_once = self._leads or self._can_be_mapped(given, alone)
        self._seen = True

    def _can_be_mapped(self, given: tuple[Given, ...], alone: Given) -> bool:
        """Whether it can, and gives what it gives the first run alone."""
        with warnings.catch_warnings():
            # Where torch cannot map an operation, it warns and is slower than run by run.
            warnings.simplefilter("error")
            try:
                found = _at(self._mapped(given), 0)
            except (*_UNFIT, Warning):
                return False
        leaves, right = tree_flatten(found)[0], tree_flatten(alone)[0]
        return len(leaves) == len(right) and all(map(_agree, leaves, right))

    def _mapped(self, given: tuple[Given, ...]) -> Any:
        first = _first(given)
        # Mapped, a vector is no number that adapts to the dtype of a tensor: it must have it.
        given = tuple(
            part.to(first.dtype) if isinstance(part, Tensor) and _is_dose(part) else part
            for part in given
        )
        dims = tuple(tree_map(lambda leaf: 0 if isinstance(leaf, Tensor) else None, given))

        def of_a_run(tensors: tuple[Given, ...], doses: Mapping[str, Tensor]) -> Any:
            return self._function(*tensors, **self._shared, **doses)

        mapped = torch.func.vmap(of_a_run, in_dims=(dims, 0))
        return mapped(given, self._on(first.device, first.dtype))

    def _each(self, given: tuple[Given, ...]) -> Any:
        results = [
            method(*(_at(part, run) for part in given)) for run, method in enumerate(self._methods)
        ]
        return _stacked(results)

    def _precise(self, device: torch.device) -> dict[str, Tensor]:
        return self._on(device, torch.float32 if device.type == "mps" else torch.float64)

    def _on(self, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
        """Return the doses as vectors over the runs on a device."""
        if (device, dtype) not in self._vectors:
            self._vectors[device, dtype] = {
                name: torch.tensor(values, dtype=dtype, device=device)
                for name, values in self._doses.items()
            }
        return self._vectors[device, dtype]


def _agree(found: Any, right: Any) -> bool:
    if not isinstance(right, Tensor) or found.shape != right.shape:
        return False
    return torch.allclose(found, right, rtol=1e-3, atol=1e-6, equal_nan=True)


def _first(given: tuple[Given, ...]) -> Tensor:
    """Return a tensor that is given, by itself or in a mapping."""
    for part in given:
        found = next(iter(part.values()), None) if isinstance(part, Mapping) else part
        if isinstance(found, Tensor):
            return found
    return torch.empty(0)


def _is_dose(part: Tensor) -> bool:
    """Whether it is a vector of numbers, one a run, in the precision that doses have."""
    return part.dim() == 1 and part.dtype == torch.float64


def _at(given: Given, run: int) -> Given:
    """Return the part of one run."""
    return tree_map(lambda leaf: leaf[run] if isinstance(leaf, Tensor) else leaf, given)


def _stacked(results: Sequence[Given]) -> Given:
    """Return the results of the runs as one, with an axis of runs first."""
    if isinstance(results[0], Mixed):
        return Mixed(*(torch.stack(parts) for parts in zip(*results, strict=True)))
    leaves = [tree_flatten(result)[0] for result in results]
    structure = tree_flatten(results[0])[1]
    return tree_unflatten([torch.stack(parts) for parts in zip(*leaves, strict=True)], structure)
