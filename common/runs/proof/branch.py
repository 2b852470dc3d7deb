"""What the report of a replayed run says of the run that it branched off from."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.report import plots
from common.report.html import PictureSaver, Section, Table

if TYPE_CHECKING:
    from common.runs.job import Job

NAME = "branch"  # the file of a run that says where it branched off


def sections(
    job: "Job[Any, Any]", figures: Mapping[str, Any], save_picture: PictureSaver
) -> Iterator[Section]:
    """Show a replayed run beside the one that it branched off from; of other runs nothing.

    Args:
        job: the run.
        figures: what its metrics.json holds.
        save_picture: saves a figure, and returns it for a section.
    """
    if not (job.run.path / f"{NAME}.json").is_file():
        return
    branch, metric = job.run.read(NAME), job.main_metric
    other = ", ".join(f"{name}={value}" for name, value in branch["with"].items()) or "nothing"
    names = name_both(job, branch)
    figure = f"validation/{metric.name}"
    drawn = dict(zip(names, (branch["history"], job.run.history), strict=True))
    picture = plots.branches(drawn, figure, metric.label, branch["epoch"])
    yield Section(
        "Replayed",
        f"Until epoch {branch['epoch']} this run is {branch['run']}, bit for bit; other in it from "
        f"there on: {other}.",
        Table(["", *names], rows(job, figures, branch)),
        (save_picture("branch", "Both runs; the line is where they part.", picture),),
    )


def name_both(job: "Job[Any, Any]", branch: Mapping[str, Any]) -> tuple[str, str]:
    """Return what the old run and the new one are called."""
    old, new = Path(branch["run"]), job.run.path
    return (str(old), str(new)) if old.name == new.name else (old.name, new.name)


def rows(
    job: "Job[Any, Any]", figures: Mapping[str, Any], branch: Mapping[str, Any]
) -> list[list[str]]:
    """Return what came of both runs: a name, the old run's, the new one's."""
    metric, metrics = job.main_metric, (branch["metrics"], figures)
    epochs = [str(len(rows)) for rows in (branch["history"], job.run.history)]
    best = [str(each["best_epoch"] or "-") for each in metrics]
    found = [["epochs", *epochs], ["best epoch", *best]]
    for split in ("validation", "test"):
        values = [(each.get(split) or {}).get(metric.name) for each in metrics]
        texts = ["-" if value is None else metric.text(value) for value in values]
        found.append([f"{split} {metric.label}", *texts])
    return found
