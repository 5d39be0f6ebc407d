"""The data of claims hold the rows that they promise."""

from functools import partial

import torch

from fitwell.claims.tasks import mnist_task, rows_task
from fitwell.tasks.models import RowReader, mlp


def test_the_rows_of_mnist_are_the_promised_numbers_of_every_class():
    """Shares that do not sum to one leave rows out, and no class is left short."""
    for task in (mnist_task(partial(mlp, (784, 10), flatten=True)), rows_task(partial(RowReader))):
        data = task.data
        for split, rows in ((data.train, None), (data.validation, 1000), (data.test, 2000)):
            counts = torch.bincount(split.y, minlength=10)
            assert len(set(counts.tolist())) == 1
            assert rows is None or len(split) == rows
