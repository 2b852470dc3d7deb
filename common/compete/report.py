"""What is said of a competition's run: one page that tells the story, and the end of it."""

from collections.abc import Mapping
from typing import Any

import click

from common.files import write_text
from common.metrics.metrics import Written
from common.options import terminal
from common.options.times import write_time
from common.report import html, plots
from common.report.html import PictureSaver, Section, Table
from common.report.plots import Bar
from common.runs import sections
from common.runs.folder import Run

_FIGURE = Written()
_TOGETHER = "together"


def show(run: Run) -> None:
    """Print the ladder of a finished run, and what came out."""
    found = run.read("metrics")
    terminal.show_table(found["source"], *_list_steps(found))
    terminal.say(verdict(found))
    click.echo(f"Submission: {found['submission']}")
    if found["refitted"]:
        click.echo(f"Trained on all rows: {found['refitted']}")
    click.echo(f"Report: {run.report}")


def write(run: Run, found: Mapping[str, Any]) -> None:
    """Write the report from what metrics.json holds."""
    save_picture = PictureSaver(run.figures)
    parts = [
        _tell_story(run, found),
        _draw_ladder(found, save_picture),
        *_list_left_out(found),
        Section("Go on", _describe_next(run, found)),
        *sections.settings(run),
    ]
    title = f"Competition: {found['source']}"
    write_text(run.report, html.render(title, f"Run {run.path.name}", verdict(found), parts))


def verdict(found: Mapping[str, Any]) -> str:
    """Say what is handed in, and which score it is likely to have."""
    name, label = found["metric"]["name"], found["metric"]["label"]
    own, (low, high) = found["out_of_fold"], found["board"]
    said = (
        f"{_describe_answer(found)}. Out of fold, {label} is {_FIGURE.text(own[name])} (95 % "
        f"interval {_FIGURE.interval_text(own[f'{name}_interval'])}). On test data like these, "
        f"of {found['rows']:,} rows, expect between {_FIGURE.text(low)} and {_FIGURE.text(high)}."
    )
    seconds = found["seconds"]
    said += f" It took {write_time(seconds['total'])} of {write_time(seconds['given'])}."
    if found["left_out"]:
        said += f" Left out: {', '.join(found['left_out'])}."
    return said


def _describe_answer(found: Mapping[str, Any]) -> str:
    taken = {name: weight for name, weight in found["weights"].items() if weight > 0}
    if not found["weights"]:
        name = found["final"].rpartition("/")[2]
        return f"The {found['folds']} networks of {name} answer by their mean"
    listed = ", ".join(f"{name} {weight:.2f}" for name, weight in taken.items())
    return f"A weighted mean answers ({listed})"


def _list_steps(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return columns, and a row for each rung, and one for what is handed in."""
    name, label = found["metric"]["name"], found["metric"]["label"]
    rows = [
        [
            each["name"],
            each["title"],
            _FIGURE.text(each[name]),
            _FIGURE.interval_text(each[f"{name}_interval"]),
            "all" if each["share"] == 1 else f"{each['share']:.0%}",
            write_time(each["seconds"]),
        ]
        for each in found["steps"]
    ]
    if found["weights"]:
        own = found["out_of_fold"]
        ends = _FIGURE.interval_text(own[f"{name}_interval"])
        rows.append([_TOGETHER, "", _FIGURE.text(own[name]), ends, "", ""])
    return ["", "model", f"{label} out of fold", "95 % interval", "updates", "time"], rows


def _tell_story(run: Run, found: Mapping[str, Any]) -> Section:
    groups = found["grouped_by"]
    kept = (
        f"what belongs together, by {groups}, stays in one fold"
        if groups
        else "nothing told of samples that belong together, so each may stand in any fold"
    )
    text = (
        "The data were explored first: explore.html shows what they are, and what is odd about "
        f"them. They were cut into {found['folds']} folds; {kept}. Each model of a ladder, the "
        "cheapest first, was trained once for each fold without it, and answered for it: so every "
        "figure is of samples that the network had not seen. The networks of all folds answer the "
        f"test data by their mean.\n\n{_describe_answer(found)}."
    )
    if found["weights"]:
        text += (
            " How much each counts was chosen greedily. The figure of all together is nested: "
            "weights that were chosen on some folds are judged on another."
        )
    text += (
        " The figures to expect count, too, that test data are a draw of their own. Networks that "
        "answer by their mean are often a little better than each is alone, out of fold."
    )
    if found["refitted"]:
        text += (
            f"\n\nA second file, {found['refitted']}, has the answers of networks that learned "
            "from all rows, for as many epochs as were best. No row is left to measure them on. "
            "Where a competition takes two files, these are the two."
        )
    begun = [[name, write_time(at)] for name, at in found["began"].items()]
    return Section("What was done", text, Table(["step", "began after"], begun))


def _draw_ladder(found: Mapping[str, Any], save_picture: PictureSaver) -> Section:
    name, label = found["metric"]["name"], found["metric"]["label"]
    bars = [
        Bar(each["name"], each[name], tuple(each[f"{name}_interval"])) for each in found["steps"]
    ]
    if found["weights"]:
        own = found["out_of_fold"]
        bars.insert(0, Bar(_TOGETHER, own[name], tuple(own[f"{name}_interval"])))
    caption = (
        f"{label.capitalize()} out of fold of each model, with 95 % intervals"
        f"{'; what is handed in, first' if found['weights'] else ''}."
    )
    picture = save_picture("ladder", caption, plots.bars(bars, f"{label} out of fold"))
    return Section("The ladder", "", Table(*_list_steps(found)), (picture,))


def _list_left_out(found: Mapping[str, Any]) -> list[Section]:
    rows = [[name, why] for name, why in found["left_out"].items()]
    rows += [
        [each["name"], f"trained for {each['share']:.0%} of the updates that suit it"]
        for each in found["steps"]
        if each["share"] < 1
    ]
    if not rows:
        return []
    text = "What was left out for time has its turn with a longer --time."
    return [Section("Left out", text, Table(["step", "why"], rows))]


def _describe_next(run: Run, found: Mapping[str, Any]) -> str:
    return (
        f"Every step is a run with a report of its own, in {run.path}/steps. The run that answered "
        f"is {run.path}/{found['final']}; `submit` takes {run.path} in its place, too. Note what "
        f"the leaderboard says with `python -m labs runs note {run.path} --public SCORE`."
    )
