"""What augmentation does to the images of a set, drawn before anyone trains with it.

Everything is drawn as training draws it, from the seed, the epoch and the place of an image in the
epoch, so the picture shows what the first epochs feed.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from common import seeding
from common.images import augment, policies
from common.images import load as image_data
from common.images.augment import Transform
from common.images.load import ImageCard
from common.images.sets import ImageSet
from common.options import terminal
from common.options.config import POLICY
from common.report import plots
from common.training.batches import spans
from common.training.mixing import Mixing
from labs.classification.config import ClassificationConfig
from labs.classification.data import load

_CROPPED = 7 / 8  # of the side: the example of a crop that fits any image

# Of the picture, in inches.
_CELL, _GAP, _LABELS, _HEADING, _CAPTION = 0.85, 0.1, 1.15, 0.62, 0.3


def examples(image_size: int) -> tuple[str, ...]:
    """Return a spec of every transform of batches, for images of so many pixels a side."""
    specs = {name: augment.example(name) for name in augment.AUGMENTATIONS}
    return tuple({**specs, "crop": f"crop:{max(1, int(_CROPPED * image_size))}"}.values())


def about(config: ClassificationConfig, card: ImageCard) -> list[list[str]]:
    """Return each spec with a line that says what it does."""
    feed = Feed(config, card, 0)
    texts = [
        (change.__doc__ or "").splitlines()[0].partition(";")[0].rstrip(".")
        for change in feed.changes
    ]
    return [[spec, text] for spec, text in zip(config.augment, texts, strict=True)]


def command(config: ClassificationConfig, samples: int, epochs: int, picture: Path | None) -> None:
    """Draw what a config's changes do, or all that there are if it has none.

    The picture's file is named after the data when None.
    """
    splits, card = load(config)
    everything = not config.augment and not config.blends
    if everything:
        config = dataclasses.replace(config, augment=examples(card.image_size))
    policies.check(config.augment, splits["train"])
    rows, drawn = columns(config, card, splits["train"], samples, epochs, together=not everything)
    labels = [label(card, splits["train"].targets[row]) for row in rows]
    path = picture or Path(f"augment-{Path(config.data).stem}.png")
    plots.save(draw(drawn, labels, f"Training images of {card.source}"), path)
    terminal.show_table("Changes of training images", ["change", ""], about(config, card))
    click.echo(f"Picture: {path}")


class Feed:
    """What training makes of each image of its split, of so many samples, epoch by epoch.

    Raises:
        ConfigError: a change is wrong.
    """

    def __init__(self, config: ClassificationConfig, card: ImageCard, samples: int):
        pipeline = image_data.pipeline(config, card.mean, card.std)
        self._policies = policies.parse(config.augment)
        self._transforms, self._columns = pipeline.transforms, pipeline.columns
        self._samples, self._config = samples, config
        self._known: dict[int, _Epoch] = {}

    @property
    def changes(self) -> tuple[Any, ...]:
        """The changes in the order of their specs: policies, then transforms of batches."""
        return (*self._policies, *self._transforms)

    def order(self, epoch: int) -> list[int]:
        """Return the rows of the training split as an epoch, from 0, takes them."""
        return self._epoch(epoch).order

    def alone(self, number: int, image: Tensor, row: int, epoch: int) -> Tensor:
        """Return what one change by itself makes of an image in a row of the training split.

        The image is uint8 (C, H, W), what becomes of it uint8 (C, H', W'); epochs count from 0.
        """
        drawn, first = self._epoch(epoch), number - len(self._policies)
        if first < 0:
            return self._policies[number](image, seeding.derive(drawn.seed(row), number))
        widths = [transform.columns for transform in self._transforms]
        numbers = torch.split(drawn.numbers[drawn.places[row]], widths)[first]
        return _changed(image, self._transforms[first : first + 1], numbers)

    def together(self, image: Tensor, row: int, epoch: int) -> Tensor:
        """Return what all changes make of an image; see `alone`."""
        drawn = self._epoch(epoch)
        image = policies.apply(self._policies, image, drawn.seed(row))
        return _changed(image, self._transforms, drawn.numbers[drawn.places[row]])

    def _epoch(self, epoch: int) -> "_Epoch":
        if epoch not in self._known:
            seed = self._config.seed
            order = seeding.permutation(seed, epoch, self._samples)
            numbers = seeding.uniforms(seed, epoch, self._samples, self._columns)
            places = order.argsort().tolist()
            self._known[epoch] = _Epoch(order.tolist(), places, numbers, (seed, epoch))
        return self._known[epoch]


class _Epoch(NamedTuple):
    order: list[int]  # rows by their place
    places: list[int]  # places by the row
    numbers: Tensor  # (N, columns), by the place
    keys: tuple[int, int]  # seed and epoch

    def seed(self, row: int) -> int:
        """Return the seed of an image's place, which policies draw from."""
        seed, epoch = self.keys
        return seeding.derive(seed, seeding.SAMPLE, epoch, self.places[row])


def _changed(image: Tensor, transforms: Sequence[Transform], numbers: Tensor) -> Tensor:
    """Apply transforms of batches to an image, uint8 (C, H, W), without normalizing it."""
    channels = len(image)
    pipeline = augment.Pipeline(transforms, (0.0,) * channels, (1.0,) * channels)
    return _bytes(pipeline(image[None], numbers[None])[0])


def _bytes(values: Tensor) -> Tensor:
    return (values * 255).round().clamp(0, 255).to(torch.uint8)


# --- a picture ----------------------------------------------------------------------------------


class Cell(NamedTuple):
    """One image of the picture."""

    image: Tensor  # uint8 (C, H, W)
    caption: str = ""


class Column(NamedTuple):
    """What one change makes of the samples."""

    heading: str
    rows: list[list[Cell]]  # for each sample a cell for each epoch


def columns(
    config: ClassificationConfig,
    card: ImageCard,
    train: ImageSet,
    samples: int,
    epochs: int,
    *,
    together: bool = True,
) -> tuple[list[int], list[Column]]:
    """Return the rows of the first samples that training takes, and what becomes of them.

    The columns are the samples as they are, then for each change what so many epochs make of them;
    `together` adds what all changes make of it, one after the other.

    Raises:
        ConfigError: a change is wrong.
        DataError: a policy cannot take such images.
    """
    feed = Feed(config, card, len(train))
    rows = feed.order(0)[:samples]

    def column(heading: str, make: Callable[[Tensor, int, int], Tensor]) -> Column:
        made = [[Cell(make(train.images[row], row, at)) for at in range(epochs)] for row in rows]
        return Column(heading, made)

    found = [Column("original", [[Cell(train.images[row])] for row in rows])]
    for number, spec in enumerate(config.augment):
        found.append(column(_heading(spec), partial(feed.alone, number)))
    if together and len(config.augment) > 1:
        found.append(column("all together", feed.together))
    if config.blends:
        blend = partial(_blended, config, card, train, feed)
        blends = [[blend(row, epoch) for epoch in range(epochs)] for row in rows]
        found.append(Column(_blending(config), blends))
    return rows, found


def _heading(spec: str) -> str:
    """Return a spec without the folder of its file."""
    name = spec.removeprefix(POLICY)
    return f"{POLICY}{Path(name).name}" if spec.startswith(POLICY) else spec


def _blending(config: ClassificationConfig) -> str:
    alphas = {"mixup": config.mixup, "cutmix": config.cutmix}
    return " or ".join(f"{name} {alpha:g}" for name, alpha in alphas.items() if alpha)


def _blended(
    config: ClassificationConfig,
    card: ImageCard,
    train: ImageSet,
    feed: Feed,
    row: int,
    epoch: int,
) -> Cell:
    """Return an image as it is blended in its batch of an epoch, with the shares of both."""
    order, batches = feed.order(epoch), spans(len(train), config.batch_size)
    place = order.index(row)
    number = next(number for number, (_, high) in enumerate(batches) if place < high)
    batch = order[slice(*batches[number])]
    images = [feed.together(train.images[each], each, epoch) for each in batch]
    # As the loop keys it: by the step, the micro-batch and the process.
    step = epoch * len(batches) + number
    generator = seeding.generator(config.seed, seeding.DROPOUT, step, 0, 0)
    blend = Mixing(config.mixup, config.cutmix)
    mixed, share = blend(torch.stack(images) / 255, generator)
    at = place - batches[number][0]
    pair = ((row, share), (batch[at - 1], 1 - share))
    caption = "\n".join(f"{part:.0%} {label(card, train.targets[each])}" for each, part in pair)
    return Cell(_bytes(mixed[at]), caption)


def label(card: ImageCard, target: Tensor) -> str:
    """Return what an image shows: the name of its class, or of its labels, or a number."""
    if target.ndim:
        return ", ".join(card.classes[each] for each in target.nonzero()[:, 0].tolist()) or "none"
    return card.classes[int(target)] if card.classes else f"{float(target):g}"


@plots.figure_style()
def draw(columns: Sequence[Column], labels: Sequence[str], title: str) -> Figure:
    """Draw labelled samples, one below the other, and beside each what `columns` made of it.

    A cropped image is drawn as much smaller as it is.
    """
    widths = [len(column.rows[0]) for column in columns]
    width = _LABELS + sum(widths) * _CELL + len(widths) * _GAP
    captioned = any(cell.caption for column in columns for row in column.rows for cell in row)
    pitch = _CELL + (_CAPTION if captioned else _GAP)
    top = 0.4 + _HEADING
    height = top + pitch * len(labels)
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.text(0.1, 0.2, title, va="center", fontsize=11)
    for place, text in enumerate(labels):
        y = top + pitch * place + _CELL / 2
        axes.text(_LABELS - 0.12, y, plots.short(text, 14), ha="right", va="center", fontsize=9)
    side = max(columns[0].rows[0][0].image.shape[1:])
    left = _LABELS
    for number, (column, count) in enumerate(zip(columns, widths, strict=True)):
        _head(axes, column.heading, left, count, epochs=number > 0)
        for place, row in enumerate(column.rows):
            for time, cell in enumerate(row):
                _show(axes, cell, left + time * _CELL, top + pitch * place, side)
        left += count * _CELL + _GAP
    axes.set(xlim=(0, width), ylim=(height, 0))
    return figure


def _head(axes: Axes, heading: str, left: float, cells: int, *, epochs: bool) -> None:
    """Write the heading of a column, and below it which epoch makes what."""
    bottom = 0.4 + _HEADING - 0.12
    room = int(cells * _CELL * 72 / (8 * 0.62))  # letters that fit above the cells
    middle = left + cells * _CELL / 2
    if not epochs:
        axes.text(middle, bottom, plots.short(heading, room), ha="center", fontsize=8)
        return
    text = "\n".join(plots.short(line, room) for line in (heading[:room], heading[room:]) if line)
    axes.text(middle, bottom - 0.17, text, ha="center", va="bottom", fontsize=8)
    for time in range(cells):
        x = left + (time + 0.5) * _CELL
        axes.text(x, bottom, f"epoch {time + 1}", ha="center", fontsize=7, color=plots.GREY)


def _show(axes: Axes, cell: Cell, x: float, y: float, side: int) -> None:
    """Draw a cell whose upper left corner is given; `side` pixels would fill it."""
    channels, height, width = cell.image.shape
    scale = 0.94 * _CELL / side
    x += (_CELL - width * scale) / 2
    y += (_CELL - height * scale) / 2
    picture = cell.image.permute(1, 2, 0).numpy()
    axes.imshow(
        picture if channels == 3 else picture[:, :, 0],
        cmap="gray",
        vmin=0,
        vmax=255,
        extent=(x, x + width * scale, y + height * scale, y),
        aspect="auto",
        interpolation="nearest" if side < 64 else "antialiased",
    )
    if cell.caption:
        middle = x + width * scale / 2
        room = int(_CELL * 72 / (6 * 0.62))
        text = "\n".join(plots.short(line, room) for line in cell.caption.splitlines())
        axes.text(middle, y + height * scale + 0.03, text, ha="center", va="top", fontsize=6)
