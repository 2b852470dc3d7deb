"""Several labels at once: one network for all columns, one for each, or one for combinations."""

import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
import torch

from common.images.folders import ImageSet
from common.metrics import metrics as figures
from common.metrics.metrics import Array
from common.options import terminal
from common.report import plots
from common.report.html import PictureSaver, Section, Table
from common.report.plots import Bar
from common.runs.comparison import Jobs
from common.runs.job import Splits
from labs.classification import label_columns, task
from labs.classification.compare.trials import Entry, Trials
from labs.classification.config import HEADS, CompareHeadsConfig
from labs.classification.job import ClassifyImages

_TIMED = 30  # images of which each is timed by itself


class Comparison(Trials[CompareHeadsConfig]):
    """The kinds of `--heads` on the same data."""

    verb = "compare-heads"
    config_type = CompareHeadsConfig
    heading = "Several labels at once"
    about = (
        "What varies is what tells the label columns: one network whose last layer answers for "
        "each of them (shared), a network for each (separate), or one with an output for each "
        "combination (joint). The accuracy counts images of which all columns are right; each "
        "column is also judged by itself, from its marginal probabilities. A network is timed on "
        "one image at a time, the median of 30."
    )

    @classmethod
    def variants(cls, config: CompareHeadsConfig) -> dict[str, dict[str, Any]]:
        """Return the kinds of heads, the shared one first."""
        return {name: {"heads": name} for name in HEADS}

    def measured(
        self, jobs: Sequence[ClassifyImages], chances: Sequence[Array], splits: Splits
    ) -> Entry:
        """Return the accuracy of each column, and the time for an image."""
        first, test = jobs[0], splits["test"]
        known = first.card.labels
        truth = label_columns.apart(first.targets(test), known)
        found = [label_columns.marginals(each, known) for each in chances]
        right = {
            column: np.array([each[column].argmax(1) == truth[column] for each in found], float)
            for column in known
        }
        return {
            "labels": {
                column: {
                    "accuracy": float(each.mean()),
                    "accuracy_interval": list(figures.seeds_interval(each)),
                }
                for column, each in right.items()
            },
            "milliseconds": _milliseconds(first, test),
        }

    @classmethod
    def shown(cls, entry: Entry) -> dict[str, str]:
        """Show the parameters, and the time for an image."""
        return {
            "parameters": terminal.figure_text(entry["parameters"]),
            "ms an image": f"{entry['milliseconds']:.2f}",
        }

    def sections(
        self, jobs: Jobs, compared: Mapping[str, Entry], save_picture: PictureSaver
    ) -> list[Section]:
        """Return the accuracy of each column."""
        text = "The test accuracy of each column by itself, with its 95 % interval."
        pictures = [
            save_picture(f"compared_column_{number}", f"{column}.", _bars(compared, column))
            for number, column in enumerate(_columns(compared), 1)
        ]
        table = Table(*_columns_table(compared))
        return [Section("Each label column", text, table, tuple(pictures))]

    def show(self, metrics: Mapping[str, Any]) -> None:
        """Print the table, the columns by themselves, and what came out."""
        terminal.show_table("Each label column", *_columns_table(metrics["compared"]))
        super().show(metrics)


def _columns(compared: Mapping[str, Entry]) -> list[str]:
    return list(next(iter(compared.values()))["labels"])


def _columns_table(compared: Mapping[str, Entry]) -> tuple[list[str], list[list[str]]]:
    """Return columns, and a row for each variant."""
    rows = [
        [
            variant,
            *(
                "{:.4f} ({:.4f} to {:.4f})".format(each["accuracy"], *each["accuracy_interval"])
                for each in entry["labels"].values()
            ),
        ]
        for variant, entry in compared.items()
    ]
    return ["", *_columns(compared)], rows


def _bars(compared: Mapping[str, Entry], column: str) -> Any:
    found = {variant: entry["labels"][column] for variant, entry in compared.items()}
    entries = [
        Bar(variant, each["accuracy"], tuple(each["accuracy_interval"]))
        for variant, each in found.items()
    ]
    return plots.bars(entries, "test accuracy")


def _milliseconds(job: ClassifyImages, split: ImageSet) -> float:
    """Return the median time for one image."""
    prepare, model = task.augmentation(job.config, job.card), job.model.eval()
    images = [split.images[row][None] for row in range(min(_TIMED, len(split)))]
    seconds = []
    with torch.inference_mode(), job.compute.autocast():
        for image in [images[0], *images]:
            begun = time.perf_counter()
            model(prepare(job.compute.move(image), None)).cpu()
            seconds.append(time.perf_counter() - begun)
    return 1000 * median(seconds[1:])  # the first call also warms up
