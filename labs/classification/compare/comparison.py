"""What every comparison of classifiers measures and shows of a variant."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from common.errors import NonFiniteError
from common.metrics import metrics
from common.metrics.main_metric import ACCURACY
from common.options import terminal
from common.options.config import NONE, read_toml
from common.runs.comparison import Comparison, Jobs, Tested
from common.runs.differences import Entry, show_difference
from labs.classification.compare.config import ModelsConfig, TrialsConfig
from labs.classification.config import RECIPES, recipe_for
from labs.classification.job import ClassifyImages
from labs.classification.models.catalogue import find_family

C = TypeVar("C", bound=TrialsConfig)
M = TypeVar("M", bound=ModelsConfig)

_BUDGET = ("epochs", "batch_size", "augment")  # what all models have alike


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


class ModelComparison(ImageComparison[M]):
    """Models on the same data, each with its own recipe but for the budget."""

    @classmethod
    def command(cls, **given: Any) -> None:
        """Train, as `Comparison.command`; values that are given go over the models' own recipes."""
        options, path = given["options"], given["config_path"]
        if given["resume"] is None:
            file = read_toml(path) if path else {}
            chosen = dict.fromkeys([*file.get("chosen", file), *options])
            options.setdefault("chosen", ",".join(chosen) or NONE)
        super().command(**given)

    @classmethod
    def variants(cls, config: M) -> dict[str, dict[str, Any]]:
        """Return what each model has of its own: its recipe's values, and the size it needs."""
        return {model: _own(model, config) for model in config.models}

    def train_member(self, job: Any, label: str) -> bool:
        """Train a member; where one diverges, the others go on without it."""
        try:
            return super().train_member(job, label)
        except NonFiniteError as error:
            terminal.note(f"{label} diverged: {error}")
            return False

    def measure(self, jobs: Jobs) -> dict[str, Any]:
        """Return the figures of each model, and which of them diverged."""
        finished = self.group_jobs(jobs)
        if not finished:
            raise NonFiniteError(
                f"all models of {self.run.path} diverged; try a lower --learning-rate"
            )
        diverged = [name for name in self.config.models if name not in finished]
        return {**super().measure(jobs), "diverged": diverged}

    def describe_diverged(self, metrics: Mapping[str, Any]) -> Iterator[str]:
        """Say which models are left out."""
        diverged = [name for name in self.config.models if name not in metrics["compared"]]
        if diverged:
            yield f"Diverged, and left out: {', '.join(diverged)}."


def _own(model: str, config: ModelsConfig) -> dict[str, Any]:
    recipe = RECIPES.get(recipe_for(model) or "", {})
    own = {k: value for k, value in recipe.items() if k not in (*_BUDGET, *config.chosen)}
    if config.image_size is not None:
        own["image_size"] = max(config.image_size, find_family(model).smallest)
    return {**own, "model": model}
