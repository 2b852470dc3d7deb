"""How long `--help` takes over importing click alone, in CPU time of whole processes.

With the bytecode of earlier runs, as users have it, whatever the environment says of writing it.

python benchmarks/startup.py
"""

import os
import resource
import statistics
import subprocess
import sys

from machine import describe

ROUNDS = 30
COMMANDS = {
    "import click": ["-c", "import click"],
    "labs --help": ["-m", "labs", "--help"],
    "labs.classification --help": ["-m", "labs.classification", "--help"],
    "labs.classification train --help": ["-m", "labs.classification", "train", "--help"],
    "labs.autoencoder train --help": ["-m", "labs.autoencoder", "train", "--help"],
    "labs.detection train --help": ["-m", "labs.detection", "train", "--help"],
    "labs.rnn sentiment --help": ["-m", "labs.rnn", "sentiment", "--help"],
    "labs.classification train --modle x": ["-m", "labs.classification", "train", "--modle", "x"],
}


def cpu_milliseconds(arguments: list[str]) -> float:
    """Run Python once; returns user and system time."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    print(describe())
    rounds = [
        {name: cpu_milliseconds(arguments) for name, arguments in COMMANDS.items()}
        for _ in range(ROUNDS + 1)
    ][1:]
    medians = {name: statistics.median(row[name] for row in rounds) for name in COMMANDS}
    print(f"{'median of ' + str(ROUNDS):38}{'CPU ms':>8}{'more':>8}")
    for name, median in medians.items():
        print(f"{name:38}{median:>8.1f}{median - medians['import click']:>+8.1f}")


if __name__ == "__main__":
    main()
