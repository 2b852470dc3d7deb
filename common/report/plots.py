"""Plots that the labs share: functions from data to a matplotlib Figure.

pyplot is not used, so nothing is global, nothing stays open, and no display is needed. Every
function draws in `figure_style`, whatever a user's matplotlibrc says; `png` and `save` write in it.
Colors are those of Okabe and Ito (2008, "Color universal design"), which the color-blind can tell
apart.
"""

import contextlib
import functools
import importlib.util
import io
import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.ticker import FuncFormatter, MaxNLocator

from common import files
from common.history import Row
from common.metrics.metrics import Array, Reliability, wilson

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#6b6b6b"

_DPI = 120
_WIDTH = 7.5  # inches: 900 pixels
_STYLE = {
    "figure.dpi": _DPI,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelcolor": "#333333",
    "axes.edgecolor": "#999999",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "text.parse_math": False,  # a class may be named $5
}

_MOST_NUMBERS = 20  # classes up to which a confusion matrix has room for numbers
_MOST_LABELS = 40  # class names that fit along an axis
_MOST_MARKERS = 40  # epochs up to which each one gets a marker
_MOST_COLORS = 10  # things compared by color, for which there is room inside a figure
_DASHES = ("-", "--", ":")  # of what has the same color
_MOST_LINES = 4  # of an image's caption
_NAME = 30  # letters of a line of a name in `bars`
_INK = 0.9  # share of a cell's width that its image takes
_LETTER = 0.62  # width of a letter of DejaVu Sans, in units of its size


class Bar(NamedTuple):
    """One metric in `bars`."""

    name: str  # whose metric it is: the network, a baseline
    value: float
    interval: tuple[float, float] | None = None  # where the true value may lie, lowest and highest


@contextlib.contextmanager
def figure_style() -> Iterator[None]:
    """Set the look of the figures while the block lasts; Korean text falls back to NanumGothic."""
    fonts = {"font.family": ["DejaVu Sans", _korean_family()]}
    with matplotlib.style.context({**_STYLE, **fonts}, after_reset=True):
        yield


def korean_font() -> Path:
    """Return the file of NanumGothic, which the package koreanize-matplotlib carries.

    The package is found but not imported: importing it changes the settings of all plots.
    """
    spec = importlib.util.find_spec("koreanize_matplotlib")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("expected koreanize-matplotlib; install this project again")
    return Path(spec.origin).with_name("fonts") / "NanumGothic.ttf"


@functools.cache
def _korean_family() -> str:
    fontManager.addfont(korean_font())
    return FontProperties(fname=str(korean_font())).get_name()


def add_korean_font() -> None:
    """Let all plots of this process draw Korean: NanumGothic for letters that other fonts lack."""
    families = matplotlib.rcParams["font.family"]
    if _korean_family() not in families:
        matplotlib.rcParams["font.family"] = [*families, _korean_family()]


def drawable(text: str) -> str:
    """Return a text with a box in place of each letter that the figures' fonts lack."""
    known = _letters()
    composed = unicodedata.normalize("NFC", " ".join(text.split()))
    return "".join(x if x.isprintable() and ord(x) in known else "□" for x in composed)


@functools.cache
def _letters() -> frozenset[int]:
    fonts = (findfont("DejaVu Sans"), str(korean_font()))
    return frozenset(code for path in fonts for code in get_font(path).get_charmap())


@figure_style()
def png(figure: Figure) -> bytes:
    """Return a figure as PNG of 120 dpi; equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, as a whole.

    Raises:
        SaveError: the file cannot be written.
    """
    files.write_bytes(path, png(figure))


# --- training -----------------------------------------------------------------------------------


@figure_style()
def learning_curves(
    rows: Sequence[Row],
    best_epoch: int | None = None,
    metric: str = "accuracy",
    label: str | None = None,
) -> Figure:
    """Draw the loss, a metric and the learning rate over the epochs.

    What the rows lack is left out: without validation there is no panel for its metric.

    Args:
        rows: the history: `epoch`, `learning_rate`, `train/loss`, `validation/loss`, ...
        best_epoch: is marked, when given.
        metric: the one to draw, such as `accuracy` or `mae`.
        label: what it is called; its name when not given.
    """
    panels = {
        "loss": ("train/loss", "validation/loss"),
        label or metric: (f"train/{metric}", f"validation/{metric}"),
        "learning rate": ("learning_rate",),
    }
    known = {name for row in rows for name, value in row.items() if value is not None}
    panels = {label: names for label, names in panels.items() if known.intersection(names)}
    if not panels:
        return message("No epochs yet.")
    heights = [1 if label == "learning rate" else 2 for label in panels]
    drawing = Figure(figsize=(_WIDTH, 0.5 + 1.15 * sum(heights)), layout="constrained")
    grid = drawing.subplots(len(panels), sharex=True, squeeze=False, height_ratios=heights)
    all_axes = grid.ravel()
    for axes, (label, names) in zip(all_axes, panels.items(), strict=True):
        for name in names:
            if name in known:
                _curve(axes, rows, name)
        axes.set_ylabel(label)
        if label != "learning rate":
            axes.legend(loc="best")
        if best_epoch is not None:
            axes.axvline(best_epoch, color=GREY, linestyle="--", linewidth=1, zorder=1)
    all_axes[-1].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    all_axes[-1].set_xlabel("epoch")
    all_axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    epochs = [row["epoch"] for row in rows]
    margin = max(0.5, 0.02 * (epochs[-1] - epochs[0]))
    all_axes[0].set_xlim(epochs[0] - margin, epochs[-1] + margin)
    drawing.align_ylabels()
    if best_epoch is not None:
        _mark_best(all_axes[0], best_epoch)
    return drawing


def _curve(axes: Axes, rows: Sequence[Row], name: str) -> None:
    split = name.partition("/")[0]
    values = [math.nan if row.get(name) is None else row[name] for row in rows]
    color = {"train": BLUE, "validation": ORANGE}.get(split, GREY)
    marker = "o" if len(rows) <= _MOST_MARKERS else ""
    epochs = [row["epoch"] for row in rows]
    axes.plot(epochs, values, color=color, marker=marker, markersize=3.5, label=split)


def _mark_best(axes: Axes, best_epoch: int) -> None:
    low, high = axes.get_xlim()
    place = (best_epoch - low) / (high - low)
    axes.annotate(
        f"best epoch: {best_epoch}",
        (best_epoch, 1.02),
        xycoords=("data", "axes fraction"),
        ha="left" if place < 0.15 else "right" if place > 0.85 else "center",
        va="bottom",
        color="#444444",
    )


@figure_style()
def histories(runs: Mapping[str, Sequence[Sequence[Row]]], name: str, label: str) -> Figure:
    """Draw a metric over the epochs: a color for each variant, a line for each of its seeds.

    Args:
        runs: the histories of the seeds, by the variant.
        name: the metric in a row, such as `validation/accuracy`.
        label: what the metric is called.
    """
    many = len(runs) > _MOST_COLORS
    drawing = Figure(figsize=(_WIDTH, 6 if many else 4), layout="constrained")
    axes = drawing.subplots()
    for number, (title, seeds) in enumerate(runs.items()):
        color, dashes = f"C{number % 10}", _DASHES[number // 10 % len(_DASHES)]
        for seed, rows in enumerate(seeds):
            epochs, values = [row["epoch"] for row in rows], [row[name] for row in rows]
            text = title if seed == 0 else None
            axes.plot(epochs, values, dashes, color=color, label=text, marker=".", alpha=0.8)
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"validation {label}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if many:
        drawing.legend(loc="outside lower center", ncols=4)
    else:
        axes.legend(frameon=True, edgecolor="none")  # lines must not strike names through
    return drawing


def branches(runs: Mapping[str, Sequence[Row]], name: str, label: str, epoch: int) -> Figure:
    """Draw a metric of runs that part after an epoch, which a line marks.

    Args:
        runs: the history of each, by its name.
        name: the metric in a row, such as `validation/accuracy`.
        label: what the metric is called.
        epoch: the last that they have in common.
    """
    drawing = histories({title: [rows] for title, rows in runs.items()}, name, label)
    drawing.axes[0].axvline(epoch, color=GREY, linestyle="--", linewidth=1, zorder=1)
    return drawing


# --- results ------------------------------------------------------------------------------------


@figure_style()
def bars(entries: Sequence[Bar], label: str, marked: int = 0) -> Figure:
    """Draw metrics as points, with whiskers for their intervals, one below the other.

    Args:
        entries: the network's, and those it is compared with.
        label: names the metric, with its unit.
        marked: the place of the one that is colored; the first when not given.
    """
    names = [_wrapped(_broken(entry.name, _NAME), _NAME) for entry in entries]
    heights = np.array([0.55 + 0.45 * len(lines) for lines in names])  # in lines' pitch
    below = heights.cumsum() - 0.5
    places = below - heights / 2
    figure = Figure(figsize=(_WIDTH, 0.8 + 0.38 * heights.sum()), layout="constrained")
    axes = figure.subplots()
    largest = max(abs(entry.value) for entry in entries) or 1
    decimals = max(0, 3 - math.floor(math.log10(largest)))
    for number, (place, (_, value, interval)) in enumerate(zip(places, entries, strict=True)):
        color = BLUE if number == marked else GREY
        if interval is not None:
            axes.plot(interval, (place, place), color=color, linewidth=2, solid_capstyle="butt")
            axes.plot(interval, (place, place), "|", color=color, markersize=9, markeredgewidth=2)
        axes.plot(value, place, "o", color=color, markersize=7)
        text, beside = _with_interval(value, interval, decimals), axes.get_yaxis_transform()
        axes.text(1.02, place, text, transform=beside, va="center", color="#222222")
    axes.set_yticks(places, ["\n".join(lines) for lines in names])
    axes.set_ylim(below[-1], -0.5)
    axes.margins(x=0.08)
    axes.set_xlabel(label)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0, labelcolor="#222222")
    axes.grid(visible=False, axis="y")
    return figure


def _with_interval(value: float, interval: tuple[float, float] | None, decimals: int) -> str:
    low_high = "" if interval is None else "  [{:.{d}f}, {:.{d}f}]".format(*interval, d=decimals)
    return f"{value:.{decimals}f}{low_high}"


@figure_style()
def confusion(matrix: Array, classes: Sequence[str]) -> Figure:
    """Draw a confusion matrix: counts as numbers, shares of each true class as colors.

    Colors go with the square root of the share, so that rare mistakes are seen too. Numbers are
    left out above 20 classes. The matrix is that of `metrics.confusion`: (C, C) counts, rows true
    classes, columns predicted ones.
    """
    matrix = np.asarray(matrix)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    width = min(_WIDTH, 4 + 0.35 * len(classes))
    figure = Figure(figsize=(width, 0.88 * width), layout="constrained")
    axes = figure.subplots()
    norm = PowerNorm(0.5, vmin=0, vmax=1)
    image = axes.imshow(shares, cmap="Blues", norm=norm)
    ticks = [0, 0.01, 0.05, 0.1, 0.25, 0.5, 1]
    bar = figure.colorbar(image, ticks=ticks, format="%g", shrink=0.8, aspect=30)
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)
    if len(classes) <= _MOST_NUMBERS:
        _write_counts(axes, matrix, norm(shares))
    _name_classes(axes, classes)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    hide_frame(axes)
    return figure


def hide_frame(axes: Axes) -> None:
    """Hide grid, frame and ticks, which an image has no need of; labels stay."""
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _write_counts(axes: Axes, matrix: Array, darkness: Array) -> None:
    size = 10 if len(matrix) <= 12 else 7
    for row, column in np.argwhere(matrix + np.eye(len(matrix)) > 0):
        color = "white" if darkness[row, column] > 0.55 else "#222222"
        count = f"{matrix[row, column]}"
        axes.text(column, row, count, ha="center", va="center", color=color, fontsize=size)


def _name_classes(axes: Axes, classes: Sequence[str]) -> None:
    places = range(0, len(classes), math.ceil(len(classes) / _MOST_LABELS))
    names = [short(classes[place], 18) for place in places]
    size = 10 if len(names) <= 12 else 8
    axes.set_xticks(places, names, fontsize=size)
    axes.set_yticks(places, names, fontsize=size)
    if max(map(_cells, names)) * len(names) > 60:
        slope = 45 if len(names) <= _MOST_NUMBERS else 90
        for text in axes.get_xticklabels():
            text.set(rotation=slope, rotation_mode="anchor", ha="right", va="center")


@figure_style()
def reliability(diagram: Reliability) -> Figure:
    """Draw what `metrics.reliability` found: is the model right as often as it says?

    Each point is a bin of predictions; points below the diagonal are overconfident. Whiskers are
    95 % Wilson intervals. Below, the number of predictions in each bin.
    """
    figure = Figure(figsize=(6, 6), layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    filled = diagram.counts > 0
    confidence, accuracy = diagram.confidence[filled], diagram.accuracy[filled]
    counts = diagram.counts[filled]
    right = np.rint(accuracy * counts).astype(int)
    low, high = np.transpose([wilson(*pair) for pair in zip(right, counts, strict=True)])
    above.plot((0, 1), (0, 1), color=GREY, linestyle="--", linewidth=1, label="calibrated")
    above.plot(confidence, accuracy, color=BLUE, linewidth=1, alpha=0.5)
    above.errorbar(
        confidence,
        accuracy,
        yerr=(accuracy - low, high - accuracy),
        fmt="o",
        markersize=5,
        color=BLUE,
        elinewidth=1.2,
        label="predictions of one bin, 95 % interval",
    )
    above.set(xlim=(0, 1), ylim=(-0.03, 1.03), ylabel="accuracy (share that is right)")
    above.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    edges = np.linspace(0, 1, len(diagram.counts) + 1)
    widths = np.diff(edges)
    below.bar(edges[:-1], diagram.counts, width=widths, align="edge", color=BLUE, ec="white")
    below.set(xlabel="confidence (probability of the predicted class)", ylabel="predictions")
    below.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    return figure


@figure_style()
def scatter(predictions: Array, targets: Array, label: str = "value") -> Figure:
    """Draw predicted over true numbers, (N,) each; what is right lies on the diagonal.

    The label names the number, with its unit.
    """
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    both = np.concatenate([np.ravel(predictions), np.ravel(targets)])
    margin = 0.05 * np.ptp(both) or 1.0
    limits = (both.min() - margin, both.max() + margin)
    opacity = float(np.clip(40 / math.sqrt(len(both)), 0.08, 0.8))
    axes.plot(limits, limits, color=GREY, linestyle="--", linewidth=1, label="predicted = true")
    axes.scatter(
        targets, predictions, s=14, color=BLUE, alpha=opacity, linewidths=0, label="samples"
    )
    axes.set(xlim=limits, ylim=limits, xlabel=f"true {label}", ylabel=f"predicted {label}")
    axes.set_aspect("equal")
    for handle in filter(None, axes.legend(loc="upper left").legend_handles):
        handle.set_alpha(1)
    return figure


@figure_style()
def named_points(
    names: Sequence[str], x: Sequence[float], y: Sequence[float], *labels: str
) -> Figure:
    """Draw points, each with its name where there are few.

    Args:
        names: of the points.
        x: the numbers to the right.
        y: the numbers upwards.
        labels: what both axes are called.
    """
    figure = Figure(figsize=(_WIDTH, 5), layout="constrained")
    axes = figure.subplots()
    if max(min(x), min(y)) <= min(max(x), max(y)):  # on one scale
        both = min(*x, *y), max(*x, *y)
        axes.plot(both, both, color=GREY, linestyle="--", linewidth=1, label="the same")
        axes.legend(loc="upper left")
    axes.scatter(x, y, s=30, color=BLUE, linewidths=0)
    middle = (min(x) + max(x)) / 2
    named = zip(names, x, y, strict=True) if len(names) <= _MOST_LABELS else ()
    for name, right_place, up_place in named:
        right = right_place > middle  # of the picture's middle: the name goes to the left
        axes.annotate(
            drawable(short(name, _NAME)),
            (right_place, up_place),
            xytext=(-6 if right else 6, 4),
            textcoords="offset points",
            ha="right" if right else "left",
            fontsize=8,
            color="#444444",
        )
    axes.margins(0.1)
    axes.set(xlabel=labels[0], ylabel=labels[1])
    return figure


# --- pictures -----------------------------------------------------------------------------------


@figure_style()
def image_grid(
    images: Array, captions: Sequence[str] = (), columns: int = 6, title: str = ""
) -> Figure:
    """Draw images in rows, each with its caption below.

    Args:
        images: uint8 (N, H, W) grey, or (N, H, W, 3) in color; N at least 1.
        captions: N of them, or none; a long one is broken into at most four lines.
        columns: images in a row.
        title: stands above all.
    """
    side = _WIDTH / columns  # inches of a cell, of which the image takes _INK
    size = min(9.0, 72 * side / 8)
    cells = int(72 * side / size / _LETTER)
    lines = [_wrapped(caption, cells, _MOST_LINES) for caption in captions]
    height = _INK * side * images.shape[1] / images.shape[2]
    pitch = height + (1 - _INK) * side + size / 72 * 1.3 * max(map(len, lines), default=0)
    top = 0.38 if title else 0.0
    total = top + pitch * math.ceil(len(images) / columns)
    figure = Figure(figsize=(_WIDTH, total))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.text(0.06, top / 2, title, va="center", fontsize=11)
    for place, image in enumerate(images):
        x = side * (place % columns + (1 - _INK) / 2)
        y = top + pitch * (place // columns) + 0.04
        box = (x, x + _INK * side, y + height, y)
        axes.imshow(image, cmap="gray", vmin=0, vmax=255, extent=box, aspect="auto", origin="upper")
        if captions:
            text = "\n".join(lines[place])
            axes.text(
                x + _INK * side / 2, y + height + 0.03, text, ha="center", va="top", fontsize=size
            )
    axes.set(xlim=(0, _WIDTH), ylim=(total, 0))
    return figure


@figure_style()
def message(text: str) -> Figure:
    """Draw a figure that says why there is nothing to draw."""
    figure = Figure(figsize=(_WIDTH, 0.8))
    figure.text(0.5, 0.5, text, ha="center", va="center", color="#444444")
    return figure


# --- names --------------------------------------------------------------------------------------


def _cells(text: str) -> int:
    """Return the width of a text in letters; a Korean syllable is as wide as two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def short(name: str, cells: int) -> str:
    """Return a name on one line and of at most so many cells."""
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if _cells(name) <= cells:
        return name
    name = name[:cells]  # no letter is narrower than a cell, and a text may have a megabyte
    while _cells(name) >= cells:
        name = name[:-1]
    return name + "…"


def _broken(text: str, cells: int) -> str:
    """Return a text with spaces inside words of more than so many cells."""
    width = cells if _cells(text) == len(text) else cells // 2  # letters, where some are wide
    return " ".join(
        word[start : start + width] for word in text.split() for start in range(0, len(word), width)
    )


def _wrapped(text: str, cells: int, most: float = math.inf) -> list[str]:
    """Break a text at spaces into lines of so many cells, the last of at most so many is cut."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if _cells(longer) <= cells or not lines[-1] or len(lines) == most:
            lines[-1] = longer
        else:
            lines.append(word)
    return [short(line, cells) for line in lines]
