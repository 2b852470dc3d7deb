"""Variants of a config, each trained with the same seeds, and all held against one of them.

A kind of trial derives from `Trials` and says what varies; what is trained, measured, drawn and
said is here.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from common.metrics import metrics as figures
from common.metrics.metrics import Array
from common.options import terminal
from common.report import html as report
from common.report import plots
from common.report.html import PictureSaver, Section, Table
from common.report.plots import Bar
from common.runs import sections
from common.runs.comparison import Jobs, Members
from common.runs.job import Splits
from common.training.task import probabilities
from labs.classification.config import ClassificationConfig, TrialsConfig
from labs.classification.job import ClassifyImages

C = TypeVar("C", bound=TrialsConfig)
Entry = Mapping[str, Any]  # what was measured of a variant
Lead = tuple[float, Sequence[float]]  # a difference, and its interval


class Trials(Members[C]):
    """Variants of a config, several seeds of each.

    Attributes:
        heading: what the report is called.
        about: sentences for the report that say what is compared, and what to look at.
    """

    lab, member = "classification", ClassifyImages
    heading: ClassVar[str]
    about: ClassVar[str]

    # --- what a kind of trial says ----------------------------------------------------------------

    @classmethod
    @abstractmethod
    def variants(cls, config: C) -> dict[str, dict[str, Any]]:
        """Return the values of each variant that differ from the config's, by its name."""

    def reference(self, compared: Mapping[str, Entry]) -> str:
        """Return the variant that the others are held against: the first."""
        return next(iter(compared))

    def others(self, jobs: Jobs) -> dict[str, tuple[dict[str, Any], Array]]:
        """Return what is compared beside the variants, and is no network.

        Args:
            jobs: the finished members.

        Returns:
            By the name, figures as of a variant, and which test images it gets right, (1, N).
        """
        return {}

    def measured(
        self, jobs: Sequence[ClassifyImages], chances: Sequence[Array], splits: Splits
    ) -> Entry:
        """Return what else is measured of a variant.

        Args:
            jobs: one for each seed, with its best weights in the model.
            chances: of each, the probabilities of the test images, (N, C).
            splits: the data of the variant.
        """
        return {}

    @classmethod
    def shown(cls, entry: Entry) -> dict[str, str]:
        """Return what else the table shows of a variant, by the column."""
        return {}

    def sections(
        self, jobs: Jobs, compared: Mapping[str, Entry], save_picture: PictureSaver
    ) -> list[Section]:
        """Return what else the report shows.

        Args:
            jobs: the finished members.
            compared: what was measured, by the variant.
            save_picture: saves a figure, and returns it for a section.
        """
        return []

    # --- what all of them do ----------------------------------------------------------------------

    @classmethod
    def plan(cls, config: C) -> dict[str, ClassificationConfig]:
        """Return the config of each run by its variant and seed."""
        shared = {field.name: getattr(config, field.name) for field in fields(ClassificationConfig)}
        base = ClassificationConfig(**{**shared, "name": None})
        return {
            member(variant, seed): replace(base, **changes, seed=seed)
            for variant, changes in cls.variants(config).items()
            for seed in seeds(config)
        }

    @classmethod
    def stem(cls, config: C) -> str:
        """Name the command and the data."""
        return f"{cls.verb}-{Path(config.data).stem}"

    def measure(self, jobs: Jobs) -> dict[str, Any]:
        """Return the figures of each variant, and the differences from the one of reference."""
        found = {variant: self._measured(mine) for variant, mine in self.runs(jobs).items()}
        found |= self.others(jobs)
        compared: dict[str, Any] = {variant: entry for variant, (entry, _) in found.items()}
        reference = self.reference(compared)
        for variant, (entry, correct) in found.items():
            if variant != reference:
                lead = correct - found[reference][1]
                entry["difference"] = float(lead.mean())
                entry["difference_interval"] = list(figures.seeds_interval(lead))
        source = next(iter(jobs.values())).card.source
        return {"compared": compared, "source": source, "seeds": self.config.seeds}

    def runs(self, jobs: Jobs) -> dict[str, list[ClassifyImages]]:
        """Return the jobs of each variant, one for each seed, where all of them have finished."""
        members = {
            variant: [member(variant, seed) for seed in seeds(self.config)]
            for variant in self.variants(self.config)
        }
        return {
            variant: [jobs[name] for name in names]
            for variant, names in members.items()
            if all(name in jobs for name in names)
        }

    def _measured(self, jobs: Sequence[ClassifyImages]) -> tuple[dict[str, Any], Array]:
        """Return the figures of a variant, and which test images each of its seeds gets right."""
        splits, found, chances = jobs[0].load_splits(), [], []
        targets = jobs[0].targets(splits["test"])
        for job in jobs:
            job.load_best()
            outputs = job.predict_splits(splits, ["test"])["test"]
            chances.append(probabilities(outputs["outputs"]))
            found.append(job.run.read("metrics"))
        correct = np.array([each.argmax(1) == targets for each in chances], np.float64)
        recalls = [_recalls(each.argmax(1), targets, jobs[0].card.classes) for each in chances]
        entry = {
            "accuracy": float(correct.mean()),
            "accuracy_interval": list(figures.seeds_interval(correct)),
            "accuracy_of_seeds": [float(each) for each in correct.mean(1)],
            "validation_accuracy": float(
                np.mean([each["validation"]["accuracy"] for each in found])
            ),
            "recalls": np.mean(recalls, 0).tolist(),
            "parameters": sum(p.numel() for p in jobs[0].model.parameters()),
            "seconds": float(np.mean([each["seconds"]["train"] for each in found])),
            **self.measured(jobs, chances, splits),
        }
        return entry, correct

    def write_report(self, jobs: Jobs, metrics: Mapping[str, Any]) -> None:
        """Show the variants in a table and side by side, and their learning curves."""
        compared, drawn = metrics["compared"], PictureSaver(self.run.figures)
        histories = {
            variant: [job.run.history for job in mine] for variant, mine in self.runs(jobs).items()
        }
        text = (
            f"{metrics['source']}. {self.about} Runs of each variant: {metrics['seeds']}, which "
            "share one split; the best epoch is chosen on validation, and the test split is used "
            "once a run. Figures are means over the seeds; intervals of 95 % are bootstraps over "
            "test images and seeds."
        )
        parts = [
            Section(
                "Side by side",
                text,
                Table(*self.table(compared)),
                (
                    drawn(
                        "compared",
                        "Test accuracy with 95 % intervals; in color what the others are held "
                        "against.",
                        _bars(compared),
                    ),
                    drawn(
                        "curves",
                        "Validation accuracy after each epoch, a line for each seed.",
                        plots.histories(histories, "validation/accuracy", "accuracy"),
                    ),
                ),
            ),
            *self.sections(jobs, compared, drawn),
            *sections.settings(self.run),
        ]
        title = f"{self.heading}: {metrics['source']}"
        html = report.render(title, f"Run {self.run.path.name}", self.verdict(compared), parts)
        report.write(self.run.report, html)

    def show(self, metrics: Mapping[str, Any]) -> None:
        """Print the table, and what came out."""
        terminal.show_table(metrics["source"], *self.table(metrics["compared"]))
        terminal.say(self.verdict(metrics["compared"]))

    def table(self, compared: Mapping[str, Entry]) -> tuple[list[str], list[list[str]]]:
        """Return columns, and a row for each variant."""
        rows = [{"": name, **_row(entry), **self.shown(entry)} for name, entry in compared.items()]
        return list(rows[0]), [list(row.values()) for row in rows]

    def verdict(self, compared: Mapping[str, Entry]) -> str:
        """Say which variants are better or worse than the first, and which cannot be told apart."""
        return " ".join(verdicts(compared))


def member(variant: str, seed: int) -> str:
    """Return the name of a run, which is also that of its folder."""
    return f"{variant.replace(':', '-')}-{seed}"


def seeds(config: TrialsConfig) -> range:
    """Return the seeds of each variant."""
    return range(config.seed, config.seed + config.seeds)


def verdicts(compared: Mapping[str, Entry]) -> Iterator[str]:
    """Say how the variants compare with the first."""
    first, *others = compared
    leads = leads_of(compared, others)
    yield from told(
        leads,
        f"Better than {first} by test accuracy",
        f"Not to be told apart from {first} by test accuracy",
        f"Worse than {first} by test accuracy",
    )


def leads_of(
    compared: Mapping[str, Entry], names: Sequence[str], figure: str = "difference"
) -> dict[str, Lead]:
    """Return differences with their intervals, by the variant."""
    return {name: (compared[name][figure], compared[name][f"{figure}_interval"]) for name in names}


def told(leads: Mapping[str, Lead], better: str, level: str, worse: str) -> Iterator[str]:
    """Say which differences are shown to be above 0, which are not shown, and which below.

    Args:
        leads: the differences with their intervals, by the name.
        better: what those above 0 are, at the beginning of a sentence.
        level: see `better`.
        worse: see `better`.
    """
    for place, words in ((1, better), (0, level), (-1, worse)):
        named = [
            f"{name} {terminal.lead_text(difference, interval)}"
            for name, (difference, interval) in leads.items()
            if side(interval) == place
        ]
        if named:
            yield f"{words}: {', '.join(named)}."


def best_on_validation(compared: Mapping[str, Entry]) -> str:
    """Return the name with the highest validation accuracy, of equal ones the first."""
    return max(compared, key=lambda name: float(compared[name]["validation_accuracy"]))


def side(interval: Sequence[float]) -> int:
    """Return 1 or -1 where an interval is above or below 0, and 0 where it holds it."""
    return int(interval[0] > 0) - int(interval[1] < 0)


def _recalls(guesses: Array, targets: Array, classes: Sequence[str]) -> list[float]:
    rows = figures.per_class(guesses, targets, classes)
    return [float(row["recall"]) for row in rows]


def _row(entry: Entry) -> dict[str, str]:
    low, high = entry["accuracy_interval"]
    of_seeds = entry["accuracy_of_seeds"]
    row = {
        "validation": terminal.figure_text(entry["validation_accuracy"]),
        "test accuracy (95 %)": f"{entry['accuracy']:.4f} ({low:.4f} to {high:.4f})",
        "seeds": f"{min(of_seeds):.4f} to {max(of_seeds):.4f}",
        "difference (95 %)": "",
        "seconds": f"{entry['seconds']:.1f}",
    }
    if "difference" in entry:
        lead = terminal.lead_text(entry["difference"], entry["difference_interval"])
        row["difference (95 %)"] = lead
    return row


def _bars(compared: Mapping[str, Entry]) -> Any:
    entries = [
        Bar(name, entry["accuracy"], tuple(entry["accuracy_interval"]))
        for name, entry in compared.items()
    ]
    held_against = ["difference" not in entry for entry in compared.values()].index(True)
    return plots.bars(entries, "test accuracy", held_against)
