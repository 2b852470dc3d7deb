"""`python -m labs.rnn`: sentiment, forecast, translate, memory; and what to ask of a run."""

import functools
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import click

from common.compete.options import COMPETITION
from common.errors import ConfigError, RunError
from common.options import commandline, terminal
from common.options.config import FORM, flag
from common.pseudo.options import ONLY as PSEUDO_OPTIONS
from common.runs import commands
from common.runs.lab import Lab, Verb, experiments

FILE = click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Texts from a table's column, or from the lines of any other text file.",
)
READING = (  # what says how the inputs of `predict` are written
    *(*FORM, "text_column", "source_column", "date_column", "date_order", "series_column"),
    *("value_columns", "decimal", "spacing"),
)
BEAM = click.option(
    "--beam",
    type=click.IntRange(min=1),
    help="Translations kept in search; the run's own number when not given.",
)

_ASK = {  # what answers for a run, by the command that trained it
    "sentiment": "labs.rnn.sentiment.predictions:predict",
    "forecast": "labs.rnn.forecast.ahead:predict",
    "translate": "labs.rnn.said:translate_texts",
}

_SENTIMENT = Verb(
    "labs.rnn.sentiment.job:Sentiment",
    "labs.rnn.sentiment.config:SentimentConfig",
    """Train a classifier of texts, compare it with linear models, and write a report.

    Without options: bidirectional LSTMs and n-grams on 21,000 tweets, negative or positive.
    Values come from the defaults, then a recipe, then a config file, then options.
    """,
    "labs.rnn.sentiment.config:RECIPES",
    submits=True,
)
_FORECAST = Verb(
    "labs.rnn.forecast.job:Forecast",
    "labs.rnn.forecast.config:ForecastConfig",
    """Train a forecast of series, compare it with persistence and others, write a report.

    Without options: Google's daily closing price, 2004 to 2008, on which no network should
    be expected to beat persistence; --recipe seasonal shows a series where one does.
    """,
    "labs.rnn.forecast.config:RECIPES",
    submits=True,
)

lab = Lab(
    "rnn",
    """Read and write sequences with recurrent networks: texts, series, translations.

    Begin with `sentiment`, `forecast`, `translate` or `memory`, which train, as the two commands
    that compare do; every other command takes the folder of a run.
    """,
    jobs={
        "sentiment": _SENTIMENT,
        "forecast": _FORECAST,
        "translate": Verb(
            "labs.rnn.translate.job:Translate",
            "labs.rnn.translate.config:TranslateConfig",
            """Train an encoder-decoder, compare it with the nearest known sentence, write a report.

            Without options: dates as they are written in Korean and English, into ISO form.
            """,
            "labs.rnn.translate.config:RECIPES",
        ),
    },
    comparisons={
        "leaks-sentiment": Verb(
            "labs.rnn.experiments.leaks:LeaksOfTexts",
            "labs.rnn.experiments.config:LeaksSentimentConfig",
            """Guess which texts belong together, and prove whether random folds leak.

            The same model is trained under random folds and under folds that keep groups whole.
            Takes the options of `sentiment`; DATA is its --data.
            """,
            "labs.rnn.sentiment.config:RECIPES",
            options=(commands.DATA_SET,),
        ),
        **experiments(
            "sentiment",
            _SENTIMENT,
            """Cut the texts into folds; train a classifier for each, and judge it on its own.

            Takes the options of `sentiment`. A --group-column keeps groups in one fold.
            """,
            of="Texts",
            samples="texts",
        ),
        **experiments(
            "forecast",
            _FORECAST,
            """Let the origin roll: a forecast for each block of the later half of the dates.

            Takes the options of `forecast`. Each has learned from the dates before its block alone.
            """,
            of="Series",
            samples="dates",
        ),
        "compete": Verb(
            "labs.rnn.experiments.compete:CompeteWithTexts",
            "labs.rnn.experiments.config:CrossvalSentimentConfig",
            """Go the whole way from TRAIN to a submission, in --time (30m when not given).

            Explores the texts, finds out what belongs together, cross-validates a ladder of models,
            the cheapest first, lets them answer together, and writes the answers for TEST as SAMPLE
            is written. Takes the options of `crossval-sentiment`.
            """,
            "labs.rnn.sentiment.config:RECIPES",
            options=COMPETITION,
        ),
        "memory": Verb(
            "labs.rnn.memory.job:Memory",
            "labs.rnn.memory.config:MemoryConfig",
            recipes="labs.rnn.memory.config:RECIPES",
        ),
        "compare-encodings": Verb(
            "labs.rnn.sentiment.compare:Encodings",
            "labs.rnn.sentiment.config:CompareConfig",
            """Train on one-hot words, n-gram bags, learned and pretrained vectors; compare them.

            Takes the options of `sentiment`; pretrained vectors take part where --vectors names
            them.
            """,
        ),
        "compare-patch": Verb(
            "labs.rnn.experiments.suspects:PatchedTexts",
            "labs.rnn.experiments.config:ComparePatchConfig",
            """Train with a --patch, with a placebo of it, and without; show whether it helps.

            The placebo changes as many training samples in the same way, at random. RUN is a
            finished cross-validation whose options are taken; those that are given go over them.
            """,
            options=(commands.OPTIONS_OF,),
        ),
        "pseudo-label": Verb(
            "labs.rnn.experiments.pseudo:PseudoTexts",
            "labs.rnn.experiments.config:PseudoLabelConfig",
            """Let a cross-validation label more texts, learn from them, and say what that gains.

            CROSSVAL is a finished crossval-sentiment, whose options hold where none are given, not
            the defaults below. UNLABELLED is a table of texts, or a file with one in each line.
            Each fold's own network labels them; those of which it is sure join the training texts
            of its fold, and a new network is judged on the fold.
            """,
            options=(commands.UNLABELLED, commands.CROSSVAL),
            only=PSEUDO_OPTIONS,
        ),
        "compare-cells": Verb(
            "labs.rnn.sentiment.compare:Cells",
            "labs.rnn.sentiment.config:CompareConfig",
            """Train an RNN, an LSTM and a GRU on the same texts; show them side by side.

            Takes the options of `sentiment`.
            """,
        ),
    },
    suspects="labs.rnn.experiments.suspects:SuspectTexts",
    maps=True,
    ensembles={
        "sentiment": "labs.rnn.experiments.ensemble:TextsTogether",
        "forecast": "labs.rnn.experiments.ensemble:SeriesTogether",
    },
)


@lab.command("memory")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option("--text", help="Show what each gate of RUN, a sentiment run, does as it reads this.")
def memory(run: Path | None, text: str | None, **given: Any) -> None:
    """Compare what cells remember; or look into the gates of a trained run.

    Without RUN: trains an RNN, an LSTM and a GRU on the adding task at growing lengths, and
    measures how far gradients reach. With RUN and --text: a picture of every gate, word by word.
    """
    if run is None and text is None:
        lab.train("memory", **given)
        return
    if run is None or text is None or any(given.values()):
        raise click.UsageError("give RUN and --text, and nothing else; or neither, to train")
    kind = lab.kind_of(run)
    if kind.verb != "sentiment":
        raise RunError(f"{run} was trained by `{kind.verb}`; give a run of `sentiment`")
    job: Any = kind.open_trained(run, "cpu")
    from labs.rnn.sentiment.predictions import gates

    for name, table, figure in gates(job, text):
        terminal.show_table(name, *table)
        commands.show_drawing(figure, job.run.figures / f"gates-{name}.png")


@lab.group.command(
    cls=commandline.FileCommand,
    configs=[row.config for row in lab.jobs.values()],
    only=READING,
)
@commands.RUN
@click.argument("inputs", nargs=-1)
@FILE
@BEAM
@commands.ONNX
@commands.FORM
@commands.OUTPUT
@commands.DEVICE
def predict(
    run: Path,
    inputs: tuple[str, ...],
    file: Path | None,
    beam: int | None,
    onnx: bool,
    form: str,
    output: Path | None,
    device: str | None,
    options: dict[str, Any],
) -> None:
    """Ask a run: what texts feel, how they translate, or how a series goes on.

    INPUTS are texts, for a forecast at most one table of the same columns as the run's own series
    (without one, it goes on with that). Texts may also come from --file or standard input.
    """
    job, ask = _opened(run, device, onnx)
    if beam is not None and job.verb != "translate":
        raise click.UsageError(f"--beam goes with a run of translate, this is one of {job.verb}")
    if job.verb == "forecast":
        tables = [*map(Path, inputs), *filter(None, [file])]
        if len(tables) > 1:
            raise click.UsageError("a forecast goes on with one table")
        table = tables[0] if tables else None
        if table is None and options:
            raise ConfigError([f"{flag(name)}: goes with a table" for name in options])
        written = commands.read_written(job, table, options)
        records = ask(table, terminal.note, **written)
    else:
        from labs.rnn.inputs import read_texts

        column = "text_column" if job.verb == "sentiment" else "source_column"
        written_in = {"file_encoding"} if list(inputs) in ([], ["-"]) else set()
        if file is None and options.keys() - written_in:
            others = [name for name in options if name not in written_in]
            raise ConfigError([f"{flag(name)}: goes with --file" for name in others])
        if "text_column" in options:
            options[column] = options.pop("text_column")
        written = commands.read_written(job, file, options)
        config = job.config.of_file(file or Path("-"), **written)
        texts = read_texts(
            inputs, file, getattr(config, column), config.form, given=column in written
        )
        records = ask(texts, terminal.note, *([] if beam is None else [beam]))
    commands.show_records(_title(job), records, form, output)


def _opened(run: Path, device: str | None, onnx: bool) -> tuple[Any, Callable[..., Any]]:
    """Return a run with its weights, or a file in its place, and the function that asks it."""
    if onnx:
        commands.refuse_with_onnx(device=device)
        from labs.rnn.export.asked import open_file

        asked = open_file(run)
        return asked, asked.predict
    job = lab.open_trained(run, device)
    return job, functools.partial(resolve_name(_ASK[job.verb]), job)


@lab.group.command()
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
    kind = lab.kind_of(run)
    if kind.verb == "forecast":
        raise RunError(f"{run} is a forecast; its report shows what there is to explain")
    job: Any = kind.open_trained(run, device)
    explained = resolve_name(f"labs.rnn.{kind.verb}.predictions:explain")
    how = [method] if kind.verb == "sentiment" else []
    records, figure = explained(job, text, terminal.note, *how)
    commands.show_records(_title(job), records, "table", None)
    commands.show_drawing(figure, output or job.run.figures / "explained.png")


@lab.group.command(
    cls=commandline.ConfigCommand,
    config="labs.rnn.explore.config:ExploreConfig",
    only=(
        *("data_dir", "validation", "test", "text_column", "label_column", "group_column"),
        *("classes", *FORM, "limit", "split_seed", "tokenizer"),
        *("device", "threads", "date_column", "date_order", "series_column", "value_columns"),
        *("decimal", "spacing", "steps", "fill", "period", "horizon"),
    ),
)
@click.argument("data", metavar="DATA")
@click.option(
    "--as",
    "kind",
    type=click.Choice(["texts", "series"]),
    help="What DATA are; found out when not given.",
)
@commands.PAGE
def explore(
    data: str,
    kind: str | None,
    output: Path | None,
    options: dict[str, Any],
    problems: list[str],
) -> None:
    """Look at the texts or the series of DATA before anyone trains on them: one HTML report.

    Of texts: classes, lengths, words and which go with which class, copies, whether train and test
    differ. Of series: gaps, seasons, odd values. DATA is what --data takes, and need not be fit to
    be trained on.
    """
    from labs.rnn.explore.config import ExploreConfig, command

    config = commands.of_data(ExploreConfig, data, options, problems, "a set or a table")
    command(config, kind, output)


def _title(job: Any) -> str:
    """Say which networks answer, and of which run."""
    networks = ", ".join(dict.fromkeys(each.config.title for each in job.networks))
    return f"{networks} of {job.run.path}"


if __name__ == "__main__":
    lab.main()
