"""Forecasts as a user trains them, over seeds: the test MASE of network and baselines.

python benchmarks/forecast.py                    # Google's price, stocks, the seasonal series
python benchmarks/forecast.py --cell lstm        # with any options of `forecast`
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import describe

SEEDS = (0, 1, 2)
CASES = {
    "google": [],
    "stocks": ["--recipe", "stocks"],
    "seasonal": ["--recipe", "seasonal"],
    "seasonal, recursive": ["--recipe", "seasonal", "--strategy", "recursive"],
    "seasonal, encoder-decoder": ["--recipe", "seasonal", "--strategy", "encoder-decoder"],
    "seasonal, quantiles": ["--recipe", "intervals"],
}


def main() -> None:
    print(describe())
    for case, options in CASES.items():
        runs = [metrics(options, seed) for seed in SEEDS]
        tests = [run["test"]["mase"] for run in runs]
        seconds = max(run["seconds"]["train"] for run in runs)
        each = ", ".join(f"{mase:.4f}" for mase in tests)
        print(f"\n{case}: test MASE {statistics.mean(tests):.4f} ({each}), at most {seconds:.1f} s")
        for name, values in runs[0]["baselines"].items():
            leads = [run["baselines"][name]["lead_interval"] for run in runs]
            won = sum(low > 0 for low, _ in leads)
            lost = sum(high < 0 for _, high in leads)
            print(f"  {name:24}{values['mase']:>8.4f}  beaten in {won} of {len(runs)}, lost {lost}")
        if "coverage" in runs[0]["test"]:
            shares = ", ".join(f"{run['test']['coverage']:.3f}" for run in runs)
            print(f"  coverage of the 80 % interval: {shares}")
        sys.stdout.flush()


def metrics(options: list[str], seed: int) -> dict:
    """Return what metrics.json of a run holds."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "labs.rnn", "forecast", *options, *sys.argv[1:]]
        command += ["--seed", str(seed), "--run-dir", folder, "--name", "run"]
        subprocess.run(command, check=True, capture_output=True)
        return json.loads(Path(folder, "rnn", "run", "metrics.json").read_text())


if __name__ == "__main__":
    main()
