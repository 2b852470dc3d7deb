"""Per-sample random transforms of whole image batches, on the device.

A transform keeps no state and draws nothing: its randomness is a table of uniform numbers, one row
per sample, that the caller takes from `seeding.uniforms`. Row i of the result depends on image i
and row i of the table only, so an image gets the same augmentation in every batch. Another batch
size may sum an image (`Color`, `Erase`) in another order, which moves values by a rounding error.

    transforms = parse(["pad-crop:2", "affine:10"])
    pipeline = Pipeline(transforms, mean=(0.1307,), std=(0.3081,))
    numbers = seeding.uniforms(seed, epoch, size, pipeline.columns)
    batch = pipeline(images[rows], numbers[start:stop])  # in evaluation: None for the numbers
"""

import math
from collections.abc import Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from common.errors import ConfigError, DataError
from common.suggest import suggest

_ASPECT = 0.3  # the flattest rectangle that `Erase` draws, r1 in its paper


def _limited(
    low: float, high: float, *, example: float, below: bool = False, required: bool = False
) -> Any:
    """Declare a parameter between limits; the example is its default unless it is required."""
    limits = {"low": low, "high": high, "below": below, "example": example}
    return field(default=MISSING if required else example, metadata=limits)


def _problem(parameter: "Field[Any]", value: object) -> str | None:
    """Say what is wrong with a value of a parameter; None if nothing is."""
    low, high, below = (parameter.metadata[key] for key in ("low", "high", "below"))
    kinds = int if parameter.type is int else (int, float)
    if isinstance(value, kinds) and low <= value <= high and not (below and value == high):
        return None
    kind = "an integer" if parameter.type is int else "a number"
    limits = f"from {low:g} to {'below ' if below else ''}{high:g}"
    expected = limits if high < math.inf else f"of at least {low:g}"
    return f"{parameter.name} must be {kind} {expected}, not {value}"


@dataclass(frozen=True)
class Transform:
    """Base of the transforms of a batch.

    Raises:
        ConfigError: on construction, if parameters are out of range; it names all of them.
    """

    columns: ClassVar[int] = 0
    """How many uniform numbers in [0, 1) a sample takes."""

    def __post_init__(self) -> None:
        if problems := self._problems():
            raise ConfigError(problems)

    def _problems(self) -> list[str]:
        found = (_problem(parameter, getattr(self, parameter.name)) for parameter in fields(self))
        return [problem for problem in found if problem]

    def __call__(self, images: Tensor, numbers: Tensor | None) -> Tensor:
        """Transform a batch; in evaluation, where there are no numbers, most change nothing.

        Args:
            images: float values in [0, 1] of shape (B, C, H, W); they are not changed in place.
            numbers: float32 in [0, 1) of shape (B, columns), row i for image i, on the images'
                device; None for evaluation.

        Returns:
            Images of shape (B, C, H', W') with values in [0, 1].
        """
        return images if numbers is None else self._change(images, numbers)

    def _change(self, images: Tensor, numbers: Tensor) -> Tensor:
        raise NotImplementedError

    def output_size(self, image_size: int) -> int:
        """Return the side in pixels that an image side of `image_size` pixels gets.

        Raises:
            ConfigError: if the transform needs a larger image.
        """
        return image_size


def _windows(images: Tensor, height: int, width: int, numbers: Tensor) -> Tensor:
    """Cut a window out of each image, (B, C, height, width), at a uniform place of its own."""
    windows = images.unfold(2, height, 1).unfold(3, width, 1)
    rows = torch.arange(len(images), device=images.device)
    top = (numbers[:, 0] * windows.shape[2]).long()
    left = (numbers[:, 1] * windows.shape[3]).long()
    return windows[rows, :, top, left]


@dataclass(frozen=True)
class PadCrop(Transform):
    """Pad each side with zeros and crop back at a random place; evaluation changes nothing.

    The usual augmentation of CIFAR-10 (He et al. 2016, "Deep residual learning for image
    recognition", section 4.2).
    """

    columns: ClassVar[int] = 2
    padding: int = _limited(1, math.inf, example=4)  # pixels on each side

    def _change(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Shift each image; the numbers are its vertical and its horizontal place."""
        padded = functional.pad(images, [self.padding] * 4)
        return _windows(padded, images.shape[2], images.shape[3], numbers)


@dataclass(frozen=True)
class Crop(Transform):
    """Crop to a square at a random place; evaluation takes the center."""

    columns: ClassVar[int] = 2
    size: int = _limited(1, math.inf, example=52, required=True)  # side of the square in pixels

    def __call__(self, images: Tensor, numbers: Tensor | None) -> Tensor:
        """Crop to (B, C, size, size); the numbers are the vertical and the horizontal place.

        Raises:
            ConfigError: if an image side is shorter than the crop.
        """
        height, width = map(int, images.shape[2:])  # also where the network is traced
        self.output_size(min(height, width))
        if numbers is not None:
            return _windows(images, self.size, self.size, numbers)
        top, left = round((height - self.size) / 2), round((width - self.size) / 2)
        return images[:, :, top : top + self.size, left : left + self.size]

    @override
    def output_size(self, image_size: int) -> int:
        if image_size < self.size:
            raise ConfigError(
                f"crop:{self.size} needs images of at least {self.size} pixels a side, "
                f"given {image_size}; try crop:{image_size} or less, or larger images"
            )
        return self.size


@dataclass(frozen=True)
class _Flip(Transform):
    columns: ClassVar[int] = 1
    dimension: ClassVar[int]
    p: float = _limited(0, 1, example=0.5)  # probability

    def _change(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Flip the images whose number is below p."""
        chosen = numbers[:, :, None, None] < self.p
        return torch.where(chosen, images.flip(self.dimension), images)


class HorizontalFlip(_Flip):
    """Swap left and right with probability p; evaluation changes nothing."""

    dimension = 3


class VerticalFlip(_Flip):
    """Swap top and bottom with probability p; evaluation changes nothing."""

    dimension = 2


def _pixel_centers(size: int, like: Tensor) -> Tensor:
    """Return the centers of a side's pixels where the image spans [-1, 1] (align_corners=False)."""
    return torch.linspace(1 / size - 1, 1 - 1 / size, size, device=like.device)


@dataclass(frozen=True)
class Affine(Transform):
    """Rotate, shift, scale and shear about the center; evaluation changes nothing.

    Bilinear, with zeros outside. Conventions are those of torchvision's `v2.functional.affine`; as
    in its `RandomAffine` with one number for the shear, that is horizontal. Unlike there, shifts
    are not rounded to whole pixels.
    """

    columns: ClassVar[int] = 5
    degrees: float = _limited(0, 180, example=10.0)  # rotation is uniform in +-degrees, clockwise
    translate: float = _limited(0, 1, example=0.1)
    """Shifts are uniform in +-translate, as fractions of the width and of the height."""
    scale: float = _limited(0, 1, below=True, example=0.1)  # the scale is uniform in 1 +- scale
    shear: float = _limited(0, 90, below=True, example=0.0)
    """The horizontal shear is uniform in +-shear degrees."""

    def _change(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Warp each image; the numbers are angle, shift right, shift down, scale and shear."""
        return functional.grid_sample(images, self._grid(images, numbers), align_corners=False)

    @cached_property
    def _limits(self) -> Tensor:
        """Lower and upper ends, (2, columns): radians, half sides, half sides, factor, radians."""
        center = torch.tensor([0.0, 0.0, 0.0, 1.0, 0.0])
        angle, shear = math.radians(self.degrees), math.radians(self.shear)
        reach = torch.tensor([angle, 2 * self.translate, 2 * self.translate, self.scale, shear])
        return torch.stack([center - reach, center + reach])

    def _grid(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Return where each output pixel comes from: (x, y) in [-1, 1] of shape (B, H, W, 2).

        The position is the inverse map M (p - shift): a term of the column plus a term of the row.
        Their broadcast sum is many times faster than `affine_grid` on a CPU, and with no matrix
        product there is none that a device could round to a lower precision.
        """
        height, width = images.shape[2:]
        low, high = self._limits.to(numbers.device, non_blocking=True)
        angle, right, down, scale, shear = torch.lerp(low, high, numbers)[:, :, None].unbind(1)
        cos, sin, tan = angle.cos() / scale, angle.sin() / scale, shear.tan()
        x, y = _pixel_centers(width, images) - right, _pixel_centers(height, images) - down
        # Coordinates are in half sides, so that a term from the other axis takes their ratio.
        column = torch.stack([(cos - sin * tan) * x, sin * (-width / height) * x])
        row = torch.stack([(sin + cos * tan) * (height / width) * y, cos * y])
        return (column[:, :, None, :] + row[:, :, :, None]).permute(1, 2, 3, 0)


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """Return other + factor (images - other) within [0, 1]; factors are of shape (B,)."""
    return (images - other).mul_(factor[:, None, None, None]).add_(other).clamp_(0, 1)


def luminance(images: Tensor) -> Tensor:
    """Return RGB images as grey ones, (B, 1, H, W), weighed as ITU-R BT.601; others as they are."""
    if images.shape[1] != 3:
        return images
    red, green, blue = images.unbind(1)
    return (0.2989 * red + 0.587 * green + 0.114 * blue)[:, None]


@dataclass(frozen=True)
class Color(Transform):
    """Change brightness, then contrast, then saturation; evaluation changes nothing.

    Each is that of torchvision's `adjust_brightness`, `adjust_contrast` and `adjust_saturation`,
    with values kept in [0, 1] after each. The order is always this one. Only images of three
    channels, RGB, have a saturation. Each of the three factors is uniform in 1 +- strength.
    """

    columns: ClassVar[int] = 3
    strength: float = _limited(0, 1, example=0.2)

    def _change(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Change each image; the numbers are its brightness, contrast and saturation."""
        brightness, contrast, saturation = (1 + (numbers * 2 - 1) * self.strength).unbind(1)
        images = (images * brightness[:, None, None, None]).clamp_(0, 1)
        images = _blend(images, luminance(images).mean((1, 2, 3), keepdim=True), contrast)
        if images.shape[1] != 3:
            return images
        return _blend(images, luminance(images), saturation)


def _span(size: int, fraction: Tensor, place: Tensor) -> Tensor:
    """Mark a stretch of a side: a mask (B, size) from its length as a fraction and its place."""
    length = (fraction * size).round()
    start = (place * (size - length + 1)).floor()
    pixels = torch.arange(size, device=place.device)
    return (pixels >= start[:, None]) & (pixels < (start + length)[:, None])


@dataclass(frozen=True)
class Erase(Transform):
    """Fill a random rectangle with the image's mean color; evaluation changes nothing.

    Zhong et al. 2017, "Random erasing data augmentation", algorithm 1, with two differences. Height
    over width is log-uniform in 0.3 to 1/0.3, times that of the image, within what fits: nothing
    has to be drawn twice. The fill is the image's mean per channel: it keeps the brightness about
    as it was, and unlike zero it shows on the black background of drawn digits.
    """

    columns: ClassVar[int] = 5
    p: float = _limited(0, 1, example=0.5)  # probability
    low: float = _limited(0, 1, example=0.02)
    """Smallest area, as a fraction of the image (before sides are rounded to pixels)."""
    high: float = _limited(0, 1, example=0.2)  # largest area

    def _problems(self) -> list[str]:
        problems = super()._problems()
        if not problems and self.low > self.high:
            problems.append(f"low must be at most high, not {self.low} with a high of {self.high}")
        return problems

    def _change(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Erase where the first number is below p; the others are area, aspect, top and left."""
        first, area, aspect, top, left = numbers.unbind(1)
        area = self.low + area * (self.high - self.low)
        flattest = area.clamp(min=_ASPECT).log()
        root = ((2 * aspect - 1) * flattest / 2).exp()
        side = area.sqrt()
        rows = _span(images.shape[2], side * root, top) & (first < self.p)[:, None]
        columns = _span(images.shape[3], side / root, left)
        erased = rows[:, None, :, None] & columns[:, None, None, :]
        return torch.where(erased, images.mean((2, 3), keepdim=True), images)


AUGMENTATIONS: dict[str, type[Transform]] = {
    "affine": Affine,
    "color": Color,
    "crop": Crop,
    "erase": Erase,
    "hflip": HorizontalFlip,
    "pad-crop": PadCrop,
    "vflip": VerticalFlip,
}


class Pipeline:
    """Transforms one after the other, then normalisation: what a model is fed.

    Args:
        transforms: applied in this order.
        mean: a value per channel, of images in [0, 1].
        std: a positive value per channel, of images in [0, 1].

    Raises:
        ConfigError: if mean and std do not give each channel a value and a positive value.
    """

    def __init__(
        self, transforms: Sequence[Transform], mean: Sequence[float], std: Sequence[float]
    ):
        if len(mean) != len(std) or not all(0 < value < math.inf for value in std):
            raise ConfigError(
                "mean and std must have one value per channel, and each std must be positive, "
                f"not mean {tuple(mean)} and std {tuple(std)}; (0.5,) and (0.5,) do for grey images"
            )
        self.transforms = tuple(transforms)
        self.columns = sum(transform.columns for transform in self.transforms)
        """How many uniform numbers in [0, 1) a sample takes."""
        self._mean = torch.tensor(mean, dtype=torch.float32)[:, None, None]
        self._std = torch.tensor(std, dtype=torch.float32)[:, None, None]

    def __call__(self, images: Tensor, numbers: Tensor | None) -> Tensor:
        """Augment and normalise a batch.

        Args:
            images: uint8, or float values in [0, 1], of shape (B, C, H, W); they are not changed in
                place.
            numbers: float32 in [0, 1) of shape (B, columns), row i for image i, on the images'
                device; None for evaluation.

        Returns:
            float32 of shape (B, C, H', W').

        Raises:
            ConfigError: if a crop is larger than the images.
            DataError: if the images have another number of channels than the mean.
        """
        if images.shape[1] != len(self._mean):
            raise DataError(
                f"images must have {len(self._mean)} channels, as mean and std have, "
                f"not {images.shape[1]}; convert them or give one mean and std per channel"
            )
        images = images / 255 if images.dtype == torch.uint8 else images.float()
        for transform, columns in zip(self.transforms, self._split(numbers), strict=True):
            images = transform(images, columns)
        mean, std = (each.to(images.device, non_blocking=True) for each in (self._mean, self._std))
        return images.sub(mean).div_(std)

    def output_size(self, image_size: int) -> int:
        """Return the side in pixels that an image side of `image_size` pixels gets.

        Raises:
            ConfigError: if a crop is larger than the image.
        """
        for transform in self.transforms:
            image_size = transform.output_size(image_size)
        return image_size

    def _split(self, numbers: Tensor | None) -> Sequence[Tensor | None]:
        if numbers is None:
            return [None] * len(self.transforms)
        widths = [transform.columns for transform in self.transforms]
        return torch.split(numbers, widths, dim=1)


def parse(specs: Sequence[str]) -> tuple[Transform, ...]:
    """Read transforms as they are given on the command line.

    A spec is a name of `AUGMENTATIONS` and, after colons, arguments of its class in their order:
    "affine", "affine:15", "affine:15:0.1:0.1", "crop:52".

    Raises:
        ConfigError: with every problem of every spec.
    """
    transforms, problems = [], []
    for spec in specs:
        try:
            transforms.append(_transform(spec))
        except ConfigError as error:
            problems += [f'augmentation "{spec}": {problem}' for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    return tuple(transforms)


def example(name: str) -> str:
    """Return the spec of a transform with all its values, such as affine:10:0.1:0.1:0."""
    values = [f"{parameter.metadata['example']:g}" for parameter in fields(AUGMENTATIONS[name])]
    return ":".join([name, *values])


def _transform(spec: str) -> Transform:
    name, *texts = spec.split(":")
    if name not in AUGMENTATIONS:
        hint = suggest(name, AUGMENTATIONS, 'did you mean "{}"? ')
        raise ConfigError(f"unknown name; {hint}known: {', '.join(AUGMENTATIONS)}")
    parameters = fields(AUGMENTATIONS[name])
    like = f"example: {example(name)}"
    required = sum(parameter.default is MISSING for parameter in parameters)
    if not required <= len(texts) <= len(parameters):
        names = ", ".join(parameter.name for parameter in parameters)
        amount = f"{required} to {len(parameters)}" if required < len(parameters) else f"{required}"
        raise ConfigError(f"expected {amount} value(s) ({names}), not {len(texts)}; {like}")
    values = [_number(parameter, text) for parameter, text in zip(parameters, texts, strict=False)]
    try:
        return AUGMENTATIONS[name](*values)
    except ConfigError as error:
        raise ConfigError([f"{problem}; {like}" for problem in error.problems]) from None


def _number(parameter: "Field[Any]", text: str) -> int | float | str:
    """Return the text as a number, or quoted: the transform refuses that with all else."""
    try:
        return int(text) if parameter.type is int else float(text)
    except ValueError:
        return repr(text)
