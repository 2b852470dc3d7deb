"""torchvision's classifiers, at the size and for the classes of the data."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


def plain(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    """Return an untrained model of torchvision's for color images.

    Raises:
        ValueError: some models, where they cannot take such a size; others raise when called.
    """
    return _construct(name, classes)


def transformer(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    """Return a vision transformer, made for one size; see `plain`."""
    return _construct(name, classes, image_size=image_size)


def maxvit(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    """Return a MaxViT, made for one size; see `plain`."""
    return _construct(name, classes, input_size=(image_size, image_size))


def googlenet(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    """Return GoogLeNet, with two auxiliary classifiers from 15 pixels; see `plain`."""
    return _with_auxiliary(name, image_size, classes, least=15)


def inception(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    """Return Inception v3, with an auxiliary classifier from 299 pixels; see `plain`."""
    return _with_auxiliary(name, image_size, classes, least=299)


def _with_auxiliary(name: str, image_size: int, classes: int, least: int) -> nn.Module:
    """Return a model that in training gives a tuple: its logits, and its auxiliary classifiers'.

    It has none of those where they would get too little of a small image, nor where a number is
    predicted, that is, one class.
    """
    auxiliary = image_size >= least and classes > 1
    # Leaving out `init_weights` is a warning.
    return _construct(name, classes, aux_logits=auxiliary, init_weights=True)


def _construct(name: str, classes: int, **options: Any) -> nn.Module:
    # Imported here because it takes seconds, and weights of the lab's own models do without.
    from torchvision.models import get_model

    model: nn.Module = get_model(name, num_classes=classes, **options)
    return model


def fit_position_embeddings(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict whose position embeddings fit the image size of a vision transformer.

    A ViT has one embedding for each patch of its training images. For images of another size the
    grid of them is interpolated (bicubic), and the class token's stays (Dosovitskiy et al. 2021,
    "An image is worth 16x16 words", section 3.2). Of any other model, and where the size is the
    same, the state comes back as it is.

    Raises:
        ValueError: the embeddings are not those of a square grid and a class token.
    """
    from torchvision.models import VisionTransformer
    from torchvision.models.vision_transformer import interpolate_embeddings

    key = "encoder.pos_embedding"
    if not isinstance(model, VisionTransformer) or key not in state:
        return dict(state)
    fitted = interpolate_embeddings(model.image_size, model.patch_size, {key: state[key]})
    return {**state, key: fitted[key]}
