"""What the seams need to know of a network's parameters besides their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, final

from torch import nn

from fitwell import surgery
from fitwell.recipe.printed import turned

if TYPE_CHECKING:
    from fitwell.interfaces import Remedy, Tensors

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@final
@dataclass(frozen=True)
class Layout:
    """Names of parameters that seams treat in a way of their own.

    Args:
        weights: Those that multiply an input.
        transposed: Weights of transposed convolutions ``(inputs, units, *space)``, whose units lie
            on the second axis; the units of all groups at one place count as one.
    """

    weights: frozenset[str] = frozenset()
    transposed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, model: nn.Module) -> Self:
        """Return the layout of a network."""
        transposed = {
            f"{path}.weight".lstrip(".")
            for path, module in model.named_modules()
            if isinstance(module, _TRANSPOSED)
        }
        return cls(surgery.weight_names(model), frozenset(transposed))

    def shown(self, remedy: Remedy, tensors: Tensors, lead: int = 0) -> Tensors:
        """Return tensors as a remedy wants them: those in its scope, as views.

        Args:
            remedy: Which wants them.
            tensors: Parameters or gradients by name.
            lead: Number of leading axes that are those of runs.
        """
        if remedy.scope == "weights":
            tensors = {name: t for name, t in tensors.items() if name in self.weights}
        return self._turned(remedy, tensors, lead)

    def back(self, remedy: Remedy, tensors: Tensors, lead: int = 0) -> Tensors:
        """Return what a remedy made of :meth:`shown` tensors as the network holds them."""
        return self._turned(remedy, tensors, lead)

    def _turned(self, remedy: Remedy, tensors: Tensors, lead: int) -> Tensors:
        """Exchange the first two axes of what is transposed; twice is as before."""
        if not remedy.units_first or self.transposed.isdisjoint(tensors):
            return tensors
        return turned(tensors, self.transposed, lead)
