"""Stop when validation no longer improves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from fitwell.errors import ThresholdError, in_range
from fitwell.interfaces import Plain, Remedy, Stage


@final
@dataclass(frozen=True, slots=True)
class EarlyStopping(Remedy):
    """End training when the validation loss has not improved for a while.

    ``Treated.finish()`` then puts the weights of the epoch with the lowest loss back. A loss that
    is not a number counts as no improvement.

    Args:
        patience: Epochs without improvement that are borne, at least 1.
        min_delta: Improvement that counts, in units of the loss, in [0, 1e6].

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Prechelt, "Early Stopping - But When?", 1998.
    """

    stage: ClassVar[Stage] = Stage.STOPPING
    doses: ClassVar[tuple[str, ...]] = ("patience", "min_delta")

    patience: int = 10
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        in_range("patience", self.patience, 1, 1_000_000)
        if not isinstance(self.patience, int):
            raise ThresholdError(f"patience must be a whole number, got {self.patience!r}.")
        in_range("min_delta", self.min_delta, 0.0, 1e6)

    def should_stop(self, losses: Sequence[float]) -> bool:
        """Say whether the last ``patience`` losses all failed to improve on the best before."""
        return stop_early(losses, patience=self.patience, min_delta=self.min_delta)

    def plain(self) -> Mapping[str, Plain]:
        """Name the function behind the seam."""
        args = {"patience": self.patience, "min_delta": self.min_delta}
        return {"should_stop": Plain(stop_early, args)}


def stop_early(losses: Sequence[float], patience: int, min_delta: float) -> bool:
    """Say whether the loss has not improved by more than min_delta for patience epochs."""
    best, best_epoch = float("inf"), -1
    for epoch, loss in enumerate(losses):
        if loss < best - min_delta:
            best, best_epoch = loss, epoch
    return len(losses) - 1 - best_epoch >= patience
