"""Which of torch's loss functions a loss calls, and what it hands over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from fitwell.probes.loss_facts import expected_output


@final
class Hearing(TorchFunctionMode):
    """Context manager around code that a user wrote: hears torch's losses inside.

    The first one that is called counts; loss modules call them too.

    Attributes:
        function: The loss function of torch, or None if none was called.
        given: What it was handed as output and target; empty if none was called.
        result: What it returned.
        summed: Whether it summed over the rows instead of taking their mean.
    """

    def __init__(self) -> None:
        super().__init__()
        self.function: Callable[..., Any] | None = None
        self.given: tuple[Tensor, ...] = ()
        self.result: Tensor | None = None
        self.summed = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        named = {} if kwargs is None else kwargs
        if self.function is not None or not expected_output(func):
            return func(*args, **named)
        operands = (*args, *(named[n] for n in ("input", "target") if n in named))[:2]
        if len(operands) < 2 or not all(isinstance(one, Tensor) for one in operands):
            return func(*args, **named)
        self.function, self.given = func, operands
        self.summed = named.get("reduction") == "sum"
        self.result = func(*args, **named)
        return self.result

    def is_all_of(self, loss: Tensor) -> bool:
        """Whether a loss is what the function returned, or its mean, and no sum of several."""
        if self.result is None:
            return False
        mine = self.result.detach()
        return any(
            one.shape == loss.shape and torch.equal(one, loss.detach())
            for one in (mine, mine.mean())
        )
