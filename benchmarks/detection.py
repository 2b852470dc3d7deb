"""An Ultralytics model trained by our loop, and by the library's own trainer, on the same images.

    python benchmarks/detection.py                       # the scenes: mAP and images per second
    python benchmarks/detection.py --data raccoon        # a folder of photos: images per second

Both sides begin with the same weights, see the same images (in memory, in YOLO's format for the
library) for as many epochs, and do the same: AdamW at the rate that the library's `auto` chooses,
its linear schedule and warm-up, weight decay and clipping, an average of the weights that ends with
the same decay, mosaic, affine changes and hsv of its default strength, without flips (digits) and
without mosaic in the last epochs. Precision and threads are the same. What is left to each side is
the order of the images, the numbers it draws, and how it lays its numbers out in memory. Ours keeps
the channels innermost; on a CPU the library warns against it and does not.

Test detections of both come from the same function, and one evaluator scores them. The sides take
turns; their images per second are those of epochs of training, without any validation, saving or
plots, and the median over the epochs counts, the first of each run apart.
"""

import argparse
import contextlib
import io
import math
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import yaml
from machine import describe
from PIL import Image
from torch import nn

from common import training
from common.training import optim
from common.training.batches import Batches
from common.training.compute import Compute
from labs.detection.boxes import to_centers
from labs.detection.config import DetectionConfig
from labs.detection.data import augment, load
from labs.detection.data.load import BoxSet
from labs.detection.models import build as detectors
from labs.detection.models.ultralytics import build, specs  # first: it switches the library off
from labs.detection.models.ultralytics.task import UltralyticsTask

AUGMENT = ("mosaic:1", "affine:0.1:0.5", "hsv:0.015:0.7:0.4")
WEIGHT_DECAY, CLIP, WARMUP, LAST = 5e-4, 10.0, 3.0, 0.01  # the library's defaults


class Setting(NamedTuple):
    """What both sides are given."""

    config: DetectionConfig
    splits: dict[str, BoxSet]
    card: load.Card
    threads: int
    device: str = "cpu"

    @property
    def rate(self) -> float:
        """The learning rate that the library's `auto` chooses for AdamW."""
        return round(0.002 * 5 / (4 + len(self.card.classes)), 6)

    @property
    def steps(self) -> int:
        return math.ceil(len(self.splits["train"]) / self.config.batch_size)

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return build.build(self.config.model, self.card.classes, self.card.image_size)

    @property
    def task(self) -> UltralyticsTask:
        return UltralyticsTask(len(self.card.classes), self.card.most, self.config.epochs)


class Trained(NamedTuple):
    """What came of a run: the averaged weights, and the images per second of each epoch."""

    model: nn.Module
    speeds: list[float]


def ours(setting: Setting, seed: int) -> Trained:
    """Train by our loop."""
    torch.set_num_threads(setting.threads)
    config, model = setting.config, setting.build(seed)
    compute = Compute(setting.device, channels_last=True, deterministic=False)
    compute.place(model)
    updates = setting.steps * config.epochs
    warmup = min(WARMUP, config.epochs - 1) * setting.steps

    def schedule(step: int, rows: object) -> float:
        epoch = step // setting.steps
        line = max(1 - epoch / config.epochs, 0) * (1 - LAST) + LAST
        return line * min(1.0, step / max(warmup, 1))

    average = optim.Average(model, 0.9999 * (1 - math.exp(-updates / 2000)))
    batches = Batches(
        detectors.training_set(setting.splits["train"], config),
        config.batch_size,
        training=True,
        seed=seed,
        prepare=augment.pipeline(config),
        compute=compute,
    )
    rows = training.epochs(
        model,
        setting.task,
        batches,
        None,
        optim.build("adamw", model, setting.rate, weight_decay=WEIGHT_DECAY),
        max_epochs=config.epochs,
        schedule=schedule,
        clip=CLIP / config.batch_size,  # the library's loss is the sum over the images
        average=average,
        seed=seed,
        compute=compute,
    )
    speeds = [row["samples_per_second"] for row in rows]
    return Trained(average.model, speeds)


def theirs(setting: Setting, seed: int, folder: Path) -> Trained:
    """Train by the library's own trainer, without its validation, files and pictures."""
    from ultralytics.models.yolo.detect import DetectionTrainer

    class Trainer(DetectionTrainer):
        def validate(self):
            return {}, 0.0

        def save_model(self):
            return False

        def save_metrics(self, metrics):
            pass

        def final_eval(self):
            pass

    config = setting.config
    trainer = Trainer(
        overrides={
            "model": f"{config.model}.yaml",
            "data": str(folder / "data.yaml"),
            "project": str(folder / "runs"),
            "epochs": config.epochs,
            "patience": 10_000,
            "batch": config.batch_size,
            "nbs": config.batch_size,  # an update for each batch
            "imgsz": setting.card.image_size,
            "seed": seed,
            "device": 0 if setting.device == "cuda" else "cpu",
            "cache": "ram",
            "amp": False,
            "deterministic": False,
            "optimizer": "AdamW",
            "lr0": setting.rate,
            "lrf": LAST,
            "momentum": 0.9,
            "weight_decay": WEIGHT_DECAY,
            "warmup_epochs": WARMUP,
            "warmup_bias_lr": 0.0,
            "close_mosaic": config.close_mosaic,
            **dict.fromkeys(("fliplr", "flipud", "mixup", "cutmix", "copy_paste"), 0.0),
            **specs.parse(AUGMENT),
            **dict.fromkeys(("val", "plots", "save", "verbose"), False),
        }
    )
    trainer.model = setting.build(seed)
    times: list[float] = []
    clock = {"on_train_start": lambda _: torch.set_num_threads(setting.threads)}
    clock |= dict.fromkeys(
        ("on_train_epoch_start", "on_train_epoch_end"), lambda _: times.append(time.perf_counter())
    )
    for event, call in clock.items():
        trainer.add_callback(event, call)
    with contextlib.redirect_stdout(io.StringIO()):  # its progress bars
        trainer.train()
    assert torch.get_num_threads() == setting.threads
    images = len(setting.splits["train"])
    spent = [end - begin for begin, end in zip(times[::2], times[1::2], strict=True)]
    return Trained(trainer.ema.ema, [images / seconds for seconds in spent])


def write(setting: Setting, folder: Path) -> None:
    """Write the training images, without bars, and their boxes as YOLO's text files."""
    for kind in ("images", "labels"):
        (folder / kind / "train").mkdir(parents=True)
    for row in range(len(setting.splits["train"])):
        pixels, boxes = setting.splits["train"].without_bars(row)
        height, width = pixels.shape[:2]
        Image.fromarray(np.ascontiguousarray(pixels)).save(
            folder / "images" / "train" / f"{row:06}.png"
        )
        centers = to_centers(torch.from_numpy(boxes[:, :4])) / torch.tensor([width, height] * 2)
        lines = [
            " ".join([str(int(label)), *(f"{value:.6f}" for value in values)])
            for label, values in zip(boxes[:, 4], centers.tolist(), strict=True)
        ]
        (folder / "labels" / "train" / f"{row:06}.txt").write_text("\n".join(lines))
    names = dict(enumerate(setting.card.classes))
    content = {"path": str(folder), "train": "images/train", "val": "images/train", "names": names}
    (folder / "data.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")


def score(setting: Setting, trained: Trained) -> dict[str, float]:
    """Return mAP50 and mAP50-95 on the test images."""
    prepare = augment.pipeline(setting.config)
    test = Batches(setting.splits["test"], 50, prepare=prepare)
    model = trained.model.to("cpu", memory_format=torch.contiguous_format)
    return training.evaluate(model, setting.task, test)


def prepare(options: argparse.Namespace) -> Setting:
    """Load the images, as many as asked for."""
    config = DetectionConfig(
        data=options.data,
        image_size=options.image_size,
        model=options.model,
        epochs=options.epochs,
        batch_size=options.batch_size,
        augment=AUGMENT,
        close_mosaic=min(10, options.epochs // 2),
    )
    splits, card = load.load(config)
    train = splits["train"]
    kept = min(options.images, len(train))
    splits["train"] = BoxSet(
        torch.stack([train.image(row) for row in range(kept)]),
        train.boxes.select(range(kept)),
        train.sizes[:kept],
        train.names[:kept],
    )
    return Setting(config, splits, card, options.threads, options.device)


def main() -> None:
    """Train both sides in turn, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="scenes")
    parser.add_argument("--model", default="yolo11n")
    parser.add_argument("--images", type=int, default=1000, help="to train with, at most")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--epochs", type=int, help="20 for scenes, else 3")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--seeds", type=int, help="3 for scenes, else 1")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    scenes = options.data == "scenes"
    options.epochs = options.epochs or (20 if scenes else 3)
    options.seeds = options.seeds or (3 if scenes else 1)
    setting = prepare(options)
    torch.set_num_threads(setting.threads)
    print(describe())
    print(
        f"{options.model} on {len(setting.splits['train']):,} images of {options.data}, "
        f"{setting.card.image_size} pixels, {options.epochs} epochs of batches of "
        f"{options.batch_size}, AdamW at {setting.rate}"
    )
    print(f"\n{'side':<8}{'seed':>5}{'mAP50':>9}{'mAP50-95':>10}{'images/s':>10}", flush=True)
    found: dict[str, list[tuple[dict[str, float], list[float]]]] = {"ours": [], "theirs": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        write(setting, folder)
        sides = {"ours": ours, "theirs": lambda *given: theirs(*given, folder)}
        for seed in range(options.seeds):
            for side in sides if seed % 2 else reversed(sides):
                trained = sides[side](setting, seed)
                figures = score(setting, trained) if scenes else {}
                found[side].append((figures, trained.speeds[1:] or trained.speeds))
                print(line(side, str(seed), *found[side][-1]), flush=True)
    print()
    speeds = {side: [speed for run in runs for speed in run[1]] for side, runs in found.items()}
    for side, runs in found.items():
        means = {key: statistics.mean(run[0][key] for run in runs) for key in runs[0][0]}
        print(line(side, "all", means, speeds[side]))
    for key in ("map50", "map50_95") if scenes else ():
        maps = {side: [run[0][key] for run in runs] for side, runs in found.items()}
        difference = statistics.mean(maps["ours"]) - statistics.mean(maps["theirs"])
        spread = {side: f"{max(values) - min(values):.4f}" for side, values in maps.items()}
        print(
            f"{key}: ours less theirs {difference:+.4f}; from the worst seed to the best "
            f"{spread['ours']} (ours), {spread['theirs']} (theirs)"
        )
    ratio = statistics.median(speeds["ours"]) / statistics.median(speeds["theirs"])
    print(f"images per second: ours {ratio:.2f} times theirs")


def line(side: str, seed: str, figures: dict[str, float], speeds: list[float]) -> str:
    """Write a row of the table."""
    maps = [f"{figures[key]:.4f}" if figures else "-" for key in ("map50", "map50_95")]
    return f"{side:<8}{seed:>5}{maps[0]:>9}{maps[1]:>10}{statistics.median(speeds):>10.1f}"


if __name__ == "__main__":
    main()
