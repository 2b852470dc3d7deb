"""The report of a run: what came out, how it was learned, and where the network errs."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from common import metrics, plots, report
from common.cli import figure_text
from common.images import ImageSet
from common.plots import Bar
from common.report import Section, Table
from labs.classification import plots as lab_plots
from labs.classification import results
from labs.classification.baselines import ROWS, SIDE

if TYPE_CHECKING:
    from labs.classification.jobs import Job

_MISTAKES = 24
_CONSTANT = ("majority class", "mean")  # the baselines that always say the same
_LISTED = 50  # skipped files that the report names

Array = npt.NDArray[Any]


def write(
    job: "Job", splits: Mapping[str, ImageSet], outputs: Tensor, figures: Mapping[str, Any]
) -> None:
    """Draw a run's figures and write its report.

    Args:
        job: the run, with its best weights in the model.
        splits: its data.
        outputs: what the model says of the test split: logits (N, C), or numbers (N,).
        figures: what metrics.json holds.
    """
    drawn = _Figures(job)
    test = splits["test"]
    sections = [
        _result(job, figures, drawn),
        _learning(job, figures, drawn),
        *(
            _numbers(outputs, test, drawn)
            if job.config.numeric
            else _classes(job, outputs, test, drawn)
        ),
        *_filters(job, drawn),
        _data(job),
        *_repeat(job),
    ]
    verdict = results.verdict(figures, job.config.model, job.config.numeric)
    title = f"{job.config.model} on {job.card.source}"
    html = report.render(title, f"Run {job.run.path.name}", verdict, sections)
    report.write(job.run.report, html)


class _Figures:
    """Saves figures in the run's folder, and hands them to the report."""

    def __init__(self, job: "Job"):
        self._folder = job.run.figures

    def __call__(self, name: str, caption: str, figure: Figure) -> tuple[str, Any]:
        path = self._folder / f"{name}.png"
        plots.save(figure, path)
        return caption, path


def _result(job: "Job", figures: Mapping[str, Any], drawn: _Figures) -> Section:
    headline = "mae" if job.config.numeric else "accuracy"
    label = "mean absolute error" if job.config.numeric else "accuracy"
    test, baselines = figures["test"], figures["baselines"]
    rows = [
        [
            job.config.model,
            figure_text(figures["validation"][headline]),
            *_with_interval(test, headline),
            "",
        ]
    ]
    for name, values in baselines.items():
        lead, (low, high) = values["lead"], values["lead_interval"]
        rows.append(
            [
                name,
                figure_text(values[f"validation_{headline}"]),
                *_with_interval(values, headline),
                f"{lead:+.4f} ({low:+.4f} to {high:+.4f})",
            ]
        )
    entries = [
        Bar(name, values[headline], tuple(values[f"{headline}_interval"]))
        for name, values in [(job.config.model, test), *baselines.items()]
        if name not in _CONSTANT  # so far off that it would squeeze the axis
    ]
    columns = ["", f"validation {headline}", f"test {headline}", "95 % interval", "network's lead"]
    return Section(
        "Result",
        f"Best epoch {figures['best_epoch']}, chosen on the validation split; the test split was "
        f"used once, at the end. Trained for {figures['seconds']['train']:.1f} s. The lead is the "
        "difference on the same test images, with a 95 % interval from a paired bootstrap. "
        f"Baselines see raw pixels, at most {SIDE} x {SIDE} of them, of at most "
        f"{ROWS:,} training images, without augmentation.",
        Table(columns, rows),
        (
            drawn(
                "result", f"Test {label} with 95 % intervals.", plots.bars(entries, f"test {label}")
            ),
        ),
    )


def _learning(job: "Job", figures: Mapping[str, Any], drawn: _Figures) -> Section:
    headline = "mae" if job.config.numeric else "accuracy"
    curves = plots.learning_curves(job.run.history, figures["best_epoch"], headline)
    text = (
        "Training loss is the mean over an epoch while the weights change, on augmented images and "
        "with the training's own loss; validation loss is the plain one, after the epoch."
    )
    return Section(
        "Learning curves",
        text,
        pictures=(drawn("learning_curves", "Each epoch, the best one marked.", curves),),
    )


def _classes(job: "Job", outputs: Tensor, test: ImageSet, drawn: _Figures) -> Iterator[Section]:
    classes, targets = job.card.classes, test.targets.numpy()
    chances = results.probabilities(outputs)
    guesses = results.decide(outputs, numeric=False)
    matrix = metrics.confusion(guesses, targets, len(classes))
    caption = "Rows are true classes, columns what the network said, of the test split."
    yield Section(
        "Confusion matrix",
        pictures=(drawn("confusion", caption, plots.confusion(matrix, classes)),),
    )
    rows = [
        [str(row["class"]), *(figure_text(row[name]) for name in _PER_CLASS)]
        for row in metrics.per_class(guesses, targets, classes)
    ]
    yield Section("Each class", table=Table(["class", *_PER_CLASS], rows))
    grid = lab_plots.mistakes(test.images, targets, guesses, chances, classes)
    text = f"{int((guesses != targets).sum())} of {len(targets):,} test images are classed wrong."
    yield Section(
        "Most confident mistakes",
        text,
        pictures=(drawn("mistakes", "Wrong, and most certain of it.", grid),),
    )
    diagram = plots.reliability(metrics.reliability(chances, targets))
    error = metrics.calibration_error(chances, targets)
    text = (
        "Is the network right as often as it says? The expected calibration error is "
        f"{error:.4f}: the mean distance from the diagonal, weighed by the images in a bin."
    )
    yield Section(
        "Calibration",
        text,
        pictures=(drawn("reliability", "Confidence and accuracy of the test split.", diagram),),
    )


_PER_CLASS = ("precision", "recall", "f1", "support")


def _numbers(outputs: Tensor, test: ImageSet, drawn: _Figures) -> Iterator[Section]:
    guesses, targets = results.decide(outputs, numeric=True), test.targets.numpy()
    scatter = plots.scatter(guesses, targets)
    yield Section("Predicted and true", pictures=(drawn("scatter", "Of the test split.", scatter),))
    worst = np.argsort(-np.abs(guesses - targets), kind="stable")[:_MISTAKES]
    captions = [f"{targets[row]:g} → {guesses[row]:.2f}" for row in worst]
    grid = plots.image_grid(_pictures(test, worst), captions, title="true → predicted")
    yield Section("Largest errors", pictures=(drawn("mistakes", "Furthest from the truth.", grid),))


def _filters(job: "Job", drawn: _Figures) -> Iterator[Section]:
    """Show the first layer: convolution kernels, or what a linear layer looks for in an image."""
    layers = (m for m in job.model.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    first = next(layers, None)
    if first is None:
        return
    weight, names = first.weight.detach().cpu(), tuple[str, ...]()
    text = "What each first-layer filter looks for."
    if isinstance(first, nn.Linear):
        side = round((weight.shape[1] / job.card.channels) ** 0.5)
        weight = weight.reshape(len(weight), job.card.channels, side, side)
        text = "What each unit of the first layer looks for in an image."
        if len(weight) == len(job.card.classes):
            names, text = job.card.classes, "The template of each class: what adds to its score."
    if weight.shape[1] not in (1, 3) or weight.shape[2] == 1:
        return
    figure = lab_plots.filters(weight.float().numpy(), names)
    yield Section("First layer", pictures=(drawn("filters", text, figure),))


def _data(job: "Job") -> Section:
    card = job.card
    size = f"{card.image_size}x{card.image_size}"
    sizes = ", ".join(f"{count:,} {name}" for name, count in card.counts.items())
    text = f"{card.source}. {sizes} images, {'color' if card.channels == 3 else 'grey'}, {size}."
    if card.copies is not None:
        text += f" {card.copies} test images are pixel for pixel also in the training split."
    if card.skipped:
        text += f" {len(card.skipped):,} files were left out; data.json lists all."
    rows = [list(pair) for pair in card.skipped[:_LISTED]]
    return Section("Data", text, Table(["left out", "reason"], rows) if rows else None)


def _repeat(job: "Job") -> Iterator[Section]:
    command = f"python -m labs.classification train --config {job.run.config}"
    text = "The same data, machine, versions and threads give the same weights, bit for bit"
    on_cpu = job.compute.device.type == "cpu"
    text += "." if on_cpu else ", where the GPU has deterministic kernels for all that was used."
    yield Section("Repeat this run", text, code=command)
    yield Section("Config", code=job.run.config.read_text(encoding="utf-8"))
    rows = [
        [name, " ".join(value) if isinstance(value, list) else str(value)]
        for name, value in job.run.read("environment").items()
    ]
    yield Section("Environment", table=Table(["", "value"], rows))


def _with_interval(values: Mapping[str, Any], headline: str) -> list[str]:
    low, high = values[f"{headline}_interval"]
    return [figure_text(values[headline]), f"{low:.4f} to {high:.4f}"]


def _pictures(part: ImageSet, rows: Array) -> Array:
    """Return images as matplotlib takes them: (N, H, W), or (N, H, W, 3) in color."""
    if not len(rows):
        return np.zeros((0, 1, 1), np.uint8)
    pixels = torch.stack([part.images[row] for row in rows.tolist()])
    return (pixels[:, 0] if pixels.shape[1] == 1 else pixels.permute(0, 2, 3, 1)).numpy()
