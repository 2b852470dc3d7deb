"""What the loop cannot know about classifying images, and what a config builds."""

from typing import Any

import torch
from torch import Tensor, nn

from common import augment, image_data, losses, metrics, seeding
from common.compute import Compute
from common.image_data import ImageCard
from common.tasks import Classification, check_finite
from common.training import Task, When
from labs.classification import models, transfer
from labs.classification.config import ClassificationConfig
from labs.classification.names import AUXILIARY


class Regression(Task):
    """One number per image.

    Args:
        loss: mean loss from (outputs, targets).
    """

    def __init__(self, loss: losses.Loss):
        self._loss = loss

    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the mean loss of a batch of (images, numbers)."""
        inputs, targets = batch
        return {"loss": self._loss(model(inputs), targets)}

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect predictions (B,), float32, and targets (B,)."""
        inputs, targets = batch
        return {"outputs": model(inputs).float().squeeze(1), "targets": targets}

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return MAE, MSE, RMSE and R^2; `loss` is the MSE, whatever trains."""
        check_finite(outputs["outputs"])
        figures = metrics.regression(outputs["outputs"].numpy(), outputs["targets"].numpy())
        return {"loss": figures["mse"], **figures}


class Thawing(Task):
    """A task in which the head trains first, and one more layer before it in each epoch."""

    def training_mode(self, model: nn.Module, epoch: int) -> None:
        """Let train what trains in this epoch."""
        transfer.thaw(model, epoch)
        super().training_mode(model, epoch)


class ThawingClassification(Thawing, Classification):
    """Classification with `--transfer gradual`."""


class ThawingRegression(Thawing, Regression):
    """Regression with `--transfer gradual`."""


def build_model(config: ClassificationConfig, card: ImageCard) -> nn.Module:
    """Return the config's model for the data of a card, with the weights that the seed names.

    What does not train in the config's mode of transfer is frozen.

    Raises:
        ConfigError: the model cannot take such images, or what is to be frozen is not in it.
    """
    size = augmentation(config, card).output_size(card.image_size)
    torch.default_generator.manual_seed(seeding.derive(config.seed, seeding.INITIALIZATION))
    model = models.build(config.model, card.channels, size, len(card.classes) or 1)
    transfer.freeze(model, config.transfer_mode)
    return model


def build_task(
    config: ClassificationConfig, targets: Tensor, card: ImageCard, compute: Compute
) -> Task:
    """Return the task that the loss asks for.

    Args:
        config: names the loss.
        targets: of the training split; balanced class weights come from them.
        card: the data's card.
        compute: the device for class weights.
    """
    gradual = config.transfer_mode == "gradual"
    if config.numeric:
        return (ThawingRegression if gradual else Regression)(losses.build(config.loss))
    weights = None
    if config.class_weights == "balanced":
        weights = compute.move(losses.balanced_class_weights(targets, len(card.classes)))
    smoothing, gamma = config.label_smoothing, config.focal_gamma
    loss = losses.build(config.loss, weights, smoothing, gamma)
    kind = ThawingClassification if gradual else Classification
    return kind(loss, weights, auxiliary=AUXILIARY.get(config.model, 0.0))


def augmentation(config: ClassificationConfig, card: ImageCard) -> augment.Pipeline:
    """Return what happens to images on the device; in evaluation, only what is not random of it."""
    return image_data.pipeline(config, card.mean, card.std)
