"""What is measured and reported of a trained classifier of texts."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from common.metrics import metrics
from common.metrics.metrics import Array
from common.report.html import PictureSaver, Section
from common.runs.conclude import Conclusion, Predictions
from common.runs.job import Outputs, Splits, groups_of
from common.training.task import probabilities
from labs.rnn.sentiment import baselines, data, report
from labs.rnn.sentiment.job import Sentiment


class SentimentResults(Conclusion[Sentiment]):
    """Balanced accuracy, beside linear models, and what pretrained vectors cover."""

    def figures(self, outputs: Outputs, split: data.Split) -> dict[str, Any]:
        """Return the figures of a split."""
        targets = self.job.targets(split)
        known = metrics.classification(probabilities(outputs["outputs"]), targets)
        said = self.job.decide(outputs)
        return {**known, **self.job.main_metric.measure(said, targets, groups_of(split))}

    def baselines(self, splits: Splits) -> Mapping[str, Mapping[str, Array]]:
        """Return what linear models say that see words, bigrams and characters."""
        texts = {name: split.texts for name, split in splits.items()}
        targets = {name: self.job.targets(split) for name, split in splits.items()}
        rows = baselines.choose_rows(texts["train"], splits["train"].targets)
        texts["train"] = [texts["train"][row] for row in rows.tolist()]
        targets["train"] = targets["train"][rows.numpy()]
        return baselines.predictions(texts, targets)

    def count_for_baselines(self, splits: Splits) -> int:
        """Return how many training texts the baselines read."""
        train = splits["train"]
        return len(baselines.choose_rows(train.texts, train.targets))

    def about_baselines(self) -> str:
        """Say what they see."""
        return (
            "Baselines see the same texts; the strength of their penalty was chosen on the "
            "validation split."
        )

    def measure(
        self, outputs: Mapping[str, Outputs], splits: Splits, baselines: Predictions
    ) -> dict[str, Any]:
        """Add how much of the texts pretrained vectors cover."""
        found = super().measure(outputs, splits, baselines)
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
