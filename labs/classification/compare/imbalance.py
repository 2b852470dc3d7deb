"""Ways to learn from few images of some classes, side by side: the recall of each class."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from common.errors import DataError
from common.metrics import metrics
from common.metrics.metrics import Array
from common.options.terminal import figure_text
from common.report.html import PictureSaver, Section, Table
from common.runs.comparison import Jobs, Tested
from common.runs.differences import (
    Entry,
    describe_differences,
    draw_bars,
    list_differences,
    show_difference,
)
from common.runs.job import Splits, groups_of
from common.training.batches import close
from labs.classification.compare.comparison import ImageComparison
from labs.classification.compare.config import CompareImbalanceConfig
from labs.classification.config import IMBALANCE
from labs.classification.job import ClassifyImages


class Comparison(ImageComparison[CompareImbalanceConfig]):
    """The strategies of `--imbalance` on the same data."""

    verb = "compare-imbalance"
    config_type = CompareImbalanceConfig
    heading = "Learning from rare classes"
    about = (
        "What varies is what is done about classes with few training images. Recall is the share "
        "of a class's test images that are recognized; that of the rare half is of the test images "
        "of the half of the classes with fewest training images. With repeats, an epoch of "
        "augment-rare has more updates than one of the others."
    )
    _reference: Array | None = None  # which rare test images the first variant's seeds get right

    @classmethod
    def refuse(cls, config: CompareImbalanceConfig, job: ClassifyImages, splits: Splits) -> None:
        """Refuse data without rare classes, or whose test images have none of them."""
        counts = _counts(job, splits)
        rare = rarest(counts)
        if len({count for count in counts if count}) == 1:
            raise DataError(
                f"{job.card.source}: no class is rare, all have {max(counts):,} training images; "
                "make some rare by --imbalanced 50"
            )
        if not np.isin(job.targets(splits["test"]), rare).any():
            names = ", ".join(job.card.classes[row] for row in rare[:5])
            raise DataError(
                f"{job.card.source}: no test image is of the rare classes ({names}), so nothing "
                "can be said of them; bring more images of them, or name fewer --label-column"
            )

    @classmethod
    def variants(cls, config: CompareImbalanceConfig) -> dict[str, dict[str, Any]]:
        """Return the strategies, doing nothing first."""
        return {name: {"imbalance": name} for name in IMBALANCE}

    def measure_variant(self, tested: Tested) -> dict[str, Any]:
        """Return the recall of the rare half of the classes, and its difference from the first."""
        job, splits = tested.jobs[0], tested.splits
        counts = _counts(job, splits)
        rare = np.isin(job.targets(splits["test"]), rarest(counts))
        found, groups = np.array(tested.rows)[:, rare], groups_of(splits["test"])
        groups = None if groups is None else groups[rare]
        train = job.batches(splits["train"], training=True)
        close(train)
        entry = {
            **super().measure_variant(tested),
            "training_images": counts,
            "updates_per_epoch": len(train),
            "rare_recall": float(found.mean()),
            "rare_recall_interval": list(metrics.seeds_interval(found, groups=groups)),
        }
        if self._reference is None:
            self._reference = found
            return entry
        lead = found - self._reference
        return {
            **entry,
            "rare_recall_difference": float(lead.mean()),
            "rare_recall_difference_interval": list(metrics.seeds_interval(lead, groups=groups)),
        }

    def show_variant(self, entry: Entry) -> dict[str, str]:
        """Show the updates, and the recall of the rare half, too."""
        return {
            **super().show_variant(entry),
            "updates per epoch": str(entry["updates_per_epoch"]),
            "recall of rare half": figure_text(entry["rare_recall"]),
            "gain (95 %)": show_difference(entry, "rare_recall_difference"),
        }

    def sections(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> list[Section]:
        """Show the recall of each class under each strategy, and of the rare half."""
        from labs.classification import plots

        compared, classes = metrics["compared"], next(iter(jobs.values())).card.classes
        counts = next(iter(compared.values()))["training_images"]
        order = frequent_first(counts)
        recalls = np.array(  # JSON has None where a class has no test images, and this NaN
            [[entry["recalls"][row] for entry in compared.values()] for row in order], np.float64
        )
        names, sizes = [classes[row] for row in order], [counts[row] for row in order]
        labels = [f"{name} ({size:,})" for name, size in zip(names, sizes, strict=True)]
        rows = [
            [name, f"{size:,}", *map(figure_text, line)]
            for name, size, line in zip(names, sizes, recalls.tolist(), strict=True)
        ]
        rare = ", ".join(classes[row] for row in sorted(rarest(counts)))
        return [
            Section(
                "Recall of each class",
                f"The rare half is: {rare}. Means over the seeds.",
                Table(["class", "training images", *compared], rows),
                (
                    save_picture(
                        "recalls",
                        "Test recall of each class, the most frequent first; in brackets its "
                        "training images.",
                        plots.recalls(recalls, labels, list(compared)),
                    ),
                    save_picture(
                        "rare_recall",
                        "Test recall of the rare half of the classes with 95 % intervals.",
                        draw_bars(compared, "rare_recall", "test recall of the rare half"),
                    ),
                ),
            )
        ]

    def verdict(self, metrics: Mapping[str, Any]) -> str:
        """Say which strategies find more of the rare half, and what each does to accuracy."""
        return " ".join([*_describe_gains(metrics["compared"]), super().verdict(metrics)])


def frequent_first(counts: Sequence[int]) -> list[int]:
    """Return the classes by their number of training images, the most frequent first."""
    return sorted(range(len(counts)), key=lambda row: -counts[row])


def rarest(counts: Sequence[int]) -> list[int]:
    """Return the half of the classes with fewest training images; of an odd number, the less.

    Combinations of label columns that have no training image are not among them.
    """
    present = [row for row in frequent_first(counts) if counts[row]]
    return present[len(present) - len(present) // 2 :]


def _counts(job: ClassifyImages, splits: Splits) -> list[int]:
    """Return the number of training images of each class."""
    counts: list[int] = splits["train"].targets.bincount(minlength=len(job.card.classes)).tolist()
    return counts


def _describe_gains(compared: Mapping[str, Entry]) -> Iterator[str]:
    """Say how the strategies compare with the first on the rare half."""
    first = next(iter(compared))
    return describe_differences(
        list_differences(compared, "rare_recall_difference"),
        f"More of the rare half than {first} is found by",
        f"By what is found of the rare half, not to be told apart from {first}",
        f"Less of it than {first} is found by",
    )
