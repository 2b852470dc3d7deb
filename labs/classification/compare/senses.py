"""What each sense is worth: networks that learned from all senses, from one, and from all but one.

Taking a sense from a trained network shows what that network makes of it. What the sense itself
adds shows a network that never had it: where others say the same, it has learned from those.
"""

from collections.abc import Mapping
from typing import Any

from common.runs.comparison import Tested
from common.runs.differences import Entry
from labs.classification.compare.comparison import ImageComparison
from labs.classification.compare.config import CompareSensesConfig
from labs.classification.config import IMAGE

ALL = "all"


class Comparison(ImageComparison[CompareSensesConfig]):
    """All senses, each alone, and all but one, on the same rows."""

    verb = "compare-senses"
    config_type = CompareSensesConfig
    heading = "What each sense adds"
    about = (
        "What varies is which senses the network gets, in training and after: all, one alone, or "
        "all but one. What a sense adds is what is lost in the network that never had it."
    )

    @classmethod
    def variants(cls, config: CompareSensesConfig) -> dict[str, dict[str, Any]]:
        """Return all senses first, then all but each, then each alone."""
        senses = [IMAGE, *config.columns_beside]
        found: dict[str, dict[str, Any]] = {ALL: {"without": ()}}
        if len(senses) > 2:  # of two, what is without one is the other alone
            found |= {f"without {sense}": {"without": (sense,)} for sense in senses}
        for sense in senses:
            found[f"{sense} alone"] = {"without": tuple(s for s in senses if s != sense)}
        return found

    def measure_variant(self, tested: Tested) -> dict[str, Any]:
        """Return the senses that the networks have, too."""
        return {**super().measure_variant(tested), "senses": list(tested.jobs[0].senses)}

    def verdict(self, metrics: Mapping[str, Any]) -> str:
        """Say which senses add something, and which do not, beside what differs."""
        return " ".join([super().verdict(metrics), *_describe_added(metrics["compared"])])


def _describe_added(compared: Mapping[str, Entry]) -> list[str]:
    """Return a sentence on the senses that are not missed by the networks without them."""
    idle, before = [], "without "
    for name, entry in compared.items():
        if name.startswith(before) and entry["difference_interval"][1] >= 0:
            idle.append(name.removeprefix(before))
    if not idle:
        return []
    return [f"Nothing shows that {' or '.join(idle)} adds to the others."]
