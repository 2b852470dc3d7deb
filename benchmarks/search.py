"""Searches: what a trial costs beside its training, what is said of copies, and what kills do.

    python benchmarks/search.py [overhead|copies|kills]

- overhead: a search of 20 trials on digits; the time of a trial without that of its training
  (sampling, the journal, folder and model of the run, its answers), of this process and by the
  clock. The data is read once.
- copies: `--space momentum=float:0:0.9` with adamw, which has no momentum: ten trials of one
  configuration with other seeds. How often do they all count as level, of 20 searches?
- kills: a search that is killed ten times (SIGKILL), each time at another moment, and goes on with
  `--resume`, beside one that was left alone. Is all the same but times, and is any trial that was
  finished done again?
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from machine import describe
from safetensors.torch import load_file

from common.options.config import build
from common.options.terminal import ManyDisplay
from common.reuse import reuse
from common.runs.job import Job
from labs.classification.experiments.config import SearchConfig
from labs.classification.experiments.search import SearchImages

TRIALS, COPIES, SEARCHES, KILLS = 20, 10, 20, 10
OPTIONS = {"data": "digits", "model": "mlp", "epochs": 3, "batch_size": 32, "threads": 1}


def main() -> None:
    print(describe(), flush=True)
    chosen = sys.argv[1:] or ["overhead", "copies", "kills"]
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            globals()[f"measure_{name}"](Path(folder) / name)


def begin(folder: Path, name: str, **options: Any) -> SearchImages:
    values = {**OPTIONS, "prune": False, "run_dir": str(folder), "name": name, **options}
    return SearchImages.start(build(SearchConfig, ("options", values)))


# --- overhead -------------------------------------------------------------------------------------


def measure_overhead(folder: Path) -> None:
    fit, inside = Job._fit, [0.0, 0.0]

    def timed(*given: Any) -> None:
        before = clocks()
        fit(*given)
        for place, (now, then) in enumerate(zip(clocks(), before, strict=True)):
            inside[place] += now - then

    Job._fit = timed  # type: ignore[method-assign]
    space = ("learning_rate=log:1e-4:1e-1", "optimizer=adamw|sgd", "batch_size=int:16:64")
    with reuse():
        for name, trials in (("warm", 2), ("measured", TRIALS)):
            search = begin(folder, name, space=space, trials=trials)
            study = search.open_study()
            before, inside[:] = clocks(), [0.0, 0.0]
            search._work(study, None, ManyDisplay(None))
            whole = [now - then for now, then in zip(clocks(), before, strict=True)]
    Job._fit = fit  # type: ignore[method-assign]
    spent, trained = whole[0] - inside[0], inside[0]
    waited = whole[1] - inside[1]
    print(
        f"overhead of a trial: {spent / TRIALS:.3f} CPU s ({waited / TRIALS:.3f} s by the clock), "
        f"beside {trained / TRIALS:.3f} CPU s of training",
        flush=True,
    )


def clocks() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


# --- copies ---------------------------------------------------------------------------------------


def measure_copies(folder: Path) -> None:
    level = []
    for number in range(SEARCHES):
        with reuse():
            search = begin(
                folder,
                f"copies-{number}",
                space=("momentum=float:0:0.9",),
                trials=COPIES,
                seed=1000 * number,
            )
            study, display = search.open_study(), ManyDisplay(None)
            search._work(study, None, display)
            trials = study.trials
            again = search._train_again(trials, None, display)
            members = [search._members_of(each.number, each.params) for each in trials]
            ranking = search._rank(trials, members, again)
        level.append(len(ranking.level))
        values = sorted(each.value or 0.0 for each in trials)
        print(
            f"{number}: {level[-1]} of {COPIES} level, accuracies {values[0]:.4f} to "
            f"{values[-1]:.4f}, corrected {ranking.chosen:.4f}",
            flush=True,
        )
    print(f"copies: all level in {level.count(COPIES)} of {SEARCHES} searches", flush=True)


# --- kills ----------------------------------------------------------------------------------------


def measure_kills(folder: Path) -> None:
    space = ("--space", "learning_rate=log:1e-4:1e-1", "--space", "optimizer=adamw|sgd")
    options = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]
    words = [*options, *space, "--trials=10", "--again=2", "--save-every=0.05"]
    alone, killed = (folder / "classification" / name for name in ("alone", "killed"))
    assert run(*words, f"--run-dir={folder}", "--name=alone").wait() == 0
    chance, kept, again = random.Random(0), dict[Path, int](), 0
    process = run(*words, f"--run-dir={folder}", "--name=killed")
    for _ in range(KILLS):
        before = written(killed)
        while process.poll() is None and written(killed) == before:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.6))
        process.kill()
        process.wait()
        for answers in killed.glob("members/*/out_of_fold.safetensors"):
            best = answers.with_name("best.safetensors").stat().st_mtime_ns
            again += kept.setdefault(answers, best) != best
        process = run("--resume", str(killed))
    assert process.wait() == 0
    for answers, best in kept.items():
        again += answers.with_name("best.safetensors").stat().st_mtime_ns != best
    same = {
        "metrics": read(alone) == read(killed),
        "chosen.toml": (alone / "chosen.toml").read_text() == (killed / "chosen.toml").read_text(),
        "weights": all(
            torch.equal(tensor, load_file(killed / path.relative_to(alone))[name])
            for path in alone.glob("members/*/best.safetensors")
            for name, tensor in load_file(path).items()
        ),
    }
    print(f"{KILLS} kills: the same but for times: {same}; done again: {again}", flush=True)


def run(*words: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "labs.classification", "search", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def written(run: Path) -> int:
    journal = run / "journal.log"
    return journal.stat().st_size if journal.exists() else 0


def read(run: Path) -> Any:
    return without_times(json.loads((run / "metrics.json").read_text()))


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_times(x) for name, x in value.items() if name != "seconds"}
    return [without_times(each) for each in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
