"""Which dataset a batch comes from: how an evaluation on training rows is told from validation."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, final

from torch.utils.data import dataloader


class LoaderListener(Protocol):
    """Who wants to hear of the batches that data loaders hand out."""

    def batch_loaded(self, dataset: Any) -> None:
        """Hear that a loader handed out a batch of this dataset."""

    def loader_ended(self) -> None:
        """Hear that a loader has no more batches."""


@contextmanager
def loaders_told(listener: LoaderListener) -> Iterator[None]:
    """Tell a listener of the batches of every ``DataLoader`` in this process.

    Args:
        listener: Who is told.
    """
    iterator = dataloader._BaseDataLoaderIter
    following = iterator.__next__

    @functools.wraps(following)
    def told(self: Any) -> Any:
        try:
            batch = following(self)
        except StopIteration:
            listener.loader_ended()
            raise
        listener.batch_loaded(self._dataset)
        return batch

    iterator.__next__ = told  # type: ignore[method-assign]  # this command alone may patch
    try:
        yield
    finally:
        iterator.__next__ = following  # type: ignore[method-assign]


@final
class Datasets:
    """Which datasets have been trained on.

    It keeps none of them alive where the dataset can be referred to weakly.
    """

    def __init__(self) -> None:
        self._trained: list[Any] = []
        self._current: Any = None

    def loaded(self, dataset: Any) -> None:
        """Note where the batch that is worked on comes from; None if from no loader."""
        self._current = None if dataset is None else _reference(dataset)

    def current(self) -> Any:
        """Return the dataset of the batch that is worked on, or None."""
        return self._current() if self._current is not None else None

    def trained(self) -> None:
        """Note that the batch that is worked on was trained on."""
        if self.current() is not None and not self.is_trained():
            self._trained = [one for one in self._trained if one() is not None]
            self._trained.append(self._current)

    def is_trained(self) -> bool:
        """Whether the batch that is worked on comes from a dataset that was trained on."""
        dataset = self.current()
        return dataset is not None and any(one() is dataset for one in self._trained)


def _reference(dataset: Any) -> Any:
    try:
        return weakref.ref(dataset)
    except TypeError:  # a list, for one
        return functools.partial(_same, dataset)


def _same(dataset: Any) -> Any:
    return dataset
