"""What is measured of a member of a memory run."""

from collections.abc import Mapping
from typing import Any

from common.metrics.metrics import Array
from common.report.html import PictureSaver, Section
from common.runs.conclude import Conclusion
from common.runs.job import Outputs, Splits
from labs.rnn.memory.member import SAMPLES, Member, task_of
from labs.rnn.memory.tasks import Batch


class MemberResults(Conclusion[Member]):
    """The error of a cell, beside an answer without memory."""

    def figures(self, outputs: Outputs, split: Batch) -> dict[str, Any]:
        """Return the task's figures, the main metric's with its interval."""
        job = self.job
        measured = job.main_metric.measure(job.decide(outputs), job.targets(split))
        return task_of(job.config).figures(dict(outputs)) | measured

    def baselines(self, splits: Splits) -> dict[str, dict[str, Array]]:
        """Return what the best answer without memory says."""
        task = task_of(self.job.config)
        answers = {name: task.answer_without_memory(samples) for name, samples in SAMPLES.items()}
        return {task.baseline_name: answers}

    def sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return none: the report of the whole run shows its members side by side."""
        return []
