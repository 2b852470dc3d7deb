"""Autoencoders as a user trains them, over seeds, against PCA, linear probes and filters.

python benchmarks/autoencoder.py                       # all of COMMANDS
python benchmarks/autoencoder.py train --latent-size 2 # one of them, or any other options
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from machine import describe

SEEDS = (0, 1, 2)
COMMANDS = (
    "train",
    "train --latent-size 2",
    "train --model denoising",
)


def main() -> None:
    print(describe())
    given = " ".join(sys.argv[1:])
    for command in [given] if given else COMMANDS:
        measure(command)


def measure(command: str) -> None:
    """Run a command with each seed, and print its figures."""
    print(f"\n{command}", flush=True)
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            words = [*command.split(), "--seed", str(seed), "--run-dir", folder]
            program = [sys.executable, "-m", "labs.autoencoder", *words, "--name", str(seed)]
            subprocess.run(program, check=True, capture_output=True)
            run = Path(folder, "autoencoder", str(seed))
            metrics = _read(run / "metrics.json")
            print(f"seed {seed}: " + _result(metrics), flush=True)
            probe = run / "views" / "probe.json"
            if probe.exists():
                print(f"    {_read(probe)['verdict']}", flush=True)
            pca = metrics["baselines"]["PCA"]
            if "ratio" in pca:
                ratios.append(pca["ratio"])
    if ratios:
        print(f"error as a share of PCA's: mean {statistics.mean(ratios):.3f}, {ratios}")


def _result(metrics: dict[str, Any]) -> str:
    name = "psnr" if "psnr" in metrics["test"] else "mse"
    low, high = metrics["test"][f"{name}_interval"]
    seconds = metrics["seconds"]
    lines = [
        f"{name} {metrics['test'][name]:.5g} ({low:.5g} to {high:.5g}), best epoch "
        f"{metrics['best_epoch']}, training {seconds['train']:.1f} s, all {seconds['total']:.1f} s"
    ]
    for baseline, values in metrics["baselines"].items():
        low, high = values["lead_interval"]
        lines.append(
            f"    {baseline}: {values[name]:.5g}, lead {values['lead']:+.5g} "
            f"({low:+.5g} to {high:+.5g})"
        )
    return "\n".join(lines)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
