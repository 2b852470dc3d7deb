"""Darknet's `.weights`: a header and float32 numbers in the order of the layers, and nothing else.

The header has three int32, major, minor and revision, and how many images the network had seen: an
int64 from version 0.2 on, before it an int32. Then come, of each convolution in the order of the
file, its biases; with batch normalization the scales, means and variances, too; and its kernels,
(filters, channels / groups, size, size). All are little-endian. Nothing in the file says which
network it is of, so its length is checked against the layers number by number.
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from common.errors import ConfigError, RunError
from common.files import write_bytes
from common.training.weights import check
from labs.detection.darknet.cfg import Cfg, Convolutional
from labs.detection.darknet.network import Convolution, Darknet

_WIDE = 2  # version, in tenths, from which on the images seen are an int64
_NEWEST = 10  # version, in tenths; whatever is larger is no header
_CLASSES = 10_000  # at most, where it is found out for how many a file was written

Numbers = npt.NDArray[np.float32]


class Header(NamedTuple):
    """What stands before the numbers."""

    major: int = 0
    minor: int = 2
    revision: int = 5
    seen: int = 0  # images that the network was trained with


NEW = Header()
"""What is written before numbers that were trained here."""


class Weights(NamedTuple):
    """A file."""

    header: Header
    numbers: Numbers  # (N,)


class Place(NamedTuple):
    """Where the numbers of a convolution are."""

    layer: int
    row: Convolutional
    begin: int
    end: int


def read(path: Path) -> Weights:
    """Read a file.

    Raises:
        ConfigError: there is no such file.
        RunError: it is no such file, or holds what is no finite number.
    """
    check(path)
    content = path.read_bytes()
    try:
        major, minor, revision = struct.unpack_from("<3i", content)
        wide = 10 * major + minor >= _WIDE
        [seen] = struct.unpack_from("<q" if wide else "<i", content, 12)
    except struct.error as error:
        raise RunError(f"{path}: {len(content)} bytes are no .weights of darknet") from error
    if min(major, minor, seen) < 0 or 10 * major + minor > _NEWEST:
        raise RunError(
            f"{path}: no .weights of darknet: it begins with {major}, {minor}, {revision}, where "
            "a version such as 0, 2, 5 was expected"
        )
    begin = 20 if wide else 16
    if (len(content) - begin) % 4:
        raise RunError(
            f"{path}: {len(content):,} bytes are no whole number of floats after the header: it "
            "is cut off, or no .weights of darknet"
        )
    numbers = np.frombuffer(content, "<f4", offset=begin).astype(np.float32)
    if not np.isfinite(numbers).all():
        first = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise RunError(f"{path}: float {first:,} is {numbers[first]}, so it is damaged")
    return Weights(Header(major, minor, revision, seen), numbers)


def write(path: Path, model: Darknet, header: Header = NEW) -> None:
    """Write the weights of a network as darknet reads them.

    Raises:
        SaveError: the file cannot be written.
    """
    wide = 10 * header.major + header.minor >= _WIDE
    parts = [struct.pack("<3iq" if wide else "<4i", *header)]
    for layer in model.layers:
        if isinstance(layer, Convolution):
            parts += [each.detach().cpu().numpy().astype("<f4").tobytes() for each in _of(layer)]
    write_bytes(path, b"".join(parts))


def places(cfg: Cfg) -> Iterator[Place]:
    """Yield where the numbers of each convolution are."""
    end = 0
    shapes = [(3, cfg.size, cfg.size), *cfg.shapes()]
    for at, row in enumerate(cfg.layers):
        if isinstance(row, Convolutional):
            kernels = row.filters * (shapes[at][0] // row.groups) * row.size**2
            begin, end = end, end + kernels + row.filters * (4 if row.normalize else 1)
            yield Place(at, row, begin, end)


def count(cfg: Cfg) -> int:
    """Return how many numbers a network has."""
    return list(places(cfg))[-1].end


@torch.no_grad()
def put(model: Darknet, numbers: Numbers, layers: Sequence[Place]) -> None:
    """Put numbers into convolutions, which must be of the shapes that their places say."""
    for place in layers:
        at, layer = place.begin, model.layers[place.layer]
        assert isinstance(layer, Convolution)
        for tensor in _of(layer):
            part = numbers[at : at + tensor.numel()]
            tensor.copy_(torch.from_numpy(part).view_as(tensor))
            at += tensor.numel()
        assert at == place.end


def load_whole(model: Darknet, path: Path) -> Header:
    """Put all of a file into a network; returns its header.

    Raises:
        ConfigError: there is no such file.
        RunError: it is no such file, or of another network.
    """
    cfg, (header, numbers) = model.cfg, read(path)
    if len(numbers) != count(cfg):
        raise RunError(_misfit(path, numbers, cfg))
    put(model, numbers, list(places(cfg)))
    _check(model, path)
    return header


def start(model: Darknet, path: Path) -> str:
    """Begin with what a file has for a network, and say what that is.

    Beside a whole file it may be one for other classes, of which the last convolutions of the heads
    are left out; or one that ends after some layer, as darknet's `partial` writes it.

    Raises:
        ConfigError: there is no such file.
        RunError: it is no such file, or of another network.
    """
    cfg, (_, numbers) = model.cfg, read(path)
    own = list(places(cfg))
    total = len(own)
    heads = {at - 1 for at, _ in cfg.heads}
    if len(numbers) == own[-1].end:
        put(model, numbers, own)
        said = f"all {total} convolutions are from {path}"
    elif ends := [place for place in own if place.end == len(numbers)]:
        [last] = ends
        begun = [place for place in own if place.end <= len(numbers)]
        put(model, numbers, begun)
        said = (
            f"{path} ends after layer {last.layer}: {len(begun)} of {total} convolutions are from "
            "it, the others begin at random"
        )
    elif (classes := _classes_of(cfg, len(numbers))) is not None:
        theirs = [each for each in places(cfg.with_classes(classes)) if each.layer not in heads]
        put(model, numbers, theirs)
        said = (
            f"{path} is of {classes} classes: {len(theirs)} of {total} convolutions are from it, "
            f"the {len(heads)} before the heads begin at random"
        )
    else:
        raise RunError(_misfit(path, numbers, cfg))
    _check(model, path)
    return said


def _of(layer: Convolution) -> list[Tensor]:
    """Return the tensors of a convolution in the order of the file."""
    if layer.norm is None:
        assert layer.conv.bias is not None
        return [layer.conv.bias, layer.conv.weight]
    norm = layer.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return [norm.bias, norm.weight, norm.running_mean, norm.running_var, layer.conv.weight]


def _classes_of(cfg: Cfg, numbers: int) -> int | None:
    """Return with how many classes a network has so many numbers, None for none.

    Each class adds the same: an anchor's row of the last convolution of each head.
    """
    one, two = (count(cfg.with_classes(classes)) for classes in (1, 2))
    classes, rest = divmod(numbers - one, two - one)
    return classes + 1 if not rest and 0 <= classes < _CLASSES else None


def _misfit(path: Path, numbers: Numbers, cfg: Cfg) -> str:
    """Say how a file and a network differ."""
    given, needed = len(numbers), count(cfg)
    said = f"{path} has {given:,} floats, and {cfg.source} needs {needed:,}"
    if (classes := _classes_of(cfg, given)) is not None:
        return (
            f"{said}: as many as it had with {classes} classes, not {cfg.classes}; set classes and "
            f"the filters before each [yolo] to those"
        )
    if given > needed:
        return f"{said}: {given - needed:,} more; it is of another network"
    cut = next(place for place in places(cfg) if place.end > given)
    whole = "before" if cut.begin == given else "within"
    return (
        f"{said}: it ends {whole} layer {cut.layer}, the [convolutional] of line "
        f"{cut.row.line}; it is cut off, or of another network"
    )


def _check(model: Darknet, path: Path) -> None:
    """Refuse numbers that no network has: of another one of the same length.

    Raises:
        RunError: a variance is negative.
    """
    for at, layer in enumerate(model.layers):
        if not isinstance(layer, Convolution) or layer.norm is None:
            continue
        variance = layer.norm.running_var
        if variance is not None and float(variance.min()) < 0:
            raise RunError(
                f"{path}: a variance of layer {at} is {float(variance.min()):.3g}, so it is of "
                f"another network than {model.cfg.source}"
            )


def is_weights(source: str) -> bool:
    """Say whether a file is one of darknet's by its name: whatever torch does not write."""
    return Path(source).suffix not in (".safetensors", ".pt", ".pth")


def refuse_absent(source: str) -> None:
    """Refuse to download: nothing is known of who has these files.

    Raises:
        ConfigError: `download` was asked for.
    """
    if source == "download":
        raise ConfigError(
            "--weights download: no checksum is known for darknet's files; fetch one yourself and "
            "give it with --weights FILE"
        )
