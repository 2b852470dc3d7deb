"""The job of the lab: to squeeze images into a few numbers, and to give them back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common.images import load as image_data
from common.images.glance import Glance, choose_split, glance
from common.images.load import ImageCard
from common.images.sets import ImageSet
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.options.budget import Choices, Needs
from common.options.config import IMAGE_SETS
from common.runs.job import Job, Outputs, Say, Splits, Suited
from common.training.batches import Batches
from common.training.summary import samples_per_second, summarize
from labs.autoencoder import models, results, task
from labs.autoencoder.config import AutoencoderConfig
from labs.autoencoder.data import labelled, load
from labs.autoencoder.models import Autoencoder

_CHUNK = 256  # rows computed at a time

# Of a user's images.
_LARGEST = 64  # pixels; smaller ones keep their size
_UPDATES, _EPOCHS = 2200, 15  # the former are 40 epochs of the 3,500 images of mnist5k
_SECONDS = 400  # of ten minutes, for what trains; the rest measures it


class Compression(Job[AutoencoderConfig, ImageCard]):
    """An autoencoder of images; splits are `ImageSet`s, `anomalies` those of classes left out."""

    lab = "autoencoder"
    config_type = AutoencoderConfig
    card_type = ImageCard
    conclusion = "labs.autoencoder.report:AutoencoderResults"
    exporter = "labs.autoencoder.export.exporter:ImageExporter"
    page = "labs.autoencoder.live.view:write"
    model: Autoencoder

    @classmethod
    def suited(cls, config: AutoencoderConfig) -> Suited[AutoencoderConfig]:
        """Choose the size, the fit and the updates for a user's images."""
        if config.data in IMAGE_SETS:
            return Suited(config)
        chosen = Choices(config)
        choose_split(chosen, classes="optional")
        images = glance(chosen.config, classes="optional")
        chosen.reasons += images.split()
        if not images.arrays and images.side < _LARGEST:
            chosen.take(f"{images.side} pixels: their own size", image_size=images.side)
        if images.lost:
            fit, why = images.fit()
            chosen.take(why, fit=fit)
        chosen.train_for(images.train, _needs(chosen.config, images))
        return Suited(chosen.config, chosen.reasons)

    @classmethod
    def load(
        cls, config: AutoencoderConfig, card: ImageCard | None = None
    ) -> tuple[Splits, ImageCard]:
        """Load the config's images, split."""
        return load(config)

    def build_model(self) -> Autoencoder:
        """Return the config's autoencoder."""
        return task.build_model(self.config, self.card)

    def task(self, splits: Splits) -> task.Reconstruction:
        """Return the task of the config's model."""
        return task.build_task(self.config)

    def batches(self, split: ImageSet, *, training: bool = False) -> Batches:
        """Return a split as the loop takes it."""
        return image_data.batches(
            self.config,
            split,
            task.augmentation(self.config, self.card),
            self.compute,
            training=training,
        )

    def work(self) -> int:
        """Count one forward pass over a batch."""
        size = task.augmentation(self.config, self.card).output_size(self.card.image_size)
        each = summarize(self.model, (self.card.channels, size, size)).multiply_adds
        return each * (self.config.micro_batch or self.config.batch_size)

    @property
    def denoises(self) -> bool:
        """Whether the encoder sees noisy images."""
        return self.config.model == "denoising"

    @property
    def conditional(self) -> bool:
        """Whether the model has to know the class of an image."""
        return self.model.conditional

    @property
    def main_metric(self) -> MainMetric:
        """The mean squared error of a pixel; of what is denoised, the signal-to-noise ratio."""
        return results.PSNR if self.denoises else results.MSE

    def decide(self, outputs: Outputs) -> Array:
        """Return the squared error of each image, (N,)."""
        errors: Array = outputs["squared_error"].double().numpy()
        return errors

    def targets(self, split: ImageSet) -> Array:
        """Return the error of a perfect reconstruction, (N,)."""
        return torch.zeros(len(split), dtype=torch.float64).numpy()

    def answers(self, inputs: Tensor, classes: Tensor | None = None) -> Outputs:
        """Return latents (N, L), `outputs` in [0, 1] and the squared error (N,) of uint8 images.

        A conditional model has to be told the classes (N,) of the images (N, C, S, S).
        """
        images = self.prepared(inputs)
        latents = self.encode(images, classes)
        outputs = self.decode(latents, classes)
        errors = (outputs - images).square().flatten(1).mean(1)
        return {"latents": latents, "outputs": outputs, "squared_error": errors}

    def ask(self, pixels: Array, number: int | None) -> dict[str, Array]:
        """Return what `answers` does, as arrays, of images that all have a class, or none."""
        classes = None if number is None else torch.full((len(pixels),), number)
        answers = self.answers(torch.from_numpy(pixels), classes)
        return {name: values.numpy() for name, values in answers.items()}

    def labelled(self, path: Path, say: Say, **written: Any) -> ImageSet:
        """Return a user's folder, table or arrays as a split; see `data.labelled`."""
        return labelled(self.config.of_file(path, **written), self.card, say)

    def encode(self, images: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the latents (N, L), float32 on the CPU, of images in [0, 1] (N, C, S, S)."""
        return self._in_batches(self.model.encode, images, classes)

    def decode(self, latents: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return images in [0, 1] (N, C, S, S), float32 on the CPU, of latents (N, L)."""
        return self._in_batches(self.model.decode, latents, classes)

    def prepared(self, images: Tensor) -> Tensor:
        """Return uint8 images (N, C, S, S) as the model sees them in evaluation."""
        return task.augmentation(self.config, self.card)(images, None)

    def reconstruct(self, images: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return what the model gives back of uint8 images (N, C, S, S), as uint8 too."""
        latents = self.encode(self.prepared(images), classes)
        return to_uint8(self.decode(latents, classes))

    def _in_batches(
        self,
        function: Callable[[Tensor, Tensor | None], Tensor],
        rows: Tensor,
        classes: Tensor | None,
    ) -> Tensor:
        """Apply a function of the model to rows and their classes, some at a time."""
        move = self.compute.move
        self.model.eval()
        found = []
        with torch.inference_mode(), self.compute.autocast():
            for start in range(0, len(rows), _CHUNK):
                here = slice(start, start + _CHUNK)
                given = None if classes is None else move(classes[here])
                found.append(function(move(rows[here]), given).float().cpu())
        return torch.cat(found)


def _needs(config: AutoencoderConfig, images: Glance) -> Needs:
    """Return how long a model learns, from what it computes."""
    channels = 3 if images.color else 1
    size = config.image_size or (images.side if images.arrays else _LARGEST)
    with torch.device("meta"):
        model = models.build(
            config.model,
            architecture=config.architecture,
            channels=channels,
            image_size=size,
            classes=images.classes,
            latent_size=config.latent_size,
            depth=config.depth,
            width=config.width,
        )
    rate = samples_per_second(model, (channels, size, size))
    updates = max(_UPDATES, _EPOCHS * images.train // config.batch_size)
    return Needs(updates, round(_SECONDS * rate), rate)


def to_uint8(images: Tensor) -> Tensor:
    """Return images in [0, 1] as uint8."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)
