"""How much of a picture a unit sees: by arithmetic, by trying it out, and in effect.

The theoretical field is all that can change a unit; the effective one is what does. See Araujo,
Norris and Sim 2019, "Computing receptive fields of convolutional neural networks" (Distill), and
Luo, Li, Urtasun and Zemel 2016, "Understanding the effective receptive field in deep convolutional
neural networks".
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from torch import nn

from common import seeding
from common.errors import ConfigError
from common.metrics.metrics import Array
from common.options import terminal
from common.report import plots
from common.report.html import PictureSaver, Section, Table
from common.report.plots import drawable, figure_style, short
from common.runs.folder import Run
from labs.classification import task
from labs.classification.look import layer_calls
from labs.classification.look.layer_calls import Call
from labs.classification.models import build

if TYPE_CHECKING:
    from labs.classification.job import ClassifyImages

_INPUTS, _TOGETHER = 16, 4  # random images whose gradients are averaged, and computed at a time
_TAIL = 1 - 0.9545  # Luo et al., section 4.1: below this share of the largest there is no effect
_HEIGHTS = (32, 64, 96, 128, 224)  # of the strips on which fields are measured
_WIDEST = 2048
_POINTWISE = tuple(f"torch.nn.modules.{name}" for name in ("activation", "batchnorm", "dropout"))
_GLOBAL = nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d | nn.Flatten | nn.Linear
_BLUE, _ORANGE = "#56b4e9", "#e69f00"


@dataclass(frozen=True)
class Field:
    """What the units of a layer see; along an axis, for fields are square.

    A size of None is the whole picture, however large, which has neither a jump nor a start.
    """

    name: str  # of the layer
    place: int  # of its call; see `layer_calls.Call`
    maps: tuple[int, int]  # number and side of its maps
    size: int | None = None  # pixels of the theoretical field
    jump: int = 0  # pixels from the field of a unit to that of its neighbor
    start: float = 0.0  # the middle of the first unit's field; that of the first pixel is 0


def by_arithmetic(found: Sequence[Call]) -> list[Field] | None:
    """Return the fields of convolutions and poolings that follow one another, to the last of them.

    A layer with a window of k pixels, d apart, in steps of s, on maps with p zeros around them, on
    a layer with the field r, the jump j and the start c has the field r + (k - 1) d j, the jump s j
    and the start c + ((k - 1) d / 2 - p) j (Araujo et al., equations 2 to 4).

    Returns:
        A field for each convolution and pooling; None where something else happens between them,
        such as a skip connection.
    """
    leaves = [call for call in found if not any(call.module.children())]
    fields: list[Field] = []
    size, jump, start = 1, 1, 0.0
    for before, call in zip([None, *leaves], leaves, strict=False):
        if call.output.ndim != 4 or isinstance(call.module, _GLOBAL):
            # What is weighed by the whole picture, and goes on as maps, is no chain.
            return (
                None
                if any(each.place > call.place and each.side > 1 for each in leaves)
                else fields
            )
        given, version = call.given
        if before is not None and (given is not before.output or version != before.version):
            return None
        window = _window(call.module)
        if window is None:
            if not _is_pointwise(call.module):
                return None
            continue
        kernel, stride, padding, dilation = window
        reach = dilation * (kernel - 1)
        size, start = size + reach * jump, start + (reach / 2 - padding) * jump
        jump *= stride
        maps = call.output.shape[1], call.output.shape[3]
        fields.append(Field(call.name, call.place, maps, size, jump, start))
    return fields


def _is_pointwise(module: nn.Module) -> bool:
    """Say whether a unit of the output sees one place of the input, in whatever channels."""
    known = isinstance(module, nn.Identity | nn.LocalResponseNorm)
    return known or type(module).__module__ in _POINTWISE


def _window(module: nn.Module) -> tuple[int, int, int, int] | None:
    """Return kernel, stride, padding and dilation of a square window."""
    if not isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        return None
    values = [getattr(module, name, 1) for name in ("kernel_size", "stride", "padding", "dilation")]
    sides = [value[-1] if isinstance(value, tuple) else value for value in values]
    if sides[2] in ("same", "valid"):
        sides[2] = sides[3] * (sides[0] - 1) // 2 if sides[2] == "same" else 0
    kernel, stride, padding, dilation = map(int, sides)
    return kernel, stride, padding, dilation


def by_trial(model: nn.Module, channels: int, image_size: int) -> list[Field]:
    """Return the fields of a model's stages, whatever is in them, by trying what they depend on.

    A NaN goes through everything that touches it: convolutions whatever their weights, poolings,
    sums, attention. So what can change a unit is found exactly, by bisection, where gradients miss
    what a ReLU cuts off or what is too small for a float. Strips wider than the picture are tried,
    so that the picture's border does not cut a field off. The model is in evaluation mode, on the
    CPU; its weights do not matter.
    """
    stages = layer_calls.stages(layer_calls.trace(model, channels, image_size))
    if not stages:
        return []
    last = stages[-1].place
    height, width = _strip(model, channels, image_size, last)
    shapes = _shapes(model, channels, height, width, last)
    sides = [shapes[stage.place] for stage in stages]
    units = [(stage.place, h // 2, w // 2) for stage, (h, w) in zip(stages, sides, strict=True)]
    before = [(place, row, column - 1) for place, row, column in units]

    def touched(columns: slice, units: Sequence[tuple[int, int, int]]) -> list[bool]:
        """Say which units the columns touch."""
        pixels = torch.zeros(1, channels, height, width)
        pixels[..., columns] = math.nan
        with torch.no_grad():
            found = layer_calls.calls(model, pixels, last)
        return [bool(found[place].output[0, :, y, x].isnan().any()) for place, y, x in units]

    left = _largest_untouched(lambda k: touched(slice(k), [*units, *before]), 2 * len(units), width)
    right = _largest_untouched(lambda k: touched(slice(width - k, None), units), len(units), width)
    fields = []
    for stage, (_, _, unit), low, high, lower in zip(
        stages, units, left, right, left[len(units) :], strict=False
    ):
        maps = stage.output.shape[1], stage.side
        if 0 in (low, high, lower):  # the strip, like the picture, is too narrow for the field
            fields.append(Field(stage.name, stage.place, maps))
            continue
        jump = low - lower
        middle = (low + width - 1 - high) / 2
        fields.append(
            Field(stage.name, stage.place, maps, width - low - high, jump, middle - unit * jump)
        )
    return fields


def _strip(model: nn.Module, channels: int, image_size: int, last: int) -> tuple[int, int]:
    """Return the height and width of a strip in which the last stage's field has room.

    It is the picture's own size for models that take no other.
    """
    height = next((h for h in _HEIGHTS if _shapes(model, channels, h, 256, last)), None)
    if height is None:
        return image_size, image_size
    width = 256
    while width < _WIDEST:
        pixels = torch.zeros(1, channels, height, width)
        pixels[..., [0, -1]] = math.nan
        with torch.no_grad():
            maps = layer_calls.calls(model, pixels, last)[last].output
        if not maps[0, :, maps.shape[2] // 2, maps.shape[3] // 2].isnan().any():
            break
        width *= 2
    return height, width


def _shapes(
    model: nn.Module, channels: int, height: int, width: int, last: int
) -> dict[int, tuple[int, int]]:
    """Return the height and width of all maps for such images; {} where they do not go through."""
    try:
        found = layer_calls.trace(model, channels, height, width, last)
    except (AssertionError, RuntimeError, ValueError):
        return {}
    maps = {call.place: call.output.shape for call in found if call.output.ndim == 4}
    return {place: (shape[2], shape[3]) for place, shape in maps.items()}


def _largest_untouched(touched: Callable[[int], list[bool]], count: int, width: int) -> list[int]:
    """Return for each of `count` units how many columns from an end do not touch it."""
    low, high = [0] * count, [width] * count
    while max(gaps := [b - a for a, b in zip(low, high, strict=True)]) > 1:
        unit = gaps.index(max(gaps))
        middle = (low[unit] + high[unit]) // 2
        for i, is_touched in enumerate(touched(middle)):
            if is_touched:
                high[i] = min(high[i], middle)
            else:
                low[i] = max(low[i], middle)
    return low


# --- in effect ----------------------------------------------------------------------------------


def effective(
    model: nn.Module, places: Sequence[int], channels: int, image_size: int, seed: int
) -> dict[int, Array]:
    """Return how much each pixel changes the central unit of layers, for random images.

    It is the root mean square of the gradient over 16 images of normal noise (as pictures are after
    normalization), over the input's channels and over the layer's maps, of which a sum with random
    signs is taken: the mean of its square is the sum of squares. The seed names images and signs;
    the model is in evaluation mode, and the places are of the calls that give the layers' maps.

    Returns:
        (image_size, image_size) for each place.
    """
    generator = seeding.generator(seed, seeding.SAMPLE)
    device = next(model.parameters()).device
    squares = {place: torch.zeros(image_size, image_size) for place in places}
    for _ in range(_INPUTS // _TOGETHER):
        shape = (_TOGETHER, channels, image_size, image_size)
        images = torch.randn(shape, generator=generator).to(device).requires_grad_()
        found = layer_calls.calls(model, images, max(places))
        for place in places:
            maps = found[place].output
            units = maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2]
            signs = torch.randint(2, units.shape, generator=generator).mul(2).sub(1).to(device)
            [gradient] = torch.autograd.grad((units * signs).sum(), images, retain_graph=True)
            squares[place] += gradient.square().sum((0, 1)).cpu()
    return {
        place: square.div(_INPUTS * channels).sqrt().numpy() for place, square in squares.items()
    }


def effective_side(strength: Array) -> float:
    """Return the side of a square with as many pixels as have an effect.

    Those have it whose gradient is above 4.55 % of the largest: of a Gaussian, what lies within two
    and a half standard deviations (Luo et al., section 4.1, who name it 1 - 95.45 %).
    """
    return math.sqrt(np.count_nonzero(_effects(strength)))


def _effects(strength: Array) -> Array:
    return np.asarray(strength > _TAIL * strength.max())


# --- both ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Survey:
    """What a model's layers see of pictures.

    The strengths say how much each pixel changes the central unit, for the last layer of each
    stage, by the place of the layer's call; see `effective`.
    """

    name: str
    image_size: int  # the side of the pictures in pixels
    fields: Sequence[Field]  # of the layers
    strengths: dict[int, Array]
    arithmetic: bool  # whether the fields are computed; else they were tried out


def of_model(name: str, channels: int, image_size: int, seed: int) -> Survey:
    """Return what the layers of a new model see; its weights are those of the seed.

    Raises:
        ConfigError: there is no such model, it takes no such images, or it has no maps.
    """
    seeding.seed_weights(seed)
    return survey(build.build(name, channels, image_size, 10), name, channels, image_size, seed)


def of_run(job: "ClassifyImages", seed: int) -> Survey:
    """Return what the layers of a trained model on the CPU see; see `effective` for the seed.

    Raises:
        ConfigError: the model has no maps.
    """
    size = task.augmentation(job.config, job.card).output_size(job.card.image_size)
    return survey(job.model, job.config.title, job.card.channels, size, seed)


def survey(model: nn.Module, name: str, channels: int, image_size: int, seed: int = 0) -> Survey:
    """Return what the layers of a model see; its weights matter for the effective field alone.

    The name is for messages; see `effective` for the seed.

    Raises:
        ConfigError: the model has no maps.
    """
    model = model.eval()
    found = layer_calls.trace(model, channels, image_size)
    chain = by_arithmetic(found)
    fields = by_trial(model, channels, image_size) if chain is None else chain
    ends = {
        field.maps[1]: (field.place, stage.place)
        for stage in layer_calls.stages(found)
        for field in fields
        if field.place <= stage.place and field.maps[1] == stage.side
    }
    if not ends:
        raise ConfigError(
            f"{name} has no convolution or pooling: each of its units sees the whole picture; "
            "choose a model such as lenet5"
        )
    measured = effective(model, [place for _, place in ends.values()], channels, image_size, seed)
    strengths = {layer: measured[place] for layer, place in ends.values()}
    return Survey(name, image_size, fields, strengths, chain is not None)


def records(found: Survey) -> list[dict[str, object]]:
    """Return a row for each layer; fields, jumps and starts in pixels."""
    return [
        {
            "layer": field.name,
            "maps": "{0}x{1}x{1}".format(*field.maps),
            "field": "all" if field.size is None else field.size,
            "jump": field.jump if field.size else None,
            "start": field.start if field.size else None,
            "effective field": (
                round(effective_side(found.strengths[field.place]), 1)
                if field.place in found.strengths
                else None
            ),
        }
        for field in found.fields
    ]


def save(found: Survey, path: Path) -> None:
    """Draw what the layers see into a file.

    Raises:
        SaveError: it cannot be written.
    """
    plots.save(draw(found), path)
    terminal.note(f"picture: {path}")


def section(found: Survey, run: Run) -> Section:
    """Return what the report of a run says of it, with a picture in the run's figures."""
    how = (
        "The theoretical field of a layer, all that can change one of its units, is computed from "
        "the windows, steps and borders of the layers below it"
        if found.arithmetic
        else "The theoretical field of a stage, all that can change one of its units, is found by "
        "trying which pixels reach it, in pictures that are wide enough"
    )
    text = (
        f"{how}. The jump is the distance in pixels from a unit's field to that of its neighbor, "
        "the start the middle of the first unit's field. What does change a unit is less: pixels "
        "in the middle of the field reach it on more ways than those at the edge. The effective "
        "field is measured with the gradient of the central unit, for 16 images of random noise; "
        "its side is that of a square with as many pixels as have a gradient above 4.55 % of the "
        "largest (Luo et al. 2016)."
    )
    caption = (
        "Bright: what changes the central unit. Dashed: the theoretical field; solid: effective."
    )
    return Section(
        "Receptive fields",
        text,
        Table.of(records(found), text=_text),
        (PictureSaver(run.figures)("receptive_field", caption, draw(found)),),
    )


def _text(value: object) -> str:
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


@figure_style()
def draw(found: Survey) -> Figure:
    """Draw the effective field of each stage, and the theoretical one around it."""
    fields = [field for field in found.fields if field.place in found.strengths]
    columns = min(4, len(fields))
    lines = math.ceil(len(fields) / columns)
    figure = Figure(figsize=(2.8 * columns, 3.2 * lines + 0.8), layout="constrained")
    panels = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axes in panels[len(fields) :]:
        axes.set_axis_off()
    for axes, field in zip(panels, fields, strict=False):
        _draw_field(axes, field, found.strengths[field.place])
    size = f"{found.image_size}x{found.image_size}"
    figure.suptitle(
        f"{drawable(found.name)} on {size} pixels: what the central units see", fontsize=11
    )
    key = "dashed: all that can change the unit; solid: what does; in pixels"
    figure.supxlabel(key, fontsize=9)
    return figure


def _draw_field(axes: Axes, field: Field, strength: Array) -> None:
    side, image_size = effective_side(strength), len(strength)
    middle = (image_size - 1) / 2
    theoretical = "the whole picture"
    if field.size is not None:
        middle = field.start + field.maps[1] // 2 * field.jump
        theoretical = f"theoretical {field.size}"
        theoretical += " (more than the picture)" if field.size > image_size else ""
    half = (field.size or image_size) / 2
    # Where the picture's border cuts a field off, the middle of what is left is another.
    row, column = (float(places.mean()) for places in np.nonzero(_effects(strength)))
    axes.imshow(strength, cmap="magma", vmin=0, interpolation="nearest")
    _square(axes, middle, middle, half, color=_BLUE, linestyle="--")
    _square(axes, column, row, side / 2, color=_ORANGE)
    margin = 0.03 * image_size
    low = max(-0.5 - margin, middle - 1.3 * half - 1)
    high = min(image_size - 0.5 + margin, middle + 1.3 * half + 1)
    axes.set(xlim=(low, high), ylim=(high, low))
    layer = f"{short(drawable(field.name), 24)}: {field.maps[1]}x{field.maps[1]}"
    axes.set_title(f"{layer}\n{theoretical}\neffective {side:.1f}", fontsize=9)
    axes.grid(visible=False)
    axes.tick_params(labelsize=7)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, integer=True))


def _square(axes: Axes, x: float, y: float, half: float, **style: Any) -> None:
    corner = x - half, y - half
    axes.add_patch(Rectangle(corner, 2 * half, 2 * half, fill=False, linewidth=1.4, **style))
