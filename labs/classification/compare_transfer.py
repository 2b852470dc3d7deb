"""Modes of transfer side by side: which of them really wins on one's own images."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from common import cli
from labs.classification import transfer
from labs.classification.config import ClassificationConfig, CompareTransferConfig
from labs.classification.trials import Entry, Trial, Trials

C = TypeVar("C", bound=CompareTransferConfig)


class Transferred(Trial):
    """A run of one of the modes."""

    @classmethod
    def located(cls, config: ClassificationConfig) -> ClassificationConfig:
        """Make the size of the images explicit, too.

        So `scratch`, which has no weights to want another one, sees the images of the others.
        """
        wanted = transfer.inputs(config)
        if wanted is not None and config.image_size is None:
            config = replace(config, image_size=wanted.image_size)
        return super().located(config)


class ModeTrials(Trials[C]):
    """The modes of `--transfer` from the same weights, on the same images and splits.

    All have the same options but for the mode, so the same learning rate, too. `scratch` is what
    `train` does without weights: its images are normalized by their own mean and deviation, and
    stay grey where the model takes grey ones.
    """

    member = Transferred
    heading = "Modes of transfer"
    about = (
        "What varies is what trains, and from where. All differences are from the best. Since the "
        "same test images say which is the best, a narrow lead is less sure than its interval says."
    )

    @classmethod
    def variants(cls, config: C) -> dict[str, dict[str, Any]]:
        """Return the modes."""
        return {mode: _changes(mode) for mode in config.modes}

    def reference(self, compared: Mapping[str, Entry]) -> str:
        """Return the mode with the best test accuracy."""
        return max(compared, key=lambda mode: float(compared[mode]["accuracy"]))

    def verdict(self, compared: Mapping[str, Entry]) -> str:
        """Say which mode won, or which cannot be told apart, and which are worse."""
        best, *others = winners(compared)
        accuracy = f"{best} has the best test accuracy, {compared[best]['accuracy']:.4f}"
        if len(others) + 1 == len(compared):
            return f"The trials cannot tell the modes apart. {accuracy}; none is shown to be worse."
        worse = ", ".join(lead(mode, entry) for mode, entry in compared.items() if _worse(entry))
        if others:
            listed = ", ".join(others)
            return f"{accuracy}; not to be told apart from it: {listed}. Worse: {worse}."
        return f"{best} won: {accuracy}. Worse: {worse}."


class Comparison(ModeTrials[CompareTransferConfig]):
    """The modes by themselves."""

    verb, config_type = "compare-transfer", CompareTransferConfig


def winners(compared: Mapping[str, Entry]) -> list[str]:
    """Return the modes that are not shown to be worse than the best, the best of them first."""
    held = [mode for mode, entry in compared.items() if not _worse(entry)]
    return sorted(held, key=lambda mode: -compared[mode]["accuracy"])


def lead(mode: str, entry: Entry) -> str:
    """Write how far a mode is from the best, with the interval."""
    return f"{mode} {cli.lead_text(entry['difference'], entry['difference_interval'])}"


def _worse(entry: Entry) -> bool:
    return "difference" in entry and entry["difference_interval"][1] < 0


def _changes(mode: str) -> dict[str, Any]:
    return {"transfer": mode, "weights": None} if mode == "scratch" else {"transfer": mode}
