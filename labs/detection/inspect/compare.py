"""One-stage and two-stage detectors side by side: how right, how fast, and where each errs."""

from collections import Counter
from collections.abc import Mapping
from statistics import fmean
from typing import Any

import torch

from common.options import terminal
from common.report.html import PictureSaver, Section
from common.runs import comparison
from common.runs.comparison import Jobs, Tested, time_each
from common.runs.differences import Entry
from labs.detection import metrics as figures
from labs.detection.config import RECIPES, CompareConfig, recipe_for
from labs.detection.job import Detector

_TIMED = 30  # images of which each is timed by itself


class Comparison(comparison.Comparison[CompareConfig]):
    """Detectors on the same data."""

    lab, verb = "detection", "compare-models"
    config_type, member = CompareConfig, Detector
    main_metric, by_validation = figures.HEADLINE, True
    heading = "Detectors"
    about = (
        "All see the same images, from random weights unless the config names others, and each has "
        "the values of its own recipe."
    )

    @classmethod
    def variants(cls, config: CompareConfig) -> dict[str, dict[str, Any]]:
        """Return the values of each model's own recipe, but for what `chosen` names."""
        recipes = {name: RECIPES.get(recipe_for(name) or "", {}) for name in config.models}
        return {
            name: {
                **{key: value for key, value in recipe.items() if key not in config.chosen},
                "model": name,
            }
            for name, recipe in recipes.items()
        }

    def measure(self, jobs: Jobs) -> dict[str, Any]:
        """Return the figures of each detector, and where it was timed."""
        return {**super().measure(jobs), "device": str(next(iter(jobs.values())).compute)}

    def measure_variant(self, tested: Tested) -> dict[str, Any]:
        """Return what a detector is, where it errs, and how long it takes for an image."""
        job, test = tested.jobs[0], tested.splits["test"]
        errors: Counter[str] = Counter()
        for each, outputs in zip(tested.jobs, tested.outputs, strict=True):
            found = figures.errors(each.decide(outputs), each.targets(test), each.score)
            errors.update(found.counts)
        return {
            "kind": "two stages" if job.config.model == "faster-rcnn" else "one stage",
            "map50": fmean(each.run.read("metrics")["test"]["map50"] for each in tested.jobs),
            "milliseconds": _milliseconds(job, test),
            "errors": errors,
        }

    def show_variant(self, entry: Entry) -> dict[str, str]:
        """Show what a detector is, and what it costs, too."""
        return {
            "kind": entry["kind"],
            **super().show_variant(entry),
            "test mAP50": terminal.figure_text(entry["map50"]),
            "ms an image": f"{entry['milliseconds']:.1f}",
            "parameters": terminal.figure_text(entry["parameters"]),
            "minutes to train": f"{entry['seconds'] / 60:.1f}",
        }

    def verdict(self, metrics: Mapping[str, Any]) -> str:
        """Say which detector is best, which is fastest, and what kind of error each makes most."""
        compared = metrics["compared"]
        fastest = min(compared, key=lambda name: compared[name]["milliseconds"])
        kinds = [kind for kind in figures.KINDS if kind != "correct"]
        faults = ", ".join(
            f"{name}: {max(kinds, key=entry['errors'].get)}" for name, entry in compared.items()
        )
        return (
            f"{super().verdict(metrics)} {fastest} is the fastest, "
            f"{compared[fastest]['milliseconds']:.1f} ms an image. "
            f"The most common error of each: {faults}."
        )

    def sections(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> list[Section]:
        """Show the detectors on a map of time and mAP, and where each errs."""
        from labs.detection import plots

        compared = metrics["compared"]
        speed = save_picture(
            "speed",
            "Better is up, faster is left; the area of a dot tells the parameters.",
            plots.speed(compared),
        )
        errors = save_picture(
            "errors",
            "Kinds of errors on the test split.",
            plots.compared_errors({name: entry["errors"] for name, entry in compared.items()}),
        )
        return [
            Section(
                "How fast each is",
                "The time is the median for one image at a time, decoding and non-maximum "
                f"suppression included, on {metrics['device']}.",
                pictures=(speed,),
            ),
            Section(
                "Where each errs",
                "What becomes of each detection from the detector's own score threshold on, and "
                "which boxes nothing finds (TIDE, Bolya et al. 2020).",
                pictures=(errors,),
            ),
        ]

    def translate(self, metrics: Mapping[str, Any]) -> Mapping[str, Any]:
        """Read comparisons of one run each, whose differences were not judged, too."""
        if "rule" in metrics:
            return metrics
        compared = {name: _translate(found) for name, found in metrics["compared"].items()}
        rule = "the test images of one run each"
        return {**metrics, "compared": compared, "rule": rule, "seeds": 1}


def _translate(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a detector of an older metrics.json, which has all figures of its run."""
    test, kept = found["test"], ("kind", "parameters", "milliseconds", "errors")
    return {
        **{name: found[name] for name in kept},
        **{name: test[name] for name in ("map50_95", "map50_95_interval", "map50")},
        "validation_map50_95": found["validation"]["map50_95"],
        "seconds": found["seconds"]["train"],
    }


def _milliseconds(job: Detector, split: Any) -> float:
    """Return the median time for one image."""
    model = job.model.eval()
    images = [split.image(row)[None] for row in range(min(_TIMED, len(split)))]

    def detect(image: torch.Tensor) -> None:
        job.detection.detect(model, job.compute.move(image).float() / 255).cpu()

    with torch.inference_mode(), job.compute.autocast():
        return time_each(detect, images)
