"""`python -m labs.classification`: train, evaluate, predict, report, summary."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from common import cli
from common.config import build, nearest, read_toml
from common.errors import ConfigError
from labs.classification.config import RECIPES, ClassificationConfig
from labs.classification.names import DESCRIPTIONS, TORCHVISION, model_names

if TYPE_CHECKING:
    from labs.classification.jobs import Job

PROGRAM = "python -m labs.classification"
RUN = click.Path(path_type=Path)


@click.group(cls=cli.LabGroup, context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Classify images with networks from a linear template to torchvision's.

    Begin with `train`; every other command takes the folder of a run.
    """


@group.command(cls=cli.ConfigCommand, config=ClassificationConfig)
@click.option(
    "--recipe", metavar="NAME", help=f"Begin with a recipe's values: {', '.join(RECIPES)}."
)
@click.option(
    "--config",
    "config_path",
    metavar="FILE",
    type=RUN,
    help="Begin with a file's values; RUN/config.toml repeats a run.",
)
@click.option("--resume", metavar="RUN", type=RUN, help="Go on with a run that was stopped.")
def train(
    recipe: str | None,
    config_path: Path | None,
    resume: Path | None,
    options: dict[str, Any],
    problems: list[str],
) -> None:
    """Train a model, measure it against baselines, and write a report.

    Without options: LeNet-5 on 5,000 MNIST digits. Values come from the defaults, then a recipe,
    then a config file, then options.
    """
    begun = time.perf_counter()
    if resume is not None:
        _resume(resume, begun, options, problems, recipe, config_path)
        return
    config = _config(recipe, config_path, options, problems)
    from labs.classification import jobs

    job, splits = jobs.start(config, sys.argv)
    _train(job, splits, begun)


def _config(
    recipe: str | None, path: Path | None, options: dict[str, Any], problems: list[str]
) -> ClassificationConfig:
    """Put recipe, file and options together, and show every problem of all of them at once."""
    layers: list[tuple[str, Any]] = []
    if recipe is not None and recipe not in RECIPES:
        problems = [
            *problems,
            f"--recipe {recipe}: no such recipe; there are: {', '.join(RECIPES)}"
            f"{nearest(recipe, RECIPES)}",
        ]
    elif recipe is not None:
        layers.append((f"recipe {recipe}", RECIPES[recipe]))
    try:
        if path is not None:
            layers.append((str(path), read_toml(path)))
        config = build(ClassificationConfig, *layers, ("options", options))
    except ConfigError as error:
        problems = [*problems, *error.problems]
    if problems:
        raise ConfigError(problems)
    return config


def _resume(
    path: Path, begun: float, options: dict[str, Any], problems: list[str], *others: Any
) -> None:
    device = options.pop("device", None)
    if any(others) or options or problems:
        raise click.UsageError(
            "--resume goes on with the run's own config; of the options only --device goes with it"
        )
    from labs.classification import jobs

    if jobs.is_finished(path):
        cli.note(f"{path} is finished: nothing to do")
        job = jobs.reopen(path, "cpu")
        _show_results(job, job.run.read("metrics"))
        return
    job = jobs.reopen(path, device)
    _train(job, jobs.load_splits(job), begun)


def _train(job: "Job", splits: Any, begun: float) -> None:
    from labs.classification import jobs

    for name, reason in job.card.skipped[:10]:
        cli.note(f"skipped {name}: {reason}")
    if len(job.card.skipped) > 10:
        cli.note(
            f"skipped {len(job.card.skipped) - 10} more; all are listed in {job.run.path}/data.json"
        )
    cli.note(f"{job.config.model} on {job.card.source}, {job.compute}; {job.run.path}")
    with job.run.locked(), cli.saved_in(job.run.path, PROGRAM):
        prepared = time.perf_counter() - begun
        headline = "validation/mae" if job.config.numeric else "validation/accuracy"
        shown = [headline, *filter(None, [job.config.monitor])]
        with cli.display(job.config.epochs, shown) as display:
            jobs.train(job, splits, display, cli.note)
        cli.note("measuring on the test split, and the baselines")
        metrics = jobs.conclude(job, splits, prepared)
    _show_results(job, metrics)


def _show_results(job: "Job", metrics: dict[str, Any]) -> None:
    from labs.classification import results

    headline = "mae" if job.config.numeric else "accuracy"
    validation = metrics["validation"][headline]
    rows = [
        _result_row(
            f"{job.config.model} (epoch {metrics['best_epoch']})",
            validation,
            metrics["test"],
            headline,
        )
    ]
    for name, values in metrics["baselines"].items():
        rows.append(_result_row(name, values[f"validation_{headline}"], values, headline))
    columns = ["", f"validation {headline}", f"test {headline}", "95 % interval"]
    cli.show_table(job.card.source, columns, rows)
    cli.say(results.verdict(metrics, job.config.model, job.config.numeric))
    click.echo(
        f"Best epoch {metrics['best_epoch']}; trained for {metrics['seconds']['train']:.1f} s."
    )
    click.echo(f"Report: {job.run.report}")


def _result_row(name: str, validation: float, values: dict[str, Any], headline: str) -> list[str]:
    low, high = values[f"{headline}_interval"]
    return [
        name,
        cli.figure_text(validation),
        cli.figure_text(values[headline]),
        f"{low:.4f} to {high:.4f}",
    ]


@group.command()
@click.argument("run", type=RUN)
@click.option(
    "--split", type=click.Choice(["train", "validation", "test"]), default="test", show_default=True
)
@click.option("--device", help="Another device than the run's.")
def evaluate(run: Path, split: str, device: str | None) -> None:
    """Measure a run's best weights again."""
    from labs.classification import jobs, results

    job = jobs.reopen(run, device)
    jobs.load_best(job)
    splits = jobs.load_splits(job)
    outputs = jobs.predict_splits(job, splits, [split])[split]
    figures = results.figures(outputs, splits[split].targets.numpy(), job.config.numeric)
    rows = [
        [
            name,
            f"{value[0]:.4f} to {value[1]:.4f}"
            if isinstance(value, list)
            else cli.figure_text(value),
        ]
        for name, value in figures.items()
    ]
    cli.show_table(f"{run} on {split} ({len(splits[split]):,} images)", ["figure", "value"], rows)


@group.command()
@click.argument("run", type=RUN)
@click.argument("paths", nargs=-1, required=True, type=RUN)
@click.option(
    "--top",
    default=3,
    show_default=True,
    type=click.IntRange(min=1),
    help="Classes to name for each image.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to a file instead of the screen.",
)
@click.option("--device", help="Another device than the run's.")
def predict(
    run: Path, paths: tuple[Path, ...], top: int, form: str, output: Path | None, device: str | None
) -> None:
    """Say what images show: files, or folders of them.

    Unreadable images are named on the way and left out; if none is left, the command fails.
    """
    from labs.classification import jobs, predictions

    job = jobs.reopen(run, device)
    jobs.load_best(job)
    found = predictions.predict(job, paths, top, cli.note)
    text = predictions.render(found, form)
    if output is None:
        click.echo(text, nl=False) if form != "table" else cli.show_table(*predictions.table(found))
    else:
        from common.files import write_text

        write_text(output, text)
        cli.note(f"wrote {output}")


@group.command("report")
@click.argument("run", type=RUN)
@click.option("--device", help="Another device than the run's.")
def report_command(run: Path, device: str | None) -> None:
    """Draw a finished run's report again."""
    from labs.classification import jobs, report

    job = jobs.reopen(run, device)
    metrics = job.run.read("metrics")
    jobs.load_best(job)
    splits = jobs.load_splits(job)
    report.write(job, splits, jobs.predict_splits(job, splits, ["test"])["test"], metrics)
    click.echo(f"Report: {job.run.report}")


@group.command()
@click.argument("model", metavar="MODEL", required=False)
@click.option(
    "--image-size",
    type=click.IntRange(min=1),
    help="Pixels; 28 for the lab's own models, else 224.",
)
@click.option("--channels", type=click.IntRange(min=1), help="1 for the lab's own models, else 3.")
@click.option(
    "--classes", type=click.IntRange(min=1), help="10 for the lab's own models, else 1000."
)
@click.option(
    "--depth",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="Levels of the module tree.",
)
def summary(
    model: str | None, image_size: int | None, channels: int | None, classes: int | None, depth: int
) -> None:
    """Show a model's module tree, shapes, parameters and multiply-adds.

    Without a name, list the models.
    """
    if model is None:
        cli.show_table(
            "Models", ["name", ""], [[name, text] for name, text in DESCRIPTIONS.items()]
        )
        click.echo(f"and torchvision's: {', '.join(TORCHVISION)}")
        return
    if model not in model_names():
        raise ConfigError(f"no model {model!r}{nearest(model, model_names())}")
    from labs.classification import models

    own = model not in TORCHVISION
    size, channels, classes = (
        image_size or (28 if own else 224),
        channels or (1 if own else 3),
        classes or (10 if own else 1000),
    )
    cli.show_summary(
        models.build(model, channels, size, classes), (channels, size, size), model, depth
    )


if __name__ == "__main__":
    cli.main(group, PROGRAM)
