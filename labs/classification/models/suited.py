"""Which network suits a user's images, at which size, and how long it needs to learn them.

Photos begin with what a network has learned of ImageNet. A few hundred give a new classifier its
examples, but no whole network. Of ten classes of CIFAR-10 with 20 photos a class, a classifier that
is fitted to frozen features has a validation loss of 1.20 (160 pixels), and training all from there
ends at 1.27. With 180 a class it has a test accuracy of 0.763, and training all from there 0.784
after six epochs; without the fitted classifier the loss after two epochs is 0.76, not 0.68. Where
1,400 such photos are mirrored alone, six epochs at 128 pixels end at a validation loss of 0.71
(accuracy 0.765); where they are moved and scaled, too, at 0.65 (0.785). Small grey images are
digits and letters, more like those of MNIST than photos.
"""

import dataclasses

import torch

from common.images.glance import Glance, choose_split, glance
from common.options.budget import Choices, Needs
from common.options.config import IMAGE_SETS
from common.runs.job import Suited
from common.training.summary import samples_per_second
from labs.classification.config import (
    AUTO,
    DEFAULT_MODEL,
    HEAD_FIRST,
    ClassificationConfig,
)
from labs.classification.data import find_loss, refuse_data
from labs.classification.models import build
from labs.classification.models.catalogue import PACKAGED, find_family

_PHOTO = PACKAGED[0]
_SIZES = (224, 192, 160, 128)  # pixels that its weights know
_SMALLER = (96, 64)  # where there are too many images for these
_BLOWN_UP = 160  # to which photos of any size are enlarged, since larger ones are known better

_SMALLEST_PHOTO = 20  # pixels of the shorter side, in color; smaller are icons and the like
_SMALLEST_GREY_PHOTO = 64  # without colors: smaller are digits and letters
_FEW = 1000  # training images

_SECONDS = 482  # of ten minutes, for what trains; the rest measures it
_PASS = 0.32e-6  # seconds that a pixel of a photo takes on two cores: through the network,
_LEARN = 1.3e-6  # and with the gradients of all its weights; 5 and 21 ms at 128 pixels
_CHANGES = ("hflip", "affine:0:0.1:0.15:0")
_EPOCHS = 7  # that fine-tuning should have: else images are smaller
_FEWEST_EPOCHS = 2

_HEAD = 1500  # updates of a classifier on features that are kept
_UPDATES, _ROUNDS = 3300, 20  # 60 epochs of the 3,500 images of mnist5k; epochs of more images


def suited(config: ClassificationConfig) -> Suited[ClassificationConfig]:
    """Return a config with what suits its images; see `common.runs.job.Job.suited`.

    Raises:
        DataError: there is no such set, folder or table, or it cannot be used.
    """
    if config.data in IMAGE_SETS:
        usual = dataclasses.replace(config, model=DEFAULT_MODEL)
        return Suited(usual if config.model == AUTO else config)
    chosen = _choose(config)
    return Suited(chosen.config, chosen.reasons)


def estimate_seconds(config: ClassificationConfig) -> float:
    """Return about how long training takes on two cores; 0 of sets that are known by name."""
    return 0.0 if config.data in IMAGE_SETS else _choose(config).seconds


def _choose(config: ClassificationConfig) -> Choices[ClassificationConfig]:
    """Choose what suits a user's images."""
    refuse_data(config)
    chosen = Choices(config)
    if config.model == AUTO:
        given = chosen.config.given - {"model"}
        chosen.config = dataclasses.replace(chosen.config, given=given)
    _choose_labels(chosen)
    choose_split(chosen, chosen.config.kind)
    images = glance(chosen.config, chosen.config.kind)
    chosen.reasons += images.split()
    fit, why = images.fit()
    chosen.take(*([why] if images.lost else []), fit=fit)
    if "model" not in chosen.config.given:
        _choose_model(chosen, images)
    if chosen.config.weights is None:
        _choose_size(chosen, images)
    if chosen.config.weights == _PHOTO:
        why = "channels are kept innermost in memory: so it computes faster"
        chosen.take(why, channels_last=True)
    train = images.train
    if config.per_class is not None and images.classes:
        train = min(train, config.per_class * images.classes)
    chosen.train_for(train, _needs(chosen.config, images, train))
    return chosen


def _choose_labels(chosen: Choices[ClassificationConfig]) -> None:
    """Let images have any number of labels, or numbers, where their table says so."""
    config = chosen.config
    if "loss" in config.given:
        return
    if found := find_loss(config):
        loss, why = found
        chosen.take(f"{loss}: {why}", loss=loss)


def is_photos(images: Glance) -> bool:
    """Say whether a network that knows photos has seen the like of these images."""
    return images.side > (_SMALLEST_PHOTO if images.color else _SMALLEST_GREY_PHOTO)


def _choose_model(chosen: Choices[ClassificationConfig], images: Glance) -> None:
    if is_photos(images) and not {"weights", "transfer", "teacher"} & chosen.config.given:
        _choose_transfer(chosen, images)
        return
    kind = "color" if images.color else "grey"
    chosen.take(
        f"{DEFAULT_MODEL}: {kind} images of {images.side} pixels are small", model=DEFAULT_MODEL
    )


def _choose_size(chosen: Choices[ClassificationConfig], images: Glance) -> None:
    """Keep small images as they are, where the model can take them: no pixels are made up."""
    smallest = find_family(chosen.config.model).smallest
    side = max(images.side, smallest)
    why = (
        "their own size"
        if side == images.side
        else f"the smallest that {chosen.config.model} takes"
    )
    if images.side <= _SMALLEST_GREY_PHOTO:
        chosen.take(f"{side} pixels: {why}", image_size=side)


def _choose_transfer(chosen: Choices[ClassificationConfig], images: Glance) -> None:
    kind = "in color" if images.color else "in grey"
    chosen.take(
        f"{_PHOTO} with ImageNet's weights: images {kind} of {images.side} pixels are photos",
        model=_PHOTO,
        weights=_PHOTO,
    )
    if not chosen.config.numeric:
        chosen.take(
            "the epoch of the lowest validation loss is kept: of few images the accuracy is coarse",
            monitor="validation/loss",
        )
    size = _size_to_learn(images)
    if images.train < _FEW or size is None:
        size = chosen.config.image_size or _size_to_pass(images)
        number = "few for more" if images.train < _FEW else "too many for more in time"
        chosen.take(
            f"its classifier alone trains, at {size} pixels: {images.train:,} training images are "
            f"{number}",
            transfer="feature-extraction",
            image_size=size,
            augment=(),
            learning_rate=3e-3,
        )
        return
    why = ""
    if chosen.config.image_size is None:
        why = ": as large as ten minutes allow"
    size = chosen.config.image_size or size
    chosen.take(
        f"its classifier is fitted first, then all of it trains, at {size} pixels{why}",
        transfer=HEAD_FIRST,
        image_size=size,
        learning_rate=1e-3,
        batch_size=32,
    )
    chosen.take(
        "images are mirrored, moved and scaled a little at random, as photos can be",
        augment=_CHANGES,
    )


def _size_to_learn(images: Glance) -> int | None:
    """Return the pixels at which the whole network can learn in time, if there are any."""
    largest = max(_BLOWN_UP, 2 * images.side)
    for size in _SIZES:
        if size <= largest and _EPOCHS * images.train * _LEARN * size**2 <= _SECONDS:
            return size
    for size in (_SIZES[-1], *_SMALLER):
        if _FEWEST_EPOCHS * images.train * _LEARN * size**2 <= _SECONDS:
            return size
    return None


def _size_to_pass(images: Glance) -> int:
    """Return the pixels at which all images go through the network once in time."""
    sizes = (*_SIZES, *_SMALLER)
    return next((s for s in sizes if images.total * _PASS * s**2 <= _SECONDS), sizes[-1])


def _needs(config: ClassificationConfig, images: Glance, train: int) -> Needs:
    """Return what a model needs, from what it computes."""
    if config.model != _PHOTO or config.weights is None:
        rate = _rate(config, images)
        updates = max(_UPDATES, _ROUNDS * train // config.batch_size)
        return Needs(updates, round(_SECONDS * rate), rate)
    size = config.image_size or _SIZES[-1]
    if config.transfer_mode == "feature-extraction" and not config.augment:
        seconds = 5 + images.total * _PASS * size**2  # of the classifier, and of what it sees
        return Needs(_HEAD, 10**7, _HEAD * config.batch_size / seconds)
    rate = 1 / (_LEARN * size**2)
    return Needs(max(600, 10 * train // config.batch_size), round(_SECONDS * rate), rate)


def _rate(config: ClassificationConfig, images: Glance) -> float:
    """Return about how many images a second a model of the size learns from."""
    family = find_family(config.model)
    size = config.image_size or max(family.smallest, images.side if images.arrays else 64)
    channels = 3 if images.color or family.needs_color else 1
    with torch.device("meta" if family.tried else "cpu"):
        model = build.build(config.model, channels, size, max(2, images.classes))
    return samples_per_second(model, (channels, size, size))
