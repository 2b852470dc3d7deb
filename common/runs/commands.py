"""What the commands do that every lab has (train, evaluate, report), and options they share.

A job is named as `module:class`, and imported when there is something to do.
"""

import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from common.errors import ConfigError, RunError
from common.options import terminal
from common.options.config import RECIPE, TrainingConfig, build, flag, options_of, read_toml
from common.steps import step
from common.suggest import suggest
from common.torchrun import launched

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from matplotlib.figure import Figure
    from torch import nn

    from common.runs.job import Job
    from common.training.distributed.processes import Alone

C = TypeVar("C", bound=TrainingConfig)
Recipes = Mapping[str, Mapping[str, Any]]

_OUTWARD = "call|dde|exec|hyperlink|image|import\\w*|register[.\\w]*|rtd|webservice"
_FORMULA = re.compile(
    r"\s*(?:=\s*\S"
    # A function after operands with operators between: words alone with spaces between are prose.
    r"|[+@-]\s*(?:(?:[\w.:!$%\"')]+\s*)?[-+*/^&<>=,;@({]\s*)*[^\W\d][\w.]*\s*\("
    # A function that reaches out, or another program, wherever it stands.
    rf"|[+@-].*(?:\b(?:{_OUTWARD})\s*\(|\|))",
    re.DOTALL | re.IGNORECASE,
)
_SHOWN = 80  # characters of a text in a table


def train(
    job: str,
    config: type[TrainingConfig],
    recipes: Recipes,
    *,
    recipe: str | None,
    config_path: Path | None,
    resume: Path | None,
    options: dict[str, Any],
    problems: list[str],
) -> None:
    """Start a run, or go on with one, train it, measure it, and show the result.

    Args:
        job: the class of the job.
        config: the class of its config.
        recipes: values by the recipe's name.
        recipe: the name that was given.
        config_path: a file of values.
        resume: a run to go on with.
        options: values by the name of the field, as text.
        problems: what is wrong with the options.
    """
    begun = time.perf_counter()
    if resume is not None:
        epochs = options.pop("epochs", None)
        device = resume_device(options, problems, recipe, config_path)
        with joined():
            resume_run(loaded(job), resume, device, begun, epochs)
        return
    values = layered(config, recipes, recipe, config_path, options, problems)
    with joined():
        with step("making the run ready"):
            started, splits = loaded(job).start(values, sys.argv, begun)
        train_run(started, splits, begun)


def joined() -> "AbstractContextManager[Alone]":
    """Join the processes that torchrun has started; what is wrong was said without torch."""
    from common.training.distributed import processes

    return processes.joined()


def loaded(name: str) -> Any:
    """Import what a string names, a job with all that it stands on: torch takes a while."""
    with step("loading torch and the lab"):
        return resolve_name(name)


def layered(
    config: type[C],
    recipes: Recipes,
    recipe: str | None,
    path: Path | None,
    options: Mapping[str, Any],
    problems: Sequence[str],
) -> C:
    """Put recipe, file and options together, and show every problem of all of them at once.

    Raises:
        ConfigError: with every problem.
    """
    layers: list[tuple[str, Mapping[str, Any]]] = []
    problems = list(problems)
    if recipe is not None and recipe not in recipes:
        problems.append(
            f"--recipe {recipe}: no such recipe; there are: {', '.join(recipes) or 'none'}"
            f"{suggest(recipe, recipes)}"
        )
    elif recipe is not None:
        layers.append((f"{RECIPE}{recipe}", recipes[recipe]))
    try:
        if path is not None:
            layers.append((str(path), read_toml(path)))
        built = build(config, *layers, ("options", options))
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
    return built


def of_data(
    config: type[C], data: str, options: Mapping[str, Any], problems: Sequence[str], may_be: str
) -> C:
    """Return the config that names DATA, an argument, and has the options beside it.

    Args:
        config: its class.
        data: the argument.
        options: as they were given.
        problems: with them.
        may_be: what DATA may be, such as `a file or a folder`.

    Raises:
        ConfigError: with every problem.
    """
    if data.startswith("-"):
        problems = [*problems, f"DATA {data}: no such option, or no data; name {may_be}"]
    return layered(config, {}, None, None, {**options, "data": data}, problems)


def resume_device(options: dict[str, Any], problems: Sequence[str], *others: Any) -> str | None:
    """Return the one option that goes with `--resume`.

    Raises:
        UsageError: there are others.
    """
    device: str | None = options.pop("device", None)
    if any(others) or options or problems:
        raise click.UsageError(
            "--resume goes on with the run's own config; of the options only --device goes with "
            "it, and of a finished run --epochs, to make it longer"
        )
    return device


def resume_run(
    kind: "type[Job[Any, Any]]",
    path: Path,
    device: str | None,
    begun: float,
    epochs: str | None = None,
) -> None:
    """Go on with a run, measure it, and show the result.

    Args:
        kind: of the job.
        path: the run folder.
        device: another device than the run's.
        begun: when the command began, by `time.perf_counter`.
        epochs: how long a finished run is to be, as text.
    """
    from common.runs import job as jobs
    from common.runs.folder import open_run
    from common.training.distributed import processes

    together = processes.current()
    if epochs is not None and together.rank == 0:
        wanted = build(kind.config_type, ("options", {"epochs": epochs})).epochs
        open_run(path, kind.lab, kind.verb).lengthen(wanted)
    together.any(0)  # the others wait until the first has lengthened it
    if jobs.is_finished(path, kind.lab, kind.verb):
        terminal.note(f"{path} is finished: nothing to do")
        job = kind.reopen(path, "cpu")
        show_results(job, job.run.read("metrics"))
        return
    job = kind.reopen(path, device)
    train_run(job, job.load_splits(), begun)


def train_run(job: "Job[Any, Any]", splits: Any, begun: float) -> None:
    """Train a run, measure it, and show the result; the arguments are those of `resume_run`.

    Several processes train together; the first does the rest.
    """
    from common.runs.conclude import conclusion_of
    from common.training.distributed import processes

    for name, reason in job.card.skipped[:10]:
        terminal.note(f"{job.remark} {name}: {reason}")
    more = len(job.card.skipped) - 10
    if more > 0:
        terminal.note(f"{job.remark} {more} more; all are listed in {job.run.path}/data.json")
    terminal.note(f"{job.config.title} on {job.card.source}, {job.compute}; {job.run.path}")
    for reason in job.reasons:
        terminal.note(f"chosen: {reason}")
    command = f"{launched().program} labs.{job.lab} {job.verb}"
    with job.run.locked(), terminal.saved_in(job.run.path, command):
        prepared = time.perf_counter() - begun
        shown = [f"validation/{job.main_metric.name}", *filter(None, [job.config.monitor])]
        with terminal.display(job.config.epochs, shown) as display:
            job.train(splits, display, terminal.note)
        if processes.part():
            return
        if job.config.all_rows:
            metrics = conclusion_of(job).conclude_unmeasured(prepared)
        else:
            with terminal.busy("measuring on the test split, and the baselines"):
                metrics = conclusion_of(job).conclude(splits, prepared)
    show_results(job, metrics)


def show_results(job: "Job[Any, Any]", metrics: Mapping[str, Any]) -> None:
    """Print the result of a run: the network and its baselines, and what to make of it."""
    from common.runs.conclude import conclusion_of
    from common.runs.doubts import list_doubts

    if job.config.all_rows:
        rows, seconds = job.card.counts["train"], metrics["seconds"]["train"]
        terminal.say(
            f"Trained on all {rows:,} rows for {metrics['best_epoch']} epochs, in {seconds:.1f} s; "
            f"no row is left to measure it on: {job.run.path}"
        )
        return
    if job.unmeasured:
        terminal.say(f"{job.run.path} {job.unmeasured}: nothing is known of how good it is")
        return
    conclusion, label = conclusion_of(job), job.main_metric.label
    columns = ["", f"validation {label}", f"test {label}", "95 % interval"]
    terminal.show_table(job.card.source, columns, conclusion.table(metrics))
    if part := conclusion.of_baselines():
        terminal.say(part)
    terminal.say(conclusion.verdict(metrics))
    for doubt in list_doubts(job, metrics):
        terminal.say(doubt)
    click.echo(
        f"Best epoch {metrics['best_epoch']}; trained for {metrics['seconds']['train']:.1f} s."
    )
    click.echo(f"Report: {job.run.report}")


def evaluate(
    job: Any,
    split: str,
    data: Path | None,
    options: Mapping[str, str],
    tta: str | None = None,
) -> None:
    """Measure a trained run again on a split, or on labelled data of a user's; print the figures.

    Args:
        job: a `Job` with its best weights.
        split: the name of a split of the run's own data.
        data: a file or folder to measure on in place of it.
        options: on how that is written, see `read_written`.
        tta: changed copies of images with which it is measured, too; see `common.runs.tta`.

    Raises:
        InputError: the data cannot be had, or is not what the run knows.
    """
    from common.runs.conclude import conclusion_of

    refuse_unmeasured(job, data)
    if tta is not None:
        if list(job.networks) != [job]:
            raise RunError(f"--tta: {job.run.path} is an ensemble; measure its members one by one")
        job.choose_copies(tta)  # refuses, before any data are read
    name = split if data is None else "data"
    if data is None:
        splits = job.load_splits()
    else:
        written = read_written(job, data, options)
        splits = {name: job.labelled(data, terminal.note, **written)}
    measured = splits[name]
    if tta is not None:
        from common.runs.tta import gain

        gain.evaluate(job, tta, measured, str(data or split))
        return
    outputs, conclusion = job.predict_splits(splits, [name])[name], conclusion_of(job)
    rows = [
        [
            figure,
            terminal.interval_text(value)
            if isinstance(value, list)
            else terminal.figure_text(value),
        ]
        for figure, value in conclusion.figures(outputs, measured).items()
    ]
    title = f"{job.run.path} on {data or split} ({len(measured):,} samples)"
    terminal.show_table(title, ["figure", "value"], rows)
    from common.report.html import PictureSaver

    save_picture = PictureSaver(job.run.figures, f"{name}-")
    for section in conclusion.split_sections(outputs, measured, save_picture):
        if section.table is not None:
            terminal.show_table(section.title, *section.table)
        for _, picture in section.pictures:
            click.echo(f"Picture: {picture!s}")


def refuse_with_onnx(**options: Any) -> None:
    """Refuse options that only a run takes; those that are not given are None or empty.

    Raises:
        UsageError: one is given.
    """
    given = [flag(name) for name, value in options.items() if value]
    if given:
        raise click.UsageError(f"{given[0]} goes with a run, not with --onnx")


def refuse_unmeasured(job: "Job[Any, Any]", data: Path | None = None) -> None:
    """Refuse to measure a run that has no rows but those that it has learned.

    Raises:
        RunError: it is one, and there are no other data.
    """
    if data is None and job.unmeasured:
        raise RunError(f"{job.run.path} {job.unmeasured}: nothing measures it but --data")


def read_written(
    job: "Job[Any, Any]", path: Path | None, options: Mapping[str, str]
) -> dict[str, Any]:
    """Return what options say of how another file for a run's data is written.

    Args:
        job: of the run.
        path: the file or folder; None for texts on standard input.
        options: values by the name of the field, as text.

    Raises:
        ConfigError: runs of the job have no such option, or a value is wrong.
        DataError: an option does not go with the file.
    """
    if not options:
        return {}
    from common.io.tables import refuse_unfit

    kind = type(job.config)
    if others := [name for name in options if name not in kind.of_files]:
        raise ConfigError(
            [f"{flag(name)}: goes with other runs than those of {job.verb}" for name in others]
        )
    known = {field.name: getattr(job.config, field.name) for field in options_of(kind)}
    built = build(kind, (str(job.run.config), known), ("options", options))
    written = {name: getattr(built, name) for name in options}
    if path is not None:
        refuse_unfit(job.config.of_file(path, **written), written)
    return written


def report(kind: "type[Job[Any, Any]]", run: Path, device: str | None) -> None:
    """Write a finished run's report again, with its pictures."""
    from common.runs.conclude import conclusion_of

    job = kind.reopen(run, device)
    job.run.read("metrics")  # it must be finished
    refuse_unmeasured(job)
    job.load_best()
    conclusion_of(job).report_again(job.load_splits())
    click.echo(f"Report: {job.run.report}")


def show_summary(
    model: "nn.Module", input_shape: tuple[int, ...], name: str, depth: int, *, meta: bool = True
) -> None:
    """Print a model's modules to a depth, and its totals; `meta` is that of `summarize`."""
    from common.training.summary import summarize

    summary = summarize(model, input_shape, meta=meta)
    rows = [
        [
            "  " * row.depth + (row.name.rpartition(".")[2] or name),
            row.type,
            "x".join(map(str, row.output_shape[1:])) if row.output_shape else "-",
            f"{row.parameters:,}",
            f"{row.trainable_parameters:,}",
            terminal.figure_text(row.multiply_adds),
        ]
        for row in summary.folded(depth).rows
    ]
    columns = ["module", "type", "output", "parameters", "trainable", "multiply-adds"]
    terminal.show_table(f"{name} on {'x'.join(map(str, input_shape))}", columns, rows)
    click.echo(
        f"{summary.parameters:,} parameters ({summary.trainable_parameters:,} trainable, "
        f"{summary.frozen_parameters:,} frozen), {summary.parameter_megabytes:.1f} MB; "
        f"{summary.multiply_adds:,} multiply-adds for one sample"
    )


def show_records(
    title: str, records: Sequence[Mapping[str, Any]], form: str, output: Path | None
) -> None:
    """Print records, or write them to a file.

    Args:
        title: of the table.
        records: values by the column's name; all have the same columns.
        form: `table` (short, tab-separated in a file), `csv` or `json`.
        output: the file; None for the screen.
    """
    if form == "table" and output is None:
        from common.report.html import Table

        terminal.show_table(title, *Table.of(records, text=short_text))
        return
    if form == "json":
        text = _json(records)
    else:
        inert = [{name: defuse(value) for name, value in record.items()} for record in records]
        text = separated(inert, "," if form == "csv" else "\t")
    show_text(text, output)


def show_text(text: str, output: Path | None) -> None:
    """Print a text, or write it to a file."""
    if output is None:
        click.echo(text, nl=False)
        return
    from common.files import write_text

    write_text(output, text)
    terminal.note(f"wrote {output}")


def show_drawing(figure: "Figure", path: Path) -> None:
    """Save a figure as a picture, and say where it is."""
    from common.report import plots

    plots.save(figure, path)
    click.echo(f"Picture: {path}")


def short_text(value: Any) -> str:
    """Write a value for a table; a long text is cut."""
    text = terminal.figure_text(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _json(records: Sequence[Mapping[str, Any]]) -> str:
    import json

    return json.dumps(records, ensure_ascii=False, indent=2) + "\n"


def defuse(value: Any) -> Any:
    """Return a cell that calls nothing in a spreadsheet: a text that would gets an apostrophe.

    All that begins with `=` is one (CWE-1236). What begins with another sign often is none, and of
    it only a function's parenthesis or the bar of another program can do anything: `-3`, `@name`
    and `@name so good (so far)` are left as they are.
    """
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def add_map_options(command: Any) -> Any:
    """Add the options of a t-SNE map to a command."""
    for option in reversed(_MAP):
        command = option(command)
    return command


def separated(records: Sequence[Mapping[str, Any]], delimiter: str) -> str:
    """Write records as a table of text, with their keys as its header."""
    import csv
    import io

    text = io.StringIO()
    line = SimpleNamespace(write=lambda row: text.write(row.removesuffix("\r\n") + "\n"))
    # A cell with a carriage return is quoted only where that ends a line.
    writer = csv.writer(line, lineterminator="\r\n", delimiter=delimiter)
    writer.writerows(list(record) for record in records[:1])
    writer.writerows(
        [f"{value:.6g}" if isinstance(value, float) else value for value in record.values()]
        for record in records
    )
    return text.getvalue()


SPLIT = click.option(
    "--split", type=click.Choice(["train", "validation", "test"]), default="test", show_default=True
)
DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Labelled data of your own, a file or a folder, in place of a split of the run's data.",
)
TTA = click.option(
    "--tta",
    metavar="WAYS",
    help="Answer by the mean over an image and changed copies of it: auto, those that suit what "
    "the run was trained with, or some of hflip, vflip, shift:PIXELS, scale:FACTOR, crop, with "
    "commas between.",
)
DEVICE = click.option("--device", help="Another device than the run's.")
DATA_SET = click.argument("data_set", metavar="DATA", required=False)
OPTIONS_OF = click.argument("run", required=False, type=click.Path(path_type=Path))
CROSSVAL = click.argument("crossval", required=False)
UNLABELLED = click.argument("unlabelled", required=False)
JOIN = click.option(
    "--join",
    metavar="RUN",
    type=click.Path(path_type=Path),
    help="Help with a search that another process has begun.",
)
RUN = click.argument("run", type=click.Path(path_type=Path))
RUN_DIR = click.option(
    "--run-dir",
    type=click.Path(path_type=Path),
    default="runs",
    show_default=True,
    help="Folder of all runs.",
)
ONNX = click.option(
    "--onnx", is_flag=True, help="RUN is a file that `export` wrote; it is asked without torch."
)
_MAP = (
    click.option(
        "--points",
        type=click.IntRange(min=5),
        default=5000,
        show_default=True,
        help="Of the map, at most; of more samples a share of each class.",
    ),
    click.option(
        "--dimensions", type=click.IntRange(2, 3), default=2, show_default=True, help="Of the map."
    ),
    click.option(
        "--perplexity",
        type=click.FloatRange(min=1),
        help="Neighbors that each point attends to, about; 30, or fewer of few points, if not "
        "given.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Of the first positions.",
    ),
)
FORM = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
)
PAGE = click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The HTML file; explore-DATA.html when not given.",
)
OUTPUT = click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to a file instead of the screen.",
)
