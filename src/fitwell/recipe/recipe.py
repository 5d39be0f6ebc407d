"""A recipe: remedies in order, as a frozen value."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, final

from torch import Generator, Tensor, nn

from fitwell import anatomy, surgery
from fitwell.errors import BadInput
from fitwell.interfaces import Remedy
from fitwell.recipe.conflicts import (
    Conflict,
    ConflictWarning,
    Meeting,
    conflicts_of,
    refuse_impossible,
)
from fitwell.recipe.fitting import inspected
from fitwell.recipe.layout import Layout
from fitwell.recipe.printing import source_of
from fitwell.recipe.text import specs_in, to_text
from fitwell.recipe.treated import Treated
from fitwell.recipe.treating import treat
from fitwell.records import Anatomy, RemedySpec
from fitwell.remedies import from_spec
from fitwell.report.notebook import recipe_card

if TYPE_CHECKING:
    from fitwell.interfaces import Tensors

    Memory: TypeAlias = Mapping[str, Tensors]
    """What each remedy knows from step to step, by its name."""

SCHEMA = 1


@final
@dataclass(frozen=True, init=False)
class Recipe:
    """Remedies in order: compares, hashes, saves, applies and prints.

    Args:
        remedies: Remedies, or specs of them as a finding names them, in any order: a recipe keeps
            the order of their stages.

    Raises:
        BadInput: If a remedy is there twice, or a spec names no remedy.
    """

    remedies: tuple[Remedy, ...]
    _at: Mapping[str, tuple[Remedy, ...]] = field(repr=False, compare=False)

    def __init__(self, *remedies: Remedy | RemedySpec) -> None:
        made = [from_spec(r) if isinstance(r, RemedySpec) else r for r in remedies]
        for remedy in made:
            if not isinstance(remedy, Remedy):
                raise BadInput(
                    f"Expected remedies, got {remedy!r}: write Recipe(Dropout(0.5), L2(1e-3))."
                )
        names = [type(remedy).__name__ for remedy in made]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise BadInput(f"A recipe holds each remedy once: {twice} is there twice.")
        refuse_impossible(made)
        ordered = sorted(made, key=lambda remedy: (remedy.stage, type(remedy).__name__))
        object.__setattr__(self, "remedies", tuple(ordered))
        seams = {seam for remedy in ordered for seam in remedy.seams()}
        at = {seam: tuple(r for r in ordered if seam in r.seams()) for seam in seams}
        object.__setattr__(self, "_at", at)

    def __iter__(self) -> Iterator[Remedy]:
        return iter(self.remedies)

    def __len__(self) -> int:
        return len(self.remedies)

    def __str__(self) -> str:
        return to_text(self.remedies)

    def _repr_html_(self) -> str:
        return recipe_card(self.specs)

    @property
    def specs(self) -> tuple[RemedySpec, ...]:
        """The remedies as plain data."""
        return tuple(remedy.spec for remedy in self.remedies)

    def without(self, remedy: Remedy | RemedySpec | str) -> Recipe:
        """Return the recipe without one of its remedies.

        Raises:
            BadInput: If it is not there.
        """
        name = remedy if isinstance(remedy, str) else None
        name = remedy.name if isinstance(remedy, RemedySpec) else name or type(remedy).__name__
        kept = [r for r in self.remedies if type(r).__name__ != name]
        if len(kept) == len(self.remedies):
            raise BadInput(f"There is no {name} in the recipe {self}.")
        return Recipe(*kept)

    def to_json(self) -> str:
        """Return ``{"schema": 1, "recipe": [{"name": ..., "args": {...}}, ...]}``."""
        data = {"schema": SCHEMA, "recipe": [spec.to_dict() for spec in self.specs]}
        return json.dumps(data, indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read what :meth:`to_json` wrote, a ``result.json``, or a bare list of remedies.

        Raises:
            BadInput: If it is none of these, or of a schema that this version does not read.
        """
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise BadInput(f"Expected a recipe as JSON: {error}.") from error
        if isinstance(data, Mapping):
            if data.get("schema", SCHEMA) != SCHEMA:
                raise BadInput(
                    f"Expected a recipe of schema {SCHEMA}, got {data['schema']!r}: "
                    "save it again with this version of fitwell."
                )
            data = data.get("recipe")
        if not isinstance(data, list) or not all(_is_spec(item) for item in data):
            raise BadInput(
                'Expected a recipe as JSON: {"recipe": [{"name": "Dropout", "args": {}}, ...]}.'
            )
        return cls(*(RemedySpec.from_dict(item) for item in data))

    @classmethod
    def from_text(cls, text: str) -> Recipe:
        """Read ``"dropout(0.5)+l2(1e-3)"``; the first value goes to the first field, and so on.

        Raises:
            BadInput: If it cannot be read, or names no remedy.
        """
        return cls(*specs_in(text))

    def apply(
        self,
        model: nn.Module,
        *,
        example_input: object,
        make_model: Callable[..., nn.Module] | None = None,
        data: object = None,
        batch_size: int | None = None,
        seed: int = 0,
    ) -> Treated:
        """Treat a copy of a model; the original and the global random state stay as they are.

        What is under ``torch.compile`` is treated as it was before, and not compiled again.

        Args:
            model: Any eager network.
            example_input: A tensor, a tuple of positional arguments or a mapping of keyword
                arguments that the network can be called with.
            make_model: The factory of the model. ``Shrink`` calls it with smaller arguments, where
                it has some; nothing else does.
            data: Training rows, as the model is called with them, for remedies that measure
                (``ScaleInputs``, ``LSUV``); 1,024 of them are run at most.
            batch_size: Rows in a training batch, so that what does not go with it is named.
            seed: Seed of new weights and of what is random in the batches; from 0.

        Raises:
            NotApplicable: If a remedy cannot serve this network, with the reason.
            BadInput: If a remedy measures training rows and there are none, if it must be applied
                once and was applied before, if the factory makes another network, or if the model
                cannot be called with the example input.

        Warns:
            ConflictWarning: Of everything that :meth:`conflicts` names.
        """
        copy, changes, _ = treat(
            model,
            self.remedies,
            example_input=example_input,
            make_model=make_model,
            data=data,
            seed=seed,
        )
        found = self._anatomy(copy, example_input)
        for conflict in conflicts_of(Meeting(self._by_name, found, batch_size)):
            warnings.warn(str(conflict), ConflictWarning, stacklevel=2)
        return Treated(self, copy, changes, found, seed=seed)

    def conflicts(
        self,
        model: nn.Module | None = None,
        *,
        example_input: object = None,
        make_model: Callable[..., nn.Module] | None = None,
        batch_size: int | None = None,
    ) -> tuple[Conflict, ...]:
        """Return what does not go together in this recipe, or not with this network.

        Args:
            model: The untreated network; without one only the remedies are compared.
            example_input: As for :meth:`apply`; needed with a model.
            make_model: As for :meth:`apply`.
            batch_size: Rows in a training batch, if known.

        Raises:
            NotApplicable: If a remedy cannot serve this network, with the reason.
        """
        if model is None:
            return conflicts_of(Meeting(self._by_name, batch_size=batch_size))
        copy, _, _ = treat(
            model,
            self.remedies,
            example_input=example_input,
            make_model=make_model,
            measure=False,
        )
        return conflicts_of(Meeting(self._by_name, self._anatomy(copy, example_input), batch_size))

    def _anatomy(self, treated: nn.Module, example_input: object) -> Anatomy:
        """Return what a treated network is made of; empty where nothing asks for it."""
        if not self.remedies or example_input is None:
            return Anatomy(())
        return inspected(treated, example_input)

    @property
    def _by_name(self) -> dict[str, Remedy]:
        return {type(remedy).__name__: remedy for remedy in self.remedies}

    def to_code(
        self,
        model: nn.Module,
        *,
        example_input: object = None,
        make_model: Callable[..., nn.Module] | None = None,
        seed: int = 0,
    ) -> str:
        """Return plain PyTorch source that does the same without fitwell.

        What a remedy measures on training rows is measured by the code, if it is given rows;
        pruning runs on torch-pruning there too.

        Args:
            model: The network that the code shall treat.
            example_input: As for :meth:`apply`; by default one is made from the first layer.
            make_model: As for :meth:`apply`; the code then takes the factory as an argument.
            seed: As for :meth:`apply`; the code gives the same weights.

        Raises:
            NotApplicable: If a remedy cannot serve this network, with the reason.
            BadInput: If no example input is given and none can be made, or if a remedy of the
                user's own says no plain function for a seam.
        """
        if example_input is None and self.needs("edit"):
            example_input = anatomy.example_for(getattr(model, surgery.COMPILED, model))
        copy, _, done = treat(
            model,
            self.remedies,
            example_input=example_input,
            make_model=make_model,
            seed=seed,
            measure=False,
        )
        return source_of(
            self.remedies, done, layout=Layout.of(copy), example_input=example_input, seed=seed
        )

    def needs(self, seam: str) -> bool:
        """Whether a remedy of this recipe acts at a seam, as ``"on_loss"``."""
        return seam in self._at

    @property
    def mixes(self) -> bool:
        """Whether a remedy mixes rows, whose targets only ``Treated.loss`` can take."""
        return any(remedy.mixes for remedy in self.remedies)

    def on_batch(self, x: Any, y: Any, generator: Generator) -> tuple[Any, Any]:
        """Return the batch to train on; its targets are :class:`Mixed` where rows are mixed."""
        for remedy in self._at.get("on_batch", ()):
            x, y = remedy.on_batch(x, y, generator)
        return x, y

    def on_loss(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss to go down on."""
        for remedy in self._at.get("on_loss", ()):
            loss = remedy.on_loss(loss, outputs, targets)
        return loss

    def on_gradients(
        self,
        gradients: Tensors,
        parameters: Tensors,
        memory: Memory,
        layout: Layout,
        *,
        seen: Callable[[Remedy, Tensors, Tensors], None] | None = None,
    ) -> tuple[Tensors, Memory]:
        """Return the gradients that the optimizer shall see, and what is known from now on.

        Args:
            gradients: What the backward pass gave, by name.
            parameters: The parameters, under the same names.
            memory: What each remedy knows, by its name; empty at first.
            layout: What there is to know of the parameters.
            seen: Called with every remedy, what it was given and what it returned.
        """
        for remedy in self._at.get("on_gradients", ()):
            name = type(remedy).__name__
            part = layout.shown(remedy, gradients)
            known = remedy.remember(memory.get(name, {}), part)
            changed = remedy.on_gradients(part, layout.shown(remedy, parameters), known)
            if known:
                memory = {**memory, name: known}
            if seen is not None:
                seen(remedy, part, changed)
            gradients = {**gradients, **layout.back(remedy, changed)}
        return gradients, memory

    def after_update(self, parameters: Tensors, rate: float | Tensor, layout: Layout) -> Tensors:
        """Return the parameters after the optimizer's step."""
        for remedy in self._at.get("after_update", ()):
            part = layout.shown(remedy, parameters)
            parameters = {**parameters, **layout.back(remedy, remedy.after_update(part, rate))}
        return parameters

    def average(self, averages: Tensors, parameters: Tensors, step: int) -> Tensors:
        """Return the running average of parameters and buffers after update ``step``."""
        for remedy in self._at.get("average", ()):
            averages = remedy.average(averages, parameters, step)
        return averages

    def rate_factor(self, step: int) -> float:
        """Return the multiple of the learning rate that update ``step`` is made with."""
        return math.prod(remedy.rate_factor(step) for remedy in self._at.get("rate_factor", ()))

    def should_stop(self, losses: Sequence[float]) -> bool:
        """Say whether a remedy wants training to end."""
        return any(remedy.should_stop(losses) for remedy in self._at.get("should_stop", ()))


def _is_spec(item: Any) -> bool:
    return (
        isinstance(item, Mapping) and "name" in item and isinstance(item.get("args", {}), Mapping)
    )
