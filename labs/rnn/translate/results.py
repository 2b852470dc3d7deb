"""What is measured and reported of a trained translator."""

from collections.abc import Mapping
from typing import Any

from common.metrics.metrics import Array
from common.report.html import PictureSaver, Section
from common.runs.conclude import Conclusion
from common.runs.job import Outputs, Splits
from labs.rnn.translate import baselines, measures, report
from labs.rnn.translate.data import Split
from labs.rnn.translate.job import Translate


class TranslationResults(Conclusion[Translate]):
    """Exact matches or overlap of characters, beside the nearest known sentence."""

    def figures(self, outputs: Outputs, split: Split) -> dict[str, Any]:
        """Return all figures of a split."""
        job = self.job
        guesses, targets = job.decide(outputs), job.targets(split)
        loss = float(outputs["losses"].double().sum() / outputs["lengths"].sum())
        return {
            "loss": loss,
            **measures.figures(guesses, targets),
            **job.main_metric.measure(guesses, targets),
        }

    def baselines(self, splits: Splits) -> Mapping[str, Mapping[str, Array]]:
        """Return the targets of the nearest sources, and the sources themselves."""
        return baselines.translations(splits, self.job.main_metric)

    def count_for_baselines(self, splits: Splits) -> int:
        """Return among how many training sources the nearest one is looked for."""
        return len(baselines.sampled(splits))

    def about_baselines(self) -> str:
        """Say what they are."""
        return (
            "The nearest source is that of the training split with the most similar character "
            "n-grams (cosine of TF-IDF); its target is the answer. To copy is to answer with the "
            "source itself."
        )

    def sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return what it attends to, writes, and gets wrong."""
        return report.sections(self.job, outputs, splits, save_picture)
