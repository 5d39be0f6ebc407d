"""The examples that users copy run as they stand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("watch_a_loop.py", ["vanishing_gradients"]),
        ("treat.py", ["accuracy on rows kept aside: 0.9", "def treat(", "BatchNorm"]),
        ("compare_recipes.py", ["untreated", "dropout", "weight decay"]),
    ],
)
def test_an_example_says_what_it_should(name, said):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert not [words for words in said if words not in done.stdout], done.stdout
