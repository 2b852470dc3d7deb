"""The sections that the report of every run has: result, learning curves, how to repeat it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from common.files import write_text
from common.metrics import metrics
from common.metrics.metrics import Array
from common.report import html, plots
from common.report.html import PictureSaver, Section, Table
from common.report.plots import Bar
from common.runs.doubts import CONSTANT
from common.runs.folder import Run

if TYPE_CHECKING:
    from common.runs.job import Job

_LISTED = 50  # skipped samples that the report names


def write_report(run: Run, title: str, verdict: str, parts: Sequence[Section]) -> None:
    """Write the report of a run.

    Args:
        run: the run.
        title: says what was done, with what.
        verdict: the result in a sentence or two.
        parts: what follows.
    """
    write_text(run.report, html.render(title, f"Run {run.path.name}", verdict, parts))


def result(
    job: "Job[Any, Any]",
    figures: Mapping[str, Any],
    table: Sequence[Sequence[str]],
    about_baselines: str,
    save_picture: PictureSaver,
) -> Section:
    """Compare the network with the baselines, in a table and a picture.

    Args:
        job: the run.
        figures: what metrics.json holds.
        table: rows of name, validation, test and interval, the network's first.
        about_baselines: how they were made.
        save_picture: saves a figure, and returns it for a section.
    """
    main_metric, test = job.main_metric, figures["test"]
    columns = [main_metric.label, "validation", "test", "95 % interval", "network's lead"]
    rows = [[*row, ""] for row in table]
    for row, values in zip(rows[1:], figures["baselines"].values(), strict=True):
        lead = main_metric.text(values["lead"], "+")
        row[-1] = f"{lead} ({main_metric.interval_text(values['lead_interval'], '+')})"
    entries = [
        _bar(name, values[main_metric.name], values[f"{main_metric.name}_interval"])
        for name, values in [(job.config.title, test), *figures["baselines"].items()]
        if name not in CONSTANT  # so far off that it would squeeze the axis
    ]
    best, looks = figures["best_epoch"], _describe_looks(job)
    return Section(
        "Result",
        f"Best epoch {best}, chosen on the validation split; {looks} "
        f"Trained for {figures['seconds']['train']:.1f} s. The lead is the "
        "difference on the same test samples, with a 95 % interval from a paired bootstrap. "
        f"{about_baselines}",
        Table(columns, rows),
        (
            save_picture(
                "result",
                f"Test {main_metric.label} with 95 % intervals.",
                plots.bars(entries, f"test {main_metric.label}"),
            ),
        ),
    )


def _describe_looks(job: "Job[Any, Any]") -> str:
    """Say how often the test split was looked at."""
    if not (before := job.run.lengthened):
        return "the test split was used once, at the end."
    name = job.main_metric.name
    looks = ", ".join(
        f"{job.main_metric.text(each['metrics']['test'][name])} after {each['epochs'][0]} epochs"
        for each in before
    )
    return (
        f"the run was made longer, so that the test split was looked at {len(before) + 1} times "
        f"({looks}, and now): whoever goes on because of it finds a figure that is too good."
    )


def _bar(name: str, value: float, interval: Sequence[float]) -> Bar:
    low, high = interval
    return Bar(name, value, (low, high) if metrics.is_known(interval) else None)


def learning(
    job: "Job[Any, Any]", figures: Mapping[str, Any], save_picture: PictureSaver
) -> Section:
    """Draw the epochs."""
    main_metric = job.main_metric
    curves = plots.learning_curves(
        job.run.history, figures["best_epoch"], main_metric.name, main_metric.label
    )
    text = (
        "Training loss is the mean over an epoch while the weights change, with whatever is "
        "switched on in training alone (augmentation, dropout, smoothed targets); validation loss "
        "is the plain one, after the epoch."
    )
    if smaller := [row for row in job.run.history if "micro_batch" in row]:
        text += (
            f" The memory was full: from epoch {smaller[0]['epoch']} on an update was added up "
            f"from parts of {smaller[-1]['micro_batch']} samples. That is the same update, but for "
            "what the samples of a part share, such as batch norm."
        )
    picture = save_picture("learning_curves", "Each epoch, the best one marked.", curves)
    return Section("Learning curves", text, pictures=(picture,))


def classes(
    names: Sequence[str], guesses: Array, targets: Array, save_picture: PictureSaver
) -> tuple[Section, Section]:
    """Show which classes are taken for which, and the figures of each.

    Args:
        names: of the C classes.
        guesses: (N,) class numbers of the test split.
        targets: (N,) class numbers.
        save_picture: saves a figure, and returns it for a section.
    """
    matrix = metrics.confusion(guesses, targets, len(names))
    caption = "Rows are true classes, columns what the network said, of the test split."
    picture = save_picture("confusion", caption, plots.confusion(matrix, names))
    table = Table.of(metrics.per_class(guesses, targets, names))
    return (
        Section("Confusion matrix", pictures=(picture,)),
        Section("Each class", table=table),
    )


def calibration(probabilities: Array, targets: Array, save_picture: PictureSaver) -> Section:
    """Show whether the network is right as often as it says.

    Args:
        probabilities: (N, C) probabilities of the test split.
        targets: (N,) class numbers.
        save_picture: saves a figure, and returns it for a section.
    """
    diagram = plots.reliability(metrics.reliability(probabilities, targets))
    error = metrics.calibration_error(probabilities, targets)
    text = (
        "Is the network right as often as it says? The expected calibration error is "
        f"{error:.4f}: the mean distance from the diagonal, weighed by the samples in a bin."
    )
    picture = save_picture("reliability", "Confidence and accuracy of the test split.", diagram)
    return Section("Calibration", text, pictures=(picture,))


def data(job: "Job[Any, Any]", text: str) -> Section:
    """Say what the data is, and what of it was left out.

    Args:
        job: the job.
        text: what its card says beside source and counts.
    """
    card = job.card
    sizes = ", ".join(f"{count:,} {name}" for name, count in card.counts.items())
    text = f"{card.source}. {sizes}. {text}"
    if card.skipped:
        text += f" {job.remark.capitalize()}: {len(card.skipped):,}; data.json lists all."
    rows = [list(pair) for pair in card.skipped[:_LISTED]]
    return Section("Data", text, Table([job.remark, "reason"], rows) if rows else None)


def images(job: "Job[Any, Any]") -> Section:
    """Say what the images are, with copies of training images among those of the test split."""
    card = job.card
    size = f"{card.image_size}x{card.image_size}"
    text = f"The images are {'color' if card.channels == 3 else 'grey'}, {size}."
    if card.copies is not None:
        text += f" {card.copies} test images are pixel for pixel also in the training split."
    return data(job, text)


def repeat(job: "Job[Any, Any]") -> Iterator[Section]:
    """Say how to repeat the run, with its config and environment."""
    command = f"python -m labs.{job.lab} {job.verb} --config {job.run.config}"
    text = "The same data, machine, versions and threads give the same weights, bit for bit"
    on_cpu = job.compute.device.type == "cpu"
    text += "." if on_cpu else ", where the GPU has deterministic kernels for all that was used."
    yield Section("Repeat this run", text, code=command)
    yield from settings(job.run)


def settings(run: Run) -> Iterator[Section]:
    """Show a run's config and environment."""
    yield Section("Config", code=run.config.read_text(encoding="utf-8"))
    about = run.read("environment")
    rows = [
        [name, " ".join(value) if isinstance(value, list) else str(value)]
        for name, value in about.items()
        if name != "resumed"
    ]
    for after in about.get("resumed", []):
        rows.append(["resumed", ", ".join(f"{name} {value}" for name, value in after.items())])
    yield Section("Environment", table=Table(["", "value"], rows))
