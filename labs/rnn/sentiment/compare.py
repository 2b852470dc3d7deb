"""Encodings, or cells, side by side: each trained with several seeds, on the same split."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from common.errors import ConfigError
from common.metrics.main_metric import BALANCED_ACCURACY
from common.options import terminal
from common.runs import comparison
from common.runs.comparison import Tested
from common.runs.differences import Entry
from labs.rnn.sentiment.config import COMPARED, CompareConfig
from labs.rnn.sentiment.job import Sentiment


class Comparison(comparison.Comparison[CompareConfig]):
    """What `COMPARED` lists under a command."""

    lab, config_type, member = "rnn", CompareConfig, Sentiment
    main_metric, by_validation = BALANCED_ACCURACY, True

    @classmethod
    def variants(cls, config: CompareConfig) -> dict[str, dict[str, Any]]:
        """Return what the command compares; pretrained vectors only where there are some."""
        return {
            title: values
            for title, values in COMPARED[cls.verb].items()
            if config.vectors is not None or not title.startswith("pretrained")
        }

    def measure_variant(self, tested: Tested) -> dict[str, Any]:
        """Return the parameters that train."""
        parameters = tested.jobs[0].model.parameters()
        return {"parameters": sum(each.numel() for each in parameters if each.requires_grad)}

    def show_variant(self, entry: Entry) -> dict[str, str]:
        """Show the parameters, the range of the seeds and the time, too."""
        of_seeds = entry["balanced_accuracy_of_seeds"]
        return {
            "parameters": terminal.figure_text(entry["parameters"]),
            **super().show_variant(entry),
            "lowest to highest": f"{min(of_seeds):.4f} to {max(of_seeds):.4f}",
            "seconds to train": f"{entry['seconds']:.1f}",
        }

    def translate(self, metrics: Mapping[str, Any]) -> Mapping[str, Any]:
        """Read comparisons made when the range of the seeds judged, too."""
        if "rule" in metrics:
            return metrics
        compared = {title: _translate(found) for title, found in metrics["compared"].items()}
        rule, seeds = "the range of the seeds", self.config.seeds
        return {**metrics, "compared": compared, "rule": rule, "seeds": seeds}


class Encodings(Comparison):
    """Encodings side by side."""

    verb, heading = "compare-encodings", "Encodings"
    about = "What varies is how words become numbers."


class Cells(Comparison):
    """Cells side by side."""

    verb, heading = "compare-cells", "Cells"
    about = "What varies is the recurrent cell."

    @classmethod
    def variants(cls, config: CompareConfig) -> dict[str, dict[str, Any]]:
        """Return the cells."""
        if config.encoding == "n-gram-bag":
            raise ConfigError("--encoding n-gram-bag: has no cell to compare; leave it out")
        return super().variants(config)


def _translate(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a variant of an older metrics.json, which has the figures of each of its runs."""
    validation, test = (
        [each[split]["balanced_accuracy"] for each in found] for split in ("validation", "test")
    )
    return {
        "balanced_accuracy": fmean(test),
        "balanced_accuracy_of_seeds": test,
        "validation_balanced_accuracy": fmean(validation),
        "parameters": found[0]["parameters"],
        "seconds": fmean(each["seconds"]["train"] for each in found),
    }
