"""The same student alone and with a teacher, side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from common.metrics.metrics import Array, seeds_interval, wilson
from common.report.html import PictureSaver, Section
from common.runs.comparison import Jobs
from common.runs.job import Splits
from labs.classification import agreement, distillation
from labs.classification.compare.trials import Entry, Trials
from labs.classification.config import ClassificationConfig, CompareTeacherConfig
from labs.classification.job import ClassifyImages

ALONE, TAUGHT = "alone", "taught"


class Comparison(Trials[CompareTeacherConfig]):
    """A student without its teacher, and with it."""

    verb = "compare-teacher"
    config_type = CompareTeacherConfig
    heading = "Learning from a teacher"
    about = "What varies is whether the student also learns from the answers of a trained network."

    @classmethod
    def variants(cls, config: CompareTeacherConfig) -> dict[str, dict[str, Any]]:
        """Return the student alone, then with its teacher."""
        unread = ("teacher", "temperature", "teacher_weight")
        alone = {name: getattr(ClassificationConfig, name) for name in unread}
        return {ALONE: alone, TAUGHT: {}}

    def measured(
        self, jobs: Sequence[ClassifyImages], chances: Sequence[Array], splits: Splits
    ) -> Entry:
        """Return how students and teacher compare, as `agreement.measure` does for one."""
        job = jobs[0]
        source = distillation.find(self.config, job.card)
        teacher = distillation.build_teacher(source, job.card, job.compute)
        said, true = agreement.taught(teacher, job, splits, "test"), job.targets(splits["test"])
        guesses = np.array([each.argmax(1) for each in chances])
        right = said == true
        lead = (guesses == true).astype(float) - right
        agree = (guesses == said).astype(float)
        figures = {
            "accuracy": float(right.mean()),
            "accuracy_interval": list(wilson(int(right.sum()), len(right))),
            "lead": float(lead.mean()),
            "lead_interval": list(seeds_interval(lead)),
            "agreement": float(agree.mean()),
            "agreement_interval": list(seeds_interval(agree)),
        }
        return {"teacher": {**figures, **agreement.about(source, teacher, job)}}

    @classmethod
    def shown(cls, entry: Entry) -> dict[str, str]:
        """Return how often students say what the teacher says."""
        return {"agreement": f"{entry['teacher']['agreement']:.4f}"}

    def sections(
        self, jobs: Jobs, compared: Mapping[str, Entry], save_picture: PictureSaver
    ) -> list[Section]:
        """Return the teacher beside its students."""
        text = (
            f"{agreement.described(compared[TAUGHT]['teacher'])} The taught student "
            f"learned from its answers at temperature {self.config.temperature:g} with a weight of "
            f"{self.config.teacher_weight:g}, and from the labels with the rest."
        )
        return [Section("Teacher and students", text, agreement.side_by_side(compared))]

    def verdict(self, compared: Mapping[str, Entry]) -> str:
        """Say whether the teacher helped, and how its students compare with it."""
        said = super().verdict(compared)
        of_each = [agreement.verdict(e["teacher"], name) for name, e in compared.items()]
        return " ".join([said, *of_each])
