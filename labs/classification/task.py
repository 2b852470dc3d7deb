"""What the loop cannot know about classifying images, and what a config builds."""

from typing import Any

import torch
from torch import Tensor, nn

from common import augment, losses, metrics, seeding
from common.compute import Compute
from common.data import Batches
from common.errors import ConfigError, NonFiniteError
from common.images import ImageSet
from common.training import Task, When
from labs.classification import models, results
from labs.classification.config import ClassificationConfig
from labs.classification.data import Card

_EVALUATION_BATCH = 256


class Classification(Task):
    """One class per image.

    Args:
        loss: mean loss from (logits, targets).
        class_weights: (C,), on the device, when the loss weighs classes.
    """

    monitor = "validation/accuracy"

    def __init__(self, loss: losses.Loss, class_weights: Tensor | None = None):
        self._loss, self._class_weights = loss, class_weights

    def weights(self, batch: Any) -> dict[str, Tensor | float]:
        """Weigh a batch by its samples, or by the weights of their classes."""
        return {"loss": losses.weight_of(batch[1], self._class_weights)}

    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the mean loss of a batch of (images, classes)."""
        inputs, targets = batch
        return {"loss": self._loss(model(inputs), targets)}

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect logits (B, C), float32, and targets (B,)."""
        inputs, targets = batch
        return {"outputs": model(inputs).float(), "targets": targets}

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return the classification figures; `loss` is the plain cross-entropy, whatever trains."""
        _check_finite(outputs["outputs"])
        figures = metrics.classification(
            results.probabilities(outputs["outputs"]), outputs["targets"].numpy()
        )
        return {"loss": figures.pop("log_loss"), **figures}


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
        _check_finite(outputs["outputs"])
        figures = metrics.regression(outputs["outputs"].numpy(), outputs["targets"].numpy())
        return {"loss": figures["mse"], **figures}


def _check_finite(outputs: Tensor) -> None:
    if not outputs.isfinite().all():
        raise NonFiniteError(
            "the model's outputs became NaN or infinite. "
            "Try a lower --learning-rate, --clip 1, a --warmup, or --precision 32."
        )


def build_model(config: ClassificationConfig, card: Card) -> nn.Module:
    """Return the config's model for the data of a card, with the weights that the seed names.

    Raises:
        ConfigError: the model cannot take such images.
    """
    size = augmentation(config, card).output_size(card.image_size)
    torch.default_generator.manual_seed(seeding.derive(config.seed, seeding.INITIALIZATION))
    return models.build(config.model, card.channels, size, len(card.classes) or 1)


def build_task(config: ClassificationConfig, targets: Tensor, card: Card, compute: Compute) -> Task:
    """Return the task that the loss asks for.

    Args:
        config: names the loss.
        targets: of the training split; balanced class weights come from them.
        card: the data's card.
        compute: the device for class weights.
    """
    if config.numeric:
        return Regression(losses.build(config.loss))
    weights = None
    if config.class_weights == "balanced":
        weights = compute.move(losses.balanced_class_weights(targets, len(card.classes)))
    smoothing, gamma = config.label_smoothing, config.focal_gamma
    return Classification(losses.build(config.loss, weights, smoothing, gamma), weights)


def augmentation(config: ClassificationConfig, card: Card) -> augment.Pipeline:
    """Return what happens to images on the device; in evaluation, only what is not random of it."""
    try:
        transforms = augment.parse(config.augment)
    except ConfigError as error:
        raise ConfigError([f"--augment: {problem}" for problem in error.problems]) from error
    return augment.Pipeline(transforms, card.mean, card.std)


def batches(
    config: ClassificationConfig,
    card: Card,
    split: ImageSet,
    compute: Compute,
    *,
    training: bool = False,
) -> Batches:
    """Return a split as the loop takes it."""
    return Batches(
        (split.images, split.targets) if isinstance(split.images, Tensor) else split,
        config.batch_size if training else _EVALUATION_BATCH,
        training=training,
        micro_batch=config.micro_batch if training else None,
        seed=config.seed,
        prepare=augmentation(config, card),
        compute=compute,
        workers=config.workers,
    )
