"""torchvision's classifiers, at the size and for the classes of the data."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

_AUXILIARY_SIZE = {"googlenet": 15, "inception_v3": 299}
"""Pixels from which there is something left for the auxiliary classifiers."""


def construct(name: str, image_size: int, classes: int) -> nn.Module:
    """Return an untrained model.

    In training, `googlenet` and `inception_v3` give a tuple: the logits, and those of their
    auxiliary classifiers. They have none where they would get too little of a small image
    (`inception_v3` below 299 pixels), nor where a number is predicted, that is, one class.

    Raises:
        ValueError: some models, where they cannot take such a size; others raise when called.
    """
    # Imported here because it takes seconds, and the lab's own models do without.
    from torchvision.models import get_model

    model: nn.Module = get_model(name, num_classes=classes, **_options(name, image_size, classes))
    return model


def _options(name: str, image_size: int, classes: int) -> dict[str, Any]:
    """Return what the constructor of a model wants besides the number of classes."""
    if name in _AUXILIARY_SIZE:
        auxiliary = image_size >= _AUXILIARY_SIZE[name] and classes > 1
        return {"aux_logits": auxiliary, "init_weights": True}  # leaving out the last is a warning
    if name.startswith("vit_"):
        return {"image_size": image_size}
    if name.startswith("maxvit_"):
        return {"input_size": (image_size, image_size)}
    return {}


def fit_position_embeddings(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict whose position embeddings fit the image size of a vision transformer.

    A ViT has one embedding for each patch of its training images. For images of another size the
    grid of them is interpolated (bicubic), and the class token's stays (Dosovitskiy et al. 2021,
    "An image is worth 16x16 words", section 3.2). Of any other model, and where the size is the
    same, the state comes back as it is.

    Args:
        model: will load it.
        state: weights by name; left alone.

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
