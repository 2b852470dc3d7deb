"""What is measured and reported of a trained classifier of texts."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from common.metrics import metrics
from common.metrics.main_metric import MainMetric, balanced_accuracy_of_groups
from common.metrics.metrics import Array
from common.report.html import PictureSaver, Section
from common.runs.conclude import Conclusion, Predictions
from common.runs.job import Outputs, Splits
from common.training.task import probabilities
from labs.rnn.sentiment import baselines, data, report
from labs.rnn.sentiment.job import Sentiment


class SentimentResults(Conclusion[Sentiment]):
    """Balanced accuracy, beside linear models, and what pretrained vectors cover."""

    def figures(self, outputs: Outputs, split: data.Split) -> dict[str, Any]:
        """Return the figures of a split."""
        targets = self.job.targets(split)
        known = metrics.classification(probabilities(outputs["outputs"]), targets)
        metric = self._metric(split)
        return {**known, **metric.measure(self.job.decide(outputs), targets)}

    def _metric(self, split: data.Split) -> MainMetric:
        """Return the main metric; where texts are of groups, its intervals are over these."""
        if split.groups is None:
            return self.job.main_metric
        return balanced_accuracy_of_groups(split.groups.numpy(), len(self.job.card.classes))

    def baselines(self, splits: Splits) -> Mapping[str, Mapping[str, Array]]:
        """Return what linear models say that see words, bigrams and characters."""
        return baselines.predictions(
            {name: split.texts for name, split in splits.items()},
            {name: self.job.targets(split) for name, split in splits.items()},
        )

    def about_baselines(self) -> str:
        """Say what they see."""
        return (
            "Baselines see the same texts; the strength of their penalty was chosen on the "
            "validation split."
            + (" Intervals are drawn over groups." if self.job.config.group_column else "")
        )

    def measure(
        self, outputs: Mapping[str, Outputs], splits: Splits, baselines: Predictions
    ) -> dict[str, Any]:
        """Add how much of the texts pretrained vectors cover."""
        found = super().measure(outputs, splits, baselines)
        if splits["test"].groups is not None:
            metric, targets = self._metric(splits["test"]), self.job.targets(splits["test"])
            mine = metric.statistics(self.job.decide(outputs["test"]), targets)
            for name, guesses in baselines.items():
                theirs = metric.statistics(guesses["test"], targets)
                lead = metrics.paired_difference(metric.compute, mine, theirs)
                found["baselines"][name] |= {
                    **metric.measure(guesses["test"], targets),
                    "lead_interval": [lead.low, lead.high],
                }
        if self.job.vectors is not None:
            coverage = {
                name: asdict(self.job.vectors.coverage(split.encoded))
                for name, split in splits.items()
            }
            found["vectors"] = {
                "source": self.job.vectors.source,
                "skipped": len(self.job.vectors.skipped),
                "coverage": coverage,
            }
        return found

    def sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return where the network errs, and what it reads."""
        return report.sections(self.job, outputs["outputs"], splits["test"], figures, save_picture)
