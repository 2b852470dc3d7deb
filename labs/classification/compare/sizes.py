"""Networks that are trained at one image size, and shown the same test images at others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from common.errors import ConfigError
from common.images.load import joined, load, scale_pixels
from common.images.sets import ImageSet
from common.metrics import metrics
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array, OfDraws
from common.options.terminal import figure_text, interval_text, lead_text
from common.report.html import PictureSaver, Section, Table
from common.runs.comparison import Jobs, Tested
from common.runs.differences import (
    Entry,
    describe_differences,
    draw_bars,
    judge,
    list_differences,
    show_difference,
)
from common.runs.job import Splits, groups_of
from common.steps import step
from labs.classification import task
from labs.classification.compare import robustness
from labs.classification.compare.comparison import ModelComparison
from labs.classification.compare.config import CompareSizesConfig
from labs.classification.job import ClassifyImages
from labs.classification.look import layer_calls
from labs.classification.models.catalogue import find_family
from labs.classification.models.vit import find_patch

if TYPE_CHECKING:
    from labs.classification.compare.size_plots import Look

_STEPS = (-2, -1, 1, 2, 3)  # patches more or less along a side, in images of other sizes
_USUAL = 28  # pixels that all models take which need no larger ones
_BLIND = "small-vit-no-position"  # what is said of it is why others lose what they lose

_ABOUT_SIZES = (
    "Test images are scaled from their originals as training images are (bilinear, antialiased). "
    "What is kept is the mean accuracy at the other sizes, as a share of that at the trained one. "
    "Differences are paired: the same images, and runs with the same seeds."
)
_ABOUT_LOOKS = (
    "An image that the first run of the first model knows at the trained size and not at the "
    "largest, if there is such a one. See `explain` for how it is computed."
)
_ABOUT_CAUSES = (
    "A patch has as many pixels at every size. In a larger image it holds a smaller piece of what "
    "is shown, and strokes in it are wider; there are more patches, whose positions are "
    "interpolated. Two more ways to show the images take these causes apart. Scaled back: images "
    "of another size are scaled to the trained one first, which is what one does in practice; "
    "what is lost is what scaling itself loses. Framed: images of the trained size, unscaled, with "
    "one more patch of black on each side. Patches hold what they held in training; only their "
    "number and their positions are others."
)


def _share_kept(rows: Array) -> Array:
    """Return the mean accuracy at other sizes as a share of that at the trained one, (...).

    Where none is right at the trained size, it counts as one.
    """
    right = rows.mean(-2)
    return np.asarray(right[..., 1:].mean(-1) / np.maximum(right[..., 0], 1 / rows.shape[-2]))


def _rows(rows: Array, _: Array) -> Array:
    return rows


# Of rows that say which test images are right, (N, 1 + sizes), at the trained size first.
KEPT = MainMetric("kept", "share of the accuracy kept", _rows, OfDraws(_share_kept))
ELSEWHERE = MainMetric(
    "elsewhere", "accuracy", _rows, OfDraws(lambda rows: rows[..., 1:].mean((-2, -1)))
)


class Comparison(ModelComparison[CompareSizesConfig]):
    """Models that are trained at the size of the images, and measured at others."""

    verb = "compare-sizes"
    config_type = CompareSizesConfig
    heading = "Image sizes"
    about = (
        "All models are trained at one size, and then shown the same test images at others. Each "
        "has the values of its own recipe, but all have the same epochs, batches and changes of "
        "images, so each sees each image as often. Without --augment images are not changed: then "
        "none of them has seen another scale in training."
    )
    _first: Mapping[str, Array] | None = None  # of the first model, by how images are shown

    def __init__(self, run: Any, config: CompareSizesConfig, reasons: Sequence[str] = ()):
        super().__init__(run, config, reasons)
        self._loaded: dict[tuple[Any, ...], ImageSet] = {}  # by channels, pixels and names

    @classmethod
    def variants(cls, config: CompareSizesConfig) -> dict[str, dict[str, Any]]:
        """Return what each model has of its own; all have the size that one of them needs."""
        found = super().variants(config)
        least = max(find_family(model).smallest for model in config.models)
        if config.image_size is None and least <= _USUAL:
            return found
        size = max(config.image_size or 0, least)
        return {model: {**own, "image_size": size} for model, own in found.items()}

    @classmethod
    def refuse(cls, config: CompareSizesConfig, job: ClassifyImages, splits: Splits) -> None:
        """Refuse a model that images of the other sizes do not go through."""
        own = job.card.image_size
        for size in find_sizes(config, own):
            try:
                layer_calls.trace(job.model, job.card.channels, size)
            except (AssertionError, RuntimeError, ValueError) as error:
                raise ConfigError(
                    f"--models {job.config.model}: is made for {own}x{own} pixels, and "
                    f"{size}x{size} do not go through; give a model that ends in a mean over "
                    "places, such as resnet20, or other --sizes"
                ) from error

    # --- what is measured -----------------------------------------------------------------------

    def measure_variant(self, tested: Tested) -> dict[str, Any]:
        """Return how right a model is at each size, and what it keeps there of its accuracy."""
        job, test = tested.jobs[0], tested.splits["test"]
        rows = robustness.rows(test)
        some, own = test.select(torch.as_tensor(rows)), job.card.image_size
        groups, targets = groups_of(some), some.targets.numpy()

        def right(images: Tensor) -> Array:
            shown = {**tested.splits, "test": replace(some, images=images)}
            said = [
                each.decide(each.predict_splits(shown, ["test"])["test"]) for each in tested.jobs
            ]
            return np.asarray(np.array(said) == targets, np.float64)

        sizes = find_sizes(self.config, own)
        others = [self._at(job, some, size) for size in sizes]
        plain = np.asarray(tested.rows)[:, rows]
        with step(f"measuring {job.config.model} at {len(sizes)} sizes"):
            resized = np.stack([plain, *map(right, others)], 2)
            back = np.stack([plain, *(right(scale_pixels(each, own)) for each in others)], 2)
            framed = np.stack([plain, right(frame(stack(some), find_patch(own)))], 2)
        shown = {"resized": resized, "back": back, "framed": framed}
        found = {
            **super().measure_variant(tested),
            "image_size": own,
            "sizes": list(sizes),
            "at_sizes": _list_figures(resized, groups),
            "scaled_back": _list_figures(back, groups),
            "framed": _list_figures(framed, groups)[1],
            **_measure("elsewhere", ELSEWHERE, resized, groups),
            **_compare("gain_back", KEPT, back, resized, groups),
        }
        for way, each in shown.items():
            found |= _measure(f"kept_{way}", KEPT, each, groups)
        if self._first is None:
            self._first = shown
            return {**found, "drawn": int(rows[_find_lost(resized[0])])}
        found |= _compare(
            "elsewhere_difference", ELSEWHERE, resized, self._first["resized"], groups
        )
        for way, each in shown.items():
            found |= _compare(f"kept_{way}_difference", KEPT, each, self._first[way], groups)
        return found

    def _at(self, job: ClassifyImages, some: ImageSet, size: int) -> Tensor:
        """Return images of the test split as they are at another size, uint8 (N, C, size, size)."""
        key = (job.card.channels, size, some.names)
        if key not in self._loaded:
            config = replace(job.config, image_size=size)
            splits, _ = load(config, color=job.card.channels == 3, kind=config.kind)
            self._loaded[key] = select(splits, some.names)
        return stack(self._loaded[key])

    # --- what is shown --------------------------------------------------------------------------

    def show_variant(self, entry: Entry) -> dict[str, str]:
        """Return how right a model is at its own size, and what it keeps of that at others."""

        def text(name: str) -> str:
            return f"{figure_text(entry[name])} ({interval_text(entry[f'{name}_interval'])})"

        return {
            "parameters": f"{entry['parameters']:,}",
            "validation": figure_text(entry["validation_accuracy"]),
            f"test accuracy at {entry['image_size']} px (95 %)": text("accuracy"),
            "mean at other sizes (95 %)": text("elsewhere"),
            "kept (95 %)": text("kept_resized"),
            "more than the first (95 %)": show_difference(entry, "kept_resized_difference"),
            "kept framed": figure_text(entry["kept_framed"]),
            "kept scaled back": figure_text(entry["kept_back"]),
            "seconds": f"{entry['seconds']:.1f}",
        }

    def sections(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> list[Section]:
        """Draw accuracy over sizes, what causes the loss, and where transformers look."""
        from labs.classification.compare import size_plots

        compared, first = metrics["compared"], next(iter(metrics["compared"]))
        found = [
            Section(
                "Accuracy at each size",
                _ABOUT_SIZES,
                Table(*_table(compared)),
                (
                    save_picture(
                        "sizes",
                        "Accuracy of the same test images at each size, with 95 % intervals; to "
                        "the left shown at that size, to the right scaled back to the trained one, "
                        "which a line marks.",
                        size_plots.draw_sizes(compared),
                    ),
                    save_picture(
                        "kept",
                        "Mean accuracy at the other sizes, as a share of that at the trained one.",
                        draw_bars(compared, "kept_resized", "share of the accuracy kept"),
                    ),
                ),
            ),
            Section("Why", " ".join([_ABOUT_CAUSES, *_explain(compared)])),
        ]
        if looks := self._look(jobs, compared[first]["drawn"]):
            found.append(
                Section(
                    "Where they look",
                    _ABOUT_LOOKS,
                    pictures=(
                        save_picture(
                            "rollout",
                            "Attention rollout of one test image, at the smallest, the trained and "
                            "the largest size: red is what most of the answer is mixed of.",
                            size_plots.draw_looks(looks),
                        ),
                    ),
                )
            )
        return found

    def _look(self, jobs: Jobs, row: int) -> "dict[str, list[Look]]":
        """Return where the first run of each model with attention looks, at three sizes."""
        from labs.classification.compare.size_plots import Look
        from labs.classification.look import rollout

        found: dict[str, list[Look]] = {}
        for name, mine in self.group_jobs(jobs).items():
            job = mine[0]
            job.load_best()
            job.model.eval()
            some = job.load_splits()["test"].select(torch.tensor([row]))
            sizes = sorted([*find_sizes(self.config, job.card.image_size), job.card.image_size])
            prepare = task.augmentation(job.config, job.card)
            for size in (sizes[0], job.card.image_size, sizes[-1]):
                pixels = self._at(job, some, size)
                image = prepare(job.compute.move(pixels), None)
                seen = rollout.find(job.model, image)
                if seen is None:
                    break
                guess = job.card.classes[int(job.model(image).argmax())]
                found.setdefault(name, []).append(Look(pixels[0].numpy(), seen.whole, guess))
        return found

    def verdict(self, metrics: Mapping[str, Any]) -> str:
        """Say what the first keeps, who keeps more, and why."""
        compared = metrics["compared"]
        return " ".join(
            [*_describe_kept(compared), *_explain(compared), *self.describe_diverged(metrics)]
        )


# --- images of other sizes ----------------------------------------------------------------------


def find_sizes(config: CompareSizesConfig, own: int) -> tuple[int, ...]:
    """Return the sizes at which models are measured, in pixels, beside the one of training."""
    patch = find_patch(own)
    sizes = config.pixels or tuple(own + step * patch for step in _STEPS)
    return tuple(sorted(size for size in sizes if size > 0 and size != own))


def frame(images: Tensor, width: int) -> Tensor:
    """Return images (N, C, S, S) with so many pixels of black around them."""
    return functional.pad(images, (width,) * 4)


def stack(some: ImageSet) -> Tensor:
    """Return images as one tensor, uint8 (N, C, S, S), wherever they are."""
    if isinstance(some.images, Tensor):
        return some.images
    return torch.stack([some.images[row] for row in range(len(some))])


def select(splits: Splits, names: Sequence[str]) -> ImageSet:
    """Return the images of those names, which may be in any split.

    Near-copies are found by their pixels, and may be others at another size; they then come to lie
    in other splits.
    """
    test: ImageSet = splits["test"]
    places = {name: row for row, name in enumerate(test.names)}
    if all(name in places for name in names):
        return test.select(torch.tensor([places[name] for name in names]))
    whole = joined([splits[name] for name in ("train", "validation", "test")])
    places = {name: row for row, name in enumerate(whole.names)}
    return whole.select(torch.tensor([places[name] for name in names]))


# --- what is said -------------------------------------------------------------------------------


def _list_figures(rows: Array, groups: Array | None) -> list[dict[str, Any]]:
    """Return accuracy and interval at each size, of (runs, N, sizes)."""
    return [
        {
            "accuracy": float(rows[..., place].mean()),
            "interval": list(metrics.seeds_interval(rows[..., place], groups=groups)),
        }
        for place in range(rows.shape[2])
    ]


def _measure(name: str, metric: MainMetric, rows: Array, groups: Array | None) -> dict[str, Any]:
    """Return a metric of runs, (runs, N, sizes), with its interval, under a name."""
    found = metric.measure_runs(list(rows), groups)
    return {
        name: found[metric.name],
        f"{name}_interval": found[f"{metric.name}_interval"],
        f"{name}_of_seeds": found[f"{metric.name}_of_seeds"],
    }


def _compare(
    name: str, metric: MainMetric, rows: Array, others: Array, groups: Array | None
) -> dict[str, Any]:
    """Return how much more a metric of runs is than that of others, under a name."""
    found = metric.compare_runs(list(rows), list(others), groups)
    return {name: found["difference"], f"{name}_interval": found["difference_interval"]}


def _find_lost(rows: Array) -> int:
    """Return the first row that is right at the trained size and wrong at the largest, or 0."""
    lost = np.flatnonzero((rows[:, 0] > 0) & (rows[:, -1] == 0))
    return int(lost[0]) if len(lost) else 0


def _table(compared: Mapping[str, Entry]) -> tuple[list[str], list[list[str]]]:
    """Return the accuracy of each model at each size, and where images are shown otherwise."""
    entry = next(iter(compared.values()))
    places = np.argsort([entry["image_size"], *entry["sizes"]])
    sizes = np.array([entry["image_size"], *entry["sizes"]])[places]
    columns = ["", *(f"{size} px" for size in sizes), "framed"]
    rows = [
        [
            name,
            *(figure_text(each["at_sizes"][place]["accuracy"]) for place in places),
            figure_text(each["framed"]["accuracy"]),
        ]
        for name, each in compared.items()
    ]
    return columns, rows


def _describe_kept(compared: Mapping[str, Entry]) -> Iterator[str]:
    """Say what the first model keeps of its accuracy, and which others keep more or less."""
    first = next(iter(compared))
    entry = compared[first]
    sizes = ", ".join(map(str, entry["sizes"]))
    yield (
        f"{first}, trained at {entry['image_size']} pixels, is right on {entry['accuracy']:.4f} of "
        f"the test images there, and on {entry['elsewhere']:.4f} in the mean at {sizes} pixels."
    )
    yield from describe_differences(
        list_differences(compared, "elsewhere_difference"),
        "Right on more at these sizes",
        f"Not to be told apart from {first} there",
        "Right on fewer",
    )
    yield f"Of its own accuracy {first} keeps {_share(entry, 'kept_resized')}."
    yield from _describe_shares(compared, "kept_resized_difference")


def _describe_shares(compared: Mapping[str, Entry], name: str) -> Iterator[str]:
    return describe_differences(
        list_differences(compared, name),
        "A larger share is kept by",
        "Not to be told apart in the share",
        "A smaller share is kept by",
    )


def _share(entry: Entry, name: str) -> str:
    return f"{entry[name]:.4f} ({interval_text(entry[f'{name}_interval'])})"


def _explain(compared: Mapping[str, Entry]) -> Iterator[str]:
    """Say what the loss comes from, as far as it was measured."""
    first = next(iter(compared))
    entry = compared[first]
    yield (
        "Where images are not scaled but framed, so that patches hold what they held in training, "
        f"and only their number and positions are others, {first} keeps "
        f"{_share(entry, 'kept_framed')}."
    )
    yield from _describe_shares(compared, "kept_framed_difference")
    place = judge(entry["gain_back_interval"])
    gain = lead_text(entry["gain_back"], entry["gain_back_interval"])
    size = entry["image_size"]
    if place > 0:
        yield (
            f"Scaled back to {size} pixels first, {first} keeps {_share(entry, 'kept_back')}, "
            f"{gain} more: do that where you can."
        )
    elif place < 0:
        yield f"To scale images back to {size} pixels first loses more, {gain}, with {first}."
    else:
        yield f"To scale images back to {size} pixels first is not shown to matter with {first}."
    if _BLIND in compared and first != _BLIND:
        yield (
            f"{_BLIND} shows what {first} would lose without positions: it is right on "
            f"{compared[_BLIND]['accuracy']:.4f} at {size} pixels."
        )
