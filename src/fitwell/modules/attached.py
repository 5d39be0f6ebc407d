"""A layer with modules before it, which answers for what its network reads of it; torch alone."""

from __future__ import annotations

from typing import Any

from torch import nn


class Attached(nn.Sequential):
    """Modules in a row, the last of which is ``layer``: attributes it lacks are those of the layer.

    So a network that reads ``self.conv.weight`` or ``self.conv.stride`` still finds them.
    """

    def __getattr__(self, name: str) -> Any:
        """Return what is asked for, the row's own or the layer's."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            # How a layer is copied and saved is its own affair.
            own = name == "layer" or name.startswith("__")
            if own or "layer" not in vars(self).get("_modules", {}):
                raise
            return getattr(self._modules["layer"], name)
