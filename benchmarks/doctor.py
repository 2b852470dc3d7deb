"""Whether `doctor RUN` names what was done to a run, and leaves healthy ones alone.

python benchmarks/doctor.py develop [CAUSE]
python benchmarks/doctor.py judge [CAUSE]
python benchmarks/doctor.py again [CAUSE]

Each of twelve causes is made in two kinds of runs, by options or by the user's data and nothing
else, and eight runs are healthy. The rules were set on `develop`; `judge` has other data, models
and seeds. What `judge` found wrong was mended, so there is a third set for it, `again`: Korean
syllables drawn by a font, neutral against negative tweets, new series and seeds, and of what the
two others chose differently, one by lot for each run. A case counts where the first cause
named is the one that was made. Runs are tiny: seconds each.
"""

import contextlib
import csv
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from machine import describe
from PIL import Image, ImageDraw, ImageFont

from common.doctor.command import examine
from common.doctor.patient import Patient
from common.errors import NonFiniteError
from common.images.known import load_embedded
from common.options import terminal
from common.options.config import build
from common.report.plots import korean_font
from labs.autoencoder.job import Compression
from labs.classification.job import ClassifyImages
from labs.rnn.forecast.job import Forecast
from labs.rnn.sentiment.data import NEUTRAL, POSITIVE, tweets
from labs.rnn.sentiment.job import Sentiment

HEALTHY = "healthy"
STEPS = 60
SYLLABLES = "거너더러머버서어저처"


SEEDS = {"develop": 0, "judge": 1000, "again": 3000}


class Source:
    """Data of one of the sets, which share no sample, no seed and few values of options."""

    def __init__(self, which: str, number: int, folder: Path):
        self.which, self.folder = which, folder
        self.seed = SEEDS[which] + (number if which == "again" else 0)
        self.rng = np.random.default_rng(self.seed)
        self.model = self.pick("mlp", "lenet5")

    def pick(self, develop: Any, judge: Any) -> Any:
        """Return what the set has: one value for each of the two, or one of them by lot."""
        if self.which == "again":
            return (develop, judge)[self.rng.integers(2)]
        return judge if self.which == "judge" else develop

    def images(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return uint8 images (N, S, S) and classes: small digits, MNIST's, or syllables."""
        if self.which == "again":
            return draw_syllables(self.rng, count)
        whole = load_embedded(self.pick("digits", "mnist5k")).parts["all"]
        rows = self.rng.permutation(len(whole))[:count]
        return whole.images[:, 0].numpy()[rows], whole.targets.numpy()[rows]

    def texts(self, count: int) -> tuple[list[str], list[str]]:
        """Return tweets and their labels: those of even or of odd rows, or neutral and negative."""
        found = tweets(3 if self.which == "again" else 2)
        whole = found.parts["all"]
        rows = np.arange(self.pick(0, 1), len(whole), 2)
        if self.which == "again":
            rows = np.flatnonzero(whole.targets.numpy() != found.classes.index(POSITIVE))
        rows = self.rng.permutation(rows)[:count]
        labels = [found.classes[int(whole.targets[row])] for row in rows]
        if self.which == "again":  # the cases know the names of two
            labels = [POSITIVE if each == NEUTRAL else each for each in labels]
        return [whole.texts[row] for row in rows], labels

    def arrays(self, name: str, **arrays: np.ndarray) -> dict[str, Any]:
        """Write an .npz; returns the option that names it."""
        path = self.folder / f"{name}.npz"
        np.savez(path, **arrays)
        return {"data": str(path)}

    def table(self, name: str, texts: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
        """Write a table of texts; returns the options that name it."""
        path = self.folder / f"{name}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerows([["text", "label"], *zip(texts, labels, strict=True)])
        return {"data": str(path), "text_column": "text", "label_column": "label"}

    def series(self, name: str, values: np.ndarray) -> dict[str, Any]:
        """Write a table of daily values; returns the options that name it."""
        dates = np.datetime64("2020-01-01") + np.arange(len(values))
        path = self.folder / f"{name}.csv"
        lines = [f"{date},{value:.6g}" for date, value in zip(dates, values, strict=True)]
        path.write_text("\n".join(["date,value", *lines]) + "\n")
        return {"data": str(path), "window": 14, "horizon": 3}

    def weeks(self, count: int = 400) -> np.ndarray:
        """Return a series with a week of its own, and some noise."""
        week = self.rng.uniform(5, 15, 7)
        return np.tile(week, count // 7 + 1)[:count] + self.rng.normal(0, 0.5, count)


def draw_syllables(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw Korean syllables, (N, 28, 28), each a little turned, moved and noisy, and classes."""
    font = ImageFont.truetype(str(korean_font()), 20)
    images, classes = [], rng.integers(0, 10, count)
    for number in classes:
        image = Image.new("L", (28, 28))
        place = 4 + int(rng.integers(-2, 3)), 1 + int(rng.integers(-2, 3))
        ImageDraw.Draw(image).text(
            place, SYLLABLES[number], fill=int(rng.integers(160, 256)), font=font
        )
        turned = np.asarray(image.rotate(rng.uniform(-15, 15)), np.float64)
        images.append(np.clip(turned + rng.normal(0, 12, turned.shape), 0, 255).astype(np.uint8))
    return np.stack(images), classes


class Case(NamedTuple):
    """What is done to a run."""

    cause: str
    kind: Any
    make: Callable[[Source], dict[str, Any]]  # returns options


def images(source: Source, count: int = 900, **options: Any) -> dict[str, Any]:
    """Return options of a classifier that is right, over some images."""
    pixels, classes = source.images(count)
    data = source.arrays("images", images=pixels, labels=classes)
    return {**data, **classifier(source), **options}


def classifier(source: Source) -> dict[str, Any]:
    return {
        "model": source.model,
        "epochs": source.pick(24, 20),
        "learning_rate": source.pick(1e-3, 4e-3),
        "augment": "none",
        "ema": "none",
        "weight_decay": 1e-2,
    }


def autoencoder(source: Source, count: int = 700, **options: Any) -> dict[str, Any]:
    pixels, _ = source.images(count)
    data = source.arrays("images", images=pixels)
    return {**data, **small_autoencoder(source), **options}


def small_autoencoder(source: Source) -> dict[str, Any]:
    return {
        "model": source.pick("dense", "conv"),
        "width": source.pick(8, 8),
        "latent_size": 16,
        "epochs": source.pick(25, 25),
        "augment": "none",
        "learning_rate": 3e-3,
    }


def bag(source: Source) -> dict[str, Any]:
    """Return options of a linear model on n-grams."""
    return {"encoding": "n-gram-bag", "epochs": 8, "learning_rate": 1e-2, "batch_size": 64}


def recurrent(source: Source, **options: Any) -> dict[str, Any]:
    """Return options of a small recurrent classifier."""
    small = {"members": 1, "n_grams": False, "hidden_size": source.pick(24, 32)}
    return {
        **small,
        "cell": source.pick("gru", "lstm"),
        "embedding_size": 24,
        "epochs": 5,
        "batch_size": 32,
        **options,
    }


def forecaster(source: Source, **options: Any) -> dict[str, Any]:
    usual = {"epochs": 30, "batch_size": 16, "learning_rate": source.pick(1e-2, 5e-3)}
    return {**usual, "cell": source.pick("gru", "lstm"), "hidden_size": 16, **options}


# --- what is done -------------------------------------------------------------------------------


def unscaled_images(source: Source) -> dict[str, Any]:
    pixels, _ = source.images(700)
    dark = (pixels // 16).astype(np.uint8)  # 0 to 15, as scikit-learn's digits come
    return {**source.arrays("dark", images=dark), **small_autoencoder(source)}


def unscaled_series(source: Source) -> dict[str, Any]:
    values = source.weeks()
    place = source.pick(120, 77)
    values[place] = source.pick(999_999, 12_345_678)  # a missing value, a lost decimal point
    return {**source.series("spike", values), **forecaster(source, log="false")}


def contradicting_images(source: Source) -> dict[str, Any]:
    pixels, classes = source.images(900)
    again = source.pick(200, 120)
    other = (classes[:again] + source.rng.integers(1, 10, again)) % 10
    data = source.arrays(
        "twice",
        images=np.concatenate([pixels, pixels[:again]]),
        labels=np.concatenate([classes, other]),
    )
    return {**data, **classifier(source)}


def contradicting_texts(source: Source) -> dict[str, Any]:
    texts, labels = source.texts(1000)
    again = source.pick(200, 100)
    flip = {"negative": "positive", "positive": "negative"}
    more = [flip[label] for label in labels[:again]]
    return {**source.table("twice", texts + texts[:again], labels + more), **bag(source)}


def leaked_images(source: Source) -> dict[str, Any]:
    pixels, classes = source.images(900)
    part = source.pick("test", "val")
    copied = source.pick(60, 30)
    held, labels = pixels[-150:].copy(), classes[-150:].copy()
    held[:copied], labels[:copied] = pixels[:copied], classes[:copied]
    arrays = {"x_train": pixels[:-150], "y_train": classes[:-150]}
    arrays |= {f"x_{part}": held, f"y_{part}": labels}
    return {**source.arrays("leak", **arrays), **classifier(source)}


def leaked_texts(source: Source) -> dict[str, Any]:
    texts, labels = source.texts(900)
    words = source.pick({"positive": "gladly", "negative": ""}, {"positive": "", "negative": "id7"})
    marked = [f"{text} {words[label]}" for text, label in zip(texts, labels, strict=True)]
    return {**source.table("marked", marked, labels), **bag(source)}


def names_as_numbers(source: Source) -> dict[str, Any]:
    return images(source, loss=source.pick("mse", "mae"), label_smoothing=0.0)


def numbers_as_names(source: Source) -> dict[str, Any]:
    """Let texts of words that stand on a scale have labels from 0 to 19."""
    count, rng = source.pick(1500, 1300), source.rng
    words = [f"{source.pick('good', 'mild')}{step}" for step in range(30)]
    grades = rng.integers(0, 20, count)
    texts = [
        " ".join(
            [words[int(grade + rng.integers(0, 8))] for _ in range(4)]
            + [f"w{rng.integers(0, 60)}" for _ in range(4)]
        )
        for grade in grades
    ]
    options = recurrent(source, epochs=10, learning_rate=1e-2)
    return {**source.table("grades", texts, [str(grade) for grade in grades]), **options}


def shuffled_images(source: Source) -> dict[str, Any]:
    pixels, classes = source.images(900)
    data = source.arrays("shuffled", images=pixels, labels=source.rng.permutation(classes))
    return {**data, **classifier(source)}


def shuffled_texts(source: Source) -> dict[str, Any]:
    texts, labels = source.texts(1200)
    return {**source.table("shuffled", texts, source.rng.permutation(labels)), **bag(source)}


def dead_images(source: Source) -> dict[str, Any]:
    """Begin with weights whose first biases are far below 0."""
    options = images(source)
    _, state = begin(ClassifyImages, source, options)
    name = next(each for each in state if each.endswith("bias"))
    state[name] = state[name] - source.pick(100.0, 40.0)
    return {**options, "weights": save(source, state), "optimizer": source.pick("adamw", "sgd")}


def dead_latents(source: Source) -> dict[str, Any]:
    return autoencoder(source, model="sparse", sparsity_weight=source.pick(30.0, 100.0))


def vanishing_images(source: Source) -> dict[str, Any]:
    """Begin with weights that are far too small, as if divided by the wrong number."""
    options = images(source)
    _, state = begin(ClassifyImages, source, options)
    factor = source.pick(1e-8, 1e-6)  # of three layers, and of five
    return {
        **options,
        "weights": save(source, {name: value * factor for name, value in state.items()}),
    }


def vanishing_texts(source: Source) -> dict[str, Any]:
    """Let the first word tell the label, and 150 words that tell nothing follow it."""
    rng, count = source.rng, source.pick(600, 700)
    labels = rng.integers(0, 2, count)
    told = [f"{source.pick('yn', 'pq')[label]}{rng.integers(0, 8)}" for label in labels]
    texts = [
        " ".join([word, *(f"w{other}" for other in rng.integers(0, 50, 150))]) for word in told
    ]
    options = recurrent(source, cell="rnn", pool="last", bidirectional=False, epochs=6)
    options |= {"orthogonal": False, "word_dropout": 0.0, "dropout": 0.0}
    return {**source.table("long", texts, [f"c{label}" for label in labels]), **options}


def fast_images(source: Source) -> dict[str, Any]:
    return images(source, learning_rate=source.pick(1.0, 0.3), epochs=8)


def fast_autoencoder(source: Source) -> dict[str, Any]:
    return autoencoder(source, learning_rate=source.pick(3.0, 10.0), epochs=8)


def slow_images(source: Source) -> dict[str, Any]:
    return images(source, learning_rate=source.pick(1e-6, 3e-6))


def slow_texts(source: Source) -> dict[str, Any]:
    texts, labels = source.texts(700)
    slow = recurrent(source, learning_rate=source.pick(1e-6, 3e-6), epochs=10)
    return {**source.table("texts", texts, labels), **slow}


def untouched_images(source: Source) -> dict[str, Any]:
    pixels, classes = source.images(900)
    held, labels = pixels[-150:], classes[-150:]
    labels = source.pick((labels + 1) % 10, source.rng.permutation(labels))
    arrays = {"x_train": pixels[:-150], "y_train": classes[:-150], "x_val": held, "y_val": labels}
    return {**source.arrays("split", **arrays), **classifier(source)}


def untouched_texts(source: Source) -> dict[str, Any]:
    texts, labels = source.texts(1500)
    flip = {"negative": "positive", "positive": "negative"}
    held = labels[-250:]
    held = source.pick([flip[each] for each in held], list(source.rng.permutation(held)))
    given = source.table("held", texts[-250:], held)["data"]
    return {
        **source.table("texts", texts[:-250], labels[:-250]),
        "validation": given,
        **bag(source),
    }


def short_images(source: Source) -> dict[str, Any]:
    return images(source, epochs=source.pick(2, 1))


def short_series(source: Source) -> dict[str, Any]:
    return {**source.series("weeks", source.weeks()), **forecaster(source, epochs=2)}


def memorized_images(source: Source) -> dict[str, Any]:
    """Learn labels by heart of which some were drawn by lot."""
    pixels, classes = source.images(400)
    wrong = source.pick(120, 100)
    classes[:wrong] = source.rng.integers(0, 10, wrong)
    free = {"weight_decay": 0.0, "label_smoothing": 0.0, "epochs": source.pick(60, 50)}
    data = source.arrays("noisy", images=pixels, labels=classes)
    return {**data, **classifier(source), **free, "batch_size": 16}


def memorized_texts(source: Source) -> dict[str, Any]:
    texts, labels = source.texts(500)
    free = {"dropout": 0.0, "word_dropout": 0.0, "label_smoothing": 0.0, "weight_decay": 0.0}
    options = recurrent(source, epochs=20, learning_rate=source.pick(5e-3, 3e-3), **free)
    return {**source.table("few", texts, labels), **options}


def healthy_texts(source: Source) -> dict[str, Any]:
    texts, labels = source.texts(source.pick(2500, 2800))
    return {**source.table("texts", texts, labels), **bag(source)}


def healthy_recurrent(source: Source) -> dict[str, Any]:
    """Texts whose few telling words are in the middle of others."""
    rng, count = source.rng, 1200
    told = source.pick(("fine", "bad"), ("cosy", "bleak"))
    labels = rng.integers(0, 2, count)
    texts = [
        " ".join(
            [
                *(f"w{word}" for word in rng.integers(0, 80, rng.integers(2, 9))),
                told[label] if rng.random() < 0.95 else told[1 - label],
                *(f"w{word}" for word in rng.integers(0, 80, rng.integers(2, 9))),
            ]
        )
        for label in labels
    ]
    options = recurrent(source, epochs=8, learning_rate=3e-3)
    return {**source.table("short", texts, [f"c{label}" for label in labels]), **options}


def healthy_series(source: Source) -> dict[str, Any]:
    return {**source.series("weeks", source.weeks(600)), **forecaster(source)}


def healthy_waves(source: Source) -> dict[str, Any]:
    time = np.arange(700)
    values = 20 + 5 * np.sin(time * source.pick(0.31, 0.47)) + source.rng.normal(0, 0.3, 700)
    return {**source.series("waves", values), **forecaster(source, cell=source.pick("lstm", "gru"))}


CASES = (
    Case("inputs not scaled", Compression, unscaled_images),
    Case("inputs not scaled", Forecast, unscaled_series),
    Case("contradicting labels", ClassifyImages, contradicting_images),
    Case("contradicting labels", Sentiment, contradicting_texts),
    Case("a leak", ClassifyImages, leaked_images),
    Case("a leak", Sentiment, leaked_texts),
    Case("wrong loss for the labels", ClassifyImages, names_as_numbers),
    Case("wrong loss for the labels", Sentiment, numbers_as_names),
    Case("shuffled labels", ClassifyImages, shuffled_images),
    Case("shuffled labels", Sentiment, shuffled_texts),
    Case("rate too high", ClassifyImages, fast_images),
    Case("rate too high", Compression, fast_autoencoder),
    Case("dead units", ClassifyImages, dead_images),
    Case("dead units", Compression, dead_latents),
    Case("vanishing gradients", ClassifyImages, vanishing_images),
    Case("vanishing gradients", Sentiment, vanishing_texts),
    Case("rate too low", ClassifyImages, slow_images),
    Case("rate too low", Sentiment, slow_texts),
    Case("untouched validation", ClassifyImages, untouched_images),
    Case("untouched validation", Sentiment, untouched_texts),
    Case("too few updates", ClassifyImages, short_images),
    Case("too few updates", Forecast, short_series),
    Case("overfitting", ClassifyImages, memorized_images),
    Case("overfitting", Sentiment, memorized_texts),
    Case(HEALTHY, ClassifyImages, lambda source: images(source, 1500)),
    Case(HEALTHY, ClassifyImages, lambda source: images(source, 1200, model="linear")),
    Case(HEALTHY, Compression, autoencoder),
    Case(HEALTHY, Compression, lambda source: autoencoder(source, model="vae", loss="bce")),
    Case(HEALTHY, Sentiment, healthy_texts),
    Case(HEALTHY, Sentiment, healthy_recurrent),
    Case(HEALTHY, Forecast, healthy_series),
    Case(HEALTHY, Forecast, healthy_waves),
)


# --- how it is judged ---------------------------------------------------------------------------


def begin(kind: Any, source: Source, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return a run's job before training, and a copy of its weights."""
    job, _ = kind.check(configured(kind, source, options))
    return job, {name: value.clone() for name, value in job.model.state_dict().items()}


def save(source: Source, state: dict[str, torch.Tensor]) -> str:
    from safetensors.torch import save_file

    path = source.folder / "weights.safetensors"
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    return str(path)


def configured(kind: Any, source: Source, options: dict[str, Any]) -> Any:
    given = {"threads": 1, "run_dir": str(source.folder / "runs"), "seed": source.seed, **options}
    given |= {"split_seed": source.seed} if kind is not Forecast else {}
    return build(kind.config_type, ("options", {name: str(x) for name, x in given.items()}))


def examined(case: Case, source: Source) -> tuple[Patient, list[Any]]:
    """Train a run as the case has it, and return it with what is found."""
    config = configured(case.kind, source, case.make(source))
    job, splits = case.kind.start(config, [])
    with terminal.display(config.epochs, []) as display:
        display.epoch = lambda *given, **more: None  # type: ignore[method-assign]
        with contextlib.suppress(NonFiniteError):
            job.train(splits, display, lambda line: None)
    patient = Patient(case.kind.reopen(job.run.path), splits, STEPS)
    return patient, list(examine(patient))


def main(which: str, only: str = "") -> None:
    print(describe(), flush=True)
    right = alarms = broken = healthy = 0
    for number, case in enumerate(CASES):
        if only not in f"{case.cause}, {case.kind.__name__}":
            continue
        begun = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            patient, found = examined(case, Source(which, number, Path(folder)))
        names = [each.cause for each in found]
        is_healthy = case.cause == HEALTHY
        fine = names == [] if is_healthy else names[:1] == [case.cause]
        healthy, alarms = healthy + is_healthy, alarms + (is_healthy and not fine)
        broken, right = broken + (not is_healthy), right + (not is_healthy and fine)
        seconds = time.process_time() - begun
        made = f"{case.cause}, {case.kind.__name__}"
        print(f"{'ok ' if fine else 'BAD'} {made:<46} {seconds:5.1f} s  {names}", flush=True)
        for each in found[: 1 if fine else None]:
            print(f"      {each.cause}: {each.evidence}", flush=True)
        if not fine:
            measured = patient.gains, patient.answered, patient.learnable, patient.rates
            print(f"      {patient.updates} updates", *measured, sep="\n      ", flush=True)
    print(f"named first: {right} of {broken}; alarms on healthy runs: {alarms} of {healthy}")


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in SEEDS:
        sys.exit(__doc__)
    main(*sys.argv[1:3])
