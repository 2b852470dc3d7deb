"""The views of a run: what its commands show, and its report keeps.

A view is made from a run's material, and is kept in the run folder: a section of the report with
its pictures. So a command that makes one view again, with other options, changes that section
alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from common.errors import ConfigError, DataError
from common.images.load import joined, pixel_rows
from common.images.sets import ImageSet
from common.metrics.metrics import Array
from common.options import terminal
from common.report.html import PictureSaver, Section
from common.runs import sections as common_sections
from common.runs import views
from common.runs.commands import show_records
from common.runs.conclude import conclusion_of
from common.runs.folder import Run
from common.steps import step, track
from common.training.splits import sample_rows
from labs.autoencoder.names import VIEWS

if TYPE_CHECKING:
    from labs.autoencoder.job import Compression


@dataclass(frozen=True)
class View:
    """What a command shows."""

    section: Section  # of the report
    verdict: str = ""  # the result in a sentence or two, for the screen
    records: Sequence[Mapping[str, Any]] = ()  # rows of the screen's table, of the same columns
    figures: Mapping[str, Any] = field(default_factory=dict)  # for readers of the run folder


class Encoded:
    """What a run's network makes of a split.

    Attributes:
        split: the images.
        latents: (N, L) float32.
        errors: (N,) squared error of each image, the mean over its pixels.
        classes: (N,) class numbers.
        outputs: all that the task collects.
    """

    def __init__(self, job: "Compression", split: ImageSet, outputs: Mapping[str, Tensor]):
        self._job, self.split, self.outputs = job, split, outputs
        self.latents: Array = outputs["latents"].numpy()
        self.errors: Array = outputs["squared_error"].double().numpy()
        self.classes: Array = split.targets.numpy()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.split)

    def images(self, rows: Sequence[int]) -> Tensor:
        """Return images, uint8 (n, C, S, S)."""
        return torch.stack([self.split.images[row] for row in rows])

    def seen(self, rows: Sequence[int]) -> Tensor:
        """Return what the encoder sees of images, uint8 (n, C, S, S): noisy ones to be denoised."""
        return self.outputs["noisy"][list(rows)] if "noisy" in self.outputs else self.images(rows)

    def reconstructions(self, rows: Sequence[int]) -> Tensor:
        """Return what the network gives back of them, uint8 (n, C, S, S)."""
        classes = self.split.targets[list(rows)]
        return self._job.reconstruct(self.seen(rows), classes)

    @cached_property
    def pixels(self) -> Array:
        """The images as rows of at most 32x32 pixels in [0, 1], (N, P) float32."""
        return pixel_rows(self.split, 32)


class Material:
    """What views are made from: a run with its best weights, its data, and where pictures go.

    What the task collects of some splits, `outputs`, is not asked for again.
    """

    def __init__(
        self,
        job: "Compression",
        splits: Mapping[str, ImageSet],
        outputs: Mapping[str, Mapping[str, Tensor]] | None = None,
    ):
        self.job, self.splits, self.save_picture = job, splits, PictureSaver(job.run.figures)
        self._encoded = {
            name: Encoded(job, splits[name], each) for name, each in (outputs or {}).items()
        }

    def __getitem__(self, name: str) -> Encoded:
        """Return what the network makes of a split, or of `all` images but the anomalies."""
        if name not in self._encoded:
            whole = [part for each, part in self.splits.items() if each != "anomalies"]
            split = joined(whole) if name == "all" else self.splits[name]
            outputs = self.job.predict_splits({name: split}, [name])[name]
            self._encoded[name] = Encoded(self.job, split, outputs)
        return self._encoded[name]

    @cached_property
    def pca(self) -> Any:
        """PCA of the training pixels, of the size of the latents; see `baselines.fit_pca`."""
        from labs.autoencoder.baselines import fit_pca

        return fit_pca(self.splits["train"], self.job.config.latent_size, side=32)

    def classes(self, purpose: str) -> tuple[str, ...]:
        """Return the names of the classes.

        Raises:
            ConfigError: the data has none, and `purpose` needs them.
        """
        if not self.job.card.classes:
            raise ConfigError(
                f"{purpose} needs classes, {self.job.card.source} has none; "
                "train on a folder with one folder per class, or on a CSV with labels"
            )
        return self.job.card.classes


def sections(material: Material) -> list[Section]:
    """Return the sections of all views of a run, kept or made now, and of its data."""
    run = material.job.run
    found = []
    for name in track(_of_report(material), "views"):
        section = views.recall(run, name)
        if section is None and VIEWS[name].unasked:
            with step(name):
                section = _section(material, name)
        if section is not None:
            found.append(section)
    return [*found, common_sections.images(material.job)]


def show(
    run: Path,
    device: str | None,
    name: str,
    form: str = "table",
    output: Path | None = None,
    **options: Any,
) -> None:
    """Make a view of a run with options of its own, print it, and put it into the run's report.

    `form` is that of the records, see `show_records`, which go to the screen when `output` is None.

    Raises:
        InputError: there is no such run, or the view cannot be made of it.
    """
    from labs.autoencoder.job import Compression

    job = Compression.open_trained(run, device)
    material = Material(job, job.load_splits())
    with step(name):
        view = _make(material, name, options)
    _keep(job.run, name, view)
    if view.records:
        show_records(view.section.title, view.records, form, output)
    if view.verdict:
        terminal.note(view.verdict) if form != "table" else terminal.say(view.verdict)
    for _, path in views.files(view.section):
        terminal.note(f"picture: {path}")
    if job.run.finished:
        conclusion_of(job).write_report({}, material.splits, job.run.read("metrics"))
        terminal.note(f"report: {job.run.report}")


def _section(material: Material, name: str) -> Section:
    """Make a view and keep it; one that cannot be made, as of a few images, is said to be so.

    A run is worth its report without it, and the command of the view gives the same reason.
    """
    try:
        view = _make(material, name, {})
    except (ConfigError, DataError) as error:
        terminal.note(f"the report is without `{name}`: {error}")
        return Section(f"No `{name}`", f"This view could not be made: {error}.")
    _keep(material.job.run, name, view)
    return view.section


def _make(material: Material, name: str, options: Mapping[str, Any]) -> View:
    view: View = resolve_name(VIEWS[name].function)(material, **options)
    return view


def _keep(run: Run, name: str, view: View) -> None:
    views.keep(run, name, view.section, verdict=view.verdict, figures=dict(view.figures))


def _of_report(material: Material) -> list[str]:
    """Return the views that can be made of a run."""
    job = material.job
    has = {
        "classes": len(set(material.splits["train"].targets.tolist())) > 1,
        "prior": job.model.variational,
        "anomalies": "anomalies" in material.splits,
    }
    return [
        name
        for name, view in VIEWS.items()
        if all(has[need] for need in view.needs)
        and (view.unasked or views.file(job.run, name).exists())
    ]


def choose_rows(encoded: Encoded, number: int, seed: int = 0) -> Array:
    """Return rows of at most `number` images, as many of each class as there are, in order."""
    rows: Array = sample_rows(encoded.split.targets, number, seed).sort().values.numpy()
    return rows
