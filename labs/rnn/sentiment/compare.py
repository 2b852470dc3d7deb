"""Encodings, or cells, side by side: each trained with several seeds, on the same split."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from common.errors import ConfigError
from common.options import terminal
from common.report import html as report
from common.report import plots
from common.report.html import PictureSaver, Section, Table
from common.report.plots import Bar
from common.runs.comparison import Jobs, Members
from common.runs.folder import Run
from labs.rnn.sentiment.config import COMPARED, CompareConfig, SentimentConfig
from labs.rnn.sentiment.job import Sentiment

_COLUMNS = (
    "",
    "parameters",
    "validation balanced accuracy",
    "test balanced accuracy",
    "lowest to highest",
    "seconds to train",
)


class Comparison(Members[CompareConfig]):
    """What `COMPARED` lists under a command, each trained with several seeds."""

    lab = "rnn"
    config_type, member = CompareConfig, Sentiment

    @classmethod
    def plan(cls, config: CompareConfig) -> dict[str, SentimentConfig]:
        """Return the config of each by what it is called and its seed."""
        return {
            name: member for plan in members(cls.verb, config).values() for name, member in plan
        }

    @classmethod
    def stem(cls, config: CompareConfig) -> str:
        """Name the command and the data."""
        return f"{cls.verb}-{Path(config.data).stem}"

    def measure(self, jobs: Jobs) -> dict[str, Any]:
        """Return the figures of all seeds of each of what is compared."""
        compared = {
            title: [_figures(name, jobs[name]) for name, _ in plan]
            for title, plan in members(self.verb, self.config).items()
        }
        return {"compared": compared, "source": next(iter(jobs.values())).card.source}

    def write_report(self, jobs: Jobs, metrics: Mapping[str, Any]) -> None:
        """Show all of them in a table, and their learning curves."""
        _write_report(self.run, self.verb, metrics)

    def show(self, metrics: Mapping[str, Any]) -> None:
        """Print the table, and which came out best."""
        terminal.show_table(metrics["source"], list(_COLUMNS), table(metrics["compared"]))
        terminal.say(verdict(metrics["compared"]))


class Encodings(Comparison):
    """Encodings side by side."""

    verb = "compare-encodings"


class Cells(Comparison):
    """Cells side by side."""

    verb = "compare-cells"

    @classmethod
    def plan(cls, config: CompareConfig) -> dict[str, SentimentConfig]:
        """Return the config of each by what it is called and its seed."""
        if config.encoding == "n-gram-bag":
            raise ConfigError("--encoding n-gram-bag: has no cell to compare; leave it out")
        return super().plan(config)


def members(verb: str, config: CompareConfig) -> dict[str, list[tuple[str, SentimentConfig]]]:
    """Return what is compared: a name and a config for each seed of each."""
    shared = {field.name: getattr(config, field.name) for field in fields(SentimentConfig)}
    base = SentimentConfig(**{**shared, "name": None})
    return {
        title: [
            (f"{title}-{seed}", replace(base, **values, seed=seed))
            for seed in range(config.seed, config.seed + config.seeds)
        ]
        for title, values in COMPARED[verb].items()
        if config.vectors is not None or not title.startswith("pretrained")
    }


def _figures(name: str, job: Sentiment) -> dict[str, Any]:
    parameters = sum(p.numel() for p in job.model.parameters() if p.requires_grad)
    return {"member": name, "parameters": parameters, **job.run.read("metrics")}


def table(compared: Mapping[str, list[dict[str, Any]]]) -> list[list[str]]:
    """Return a row for each of what is compared: means over the seeds, and the range on test."""
    rows = []
    for title, found in compared.items():
        validation, test = (
            [each[split]["balanced_accuracy"] for each in found] for split in ("validation", "test")
        )
        rows.append(
            [
                title,
                terminal.figure_text(found[0]["parameters"]),
                terminal.figure_text(fmean(validation)),
                terminal.figure_text(fmean(test)),
                f"{min(test):.4f} to {max(test):.4f}",
                f"{fmean(each['seconds']['train'] for each in found):.1f}",
            ]
        )
    return rows


def verdict(compared: Mapping[str, list[dict[str, Any]]]) -> str:
    """Say which came out best, and whether the seeds agree."""
    tests = {
        title: [each["test"]["balanced_accuracy"] for each in found]
        for title, found in compared.items()
    }
    first, second = sorted(tests, key=lambda title: -fmean(tests[title]))[:2]
    clear = min(tests[first]) > max(tests[second])
    judgment = (
        "every seed of the first beats every seed of the second"
        if clear
        else "the seeds overlap, so this is no clear difference"
    )
    return (
        f"{first} has the best mean test balanced accuracy, {fmean(tests[first]):.4f} over "
        f"{len(tests[first])} seed(s); {second} follows with {fmean(tests[second]):.4f}; "
        f"{judgment}."
    )


def _write_report(run: Run, verb: str, metrics: Mapping[str, Any]) -> None:
    compared = metrics["compared"]
    save_picture = PictureSaver(run.figures)
    bars = []
    for title, found in compared.items():
        test = [each["test"]["balanced_accuracy"] for each in found]
        bars.append(Bar(title, fmean(test), (min(test), max(test))))
    histories = {
        title: [Run(run.path / "members" / each["member"]).history for each in found]
        for title, found in compared.items()
    }
    pictures = (
        save_picture(
            "compared",
            "Test balanced accuracy: the mean over the seeds, and their range.",
            plots.bars(bars, "test balanced accuracy"),
        ),
        save_picture(
            "curves",
            "Validation balanced accuracy after each epoch, a line for each seed.",
            plots.histories(histories, "validation/balanced_accuracy", "balanced accuracy"),
        ),
    )
    text = (
        f"{metrics['source']}. All see the same split; each seed gives other first weights and "
        "another order. The best epoch is chosen on validation; the test split is used once a "
        "member."
    )
    parts = [
        Section("Side by side", text, Table(list(_COLUMNS), table(compared)), pictures),
        Section("Config", code=run.config.read_text(encoding="utf-8")),
    ]
    html = report.render(verb, f"Run {run.path.name}", verdict(compared), parts)
    report.write(run.report, html)
