"""What a trained autoencoder makes of a user's images: latents, errors, and images given back.

It is a run, or a file that was exported from one, for which torch is not needed.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from common.errors import ConfigError
from common.files import replacing
from common.images.decode import list_inputs, read_squares
from common.metrics.metrics import Array
from common.suggest import suggest


def predict(
    job: Any,
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
    The job is a `Compression` with its weights, or an `AskedImages`.

    Raises:
        ConfigError: there is no such class, or none was told where one is needed.
        DataError: a path is missing, or no image can be read.
        SaveError: a file cannot be written.
    """
    number = _class_number(job, class_name)
    records: list[dict[str, Any]] = []
    size, channels = job.card.image_size, job.card.channels
    options = size, channels, say, job.config.fit, job.card.scale
    for names, images in read_squares(list_inputs(paths), *options):
        answers = job.ask(images, number)
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


def _class_number(job: Any, name: str | None) -> int | None:
    classes = job.card.classes
    if name is None and job.conditional:
        raise ConfigError(
            f"a {job.config.model} has to know the class of the images; give --class, one of "
            f"{', '.join(classes)}"
        )
    if name is None:
        return None
    if name not in classes:
        raise ConfigError(f"--class {name}: no such class{suggest(name, classes)}")
    return int(classes.index(name))


def _write(outputs: Array, names: Sequence[str], folder: Path, first: int) -> Iterator[Path]:
    """Write images in [0, 1] as PNG files; numbers keep two files of one name apart."""
    pixels = np.rint(outputs.clip(0, 1) * 255).astype(np.uint8)
    images = pixels[:, 0] if pixels.shape[1] == 1 else pixels.transpose(0, 2, 3, 1)
    for number, (image, name) in enumerate(zip(images, names, strict=True), first + 1):
        path = folder / f"{number:04d}-{Path(name).stem}.png"
        with replacing(path) as file:
            Image.fromarray(image).save(file, "PNG")
        yield path
