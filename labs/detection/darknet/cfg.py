"""Darknet's `.cfg`, read line by line into layers; what is not understood is refused by its line.

A file has sections, `[net]` first, then one for each layer; layers are numbered from 0, and refer
to others by their number, or by how far back they are. What darknet would leave out in silence
(an unknown option, a layer of another kind) is an error here, since the weights that follow would
be read into other layers than they were written from.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from common.errors import ConfigError
from common.suggest import suggest

ACTIVATIONS = ("leaky", "linear", "logistic", "mish", "relu", "swish")
BOX_LOSSES = ("mse", "iou", "giou", "diou", "ciou")

_LARGEST = 2**20  # bytes of a file
_GRAIN = 32  # pixels, of which the sides of images are multiples
_LISTED = 10  # problems that are shown at once
_OTHER_NAMES = {"conv": "convolutional", "max": "maxpool", "network": "net"}
_LAYERS = ("convolutional", "maxpool", "route", "shortcut", "upsample", "yolo")

# What darknet's own trainer reads, and this one has options for, or does without.
_TRAINER = {
    "net": (
        *("batch", "subdivisions", "momentum", "decay", "learning_rate", "burn_in", "power"),
        *("max_batches", "policy", "steps", "scales", "step", "scale", "gamma", "sgdr_cycle"),
        *("angle", "saturation", "exposure", "hue", "aspect", "max_crop", "min_crop", "flip"),
        *("mosaic", "mosaic_bound", "mixup", "cutmix", "gaussian_noise", "blur", "letter_box"),
        *("adam", "B1", "B2", "eps", "random", "max_chart_loss", "show_receptive_field"),
        *("optimized_memory", "workspace_size_limit_MB", "track", "time_steps", "loss_scale"),
        *("ema_alpha", "weights_reject_freq", "equidistant_point", "num_sigmas_reject_badlabels"),
        *("badlabels_rejection_percentage", "dynamic_minibatch", "try_fix_nan"),
    ),
    "convolutional": ("learning_rate_scale", "stopbackward"),
    "maxpool": ("stopbackward",),
    "route": ("stopbackward",),
    "shortcut": ("stopbackward",),
    "upsample": ("stopbackward",),
    "yolo": (
        *("jitter", "random", "resize", "max", "max_delta", "nms_kind", "beta_nms"),
        *("show_details", "counters_per_class", "focal_loss_normalizer", "map"),
    ),
}
# What changes a layer into one that is not read here, unless it has this value.
_NEUTRAL: dict[str, dict[str, float]] = {
    "net": {"channels": 3},
    "convolutional": {
        **{"dilation": 1, "binary": 0, "xnor": 0, "bin_output": 0, "flipped": 0, "dot": 0},
        **{"antialiasing": 0, "assisted_excitation": 0, "sway": 0, "rotate": 0, "stretch": 0},
        **{"stretch_sway": 0, "deform": 0, "share_index": -1000000000, "dontload": 0},
        **{"dontloadscales": 0, "cbn": 0},
    },
    "maxpool": {"maxpool_depth": 0, "out_channels": 1, "antialiasing": 0, "dontload": 0},
    "route": {},
    "shortcut": {},
    "upsample": {"scale": 1},
    "yolo": {
        **{"truth_thresh": 1, "new_coords": 0, "objectness_smooth": 0, "label_smooth_eps": 0},
        **{"focal_loss": 0, "embedding_layer": 999999, "track_history_size": 5},
    },
}


@dataclass(frozen=True)
class Convolutional:
    """A convolution, batch normalization if asked for, and an activation."""

    line: int
    filters: int
    size: int
    stride: int
    padding: int
    groups: int
    normalize: bool
    activation: str


@dataclass(frozen=True)
class Maxpool:
    """The largest of each window; `padding` is both sides together, the smaller half first."""

    line: int
    size: int
    stride: int
    padding: int


@dataclass(frozen=True)
class Upsample:
    """Each number `stride` x `stride` times."""

    line: int
    stride: int


@dataclass(frozen=True)
class Route:
    """Layers one after another; of `groups` equal parts of each one's channels, one."""

    line: int
    layers: tuple[int, ...]
    groups: int
    group: int


@dataclass(frozen=True)
class Shortcut:
    """The layer before plus others of the same shape."""

    line: int
    layers: tuple[int, ...]
    activation: str


@dataclass(frozen=True)
class Yolo:
    """A head: what the channels of the convolution before it mean, and how they are learned."""

    line: int
    anchors: tuple[tuple[float, float], ...]  # width, height in pixels; of all heads
    mask: tuple[int, ...]  # those of this head
    classes: int
    scale_xy: float  # how far a center may leave its cell: 1 for not at all
    ignore: float  # IoU with an object above which a box that nobody asked for costs nothing
    also: float  # IoU of sizes above which an anchor answers beside the best one
    box_loss: str
    gains: tuple[float, float, float]  # of the loss of boxes, objectness and classes


Layer = Convolutional | Maxpool | Upsample | Route | Shortcut | Yolo
Shape = tuple[int, int, int]  # channels, height, width


@dataclass(frozen=True)
class Cfg:
    """A network as a file describes it."""

    source: str  # the file
    size: int  # height and width in pixels of the images that it was written for
    layers: tuple[Layer, ...]
    unused: tuple[str, ...]  # options that are darknet's trainer's

    @property
    def heads(self) -> list[tuple[int, Yolo]]:
        """The heads with the numbers of their layers."""
        return [(at, layer) for at, layer in enumerate(self.layers) if isinstance(layer, Yolo)]

    @property
    def classes(self) -> int:
        """How many classes it tells apart."""
        return self.heads[0][1].classes

    def with_classes(self, classes: int) -> "Cfg":
        """Return the same network for another number of classes."""
        layers = list(self.layers)
        for at, head in self.heads:
            before = layers[at - 1]
            assert isinstance(before, Convolutional)
            layers[at - 1] = replace(before, filters=len(head.mask) * (5 + classes))
            layers[at] = replace(head, classes=classes)
        return replace(self, layers=tuple(layers))

    def shapes(self, size: int | None = None) -> list[Shape]:
        """Return the shape of what each layer gives, for images of size x size pixels.

        Raises:
            ConfigError: layers that do not go together, with their lines.
        """
        found: list[Shape] = []
        side = size or self.size
        for at, layer in enumerate(self.layers):
            before = found[at - 1] if at else (3, side, side)
            try:
                found.append(_shape(layer, before, found))
            except ValueError as error:
                raise ConfigError(f"{self.source} line {layer.line}: {error}") from error
        return found

    def strides(self, size: int) -> list[int]:
        """Return the pixels from one cell to the next of each head, for size x size pixels.

        Raises:
            ConfigError: such images do not fall into whole cells.
        """
        shapes = self.shapes(size)
        cells = [shapes[at][1] for at, _ in self.heads]
        if uneven := [number for number in cells if size % number]:
            raise ConfigError(
                f"--image-size {size}: {self.source} makes {uneven[0]} cells a side of it; choose "
                "a size of which a cell is a whole number of pixels, such as 416"
            )
        return [size // number for number in cells]


class _Option(NamedTuple):
    text: str
    line: int


@dataclass(frozen=True)
class _Section:
    kind: str
    line: int
    options: Mapping[str, _Option]


class _Problems:
    """What is wrong with a file, by its lines."""

    def __init__(self, source: str):
        self.source, self.found = source, list[tuple[int, str]]()

    def add(self, line: int, what: str) -> None:
        """Note a problem."""
        self.found.append((line, what))

    def refuse(self) -> None:
        """Raise what was found, if anything was, in the order of the lines."""
        if not self.found:
            return
        lines = [f"{self.source} line {line}: {what}" for line, what in sorted(self.found)]
        more = len(lines) - _LISTED
        raise ConfigError(lines[:_LISTED] + ([f"and {more} more"] if more > 0 else []))


def read(path: Path) -> str:
    """Return the text of a file.

    Raises:
        ConfigError: it cannot be read, or is no text of this size.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigError(f"{path}: larger than 1 MiB, so it is no .cfg of darknet")
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    if b"\0" in content:
        raise ConfigError(f"{path}: no plain text; a .cfg of darknet begins with [net]")
    return content.decode("utf-8-sig", errors="replace")  # beyond ASCII there are comments alone


def parse(text: str, source: str) -> Cfg:
    """Return the network that a text describes.

    Args:
        text: of the file.
        source: what errors call it.

    Raises:
        ConfigError: what is not understood, each with its line.
    """
    problems = _Problems(source)
    sections = list(_sections(text, problems))
    if not sections and not problems.found:
        raise ConfigError(f"{source}: it has no sections; a .cfg of darknet begins with [net]")
    problems.refuse()
    first, *others = sections
    if first.kind != "net":
        problems.add(first.line, f"[{first.kind}]: expected [net] as the first section")
        problems.refuse()
    reader = _Reader(first, problems)
    size = _size(reader)
    unused = list(reader.unused())
    layers: list[Layer | None] = []
    for at, section in enumerate(others):
        reader = _Reader(section, problems)
        layers.append(_make(section, reader, at))
        unused += reader.unused()
    problems.refuse()
    whole = [layer for layer in layers if layer is not None]
    found = Cfg(source, size, tuple(whole), tuple(dict.fromkeys(unused)))
    _check_heads(found, problems)
    problems.refuse()
    found.shapes()
    return found


def resize(text: str, size: int) -> str:
    """Return the text of a network for images of size x size pixels."""
    lines = [line for line in text.splitlines() if not re.match(r"\s*(width|height)\s*=", line)]
    net = next(at for at, line in enumerate(lines) if line.lstrip().startswith("["))
    lines[net + 1 : net + 1] = [f"width={size}", f"height={size}"]
    return "\n".join(lines) + "\n"


def _sections(text: str, problems: _Problems) -> Iterator[_Section]:
    kind, begin, options = "", 0, dict[str, _Option]()
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.split("[#;]", "".join(raw.split()), maxsplit=1)[0]  # as darknet, which skips both
        if not line:
            continue
        if line[0] == "[":
            if kind:
                yield _Section(kind, begin, options)
            kind, begin, options = _kind(line, number, problems), number, {}
            continue
        name, separator, value = line.partition("=")
        if not separator or not name or not value:
            problems.add(number, f"{line!r}: expected [a section] or NAME=VALUE")
        elif not kind:
            problems.add(number, f"{line!r}: stands before the first section, [net]")
        elif name in options:
            problems.add(number, f"{name} is in line {options[name].line} of the section, too")
        else:
            options[name] = _Option(value, number)
    if kind:
        yield _Section(kind, begin, options)


def _kind(line: str, number: int, problems: _Problems) -> str:
    name = line[1:-1] if line.endswith("]") else line[1:]
    kind = _OTHER_NAMES.get(name, name)
    if kind != "net" and kind not in _LAYERS:
        problems.add(
            number,
            f"[{name}]: no layer that is read here; those are {', '.join(_LAYERS)}"
            f"{suggest(name, _LAYERS)}",
        )
    return kind


class _Reader:
    """Takes the options of a section one by one; what nobody took is unknown."""

    def __init__(self, section: _Section, problems: _Problems):
        self.section, self.problems = section, problems
        self._taken: set[str] = set()

    def text(self, name: str) -> str | None:
        """Return an option as it stands, None where it is not given."""
        self._taken.add(name)
        found = self.section.options.get(name)
        return None if found is None else found.text

    def line(self, name: str) -> int:
        """Return the line of an option, or of the section."""
        found = self.section.options.get(name)
        return self.section.line if found is None else found.line

    def refuse(self, name: str, expected: str) -> None:
        """Note that an option has a wrong value."""
        found = self.section.options.get(name)
        given = f"{name}={found.text}" if found else f"[{self.section.kind}] without {name}"
        self.problems.add(self.line(name), f"{given}: expected {expected}")

    def number(self, name: str, default: float, least: float, kind: Callable[[str], Any]) -> Any:
        """Return a number, the default where it is not given or wrong."""
        text = self.text(name)
        if text is None:
            return kind(str(default))
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= least):
            what = "a whole number" if kind is int else "a number"
            self.refuse(name, f"{what} from {least:g} on")
            return kind(str(default))
        return value

    def whole(self, name: str, default: int, least: int = 0) -> int:
        """Return a whole number."""
        return int(self.number(name, default, least, int))

    def real(self, name: str, default: float, least: float = 0) -> float:
        """Return a number."""
        return float(self.number(name, default, least, float))

    def choice(self, name: str, default: str, known: Sequence[str]) -> str:
        """Return one of some words."""
        text = self.text(name) or default
        if text not in known:
            self.refuse(name, f"one of {', '.join(known)}{suggest(text, known)}")
        return text

    def numbers(self, name: str, kind: Callable[[str], Any]) -> list[Any]:
        """Return a list with commas between, which must be there."""
        text = self.text(name)
        try:
            if not text:
                raise ValueError
            found = [kind(each) for each in text.rstrip(",").split(",")]
        except ValueError:
            what = "whole numbers" if kind is int else "numbers"
            self.refuse(name, f"{what} with commas between")
            return []
        return found

    def unused(self) -> Iterator[str]:
        """Refuse what was not taken, and yield what is darknet's trainer's, with its section."""
        kind, options = self.section.kind, self.section.options
        trainer, neutral = _TRAINER.get(kind, ()), _NEUTRAL.get(kind, {})
        for name, (text, line) in options.items():
            if name in self._taken:
                continue
            if name in trainer:
                yield f"{name} of [{kind}]"
            elif name in neutral:
                if not _is(text, neutral[name]):
                    self.problems.add(
                        line, f"{name}={text}: read here is {name}={neutral[name]:g} alone"
                    )
            else:
                known = (*self._taken, *trainer, *neutral)
                self.problems.add(
                    line, f"{name}: no option of [{kind}] that is read here{suggest(name, known)}"
                )


def _is(text: str, value: float) -> bool:
    try:
        return float(text) == value
    except ValueError:
        return False


def _size(reader: _Reader) -> int:
    """Return the side of the images, which are squares here."""
    width, height = (reader.whole(name, 416, 1) for name in ("width", "height"))
    if width != height:
        reader.refuse("height", f"the width, {width}: images are letterboxed into squares here")
    if width % _GRAIN:
        reader.refuse("width", f"a multiple of {_GRAIN}")
    return width


def _make(section: _Section, reader: _Reader, at: int) -> Layer | None:
    """Return the layer of a section, `at` its number; None where it is wrong."""
    line, make = section.line, _MAKERS.get(section.kind)
    if make is None:
        reader.problems.add(line, f"[{section.kind}]: stands after the first section")
        return None
    return make(line, reader, at)


def _convolutional(line: int, reader: _Reader, at: int) -> Layer:
    size = reader.whole("size", 1, 1)
    padding = reader.whole("padding", 0)
    stride = reader.whole("stride", 1, 1)
    for name in ("stride_x", "stride_y"):
        if reader.whole(name, stride, 1) != stride:
            reader.refuse(name, f"the stride, {stride}")
    return Convolutional(
        line,
        filters=reader.whole("filters", 1, 1),
        size=size,
        stride=stride,
        padding=size // 2 if reader.whole("pad", 0) else padding,
        groups=reader.whole("groups", 1, 1),
        normalize=bool(reader.whole("batch_normalize", 0)),
        activation=reader.choice("activation", "logistic", ACTIVATIONS),
    )


def _maxpool(line: int, reader: _Reader, at: int) -> Layer:
    stride = reader.whole("stride", 1, 1)
    for name in ("stride_x", "stride_y"):
        if reader.whole(name, stride, 1) != stride:
            reader.refuse(name, f"the stride, {stride}")
    size = reader.whole("size", stride, 1)
    return Maxpool(line, size, stride, reader.whole("padding", size - 1))


def _upsample(line: int, reader: _Reader, at: int) -> Layer:
    return Upsample(line, reader.whole("stride", 2, 1))


def _route(line: int, reader: _Reader, at: int) -> Layer:
    groups = reader.whole("groups", 1, 1)
    group = reader.whole("group_id", 0)
    if group >= groups:
        reader.refuse("group_id", f"a number below groups, {groups}")
    return Route(line, _referred("layers", reader, at), groups, group)


def _shortcut(line: int, reader: _Reader, at: int) -> Layer:
    for name in ("alpha", "beta"):
        if reader.real(name, 1.0) != 1:
            reader.refuse(name, "1, the plain sum")
    reader.choice("weights_type", "none", ["none"])
    reader.choice("weights_normalization", "none", ["none"])
    activation = reader.choice("activation", "linear", ACTIVATIONS)
    return Shortcut(line, _referred("from", reader, at), activation)


def _referred(name: str, reader: _Reader, at: int) -> tuple[int, ...]:
    """Return the numbers of the layers that an option refers to."""
    found = [number + at if number < 0 else number for number in reader.numbers(name, int)]
    if any(not 0 <= number < at for number in found):
        reader.refuse(name, f"layers before this one, which is layer {at}")
    return tuple(found)


def _yolo(line: int, reader: _Reader, at: int) -> Layer | None:
    number = reader.whole("num", 1, 1)
    values = reader.numbers("anchors", float)
    if len(values) != 2 * number or any(not 0 < value < math.inf for value in values):
        reader.refuse("anchors", f"num={number} pairs of a width and a height")
    text = reader.text("mask")
    mask = tuple(range(number)) if text is None else tuple(reader.numbers("mask", int))
    if any(not 0 <= each < number for each in mask) or len(set(mask)) < len(mask):
        reader.refuse("mask", f"different numbers of anchors, from 0 to {number - 1}")
    iou_gain = reader.real("iou_normalizer", 0.75)
    box_loss = reader.choice("iou_loss", "mse", BOX_LOSSES)
    return Yolo(
        line,
        anchors=tuple(zip(values[::2], values[1::2], strict=False)),
        mask=mask,
        classes=reader.whole("classes", 20, 1),
        scale_xy=reader.real("scale_x_y", 1.0, 1),
        ignore=reader.real("ignore_thresh", 0.5),
        also=reader.real("iou_thresh", 1.0),
        box_loss=box_loss,
        gains=(
            iou_gain,
            reader.real("obj_normalizer", 1.0),
            reader.real("cls_normalizer", 1.0),
        ),
    )


_MAKERS: Mapping[str, Callable[[int, _Reader, int], Layer | None]] = {
    "convolutional": _convolutional,
    "maxpool": _maxpool,
    "route": _route,
    "shortcut": _shortcut,
    "upsample": _upsample,
    "yolo": _yolo,
}


def _check_heads(cfg: Cfg, problems: _Problems) -> None:
    """Refuse heads that do not say of the channels before them what they are."""
    if not cfg.heads:
        raise ConfigError(
            f"{cfg.source}: it has no [yolo], so it finds no boxes; expected a detector such as "
            "yolov3-tiny"
        )
    for at, head in cfg.heads:
        before = cfg.layers[at - 1] if at else None
        if not isinstance(before, Convolutional):
            problems.add(head.line, "[yolo]: expected a [convolutional] before it")
            continue
        needed = len(head.mask) * (5 + head.classes)
        if before.filters != needed:
            problems.add(
                before.line,
                f"filters={before.filters}, but the [yolo] of line {head.line} needs {needed}: "
                f"{len(head.mask)} anchors x (5 + {head.classes} classes)",
            )
        if before.activation != "linear" or before.normalize:
            problems.add(
                before.line,
                "before [yolo] a convolution is read with activation=linear and without "
                "batch_normalize alone",
            )
        if head.classes != cfg.classes:
            first = cfg.heads[0][1]
            problems.add(
                head.line,
                f"classes={head.classes}, but the [yolo] of line {first.line} has {first.classes}",
            )


def _shape(layer: Layer, before: Shape, shapes: Sequence[Shape]) -> Shape:
    """Return the shape of what a layer gives; a ValueError says why it gives nothing."""
    channels, height, width = before
    if isinstance(layer, Convolutional | Maxpool):
        both = layer.padding * (2 if isinstance(layer, Convolutional) else 1)
        sides = [(side + both - layer.size) // layer.stride + 1 for side in (height, width)]
        if min(sides) < 1:
            raise ValueError(f"nothing is left of {height} x {width} numbers")
        if isinstance(layer, Maxpool):
            if layer.padding > layer.size:
                raise ValueError(f"padding={layer.padding} is more than size={layer.size}")
            return channels, sides[0], sides[1]
        if channels % layer.groups or layer.filters % layer.groups:
            raise ValueError(
                f"groups={layer.groups} parts neither {channels} channels nor "
                f"filters={layer.filters} evenly"
            )
        return layer.filters, sides[0], sides[1]
    if isinstance(layer, Upsample):
        return channels, height * layer.stride, width * layer.stride
    if isinstance(layer, Route):
        return _joined(layer, [shapes[at] for at in layer.layers])
    if isinstance(layer, Shortcut):
        for at in layer.layers:
            if shapes[at] != before:
                raise ValueError(
                    f"adds {_sized(shapes[at])} of layer {at} to {_sized(before)}; read here are "
                    "equal shapes alone"
                )
    return before


def _joined(route: Route, shapes: Sequence[Shape]) -> Shape:
    _, height, width = shapes[0]
    for at, (channels, *sides) in zip(route.layers, shapes, strict=True):
        if sides != [height, width]:
            raise ValueError(
                f"puts {height} x {width} of layer {route.layers[0]} beside {sides[0]} x "
                f"{sides[1]} of layer {at}"
            )
        if channels % route.groups:
            raise ValueError(f"groups={route.groups} of {channels} channels of layer {at}")
    return sum(channels for channels, *_ in shapes) // route.groups, height, width


def _sized(shape: Shape) -> str:
    return " x ".join(map(str, shape))
