"""Several labels at once: one network for all columns, one for each, or one for combinations."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from common.images.sets import ImageSet
from common.metrics import metrics as figures
from common.options import terminal
from common.report.html import PictureSaver, Section, Table
from common.runs.comparison import Jobs, Tested, time_each
from common.runs.differences import Entry, draw_bars
from common.runs.job import groups_of
from common.training.task import probabilities
from labs.classification import label_columns, task
from labs.classification.compare.comparison import ImageComparison
from labs.classification.compare.config import CompareHeadsConfig
from labs.classification.config import HEADS
from labs.classification.job import ClassifyImages

_TIMED = 30  # images of which each is timed by itself


class Comparison(ImageComparison[CompareHeadsConfig]):
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

    def measure_variant(self, tested: Tested) -> dict[str, Any]:
        """Return the accuracy of each column, and the time for an image."""
        first, test = tested.jobs[0], tested.splits["test"]
        known = first.card.labels
        truth = label_columns.split_columns(first.targets(test), known)
        found = [
            label_columns.marginals(probabilities(each["outputs"]), known)
            for each in tested.outputs
        ]
        right = {
            column: np.array([each[column].argmax(1) == truth[column] for each in found], float)
            for column in known
        }
        return {
            **super().measure_variant(tested),
            "labels": {
                column: {
                    "accuracy": float(each.mean()),
                    "accuracy_interval": list(figures.seeds_interval(each, groups=groups_of(test))),
                }
                for column, each in right.items()
            },
            "milliseconds": _milliseconds(first, test),
        }

    def show_variant(self, entry: Entry) -> dict[str, str]:
        """Show the parameters, and the time for an image, too."""
        return {
            **super().show_variant(entry),
            "parameters": terminal.figure_text(entry["parameters"]),
            "ms an image": f"{entry['milliseconds']:.2f}",
        }

    def sections(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> list[Section]:
        """Return the accuracy of each column."""
        compared = metrics["compared"]
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
    return draw_bars(found, "accuracy", "test accuracy")


def _milliseconds(job: ClassifyImages, split: ImageSet) -> float:
    """Return the median time for one image."""
    prepare, model = task.augmentation(job.config, job.card), job.model.eval()
    images = [split.images[row][None] for row in range(min(_TIMED, len(split)))]
    with torch.inference_mode(), job.compute.autocast():
        return time_each(lambda image: model(prepare(job.compute.move(image), None)).cpu(), images)
