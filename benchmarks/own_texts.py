"""A user's own texts and pairs with nothing but their file named, beside the best baseline.

python benchmarks/own_texts.py reviews.csv ratings.tsv     # tables of texts with labels
python benchmarks/own_texts.py --pairs pairs.txt           # tables of pairs to translate
python benchmarks/own_texts.py --tweets                    # the embedded tweets, split seeds 0 to 3

Reviews that are public: rt-polarity (Pang and Lee 2005) as `text,label`, the first 20,000 of NSMC
(github.com/e9t/nsmc) as they are; pairs: Tatoeba's English-Korean ones (manythings.org/anki).
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import cpu_seconds, describe

SPLITS = ("0", "1", "2", "3")


def main() -> None:
    print(describe())
    words = sys.argv[1:]
    if not words:
        print(__doc__)
        return
    print(f"\n{'data':<24}{'test':>8}{'best baseline':>44}{'lead, 95 % interval':>28}{'CPU s':>8}")
    if words == ["--tweets"]:
        for seed in SPLITS:
            measure(f"tweets, split seed {seed}", "sentiment", "--split-seed", seed)
    elif words[0] == "--pairs":
        for path in words[1:]:
            measure(Path(path).name, "translate", "--data", path)
    else:
        for path in words:
            measure(Path(path).name, "sentiment", "--data", path)


def measure(title: str, *words: str) -> None:
    """Run a command, and print its figure beside that of the best baseline."""
    figure = "chrf" if words[0] == "translate" else "balanced_accuracy"
    before = cpu_seconds()
    with tempfile.TemporaryDirectory() as folder:
        options = ["--run-dir", folder, "--name", "run"]
        program = [sys.executable, "-m", "labs.rnn", *words, *options]
        subprocess.run(program, check=True, capture_output=True)
        metrics = json.loads(Path(folder, "rnn", "run", "metrics.json").read_text("utf-8"))
    name, best = max(metrics["baselines"].items(), key=lambda item: item[1][figure])
    low, high = best["lead_interval"]
    print(
        f"{title:<24}{metrics['test'][figure]:>8.4f}{name:>36}{best[figure]:>8.4f}"
        f"{best['lead']:>+10.4f} ({low:+.4f} to {high:+.4f}){cpu_seconds() - before:>8.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
