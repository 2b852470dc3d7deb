"""Modes of transfer side by side: which of them really wins on one's own images."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from common.metrics.main_metric import ACCURACY
from common.runs.differences import (
    Entry,
    describe_differences,
    find_best,
    judge,
    list_differences,
)
from labs.classification.compare.comparison import ImageComparison
from labs.classification.compare.config import CompareTransferConfig
from labs.classification.transfer import weights

C = TypeVar("C", bound=CompareTransferConfig)


class ModeComparison(ImageComparison[C]):
    """The modes of `--transfer` from the same weights, on the same images and splits.

    All have the same options but for the mode, so the same learning rate, too. `scratch` is what
    `train` does without weights: its images are normalized by their own mean and deviation, and
    stay grey where the model takes grey ones.
    """

    heading = "Modes of transfer"
    about = (
        "What varies is what trains, and from where. All differences are from the mode that is "
        "best on validation."
    )
    by_validation = True

    @classmethod
    def located(cls, config: C) -> C:
        """Make the size of the images explicit, too.

        So `scratch`, which has no weights to want another one, sees the images of the others.
        """
        wanted = weights.inputs(config)
        if wanted is not None and config.image_size is None:
            config = replace(config, image_size=wanted.image_size)
        return super().located(config)

    @classmethod
    def variants(cls, config: C) -> dict[str, dict[str, Any]]:
        """Return the modes."""
        return {mode: _changes(mode) for mode in config.modes}

    def verdict(self, metrics: Mapping[str, Any]) -> str:
        """Say which mode won, or which cannot be told apart, and which are worse."""
        compared = metrics["compared"]
        first = self.reference(compared)
        said = [f"{first} is the best on validation: {compared[first]['accuracy']:.4f} on test."]
        if not any(map(_judge, compared.values())):
            return f"The trials cannot tell the modes apart. {said[0]}"
        differences = list_differences(compared)
        said += describe_differences(differences, "Better on test", "Not to be told apart", "Worse")
        return " ".join(said)


class Comparison(ModeComparison[CompareTransferConfig]):
    """The modes by themselves."""

    verb, config_type = "compare-transfer", CompareTransferConfig


def winners(compared: Mapping[str, Entry]) -> list[str]:
    """Return the modes not shown to be worse than the best on validation, most accuracy first.

    It is one of them itself, unless another is shown to be better.
    """
    held = [mode for mode, entry in compared.items() if _judge(entry) >= 0]
    if any(_judge(compared[mode]) > 0 for mode in held):
        held.remove(find_best(compared, ACCURACY))
    return sorted(held, key=lambda mode: -compared[mode]["accuracy"])


def _judge(entry: Entry) -> int:
    """Say whether a mode is better or worse than the best on validation; itself it is neither."""
    return judge(entry.get("difference_interval", (0, 0)))


def _changes(mode: str) -> dict[str, Any]:
    return {"transfer": mode, "weights": None} if mode == "scratch" else {"transfer": mode}
