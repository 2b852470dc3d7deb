"""`python -m labs.rnn`: sentiment, forecast, translate, memory; and what to ask of a run."""

from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import click

from common.errors import RunError
from common.options import commandline, terminal
from common.runs import commands
from labs.rnn.forecast.config import RECIPES as FORECAST_RECIPES
from labs.rnn.forecast.config import ForecastConfig
from labs.rnn.memory.config import RECIPES as MEMORY_RECIPES
from labs.rnn.memory.config import MemoryConfig
from labs.rnn.sentiment.config import RECIPES as SENTIMENT_RECIPES
from labs.rnn.sentiment.config import CompareConfig, SentimentConfig
from labs.rnn.translate.config import RECIPES as TRANSLATE_RECIPES
from labs.rnn.translate.config import TranslateConfig

if TYPE_CHECKING:
    from common.runs.job import Job

PROGRAM = "python -m labs.rnn"
JOBS = {
    "sentiment": "labs.rnn.sentiment.job:Sentiment",
    "forecast": "labs.rnn.forecast.job:Forecast",
    "translate": "labs.rnn.translate.job:Translate",
}
FAMILIES = {  # runs made of runs
    "memory": "labs.rnn.memory.job:Memory",
    "compare-encodings": "labs.rnn.sentiment.compare:Encodings",
    "compare-cells": "labs.rnn.sentiment.compare:Cells",
}
FILE = click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Texts from a table's column, or from the lines of any other text file.",
)
COLUMN = click.option(
    "--text-column", default="text", show_default=True, help="The column of a table."
)
BEAM = click.option(
    "--beam",
    type=click.IntRange(min=1),
    help="Translations kept in search; the run's own number when not given.",
)


@click.group(cls=commandline.LabGroup, context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Read and write sequences with recurrent networks: texts, series, translations.

    Begin with `sentiment`, `forecast`, `translate` or `memory`, which train; every other command
    takes the folder of a run.
    """


@group.command(cls=commandline.TrainCommand, config=SentimentConfig, recipes=SENTIMENT_RECIPES)
def sentiment(**given: Any) -> None:
    """Train a classifier of texts, measure it against linear models, and write a report.

    Without options: bidirectional LSTMs and n-grams on 21,000 tweets, negative or positive. Values
    come from the defaults, then a recipe, then a config file, then options.
    """
    commands.train(JOBS["sentiment"], SentimentConfig, SENTIMENT_RECIPES, **given)


@group.command(cls=commandline.TrainCommand, config=ForecastConfig, recipes=FORECAST_RECIPES)
def forecast(**given: Any) -> None:
    """Train a forecast of series, measure it against persistence and others, write a report.

    Without options: Google's daily closing price, 2004 to 2008, on which no network should be
    expected to beat persistence; --recipe seasonal shows a series where one does.
    """
    commands.train(JOBS["forecast"], ForecastConfig, FORECAST_RECIPES, **given)


@group.command(cls=commandline.TrainCommand, config=TranslateConfig, recipes=TRANSLATE_RECIPES)
def translate(**given: Any) -> None:
    """Train an encoder-decoder, measure it against the nearest known sentence, write a report.

    Without options: dates as they are written in Korean and English, into ISO form.
    """
    commands.train(JOBS["translate"], TranslateConfig, TRANSLATE_RECIPES, **given)


@group.command(cls=commandline.TrainCommand, config=MemoryConfig, recipes=MEMORY_RECIPES)
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option("--text", help="Show what each gate of RUN, a sentiment run, does as it reads this.")
def memory(run: Path | None, text: str | None, **given: Any) -> None:
    """Compare what cells remember; or look into the gates of a trained run.

    Without RUN: trains an RNN, an LSTM and a GRU on the adding task at growing lengths, and
    measures how far gradients reach. With RUN and --text: a picture of every gate, word by word.
    """
    if run is None and text is None:
        resolve_name(FAMILIES["memory"]).command(**given)
        return
    if run is None or text is None or any(given.values()):
        raise click.UsageError("give RUN and --text, and nothing else; or neither, to train")
    kind = _kind(run)
    if kind.verb != "sentiment":
        raise RunError(f"{run} was trained by `{kind.verb}`; give a run of `sentiment`")
    job: Any = kind.reopen(run, "cpu")
    job.load_best()
    from common.report import plots
    from labs.rnn.sentiment.predictions import gates

    for name, table, figure in gates(job, text):
        path = job.run.figures / f"gates-{name}.png"
        plots.save(figure, path)
        terminal.show_table(name, *table)
        click.echo(f"Picture: {path}")


@group.command("compare-encodings", cls=commandline.TrainCommand, config=CompareConfig, recipes={})
def compare_encodings(**given: Any) -> None:
    """Train on one-hot words, n-gram bags, learned and pretrained vectors; show them side by side.

    Takes the options of `sentiment`; pretrained vectors take part where --vectors names them.
    """
    resolve_name(FAMILIES["compare-encodings"]).command(**given)


@group.command("compare-cells", cls=commandline.TrainCommand, config=CompareConfig, recipes={})
def compare_cells(**given: Any) -> None:
    """Train an RNN, an LSTM and a GRU on the same texts; show them side by side.

    Takes the options of `sentiment`.
    """
    resolve_name(FAMILIES["compare-cells"]).command(**given)


@group.command()
@commands.RUN
@commands.SPLIT
@commands.DEVICE
def evaluate(run: Path, split: str, device: str | None) -> None:
    """Measure a run's best weights again."""
    commands.evaluate(_kind(run), run, split, device)


@group.command()
@commands.RUN
@click.argument("inputs", nargs=-1)
@FILE
@COLUMN
@BEAM
@commands.FORM
@commands.OUTPUT
@commands.DEVICE
def predict(
    run: Path,
    inputs: tuple[str, ...],
    file: Path | None,
    text_column: str,
    beam: int | None,
    form: str,
    output: Path | None,
    device: str | None,
) -> None:
    """Ask a run: what texts feel, how they translate, or how a series goes on.

    INPUTS are texts, for a forecast at most one table of the same columns as the run's own series
    (without one, it goes on with that). Texts may also come from --file or standard input.
    """
    kind = _kind(run)
    if beam is not None and kind.verb != "translate":
        raise click.UsageError(f"--beam goes with a run of translate, this is one of {kind.verb}")
    job: Any = kind.reopen(run, device)
    job.load_best()
    ask = resolve_name(f"labs.rnn.{kind.verb}.predictions:predict")
    if kind.verb == "forecast":
        tables = [*map(Path, inputs), *filter(None, [file])]
        if len(tables) > 1:
            raise click.UsageError("a forecast goes on with one table")
        records = ask(job, tables[0] if tables else None, terminal.note)
    else:
        from labs.rnn.inputs import read_texts

        texts = read_texts(inputs, file, text_column)
        records = ask(job, texts, terminal.note, *([] if beam is None else [beam]))
    commands.show_records(f"{job.config.title} of {run}", records, form, output)


@group.command()
@commands.RUN
@click.argument("text")
@click.option(
    "--method",
    type=click.Choice(["occlusion", "integrated-gradients"]),
    default="occlusion",
    show_default=True,
    help="How the words of a sentiment run are weighed.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The picture; in the run's figures when not given.",
)
@commands.DEVICE
def explain(run: Path, text: str, method: str, output: Path | None, device: str | None) -> None:
    """Draw which words moved an answer, or what a translation looked at."""
    kind = _kind(run)
    if kind.verb == "forecast":
        raise RunError(f"{run} is a forecast; its report shows what there is to explain")
    job: Any = kind.reopen(run, device)
    job.load_best()
    from common.report import plots

    explained = resolve_name(f"labs.rnn.{kind.verb}.predictions:explain")
    how = [method] if kind.verb == "sentiment" else []
    records, figure = explained(job, text, terminal.note, *how)
    path = output or job.run.figures / "explained.png"
    plots.save(figure, path)
    commands.show_records(f"{job.config.title} of {run}", records, "table", None)
    click.echo(f"Picture: {path}")


@group.command("report")
@commands.RUN
@commands.DEVICE
def report_command(run: Path, device: str | None) -> None:
    """Draw a finished run's report again."""
    from common.runs.folder import open_run

    job = open_run(run, "rnn").job
    if job in FAMILIES:
        resolve_name(FAMILIES[job]).report(run)
        return
    commands.report(_kind(run), run, device)


def _kind(run: Path) -> "type[Job[Any, Any]]":
    """Return the class of a run's job."""
    from common.runs.folder import open_run

    job = open_run(run, "rnn").job
    if job not in JOBS:
        raise RunError(
            f"{run} was trained by `{job}`, of which there is nothing to ask; its report says all: "
            f"{run}/report.html"
        )
    kind: type[Job[Any, Any]] = resolve_name(JOBS[job])
    return kind


if __name__ == "__main__":
    commandline.main(group, PROGRAM)
