"""Ways to learn from few images of some classes, side by side: the recall of each class."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from common.errors import DataError
from common.metrics import metrics
from common.metrics.metrics import Array
from common.options.terminal import figure_text, lead_text
from common.report import plots
from common.report.html import PictureSaver, Section, Table
from common.report.plots import Bar
from common.runs.comparison import Jobs
from common.runs.job import Splits
from common.training.batches import close
from labs.classification import plots as lab_plots
from labs.classification.compare.trials import Entry, Trials, leads_of, told
from labs.classification.config import IMBALANCE, CompareImbalanceConfig
from labs.classification.job import ClassifyImages


class Comparison(Trials[CompareImbalanceConfig]):
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
    def refuse(cls, job: ClassifyImages, splits: Splits) -> None:
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

    def measured(
        self, jobs: Sequence[ClassifyImages], chances: Sequence[Array], splits: Splits
    ) -> Entry:
        """Return the recall of the rare half of the classes, and its difference from the first."""
        counts, targets = _counts(jobs[0], splits), jobs[0].targets(splits["test"])
        rare = np.isin(targets, rarest(counts))
        found = np.array([each.argmax(1) == targets for each in chances], np.float64)[:, rare]
        train = jobs[0].batches(splits["train"], training=True)
        close(train)
        entry = {
            "training_images": counts,
            "updates_per_epoch": len(train),
            "rare_recall": float(found.mean()),
            "rare_recall_interval": list(metrics.seeds_interval(found)),
        }
        if self._reference is None:
            self._reference = found
            return entry
        lead = found - self._reference
        return {
            **entry,
            "rare_recall_difference": float(lead.mean()),
            "rare_recall_difference_interval": list(metrics.seeds_interval(lead)),
        }

    @classmethod
    def shown(cls, entry: Entry) -> dict[str, str]:
        """Return the updates, and the recall of the rare half, for the table."""
        row = {
            "updates per epoch": str(entry["updates_per_epoch"]),
            "recall of rare half": figure_text(entry["rare_recall"]),
            "gain (95 %)": "",
        }
        if "rare_recall_difference" in entry:
            interval = entry["rare_recall_difference_interval"]
            row["gain (95 %)"] = lead_text(entry["rare_recall_difference"], interval)
        return row

    def sections(
        self, jobs: Jobs, compared: Mapping[str, Entry], save_picture: PictureSaver
    ) -> list[Section]:
        """Show the recall of each class under each strategy, and of the rare half."""
        classes = next(iter(jobs.values())).card.classes
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
        bars = [
            Bar(name, entry["rare_recall"], tuple(entry["rare_recall_interval"]))
            for name, entry in compared.items()
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
                        lab_plots.recalls(recalls, labels, list(compared)),
                    ),
                    save_picture(
                        "rare_recall",
                        "Test recall of the rare half of the classes with 95 % intervals.",
                        plots.bars(bars, "test recall of the rare half"),
                    ),
                ),
            )
        ]

    def verdict(self, compared: Mapping[str, Entry]) -> str:
        """Say which strategies find more of the rare half, and what each does to accuracy."""
        return " ".join([*_gains(compared), super().verdict(compared)])


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


def _gains(compared: Mapping[str, Entry]) -> Iterator[str]:
    """Say how the strategies compare with the first on the rare half."""
    first, *others = compared
    return told(
        leads_of(compared, others, "rare_recall_difference"),
        f"More of the rare half than {first} is found by",
        f"By what is found of the rare half, not to be told apart from {first}",
        f"Less of it than {first} is found by",
    )
