"""Versions of what results depend on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version


def versions() -> dict[str, str]:
    """Return the versions of the libraries that results depend on."""
    found = {"python": platform.python_version()}
    for name in ("fitwell", "torch", "numpy", "scikit-learn", "scipy", "optuna", "kornia"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
