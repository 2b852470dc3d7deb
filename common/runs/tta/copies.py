"""Test-time augmentation: an image's answer averaged with those of changed copies of it.

Which copies there are is named on the command line, or follows from the changes that a run was
trained with; nothing is drawn at random.

    copies = parse("hflip,shift:1", transforms, image_size=28)
    outputs = answer(network, images, copies, average("class"))

Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural networks", section
4.1, averaged what a network says of five crops and of their mirror images.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from common.errors import ConfigError
from common.images.augment import Affine, Crop, HorizontalFlip, PadCrop, Transform, VerticalFlip
from common.options.config import Kind
from common.suggest import suggest

AUTO = "auto"
EXAMPLES = {  # of each way to change a copy, as it is given on the command line
    "hflip": "hflip",
    "vflip": "vflip",
    "shift": "shift:1",
    "scale": "scale:1.1",
    "crop": "crop",
}
_SHIFTED = 64  # pixels of a side for each of which copies are shifted by one, where none is known
_FACTORS = (0.5, 2.0)  # between which copies are scaled

Outputs = Mapping[str, Tensor]
T = TypeVar("T")


def _keep(outputs: Outputs) -> Outputs:
    return outputs


class Copy(NamedTuple):
    """A changed copy of each image."""

    name: str
    change: Callable[[Tensor], Tensor]  # of uint8 images (N, C, S, S); they stay as they are
    back: Callable[[Outputs], Outputs] = _keep  # from answers for copies to those for the images


def answer(
    network: Callable[[Tensor], Outputs],
    images: Tensor,
    copies: Sequence[Copy],
    merge: Callable[[Sequence[Outputs]], Outputs],
) -> Outputs:
    """Return what a network says of images and of copies of them, made one.

    Args:
        network: what it says of uint8 images (N, C, S, S), a row for each.
        images: uint8 (N, C, S, S).
        copies: of each; without any, the network's own answers are returned as they are.
        merge: makes one of the answers for the images and, in their order, for the copies.
    """
    plain = network(images)
    if not copies:
        return plain
    return merge([plain, *(copy.back(network(copy.change(images))) for copy in copies)])


def average(kind: Kind, answers: Sequence[Outputs]) -> Outputs:
    """Return outputs (N, C) or (N,) whose probabilities, or numbers, are the mean of several.

    Args:
        kind: what targets are: of a class, outputs are logits of which one is true; of labels,
            logits of each by itself; of a number, the number.
        answers: each with its `outputs`.
    """
    every = torch.stack([each["outputs"] for each in answers]).double()
    if kind == "number":
        return {"outputs": every.mean(0).float()}
    if kind == "class":
        return {"outputs": _log_mean(every.log_softmax(-1)).float()}
    said, denied = (_log_mean(functional.logsigmoid(each)) for each in (every, -every))
    return {"outputs": (said - denied).float()}


def _log_mean(logs: Tensor) -> Tensor:
    """Return the logarithm of the mean of several (K, ...), which are given by logarithms."""
    return logs.logsumexp(0) - math.log(len(logs))


# --- which copies there are ---------------------------------------------------------------------


def parse(spec: str, transforms: Sequence[Transform], image_size: int) -> tuple[Copy, ...]:
    """Return the copies that a text names: `auto`, or ways with commas between.

    Args:
        spec: such as "hflip,shift:1": see `EXAMPLES`.
        transforms: what a run was trained with.
        image_size: the side in pixels of the images that it takes.

    Raises:
        ConfigError: with every problem.
    """
    suited = suit(transforms, image_size)
    return make_each(spec, suited, lambda word: _copies(word, transforms, image_size))


def make_each(
    spec: str, suited: Sequence[str], make: Callable[[str], Sequence[T]]
) -> tuple[T, ...]:
    """Return the copies of the ways that a text names, each way once.

    Args:
        spec: the ways, with commas between.
        suited: those that `auto` stands for.
        make: returns the copies of one.

    Raises:
        ConfigError: with every problem.
    """
    made: list[T] = []
    problems = []
    given = [word.strip() for word in spec.split(",")]
    words = [word for each in given for word in (suited if each == AUTO else [each])]
    for word in dict.fromkeys(words):
        try:
            made += make(word)
        except ConfigError as error:
            problems += [f"--tta {word}: {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    return tuple(made)


def suit(transforms: Sequence[Transform], image_size: int) -> list[str]:
    """Return the ways that suit what a run was trained with: about half as far as it went.

    Images are mirrored only if training mirrored them: a mirrored digit may be none. Without
    changes that say more, copies are shifted a little.
    """
    found: dict[type[Transform], list[str]] = {}
    for each in transforms:
        match each:
            case HorizontalFlip(p=p) if p > 0:
                found[HorizontalFlip] = ["hflip"]
            case VerticalFlip(p=p) if p > 0:
                found[VerticalFlip] = ["vflip"]
            case Crop(size=size) if size < image_size:
                found[Crop] = ["crop"]
            case PadCrop(padding=padding):
                found[PadCrop] = [f"shift:{max(1, padding // 2)}"]
            case Affine(translate=translate, scale=scale):
                shift = round(translate * image_size / 2)
                found[Affine] = [f"shift:{shift}"] if shift else []
                if scale:
                    found[Affine] += [f"scale:{1 + scale / 2:.4g}", f"scale:{1 - scale / 2:.4g}"]
    return [word for words in found.values() for word in words] or [shift_little(image_size)]


def shift_little(image_size: int) -> str:
    """Return the way that suits where nothing is known of the images: a shift by few pixels."""
    return f"shift:{max(1, round(image_size / _SHIFTED))}"


def _copies(spec: str, transforms: Sequence[Transform], image_size: int) -> list[Copy]:
    """Return the copies of one way.

    Raises:
        ConfigError: there is no such way, or it cannot be gone.
    """
    name, value = cut_way(spec, EXAMPLES)
    match name:
        case "hflip":
            return [Copy(spec, partial(torch.flip, dims=(3,)))]
        case "vflip":
            return [Copy(spec, partial(torch.flip, dims=(2,)))]
        case "shift":
            places = list_shifts(value, image_size).items()
            return [Copy(f"{spec} {name}", partial(shift, by=place)) for name, place in places]
        case "scale":
            return [Copy(spec, partial(_scale, factor=parse_factor(value)))]
    return _corners(transforms, image_size)


def cut_way(spec: str, examples: Mapping[str, str]) -> tuple[str, str]:
    """Return the name of a way, and its value or "".

    Args:
        spec: as it is given.
        examples: of each way there is, by its name.

    Raises:
        ConfigError: there is no such way, or it has a value too many or none.
    """
    name, _, value = spec.partition(":")
    if name not in examples:
        known = ", ".join([AUTO, *examples.values()])
        hint = suggest(name, [AUTO, *examples])
        raise ConfigError(f"expected some of {known} with commas between{hint}")
    if bool(value) != (":" in examples[name]):
        raise ConfigError(f"expected it as {examples[name]}")
    return name, value


def list_shifts(value: str, image_size: int) -> dict[str, tuple[int, int]]:
    """Return by how many whole pixels copies are shifted down and right, by the direction's name.

    Raises:
        ConfigError: the value is no such number.
    """
    most = (image_size - 1) // 2
    if not value.isdecimal() or not 1 <= int(value) <= most:
        raise ConfigError(f"expected a whole number of pixels from 1 to {most}")
    by = int(value)
    return {"down": (by, 0), "up": (-by, 0), "right": (0, by), "left": (0, -by)}


def parse_factor(value: str) -> float:
    """Return by how many times copies are enlarged.

    Raises:
        ConfigError: the value is no such number.
    """
    low, high = _FACTORS
    try:
        factor = float(value)
    except ValueError:
        factor = math.nan
    if not low <= factor <= high or factor == 1:
        raise ConfigError(f"expected a factor from {low:g} to {high:g}, not 1")
    return factor


def _corners(transforms: Sequence[Transform], image_size: int) -> list[Copy]:
    """Return the crops of the four corners, where a run was trained with crops."""
    sizes = [each.size for each in transforms if isinstance(each, Crop) and each.size < image_size]
    if not sizes:
        raise ConfigError("the run was trained without crops that are smaller than its images")
    size, places = sizes[0], {"low": 0, "high": image_size - sizes[0]}
    return [
        Copy(
            f"crop {top}-{left}",
            partial(_window, top=places[top], left=places[left], size=size),
        )
        for top, left in product(places, repeat=2)
    ]


# --- how copies are changed ---------------------------------------------------------------------


def shift(images: Tensor, by: tuple[int, int]) -> Tensor:
    """Shift images (N, C, H, W) down and right by pixels.

    What comes in repeats the edge, as a frame would be new.
    """
    down, right = by
    height, width = images.shape[2:]
    rows = (torch.arange(height) - down).clamp(0, height - 1)
    columns = (torch.arange(width) - right).clamp(0, width - 1)
    return images[:, :, rows][:, :, :, columns]


def _scale(images: Tensor, factor: float) -> Tensor:
    """Enlarge images about their centers, (N, C, S, S) as before; below 1, edges are repeated."""
    matrix = torch.tensor([[1 / factor, 0, 0], [0, 1 / factor, 0]]).expand(len(images), 2, 3)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    changed = functional.grid_sample(
        images.float(), grid, padding_mode="border", align_corners=False
    )
    return changed.round().clamp(0, 255).to(torch.uint8)


def _window(images: Tensor, top: int, left: int, size: int) -> Tensor:
    return images[:, :, top : top + size, left : left + size]
