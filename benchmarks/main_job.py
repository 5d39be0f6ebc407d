"""The figures of the README: the main job on every built-in task, and its false alarms.

    .venv/bin/python benchmarks/main_job.py [--budget 2min] [--seeds 8] [--only TASK …]

Each row is one run of the command line in a process of its own. Memory is the largest sum of the
proportional set sizes (PSS) of its processes, read twice a second. Writes a Markdown table.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
TASKS = (
    *("mnist-small", "digits-deep", "digits-rows-rnn", "breast-cancer", "wine", "diabetes"),
    *("docstrings", "digits-healthy", f"{HERE / 'flipped_wine.py'}:task"),
)


def family(root: int) -> list[int]:
    """Return a process and all that came of it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [root]
    while queue:
        found.append(queue.pop())
        queue += children.get(found[-1], [])
    return found


def pss_mb(root: int) -> float:
    """Return the sum of PSS over a process and all that came of it, in MB."""
    total = 0
    for pid in family(root):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def cure(task: str, budget: str, seeds: int) -> str:
    """Run one cure and return its row."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        program = Path(sys.executable).with_name("fitwell")
        command = [str(program), "cure", task, "--out", str(out)]
        command += ["--budget", budget, "--seeds", str(seeds)]
        start, peak = time.perf_counter(), 0.0
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None:
                peak = max(peak, pss_mb(process.pid))
                time.sleep(0.5)
        wall = time.perf_counter() - start
        if process.returncode:
            return f"| {task} | exit code {process.returncode} |"
        result = json.loads((out / "result.json").read_text())
    untreated = result["baseline"]["per_seed"]
    cured = result["cured"]["per_seed"]
    effect = result["effect"]
    name = Path(task).stem if ":" in task else task
    found = ", ".join(f["condition"] for f in result["diagnosis"]["findings"]) or "none"
    recipe = " + ".join(spec["name"] for spec in result["recipe"]) or "none"
    spread = f"{min(untreated):.3f} to {max(untreated):.3f}"
    return (
        f"| {name} | {found} | {result['baseline']['metric']} "
        f"{statistics.median(untreated):.3f} ({spread}) | {statistics.median(cured):.3f} "
        f"({min(cured):.3f} to {max(cured):.3f}) "
        f"| {effect['mean']:+.3f} [{effect['low']:+.3f}, {effect['high']:+.3f}] "
        f"| {recipe} | {result['runs']} | {wall:.0f} | {peak:.0f} |"
    )


def false_alarms(runs: int) -> str:
    """Count the findings on the healthy task over seeds."""
    from fitwell import studies, tasks

    task = tasks.builtin()["digits-healthy"].make()
    alarms = [studies.check(task, seed=seed)[0].conditions for seed in range(runs)]
    return f"digits-healthy, {runs} seeds: {sum(map(bool, alarms))} with a finding {alarms}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", default="2min")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--only", nargs="*", default=TASKS)
    chosen = parser.parse_args()
    print(
        "| task | found | untreated: median (spread) | cured | effect [95 %] | recipe | runs "
        "| seconds | peak MB |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for task in chosen.only:
        print(cure(task, chosen.budget, chosen.seeds), flush=True)
    print(false_alarms(10))


if __name__ == "__main__":
    main()
