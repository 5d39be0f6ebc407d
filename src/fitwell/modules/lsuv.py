"""Weights scaled layer by layer until what a layer puts out has variance 1; torch alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from fitwell.modules.rows import observe, sample


def level_outputs(
    model: nn.Module, paths: Sequence[str], rows: Any, tolerance: float, rounds: int
) -> dict[str, tuple[float, float]]:
    """Scale the weights of layers until what they put out has variance 1.

    All layers are served in one forward pass: a layer's output is made anew from its new weights
    before the next layer runs.

    Args:
        model: The network; the weights at ``paths`` are changed.
        paths: Names of the layers.
        rows: Rows of training data, as the network is called with them.
        tolerance: How far a variance may be from 1.
        rounds: How often a layer is scaled at most.

    Returns:
        The variance of each layer's output before and after; 0 for both where it is the same
        everywhere, so that no factor gives it another.

    Raises:
        ValueError: If every output is the same everywhere, or one is not finite.

    References:
        Mishkin & Matas, "All you need is a good init", 2015, arXiv:1511.06422.
    """
    names = {model.get_submodule(path): path for path in paths}
    found: dict[str, tuple[float, float]] = {}

    def level(module: Any, args: Any, kwargs: Any, output: Tensor) -> Tensor:
        name = names[module]
        variance = first = spread(output, name)
        for _ in range(rounds):
            if not variance or abs(variance - 1) <= tolerance:
                break
            module.weight.div_(variance**0.5)
            output = module.forward(*args, **kwargs)
            variance = spread(output, name)
        found[name] = (first, variance)
        return output

    observe(model, sample(rows), dict.fromkeys(names, level))
    if not any(end for _, end in found.values()):
        raise ValueError(f"the output of {next(iter(found), 'every layer')} is the same everywhere")
    return found


def spread(output: Tensor, name: str) -> float:
    """Return the variance of an output over everything; 0 if that is but rounding."""
    exact = output.double()
    variance = float(exact.var(correction=0))
    if not variance < float("inf"):
        raise ValueError(f"the output of {name or 'the network'} is not finite")
    return variance if variance > 1e-12 * float(exact.square().mean()) else 0.0
