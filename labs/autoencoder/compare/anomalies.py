"""Each class left out in turn: which of them an autoencoder that never saw them takes for normal.

What is left out decides how well anomalies are found, so one class alone shows little (Ruff et al.
2018, "Deep one-class classification", section 4, go through the classes of MNIST likewise).
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any, Self

import numpy as np

from common.errors import ConfigError
from common.options import terminal
from common.report.html import PictureSaver, Section, Table
from common.runs import comparison
from common.runs.comparison import Jobs, narrow
from common.suggest import suggest
from labs.autoencoder.compare.config import UNTOLD, CompareAnomaliesConfig
from labs.autoencoder.config import AutoencoderConfig
from labs.autoencoder.job import Compression
from labs.autoencoder.views import anomalies
from labs.autoencoder.views.material import Material

_COLUMNS = (
    "left out",
    "error",
    "when trained on",
    "error of normal",
    "AUROC",
    "95 % interval",
    "AUPRC",
    "detected",
    "false alarms",
    "PCA's AUROC",
    "nearest image's AUROC",
)
_SCORES = {"network": "", "PCA": "pca_", "nearest training image, pixels": "nearest_pixels_"}


class Comparison(comparison.Comparison[CompareAnomaliesConfig]):
    """Runs of which each leaves out one class."""

    lab, verb = "autoencoder", "compare-anomalies"
    config_type, member, recipes = CompareAnomaliesConfig, Compression, UNTOLD
    heading = "Each class left out"

    @classmethod
    def start(cls, config: CompareAnomaliesConfig, command: Sequence[str] = ()) -> Self:
        """Make a new run folder, with all classes of the data in the config that names none."""
        _, card = Compression.load(narrow(config, AutoencoderConfig))
        classes = tuple(unicodedata.normalize("NFC", name) for name in config.classes)
        unknown = [name for name in classes if name not in card.classes]
        if unknown or not card.classes:
            known = ", ".join(card.classes[:20]) or "none"
            raise ConfigError(
                [
                    f"--classes {name}: no such class; there are: {known}"
                    f"{suggest(name, card.classes)}"
                    for name in unknown
                ]
                or f"--data {config.data}: has no classes that could be left out"
            )
        return super().start(replace(config, classes=classes or card.classes), command)

    @classmethod
    def variants(cls, config: CompareAnomaliesConfig) -> dict[str, dict[str, Any]]:
        """Return the classes that are left out."""
        return {name: {"without": (name,)} for name in config.classes}

    @classmethod
    def name_member(cls, config: CompareAnomaliesConfig, variant: str, seed: int) -> str:
        """Return the number of a class, and what of its name suits the name of a folder."""
        name = re.sub(r"[^\w.+-]+", "-", variant)[:40]
        return f"{config.classes.index(variant) + 1}-{name}"

    def measure(self, jobs: Jobs) -> dict[str, Any]:
        """Return a row of figures for each class, from the worst detected to the best."""
        found = [_measure_class(name, job) for name, job in jobs.items()]
        rows = [{**each, "known_error": _known_error(each["class"], found)} for each in found]
        rows.sort(key=lambda row: row["auroc"])
        first = next(iter(jobs.values()))
        source = first.card.source.removesuffix(f", without {first.config.without[0]}")
        return {"classes": rows, "source": source}

    def table(self, metrics: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
        """Return columns, and a row for each class."""
        return list(_COLUMNS), table(metrics["classes"])

    def verdict(self, metrics: Mapping[str, Any]) -> str:
        """Say which classes go unnoticed."""
        return verdict(metrics["classes"])

    def overview(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> Section:
        """Show the classes in a table, and their AUROC in a picture."""
        from common.report import plots
        from labs.autoencoder.views.plots import anomaly_plots

        rows = metrics["classes"]
        histories = {row["class"]: [jobs[row["member"]].run.history] for row in rows}
        text = (
            f"{metrics['source']}. Each row is a run of its own that never saw the class, from the "
            "worst detected class to the best; its test images are the anomalies, those of the "
            "other classes are normal. An alarm is raised above the error that "
            f"{anomalies.FALSE_ALARMS:.0%} of the normal validation images exceed. PCA has as many "
            "components as the network has latents; the nearest image is the training image with "
            "the least distance in pixels. The error when trained on is the mean over the other "
            "runs, which saw the class."
        )
        pictures = (
            save_picture(
                "compared",
                "AUROC of each class; left of 0.5 anomalies look more normal than normal images.",
                anomaly_plots.compared(rows, _SCORES),
            ),
            save_picture(
                "curves",
                "Validation error after each epoch, a line for each class left out.",
                plots.histories(histories, "validation/mse", "mean squared error"),
            ),
        )
        return Section("Each class left out", text, Table(*self.table(metrics)), pictures)


def _measure_class(name: str, job: Compression) -> dict[str, Any]:
    job.load_best()
    material = Material(job, job.load_splits())
    scores = anomalies.simple_scores(material)
    network = scores[anomalies.NETWORK]
    normal = material["test"]
    return {
        "member": name,
        "class": job.config.without[0],
        "error": float(network.anomalies.mean()),
        "normal_error": float(network.normal.mean()),
        "errors": {
            job.card.classes[number]: float(normal.errors[normal.classes == number].mean())
            for number in np.unique(normal.classes)
        },
        **anomalies.alarms(network, anomalies.threshold(network.validation)),
        **anomalies.flat(anomalies.ranking(scores)),
    }


def _known_error(name: str, found: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the mean error of a class in the runs that saw it; None when there is none."""
    known = [each["errors"][name] for each in found if name in each["errors"]]
    return fmean(known) if known else None


def table(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return a row of texts for each class."""
    return [
        [
            row["class"],
            terminal.figure_text(row["error"]),
            terminal.figure_text(row["known_error"]),
            terminal.figure_text(row["normal_error"]),
            terminal.figure_text(row["auroc"]),
            " to ".join(map(terminal.figure_text, row["auroc_interval"])),
            terminal.figure_text(row["auprc"]),
            terminal.figure_text(row["recall"]),
            terminal.figure_text(row["false_alarms"]),
            terminal.figure_text(row["pca_auroc"]),
            terminal.figure_text(row["nearest_pixels_auroc"]),
        ]
        for row in rows
    ]


def verdict(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say which classes go unnoticed and why, and how often the network beats the baselines."""
    missed = [
        row
        for row in rows
        if anomalies.is_unnoticed(row["recall_interval"][0], row["false_alarms"])
    ]
    (better, worse), (nearer, farther) = (
        _leads(rows, prefix) for prefix in ("pca_", "nearest_pixels_")
    )
    against = (
        f"By AUROC the network is better than PCA for {better} of {len(rows)} classes and worse "
        f"for {worse}, and better than the distance to the nearest training image for {nearer} and "
        f"worse for {farther}; where it is neither, the interval of the difference holds 0."
    )
    if not missed:
        worst = rows[0]
        return (
            "Every class raises more alarms than normal images do. Noticed least is "
            f"{worst['class']}, with an AUROC of {worst['auroc']:.4f}. {against}"
        )
    reasons = "; ".join(f"{row['class']} (AUROC {row['auroc']:.4f}), {_why(row)}" for row in missed)
    return (
        "Reconstructed too well to be noticed, that is, not shown to raise more alarms than normal "
        f"images do: {reasons}. {against}"
    )


def _leads(rows: Sequence[Mapping[str, Any]], prefix: str) -> tuple[int, int]:
    """Return for how many classes the network is better, and worse, than a baseline."""
    leads = [row[f"{prefix}auroc_lead_interval"] for row in rows]
    known = [lead for lead in leads if None not in lead]  # of very few anomalies there is none
    return sum(low > 0 for low, _ in known), sum(high < 0 for _, high in known)


def _why(row: Mapping[str, Any]) -> str:
    """Say why a class goes unnoticed: it is simple, or it is made of what others have too."""
    error, normal = (
        terminal.figure_text(row["error"]),
        terminal.figure_text(row["normal_error"]),
    )
    if row["error"] < row["normal_error"]:
        return f"whose images are simple: unseen, their error is {error}, that of normal {normal}"
    if row["known_error"] is None:
        return f"whose error, {error}, is near that of normal images, {normal}"
    return (
        "probably made of parts that other classes have too: not to see it raises its error only "
        f"{row['error'] / row['known_error']:.1f} times, to {error} (normal {normal})"
    )
