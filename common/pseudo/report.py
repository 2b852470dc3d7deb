"""What is said of pseudo-labels: what they gain, which there are, how they shift the classes."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.report import plots
from common.report.html import PictureSaver, Section, Table
from common.report.plots import Bar
from common.runs.differences import judge

ALL = "all folds"
_SAID = {
    1: "Pseudo-labels help",
    0: "Pseudo-labels cannot be told apart from none",
    -1: "Pseudo-labels hurt",
}


def verdict(metric: MainMetric, metrics: Mapping[str, Any], samples: str) -> str:
    """Say whether pseudo-labels help, and how many there are.

    Args:
        metric: the main metric.
        metrics: what metrics.json holds.
        samples: what the data consists of, in plural.
    """
    found = metrics["pseudo"]
    gain = metric.text(found["gain"], "+")
    interval = metric.interval_text(found["gain_interval"], "+")
    pairs = _pair_folds(metric, metrics)
    better = sum(gain > 0 for *_, gain in pairs)
    said = (
        f"{_SAID[judge(found['gain_interval'])]}: out of fold, on {metrics['samples']:,} {samples} "
        f"that neither the networks nor their pseudo-labels have seen, {metrics['title']} has "
        f"{metric.label} {metric.text(metrics[metric.name])} with them and "
        f"{metric.text(found['before'][metric.name])} without: a gain of {gain} (95 % interval "
        f"{interval}); {better} of {len(pairs)} folds are better."
    )
    if (groups := metrics["groups"]) is not None:
        said += f" The interval draws whole groups, of {groups:,}."
    numbers = [sum(each["counts"]) for each in found["folds"].values()]
    said += (
        f" Of {found['samples']:,} unlabelled {samples} the networks label {_span(numbers)} with a "
        f"probability of {found['threshold']:g} or more."
    )
    copies = [each["copies"] for each in found["folds"].values()]
    if any(copies):
        said += (
            f" Copies of held-out {samples}, or nearly, are used in no fold that they would tell "
            f"of: {_span(copies)} of them a fold."
        )
    else:
        said += " None of them is a copy of a held-out one, or nearly."
    return said


def list_folds(metric: MainMetric, metrics: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return columns, and a row for each fold and for all together."""
    found, name = metrics["pseudo"], metric.name
    columns = [
        *("", f"{metric.label} without", "with pseudo-labels", "gain", "pseudo-labels"),
        *("copies left out", "epochs"),
    ]
    rows = []
    for (fold, kept), (theirs, ours, gained), epochs in zip(
        found["folds"].items(), _pair_folds(metric, metrics), found["epochs"], strict=True
    ):
        figures = [metric.text(theirs), metric.text(ours), metric.text(gained, "+")]
        counted = [f"{sum(kept['counts']):,}", f"{kept['copies']:,}"]
        rows.append([fold, *figures, *counted, f"{kept['epochs']} -> {epochs}"])
    gain = metric.text(found["gain"], "+")
    interval = metric.interval_text(found["gain_interval"], "+")
    figures = [metric.text(found["before"][name]), metric.text(metrics[name])]
    rows.append([ALL, *figures, f"{gain} ({interval})", "", "", ""])
    return columns, rows


def show_gain(
    metric: MainMetric, metrics: Mapping[str, Any], samples: str, save_picture: PictureSaver
) -> Section:
    """Show the gain, fold by fold and of all together."""
    found, name = metrics["pseudo"], metric.name
    low, high = found["gain_interval"]
    gains = [
        Bar(fold, gained)
        for fold, (*_, gained) in zip(found["folds"], _pair_folds(metric, metrics), strict=True)
    ]
    both = [
        Bar(words, each[name], tuple(each[f"{name}_interval"]))
        for words, each in (("with pseudo-labels", metrics), ("without", found["before"]))
    ]
    text = (
        f"{metrics['source']}. The network of each fold of the cross-validation labels the "
        f"{found['samples']:,} {samples} of {found['unlabelled']}; those of which it is sure "
        f"(probability {found['threshold']:g} or more) train a new network of that fold, with the "
        "same options and seeds. Both are judged on the fold, which neither has seen, nor the "
        f"pseudo-labels; {samples} that are copies of what a fold holds out for test or "
        "validation, or nearly, are left out of that fold. The gain is paired; its interval is a "
        "bootstrap over the answers, and does not count that other seeds would give other "
        "networks: a cross-validation with --repeats shows how much these differ."
    )
    pictures = (
        save_picture(
            "gain",
            f"What pseudo-labels gain in {metric.label}, of all folds together with its interval, "
            "and of each.",
            plots.bars([Bar(ALL, found["gain"], (low, high)), *gains], f"gain in {metric.label}"),
        ),
        save_picture(
            "both",
            f"{metric.label.capitalize()} out of fold with its interval.",
            plots.bars(both, f"{metric.label} out of fold"),
        ),
    )
    return Section("What pseudo-labels gain", text, Table(*list_folds(metric, metrics)), pictures)


def list_classes(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return columns, and a row for each class: its pseudo-labels, and how its share shifts."""
    folds = found["folds"]
    learned, given = (
        np.array([each[name] for each in folds.values()]) for name in ("learned", "counts")
    )
    theirs, ours = _share(learned), _share(given)
    columns = ["class", *folds, "share of labelled", "of pseudo-labels", "shift"]
    rows = []
    for place, name in enumerate(found["classes"]):
        counts = [f"{number:,}" for number in given[:, place].tolist()]
        shares = [f"{theirs[place]:.1%}", f"{ours[place]:.1%}"]
        rows.append([name, *counts, *shares, f"{100 * (ours - theirs)[place]:+.1f} points"])
    return columns, rows


def show_labels(metrics: Mapping[str, Any]) -> Section:
    """Show which pseudo-labels there are."""
    columns, rows = list_classes(found := metrics["pseudo"])
    shifts = sorted(rows, key=lambda row: abs(float(row[-1].split()[0])))
    none = [row[0] for row in rows if row[-2] == "0.0%"]
    text = (
        f"Labels of each class, given by the network of each fold. The class whose share shifts "
        f"the most is {shifts[-1][0]!r}: {shifts[-1][-3]} of the labelled samples that train, "
        f"{shifts[-1][-2]} of the pseudo-labels. A class of which networks are rarely sure gets "
        "rarer by them."
    )
    if none:
        text += f" No sample gets {', '.join(map(repr, none[:5]))}."
    return Section("Pseudo-labels", text, Table(columns, rows))


def _pair_folds(metric: MainMetric, metrics: Mapping[str, Any]) -> list[tuple[float, float, float]]:
    """Return of each fold its figure without, that with pseudo-labels, and what is gained."""
    sign = 1 if metric.larger_is_better else -1
    ours = itertools.chain(*metrics["of_folds"])
    theirs = itertools.chain(*metrics["pseudo"]["before"]["of_folds"])
    return [(old, new, sign * (new - old)) for old, new in zip(theirs, ours, strict=True)]


def _share(counts: Array) -> Array:
    """Return the share of each class, (C,), in counts (folds, C)."""
    total = counts.sum(0)
    return np.asarray(total / max(1, total.sum()))


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
