"""What the report says of several senses: what each adds, what was read, and rows of the test."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from common.images.sets import ImageSet
from common.metrics.main_metric import MainMetric
from common.report import plots
from common.report.html import PictureSaver, Section, Table
from common.report.plots import Bar
from common.runs.job import Outputs
from labs.classification.config import IMAGE
from labs.classification.plots import picture

if TYPE_CHECKING:
    from labs.classification.senses.job import ClassifySenses

_ROWS = 12  # of the test split that are shown
_CELL, _NAME = 20, 14  # letters of a cell there, and of a name below its image


def sections(
    job: "ClassifySenses",
    outputs: Outputs,
    test: ImageSet,
    figures: Mapping[str, Any],
    save_picture: PictureSaver,
) -> Iterator[Section]:
    """Return what each sense adds, what the columns are, and rows with their cells."""
    if len(figures["senses"]) > 1:
        yield _senses(job, figures, save_picture)
    yield Section(
        "What was read of the columns",
        "Means, deviations, categories and pieces of texts are those of the training split. A cell "
        "that is empty, a category that training had not, and a text without a known piece are "
        "missing: the network has a vector for that, which it learns.",
        _columns(job),
    )
    yield _examples(job, outputs, test, save_picture)


def _columns(job: "ClassifySenses") -> Table:
    """Return what each column is and, where there is any, why it is to be doubted."""
    rows = [[each.name, each.said, each.doubt] for each in job.columns]
    if not any(each.doubt for each in job.columns):
        return Table(["column", "what it is"], [row[:2] for row in rows])
    return Table(["column", "what it is", "to be doubted"], rows)


def senses_table(senses: Mapping[str, Mapping[str, Any]], metric: MainMetric) -> Table:
    """Return the metric without each sense, and what the sense adds."""
    name = metric.name
    rows = [
        [
            sense,
            metric.text(each[name]),
            metric.interval_text(each[f"{name}_interval"]),
            metric.text(each["adds"], "+"),
            metric.interval_text(each["adds_interval"], "+"),
        ]
        for sense, each in senses.items()
    ]
    columns = ["sense", f"{metric.label} without it", "95 % interval", "it adds", "95 % interval"]
    return Table(columns, rows)


def _senses(
    job: "ClassifySenses", figures: Mapping[str, Any], save_picture: PictureSaver
) -> Section:
    metric, senses, test = job.main_metric, figures["senses"], figures["test"]
    interval = f"{metric.name}_interval"
    entries = [
        Bar("all senses", test[metric.name], tuple(test[interval])),
        *(
            Bar(f"without {sense}", each[metric.name], tuple(each[interval]))
            for sense, each in senses.items()
        ),
    ]
    text = (
        "The same network answers the test split once more for each sense, which is then missing "
        "in all rows. What a sense adds is the difference, with the 95 % interval of a paired "
        "bootstrap: it adds nothing that shows where the interval holds 0. "
        f"{_dropout(job.config.sense_dropout)} Senses that say the same can each be missing "
        "without harm: compare-senses trains networks without each, and shows what is lost then."
    )
    caption = f"Test {metric.label}, with all senses and without each, with 95 % intervals."
    drawn = save_picture("senses", caption, plots.bars(entries, f"test {metric.label}"))
    added = [Bar(name, each["adds"], tuple(each["adds_interval"])) for name, each in senses.items()]
    differences = plots.bars(added, f"what it adds to the test {metric.label}", marked=-1)
    caption = "What each sense adds, positive where the network is better with it."
    pictures = (drawn, save_picture("senses_add", caption, differences))
    return Section("What each sense adds", text, senses_table(senses, metric), pictures)


def _dropout(share: float) -> str:
    if share:
        return (
            f"In training each sense of a sample was dropped with a probability of {share:g}, so "
            "the network has learned to answer without it."
        )
    return (
        "It was trained without --sense-dropout, so it has hardly learned to answer without a "
        "sense: what is missed then may be more than what the sense tells."
    )


def _examples(
    job: "ClassifySenses", outputs: Outputs, test: ImageSet, save_picture: PictureSaver
) -> Section:
    said, true = job.decide(outputs), job.targets(test)
    rows = np.linspace(0, len(test) - 1, min(_ROWS, len(test))).astype(int).tolist()
    answers = {row: _outcome(job, said[row], true[row]) for row in rows}
    table = Table(
        ["image", *test.cells, "true → said"],
        [
            [
                plots.short(test.names[row], _CELL),
                *(plots.short(cells[row], _CELL) or "(missing)" for cells in test.cells.values()),
                answers[row],
            ]
            for row in rows
        ],
    )
    images = np.stack([picture(test.images[row]) for row in rows])
    captions = [f"{plots.short(test.names[row], _NAME)}\n{answers[row]}" for row in rows]
    drawn = save_picture("rows", "Their images.", plots.image_grid(images, captions))
    unseen = [name for name in (IMAGE, *test.cells) if name not in job.senses]
    text = f" The network does not get: {', '.join(unseen)}." if unseen else ""
    return Section("Rows with their columns", f"Of the test split.{text}", table, (drawn,))


def _outcome(job: "ClassifySenses", said: Any, true: Any) -> str:
    """Return what is true of a row, and what the network says."""
    if job.config.numeric:
        return f"{true:g} → {said:.2f}"
    names = job.card.classes
    if job.config.several:
        both = ["|".join(np.array(names)[each]) or "nothing" for each in (true, said)]
    else:
        both = [names[true], names[said]]
    return " → ".join(plots.short(each, _CELL) for each in both)
