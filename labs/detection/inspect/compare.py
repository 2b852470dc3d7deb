"""One-stage and two-stage detectors side by side: how right, how fast, and where each errs."""

import time
from collections.abc import Mapping
from dataclasses import fields, replace
from statistics import median
from typing import Any

import torch

from common.options import terminal
from common.report import html as report
from common.report import plots
from common.report.html import PictureSaver, Section, Table
from common.report.plots import Bar
from common.runs import sections
from common.runs.comparison import Jobs, Members
from common.runs.job import Splits
from labs.detection import metrics
from labs.detection import plots as lab_plots
from labs.detection.config import RECIPES, CompareConfig, DetectionConfig, recipe_for
from labs.detection.job import Detector

_COLUMNS = (
    "",
    "kind",
    "validation mAP50-95",
    "test mAP50-95",
    "95 % interval",
    "test mAP50",
    "ms an image",
    "parameters",
    "minutes to train",
)
_TIMED = 30  # images of which each is timed by itself


class Comparison(Members[CompareConfig]):
    """Detectors on the same data."""

    lab, verb = "detection", "compare"
    config_type, member = CompareConfig, Detector

    @classmethod
    def plan(cls, config: CompareConfig) -> dict[str, DetectionConfig]:
        """Return the config of each model: with its own recipe, but for what `chosen` names."""
        shared = {field.name: getattr(config, field.name) for field in fields(DetectionConfig)}
        base = DetectionConfig(**{**shared, "name": None})
        plan = {}
        for name in config.models:
            recipe = RECIPES.get(recipe_for(name) or "", {})
            own = {key: value for key, value in recipe.items() if key not in config.chosen}
            plan[name] = replace(base, **{**own, "model": name})
        return plan

    @classmethod
    def stem(cls, config: CompareConfig) -> str:
        """Name the data."""
        return f"{cls.verb}-{config.data}"

    def measure(self, jobs: Jobs) -> dict[str, Any]:
        """Return the figures of each detector, and how long it takes for an image."""
        first = next(iter(jobs.values()))
        splits = first.load_splits()
        compared = {name: _measured(job, splits) for name, job in jobs.items()}
        return {"compared": compared, "source": first.card.source, "device": str(first.compute)}

    def write_report(self, jobs: Jobs, metrics: Mapping[str, Any]) -> None:
        """Show the detectors in a table, on a map of time and mAP, and where each errs."""
        compared, save_picture = metrics["compared"], PictureSaver(self.run.figures)
        histories = {name: [job.run.history] for name, job in jobs.items()}
        text = (
            f"{metrics['source']}. All see the same images, from random weights unless the config "
            "names others; the best epoch is chosen on validation, the test split is used once a "
            "detector. The time is the median for one image at a time, decoding and non-maximum "
            f"suppression included, on {metrics['device']}."
        )
        parts = [
            Section(
                "Side by side",
                text,
                Table(list(_COLUMNS), table(compared)),
                (
                    save_picture("compared", "Test mAP50-95 with 95 % intervals.", _bars(compared)),
                    save_picture(
                        "speed",
                        "Better is up, faster is left; the area of a dot tells the parameters.",
                        lab_plots.speed(compared),
                    ),
                    save_picture(
                        "curves",
                        "Validation mAP50-95 after each epoch.",
                        plots.histories(histories, "validation/map50_95", "mAP50-95"),
                    ),
                ),
            ),
            Section(
                "Where each errs",
                "What becomes of each detection from the detector's own score threshold on, and "
                "which boxes nothing finds (TIDE, Bolya et al. 2020).",
                pictures=(
                    save_picture(
                        "errors",
                        "Kinds of errors on the test split.",
                        lab_plots.compared_errors(
                            {name: each["errors"] for name, each in compared.items()}
                        ),
                    ),
                ),
            ),
            *sections.settings(self.run),
        ]
        html = report.render("Detectors", f"Run {self.run.path.name}", verdict(compared), parts)
        report.write(self.run.report, html)

    def show(self, metrics: Mapping[str, Any]) -> None:
        """Print the table, and which came out best."""
        terminal.show_table(metrics["source"], list(_COLUMNS), table(metrics["compared"]))
        terminal.say(verdict(metrics["compared"]))


def table(compared: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return a row for each detector."""
    rows = []
    for name, found in compared.items():
        low, high = found["test"]["map50_95_interval"]
        rows.append(
            [
                name,
                found["kind"],
                terminal.figure_text(found["validation"]["map50_95"]),
                terminal.figure_text(found["test"]["map50_95"]),
                f"{low:.4f} to {high:.4f}",
                terminal.figure_text(found["test"]["map50"]),
                f"{found['milliseconds']:.1f}",
                terminal.figure_text(found["parameters"]),
                f"{found['seconds']['train'] / 60:.1f}",
            ]
        )
    return rows


def verdict(compared: Mapping[str, Mapping[str, Any]]) -> str:
    """Say which detector is best, which is fastest, and what kind of error each makes most."""
    best = max(compared, key=lambda name: compared[name]["test"]["map50_95"])
    fastest = min(compared, key=lambda name: compared[name]["milliseconds"])
    faults = {
        name: max((kind for kind in metrics.KINDS if kind != "correct"), key=found["errors"].get)
        for name, found in compared.items()
    }
    said = ", ".join(f"{name}: {kind}" for name, kind in faults.items())
    return (
        f"{best} has the best test mAP50-95, {compared[best]['test']['map50_95']:.4f}; {fastest} "
        f"is the fastest, {compared[fastest]['milliseconds']:.1f} ms an image. "
        f"The most common error of each: {said}."
    )


def _measured(job: Detector, splits: Splits) -> dict[str, Any]:
    job.load_best()
    outputs = job.predict_splits(splits, ["test"])["test"]
    found, truth = job.decide(outputs), job.targets(splits["test"])
    return {
        "kind": "two stages" if job.config.model == "faster-rcnn" else "one stage",
        "parameters": sum(p.numel() for p in job.model.parameters()),
        "milliseconds": _milliseconds(job, splits["test"]),
        "errors": metrics.errors(found, truth, job.score).counts,
        **job.run.read("metrics"),
    }


def _milliseconds(job: Detector, split: Any) -> float:
    """Return the median time for one image."""
    images = [split.image(row)[None] for row in range(min(_TIMED, len(split)))]
    seconds = []
    with torch.inference_mode(), job.compute.autocast():
        for image in [images[0], *images]:
            begun = time.perf_counter()
            prepared = job.compute.move(image).float() / 255
            job.detection.detect(job.model.eval(), prepared).cpu()
            seconds.append(time.perf_counter() - begun)
    return 1000 * median(seconds[1:])  # the first call also warms up


def _bars(compared: Mapping[str, Mapping[str, Any]]) -> Any:
    entries = [
        Bar(name, each["test"]["map50_95"], tuple(each["test"]["map50_95_interval"]))
        for name, each in compared.items()
    ]
    return plots.bars(entries, "test mAP50-95")
