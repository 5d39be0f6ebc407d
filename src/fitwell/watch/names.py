"""Names under which a loop logs its numbers."""

from __future__ import annotations

PHASES = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation"}
"""Beginning of a logged name to the phase that it belongs to."""


def split(name: str) -> tuple[str, str] | None:
    """Split ``val_accuracy`` into ("validation", "accuracy"); None if it begins with no phase."""
    head, _, rest = name.partition("_")
    return (PHASES[head], rest) if head in PHASES and rest else None
