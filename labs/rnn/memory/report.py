"""The report of a memory run: who learned what at which length, and how far gradients reach."""

from collections.abc import Mapping, Sequence
from typing import Any

from common.options.terminal import figure_text
from common.report.html import PictureSaver, Section, Table
from common.runs.folder import Run
from labs.rnn.memory import gradients, plots
from labs.rnn.memory.config import MemoryConfig
from labs.rnn.memory.plots import Curve, Reach, Threshold
from labs.rnn.memory.tasks import TASKS, MemoryTask

Members = Mapping[str, Mapping[str, Any]]  # as in metrics.json

# What became of a member, compared with the answer without memory.
LEARNED, BETTER, NO_BETTER = "learned", "better", "no better"
_VERDICT = {LEARNED: "learned", BETTER: "better, but not learned", NO_BETTER: "no better"}


def table(config: MemoryConfig, members: Members) -> tuple[list[str], list[list[str]]]:
    """Return the final errors of the members that are compared, with the task's other figures."""
    task = TASKS[config.task]
    name, label = task.main_metric.name, task.main_metric.label
    main = [member for member in members.values() if member["main"]]
    others = [figure for figure in main[0]["test"] if not figure.startswith(name)]
    rows = []
    for member in main:
        low, high = member["test"][f"{name}_interval"]
        row = [
            member["cell"],
            str(member["length"]),
            _short(member["test"][name]),
            f"{_short(low)} to {_short(high)}",
            _short(member["baselines"][task.baseline_name][name]),
            *(figure_text(member["test"][figure]) for figure in others),
            figure_text(member["learned_after"]),
            f"{member['seconds']['train']:.1f}",
            member["result"],
        ]
        rows.append(row)
    columns = [
        "",
        "T",
        f"test {label}",
        "95 % interval",
        task.baseline_name,
        *others,
        "updates to learn",
        "training, s",
        "",
    ]
    return columns, rows


def verdict(config: MemoryConfig, members: Members) -> str:
    """Say of each length which cells learned."""
    return " ".join(_verdict(TASKS[config.task](length), members) for length in config.steps)


def _verdict(task: MemoryTask, members: Members) -> str:
    found: dict[str, list[str]] = {LEARNED: [], BETTER: [], NO_BETTER: []}
    for member in members.values():
        if member["main"] and member["length"] == task.length:
            error = _short(member["test"][task.main_metric.name])
            found[member["result"]].append(f"{member['cell']} ({error})")
    said = [f"{_VERDICT[result]}: {', '.join(cells)}" for result, cells in found.items() if cells]
    return (
        f"At T = {task.length} the answer without memory ({task.baseline_name}) has an error of "
        f"{_short(task.baseline)}; {'; '.join(said)}."
    )


def show_result(
    config: MemoryConfig,
    members: Members,
    curves: Mapping[int, Sequence[Curve]],
    save_picture: PictureSaver,
) -> Section:
    """Show the errors of the members that are compared, by `curves` also over their training."""
    tasks = {length: TASKS[config.task](length) for length in config.steps}
    task = tasks[config.steps[0]]
    thresholds = {length: Threshold(each.baseline, each.goal) for length, each in tasks.items()}
    figure = plots.errors(curves, thresholds, task.main_metric.label, task.baseline_name)
    caption = "Validation error over training; the dashed line is the answer without memory."
    text = (
        f"{task.about} Every sequence was new, and all cells saw the same ones, "
        f"{config.epochs * config.updates:,} updates of {config.batch_size}. A task counts as "
        f"learned when the test error is below {task.goal / task.baseline:.0%} of what the answer "
        f"without memory, “{task.baseline_name}”, is expected to have. A cell is better than that "
        "answer when a paired bootstrap says so with 95 % confidence. The test sequences were used "
        "once, at the end, with the weights of the best validation."
    )
    return Section(
        "Result", text, Table(*table(config, members)), (save_picture("errors", caption, figure),)
    )


def show_reach(
    config: MemoryConfig, reaches: Sequence[Reach], save_picture: PictureSaver
) -> Section:
    """Show how far gradients reach."""
    caption = f"Norm of the gradient against distance, T = {config.reach}."
    rows = []
    for each in reaches:
        first, middle, last = (each.norms[place] for place in (0, len(each.norms) // 2, -1))
        row = [
            each.cell,
            "trained" if each.trained else "untrained",
            each.start + ("" if each.clipped else ", unclipped"),
            *(f"{norm:.1e}" for norm in (first, middle, last)),
            str(gradients.reach(each.norms)),
            each.result,
        ]
        rows.append(row)
    steps = len(reaches[0].norms) - 1
    columns = [
        "",
        "",
        "start",
        "at 0",
        f"at {(steps + 1) // 2}",
        f"at {steps}",
        "reach",
        "",
    ]
    text = (
        "How much does the error of the last step change with the state k steps before it? Drawn "
        "is the norm of that gradient, a mean over test sequences. Where it falls along a line, "
        "the gradient vanishes exponentially, and what was k steps ago is not learned. The reach "
        "is the largest distance at which a hundredth of the first norm is left. Clipping "
        "shortens the gradient of the weights and so what is learned from, not this one: it shows "
        "in what training made of the cell. The error of a cell that has learned is small, and so "
        "is all of its gradient: compare slopes, not heights."
    )
    picture = save_picture("reach", caption, plots.reaches(reaches))
    return Section("How far a gradient reaches", text, Table(columns, rows), (picture,))


def repeat(run: Run) -> Section:
    """Say how to repeat the run."""
    text = (
        "The same machine, versions and threads give the same weights, bit for bit. Each member "
        "is a run of its own in members/."
    )
    command = f"python -m labs.rnn memory --config {run.config}"
    return Section("Repeat this run", text, code=command)


def _short(value: float) -> str:
    """Write an error, which may be small."""
    return f"{value:.2g}" if abs(value) < 0.01 else f"{value:.4f}"
