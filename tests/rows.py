"""A table of images with columns beside them, for what learns from several senses."""

import csv
import io

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

COLUMNS = "weight,city,note"
CITIES = ("서울", "부산", "Jeju")
WORDS = ("종이를", "책상가", "나무도", "구름를", "바다가")


def write_rows(folder, rows=120, seed=0, classes=3):
    """Write digits of the first classes and a table of them; returns the table.

    `weight` tells the digit, but for one cell in ten, which is empty; `city` tells it most of the
    time; `note` begins with a word for an even or odd digit; `number` is that of the row.
    """
    rng = np.random.default_rng(seed)
    digits = load_digits(n_class=classes)
    chosen = rng.permutation(len(digits.target))[:rows]
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(["image", "digit", "weight", "city", "note", "number"])
    folder.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(chosen.tolist()):
        digit, name = int(digits.target[row]), f"{number:03}.png"
        Image.fromarray((digits.images[row] * 15.9).astype(np.uint8)).save(folder / name)
        weight = f"{3 * digit + rng.normal():.2f}" if rng.random() > 0.1 else ""
        city = CITIES[digit % 3 if rng.random() < 0.8 else rng.integers(3)]
        words = [("짝수 ", "홀수 ")[digit % 2], *rng.choice(WORDS, 2)]
        writer.writerow([name, digit, weight, city, " ".join(words), number])
    table = folder / "rows.csv"
    table.write_text(lines.getvalue(), "utf-8")
    return table
