"""Runs side by side: what differs between them, and whether one is better, on the same test items.

Not to be mistaken for `common.runs.comparison`, which trains what it compares: here somebody names
runs that are there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from common.errors import InputError, RunError
from common.files import write_text
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.options import terminal
from common.options.config import TrainingConfig, flag, options_of
from common.report.html import Section, Table
from common.runs import differences, listing
from common.runs.folder import RECORDED, open_run
from common.runs.job import groups_of
from common.runs.lab import Lab, load_lab
from common.runs.listing import Listed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_OF_MACHINE = {each.name for each in options_of(TrainingConfig) if each.metadata["machine"]}
_MANY = 5  # differences of which one may be shown by chance


class Cause(NamedTuple):
    """The first thing in which a run differs from another, of those that explain a difference."""

    kind: str  # "job", "data", "config", "environment" or "seed"; "" where there is none
    text: str


@dataclass
class Judged:
    """Runs that were judged on the same test items."""

    metric: MainMetric
    groups: Array | None  # what each item belongs to, where the user named groups
    out_of_fold: bool  # whether the items are those of a cross-validation, not of a test split
    rows: dict[str, Array] = field(default_factory=dict)  # of each what its items add to the metric

    @property
    def label(self) -> str:
        """The metric for a person, and on what."""
        label = self.metric.label
        return f"{label} out of fold" if self.out_of_fold else f"test {label}"


@dataclass(frozen=True)
class SideBySide:
    """Some runs, by the names that tell them apart, and what came of judging them."""

    runs: Mapping[str, Listed]
    judged: Judged | None  # None where the first run cannot be judged
    refused: Mapping[str, str]  # the reason why a run is not judged, by its name
    variants: Mapping[str, Sequence[str]]
    """The runs that differ in their seeds alone, by what they have in common."""

    @property
    def first(self) -> str:
        """The name of the run with which the others are compared."""
        return next(iter(self.runs))

    def measured(self) -> dict[str, dict[str, Any]]:
        """Return the metric of each variant, and how much better it is than that of the first."""
        if self.judged is None:
            return {}
        metric, rows, groups = self.judged.metric, self.judged.rows, self.judged.groups
        of = {
            name: [rows[run] for run in mine]
            for name, mine in self.variants.items()
            if all(run in rows for run in mine)
        }
        reference = next(iter(of.values()))
        return {
            name: {
                **metric.measure_runs(mine, groups),
                **(metric.compare_runs(mine, reference, groups) if mine is not reference else {}),
            }
            for name, mine in of.items()
        }


def compare(paths: Sequence[Path], device: str | None = None) -> SideBySide:
    """Put runs side by side, and judge those that can be on the test items of the first.

    Args:
        paths: their folders.
        device: another device than the runs'.

    Raises:
        InputError: one of them is no run, or cannot be read.
    """
    if len({path.resolve() for path in paths}) < max(2, len(paths)):
        raise RunError("expected at least two runs, each named once")
    found = [listing.read(open_run(path)) for path in paths]
    names = shorten_names(paths)
    runs = dict(zip(names, found, strict=True))
    judged, refused = _judge(runs, device)
    return SideBySide(runs, judged, refused, _group(runs, judged))


def shorten_names(paths: Sequence[Path]) -> list[str]:
    """Return the last parts of the paths, as many as tell them apart."""
    parts = [path.resolve().parts for path in paths]
    for count in range(1, max(map(len, parts))):
        names = ["/".join(each[-count:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


# --- what differs -------------------------------------------------------------------------------


def differing(runs: Mapping[str, Listed]) -> dict[str, list[Any]]:
    """Return the options in which runs differ, with the value of each; None where it has none.

    That a run has no such option, being of another lab or version, is no difference.
    """
    names = dict.fromkeys(name for each in runs.values() for name in each.config)
    values = {name: [each.config.get(name) for each in runs.values()] for name in names}
    return {
        name: found
        for name, found in values.items()
        if len({repr(value) for value in found if value is not None}) > 1
    }


def find_cause(one: Listed, other: Listed) -> Cause:
    """Return the first thing in which a run differs from another: data, config, environment, seed.

    What comes first explains what follows: other data make other figures, whatever the rate is.
    """
    if (one.lab, one.job) != (other.lab, other.job):
        return Cause("job", f"{one.lab} {one.job} instead of {other.lab} {other.job}")
    changed = differing({"one": one, "other": other})
    of_data = _data_options(one) & changed.keys()
    kinds = {
        "data": [name for name in changed if name in of_data],
        "config": [name for name in changed if name not in {"seed", *of_data, *_OF_MACHINE}],
        "environment": [name for name in changed if name in _OF_MACHINE],
        "seed": [name for name in changed if name == "seed"],
    }
    said = {
        kind: [_instead(name, *changed[name]) for name in names] for kind, names in kinds.items()
    }
    cards = [_card(each) for each in (one, other)]
    if cards[0].get("fingerprint") == cards[1].get("fingerprint"):
        said["config"] = said.pop("data") + said["config"]
    else:
        said["data"] += [_instead("samples", *map(_counts, cards))]
    machines = [each.run.read("environment") for each in (one, other)]
    said["environment"] += [
        _instead(name, *(machine.get(name) for machine in machines))
        for name in RECORDED
        if machines[0].get(name) != machines[1].get(name)
    ]
    for kind in ("data", "config", "environment", "seed"):
        if said.get(kind):
            return Cause(kind, ", ".join(said[kind]))
    return Cause("", "")


def diverge(one: Listed, other: Listed) -> int | None:
    """Return the first epoch whose metrics differ between two runs; None where none does."""
    rows = zip(one.run.history, other.run.history, strict=False)
    for number, (row, another) in enumerate(rows, 1):
        names = {name for name in row if "/" in name} & another.keys()
        if any(row[name] != another[name] and row[name] == row[name] for name in names):
            return number
    return None


def describe_cause(name: str, first: str, one: Listed, other: Listed) -> str:
    """Say what a run differs in from the first, as far as it explains other figures."""
    kind, text = find_cause(one, other)
    epoch = diverge(one, other)
    since = "its epochs are the same" if epoch is None else f"epoch {epoch} is the first to differ"
    if not kind:
        same = "data, config, environment and seed are the same"
        return f"{name} is {first} once more: {same}, and {since}."
    what = {"job": "what it trains", "seed": "its seed alone"}.get(kind, f"its {kind}")
    more = f"; {since}" if kind == "environment" else ""
    return f"{name} differs from {first} in {what}: {text}{more}."


def _data_options(run: Listed) -> set[str]:
    """Return the names of the options that say what the data is."""
    try:
        lab = find_lab(run)
        kind = resolve_name({**lab.jobs, **lab.comparisons}[run.job].config)
    except (RunError, KeyError):  # a lab or a command of another version
        return set()
    return {each.name for each in options_of(kind) if each.metadata["group"] == "Data"} | {
        "split_seed"
    }


def find_lab(run: Listed) -> Lab:
    """Return the lab of a run."""
    try:
        return load_lab(run.lab)
    except (ImportError, AttributeError, ValueError) as error:
        raise RunError(f"{run.run.path} is a run of labs.{run.lab}, which is not here") from error


def _card(run: Listed) -> dict[str, Any]:
    there = (run.run.path / "data.json").is_file()
    return dict(run.run.read("data")) if there else {}


def _counts(card: Mapping[str, Any]) -> str:
    return " + ".join(f"{count:,}" for count in (card.get("counts") or {}).values()) or "unknown"


def _instead(name: str, one: Any, other: Any) -> str:
    a, b = (listing.as_typed(each) for each in (one, other))
    if a == b:
        return f"other {name} than those {b}" if name == "samples" else f"another {name}"
    return f"{name} {a} instead of {b}"


# --- which is better ----------------------------------------------------------------------------


class _Opened(NamedTuple):
    """A run that was trained, with what it was judged on."""

    job: Any  # with its best weights; of a cross-validation its first fold's, without
    split: Any  # None of a cross-validation
    targets: Array
    groups: Array | None  # what each item belongs to, where the user named groups
    data: dict[str, Any]  # the options that say what the data is
    fingerprint: tuple[str, ...]  # of the data, of each fold
    predictions: Array | None = None  # where they are kept

    def predict(self) -> Array:
        """Return what the run says of its items."""
        if self.predictions is not None:
            return self.predictions
        outputs = self.job.predict_splits({"test": self.split}, ["test"])["test"]
        return np.asarray(self.job.decide(outputs))


def _judge(runs: Mapping[str, Listed], device: str | None) -> tuple[Judged | None, dict[str, str]]:
    """Judge runs on the test items of the first; say of the others why they are not."""
    judged: Judged | None = None
    refused: dict[str, str] = {}
    first: _Opened | None = None
    for number, (name, run) in enumerate(runs.items(), 1):
        try:
            if number > 1 and first is None:
                raise RunError(f"{next(iter(runs))}, with which it is compared, is not judged")
            with terminal.busy(f"{number} of {len(runs)}: {name} on the test items"):
                opened = _open(run, device, first)
                first = first or opened
                _check_same_items(opened, first, next(iter(runs)))
                metric = first.job.main_metric
                rows = metric.statistics(opened.predict(), opened.targets)
        except InputError as error:
            refused[name] = str(error)
            continue
        judged = judged or Judged(metric, first.groups, out_of_fold=first.predictions is not None)
        judged.rows[name] = rows
    return judged, refused


def _open(run: Listed, device: str | None, first: _Opened | None) -> _Opened:
    """Open a run with its test split, which is the first one's where both have the same data."""
    if not run.finished:
        raise RunError(f"{run.run.path} is not finished")
    if "of_folds" in (run.metrics or {}):
        return _open_folds(run)
    job = find_lab(run).open_trained(run.run.path, device)
    data = {name: getattr(job.config, name) for name in _data_options(run)}
    same = first is not None and (data, job.card) == (first.data, first.job.card)
    if first is not None and first.split is not None and same:
        return first._replace(job=job)
    split = job.load_splits()["test"]
    return _Opened(
        job,
        split,
        job.targets(split),
        groups_of(split),
        data,
        (job.card.fingerprint,),
    )


def _open_folds(run: Listed) -> _Opened:
    """Open a cross-validation with the answers that it kept; of repetitions the first."""
    answers = resolve_name("common.experiments.out_of_fold:OutOfFold")
    whole = find_lab(run).comparisons[run.job].resolve().reopen(run.run.path)
    names = list(whole.plan(whole.config))
    paths = [
        run.run.path / "members" / name for name in names[: len(names) // whole.config.repeats]
    ]
    job = whole.member.reopen(paths[0], "cpu")
    kept = answers.join([answers.read(open_run(path)) for path in paths])
    return _Opened(
        job,
        None,
        kept.targets,
        kept.groups,
        {name: getattr(whole.config, name) for name in _data_options(run)},
        tuple(open_run(path).read("data")["fingerprint"] for path in paths),
        kept.decided,
    )


def _check_same_items(opened: _Opened, first: _Opened, name: str) -> None:
    """Refuse a run that was judged on other items than the first, or by another metric.

    Of equal fingerprints of the data, they are the same. Of others they are where all that the test
    split follows from is the same: that the data has not changed since, `load_splits` has seen to.

    Raises:
        RunError: it was.
    """
    mine, theirs = opened.job.main_metric.name, first.job.main_metric.name
    jobs = [(each.job.lab, each.job.verb) for each in (opened, first)]
    if jobs[0] != jobs[1] or mine != theirs:
        raise RunError(f"it is judged by {mine}, and {name} by {theirs}")
    if (opened.split is None) != (first.split is None):
        raise RunError(f"of it and {name} one is judged out of fold, the other on a test split")
    if opened.fingerprint == first.fingerprint:
        return
    other = sorted(
        each.name
        for each in options_of(type(opened.job.config))
        if each.name in opened.data and not each.metadata["same_items"]
        if opened.data[each.name] != first.data.get(each.name)
    )
    if other:
        raise RunError(
            f"its test items are others than those of {name}, since {_named(other)} differ"
            f"{'s' if len(other) == 1 else ''}"
        )
    if opened.split is None or not np.array_equal(opened.targets, first.targets):
        raise RunError(f"its test items are others than those of {name}")


def _named(options: Sequence[str]) -> str:
    return ", ".join(map(flag, options))


def _group(runs: Mapping[str, Listed], judged: Judged | None) -> dict[str, list[str]]:
    """Return the runs that differ in their seed alone, where all variants have the same seeds."""
    groups: dict[str, list[str]] = {}
    for name, run in runs.items():
        if judged is not None and name in judged.rows:
            config = {key: value for key, value in run.config.items() if key != "seed"}
            groups.setdefault(repr(sorted(config.items())), []).append(name)
    seeds = {
        tuple(sorted(runs[name].config["seed"] for name in names)) for names in groups.values()
    }
    if len(groups) < 2 or len(seeds) > 1 or len(set(*seeds)) < max(2, len(*seeds)):
        return {name: [name] for name in runs}
    variants = {
        f"{names[0]} ({len(names)} seeds)": sorted(names, key=lambda run: runs[run].config["seed"])
        for names in groups.values()
    }
    together = {name for names in groups.values() for name in names}
    return variants | {name: [name] for name in runs if name not in together}


# --- how it is said and shown -------------------------------------------------------------------


def describe(found: SideBySide, measured: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Say which runs are better or worse than the first, why they may be, and what was left out."""
    said: list[str] = []
    compared = differences.list_differences(measured)
    if found.judged is not None and compared:
        first, label = next(iter(measured)), found.judged.label
        said += differences.describe_differences(
            compared,
            f"Better than {first} by {label}",
            f"Cannot be told apart from {first} by {label}",
            f"Worse than {first} by {label}",
        )
        said.append(_describe_rule(found, len(compared)))
    said += [
        f"{name} is not judged with the others: {reason}." for name, reason in found.refused.items()
    ]
    of_first = found.runs[found.first]
    said += [
        describe_cause(name, found.first, run, of_first)
        for name, run in found.runs.items()
        if run is not of_first
    ]
    return said


def _describe_rule(found: SideBySide, number: int) -> str:
    seeds = any(len(mine) > 1 for mine in found.variants.values())
    groups = found.judged is not None and found.judged.groups is not None
    items = "whole groups of test items" if groups else "test items"
    over = f"seeds and {items}" if seeds else f"{items}, the same for all"
    said = f"Intervals of 95 % are paired bootstraps over {over}."
    if not seeds:
        said += (
            " They do not count that another seed may turn a difference round: train each with the "
            "same few seeds (--seed), and name all of these runs."
        )
    if number >= _MANY:
        said += f" Of {number} such differences some are shown by chance: one in 20."
    return said


def tabulate(found: SideBySide, measured: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a row for each run: its figures, and the difference from the first."""
    mains = {run.main_metric for run in found.runs.values() if run.main_metric is not None}
    differ = {mine[0]: measured.get(name, {}) for name, mine in found.variants.items()}
    rows = []
    for name, run in found.runs.items():
        main, before = run.main_metric, run.metrics or {}
        interval = run.interval
        about = {"": name, **({"metric": main or ""} if len(mains) > 1 else {})}
        figures = {
            "validation": run.values.get(f"validation/{main}"),
            "test": run.main_value,
            "95 % interval": terminal.interval_text(interval) if interval else "-",
            "difference (95 %)": differences.show_difference(differ.get(name, {})),
            "best epoch": before.get("best_epoch"),
            "epochs": run.epochs,
            "seconds": run.values["seconds"],
        }
        rows.append({**about, **figures})
    headers = {name: name for name in rows[0]}
    if len(mains) == 1:
        metric = next(iter(mains))
        folds = found.judged is not None and found.judged.out_of_fold
        headers["validation"] += f" {metric}"
        headers["test"] = f"{metric} out of fold" if folds else f"test {metric}"
    return Table.of(rows, headers)


def tabulate_options(found: SideBySide) -> Table:
    """Return a row for each option in which the runs differ."""
    rows = [
        [name, *("-" if value is None else str(listing.as_typed(value)) for value in values)]
        for name, values in differing(found.runs).items()
    ]
    return Table(["option", *found.runs], rows)


def tabulate_metrics(found: SideBySide) -> Table:
    """Return a row for each metric of the test split that any of the runs has."""
    of_test = {
        name: {key[5:]: value for key, value in run.values.items() if key.startswith("test/")}
        for name, run in found.runs.items()
    }
    names = dict.fromkeys(key for values in of_test.values() for key in values)
    rows = [
        [key, *(terminal.figure_text(values.get(key)) for values in of_test.values())]
        for key in names
    ]
    return Table(["test", *found.runs], rows)


def draw_curves(found: SideBySide) -> "Figure":
    """Draw the learning curves of the runs in one picture.

    Raises:
        RunError: no metric of the epochs is common to two of them.
    """
    from common.report import plots

    histories = {name: run.run.history for name, run in found.runs.items() if run.epochs}
    mains = [run.main_metric for run in found.runs.values() if run.main_metric is not None]
    for metric in [*mains, "loss"]:
        name = f"validation/{metric}"
        having = {run: rows for run, rows in histories.items() if all(name in row for row in rows)}
        if len(having) > 1:
            groups = {
                variant: [having[run] for run in mine if run in having]
                for variant, mine in found.variants.items()
            }
            drawn = {variant: rows for variant, rows in groups.items() if rows}
            return plots.histories(drawn, name, metric)
    raise RunError("the epochs of these runs have no metric in common that could be drawn")


def show(found: SideBySide, measured: Mapping[str, Mapping[str, Any]]) -> None:
    """Print all but the pictures."""
    terminal.show_table("Runs", *tabulate(found, measured))
    options = tabulate_options(found)
    if options.rows:
        terminal.show_table("Options that differ", *options)
    for sentence in describe(found, measured):
        terminal.say(sentence)


def write_html(path: Path, found: SideBySide, measured: Mapping[str, Mapping[str, Any]]) -> None:
    """Write all of it as a page."""
    from common.report import html, plots

    said = describe(found, measured)
    parts = [Section("Runs", "\n\n".join(said[1:]), tabulate(found, measured))]
    if measured and found.judged is not None:
        metric = found.judged.metric
        bars = differences.draw_bars(measured, metric.name, found.judged.label)
        caption = "In color the one with which the others are compared."
        parts.append(Section("Test", pictures=((caption, plots.png(bars)),)))
    options = tabulate_options(found)
    what = "" if options.rows else "None."
    parts.append(Section("Options that differ", what, options if options.rows else None))
    try:
        curves = (("A color for each run.", plots.png(draw_curves(found))),)
        parts.append(Section("Learning curves", pictures=curves))
    except RunError as error:
        parts.append(Section("Learning curves", f"Not drawn: {error}."))
    parts.append(Section("All metrics", table=tabulate_metrics(found)))
    title = "Runs side by side"
    write_text(path, html.render(title, ", ".join(found.runs), said[0] if said else "", parts))
