"""The labs' commands as functions, for notebooks and scripts.

    from labs.notebook import classification

    run = classification.train(data="mnist5k", model="lenet5", epochs=3)
    run                                  # in a cell of its own: verdict, curves, pictures
    classification.evaluate(run, split="validation")

What a shell takes is one line here, with the same names: `--split-seed 3` is `split_seed=3`, and
`help(classification.train)` tells them. `labs` has the commands on runs of any lab. In a notebook,
figures are shown where a cell ends with one, and Korean in any plot is drawn.
"""

import click

from common.notebook import cell
from common.notebook.functions import Commands
from common.notebook.shown import ShownRun as open_run
from common.runs.lab import load_lab

__all__ = ["autoencoder", "classification", "detection", "labs", "open_run", "rnn"]


def _commands(name: str) -> Commands:
    return Commands(f"python -m labs.{name}", lambda: load_lab(name).group)


def _of_any() -> click.Group:
    from labs.__main__ import labs

    return labs


autoencoder, classification, detection, rnn = map(
    _commands, ("autoencoder", "classification", "detection", "rnn")
)
labs = Commands("python -m labs", _of_any)
cell.prepare()
