"""The job of the lab: to squeeze images into a few numbers, and to give them back."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from common.images import load as image_data
from common.images.folders import ImageSet
from common.images.load import PATHS, ImageCard
from common.metrics.main_metric import Array, MainMetric
from common.report.html import PictureSaver, Section
from common.runs.job import Job, Outputs, Splits
from common.training.batches import Batches
from common.training.summary import summarize
from labs.autoencoder import baselines, results, task
from labs.autoencoder.config import AutoencoderConfig
from labs.autoencoder.data import load
from labs.autoencoder.models import Autoencoder
from labs.autoencoder.views import material

_CHUNK = 256  # rows computed at a time


class Compression(Job[AutoencoderConfig, ImageCard]):
    """An autoencoder of images; splits are `ImageSet`s, `anomalies` those of classes left out."""

    lab = "autoencoder"
    config_type = AutoencoderConfig
    card_type = ImageCard
    paths = PATHS
    model: Autoencoder

    @classmethod
    def load(cls, config: AutoencoderConfig) -> tuple[Splits, ImageCard]:
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
    def title(self) -> str:
        """The model's name."""
        return self.config.model

    @property
    def stem(self) -> str:
        """The model's name and the size of its latents."""
        return f"{self.config.model}{self.config.latent_size}"

    @property
    def denoises(self) -> bool:
        """Whether the encoder sees noisy images."""
        return self.config.model == "denoising"

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

    def figures(self, outputs: Outputs, split: ImageSet) -> dict[str, Any]:
        """Return all figures of a split."""
        known = self.task({"all": split}).figures(dict(outputs))
        return {**known, **self.main_metric.measure(self.decide(outputs), self.targets(split))}

    def baselines(self, splits: Splits) -> Mapping[str, Mapping[str, Array]]:
        """Return the errors of PCA, or of filters that denoise."""
        if self.denoises:
            noisy = {name: each["noisy"] for name, each in self.predict_splits(splits).items()}
            return baselines.denoising(splits, noisy, self.config.latent_size)
        return baselines.compression(splits, self.config.latent_size)

    def about_baselines(self) -> str:
        """Say what they are."""
        return baselines.ABOUT_DENOISING if self.denoises else baselines.ABOUT_COMPRESSION

    def measure(self, outputs: Mapping[str, Outputs], splits: Splits) -> dict[str, Any]:
        """Return the figures, and the error as a share of each baseline's."""
        found = super().measure(outputs, splits)
        if not self.denoises:
            mse = found["test"]["mse"]
            for values in found["baselines"].values():
                values["ratio"] = results.share(mse, values["mse"])
        return found

    def verdict(self, figures: Mapping[str, Any]) -> str:
        """Say what came out, also as a share of PCA's error."""
        text = super().verdict(figures)
        pca = figures["baselines"].get(baselines.PCA)
        if pca is None or "ratio" not in pca:
            return text
        share = results.share_text(pca["ratio"])
        return f"{text} Its error is {share} times that of PCA at the same size."

    def sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return all views of the run."""
        return material.sections(material.Material(self, splits))

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


def to_uint8(images: Tensor) -> Tensor:
    """Return images in [0, 1] as uint8."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)
