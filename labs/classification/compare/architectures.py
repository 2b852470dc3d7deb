"""The ladder of architectures under one budget: accuracy, parameters, seconds, and robustness."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from common.images.augment import Affine
from common.images.sets import ImageSet
from common.metrics.main_metric import ACCURACY
from common.metrics.metrics import Array
from common.options import terminal
from common.report.html import PictureSaver, Section
from common.runs.comparison import Jobs, Tested
from common.runs.differences import Entry, find_best, judge
from common.runs.folder import Run
from common.runs.job import groups_of
from labs.classification import baselines, task
from labs.classification.compare import robustness
from labs.classification.compare.comparison import ModelComparison
from labs.classification.compare.config import CompareArchitecturesConfig

NEIGHBORS = "nearest neighbors"
SHARED, UNSHARED = "lenet5", "locally-connected"  # the same windows with and without shared weights

_ABOUT_COSTS = (
    "The axis of the accuracy is that of its log odds: it parts what is near 1. Nearest neighbors "
    "have no parameters, but keep all training images, and take their time when they are asked."
)
_ABOUT_CHANGES = (
    "The test images are shifted (right, down, left and up in turn), scaled, or rotated (to either "
    "side in turn) about the center, with black where nothing was; the models stay as they are. A "
    "model with one set of weights for all positions knows a stroke everywhere that it has learned "
    "in one place; with weights for each position it has to see it in all of them. Pooling "
    "forgives a shift of a pixel or two. But linear layers after it still know places, so a long "
    "shift makes a new picture for all but the models that end in the mean of each map, such as "
    "resnet20."
)


class Comparison(ModelComparison[CompareArchitecturesConfig]):
    """Architectures on the same data, each with its own recipe but for the budget."""

    verb = "compare-architectures"
    config_type = CompareArchitecturesConfig
    heading = "Architectures"
    about = (
        "Each model has the values of its own recipe, but all have the same epochs, batches and "
        "changes of images, so each sees each image as often. Nearest neighbors see the training "
        "images as they are."
    )
    by_validation = True

    def __init__(self, run: Run, config: CompareArchitecturesConfig, reasons: Sequence[str] = ()):
        super().__init__(run, config, reasons)
        self._outcomes: dict[str, dict[str, Array]] = {}  # of changed images, by the model

    def measure(self, jobs: Jobs) -> dict[str, Any]:
        """Return the figures of each model, and what sharing weights does to changed images."""
        metrics = super().measure(jobs)
        if {SHARED, UNSHARED} <= self._outcomes.keys():
            metrics["compared"][SHARED]["over_unshared"] = robustness.difference(
                self._outcomes[SHARED], self._outcomes[UNSHARED]
            )
        return metrics

    def measure_variant(self, tested: Tested) -> dict[str, Any]:
        """Return the size of a model's images, and its accuracy when they are changed."""
        job, test = tested.jobs[0], tested.splits["test"]

        def right(part: ImageSet) -> Array:
            splits, targets = {**tested.splits, "test": part}, part.targets.numpy()
            return np.array(
                [
                    each.decide(each.predict_splits(splits, ["test"])["test"]) == targets
                    for each in tested.jobs
                ]
            )

        size = task.augmentation(job.config, job.card).output_size(job.card.image_size)
        return {
            **super().measure_variant(tested),
            "pixels": size,
            "channels": job.card.channels,
            "robustness": self._changed(job.config.model, right, test, tested.rows),
        }

    def show_variant(self, entry: Entry) -> dict[str, str]:
        """Return a model's size, then how right it is."""
        color = ", color" if entry["channels"] == 3 else ""
        return {
            "parameters": f"{entry['parameters']:,}" if entry["parameters"] else "",
            "pixels": f"{entry['pixels']}{color}",
            **super().show_variant(entry),
            "validation": "",
        }

    def sections(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> list[Section]:
        """Draw accuracy against parameters and seconds, and on changed images."""
        from labs.classification.compare import architecture_plots

        compared, job = metrics["compared"], next(iter(jobs.values()))
        finest = 1 - 0.5 / job.card.counts["test"]
        return [
            Section(
                "What accuracy costs",
                _ABOUT_COSTS,
                pictures=(
                    save_picture(
                        "parameters",
                        "Test accuracy and parameters, with 95 % intervals.",
                        architecture_plots.against(
                            compared, "parameters", "parameters", finest, level=NEIGHBORS
                        ),
                    ),
                    save_picture(
                        "seconds",
                        "Test accuracy and the time of a training, with 95 % intervals.",
                        architecture_plots.against(compared, "seconds", "seconds to train", finest),
                    ),
                ),
            ),
            Section(
                "Changed images",
                " ".join([_ABOUT_CHANGES, *_sharing(compared)]),
                pictures=(
                    save_picture(
                        "robustness",
                        "Accuracy on changed test images. Grey is what training changed at random; "
                        "colored bands are 95 % intervals, which are left out of many models.",
                        architecture_plots.robustness(compared, _seen(job)),
                    ),
                ),
            ),
        ]

    def verdict(self, metrics: Mapping[str, Any]) -> str:
        """Say which model is best, which cannot be told apart from it, and which are worse."""
        return " ".join([*verdicts(metrics["compared"]), *self.describe_diverged(metrics)])

    def measure_others(self, jobs: Jobs) -> dict[str, tuple[dict[str, Any], Sequence[Array]]]:
        """Return nearest neighbors in the smallest images that a model gets."""
        job = min(jobs.values(), key=lambda each: (each.card.channels, each.card.image_size))
        splits = job.load_splits()
        model = baselines.nearest_neighbors(splits)

        def right(part: ImageSet) -> Array:
            inputs, targets = baselines.pixels(part)
            return np.asarray(model.predict(inputs) == targets, np.float64)[None]

        begun = time.perf_counter()
        model.fit(*baselines.pixels(baselines.sampled(splits)))
        correct = list(right(splits["test"]))
        seconds = time.perf_counter() - begun
        entry = {
            **self.main_metric.measure_runs(correct, groups_of(splits["test"])),
            "validation_accuracy": float(right(splits["validation"]).mean()),
            "neighbors": model.n_neighbors,
            "parameters": 0,
            "seconds": seconds,
            "pixels": min(job.card.image_size, baselines.SIDE),
            "channels": job.card.channels,
            "robustness": self._changed(NEIGHBORS, right, splits["test"], correct),
        }
        return {NEIGHBORS: (entry, correct)}

    def _changed(
        self, name: str, right: robustness.Right, test: ImageSet, plain: Sequence[Array]
    ) -> dict[str, Any]:
        found = robustness.outcomes(right, test, np.asarray(plain))
        self._outcomes[name] = found
        return robustness.figures(found)


def _seen(job: Any) -> dict[str, tuple[float, float]]:
    """Return from where to where training changes images at random, by the kind of change."""
    found = {}
    for change in task.augmentation(job.config, job.card).transforms:
        if isinstance(change, Affine):
            found["shift"] = (0.0, change.translate)
            found["scale"] = (1 - change.scale, 1 + change.scale)
            found["rotation"] = (0.0, change.degrees)
    return found


def _sharing(compared: Mapping[str, Entry]) -> Iterator[str]:
    """Say what sharing weights over positions does to changed images, where it was measured."""
    found = compared.get(SHARED, {}).get("over_unshared", {})
    if not found:
        return
    said = ", ".join(
        f"{kind} {terminal.lead_text(each['difference'], each['interval'])}"
        for kind, each in found.items()
    )
    yield (
        f"Of {SHARED} and {UNSHARED}, which differ in nothing else, the one with shared weights is "
        f"right on so many more of the changed images, over all amounts: {said}."
    )
    level = [kind for kind, each in found.items() if judge(each["interval"]) == 0]
    if level:
        yield f"By {', '.join(level)} they cannot be told apart."


def verdicts(compared: Mapping[str, Entry]) -> Iterator[str]:
    """Say how the models compare with the best on validation, in sentences."""
    first = find_best(compared, ACCURACY)
    accuracy = compared[first]["accuracy"]
    yield f"The best on validation is {first}: {accuracy:.4f} of the test images."
    others = {name: entry for name, entry in compared.items() if name != first}
    level = [name for name, each in others.items() if judge(each["difference_interval"]) == 0]
    if level:
        yield f"By test accuracy it cannot be told apart from {', '.join(level)}."
    smallest = min([first, *level], key=lambda name: compared[name]["parameters"] or math.inf)
    if smallest != first:
        size = compared[smallest]["parameters"]
        yield f"Of these, {smallest} has the fewest parameters, {size:,}."
    for place, word in ((1, "Better on test"), (-1, "Worse (the table has the intervals)")):
        named = [
            f"{name} {each['difference']:+.4f}"
            for name, each in others.items()
            if judge(each["difference_interval"]) == place
        ]
        if named:
            yield f"{word}: {', '.join(named)}."
