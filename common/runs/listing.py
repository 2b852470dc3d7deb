"""All runs below a folder: found, filtered, sorted and listed, with what somebody noted of them.

Only the files of a run are read, so listing needs no torch, and runs of other versions are listed,
too. A folder that looks like a run and cannot be read is named.
"""

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from common.errors import ConfigError, InputError, RunError
from common.files import write_text
from common.history import better_direction
from common.options import terminal
from common.options.config import read_toml
from common.report.html import Section, Table
from common.runs.folder import Run, open_run
from common.suggest import suggest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DEPTH = 3  # folders below the one that is listed in which runs are looked for
_FILES = ("environment.json", "history.jsonl", "metrics.json", "best.safetensors")  # of runs
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_CONDITION = re.compile(r"\s*([\w/-]+)\s*(>=|<=|!=|==|=|>|<)\s*(.*?)\s*")
_CORRELATED = 3  # fewest runs of which a rank correlation is given


@dataclass(frozen=True)
class Listed:
    """A run as its files tell it."""

    run: Run
    lab: str
    job: str  # the command that trained it
    began: str  # in ISO format
    config: Mapping[str, Any]
    metrics: Mapping[str, Any] | None  # None of a run that is not finished
    epochs: int  # that are done
    notes: Sequence[dict[str, Any]]

    @property
    def finished(self) -> bool:
        """Whether it has been measured."""
        return self.metrics is not None

    @cached_property
    def main_metric(self) -> str | None:
        """The name of the metric by which it is compared with baselines; None where none is."""
        metrics = self.metrics or {}
        baselines = dict(metrics.get("baselines") or {}).values()
        names = [name for each in baselines for name in _found(r"validation_(\w+)", each)]
        names += _found(r"(\w+)_interval", metrics.get("test") or {})
        names += _found(r"(\w+)_interval", self._judged_out_of_fold)
        return names[0] if names else None

    @property
    def _judged_out_of_fold(self) -> Mapping[str, Any]:
        """What is known out of fold, of cross-validations and what is made of them; else {}."""
        metrics = self.metrics or {}
        found: Mapping[str, Any] = (
            metrics if "of_folds" in metrics else metrics.get("out_of_fold", {})
        )
        return found

    @cached_property
    def _out_of_fold(self) -> dict[str, float]:
        """The metrics out of fold, by all answers together; of other runs {}."""
        found = self._judged_out_of_fold
        named = {each["name"]: each.get("value") for each in found.get("metrics") or ()}
        own = {name: found[name] for name in _found(r"(\w+)_interval", found)}
        return _numbers({**named, **own})

    @cached_property
    def interval(self) -> Sequence[float] | None:
        """The interval of its main metric."""
        metrics = self.metrics or {}
        of_test = self._judged_out_of_fold or metrics.get("test") or {}
        found: Sequence[float] | None = of_test.get(f"{self.main_metric}_interval")
        return found

    @cached_property
    def main_value(self) -> float | None:
        """The main metric on the test split."""
        return None if self.main_metric is None else self.values.get(f"test/{self.main_metric}")

    @cached_property
    def public(self) -> float | None:
        """The score that was noted last, such as that of a public leaderboard."""
        scores = [note["public"] for note in self.notes if note.get("public") is not None]
        return scores[-1] if scores else None

    @cached_property
    def values(self) -> dict[str, Any]:
        """Options and metrics by their names; those of the test split also without `test/`."""
        metrics = self.metrics or {}
        splits = {split: _numbers(metrics.get(split)) for split in ("validation", "test")}
        splits["test"] |= self._out_of_fold
        return {
            **splits["test"],
            **{
                f"{split}/{n}": value
                for split, found in splits.items()
                for n, value in found.items()
            },
            **self.config,
            "epochs_done": self.epochs,
            "seconds": _numbers(metrics.get("seconds")).get("train"),
            "public": self.public,
        }

    @property
    def state(self) -> str:
        """What has become of it."""
        if self.finished:
            return "finished"
        of = f" of {self.config['epochs']}" if "epochs" in self.config else ""
        if self.epochs and self.epochs == self.config.get("epochs"):
            return "trained, not measured"
        if self.epochs:
            return f"at epoch {self.epochs}{of}"
        members = list(self.run.path.glob("members/*/metrics.json"))
        return f"unfinished, {len(members)} of its runs done" if members else "unfinished"


class Found(NamedTuple):
    """What lies below a folder."""

    folder: Path
    runs: Sequence[Listed]
    broken: Sequence[tuple[Path, str]]  # with the reason


def read(run: Run) -> Listed:
    """Read what a run's files say of it.

    Raises:
        InputError: some of them are missing or damaged.
    """
    about = _read(run, "environment", dict)
    there = (run.path / "notes.json").is_file()
    return Listed(
        run,
        lab=str(about.get("lab")),
        job=run.job,
        began=str(about.get("began", "")),
        config=read_toml(run.config),
        metrics=_read(run, "metrics", dict) if run.finished else None,
        epochs=len(run.history),
        notes=_read(run, "notes", list) if there else [],
    )


def _read(run: Run, name: str, kind: type[Any]) -> Any:
    found = run.read(name)
    if not isinstance(found, kind):
        raise RunError(f"{name}.json is damaged: it holds no {kind.__name__}")
    return found


def find(folder: Path, *, members: bool = False) -> Found:
    """Find the runs below a folder, the oldest first.

    Args:
        folder: of all runs, of a lab's, or a run's own.
        members: whether the runs of which others are made are listed, too.

    Raises:
        RunError: there is no such folder.
    """
    if not folder.is_dir():
        raise RunError(
            f"{folder}: there is no such folder; name the one that was --run-dir in training"
        )
    runs, broken = [], []
    for path in _candidates(folder, _DEPTH, members):
        try:
            if not (path / "config.toml").is_file():
                raise RunError("no config.toml in it: stopped before it began")
            runs.append(read(Run(path)))
        except (InputError, AttributeError, KeyError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split()).removeprefix("--config ")
            broken.append((path, reason))
    return Found(folder, sorted(runs, key=lambda each: (each.began, each.run.path)), broken)


def _candidates(folder: Path, depth: int, members: bool) -> Iterator[Path]:
    """Yield the folders that are runs, or what is left of some."""
    if any((folder / name).is_file() for name in ("config.toml", *_FILES)):
        yield folder
        inner = folder / "members"
        if members and inner.is_dir():
            yield from _candidates(inner, 1, members)
    elif depth:
        for path in sorted(each for each in folder.iterdir() if each.is_dir()):
            if not path.name.startswith("."):
                yield from _candidates(path, depth - 1, members)


# --- which of them, and in which order ----------------------------------------------------------


def choose(
    runs: Sequence[Listed],
    *,
    lab: str | None = None,
    data: str | None = None,
    finished: bool | None = None,
    where: Sequence[str] = (),
) -> list[Listed]:
    """Return the runs that fit all that is asked.

    Args:
        runs: from all.
        lab: whose.
        data: a text that stands in what was given as --data.
        finished: those that are, or are not; both when None.
        where: conditions on options and metrics, such as `learning_rate>0.001`.

    Raises:
        ConfigError: a condition cannot be read, or no run has what it names.
    """
    conditions = [_parse(text, runs) for text in where]
    return [
        each
        for each in runs
        if (lab is None or each.lab == lab)
        and (data is None or data.casefold() in str(each.config.get("data", "")).casefold())
        and (finished is None or each.finished == finished)
        and all(fits(each) for fits in conditions)
    ]


def sort(runs: Sequence[Listed], name: str, *, reverse: bool = False) -> list[Listed]:
    """Return the runs by a metric, the best first, or by an option, the smallest first.

    Those without it stand at the end.

    Raises:
        ConfigError: no run has it.
    """
    _check_known("--sort", name, runs)
    having = [each for each in runs if each.values.get(name) is not None]
    having.sort(key=lambda each: _sort_key(each.values[name]))
    if _is_larger_better(name, having) != reverse:
        having.reverse()
    return having + [each for each in runs if each.values.get(name) is None]


def _is_larger_better(name: str, runs: Sequence[Listed]) -> bool:
    if name == "public" and runs:
        return better_direction(runs[0].main_metric or name) == "max"
    is_metric = not any(name in each.config for each in runs)
    times = name in ("seconds", "epochs_done")
    return is_metric and not times and better_direction(name) == "max"


def _sort_key(value: Any) -> tuple[bool, Any]:
    return (True, str(value)) if isinstance(value, str | list) else (False, value)


def _parse(text: str, runs: Sequence[Listed]) -> Callable[[Listed], bool]:
    """Return whether a run fits a condition."""
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"--where {text}: expected a name, one of > >= < <= = !=, and a value, in quotes, such "
            "as 'learning_rate>0.001'"
        )
    name, sign, value = match[1].replace("-", "_"), match[2].replace("==", "="), match[3]
    _check_known(f"--where {text}", name, runs)
    wanted, compare = _value(value), _OPERATORS[sign]
    if sign not in ("=", "!=") and not isinstance(wanted, float):
        raise ConfigError(f"--where {text}: {value!r} is no number, which {sign} needs")

    def fits(each: Listed) -> bool:
        found = each.values.get(name)
        found = _value(",".join(map(str, found)) if isinstance(found, list) else str(found))
        if isinstance(found, str) and isinstance(wanted, float):
            return sign == "!="
        return compare(found, wanted)

    return fits


def _value(text: str) -> float | str:
    """Return a number, or the text in small letters: on and off, too, and none."""
    try:
        number = float(text)
    except ValueError:
        plain = text.strip("'\"").casefold()
        return {"true": "on", "yes": "on", "false": "off", "no": "off"}.get(plain, plain)
    return str(number) if math.isnan(number) else number


def _check_known(what: str, name: str, runs: Sequence[Listed]) -> None:
    known = dict.fromkeys(name for each in runs for name in each.values)
    if runs and name not in known:
        metrics = ", ".join(each[5:] for each in known if each.startswith("test/"))
        near = suggest(name, known) or f"; there are the options of train, and {metrics}"
        raise ConfigError(f"{what}: no run has the option or metric {name}{near}")


def name_columns(by: str | None, where: Sequence[str]) -> list[str]:
    """Return the options and metrics that a list is about, beside those it always shows."""
    names = [by or "", *(match[1] for match in map(_CONDITION.fullmatch, where) if match)]
    names = [name.replace("-", "_") for name in names]
    return [name for name in dict.fromkeys(names) if name not in ("", "model", "data", "public")]


# --- notes --------------------------------------------------------------------------------------


def note(path: Path, text: str, public: float | None) -> list[dict[str, Any]]:
    """Add a note to a run, and return all of them.

    Args:
        path: its folder.
        text: what there is to say; may be empty where there is a score.
        public: a score that was measured elsewhere, such as on a public leaderboard.

    Raises:
        RunError: there is no such run, or nothing to note.
    """
    if public is None and not text:
        raise RunError("expected a text to note, or --public with a score")
    if public is not None and not math.isfinite(public):
        raise RunError(f"--public {public}: expected a finite number")
    run = open_run(path)
    notes = list(read(run).notes)
    entry = {"at": datetime.now(UTC).isoformat(timespec="seconds")}
    notes.append({**entry, **({} if public is None else {"public": public}), "text": text})
    run.write("notes", notes)
    return notes


# --- how they are shown -------------------------------------------------------------------------


def name_of(run: Listed, folder: Path) -> str:
    """Return the path of a run in the folder that is listed."""
    return str(run.run.path.relative_to(folder)) if run.run.path != folder else run.run.path.name


def table(found: Found, runs: Sequence[Listed], more: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return a row for each run, of what fits a screen.

    Args:
        found: what they are from.
        runs: those that are shown.
        more: options and metrics that get a column of their own.
    """
    rows, mains = [], {each.main_metric for each in runs}
    mains = mains if len(mains) == 1 else set()
    for each in runs:
        value = each.main_value
        shown = f"{each.main_metric} {terminal.figure_text(value)}" if value is not None else ""
        shown += " out of fold" if each.metrics and "of_folds" in each.metrics else ""
        rows.append(
            {
                "run": name_of(each, found.folder),
                "command": each.job,
                "data": Path(str(each.config.get("data", ""))).name,
                "model": str(each.config.get("model") or each.config.get("cell") or ""),
                "state": each.state,
                "test": shown,
                **{
                    name: terminal.figure_text(as_typed(each.values.get(name)))
                    for name in more
                    if name not in mains
                },
                "public": "" if each.public is None else f"{each.public:.6g}",
                "note": next((n["text"] for n in reversed(each.notes) if n.get("text")), ""),
                "began": each.began[:16].replace("T", " "),
            }
        )
    filled = [name for name in (rows[0] if rows else ()) if any(row[name] for row in rows)]
    return [{name: row[name] for name in filled} for row in rows]


def records(found: Found, runs: Sequence[Listed]) -> list[dict[str, Any]]:
    """Return all that is known of each run, for a file: the same columns for all."""
    rows = []
    for each in runs:
        values = each.values
        metrics = {name: value for name, value in values.items() if "/" in name}
        about = {
            "run": name_of(each, found.folder),
            "lab": each.lab,
            "command": each.job,
            "began": each.began,
            "finished": each.finished,
            "epochs_done": each.epochs,
            "seconds": values["seconds"],
            "metric": each.main_metric,
            "value": each.main_value,
            "public": each.public,
            "note": "; ".join(n["text"] for n in each.notes if n.get("text")) or None,
        }
        options = {f"config/{name}": as_typed(value) for name, value in each.config.items()}
        rows.append({**about, **metrics, **options})
    columns = dict.fromkeys(sorted({name for row in rows for name in row}, key=_column_order))
    first = [name for name in (rows[0] if rows else ()) if "/" not in name]
    return [{name: row.get(name) for name in dict.fromkeys([*first, *columns])} for row in rows]


def describe(found: Found, runs: Sequence[Listed]) -> str:
    """Say in a sentence how many there are."""
    done = sum(each.finished for each in runs)
    return f"{len(runs):,} of {len(found.runs):,} runs in {found.folder}; {done:,} are finished."


class Scores(NamedTuple):
    """Local and public scores of the runs that have both."""

    metric: str  # the local one
    names: Sequence[str]
    local: Sequence[float]
    public: Sequence[float]

    def describe(self) -> str:
        """Say how well the one tells the order of the other."""
        from scipy.stats import permutation_test, spearmanr

        number = len(self.names)
        apart = sum(b - a for a, b in zip(self.local, self.public, strict=True)) / number
        said = f"{number} {'run has' if number == 1 else 'runs have'} a local and a public score"
        side = "above" if apart > 0 else "below"
        said += f"; the public ones are {abs(apart):.4f} {side} the local ones on average"
        if number < _CORRELATED or min(map(len, map(set, (self.local, self.public)))) < 2:
            return f"{said}. That is too few to say whether their orders agree."

        def correlation(local: Sequence[float]) -> float:
            return float(spearmanr(local, self.public).statistic)

        tested = permutation_test(
            (self.local,), correlation, permutation_type="pairings", n_resamples=2000, rng=0
        )
        shown = "shown" if tested.pvalue < 0.05 else "not shown by so few"
        return (
            f"{said}. Rank correlation {tested.statistic:+.2f} over {number} runs: that the two "
            f"orders have to do with each other is {shown} (p = {tested.pvalue:.2g})."
        )

    def draw(self) -> "Figure":
        """Draw each run as a point with its name."""
        from common.report import plots

        return plots.named_points(
            self.names, self.local, self.public, f"local: test {self.metric}", "public score"
        )


def scores(runs: Sequence[Listed], metric: str | None = None) -> Scores:
    """Return the scores of the runs that have both.

    Args:
        runs: those that are shown.
        metric: the local one, if it is one of the test split; else the main metric of the runs.

    Raises:
        RunError: no run has both, or their main metrics differ.
    """
    noted = [each for each in runs if each.public is not None and each.finished]
    names = list(dict.fromkeys(each.main_metric for each in noted))
    if not noted:
        raise RunError(
            "no finished run has a public score; note one with: python -m labs runs note RUN "
            "--public SCORE"
        )
    of_test = any(f"test/{metric}" in each.values for each in noted)
    if not of_test and len(names) > 1:
        raise RunError(
            f"these runs have different main metrics ({', '.join(map(str, names))}); take one with "
            "--sort METRIC, or some of the runs with --lab"
        )
    metric = metric if metric and of_test else str(names[0])
    having = [each for each in noted if isinstance(each.values.get(metric), int | float)]
    if not having:
        raise RunError(f"none of the runs with a public score has {metric}")
    return Scores(
        metric,
        [each.run.path.name for each in having],
        [float(each.values[metric]) for each in having],
        [float(each.public or 0) for each in having],
    )


def write_html(
    path: Path, found: Found, runs: Sequence[Listed], more: Sequence[str], by: str | None
) -> None:
    """Write the list as a page of its own.

    Args:
        path: the file.
        found: what they are from.
        runs: those that are shown.
        more: see `table`.
        by: the metric of the local scores, see `scores`.
    """
    from common.report import html

    parts = [Section("Runs", table=Table.of(table(found, runs, more), text=str))]
    if any(each.public is not None for each in runs):
        parts.append(_scores_section(runs, by))
    if noted := [each for each in runs if each.notes]:
        rows = [
            [name_of(each, found.folder), n["at"][:16].replace("T", " "), _score(n), n["text"]]
            for each in noted
            for n in each.notes
        ]
        parts.append(Section("Notes", table=Table(["run", "at", "public", "note"], rows)))
    if found.broken:
        rows = [[str(path), reason] for path, reason in found.broken]
        parts.append(Section("Left out", table=Table(["folder", "reason"], rows)))
    write_text(path, html.render("Runs", str(found.folder), describe(found, runs), parts))


def _scores_section(runs: Sequence[Listed], by: str | None) -> Section:
    from common.report import plots

    title = "Local and public scores"
    try:
        found = scores(runs, by)
    except RunError as error:
        return Section(title, f"Not drawn: {error}.")
    return Section(
        title, found.describe(), pictures=(("Each point is a run.", plots.png(found.draw())),)
    )


def _score(noted: Mapping[str, Any]) -> str:
    return f"{noted['public']:.6g}" if noted.get("public") is not None else ""


def _found(pattern: str, names: Mapping[str, Any]) -> list[str]:
    return [match[1] for match in (re.fullmatch(pattern, name) for name in names) if match]


def _numbers(found: Any) -> dict[str, Any]:
    """Return the numbers among named values, {} where these are none."""
    named = found if isinstance(found, Mapping) else {}
    return {
        name: value
        for name, value in named.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def as_typed(value: Any) -> Any:
    """Return a value of a config as it is typed."""
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    return ("on" if value else "off") if isinstance(value, bool) else value


def _column_order(name: str) -> tuple[int, str]:
    return ("test", "validation", "config").index(name.split("/")[0]) if "/" in name else -1, name
