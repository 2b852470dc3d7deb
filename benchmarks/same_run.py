"""Whether two runs are the same: weights bit for bit, metrics and history but for the times.

    python benchmarks/same_run.py runs/classification/a runs/classification/b

So a change that must change nothing can be proved: train the same command before it and after it,
on one machine with as many threads, and compare.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

_TIMES = ("seconds", "samples_per_second")


def rows(run: Path) -> list[dict[str, float]]:
    lines = (run / "history.jsonl").read_text("utf-8").splitlines()
    return [
        {name: value for name, value in json.loads(line).items() if name not in _TIMES}
        for line in lines
    ]


def metrics(run: Path) -> dict[str, object]:
    found = json.loads((run / "metrics.json").read_text("utf-8"))
    return {name: value for name, value in found.items() if name not in _TIMES}


def same(first: Path, second: Path) -> dict[str, bool]:
    mine, theirs = (load_file(run / "best.safetensors") for run in (first, second))
    weights = mine.keys() == theirs.keys() and all(
        torch.equal(mine[name], theirs[name]) for name in mine
    )
    return {
        "weights": weights,
        "history": rows(first) == rows(second),
        "metrics": metrics(first) == metrics(second),
    }


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    found = same(*map(Path, sys.argv[1:]))
    print(", ".join(f"{name} {'equal' if equal else 'DIFFER'}" for name, equal in found.items()))
    sys.exit(not all(found.values()))
