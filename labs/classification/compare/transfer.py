"""Modes of transfer side by side: which of them really wins on one's own images."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from labs.classification.compare.trials import (
    Entry,
    Trials,
    best_on_validation,
    leads_of,
    side,
    told,
)
from labs.classification.config import CompareTransferConfig
from labs.classification.transfer import weights

C = TypeVar("C", bound=CompareTransferConfig)


class ModeTrials(Trials[C]):
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

    def reference(self, compared: Mapping[str, Entry]) -> str:
        """Return the best on validation."""
        return best_on_validation(compared)

    def verdict(self, compared: Mapping[str, Entry]) -> str:
        """Say which mode won, or which cannot be told apart, and which are worse."""
        first = best_on_validation(compared)
        others = {mode: entry for mode, entry in compared.items() if mode != first}
        said = [f"{first} is the best on validation: {compared[first]['accuracy']:.4f} on test."]
        if all(_side(entry) == 0 for entry in others.values()):
            return f"The trials cannot tell the modes apart. {said[0]}"
        leads = leads_of(compared, list(others))
        said += told(leads, "Better on test", "Not to be told apart", "Worse")
        return " ".join(said)


class Comparison(ModeTrials[CompareTransferConfig]):
    """The modes by themselves."""

    verb, config_type = "compare-transfer", CompareTransferConfig


def winners(compared: Mapping[str, Entry]) -> list[str]:
    """Return the modes not shown to be worse than the best on validation, most accuracy first.

    It is one of them itself, unless another is shown to be better.
    """
    held = [mode for mode, entry in compared.items() if _side(entry) >= 0]
    if any(_side(compared[mode]) > 0 for mode in held):
        held.remove(best_on_validation(compared))
    return sorted(held, key=lambda mode: -compared[mode]["accuracy"])


def _side(entry: Entry) -> int:
    """Say whether a mode is better or worse than the best on validation; itself it is neither."""
    return side(entry.get("difference_interval", (0, 0)))


def _changes(mode: str) -> dict[str, Any]:
    return {"transfer": mode, "weights": None} if mode == "scratch" else {"transfer": mode}
