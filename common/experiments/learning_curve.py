"""A learning curve: the error on growing shares of the training data, and what more would buy.

Smaller shares are parts of larger ones, groups whole; validation and test stay the same. Each share
trains for as many updates as the whole, as far as 16 times its epochs go, so that a small share is
not only too short. The error of a run is measured on what it learned from and on the test split.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from common.errors import ConfigError
from common.experiments.plots import draw_learning_curve
from common.experiments.power_law import Forecast, PowerLaw, fit_power_law
from common.metrics.main_metric import MainMetric
from common.options.terminal import figure_text
from common.report.html import PictureSaver, Section, Table
from common.runs.comparison import Comparison, Jobs
from common.runs.job import Outputs, Splits

RULE = "the error of single runs around a power law"
_LONGER = 16  # times the epochs of the whole, that a small share may have
_HALF = 0.5
_MORE = (2, 4, 10)  # times the data that there is
_GAP = 0.5  # share of the test error that is not there in training: more than that is by heart


class Point(NamedTuple):
    """A run on a share of the data."""

    share: float
    size: int  # training samples
    train: float  # error on what it learned from
    test: float  # error on the test split


class LearningCurve(Comparison[Any]):
    """A model for each share of the training data, and each seed."""

    verb = "learning-curve"
    heading = "Learning curve"
    about = ""

    @classmethod
    def variants(cls, config: Any) -> dict[str, dict[str, Any]]:
        """Return the shares, the smallest first, each with its epochs."""
        found = {}
        for share in read_shares(config):
            epochs = math.ceil(config.epochs * min(_LONGER, 1 / share))
            longer = {} if config.total_updates is not None else {"epochs": epochs}
            found[f"{share:.3g}"] = {"share": share, **longer}
        return found

    @classmethod
    def to_check(cls, plan: Sequence[Any], config: Any) -> Sequence[Any]:
        """Return the smallest share, which may be too small, and the largest."""
        return [plan[0], plan[-1]]

    def keep(self, job: Any, splits: Splits, outputs: Mapping[str, Outputs]) -> None:
        """Keep the errors of a share: on what was learned from, and on test."""
        metric: MainMetric = job.main_metric
        said = {**job.predict_splits(splits, ["train"]), "test": outputs["test"]}
        errors = {
            name: _as_error(metric, metric.value(job.decide(each), job.targets(splits[name])))
            for name, each in said.items()
        }
        job.run.write("point", {"size": len(splits["train"]), **errors})

    # --- what is measured -------------------------------------------------------------------------

    def measure(self, jobs: Jobs) -> dict[str, Any]:
        """Return the error of each run, and what the curve says."""
        first = next(iter(jobs.values()))
        points = [Point(job.config.share, **job.run.read("point")) for job in jobs.values()]
        return {
            "rule": RULE,
            "source": first.config.describe_whole(first.card.source),
            "title": first.config.title,
            "label": _name_error(first.main_metric),
            "points": [point._asdict() for point in points],
            **describe_curve(points),
        }

    # --- what is shown ----------------------------------------------------------------------------

    def title(self, metrics: Mapping[str, Any]) -> str:
        """Return what the report is called."""
        return f"{self.heading}: {metrics['title']} on {metrics['source']}"

    def verdict(self, metrics: Mapping[str, Any]) -> str:
        """Say what the curve says of the model, and of more data."""
        label, whole = metrics["label"], metrics["whole"]
        said = [
            f"With all {whole['size']:,} training samples the {label} is "
            f"{figure_text(whole['test'])}, {figure_text(whole['train'])} on what it learned from.",
            _describe_gap(whole),
        ]
        if (law := metrics["law"]) is None:
            said.append(
                "No power law was fitted: that takes three shares or more, and errors above 0."
            )
            return " ".join(said)
        more = law["more"][0]
        said.append(
            f"Twice the data would bring it to {_show(more)}, if it goes on as it went "
            f"({_describe_fall(law['exponent'])})."
        )
        if (check := metrics["check"]) is not None:
            where = "inside" if check["inside"] else "outside"
            said.append(
                f"From half of the data it would have been foretold to be {_show(check)} with all: "
                f"what was measured lies {where}."
            )
        return " ".join(said)

    def table(self, metrics: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
        """Return a row for each share."""
        label = metrics["label"]
        rows = [
            [
                f"{each['share']:.3g}",
                f"{each['size']:,}",
                figure_text(each["train"]),
                figure_text(each["test"]),
                " to ".join(map(figure_text, each["range"])) if len(each["tests"]) > 1 else "",
            ]
            for each in metrics["shares"]
        ]
        columns = ["share", "samples", f"{label} in training", f"test {label}", "range of seeds"]
        return columns, rows

    def overview(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> Section:
        """Draw the curve, and show the shares in a table."""
        text = (
            f"{metrics['source']}. Smaller shares are parts of larger ones; each trains for as "
            f"many updates as the whole, but at most {_LONGER} times its epochs. The epoch was "
            "chosen on validation. The line is a power law through the runs, which may bend a "
            "little; the band holds 95 % of single runs, and beyond what was measured it supposes "
            "that the law goes on."
        )
        picture = save_picture(
            "learning_curve",
            f"{metrics['label']} of each run, by the training samples; both axes are "
            "logarithmic, so that an error of 0 has no place.",
            draw_learning_curve(metrics, fit_power_law(*_sizes_and_errors(_points(metrics)))),
        )
        return Section("Errors", text, Table(*self.table(metrics)), (picture,))

    def sections(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> list[Section]:
        """Say what more data would buy."""
        if metrics["law"] is None:
            return []
        now = metrics["whole"]["test"]
        rows = [
            [
                f"{each['times']} x",
                f"{each['size']:,}",
                _show(each),
                f"{1 - each['value'] / now:.0%} less" if each["value"] < now else "no less",
            ]
            for each in metrics["law"]["more"]
        ]
        columns = ["data", "samples", metrics["label"], "than now"]
        return [Section("What more data would buy", "", Table(columns, rows))]


def read_shares(config: Any) -> list[float]:
    """Return the shares of a config, the smallest first; the whole is always one.

    Raises:
        ConfigError: one is no number above 0, and at most 1.
    """
    try:
        shares = {1.0, *(float(text) for text in config.shares)}
    except ValueError as error:
        raise ConfigError(f"--shares {','.join(config.shares)}: {error}") from error
    if wrong := [share for share in shares if not 0 < share <= 1]:
        raise ConfigError(f"--shares {wrong[0]:g}: expected numbers above 0, at most 1")
    return sorted(shares)


def describe_curve(points: Sequence[Point]) -> dict[str, Any]:
    """Return what a curve says: of each share, of the whole, of more data, and of itself.

    Args:
        points: runs on shares; several of one share differ in their seeds.
    """
    shares = [_describe_share(points, share) for share in sorted({each.share for each in points})]
    law = fit_power_law(*_sizes_and_errors(points))
    return {
        "shares": shares,
        "whole": shares[-1],
        "law": None if law is None else _describe_law(law, shares[-1]["size"]),
        "check": check_forecast(points),
    }


def check_forecast(points: Sequence[Point]) -> dict[str, Any] | None:
    """Foretell the error at all of the data from at most half of it, and say whether it holds.

    Foretold is the mean of as many runs as there are with all of the data. None where half of the
    data has too few shares.
    """
    early = [point for point in points if point.share <= _HALF]
    whole = [point for point in points if point.share == 1]
    law = fit_power_law(*_sizes_and_errors(early))
    if law is None or not whole:
        return None
    foretold = law.foretell(whole[0].size, runs=len(whole))
    measured = fmean(point.test for point in whole)
    return {**foretold._asdict(), "inside": foretold.low <= measured <= foretold.high}


def _describe_share(points: Sequence[Point], share: float) -> dict[str, Any]:
    mine = [point for point in points if point.share == share]
    tests = [point.test for point in mine]
    return {
        "share": share,
        "size": mine[0].size,
        "train": fmean(point.train for point in mine),
        "test": fmean(tests),
        "tests": tests,
        "range": [min(tests), max(tests)],
    }


def _describe_law(law: PowerLaw, size: int) -> dict[str, Any]:
    more = [
        {"times": times, "size": times * size, **law.foretell(times * size)._asdict()}
        for times in _MORE
    ]
    return {
        "exponent": law.exponent,
        "exponent_interval": list(law.exponent_interval),
        "deviation": law.deviation,
        "more": more,
    }


def _describe_gap(whole: Mapping[str, Any]) -> str:
    """Say whether the model lacks data or strength."""
    train, test = whole["train"], whole["test"]
    if test - train > _GAP * test:
        return (
            "Most of the error is not there in training: the model learns its samples by heart "
            "(variance). More data helps, and so do augmentation, dropout, weight decay or a "
            "smaller model."
        )
    return (
        "Most of the error is there in training, too: the model is too weak, or trained too "
        "shortly, for what it has (bias). A larger model, a longer training or better features "
        "help more than data."
    )


def _describe_fall(exponent: float) -> str:
    if exponent < 0.005:
        return "more data no longer helps"
    return f"at this size the error falls as samples ^ -{exponent:.2f}"


def _points(metrics: Mapping[str, Any]) -> list[Point]:
    return [Point(**each) for each in metrics["points"]]


def _sizes_and_errors(points: Sequence[Point]) -> tuple[Any, Any]:
    return np.array([each.size for each in points]), np.array([each.test for each in points])


def _as_error(metric: MainMetric, value: float) -> float:
    """Return a metric as an error: a share that is right as the share that is not."""
    return 1 - value if metric.larger_is_better else value


def _name_error(metric: MainMetric) -> str:
    return f"error (1 - {metric.label})" if metric.larger_is_better else metric.label


def _show(forecast: Mapping[str, Any] | Forecast) -> str:
    value, low, high = (
        forecast if isinstance(forecast, Forecast) else (forecast[k] for k in Forecast._fields)
    )
    return f"{figure_text(value)} ({figure_text(low)} to {figure_text(high)})"
