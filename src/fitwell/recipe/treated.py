"""A treated model, and what a training loop needs so that the recipe acts."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, LRScheduler

from fitwell import surgery
from fitwell.errors import BadInput
from fitwell.recipe.changes import Changes
from fitwell.recipe.effects import Tally, sentences
from fitwell.recipe.hooks import Step

if TYPE_CHECKING:
    from fitwell.recipe.recipe import Recipe

_PATIENCE = 200
"""Calls of one seam after which another that was never called is warned about."""


@final
class Treated:
    """The treated copy of a model; made by :meth:`fitwell.Recipe.apply`.

    ``model`` is an ordinary network that carries nothing of fitwell; ``changes`` says what was
    done to it. The methods fit the rest of the recipe to a training loop of one's own::

        optimizer = treated.optimizer(torch.optim.Adam, lr=1e-3)
        loss_fn = treated.loss(torch.nn.functional.cross_entropy)
        for x, y in batches:
            x, y = treated.batch(x, y)
            optimizer.zero_grad()
            loss_fn(treated.model(x), y).backward()
            optimizer.step()

    Args:
        recipe: What was applied.
        model: The treated copy.
        changes: What was done to it.
        seed: Seed of what is random in the batches.
    """

    def __init__(self, recipe: Recipe, model: nn.Module, changes: Changes, *, seed: int) -> None:
        self.recipe = recipe
        self.model = model
        self.changes = changes
        self._seed = seed
        self._generators: dict[torch.device, Generator] = {}
        self._tally = Tally()
        self._best: dict[str, Tensor] | None = None
        self._warned = False

    def optimizer(self, factory: Callable[..., Optimizer], **options: Any) -> Optimizer:
        """Return an optimizer in whose step the recipe acts.

        Args:
            factory: Called with the parameters, as ``torch.optim.Adam`` or a function that makes
                parameter groups of them.
            options: Handed on to the factory.
        """
        optimizer = factory(self.model.parameters(), **options)
        step = Step(self.recipe, self.model, self._tally, notice=self._notice)
        step.attach(optimizer)
        return optimizer

    def loss(self, loss_fn: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
        """Return the loss to train on: as given where gradients are disabled."""
        if not self.recipe.needs("on_loss"):
            return loss_fn
        return TreatedLoss(self.recipe, loss_fn, self._count_loss)

    def batch(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return the batch to train on; the same objects where there is nothing to do."""
        if not self.recipe.needs("on_batch"):
            return x, y
        self._tally.batches += 1
        self._notice(self._tally.batches)
        device = x.device if isinstance(x, Tensor) else torch.device("cpu")
        if device not in self._generators:
            self._generators[device] = Generator(device).manual_seed(self._seed)
        with torch.no_grad():
            return self.recipe.on_batch(x, y, self._generators[device])

    def scheduler(self, optimizer: Optimizer) -> LRScheduler:
        """Return the schedule of the learning rate: constant, as no remedy here changes it."""
        return ConstantLR(optimizer, factor=1.0, total_iters=1)

    def should_stop(self, *, val_loss: float | Tensor) -> bool:
        """Note the validation loss of an epoch, and say whether training shall end.

        The weights with the lowest loss so far are kept for :meth:`finish`, if the recipe stops.
        """
        if not self.recipe.needs("should_stop"):
            return False
        loss = float(val_loss)
        earlier = (known for known in self._tally.validations if known == known)
        if loss < min(earlier, default=float("inf")):
            state = self.model.state_dict()
            self._best = {key: tensor.detach().clone() for key, tensor in state.items()}
        self._tally.validations.append(loss)
        return self.recipe.should_stop(self._tally.validations)

    def finish(self) -> None:
        """Put the best weights seen by :meth:`should_stop` into the model, if there are any."""
        self._warn()
        if self._best is not None:
            self.model.load_state_dict(self._best)

    def unused(self) -> tuple[str, ...]:
        """Return the methods that the recipe needs and the loop never used."""
        tally = self._tally
        used = {
            "batch": (tally.batches, ("on_batch",)),
            "loss": (tally.losses, ("on_loss",)),
            "optimizer": (tally.steps, ("on_gradients", "after_update")),
            "should_stop": (len(tally.validations), ("should_stop",)),
        }
        return tuple(
            method
            for method, (count, seams) in used.items()
            if not count and any(self.recipe.needs(seam) for seam in seams)
        )

    def load_original(self, state_dict: Mapping[str, Tensor]) -> None:
        """Load weights of the untreated model; what the recipe added keeps its values.

        Raises:
            BadInput: If a weight has no place, or another shape, in the treated model.
        """
        own = self.model.state_dict()
        plain = {key.replace(f"{surgery.COMPILED}.", ""): v for key, v in state_dict.items()}
        renamed = {self.changes.keys.get(key, key): value for key, value in plain.items()}
        wrong = [k for k, v in renamed.items() if k not in own or own[k].shape != v.shape]
        if wrong:
            raise BadInput(
                "The weights do not fit the treated model: the recipe has changed their shape or "
                f"left them out.\n  {', '.join(wrong)}"
            )
        self.model.load_state_dict({**own, **renamed})

    def effects(self) -> tuple[str, ...]:
        """Say of each remedy what it was seen to do, as ``"ClipNorm fired in 12 of 40 steps"``."""
        return sentences(self.recipe, self.model, self.changes, self._tally)

    def _count_loss(self) -> None:
        self._tally.losses += 1
        self._notice(self._tally.losses)

    def _notice(self, count: int) -> None:
        if count == _PATIENCE:
            self._warn(besides="should_stop")

    def _warn(self, *, besides: str = "") -> None:
        unused: Iterable[str] = [name for name in self.unused() if name != besides]
        if unused and not self._warned:
            self._warned = True
            calls = ", ".join(f"treated.{name}()" for name in unused)
            warnings.warn(
                f"The recipe {self.recipe} acts only in part: the loop never used {calls}.",
                stacklevel=3,
            )


@final
class TreatedLoss:
    """A loss that the recipe changes in training, and leaves alone in evaluation."""

    def __init__(
        self, recipe: Recipe, loss_fn: Callable[[Any, Any], Tensor], count: Callable[[], None]
    ) -> None:
        self._recipe, self._loss_fn, self._count = recipe, loss_fn, count

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        """Return the loss of a batch."""
        loss = self._loss_fn(outputs, targets)
        if not torch.is_grad_enabled():
            return loss
        self._count()
        return self._recipe.on_loss(loss, outputs, targets)
