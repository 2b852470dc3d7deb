"""Outside augmentation policies: torchvision's by name, and Albumentations' from a file.

A policy changes one image at a time, before it is in a batch, so it runs where images are read (in
workers). What it does to an image depends on a seed alone: that of the image's place in the epoch,
whichever process reads it, and in a resumed run as well.
"""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from common import seeding
from common.errors import ConfigError, DataError
from common.images.sets import ImageSet
from common.options.config import POLICIES, POLICY
from common.suggest import suggest
from common.training.batches import Place

_TRIED = 4  # images that a policy is tried on before training begins

# Importing Albumentations asks the internet for news, and pipelines of its successor report there.
_OFFLINE = ("NO_ALBUMENTATIONS_UPDATE", "ALBUMENTATIONS_NO_TELEMETRY")

_KINDS = {  # the classes of torchvision.transforms.v2, with their defaults
    "augmix": "AugMix",
    "autoaugment": "AutoAugment",
    "randaugment": "RandAugment",
    "trivialaugment": "TrivialAugmentWide",
}


class Policy(Protocol):
    """What changes an image, uint8 (C, H, W), into another one; the same seed, the same change."""

    def __call__(self, image: Tensor, seed: int, /) -> Tensor:
        """Return the changed image; the one given is left as it is."""


@dataclass(frozen=True)
class Torchvision:
    """A policy of torchvision with its defaults.

    AutoAugment (Cubuk et al. 2019, arXiv:1805.09501; the one found for ImageNet), RandAugment
    (Cubuk et al. 2020, arXiv:1909.13719), TrivialAugment (Müller and Hutter 2021,
    arXiv:2103.10158; the wide one) and AugMix (Hendrycks et al. 2020, arXiv:1912.02781).
    """

    name: str  # one of `common.options.config.POLICIES`

    def __call__(self, image: Tensor, seed: int) -> Tensor:
        """Return the changed image; torch's generator then goes on as if nothing had drawn."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            changed: Tensor = self._change(image)
        return changed

    @cached_property
    def _change(self) -> Any:
        from torchvision.transforms import v2

        return getattr(v2, _KINDS[self.name])()


@dataclass(frozen=True)
class Albumentations:
    """A pipeline that `albumentations.save` wrote, read without running anything from it."""

    path: Path  # a .json, .yaml or .yml file

    def __call__(self, image: Tensor, seed: int) -> Tensor:
        """Return the changed image.

        Raises:
            DataError: a transform cannot take such an image, or changes its size or its type.
        """
        self._pipeline.set_random_seed(seed)
        pixels = image.permute(1, 2, 0).numpy()
        try:
            changed = self._pipeline(image=pixels.copy())["image"]
        except Exception as error:  # the library's transforms raise all kinds of errors
            raise DataError(f"policy {self.path}: {error}") from error
        if getattr(changed, "dtype", None) != pixels.dtype or changed.shape != pixels.shape:
            given = f"{getattr(changed, 'dtype', type(changed).__name__)} {tuple(changed.shape)}"
            raise DataError(
                f"policy {self.path} makes {given} of an image {pixels.dtype} {pixels.shape}; it "
                "must keep the type and the size: leave out Normalize, ToFloat and ToTensorV2, "
                "which training does itself, and end it with a Resize to --image-size where it "
                "crops"
            )
        return torch.from_numpy(changed.copy()).permute(2, 0, 1).contiguous()

    @cached_property
    def _pipeline(self) -> Any:
        description = self._description()
        library = _albumentations()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # of arguments that it would otherwise pass over
                return library.Compose([library.from_dict(description)])
        except Exception as error:
            what = f"no transform {error}" if isinstance(error, KeyError) else str(error)
            raise ConfigError(
                f"policy {self.path} is none that Albumentations {library.__version__} can build: "
                f"{what}; write it with albumentations.save"
            ) from error

    def _description(self) -> dict[str, Any]:
        """Read the file: plain values only."""
        import yaml

        try:  # JSON is YAML, too
            found = yaml.safe_load(self.path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError as error:
            hint = suggest(self.path.name, POLICIES, "; did you mean policy:{}?")
            raise ConfigError(
                f"policy {self.path}: no such file; expected one that albumentations.save wrote, "
                f"or one of {', '.join(POLICIES)}{hint}"
            ) from error
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ConfigError(f"policy {self.path} cannot be read: {error}") from error
        if not isinstance(found, dict) or not isinstance(found.get("transform"), dict):
            raise ConfigError(
                f"policy {self.path} is no pipeline of Albumentations; expected a file that "
                "albumentations.save wrote"
            )
        return found


def _albumentations() -> Any:
    for switch in _OFFLINE:
        os.environ.setdefault(switch, "1")
    try:
        import albumentations
        import cv2
    except ImportError as error:
        raise ConfigError(
            "a policy from a file needs Albumentations, which cannot be imported "
            f"({error}); install it with pip install -e '.[albumentations]', or take one of "
            f"torchvision's: {', '.join(POLICY + name for name in POLICIES)}"
        ) from error
    cv2.setNumThreads(0)  # its threads do not live on in a forked worker, which would wait for them
    return albumentations


class Changed(Dataset[tuple[Tensor, Tensor]]):
    """A split whose images policies change, in this order and in each epoch in another way.

    Where a place has no seed, as in evaluation, they change nothing.
    """

    draws = True

    def __init__(self, split: ImageSet, policies: Sequence[Policy]):
        self.split, self.policies = split, tuple(policies)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, place: Place) -> tuple[Tensor, Tensor]:
        """Return one image, uint8 (C, H, W), and its target."""
        image, target = self.split[place.row]
        return (image if place.seed is None else apply(self.policies, image, place.seed)), target


def apply(policies: Sequence[Policy], image: Tensor, seed: int) -> Tensor:
    """Change an image, uint8 (C, H, W), by one policy after the other."""
    for number, policy in enumerate(policies):
        image = policy(image, seeding.derive(seed, number))
    return image


def parse(specs: Sequence[str]) -> tuple[Policy, ...]:
    """Return the policies among the specs of `--augment`: `policy:NAME` or `policy:FILE`."""
    named = [spec.removeprefix(POLICY) for spec in specs if spec.startswith(POLICY)]
    return tuple(
        Torchvision(name) if name in POLICIES else Albumentations(Path(name).expanduser())
        for name in named
    )


def leave_out(specs: Sequence[str]) -> tuple[str, ...]:
    """Return the specs that are no policies: those that `common.images.augment.parse` reads."""
    return tuple(spec for spec in specs if not spec.startswith(POLICY))


def check(specs: Sequence[str], split: ImageSet) -> None:
    """Try the policies on some images of the split that they are to change.

    Raises:
        ConfigError: a policy cannot be had; it names all that is wrong with it.
        DataError: a policy cannot take such images.
    """
    policies = parse(specs)
    for row in range(min(_TRIED, len(split)) if policies else 0):
        apply(policies, split.images[row], seed=row)
