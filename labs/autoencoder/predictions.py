"""What a trained autoencoder makes of a user's images: latents, errors, and images given back."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from common.errors import ConfigError
from common.files import replacing
from common.images.folders import read_images
from common.suggest import suggest
from labs.autoencoder.job import Compression, to_uint8
from labs.autoencoder.plots import pixels


def predict(
    job: Compression,
    paths: Sequence[Path],
    class_name: str | None,
    folder: Path | None,
    say: Callable[[str], None],
    latents: bool,
) -> list[dict[str, Any]]:
    """Return a record for each image of some files and folders.

    It holds `path`, `mse` between input and output, and perhaps `output` (the PNG in `folder` of
    what the network gives back) and the latents, `z1`, `z2` and so on. All images have the class of
    that name, which a conditional model must be told. `say` gets a line for each unreadable image.

    Raises:
        ConfigError: there is no such class, or none was told where one is needed.
        DataError: a path is missing, or no image can be read.
        SaveError: a file cannot be written.
    """
    number = _class_number(job, class_name)
    records: list[dict[str, Any]] = []
    size, channels = job.card.image_size, job.card.channels
    for names, images in read_images(paths, size, channels, say, job.config.fit, job.card.scale):
        classes = None if number is None else torch.full((len(images),), number)
        answers = job.answers(images, classes)
        outputs, errors = answers["outputs"], answers["squared_error"]
        files = list(_write(outputs, names, folder, len(records))) if folder else []
        for row, name in enumerate(names):
            record: dict[str, Any] = {"path": name, "mse": errors[row].item()}
            if files:
                record["output"] = str(files[row])
            if latents:
                record |= {f"z{i}": z for i, z in enumerate(answers["latents"][row].tolist(), 1)}
            records.append(record)
    return records


def _class_number(job: Compression, name: str | None) -> int | None:
    classes = job.card.classes
    if name is None and job.model.conditional:
        raise ConfigError(
            f"a {job.config.model} has to know the class of the images; give --class, one of "
            f"{', '.join(classes)}"
        )
    if name is None:
        return None
    if name not in classes:
        raise ConfigError(f"--class {name}: no such class{suggest(name, classes)}")
    return classes.index(name)


def _write(outputs: Tensor, names: Sequence[str], folder: Path, first: int) -> Iterator[Path]:
    """Write images in [0, 1] as PNG files; numbers keep two files of one name apart."""
    images = pixels(to_uint8(outputs))
    for number, (image, name) in enumerate(zip(images, names, strict=True), first + 1):
        path = folder / f"{number:04d}-{Path(name).stem}.png"
        with replacing(path) as file:
            Image.fromarray(image).save(file, "PNG")
        yield path
