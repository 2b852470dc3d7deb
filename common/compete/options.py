"""The arguments and options of `compete`, beside those of what it trains."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

_PATH = click.Path(path_type=Path)

COMPETITION: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--answers",
        "form",
        type=click.Choice(["names", "numbers", "probabilities"]),
        help="What is written of classes; what SAMPLE has in its cells when not given.",
    ),
    click.option(
        "--answer-column",
        "answer_columns",
        metavar="NAME",
        multiple=True,
        help="Of SAMPLE, to be filled, may be given several times; all others when not given.",
    ),
    click.option("--id-column", metavar="NAME", help="Of SAMPLE; guessed when not given."),
    click.option(
        "--out",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The file to hand in; submission.csv in the run's folder when not given.",
    ),
    click.argument("files", metavar="TRAIN TEST SAMPLE", nargs=-1, type=_PATH),
)
