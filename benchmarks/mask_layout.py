"""The layout of the mask competition without a face, and what random folds promise on it.

    python benchmarks/mask_layout.py write FOLDER [PERSONS]   # the layout, to try commands on
    python benchmarks/mask_layout.py                          # random folds against grouped ones

2,700 persons with seven photos each: five with a mask, one with it worn wrongly, one without.
`train/train.csv` has a row for each person, whose `path` is a folder of `train/images`, with gender
and age; what the mask does is in the files' names. `eval/images` has photos of other persons,
`eval/info.csv` a row for each as a submission has it, and `eval/answers.csv` what is true.

A person is a digit of mnist5k (0 to 4 male, 5 to 9 female) before a blurred pattern; the mask is a
bar over its lower half, which lies lower where it is worn wrongly. How bright the whole is says the
age as it looks, which is not quite the age. The seven photos share all of that, each moved and with
noise of its own. In the control they do not: each photo has a digit, a pattern and a look of its
own, so that nothing tells whose it is.
"""

import csv
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from machine import describe
from PIL import Image

from common.images.known import load_embedded

Array = npt.NDArray[Any]

PERSONS, SIDE, MOVED = 2700, 28, 2  # moved by so many pixels at most
PHOTOS = (*(f"mask{number}" for number in range(1, 6)), "incorrect_mask", "normal")
MASKS, GENDERS, EDGES = ("mask", "incorrect", "normal"), ("male", "female"), (30, 60)
SHARES = (0.47, 0.43, 0.10)  # of the bands of age
AGES = ((18, 30), (30, 60), (60, 73))
LOOKS = 4.0  # years by which the age that one sees deviates from the age
PATTERN = 25.0  # grey levels by which the pattern behind a person deviates
OPTIONS = (
    *("--label-column", "mask,gender,age", "--label-pattern", "mask=(mask|incorrect|normal)"),
    *("--label-bands", "age=30,60"),
    *("--label-order", "mask=mask|incorrect|normal,gender=male|female"),
)


class Look(NamedTuple):
    """How a person looks."""

    digit: Array  # (28, 28), from 0 to 1
    pattern: Array  # (SIDE + 2 * MOVED,) * 2, in grey levels, with a mean of 0
    age: float  # as it looks


class Person(NamedTuple):
    """A row of the table."""

    number: int
    gender: str
    age: int

    @property
    def folder(self) -> str:
        """The `path` of the row."""
        return f"{self.number:06}_{self.gender}_Asian_{self.age}"


def write(root: Path, persons: int = PERSONS, others: int = 0, *, alike: bool = True) -> None:
    """Write the layout.

    Args:
        root: the folder.
        persons: of `train`.
        others: persons of `eval`.
        alike: whether the photos of a person share their looks; not in the control.
    """
    pool = _Pool(np.random.default_rng(0))
    everybody = [pool.draw_person(number) for number in range(persons + others)]
    known = everybody[:persons]
    rows = [[each.number, each.gender, "Asian", each.age, each.folder] for each in known]
    answers = []
    for place, person in enumerate(everybody):
        folder = root / "train/images" / person.folder if place < persons else root / "eval/images"
        folder.mkdir(parents=True, exist_ok=True)
        look = pool.draw_look(person)
        for photo in PHOTOS:
            look = look if alike else pool.draw_look(person)
            name = f"{photo}.jpg" if place < persons else f"{pool.random.bytes(8).hex()}.jpg"
            pool.draw_photo(look, photo).save(folder / name, quality=90)
            if place >= persons:
                answers.append([name, number_class(photo, person)])
    _write_table(root / "train/train.csv", ["id", "gender", "race", "age", "path"], rows)
    if others:
        answers.sort()
        _write_table(root / "eval/info.csv", ["ImageID", "ans"], [[name, 0] for name, _ in answers])
        _write_table(root / "eval/answers.csv", ["ImageID", "ans"], answers)


def number_class(photo: str, person: Person) -> int:
    """Return the number that the competition gives a photo of a person."""
    mask = MASKS.index(photo.split("_")[0].rstrip("12345"))
    band = sum(edge <= person.age for edge in EDGES)
    return mask * 6 + GENDERS.index(person.gender) * 3 + band


class _Pool:
    """What persons, looks and photos are drawn from."""

    def __init__(self, random: np.random.Generator):
        digits = load_embedded("mnist5k").parts["all"]
        images, classes = digits.images.numpy()[:, 0] / 255, digits.targets.numpy()
        self.random = random
        self._digits = {"male": images[classes < 5], "female": images[classes >= 5]}

    def draw_person(self, number: int) -> Person:
        """Draw a gender and an age."""
        gender = GENDERS[int(self.random.random() < 0.6)]
        low, high = AGES[self.random.choice(len(AGES), p=SHARES)]
        return Person(number, gender, int(self.random.integers(low, high)))

    def draw_look(self, person: Person) -> Look:
        """Draw how a person looks."""
        digit = self.random.choice(self._digits[person.gender])
        coarse = self.random.normal(size=(6, 6)).astype(np.float32)
        whole = Image.fromarray(coarse).resize((SIDE + 2 * MOVED,) * 2, Image.Resampling.BICUBIC)
        pattern = np.asarray(whole)
        pattern = PATTERN * (pattern - pattern.mean()) / pattern.std()
        return Look(digit, pattern, person.age + self.random.normal(0, LOOKS))

    def draw_photo(self, look: Look, photo: str) -> Image.Image:
        """Draw a look: background, digit and mask, moved, with noise."""
        pixels = 30 + 1.4 * look.age + look.pattern
        inside = pixels[MOVED:-MOVED, MOVED:-MOVED]
        inside[:] = np.maximum(inside, 235 * look.digit)
        if photo != "normal":
            top = 15 if photo != "incorrect_mask" else 21
            inside[top : top + 8, 3:-3] = self.random.uniform(190, 250)
        down, right = self.random.integers(0, 2 * MOVED + 1, 2)
        moved = pixels[down : down + SIDE, right : right + SIDE]
        noisy = moved + self.random.normal(0, 8, moved.shape)
        return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def main() -> None:
    if sys.argv[1:2] == ["write"] and len(sys.argv) in (3, 4):
        number = int(sys.argv[3]) if len(sys.argv) == 4 else PERSONS
        write(Path(sys.argv[2]), number, max(1, number // 10))
        return
    if len(sys.argv) > 1:
        sys.exit("expected nothing, or write FOLDER [PERSONS]")
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), "the layout", PERSONS, folds=5, epochs=8)
        measure(Path(folder), "the control", PERSONS // 3, folds=3, epochs=12)


def measure(root: Path, name: str, persons: int, folds: int, epochs: int) -> None:
    """Print what `leaks` says of a layout."""
    write(root / name, persons, alike=name != "the control")
    words = [sys.executable, "-m", "labs.classification", "leaks", root / name / "train/train.csv"]
    words += [*OPTIONS, "--model", "lenet5", "--augment", "none", "--threads", "1"]
    words += ["--folds", folds, "--epochs", epochs, "--run-dir", root / "runs"]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=True)
    print(f"{name}, {persons:,} persons, {folds} folds, {epochs} epochs\n{done.stdout}", flush=True)


def _write_table(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


if __name__ == "__main__":
    main()
