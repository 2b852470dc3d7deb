"""Whether a patch helps: trainings with it, with a placebo of it, and with the labels as given.

The placebo changes as many training samples in the same way, relabelled from the same classes to
the same classes or dropped, but at random. What it does, any change of so many samples would do;
the patch's lead over it is what was gained by choosing them. A placebo that relabels does harm, as
wrong labels do, so the lead over the labels as given is shown beside it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from common.metrics.metrics import Array
from common.options.config import PLACEBO, options_of, read_toml
from common.report.html import PictureSaver, Section
from common.runs.comparison import Comparison, Jobs
from common.runs.differences import (
    Entry,
    describe_differences,
    list_differences,
    show_difference,
)
from common.runs.folder import open_run

AS_GIVEN, OF_PLACEBO, WITH_PATCH = "as given", "placebo", "patch"
_OVER = "over_given"
_APART = {"folds", "fold", "patch", "seeds"}  # what is not taken over from a cross-validation


class PatchComparison(Comparison[Any]):
    """The labels as given, a placebo and a patch, side by side.

    Attributes:
        crossval: the command of the runs whose suspects are patched.
    """

    verb = "compare-patch"
    heading = "A patch and its placebo"
    about = (
        "What varies are labels and samples of the training split; validation and test are the "
        "same for all. The placebo changes as many samples in the same way, drawn at random for "
        "each seed. Where test samples took part in the cross-validation that found the suspects, "
        "their labels had a say in the patch; data with a test split of their own are free of that."
    )
    crossval: ClassVar[str]

    @classmethod
    def command(cls, *, run: Path | None = None, options: dict[str, Any], **given: Any) -> None:
        """Compare, with the options of a cross-validation where one is given."""
        taken = {} if run is None else cls._options_of(run)
        super().command(options={**taken, **options}, **given)

    @classmethod
    def _options_of(cls, path: Path) -> dict[str, Any]:
        """Return the values of a cross-validation's config that trainings have as well."""
        values = read_toml(open_run(path, cls.lab, cls.crossval).config)
        names = {field.name for field in options_of(cls.config_type)} - _APART
        return {name: value for name, value in values.items() if name in names}

    @classmethod
    def variants(cls, config: Any) -> dict[str, dict[str, Any]]:
        """Return the three, the one without a patch first."""
        placebo = {"patch": f"{PLACEBO}{config.patch}"}
        return {AS_GIVEN: {"patch": None}, OF_PLACEBO: placebo, WITH_PATCH: {}}

    def reference(self, compared: Mapping[str, Entry]) -> str:
        """Return the placebo."""
        return OF_PLACEBO

    def compare_variants(
        self,
        found: Mapping[str, tuple[dict[str, Any], Sequence[Array]]],
        groups: Array | None,
    ) -> None:
        """Compare all with the placebo, and the patch with the labels as given, too."""
        super().compare_variants(found, groups)
        entry, rows = found[WITH_PATCH]
        over = self.main_metric.compare_runs(rows, found[AS_GIVEN][1], groups)
        entry |= {_OVER: over["difference"], f"{_OVER}_interval": over["difference_interval"]}

    def measure(self, jobs: Jobs) -> dict[str, Any]:
        """Return also what the patch changed."""
        [*_, last] = jobs.values()
        return {**super().measure(jobs), "patched": last.card.source}

    def show_variant(self, entry: Entry) -> dict[str, str]:
        """Show both differences."""
        shown = super().show_variant(entry)
        shown["over the placebo (95 %)"] = shown.pop("difference (95 %)")
        return {**shown, "over the labels as given (95 %)": show_difference(entry, _OVER)}

    def verdict(self, metrics: Mapping[str, Any]) -> str:
        """Say whether the patch helps, against both."""
        label = self.main_metric.label
        more = describe_differences(
            list_differences({WITH_PATCH: metrics["compared"][WITH_PATCH]}, _OVER),
            f"Better than the labels as given by test {label}",
            f"Not to be told apart from the labels as given by test {label}",
            f"Worse than the labels as given by test {label}",
        )
        return " ".join([super().verdict(metrics), *more])

    def sections(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> list[Section]:
        """Say what the patch changed."""
        return [Section("The patch", metrics["patched"])]
