"""What is said of an ensemble: its members, what it gains over the best, and what that costs."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from common.ensembles.answers import OUT_OF_FOLD, read_together
from common.ensembles.combine import LEARNING
from common.ensembles.forms import MEDIAN, METHODS, STACKING
from common.ensembles.members import BOOSTING
from common.files import write_text
from common.metrics.metrics import Written, is_known
from common.options import terminal
from common.options.config import read_toml
from common.report import html, plots
from common.report.html import PictureSaver, Section, Table
from common.report.plots import Bar
from common.runs import sections
from common.runs.differences import judge
from common.runs.folder import Run

_FIGURE = Written()


def show(run: Run) -> None:
    """Print the members of a finished ensemble, and what came out."""
    found = run.read("metrics")
    terminal.show_table(_title(run, found), *_list_members(found))
    terminal.say(verdict(found))
    click.echo(f"Report: {run.report}")


def write(run: Run, found: Mapping[str, Any]) -> None:
    """Write the report of an ensemble from what is kept of it.

    Args:
        run: the ensemble's.
        found: what metrics.json holds.
    """
    save_picture = PictureSaver(run.figures)
    parts = [_members(found, save_picture), *_steps(found), *_chosen(found), *_agreement(found)]
    kept = read_together(run)
    if kept is not None and found["metric"].get("classes", True):
        shares, targets = kept
        names = run.read("data")["classes"]
        parts += sections.classes(names, shares.argmax(1), targets, save_picture)
        parts.append(sections.calibration(shares, targets, save_picture))
    parts += [Section("Repeat this run", code=_repeat(run)), *sections.settings(run)]
    title = _title(run, found)
    write_text(run.report, html.render(title, f"Run {run.path.name}", verdict(found), parts))


def verdict(found: Mapping[str, Any]) -> str:
    """Say what came out, and whether the ensemble is better than its best member."""
    name, label = found["metric"]["name"], found["metric"]["label"]
    members = found["members"]
    if found["judged_on"] is None:
        alone = found["each_alone"]
        return (
            f"{len(members)} folds answer together. What that gains cannot be measured on these "
            "data: each sample is one that most of them learned from. Out of fold, each by itself, "
            f"their {label} is {_FIGURE.text(alone[name])} "
            f"({_FIGURE.interval_text(alone[f'{name}_interval'])})."
        )
    own, judged = found[found["judged_on"]], _describe_split(found)
    [best] = [each for each in members if each["name"] == found["best"]]
    said = (
        f"{len(members)} members together have {_with_article(judged, label)} of "
        f"{_FIGURE.text(own[name])} (95 % interval {_FIGURE.interval_text(own[f'{name}_interval'])}"
        f"). Their best {_describe_choice(found)}, {best['name']}, has "
        f"{_FIGURE.text(best[name])}; the gain over it is {_gain(found)}, so "
        f"{_judgment(found['gain_interval'])}."
    )
    if found["method"] in LEARNING and found["nested"] is not None:
        said += f" {_describe_nested(found)}"
    if not _is_judged_nested(found):
        return f"{said} {_describe_cost(found, best)}"
    return said


def _describe_nested(found: Mapping[str, Any]) -> str:
    """Say what was gained where it was chosen, and on what had no say."""
    nested, seen = found["nested"], found["nested"]["seen"]
    where = "out of fold" if _is_judged_nested(found) else "on validation"
    return (
        f"Where it was chosen how they answer together, {where}, the gain seems to be "
        f"{_gain(seen)}; nested, chosen on some folds and judged on another, it is {_gain(nested)}."
    )


def _describe_cost(found: Mapping[str, Any], best: Mapping[str, Any]) -> str:
    every = sum(each["seconds_answer"] for each in found["members"] if each["weight"] > 0)
    times = every / max(best["seconds_answer"], 1e-9)
    return f"To answer takes {times:.1f} times as long as that member does."


def _members(found: Mapping[str, Any], save_picture: PictureSaver) -> Section:
    name, label = found["metric"]["name"], found["metric"]["label"]
    text = f"They answer together by {found.get('how') or METHODS[found['method']]}. "
    table = Table(*_list_members(found))
    if found["judged_on"] is None:
        return Section("Members", text, table)
    judged = found[found["judged_on"]]
    bars = [
        Bar(title, each[name], _ends(each[f"{name}_interval"]))
        for title, each in [("together", judged), *((m["name"], m) for m in found["members"])]
    ]
    text += (
        f"The figures are {_describe_split(found)} {label}, with 95 % intervals; the gain is that "
        "of all together over the member, on the same samples, with the interval of a paired "
        "bootstrap. Seconds are those of training, and of answering validation and test."
    )
    picture = save_picture(
        "members",
        f"{label.capitalize()} of all together, in color, and of each member.",
        plots.bars(bars, f"{_describe_split(found)} {label}"),
    )
    return Section("Members", text, table, (picture,))


def _list_members(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return columns, and a row for each member, and one for all together."""
    name, label = found["metric"]["name"], found["metric"]["label"]
    members = found["members"]
    if found["judged_on"] is None:
        return ["member", "weight"], [[m["name"], f"{m['weight']:.3f}"] for m in members]
    columns = ["member", "weight", f"validation {label}"]
    columns += [f"{_describe_split(found)} {label}", "95 % interval", "gain over it (95 %)"]
    columns += ["training, s", "answering, s"]
    rows = [
        [
            each["name"],
            "-" if found["method"] in (STACKING, MEDIAN) else f"{each['weight']:.3f}",
            _FIGURE.text(each[f"chosen_by_{name}"]),
            _FIGURE.text(each[name]),
            _FIGURE.interval_text(each[f"{name}_interval"]),
            _gain(each),
            f"{each['seconds_train']:.1f}",
            terminal.figure_text(each["seconds_answer"]),
        ]
        for each in members
    ]
    own = found[found["judged_on"]]
    ends = _FIGURE.interval_text(own[f"{name}_interval"])
    before = "" if _is_judged_nested(found) else _FIGURE.text(_find_chosen(found)[name])
    together = ["together", "", before, _FIGURE.text(own[name]), ends]
    rows.append([*together, "", f"{found['seconds']['train']:.1f}", ""])
    if not _is_judged_nested(found):
        return columns, rows
    left_out = (2, len(columns) - 1)  # there is neither a validation split nor a time
    return _without(columns, left_out), [_without(row, left_out) for row in rows]


def _without(cells: Sequence[str], places: Sequence[int]) -> list[str]:
    return [cell for place, cell in enumerate(cells) if place not in places]


def _find_chosen(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the figures on validation: nested, where it was chosen there."""
    nested = found["nested"] if found["method"] in LEARNING else None
    own: Mapping[str, Any] = nested or found["validation"]
    return own


def _steps(found: Mapping[str, Any]) -> list[Section]:
    """Show the metric of each step ahead, where there are steps."""
    judged = found[found["judged_on"]] if found["judged_on"] else {}
    if "steps" not in judged:
        return []
    columns = [("together", judged), *((each["name"], each) for each in found["members"])]
    rows = [
        [str(step), *map(_FIGURE.text, figures)]
        for step, figures in enumerate(zip(*(each["steps"] for _, each in columns), strict=True), 1)
    ]
    text = f"The {_describe_split(found)} {found['metric']['label']} of each step ahead."
    return [Section("Each step", text, Table(["step", *(name for name, _ in columns)], rows))]


def _chosen(found: Mapping[str, Any]) -> list[Section]:
    """Show what the gain seems to be where it was chosen, beside what it is."""
    if found.get("nested") is None or found["method"] not in LEARNING:
        return []
    name, nested = found["metric"]["name"], found["nested"]
    rows = [
        [
            title,
            _FIGURE.text(each[name]),
            _FIGURE.interval_text(each[f"{name}_interval"]),
            _gain(each),
        ]
        for title, each in (("nested", nested), ("where it was chosen", nested["seen"]))
    ]
    text = (
        "What is chosen on samples looks too good on them. Nested, weights and the member that is "
        "called the best are chosen on some folds, and judged on the one that had no say. "
        f"{_describe_nested(found)}"
    )
    columns = ["", found["metric"]["label"], "95 % interval", "gain over the best member (95 %)"]
    return [Section("Is the gain its own selection?", text, Table(columns, rows))]


def _agreement(found: Mapping[str, Any]) -> list[Section]:
    if not found.get("pairs"):
        return []
    names = [each["name"] for each in found["members"]]
    rows = [
        [
            f"{names[one]} and {names[other]}",
            "-" if equal is None else f"{equal:.4f}",
            terminal.figure_text(phi),
        ]
        for one, other, equal, phi in found["pairs"]
    ]
    text = (
        "Members help one another where they err on different samples: the fewer answers are "
        "equal, and the less errors correlate, at like figures, the more there is to gain."
    )
    columns = ["members", "equal answers", "correlation of errors"]
    return [Section("Agreement", text, Table(columns, rows))]


def _title(run: Run, found: Mapping[str, Any]) -> str:
    return f"Ensemble of {len(found['members'])} on {found['source']}"


def _repeat(run: Run) -> str:
    config, lab = read_toml(run.config), run.read("environment")["lab"]
    words = [f"python -m labs.{lab} ensemble", *config["runs"]]
    words += ["--boosting"] if config.get(BOOSTING, False) else []
    return " ".join([*words, "--method", config["method"], "--seed", str(config["seed"])])


def _is_judged_nested(found: Mapping[str, Any]) -> bool:
    return bool(found["judged_on"] == OUT_OF_FOLD)


def _describe_split(found: Mapping[str, Any]) -> str:
    return "out-of-fold" if _is_judged_nested(found) else "test"


def _describe_choice(found: Mapping[str, Any]) -> str:
    return "out of fold" if _is_judged_nested(found) else "by validation"


def _gain(each: Mapping[str, Any]) -> str:
    low, high = each["gain_interval"]
    known = is_known([low, high])
    return terminal.lead_text(each["gain"], [low, high] if known else [float("nan")] * 2)


def _judgment(interval: Sequence[float]) -> str:
    if not is_known(interval):
        return "whether it is better than its best member is not known"
    said = {
        1: "it is better than its best member",
        0: "it cannot be told apart from its best member",
        -1: "it is worse than its best member",
    }
    return said[judge(interval)]


def _ends(interval: Sequence[float]) -> tuple[float, float] | None:
    low, high = interval
    return (low, high) if is_known(interval) else None


def _with_article(split: str, label: str) -> str:
    return f"{'an' if split[0] in 'aeiou' else 'a'} {split} {label}"
