"""The same student alone and with a teacher, side by side."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from common.metrics.metrics import seeds_interval, wilson
from common.report.html import PictureSaver, Section
from common.runs.comparison import Jobs, Tested
from common.runs.differences import Entry
from common.runs.job import groups_of
from labs.classification import agreement, distillation
from labs.classification.compare.comparison import ImageComparison
from labs.classification.compare.config import CompareTeacherConfig
from labs.classification.config import ClassificationConfig

ALONE, TAUGHT = "alone", "taught"


class Comparison(ImageComparison[CompareTeacherConfig]):
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

    def measure_variant(self, tested: Tested) -> dict[str, Any]:
        """Return how students and teacher compare, as `agreement.measure` does for one."""
        job, splits = tested.jobs[0], tested.splits
        source = distillation.find(self.config, job.card)
        teacher = distillation.build_teacher(source, job.card, job.compute)
        said, true = agreement.ask(teacher, job, splits, "test"), job.targets(splits["test"])
        right = said == true
        lead, groups = np.array(tested.rows) - right, groups_of(splits["test"])
        agree = np.array([job.decide(each) == said for each in tested.outputs], np.float64)
        figures = {
            "accuracy": float(right.mean()),
            "accuracy_interval": list(wilson(int(right.sum()), len(right))),
            "lead": float(lead.mean()),
            "lead_interval": list(seeds_interval(lead, groups=groups)),
            "agreement": float(agree.mean()),
            "agreement_interval": list(seeds_interval(agree, groups=groups)),
        }
        figures |= agreement.about(source, teacher, job)
        return {**super().measure_variant(tested), "teacher": figures}

    def show_variant(self, entry: Entry) -> dict[str, str]:
        """Show how often students say what the teacher says, too."""
        agreement = f"{entry['teacher']['agreement']:.4f}"
        return {**super().show_variant(entry), "agreement": agreement}

    def sections(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> list[Section]:
        """Return the teacher beside its students."""
        compared = metrics["compared"]
        text = (
            f"{agreement.describe(compared[TAUGHT]['teacher'])} The taught student "
            f"learned from its answers at temperature {self.config.temperature:g} with a weight of "
            f"{self.config.teacher_weight:g}, and from the labels with the rest."
        )
        return [Section("Teacher and students", text, agreement.side_by_side(compared))]

    def verdict(self, metrics: Mapping[str, Any]) -> str:
        """Say whether the teacher helped, and how its students compare with it."""
        said, compared = super().verdict(metrics), metrics["compared"]
        of_each = [agreement.verdict(e["teacher"], name) for name, e in compared.items()]
        return " ".join([said, *of_each])
