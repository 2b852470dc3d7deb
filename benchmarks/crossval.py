"""Cross-validation beside as many calls of fit on the same rows, in one process: CPU seconds.

python benchmarks/crossval.py              # LeNet-5 on mnist5k, 5 folds of 20 epochs
python benchmarks/crossval.py --epochs 60  # with any options of crossval
"""

import contextlib
import io
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from machine import describe

from common.options import terminal
from common.training.compute import Compute
from labs.classification.__main__ import lab
from labs.classification.experiments.crossval import CrossvalImages
from labs.classification.job import ClassifyImages

OPTIONS = ("--epochs", "20", "--threads", "1")
ROUNDS = 2


def main() -> None:
    options = [*OPTIONS, *sys.argv[1:]]
    print(describe())
    whole, alone = [], []
    for number in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            whole.append(measure_crossval(options, folder))
            run = Path(folder) / "classification" / "cv"
            alone.append(measure_fits(run))
        print(f"round {number + 1}: crossval {whole[-1]:.1f} CPU s, fits alone {alone[-1]:.1f}")
    ratios = [mine / theirs for mine, theirs in zip(whole, alone, strict=True)]
    print(f"median ratio {median(ratios):.3f}")


def measure_crossval(options: list[str], folder: str) -> float:
    """Run the command; return its CPU seconds."""
    sys.argv = ["lab", "crossval", *options, "--run-dir", folder, "--name", "cv"]
    before = time.process_time()
    output = io.StringIO()
    with (
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
        contextlib.suppress(SystemExit),
    ):
        lab.main()
    if not (Path(folder) / "classification" / "cv" / "metrics.json").exists():
        sys.exit(output.getvalue())
    return time.process_time() - before


def measure_fits(run: Path) -> float:
    """Fit the models of a run of crossval once more, and no more; return the CPU seconds."""
    whole = CrossvalImages.reopen(run)
    seconds = 0.0
    for name, member in CrossvalImages.plan(whole.config).items():
        splits, card = ClassifyImages.load(member)
        job = ClassifyImages(member, Compute(member.device), card)
        job.create(run / "alone", name, name)
        with contextlib.redirect_stderr(io.StringIO()), terminal.display(1, []) as display:
            before = time.process_time()
            job.train(splits, display, terminal.note)
            seconds += time.process_time() - before
    return seconds


if __name__ == "__main__":
    main()
