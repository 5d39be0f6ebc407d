"""The examples that users copy run as they stand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


SAYS = {
    "compare_recipes.py": ["untreated", "dropout", "weight decay", "0."],
    "cure_a_csv.py": ["recipe: ", "recipe.json report.html report.md result.json", "## wine"],
    "own_remedy.py": ["accuracy on rows kept aside: 0.8", "still sum to what they did"],
    "preflight.py": ["severe loss_output_mismatch", "afterwards: healthy: no finding"],
    "treat.py": ["accuracy on rows kept aside: 0.9", "def treat(", "BatchNorm"],
    "watch_a_loop.py": ["vanishing_gradients", "of the time"],
}


def test_every_example_is_run() -> None:
    assert sorted(SAYS) == sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("name", SAYS)
def test_an_example_says_what_it_should(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    lines = (EXAMPLES / name).read_text(encoding="utf-8").splitlines()
    assert 20 <= len(lines) <= 50
    assert not [words for words in SAYS[name] if words not in done.stdout], done.stdout
