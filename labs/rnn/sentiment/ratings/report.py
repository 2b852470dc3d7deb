"""What the report says of ratings: how they are distributed, and where the network errs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from common.metrics import metrics
from common.metrics.metrics import Array
from common.metrics.named import NAMED
from common.report import plots
from common.report.html import PictureSaver, Section, Table
from common.runs.job import Outputs
from labs.rnn.sentiment import report
from labs.rnn.sentiment.data import Split
from labs.rnn.sentiment.ratings import plots as rating_plots
from labs.rnn.sentiment.ratings.levels import cuts_between, nearest_level

if TYPE_CHECKING:
    from labs.rnn.sentiment.ratings.job import Ratings

_WORST = 20
_LONGEST = 300  # characters of a text that the report shows


def rating_sections(
    job: "Ratings",
    outputs: Outputs,
    test: Split,
    figures: Mapping[str, Any],
    beside: Sequence[str],
    save_picture: PictureSaver,
) -> list[Section]:
    """Return what the report says of ratings; see `Conclusion.sections`.

    Args:
        job: the run.
        outputs: what the task collects of the test split.
        test: the split.
        figures: what metrics.json holds.
        beside: the names of the metrics beside the main one.
        save_picture: saves a figure, and returns it for a section.
    """
    truth, said = job.targets(test), job.decide(outputs)
    shares = outputs["levels"].numpy() if "levels" in outputs else None
    return [
        _other_metrics(job.config.title, figures, beside),
        _distribution(truth, said, job.card.levels, shares, save_picture),
        *_confusion(truth, said, job.card.levels, save_picture),
        *_calibration(truth, shares, job.scale.levels, save_picture),
        _worst(test.texts, truth, said),
        *report.of_data(job, figures),
    ]


def _other_metrics(title: str, figures: Mapping[str, Any], beside: Sequence[str]) -> Section:
    rows = [_row(title, figures["test"], beside)]
    rows += [_row(name, found, beside) for name, found in figures["baselines"].items()]
    columns = [part for name in beside for part in (NAMED[name].label, "network's lead")]
    text = (
        "The same test texts. The root of the mean squared error weighs large errors more; rank "
        "correlation (Spearman) asks for the order alone; quadratic kappa rounds both to the "
        "nearest level, and is 0 for what chance would do. Of a distribution the first two are of "
        "its mean. A lead is positive where the network is better."
    )
    return Section("Other metrics", text, Table(["", *columns], rows))


def _row(title: str, found: Mapping[str, Any], beside: Sequence[str]) -> list[str]:
    """Return a metric and the lead over it, for each, with their intervals where there are any."""
    cells = [title]
    for name in beside:
        metric = NAMED[name]
        for value, sign in ((name, ""), (f"{name}_lead", "+")):
            known, interval = found.get(value), found.get(f"{value}_interval")
            if known is None or interval is None or not metrics.is_known([known, *interval]):
                cells.append("-" if value == name else "")
            else:
                ends = metric.interval_text(interval, sign)
                cells.append(f"{metric.text(known, sign)} ({ends})")
    return cells


def _distribution(
    truth: Array,
    said: Array,
    levels: Sequence[float],
    shares: Array | None,
    save_picture: PictureSaver,
) -> Section:
    text = "How often each rating is true, and how often it is said."
    if shares is not None:
        text += (
            " The network says the median of a distribution; its mean probability of each level "
            "shows whether that is right on the whole."
        )
    figure = rating_plots.distribution(truth, said, levels, shares)
    spread = rating_plots.said_of_each(truth, said, levels)
    about = (
        "Boxes are quartiles of what is said, whiskers 5 to 95 %, the diamond the mean."
        if levels
        else "Each point is a text."
    )
    pictures = (
        save_picture("distribution", "Ratings of the test split.", figure),
        save_picture("said_of_each", f"What is said of texts of each rating. {about}", spread),
    )
    return Section("Ratings", text, pictures=pictures)


def _confusion(
    truth: Array, said: Array, levels: Sequence[float], save_picture: PictureSaver
) -> list[Section]:
    if not levels:
        return []
    places = [nearest_level(each, levels) for each in (said, truth)]
    matrix = metrics.confusion(places[0], places[1], len(levels))
    names = [f"{level:g}" for level in levels]
    errors = _error_of_levels(truth, said, levels)
    rows = [
        [name, f"{row.sum():,}", f"{value:.4f}" if row.sum() else "-"]
        for name, row, value in zip(names, matrix, errors, strict=True)
    ]
    caption = "Rows are true levels, columns what the network said, rounded, of the test split."
    picture = save_picture("confusion", caption, plots.confusion(matrix, names))
    table = Table(["level", "test texts", "mean absolute error"], rows)
    return [Section("Levels", "Which levels are taken for which.", table, (picture,))]


def _error_of_levels(truth: Array, said: Array, levels: Sequence[float]) -> list[float]:
    places, errors = nearest_level(truth, levels), np.abs(said - truth)
    counts = np.bincount(places, minlength=len(levels))
    found: list[float] = (np.bincount(places, errors, len(levels)) / np.maximum(1, counts)).tolist()
    return found


def _calibration(
    truth: Array, shares: Array | None, levels: Sequence[float], save_picture: PictureSaver
) -> list[Section]:
    if shares is None:
        return []
    above = 1 - shares.cumsum(1)[:, :-1]
    reached = truth[:, None] > cuts_between(levels)
    figure = rating_plots.calibration(above.clip(0, 1), reached, levels)
    text = "Are ratings above a level as often as the network says? On the diagonal they are."
    picture = save_picture("levels_calibration", "Of the test split, in tenths.", figure)
    return [Section("Calibration", text, pictures=(picture,))]


def _worst(texts: list[str], truth: Array, said: Array) -> Section:
    errors = np.abs(said - truth)
    order = np.argsort(-errors, kind="stable")[:_WORST]
    records = [
        {
            "text": texts[row][:_LONGEST],
            "rating": f"{truth[row]:g}",
            "network": f"{said[row]:.3g}",
            "error": f"{errors[row]:.3g}",
        }
        for row in order
    ]
    return Section(
        "Worst texts",
        "The largest errors of the test split; some ratings are wrong too.",
        Table.of(records),
    )
