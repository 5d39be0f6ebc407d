"""Cure a table of one's own, as `fitwell cure wine.csv --target kind --runs 8 --seeds 3` does."""

from pathlib import Path
from tempfile import TemporaryDirectory

from sklearn.datasets import load_wine

import fitwell
from fitwell.tasks import load

with TemporaryDirectory() as folder:
    table = Path(folder) / "wine.csv"
    frame = load_wine(as_frame=True).frame.rename(columns={"target": "kind"})
    frame["kind"] = frame["kind"].map({0: "Barolo", 1: "Grignolino", 2: "Barbera"})
    frame.to_csv(table, index=False)

    task = load(str(table), column="kind")
    found = fitwell.cure(task, runs=8, seeds=3, out=Path(folder) / "cured")

    print(found.diagnosis)
    print("recipe:", found.recipe)  # "untreated" if nothing was proven to help
    print("files:", *sorted(path.name for path in found.out.iterdir()))
    report = found.report(Path(folder) / "for_a_pull_request.md")
    print(*report.read_text(encoding="utf-8").splitlines()[:3], sep="\n")
