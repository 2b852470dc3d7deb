"""What is said and shown of a search."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from common.experiments.search import space
from common.experiments.search.judge import Judge
from common.history import Row
from common.report.html import PictureSaver, Section, Table

if TYPE_CHECKING:
    from common.experiments.options import SearchOptions

LISTED = 10  # trials on the screen, or in a picture of curves
_NAMED = 12  # trials in a sentence

Metrics = Mapping[str, Any]


# --- in words ------------------------------------------------------------------------------------


def verdict(metrics: Metrics, metric: Judge, config: "SearchOptions") -> str:
    """Say which trials cannot be told apart, which is chosen, and what its figure is worth."""
    said = [_describe_best(metrics, metric, config), _describe_choice(metrics)]
    said += _describe_luck(metrics, metric, config)
    if metrics["test"] is not None:
        said.append(_describe_test(metrics["test"], metric))
    return " ".join(said)


def _describe_test(test: Metrics, metric: Judge) -> str:
    said = f"On the test split, looked at by it alone: {test['verdict']}"
    if "judged" in test:
        interval = metric.interval_text(test["judged_interval"])
        value = metric.text(_number(test["judged"]))
        said += f" Its test {metric.label} is {value} (95 % interval {interval})."
    return said


def _describe_best(metrics: Metrics, metric: Judge, config: "SearchOptions") -> str:
    trials, best, level = metrics["trials"], metrics["best"], metrics["level"]
    compared = [each for each in trials if each["state"] == "complete"]
    value = metric.text(trials[best]["value"])
    where = "on the validation split" if config.folds is None else f"out of {config.folds} folds"
    said = (
        f"Of {_count(trials)}, trial {best} has the best {metric.label}, {value} {where} "
        f"({metrics['samples']:,} samples)."
    )
    if len(compared) == 1:
        return f"{said} There is nothing to compare it with."
    if len(level) == len(compared):
        return f"{said} The {len(level)} complete trials cannot be told apart: any may be the best."
    if len(level) == 1:
        return f"{said} It is better than every other, by more than luck makes."
    others = [number for number in level if number != best]
    return (
        f"{said} {len(level)} trials cannot be told apart: it, and {_name(others)}. The other "
        f"{len(compared) - len(level)} complete ones are worse, by more than luck makes."
    )


def _count(trials: Sequence[Metrics]) -> str:
    states = Counter(each["state"] for each in trials)
    more = [f"{states[name]} {name}" for name in ("pruned", "failed") if states[name]]
    number = f"{len(trials)} trial{'s' if len(trials) > 1 else ''}"
    return f"{number} ({', '.join(more)})" if more else number


def _name(numbers: Sequence[int]) -> str:
    named = ", ".join(map(str, numbers[:_NAMED]))
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return f"trial{'s' if len(numbers) > 1 else ''} {named}{more}"


def _describe_choice(metrics: Metrics) -> str:
    chosen, level = metrics["trials"][metrics["chosen"]], metrics["level"]
    why = ", the cheapest of them" if len(level) > 1 else ""
    return (
        f"Chosen is trial {chosen['number']}{why}: {space.describe(chosen['parameters'])} "
        f"({chosen['multiply_adds']:.2g} multiply-adds of its forward passes, "
        f"{chosen['seconds']:.1f} s of training)."
    )


def _describe_luck(metrics: Metrics, metric: Judge, config: "SearchOptions") -> Iterator[str]:
    """Say how much is luck, and what the figure of the best is without having been chosen by it."""
    luck, trials = metrics["luck"], metrics["trials"]
    if luck is None:
        yield (
            "How much luck there is in training is not known (no configuration was trained twice): "
            "what is called worse may have had bad luck."
        )
    else:
        deviation = f"{luck['deviation']:.2g}"
        what = "its mean over the folds" if config.folds is not None else "a training"
        yield f"With other seeds, {what} would vary by {deviation} (standard deviation)."
    value, corrected = trials[metrics["best"]]["value"], metrics["corrected"]
    if corrected is not None and corrected == corrected and len(trials) > 1:
        interval = metric.interval_text(metrics["corrected_interval"])
        yield (
            f"The best of many looks better than it is: chosen on some samples and measured on the "
            f"others, it has {metric.text(corrected)} (95 % interval {interval}) in place of "
            f"{metric.text(value)}."
        )
    drops = [each["again"] - each["value"] for each in trials if each.get("again") is not None]
    if drops:
        yield (
            f"Trained with another seed, the best {len(drops)} come out "
            f"{metric.text(fmean(drops), '+')} on average."
        )


# --- tables and sections --------------------------------------------------------------------------


def table(metrics: Metrics, metric: Judge) -> tuple[list[str], list[list[str]]]:
    """Return a row for each trial: the complete ones first, the best at the top."""
    sign = -1 if metric.larger_is_better else 1
    order = ("complete", "pruned", "failed")

    def place(trial: Metrics) -> tuple[int, float, int]:
        value = trial["value"] if trial["value"] is not None else math.inf
        return order.index(trial["state"]), sign * value, trial["number"]

    names = list(metrics["trials"][0]["parameters"])
    behind = f"behind ({metric.label})"
    columns = ["trial", "", metric.label, "another seed", behind, *names, "epochs", "seconds"]
    rows = [
        [
            str(trial["number"]),
            _remark(trial, metrics),
            "-" if trial["state"] != "complete" else metric.text(trial["value"]),
            metric.text(trial["again"]) if trial.get("again") is not None else "",
            _show_behind(trial, metric),
            *(space.show(trial["parameters"][name]) for name in names),
            str(trial["epochs"]),
            f"{trial['seconds']:.1f}",
        ]
        for trial in sorted(metrics["trials"], key=place)
    ]
    return columns, rows


def _show_behind(trial: Metrics, metric: Judge) -> str:
    if "behind" not in trial:
        return ""
    return f"{metric.text(trial['behind'])} of {metric.text(_number(trial['margin']))}"


def _number(value: float | None) -> float:
    """Undo what JSON makes of NaN."""
    return math.nan if value is None else value


def _remark(trial: Metrics, metrics: Metrics) -> str:
    if trial["number"] == metrics["chosen"]:
        return "chosen"
    if trial["state"] == "complete":
        return "not told apart" if trial["number"] in metrics["level"] else "worse"
    return f"{trial['state']}: {trial['reason']}"


def sections(
    metrics: Metrics,
    metric: Judge,
    config: "SearchOptions",
    curves: Mapping[str, Sequence[Sequence[Row]]],
    save_picture: PictureSaver,
) -> Iterator[Section]:
    """Show the trials, what their options do, and the learning curves of the best.

    Args:
        metrics: what metrics.json holds.
        metric: by which trials are judged.
        config: of the search.
        curves: the histories of those that cannot be told apart.
        save_picture: saves a figure, and returns it for a section.
    """
    from common.experiments.search.plots import draw_parallel, draw_trials
    from common.report import plots

    trials, level, label = metrics["trials"], metrics["level"], metric.label
    where = (
        "the validation split, which also chose the epoch"
        if config.folds is None
        else "all samples, each answered by a model that had not seen it"
    )
    text = (
        f"{metrics['source']}. Each trial has a seed of its own and is judged on {where}. A trial "
        "counts as worse where it is further behind the best than luck brings any of so many: "
        "samples are drawn again and the luck of a training is added, and in 99 % of such draws no "
        "two trials lie as far apart (the second number under behind). Among those that are left, "
        "the cheapest is chosen, by multiply-adds, which repeat exactly as seconds do not."
    )
    picture = save_picture(
        "trials",
        f"{label} of each trial in the order of their numbers; in blue those that cannot be told "
        "apart from the best, the chosen one ringed; crosses are pruned trials where they stopped.",
        draw_trials(trials, level, metrics["chosen"], label, metric.larger_is_better),
    )
    yield Section("Trials", text, Table(*table(metrics, metric)), (picture,))
    complete = [each for each in trials if each["state"] == "complete"]
    pictures = []
    if len(complete) > 1:
        pictures.append(
            save_picture(
                "parallel",
                f"A line for each complete trial, from option to option to its {label}; the darker "
                "the better, in blue those that cannot be told apart from the best.",
                draw_parallel(complete, level, label, metric.larger_is_better, config.space),
            )
        )
    if metrics["importances"]:
        pictures.append(
            save_picture(
                "importance",
                "Share of the spread between complete trials that each option explains (fANOVA); "
                "where the trials cannot be told apart, what is explained is luck.",
                plots.bars(
                    [plots.Bar(name, share) for name, share in metrics["importances"].items()],
                    "share of the spread",
                ),
            )
        )
    if pictures:
        yield Section("What the options do", pictures=tuple(pictures))
    name = f"validation/{metric.name}"
    if all(name in row for histories in curves.values() for rows in histories for row in rows):
        caption = f"Validation {label} after each epoch, of those that cannot be told apart."
        drawn = plots.histories(curves, name, label)
        yield Section("Learning curves", pictures=(save_picture("curves", caption, drawn),))


def chosen(command: str, toml: str) -> Section:
    """Show what was chosen, and how to train it."""
    return Section("What was chosen", f"To train it by itself: {command}", code=toml)
