"""An exported autoencoder, asked as a run is: without torch."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from common.export.file import Exported
from common.images.decode import White
from common.metrics.metrics import Array
from labs.autoencoder.config import AutoencoderConfig


class _Card(NamedTuple):
    """Of a run's card, what is asked."""

    classes: tuple[str, ...]
    image_size: int
    channels: int
    scale: White


class AskedImages:
    """Two files in the place of the job of a run, as far as `predict` asks.

    Args:
        path: of either.

    Raises:
        DataError: it is no such file, or the other one does not lie beside it.
    """

    def __init__(self, path: Path):
        self._exported = Exported(path, "autoencoder", "train")
        about = self._exported.about
        self.config = self._exported.config(AutoencoderConfig)
        self.conditional = bool(about["conditional"])
        self.card = _Card(
            tuple(about["classes"]), about["image_size"], about["channels"], White(*about["white"])
        )

    def ask(self, pixels: Array, number: int | None) -> dict[str, Array]:
        """Return latents, outputs and squared errors of images; see `Compression.answers`."""
        told = {"classes": np.full(len(pixels), number, np.int64)} if self.conditional else {}
        found = self._exported.run_rows("encoder", images=pixels, **told)
        latents = found["latents"]
        outputs = self._exported.run_rows("decoder", latents=latents, **told)["outputs"]
        errors = np.square(outputs - found["seen"]).reshape(len(pixels), -1).mean(1)
        return {"latents": latents, "outputs": outputs, "squared_error": errors}
