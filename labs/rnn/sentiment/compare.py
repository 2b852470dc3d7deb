"""Encodings, or cells, side by side: each trained with several seeds, on the same split."""

import sys
import time
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import click

from common import cli, commands, plots, report, sections
from common import run as runs
from common.compute import Compute
from common.config import build, read_toml, to_toml
from common.errors import ConfigError
from common.files import write_text
from common.jobs import Outputs, Splits
from common.plots import Bar
from common.report import Section, Table
from common.results import Array
from common.run import Run
from labs.rnn.sentiment import plots as job_plots
from labs.rnn.sentiment.config import COMPARED, CompareConfig, SentimentConfig
from labs.rnn.sentiment.job import Sentiment

_LAB = "rnn"
_COLUMNS = (
    "",
    "parameters",
    "validation balanced accuracy",
    "test balanced accuracy",
    "lowest to highest",
    "seconds to train",
)


class Member(Sentiment):
    """One of the runs that are compared, held against the others in place of baselines."""

    def baselines(self, splits: Splits) -> dict[str, dict[str, Array]]:
        """Return none."""
        return {}

    def write_report(self, outputs: Outputs, splits: Splits, figures: Mapping[str, Any]) -> None:
        """Write none: the report of the comparison shows its members side by side."""


def compare(
    verb: str,
    *,
    recipe: str | None,
    config_path: Path | None,
    resume: Path | None,
    options: dict[str, Any],
    problems: list[str],
) -> None:
    """Train what is compared, or what is left of it, and show the result.

    Args:
        verb: one of `COMPARED`.
        recipe: as in `common.commands.train`, as are the others.
        config_path: a file of values.
        resume: a comparison to go on with.
        options: values by the name of the field, as text.
        problems: what is wrong with the options.
    """
    begun = time.perf_counter()
    if resume is None:
        config = commands.layered(CompareConfig, {}, recipe, config_path, options, problems)
        run, device = _start(verb, config), None
    else:
        device = commands.resume_device(options, problems, recipe, config_path)
        run = runs.open_run(resume, _LAB, verb)
        config = build(CompareConfig, (str(run.config), read_toml(run.config)))
    if run.finished:
        cli.note(f"{run.path} is finished: nothing to do")
    else:
        with run.locked(), cli.saved_in(run.path, f"python -m labs.{_LAB} {verb}"):
            _train(run, verb, config, device, begun)
    _show(run)


def members(verb: str, config: CompareConfig) -> dict[str, dict[str, SentimentConfig]]:
    """Return the configs that are compared: by what they are called, then by the member's name."""
    shared = {field.name: getattr(config, field.name) for field in fields(SentimentConfig)}
    base = Sentiment.located(SentimentConfig(**{**shared, "name": None}))
    return {
        title: {
            f"{title}-{seed}": replace(base, **values, seed=seed)
            for seed in range(config.seed, config.seed + config.seeds)
        }
        for title, values in COMPARED[verb].items()
        if config.vectors is not None or not title.startswith("pretrained")
    }


def _start(verb: str, config: CompareConfig) -> Run:
    if verb == "compare-cells" and config.encoding == "n-gram-bag":
        raise ConfigError("--encoding n-gram-bag: has no cell to compare; leave it out")
    compute = Compute(config.device, config.precision)
    for plan in members(verb, config).values():
        member = next(iter(plan.values()))
        splits, card = Member.load(member)
        Member(member, compute, card).check(splits)
    run = runs.create(Path(config.run_dir), _LAB, config.name, f"{verb}-{Path(config.data).stem}")
    about = {"lab": _LAB, "job": verb, "command": sys.argv}
    run.write("environment", {**about, **runs.environment(str(compute))})
    write_text(run.config, to_toml(Sentiment.located(config)))
    return run


def _train(run: Run, verb: str, config: CompareConfig, device: str | None, begun: float) -> None:
    compared: dict[str, list[dict[str, Any]]] = {}
    for title, plan in members(verb, config).items():
        compared[title] = []
        for name, member in plan.items():
            job = Member.member(run, name, member, device)
            if not job.run.finished:
                cli.note(f"{name}: {job.run.path}")
                splits = job.load_splits()
                with cli.display(member.epochs, [f"validation/{job.headline.name}"]) as display:
                    job.train(splits, display, cli.note)
                job.conclude(splits, 0.0)
            parameters = sum(p.numel() for p in job.model.parameters() if p.requires_grad)
            figures = job.run.read("metrics")
            compared[title].append({"member": name, "parameters": parameters, **figures})
    metrics = {
        "compared": compared,
        "source": job.card.source,
        "seconds": {"total": time.perf_counter() - begun},
    }
    _write_report(run, verb, metrics)
    run.write("metrics", metrics)


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
                cli.figure_text(found[0]["parameters"]),
                cli.figure_text(fmean(validation)),
                cli.figure_text(fmean(test)),
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
    drawn = sections.Drawn(run)
    bars = []
    for title, found in compared.items():
        test = [each["test"]["balanced_accuracy"] for each in found]
        bars.append(Bar(title, fmean(test), (min(test), max(test))))
    histories = {
        title: [Run(run.path / "members" / each["member"]).history for each in found]
        for title, found in compared.items()
    }
    pictures = (
        drawn(
            "compared",
            "Test balanced accuracy: the mean over the seeds, and their range.",
            plots.bars(bars, "test balanced accuracy"),
        ),
        drawn(
            "curves",
            "Validation balanced accuracy after each epoch, a line for each seed.",
            job_plots.histories(histories, "validation/balanced_accuracy", "balanced accuracy"),
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


def _show(run: Run) -> None:
    metrics = run.read("metrics")
    cli.show_table(metrics["source"], list(_COLUMNS), table(metrics["compared"]))
    cli.say(verdict(metrics["compared"]))
    click.echo(f"Report: {run.report}")
