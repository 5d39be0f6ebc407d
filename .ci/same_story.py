"""Check that the terminal said what result.json says: same_story.py TERMINAL FOLDER COPY."""

import json
import sys
from pathlib import Path
from statistics import fmean


def main(terminal: str, folder: str, copy: str) -> int:
    """Return the number of things that were not told alike, each printed."""
    told = " ".join(Path(terminal).read_text(encoding="utf-8").split())
    result = json.loads((Path(folder) / "result.json").read_text(encoding="utf-8"))
    effect = result["effect"]
    wanted = {
        "findings": [
            f["condition"].replace("_", " ").capitalize() for f in result["diagnosis"]["findings"]
        ],
        "remedies": [spec["name"] for spec in result["recipe"]],
        "accuracy": [
            f"{100 * fmean(result[side]['per_seed']):.1f} %" for side in ("baseline", "cured")
        ],
        "effect": [f"{100 * effect[end]:+.1f}" for end in ("mean", "low", "high")],
        "runs": [f"{result['runs']:,} runs"],
    }
    wrong = [
        f"{what}: result.json says {text!r}, the terminal does not"
        for what, texts in wanted.items()
        for text in texts
        if text not in told
    ]
    if json.loads(Path(copy).read_text(encoding="utf-8")) != result:
        wrong.append("--json holds something else than result.json")
    if not result["diagnosis"]["findings"] or not effect["low"] > 0:
        wrong.append(f"mnist-small was not cured: {result['diagnosis']}, {effect}")
    missing = {"report.html", "report.md", "recipe.json", "treated.py", "model.pt"} - {
        path.name for path in Path(folder).iterdir()
    }
    wrong += [f"{name} was not written" for name in sorted(missing)]
    print(*(wrong or ["result.json and the terminal tell the same story"]), sep="\n")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
