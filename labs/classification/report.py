"""What the report says of images: where the network errs, and what its first layer looks for."""

from collections.abc import Iterator, Sequence
from itertools import chain, product
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from common.images.sets import ImageSet
from common.metrics.metrics import Array
from common.options import terminal
from common.report import plots
from common.report.html import PictureSaver, Section
from common.runs import sections as common_sections
from common.runs import views
from common.runs.conclude import conclusion_of
from common.runs.job import Splits
from common.training.task import probabilities
from labs.classification import label_columns, several_labels, task
from labs.classification import plots as lab_plots
from labs.classification.models.lenet import LocallyConnected

if TYPE_CHECKING:
    from labs.classification.job import ClassifyImages

VIEWS = ("explain", "rollout", "receptive-field", "tta")
"""What commands add to a report, in its order."""

_MISTAKES = 24
_AXIS, _CAPTION = 18, 14  # letters of a combination's name there


def sections(
    job: "ClassifyImages", outputs: Tensor, test: ImageSet, save_picture: PictureSaver
) -> list[Section]:
    """Return what the report says of images.

    The best weights are in the model; outputs are logits (N, C), or numbers (N,), of the test
    split.
    """
    errors = {"class": _classes, "labels": _labels, "number": _numbers}[job.config.kind]
    made = [section for view in VIEWS if (section := views.recall(job.run, view))]
    return [
        *errors(job, outputs, test, save_picture),
        *_filters(job, save_picture),
        *made,
        common_sections.images(job),
    ]


def add(job: "ClassifyImages", splits: Splits, view: str, section: Section) -> None:
    """Keep a command's section as one of `VIEWS`, and put it into the report of a finished run.

    Its pictures are in the run's figures, the best weights in the model.
    """
    views.keep(job.run, view, section)
    for _, path in views.files(section):
        terminal.note(f"picture: {path}")
    if job.run.finished:
        conclusion_of(job).report_again(splits)
        terminal.note(f"report: {job.run.report}")


def _classes(
    job: "ClassifyImages", outputs: Tensor, test: ImageSet, save_picture: PictureSaver
) -> Iterator[Section]:
    names, targets = _names(job, _AXIS), test.targets.numpy()
    shares = probabilities(outputs)
    guesses = task.decide(outputs, numeric=False)
    seen = np.arange(len(job.card.classes))
    if job.card.labels:  # many combinations may not occur
        seen = np.union1d(guesses, targets)
        names = [names[number] for number in seen.tolist()]
    said, true = (np.searchsorted(seen, each) for each in (guesses, targets))
    yield from common_sections.classes(names, said, true, save_picture)
    grid = lab_plots.mistakes(test.images, targets, guesses, shares, _names(job, _CAPTION))
    text = f"{int((guesses != targets).sum())} of {len(targets):,} test images are classed wrong."
    yield Section(
        "Most confident mistakes",
        text,
        pictures=(save_picture("mistakes", "Wrong, and most certain of it.", grid),),
    )
    yield common_sections.calibration(shares, targets, save_picture)


def _labels(
    job: "ClassifyImages", outputs: Tensor, test: ImageSet, save_picture: PictureSaver
) -> Iterator[Section]:
    shares = probabilities(outputs, several=True)
    return several_labels.sections(job.card.classes, shares, test, job.thresholds, save_picture)


def _names(job: "ClassifyImages", cells: int) -> Sequence[str]:
    """Return the names of the classes; those of combinations in so many letters."""
    if not job.card.labels:
        return job.card.classes
    return [label_columns.brief(each, cells) for each in product(*job.card.labels.values())]


def _numbers(
    job: "ClassifyImages", outputs: Tensor, test: ImageSet, save_picture: PictureSaver
) -> Iterator[Section]:
    guesses, targets = task.decide(outputs, numeric=True), test.targets.numpy()
    scatter = plots.scatter(guesses, targets)
    yield Section(
        "Predicted and true", pictures=(save_picture("scatter", "Of the test split.", scatter),)
    )
    worst = np.argsort(-np.abs(guesses - targets), kind="stable")[:_MISTAKES]
    captions = [f"{targets[row]:g} → {guesses[row]:.2f}" for row in worst]
    grid = plots.image_grid(_pictures(test, worst), captions, title="true → predicted")
    yield Section(
        "Largest errors", pictures=(save_picture("mistakes", "Furthest from the truth.", grid),)
    )


def _filters(job: "ClassifyImages", save_picture: PictureSaver) -> Iterator[Section]:
    """Show the first layer: convolution kernels, or what a linear layer looks for in an image."""
    kinds = nn.Conv2d | nn.Linear | LocallyConnected
    if job.image_network is None:
        return
    first = next((m for m in job.image_network.modules() if isinstance(m, kinds)), None)
    if first is None:
        return
    names: Sequence[str] = ()
    text = "What each first-layer filter looks for."
    if isinstance(first, LocallyConnected):
        weight = first.kernels(first.side // 2, first.side // 2)
        text = "What each filter looks for at the center; every other place has filters of its own."
    else:
        weight = first.weight
    if isinstance(first, nn.Linear):
        side = round((weight.shape[1] / job.card.channels) ** 0.5)
        weight = weight.reshape(len(weight), job.card.channels, side, side)
        text = "What each unit of the first layer looks for in an image."
        if len(weight) == len(outputs := _outputs(job)):
            names, text = outputs, "The template of each class: what adds to its score."
    if weight.shape[1] not in (1, 3) or weight.shape[2] == 1:
        return
    figure = lab_plots.filters(weight.detach().cpu().float().numpy(), names)
    yield Section("First layer", pictures=(save_picture("filters", text, figure),))


def _outputs(job: "ClassifyImages") -> Sequence[str]:
    """Return what the outputs of the (first) network stand for."""
    columns = [[f"{column} {name}" for name in names] for column, names in job.card.labels.items()]
    if not columns or job.config.heads == "joint":
        return job.card.classes
    return columns[0] if job.config.heads == "separate" else [*chain.from_iterable(columns)]


def _pictures(part: ImageSet, rows: Array) -> Array:
    """Return images as matplotlib takes them: (N, H, W), or (N, H, W, 3) in color."""
    if not len(rows):
        return np.zeros((0, 1, 1), np.uint8)
    pixels = torch.stack([part.images[row] for row in rows.tolist()])
    return (pixels[:, 0] if pixels.shape[1] == 1 else pixels.permute(0, 2, 3, 1)).numpy()
