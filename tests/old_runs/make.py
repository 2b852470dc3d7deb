"""Make the runs of this folder again: `python tests/old_runs/make.py CHECKOUT [LAB...]`.

CHECKOUT is a folder with the commit that README.md names. Each command below is run with its code,
in a process of its own, in a folder that is thrown away; what later commands need of the runs is
copied here, with what the old code said of them in `LAB/expected.json`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from safetensors.numpy import load_file
from sklearn.datasets import load_digits

HERE = Path(__file__).parent
PLACE = "/old_runs"  # stands for the folder of the runs in their files
TIMES = ("seconds", "samples_per_second")

SMALL = ("--device", "cpu", "--precision", "32", "--threads", "1", "--workers", "0", "--seed", "3")
DIGITS = ("--data", "digits", "--epochs", "3", "--batch-size", "16", *SMALL)
LINEAR = (
    *("--model", "linear", "--learning-rate", "0.05", "--ema", "0.5"),
    *("--monitor", "validation/loss", *DIGITS),
)
TEXTS = (
    *("--limit", "60", "--embedding-size", "3", "--hidden-size", "2", "--epochs", "3"),
    *("--batch-size", "12", *SMALL),
)
SHAPES = (
    *("--data", "detection/shapes/data.yaml", "--image-size", "32", "--anchors", "2"),
    *("--epochs", "3", "--batch-size", "2", "--learning-rate", "0.03", "--ema", "0.5"),
    *("--monitor", "train/loss", "--mode", "min", *SMALL),
)
TEACHER = "classification/train-finished"
TRIALS = ("--limit", "60", "--seeds", "1")
COLUMNS = ("--data", "columns.csv", "--label-column", "digit,size", "--image-size", "8")

# lab: command: words; how much of all updates is applied when a run is interrupted, None where
# none is; and what `predict` is asked.
COMMANDS = {
    "classification": {
        "train": (
            ("--limit", "100", *LINEAR),
            0.5,
            ("inputs/0.png", "inputs/1.png", "--top", "10"),
        ),
        "compare-architectures": (("--models", "linear,mlp", *TRIALS, *DIGITS), None, None),
        "compare-heads": ((*LINEAR, *COLUMNS, "--seeds", "1"), None, None),
        "compare-imbalance": (("--imbalanced", "3", *TRIALS, *LINEAR), 0.3, None),
        "compare-teacher": (("--teacher", TEACHER, *TRIALS, *LINEAR), None, None),
        "compare-transfer": (
            ("--weights", f"run:{TEACHER}", "--modes", "scratch,fine-tune", *TRIALS, *LINEAR),
            None,
            None,
        ),
        "advise": (
            (
                *("--probe", "--weights", f"run:{TEACHER}", "--modes", "scratch,fine-tune"),
                *(*TRIALS, *LINEAR),
            ),
            None,
            None,
        ),
    },
    "autoencoder": {
        "train": (
            ("--limit", "100", "--width", "2", "--latent-size", "3", *DIGITS),
            0.5,
            ("inputs/0.png", "inputs/1.png"),
        ),
        "sweep": (("--limit", "60", "--width", "2", "--sizes", "2,3", *DIGITS), None, None),
        "compare-anomalies": (
            ("--limit", "60", "--width", "2", "--latent-size", "2", "--classes", "0,1", *DIGITS),
            None,
            None,
        ),
    },
    "detection": {
        "train": (SHAPES, 0.5, ("detection/shapes/images/test/0.png", "--score", "0.14")),
        "compare": (("--models", "tiny-yolo", *SHAPES), None, None),
    },
    "rnn": {
        "sentiment": (
            (
                *("--members", "1", "--no-n-grams", "--limit", "200", "--embedding-size", "4"),
                *("--hidden-size", "4", "--epochs", "3", "--batch-size", "12", *SMALL),
                *("--learning-rate", "0.02", "--ema", "0.5", "--monitor", "validation/loss"),
            ),
            0.5,
            ("the crew was lovely", "delayed again, no thanks"),
        ),
        "forecast": (
            (
                *("--limit", "120", "--window", "8", "--horizon", "2", "--hidden-size", "3"),
                *("--epochs", "3", "--batch-size", "16", *SMALL),
            ),
            0.5,
            (),
        ),
        "translate": (
            (
                *("--limit", "100", "--embedding-size", "6", "--hidden-size", "6"),
                *("--epochs", "3", "--batch-size", "4", "--learning-rate", "0.05", *SMALL),
            ),
            0.5,
            ("3 May 2019", "2019년 5월 3일"),
        ),
        "memory": (
            (
                *("--cells", "rnn", "--lengths", "4", "--reach", "4", "--updates", "4"),
                *("--hidden-size", "3", "--epochs", "3", *SMALL),
            ),
            0.375,
            None,
        ),
        "compare-encodings": (("--seeds", "1", *TEXTS), None, None),
        "compare-cells": (("--seeds", "1", *TEXTS), None, None),
    },
}

# Runs a command: counts the updates, and sends SIGINT after one of them.
CHILD = """
import os, signal, sys
import torch
from importlib import import_module
from matplotlib.figure import Figure
from torch.optim.optimizer import register_optimizer_step_post_hook
from PIL import Image

lab, count_to, stop_at, stages, *words = sys.argv[1:]
torch.set_num_threads(1)
updates = 0

def count(*_):
    global updates
    updates += 1
    if updates == int(stop_at):
        os.kill(os.getpid(), signal.SIGINT)

def savefig(figure, file, **options):
    Image.new("L", (1, 1)).save(file, "png")

register_optimizer_step_post_hook(count)
Figure.savefig = savefig
if lab == "detection":
    import_module("labs.detection.tiny_yolo").STAGES = eval(stages)
sys.argv = ["lab", *words]
main = import_module(f"labs.{lab}.__main__")
try:
    import_module("common.cli").main(main.group, main.PROGRAM)
finally:
    with open(count_to, "w") as file:
        file.write(str(updates))
"""
STAGES = ((2, 0), (4, 1), (6, 1))  # of tiny-yolo, whose own would make files of megabytes


def main(checkout, *labs):
    """Make all runs, or those of some labs; `checkout` is the folder of the old code."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder).resolve()
        inputs(work)
        for lab in labs or COMMANDS:
            expected = {}
            for verb, (words, share, question) in COMMANDS[lab].items():
                print(lab, verb, flush=True)
                ask = Ask(Path(checkout).resolve(), work, lab, verb)
                expected[verb] = make(ask, words, share, question)
            text = json.dumps(expected, ensure_ascii=False, indent=1) + "\n"
            (work / lab / "expected.json").write_text(text, encoding="utf-8")
            neutral(work / lab, str(work))
            shutil.rmtree(HERE / lab, ignore_errors=True)
            shutil.copytree(work / lab, HERE / lab)
        shutil.copytree(work / "inputs", HERE / "inputs", dirs_exist_ok=True)


class Ask:
    """Runs commands of a lab with the old code."""

    def __init__(self, checkout, work, lab, verb):
        self.checkout, self.work, self.lab, self.verb = checkout, work, lab, verb

    def __call__(self, *words, stop_at=0, code=0):
        """Run a command; returns what it printed, and its updates."""
        environment = {
            **os.environ,
            **{"PYTHONPATH": str(self.checkout), "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        }
        done = subprocess.run(
            [sys.executable, "-c", CHILD, self.lab, "count", str(stop_at), repr(STAGES), *words],
            **{"cwd": self.work, "env": environment, "capture_output": True, "text": True},
        )
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout, int((self.work / "count").read_text())

    def folder(self, name):
        """Return the folder of a run."""
        return self.work / self.lab / f"{self.verb}-{name}"


def make(ask, words, share, question):
    """Make a finished run and, where there is a share, an interrupted one; returns what is said."""
    where = ("--run-dir", ".", "--name")
    run = ask.folder("finished")
    name = str(run.relative_to(ask.work))
    _, updates = ask(ask.verb, *words, *where, run.name)
    expected = {"shown": rows(ask(ask.verb, "--resume", name)[0])}
    if question is not None:
        expected["evaluate"] = rows(ask("evaluate", name)[0])
        expected["predict"] = predicted(ask, name, question)
    if share is not None:
        expected |= interrupted(ask, words, where, run, updates, share)
    ask("report", name)
    strip(run, finished=True)
    return expected


def interrupted(ask, words, where, finished, updates, share):
    """Stop a run inside an epoch, and see that it would become the finished one to the bit."""
    run, stop_at = ask.folder("interrupted"), int(updates * share)
    ask(ask.verb, *words, *where, run.name, stop_at=stop_at, code=130)
    strip(run, finished=False)
    copy = ask.work / "copy"
    shutil.copytree(run, copy)
    _, left = ask(ask.verb, "--resume", "copy")
    assert left == updates - stop_at, (left, updates, stop_at)
    for path in sorted(finished.rglob("best.safetensors")):
        part = path.relative_to(finished)
        same = load_file(copy / part), load_file(path)
        assert same[0].keys() == same[1].keys(), part
        assert all(np.array_equal(same[0][key], same[1][key]) for key in same[0]), part
        assert history(copy / part.parent) == history(path.parent), part
    shutil.rmtree(copy)
    return {"updates_left": left}


def history(run):
    """Return the rows of a run without what the clock says."""
    lines = (run / "history.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMES} for line in lines]


def predicted(ask, run, question):
    """Return what `predict` says, as JSON."""
    words = ("predict", run, *question, "--format", "json")
    if ask.lab != "detection":
        return json.loads(ask(*words)[0])
    ask(*words, "--output", "found")
    return json.loads((ask.work / "found/predictions.json").read_text())


def rows(text):
    """Return the first table of a screen, a dict for each row."""
    columns, *found = (
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith("|")
    )
    return [dict(zip(columns, row, strict=True)) for row in found if len(row) == len(columns)]


def strip(run, *, finished):
    """Leave what later commands need."""
    for path in [*run.rglob("report.html"), *run.rglob(".lock"), *run.rglob("*.html")]:
        path.unlink(missing_ok=True)
    for folder in [run, *run.glob("members/*")]:
        if not (folder / "views").exists():
            shutil.rmtree(folder / "figures", ignore_errors=True)
        if (folder / "metrics.json").exists():
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            if finished and folder != run and "memory" not in run.name:
                (folder / "best.safetensors").unlink()
        for old in sorted(folder.glob("checkpoints/*"))[:-1]:
            old.unlink()


def neutral(folder, work):
    """Put `PLACE` where the runs were made, and what says nothing where the machine is named."""
    for path in folder.rglob("*"):
        if path.suffix in (".toml", ".json", ".jsonl"):
            text = path.read_text(encoding="utf-8").replace(work, PLACE)
            if path.name == "environment.json":
                text = re.sub(r'"(system|processor)": "[^"]*"', r'"\1": "a machine"', text)
            path.write_text(text, encoding="utf-8")


def inputs(work):
    """Draw what the commands read: digits, a table of them, and photos with boxes."""
    digits = load_digits()
    pixels = (digits.images * 15).astype(np.uint8)
    (work / "inputs").mkdir()
    for number in range(2):
        Image.fromarray(pixels[number]).save(work / f"inputs/{number}.png")
    lines = ["path,digit,size"]
    (work / "columns").mkdir()
    rows = [row for row in range(400) if digits.target[row] < 2]
    for row in rows[:60]:
        path = f"columns/{row}.png"
        Image.fromarray(pixels[row]).save(work / path)
        size = "large" if pixels[row].mean() > 70 else "small"
        lines.append(f"{path},{digits.target[row]},{size}")
    (work / "columns.csv").write_text("\n".join(lines) + "\n")
    shapes(work / "detection/shapes")


def shapes(folder):
    """Draw dark photos with bright squares and discs, in YOLO's format."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 18), ("val", 6), ("test", 6)):
        images, labels = folder / "images" / split, folder / "labels" / split
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for number in range(count):
            ground = rng.integers(0, 60, 3) + np.indices((32, 32)).T @ rng.integers(0, 3, (2, 3))
            image = Image.fromarray(ground.astype(np.uint8))  # a slope: no two places are alike
            draw, lines = ImageDraw.Draw(image), []
            for half in range(2):
                kind, side = int(rng.integers(2)), int(rng.integers(8, 13))
                x, y = int(rng.integers(16 - side)) + 16 * half, int(rng.integers(31 - side))
                shape = draw.ellipse if kind else draw.rectangle
                shape((x, y, x + side - 1, y + side - 1), tuple(rng.integers(150, 256, 3).tolist()))
                middle = ((x + side / 2) / 32, (y + side / 2) / 32)
                lines.append(f"{kind} {middle[0]} {middle[1]} {side / 32} {side / 32}\n")
            image.save(images / f"{number}.png")
            (labels / f"{number}.txt").write_text("".join(lines), newline="\n")
    text = (
        "path: .\ntrain: images/train\nval: images/val\ntest: images/test\nnames: [square, disc]\n"
    )
    (folder / "data.yaml").write_text(text, newline="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
