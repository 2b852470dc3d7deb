"""What the loop cannot know about classifying images, and what a config builds."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from common.images import augment, load
from common.images.load import ImageCard
from common.metrics import metrics
from common.metrics.metrics import Array
from common.training import Task, When, losses
from common.training.compute import Compute
from common.training.mixing import Mixing
from common.training.splits import repeated_rows
from common.training.task import Classification, check_finite, probabilities
from labs.classification.config import IMAGE, ClassificationConfig
from labs.classification.models import build as models
from labs.classification.models import fusion, heads
from labs.classification.models.catalogue import find_family
from labs.classification.senses.columns import Column
from labs.classification.transfer import weights as transfer


class Regression(Task):
    """One number per image; the loss is a mean of (outputs, targets).

    Both are in deviations from the mean of the training targets, whatever their unit.
    """

    def __init__(self, loss: losses.Loss, card: ImageCard):
        self._loss, self._card = loss, card

    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the mean loss of a batch of (images, numbers)."""
        inputs, targets = batch
        card = self._card
        return {"loss": self._loss(model(inputs), (targets - card.target_mean) / card.target_std)}

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect predictions (B,), float32, and targets (B,), in the targets' unit."""
        inputs, targets = batch
        return {"outputs": numbers(self._card, model(inputs).float()), "targets": targets}

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return MAE, MSE, RMSE and R^2; `loss` is the MSE, whatever trains."""
        check_finite(outputs["outputs"])
        figures = metrics.regression(outputs["outputs"].numpy(), outputs["targets"].numpy())
        return {"loss": figures["mse"], **figures}


class SeveralLabels(Classification):
    """Any number of labels per image; the loss is one of (logits, zeros and ones), both (B, C)."""

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return the metrics of `several_labels`, a label being said from 0.5 on."""
        check_finite(outputs["outputs"])
        shares = probabilities(outputs["outputs"], several=True)
        found = metrics.several_labels(shares, shares >= 0.5, outputs["targets"].numpy())
        return {"loss": found.pop("log_loss"), **found}


class Thawing(Task):
    """A task in which the head trains first, and one more layer before it in each epoch."""

    def training_mode(self, model: nn.Module, epoch: int) -> None:
        """Let train what trains in this epoch."""
        transfer.thaw(model, epoch)
        super().training_mode(model, epoch)


class ThawingClassification(Thawing, Classification):
    """Classification with `--transfer gradual`."""


class ThawingSeveralLabels(Thawing, SeveralLabels):
    """Several labels with `--transfer gradual`."""


class ThawingRegression(Thawing, Regression):
    """Regression with `--transfer gradual`."""


def numbers(card: ImageCard, outputs: Tensor) -> Tensor:
    """Return numbers (B,) in the targets' unit, from outputs (B, 1) in deviations."""
    return card.target_mean + card.target_std * outputs.squeeze(1)


def build_model(config: ClassificationConfig, card: ImageCard) -> nn.Module:
    """Return the config's model for the data of a card; torch's generator draws the weights.

    What does not train in the config's mode of transfer is frozen.

    Raises:
        ConfigError: the model cannot take such images, or what is to be frozen is not in it.
    """
    size = augmentation(config, card).output_size(card.image_size)
    build = partial(models.build, config.model, card.channels, size)
    sizes = [len(names) for names in card.labels.values()]
    if not sizes or config.heads == "joint":
        model = build(len(card.classes) or 1)
    elif config.heads == "shared":
        model = heads.share(build(sum(sizes)), sizes)
    else:
        model = heads.Separate([build(size) for size in sizes])
    transfer.freeze(model, config.transfer_mode)
    return model


def build_fusion(
    config: ClassificationConfig, card: ImageCard, columns: Sequence[Column]
) -> nn.Module:
    """Return the config's network of images fused with encoders of columns; see `build_model`."""
    image = None
    if IMAGE not in config.without:
        size = augmentation(config, card).output_size(card.image_size)
        image = models.build(config.model, card.channels, size, fusion.WIDTH)
    senses = [fusion.Sense(each.name, each.encoder(), each.size) for each in columns]
    shown = {each.name for each in columns} - {*config.without}
    sizes = [len(names) for names in card.labels.values()]
    shared = bool(sizes) and config.heads == "shared"
    outputs = sum(sizes) if shared else len(card.classes) or 1
    model: nn.Module = fusion.LateFusion(image, senses, outputs, config.sense_dropout, shown)
    if shared:
        model = heads.share(model, sizes)
    transfer.freeze(model, config.transfer_mode)
    return model


def decide(outputs: Tensor, numeric: bool) -> Array:
    """Return the predictions (N,): the class with the largest logit, or the number itself."""
    return (outputs if numeric else outputs.argmax(1)).numpy()


def build_task(
    config: ClassificationConfig, targets: Tensor | None, card: ImageCard, compute: Compute
) -> Task:
    """Return the task that the loss asks for; class weights come from the training targets.

    Targets are None for a task that only collects outputs, on which no loss has a say.
    """
    gradual = config.transfer_mode == "gradual"
    if config.numeric:
        return (ThawingRegression if gradual else Regression)(losses.build(config.loss), card)
    if config.several:
        loss = losses.build(config.loss, label_smoothing=config.label_smoothing)
        several = ThawingSeveralLabels if gradual else SeveralLabels
        auxiliary = find_family(config.model).auxiliary
        return several(loss, monitor="validation/map", auxiliary=auxiliary)
    weights = None
    if config.imbalance == "class-weights" and targets is not None:
        weights = compute.move(losses.balanced_class_weights(targets, len(card.classes)))
    name = "focal" if config.imbalance == "focal" else config.loss
    loss = losses.build(name, weights, config.label_smoothing, config.focal_gamma)
    kind = ThawingClassification if gradual else Classification
    mixing = Mixing(config.mixup, config.cutmix) if config.blends else None
    return kind(loss, weights, auxiliary=find_family(config.model).auxiliary, mixing=mixing)


def sampling(config: ClassificationConfig, targets: Tensor) -> dict[str, Tensor]:
    """Return which rows an epoch takes of training, if not each once: options of `Batches`."""
    match config.imbalance:
        case "sampler":
            return {"weights": 1 / targets.bincount()[targets]}
        case "augment-rare":
            return {"repeats": repeated_rows(targets)}
    return {}


def augmentation(config: ClassificationConfig, card: ImageCard) -> augment.Pipeline:
    """Return what happens to images on the device; in evaluation, only what is not random of it."""
    return load.pipeline(config, card.mean, card.std)
