"""What every comparison of classifiers measures and shows of a variant."""

from typing import Any, TypeVar

import numpy as np

from common.metrics import metrics
from common.metrics.main_metric import ACCURACY
from common.options import terminal
from common.runs.comparison import Comparison, Tested
from common.runs.differences import Entry, show_difference
from labs.classification.compare.config import TrialsConfig
from labs.classification.job import ClassifyImages

C = TypeVar("C", bound=TrialsConfig)


class ImageComparison(Comparison[C]):
    """Variants of a classifier, compared by accuracy."""

    lab, member, main_metric = "classification", ClassifyImages, ACCURACY

    def measure_variant(self, tested: Tested) -> dict[str, Any]:
        """Return the recall of each class, a mean over the seeds."""
        job, targets = tested.jobs[0], tested.jobs[0].targets(tested.splits["test"])
        recalls = [
            [float(row["recall"]) for row in metrics.per_class(guesses, targets, job.card.classes)]
            for guesses in map(job.decide, tested.outputs)
        ]
        return {"recalls": np.mean(recalls, 0).tolist()}

    def show_variant(self, entry: Entry) -> dict[str, str]:
        """Return how right a variant is, and how long it trained, in few columns."""
        of_seeds, interval = entry["accuracy_of_seeds"], entry["accuracy_interval"]
        return {
            "validation": terminal.figure_text(entry["validation_accuracy"]),
            "test accuracy (95 %)": "{:.4f} ({:.4f} to {:.4f})".format(
                entry["accuracy"], *interval
            ),
            "seeds": f"{min(of_seeds):.4f} to {max(of_seeds):.4f}",
            "difference (95 %)": show_difference(entry),
            "seconds": f"{entry['seconds']:.1f}",
        }
