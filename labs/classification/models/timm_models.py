"""Classifiers of the package timm (`pip install -e '.[timm]'`), called `timm:NAME`.

Nothing is ever downloaded: weights come from a file that is there. What images they want (size,
mean, deviation) is what timm says of the model's published weights, its `pretrained_cfg`.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from common.errors import ConfigError, RunError
from common.suggest import suggest
from labs.classification.models.catalogue import TIMM


def build(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    """Return an untrained model of timm's; those made for one size are made for that of the images.

    Raises:
        ConfigError: the package is not installed, or has no such model.
        ValueError: some models, where they cannot take such a size; others raise when called.
    """
    fixed = {"img_size": image_size} if _find(name).fixed_input_size else {}
    model: nn.Module = _import().create_model(
        name.removeprefix(TIMM), pretrained=False, num_classes=classes, in_chans=channels, **fixed
    )
    return model


def find_inputs(name: str) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
    """Return the pixels of a side, the mean and the deviation of the images that weights want.

    Raises:
        ConfigError: as `build` does.
    """
    found = _find(name)
    return int(found.input_size[-1]), tuple(found.mean), tuple(found.std)


def find_usual(name: str) -> tuple[int, int, int]:
    """Return channels, pixels of a side, and classes that a model was published for.

    Raises:
        ConfigError: as `build` does.
    """
    found = _find(name)
    return 3, int(found.input_size[-1]), int(found.num_classes)


def convert(
    model: nn.Module, given: Mapping[str, Tensor], heads: Sequence[str], source: str
) -> dict[str, Tensor]:
    """Return tensors of a file as a model of timm's has them.

    Files of a model's authors may name them otherwise, and position embeddings may be of another
    size; timm knows how to turn those of most models.

    Args:
        model: whose they are to be.
        given: by name.
        heads: names of what gives logits, which may be for other classes.
        source: what the error calls them.

    Raises:
        RunError: they are not those of such a model.
    """
    left_out = tuple(f"{name}." for name in heads)
    if all(
        name in given and given[name].shape == tensor.shape
        for name, tensor in model.state_dict().items()
        if not name.startswith(left_out)
    ):
        return dict(given)
    turn = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if turn is None:
        return dict(given)
    try:
        return dict(turn(dict(given), model))
    except Exception as error:  # what it makes of another model's tensors may be anything
        raise RunError(
            f"{source} is of another model: timm cannot read it as "
            f"{type(model).__name__} ({type(error).__name__}: {error})"
        ) from error


def _find(name: str) -> Any:
    """Return what timm says of a model's published weights."""
    timm, own = _import(), name.removeprefix(TIMM)
    if not own or not timm.is_model(own):
        near = suggest(own, timm.list_models(), form=f"; did you mean {TIMM}{{}}?")
        raise ConfigError(f"--model {name}: timm {timm.__version__} has no such model{near}")
    try:
        return timm.get_pretrained_cfg(own)
    except RuntimeError as error:  # weights of that name behind the dot
        base = own.partition(".")[0]
        tags = [f"{base}.{each.partition('.')[2]}" for each in timm.list_pretrained(f"{base}.*")]
        near = suggest(own, tags, form=f"; did you mean {TIMM}{{}}?")
        raise ConfigError(
            f"--model {name}: timm {timm.__version__} knows no such weights of {base}{near}"
        ) from error


def _import() -> Any:
    """Return the package, which takes seconds to import.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise ConfigError(
            f"--model {TIMM}NAME: needs the package timm: pip install -e '.[timm]'"
        ) from error
    return timm
