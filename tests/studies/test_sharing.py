from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from fitwell.studies.sharing import LARGE, shared
from fitwell.studies.training import without_test

LONG = LARGE // 4


def elsewhere(call, expression: str, tmp_path: Path) -> str:
    """Evaluate an expression of ``value`` in another process."""
    import pickle

    (tmp_path / "call").write_bytes(pickle.dumps(call))
    code = textwrap.dedent(
        f"""
        import pickle, torch, numpy
        with open({str(tmp_path / "call")!r}, "rb") as file:
            value = pickle.load(file)()
        print({expression})
        """
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("dtype", [torch.float32, torch.long, torch.bool, torch.bfloat16])
def test_a_large_tensor_comes_back_as_it_was(dtype, tmp_path):
    tensor = torch.arange(3 * LARGE).reshape(3, -1).to(dtype)
    again = shared({"x": tensor}, tmp_path)()["x"]
    assert again.dtype == dtype
    assert torch.equal(again, tensor)


def test_large_arrays_lie_in_files_and_small_ones_in_the_pickle(tmp_path):
    shared((torch.zeros(LONG), np.ones(LONG, np.float32), torch.zeros(LONG - 1)), tmp_path)
    sizes = sorted(path.stat().st_size for path in tmp_path.glob("*.bin"))
    assert sizes == [LARGE, LARGE]
    assert all(path.stat().st_size < LARGE + 4096 for path in tmp_path.glob("*.pkl"))


def test_equal_arrays_are_written_once(tmp_path):
    shared([torch.ones(LONG), torch.ones(LONG)], tmp_path)
    shared(torch.ones(LONG), tmp_path)
    assert len(list(tmp_path.glob("*.bin"))) == 1


def test_who_writes_to_a_shared_tensor_is_the_only_one_who_sees_it(tmp_path):
    call = shared((torch.ones(LONG), np.ones(LONG, np.float32)), tmp_path)
    assert elsewhere(call, "value[0].zero_().sum().item()", tmp_path) == "0.0"
    assert elsewhere(call, "value[1].fill(0), value[1].sum()", tmp_path) == "None 0.0"
    assert elsewhere(call, "value[0].sum().item(), value[1].sum()", tmp_path) == "16384.0 16384.0"


def test_a_tensor_in_another_order_keeps_it(tmp_path):
    tensor = torch.zeros(4, 8, 64, 64).to(memory_format=torch.channels_last)
    again = shared(tensor, tmp_path)()
    assert again.stride() == tensor.stride()


def test_parameters_stay_parameters(tmp_path):
    again = shared(torch.nn.Linear(200, 200), tmp_path)()
    assert isinstance(again.weight, torch.nn.Parameter)
    assert again.weight.requires_grad


def test_withheld_test_rows_do_not_travel_along(make_task, tmp_path):
    task = make_task()
    marked = torch.full((50, 4), 7.25)
    task.data.test.x.copy_(marked)
    shared(without_test(task), tmp_path)
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert marked[:1].numpy().tobytes() not in content


def test_what_a_factory_closes_over_is_mapped_too(tmp_path):
    table = torch.arange(float(LONG))
    call = shared(lambda: table[5], tmp_path)
    assert elsewhere(call, "value().item()", tmp_path) == "5.0"
    assert len(list(tmp_path.glob("*.bin"))) == 1
