"""A run of the lab as two ONNX files: its encoder, and its decoder."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from common.export.exporter import SAMPLES, Exporter, known_config
from common.export.formats import Graph, Inputs, each_alone
from common.images.sets import ImageSet
from labs.autoencoder import task
from labs.autoencoder.job import Compression
from labs.autoencoder.models import Autoencoder, VariationalAutoencoder

_BATCH = {0: "batch"}


class Encoder(nn.Module):
    """The way from pixels to latents, with all that happens to images after they were decoded."""

    def __init__(self, job: Compression, model: Autoencoder):
        super().__init__()
        self.model, self._prepare = model, task.augmentation(job.config, job.card)

    def forward(self, images: Tensor, classes: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return latents (B, L), of a VAE their log variances, and the images that it sees."""
        seen = self._prepare(images, None)
        if not isinstance(self.model, VariationalAutoencoder):
            return self.model.encode(seen, classes), seen
        return (*self.model.posterior(seen, classes), seen)


class Decoder(nn.Module):
    """The way from latents to pixels."""

    def __init__(self, model: Autoencoder):
        super().__init__()
        self.model = model

    def forward(self, latents: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return pixels (B, C, S, S)."""
        return self.model.decode(latents, classes)


class ImageExporter(Exporter[Compression]):
    """Autoencoders."""

    limits = (
        "It gives back what looks like the images that it has learned, also of others; an error "
        "that is small does not say that an image is one of them.",
    )

    def graphs(self, test: ImageSet) -> list[Graph]:
        """Return the encoder and the decoder, with the first images of the test split."""
        job, model = self.job, copy.deepcopy(self.job.model).eval()
        rows = range(min(SAMPLES, len(test)))
        images: Inputs = (torch.stack([test.images[row] for row in rows]),)
        told: dict[str, str] = {}
        if model.conditional:
            told = {"classes": "int64 (batch,): numbers of the classes"}
            images = (*images, torch.stack([test.targets[row] for row in rows]))
        encoder, card = Encoder(job, model).eval(), job.card
        with torch.inference_mode():
            latents, *_, seen = encoder(*images)
        size, channels, side = card.image_size, card.channels, seen.shape[-1]
        square = f"float32 (batch, {channels}, {side}, {side})"
        numbers = f"float32 (batch, {latents.shape[1]})"
        mean = {"latents": f"{numbers}: of a VAE the means" if model.variational else numbers}
        spread = {"log_variances": f"{numbers}: of the latents"} if model.variational else {}
        color = "RGB" if channels == 3 else "grey"
        pixels = {"images": f"uint8 (batch, {channels}, {size}, {size}): {color}"}
        given = (latents.clone(), *images[1:])
        outputs = {**mean, **spread, "seen": f"{square}: the images in [0, 1], as the network sees"}
        return [
            _graph(encoder, {**pixels, **told}, outputs, images, "encoder"),
            _graph(
                Decoder(model).eval(),
                {"latents": numbers, **told},
                {"outputs": f"{square}: pixels, in [0, 1] but of `linear`"},
                given,
                "decoder",
            ),
        ]

    def about(self) -> dict[str, Any]:
        """Return what images become, and whether the network is told their classes."""
        job = self.job
        return {
            "config": known_config(job.config),
            "classes": list(job.card.classes),
            "conditional": job.conditional,
            "image_size": job.card.image_size,
            "channels": job.card.channels,
            "white": list(job.card.scale),
        }


def _graph(
    module: nn.Module, inputs: dict[str, str], outputs: dict[str, str], given: Inputs, part: str
) -> Graph:
    axes = dict.fromkeys((*inputs, *outputs), _BATCH)
    return Graph(module, inputs, outputs, given, [*each_alone(given)], axes, part)
