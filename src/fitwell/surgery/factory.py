"""A factory of networks: which of its arguments set the size, found by calling it."""

from __future__ import annotations

import dataclasses
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, final

import torch
from torch import nn

from fitwell import anatomy
from fitwell.errors import BadInput
from fitwell.modules.pruning import FAILURES
from fitwell.modules.remaking import altered, as_given
from fitwell.modules.rows import observe, sample
from fitwell.records import Anatomy, Capacity, Node
from fitwell.surgery.copying import COMPILED

MakeModel = Callable[..., nn.Module]

_SIZES = frozenset(
    "in_features out_features in_channels out_channels input_size hidden_size proj_size embed_dim "
    "kdim vdim head_dim embedding_dim num_features num_channels normalized_shape num_parameters "
    "groups num_groups in1_features in2_features".split()
)
"""Settings that change where a network becomes narrower, and only there."""
_UNITS = frozenset("out_features out_channels hidden_size embed_dim embedding_dim".split())
_TRIES = 40
"""Values of an argument that are tried, the nearest to what is wanted first."""


@final
class Factory:
    """Measures which whole-number arguments of a factory set the size of the network.

    An argument sets the size if the factory, called with a smaller value, makes a network with
    fewer parameters that runs on the example with outputs of the same shapes. Looked at are
    arguments with a default (keywords of a ``functools.partial`` are defaults), and whole numbers
    inside a default that is a dataclass or a configuration of transformers.

    Args:
        make_model: The factory; called without arguments it makes the network at hand.
        model: The network at hand; it is not changed.
        example_input: What the network can be called with.
        rows: Training rows, on which a smaller network has to run too; None for none.
        seed: Seed of new weights.

    Raises:
        BadInput: If the factory makes another network.
    """

    def __init__(
        self,
        make_model: MakeModel,
        model: nn.Module,
        *,
        example_input: object,
        rows: object = None,
        seed: int = 0,
    ) -> None:
        self._make, self._model, self._seed = make_model, model, seed
        self._example, self._rows = example_input, rows
        given, made = _shapes(model), _shapes(self._sketch({}) or self.made({}))
        if given != made:
            raise BadInput(
                "make_model makes another network than the one given: without arguments it must "
                f"make the same.\n  parameters: {sum(given.values())} given, "
                f"{sum(made.values())} made; the first difference: "
                f"{next(iter((given - made) + (made - given)))}"
            )

    def made(self, args: Mapping[str, Any]) -> nn.Module:
        """Return the network that the factory makes with other arguments, drawn from the seed."""
        devices = sorted({p.device.index or 0 for p in self._model.parameters() if p.is_cuda})
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(self._seed)
            return as_given(self._make(**_keywords(self._make, args)), self._model)

    @cached_property
    def _before(self) -> Anatomy:
        return anatomy.inspect(self._model, self._example)

    def capacities(self) -> tuple[Capacity, ...]:
        """Return the arguments that set the size, each with what it sets."""
        found = []
        for name, value in _whole_numbers(self._make):
            for smaller in dict.fromkeys((value // 2, value - 1, value // 4, 1)):
                kind = self._kind({name: smaller}) if 0 < smaller < value else None
                if kind is not None:
                    found.append(Capacity(name, value, kind))
                    break
        return tuple(found)

    def nearest(
        self, wanted: Mapping[str, int], given: Mapping[str, int] | None = None
    ) -> dict[str, int]:
        """Return the nearest values with which the network still runs, one after the other.

        Args:
            wanted: The values to come near to, each below what it is now.
            given: Other arguments.
        """
        values = dict(_whole_numbers(self._make))
        chosen: dict[str, int] = dict(given or {})
        for name, target in wanted.items():
            order = sorted(range(1, values[name]), key=lambda v, t=target: (abs(v - t), v))  # type: ignore[misc]
            for value in order[:_TRIES]:
                if self._smaller({**chosen, name: value}) is not None:
                    chosen[name] = value
                    break
        return chosen

    def shorter(self, name: str, layers: int) -> int | None:
        """Return the largest value of an argument that leaves that many hidden layers at most."""
        for value in range(dict(_whole_numbers(self._make))[name] - 1, 0, -1):
            after = self._smaller({name: value})
            if after is not None and len(after.hidden_layers) <= layers:
                return value
        return None

    def _kind(self, args: Mapping[str, int]) -> Any:
        """Say what becomes smaller: ``"width"`` or ``"depth"``; None if it is neither."""
        after = self._smaller(args)
        if after is None:
            return None
        old, new = self._before.layers, after.layers
        pairs = list(zip(old, new, strict=False))
        if len(new) < len(old):
            return "depth" if not Counter(map(_sizes, new)) - Counter(map(_sizes, old)) else None
        if len(new) > len(old) or any(a.kind != b.kind for a, b in pairs):
            return None
        changed = {k for a, b in pairs for k, v in a.settings.items() if b.settings.get(k) != v}
        if changed == {"num_layers"}:
            return "depth"
        return "width" if changed <= _SIZES and changed & _UNITS and _narrower(pairs) else None

    def _smaller(self, args: Mapping[str, int]) -> Anatomy | None:
        """Return what a smaller network is made of, if it is one and its outputs fit."""
        count = sum(p.numel() for p in self._model.parameters())
        sketch = self._sketch(args)
        if sketch is not None and sum(p.numel() for p in sketch.parameters()) >= count:
            return None
        try:
            new = self.made(args)
            if sum(p.numel() for p in new.parameters()) >= count:
                return None
            after = anatomy.inspect(new, self._example)
            if self._rows is not None:
                observe(new, sample(self._rows), {})
        except FAILURES:
            return None
        return after if after.outputs == self._before.outputs else None

    def _sketch(self, args: Mapping[str, int]) -> nn.Module | None:
        """Return the network without memory for its weights, if it can be made so."""
        try:
            with torch.device("meta"), torch.random.fork_rng(devices=[]):
                new = self._make(**_keywords(self._make, args))
        except FAILURES:
            return None
        return new if all(p.is_meta for p in new.parameters()) else None


def _keywords(make_model: MakeModel, args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments that a factory is called with."""
    inside: dict[str, dict[str, Any]] = {}
    keywords: dict[str, Any] = {}
    for name, value in args.items():
        argument, _, field = name.partition(".")
        if field:
            inside.setdefault(argument, {})[field] = value
        else:
            keywords[argument] = value
    return keywords | {name: altered(make_model, name, **inside[name]) for name in inside}


def _whole_numbers(make_model: MakeModel) -> Iterator[tuple[str, int]]:
    """Yield the whole numbers above 1 among the defaults of a factory."""
    try:
        parameters = inspect.signature(make_model).parameters.values()
    except (TypeError, ValueError):
        return
    for parameter in parameters:
        default = parameter.default
        if parameter.kind == parameter.POSITIONAL_ONLY or default is parameter.empty:
            continue
        if _is_size(default):
            yield parameter.name, default
        elif dataclasses.is_dataclass(default) or hasattr(type(default), "model_type"):
            fields = dataclasses.fields(default) if dataclasses.is_dataclass(default) else ()
            for name in (field.name for field in fields) if fields else vars(default):
                value = getattr(default, name)
                if _is_size(value) and not name.startswith("_"):
                    yield f"{parameter.name}.{name}", value


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 1


def _sizes(layer: Node) -> tuple[str, str]:
    return layer.kind, str(sorted((k, str(v)) for k, v in layer.settings.items()))


def _narrower(pairs: list[tuple[Node, Node]]) -> bool:
    """Whether a layer other than a table of embeddings has fewer units, and none has more."""
    changes = [
        ("embedding" in a.slug, a.settings[k], b.settings[k])
        for a, b in pairs
        for k in _UNITS & a.settings.keys()
        if a.settings[k] != b.settings[k]
    ]
    return any(not table for table, _, _ in changes) and all(new < old for _, old, new in changes)


def _shapes(model: nn.Module) -> Counter[str]:
    """Count the parameters by name and shape; what is compiled has the names from before."""
    return Counter(
        f"{name.replace(f'{COMPILED}.', '')} {tuple(p.shape)}"
        for name, p in model.named_parameters()
    )
