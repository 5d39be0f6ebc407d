"""Predictions with their uncertainty: many passes through a network whose dropout stays on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from fitwell.anatomy import run, tensors_in, undisturbed
from fitwell.errors import BadInput, in_range

_DROPOUTS = frozenset(
    {
        *(F.dropout, F.dropout1d, F.dropout2d, F.dropout3d),
        *(F.alpha_dropout, F.feature_alpha_dropout),
    }
)


@final
@dataclass(frozen=True, eq=False)
class MonteCarlo:
    """What a network puts out with units dropped at random, many times.

    Args:
        samples: The outputs, (samples, *output).
    """

    samples: Tensor

    @property
    def mean(self) -> Tensor:
        """The mean output; about that of the network in evaluation."""
        return self.samples.mean(0)

    @property
    def deviation(self) -> Tensor:
        """The standard deviation of the outputs: what the network itself is unsure of."""
        return self.samples.std(0)

    def probabilities(self, axis: int = 1) -> Tensor:
        """Return the mean probability of each class, of outputs that are logits.

        Args:
            axis: Axis of the output that holds the classes, not the first. A single logit is that
                of the second of two classes.

        Raises:
            BadInput: If the output has no such axis.
        """
        return self._log_probabilities(axis).exp().mean(0)

    def entropy(self, axis: int = 1) -> Tensor:
        """Return the entropy of the mean probabilities, in nats: all the uncertainty there is."""
        entropies: Tensor = torch.special.entr(self.probabilities(axis))
        return entropies.sum(self._place(axis))

    def mutual_information(self, axis: int = 1) -> Tensor:
        """Return how much of the entropy comes of the network, and not of the classes, in nats.

        It is the entropy of the mean less the mean of the entropies (Houlsby et al., 2011,
        arXiv:1112.5745): 0 where all samples agree, however unsure each is.
        """
        logs = self._log_probabilities(axis)
        place = self._place(axis)
        expected = -(logs.exp() * logs).nan_to_num(0.0).sum(1 + place).mean(0)
        return (self.entropy(axis) - expected).clamp(min=0.0)

    def _place(self, axis: int) -> int:
        """Return the number of an axis of the output, counted from the front."""
        axes = self.samples.dim() - 1
        place = axis + axes if axis < 0 else axis
        if not 0 < place < axes:
            raise BadInput(
                f"The output {tuple(self.samples.shape[1:])} has no axis {axis} of classes behind "
                "the rows: give the axis, or let the network put out one logit a class."
            )
        return place

    def _log_probabilities(self, axis: int) -> Tensor:
        place = 1 + self._place(axis)
        logits = self.samples.to(torch.promote_types(self.samples.dtype, torch.float32))
        if logits.shape[place] == 1:
            logits = torch.cat((torch.zeros_like(logits), logits), place)
        return logits.log_softmax(place)


def monte_carlo(
    model: nn.Module, inputs: object, *, samples: int = 50, seed: int = 0
) -> MonteCarlo:
    """Predict many times with dropout on, for a mean and its uncertainty.

    Only dropout acts as in training: layers and functions of dropout, and the dropout inside
    recurrent layers and ``nn.MultiheadAttention``. Batch normalisation and all else stay in
    evaluation. Modes, buffers and random numbers are afterwards as they were.

    Args:
        model: A network with dropout, trained with it.
        inputs: A tensor, a tuple of positional arguments or a mapping of keyword arguments.
        samples: Number of passes, from 2. The standard error of the mean is the deviation divided
            by its square root.
        seed: Seed of what is dropped, from 0.

    Returns:
        The outputs; of a network that puts out several tensors, those of the first.

    Raises:
        BadInput: If the network has no active dropout, or puts out no tensor.
        ThresholdError: If an argument is out of range.

    References:
        Gal & Ghahramani, "Dropout as a Bayesian Approximation", 2016, arXiv:1506.02142.
    """
    in_range("samples", samples, 2, 1_000_000)
    in_range("seed", seed, 0, 1e12)
    outputs = []
    with undisturbed(model), torch.no_grad(), _dropping(model) as drops:
        torch.manual_seed(seed)
        for _ in range(int(samples)):
            found = next(tensors_in(run(model, inputs)), None)
            if found is None or not found.is_floating_point():
                raise BadInput("Expected a network that puts out a tensor of floating point.")
            if not drops():
                raise BadInput(
                    "The network has no active dropout: every pass would give the same.\n"
                    "  train it with dropout, as by Recipe(Dropout()); its rate must be above 0"
                )
            outputs.append(found.clone())
    return MonteCarlo(torch.stack(outputs))


@contextmanager
def _dropping(model: nn.Module) -> Iterator[Callable[[], bool]]:
    """Switch on what drops, in a model that is in evaluation; yield whether anything does."""
    inner = [module for module in model.modules() if _drops_inside(module)]
    for module in inner:
        module.training = True
    with _DropoutOn() as mode:
        yield lambda: bool(inner) or mode.calls > 0


def _drops_inside(module: nn.Module) -> bool:
    """Whether training a module means nothing but dropout, inside a kernel or step by step."""
    if isinstance(module, nn.MultiheadAttention):
        return bool(module.dropout > 0)
    if not isinstance(module, nn.RNNBase):
        return False
    between = module.dropout > 0 and module.num_layers > 1
    return between or bool(getattr(module, "variational", 0.0) > 0)


@final
class _DropoutOn(TorchFunctionMode):
    """Lets functions of dropout, those of layers included, act whatever the mode they are told."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _DROPOUTS and kwargs.get("p", 0.5) > 0:
            self.calls += 1
            # In place it would change what the user has given.
            kwargs = {**kwargs, "training": True, "inplace": False}
        return func(*args, **kwargs)
