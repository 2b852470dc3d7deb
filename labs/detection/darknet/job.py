"""The job of networks of a `.cfg`: a run keeps the text of it, and so needs the file no more."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from common.errors import ConfigError
from common.runs.job import Say, Splits, Suited
from common.training.sequences import Ragged
from labs.detection.config import DetectionConfig
from labs.detection.darknet import cfg as cfgs
from labs.detection.darknet import published, weights
from labs.detection.darknet.network import Darknet
from labs.detection.data.load import SCENES, BoxSet, Card
from labs.detection.job import Detector
from labs.detection.letterbox import letterbox
from labs.detection.models import weights as other_weights

_PHOTOS = ("china.jpg", "flower.jpg")  # scikit-learn's


@dataclass(frozen=True)
class DarknetCard(Card):
    """What a run needs to know of its data, and of its network, without having either."""

    cfg: str  # the text of the `.cfg`, for the data's classes
    imported: bool = False  # whether it was trained elsewhere, on data that nobody has here


class DarknetDetector(Detector):
    """A detector whose layers a `.cfg` tells; one of darknet's own, or a file of the user's."""

    card_type = DarknetCard

    @classmethod
    def suited(cls, config: DetectionConfig) -> Suited[DetectionConfig]:
        """Return the config with what suits a user's photos, but for the size: the network has one.

        Raises:
            ConfigError: its file is wrong.
        """
        found, reasons = super().suited(config)
        if "image_size" in config.given:
            return Suited(found, reasons)
        kept = [reason for reason in reasons if " pixels: " not in reason]
        if _is_file(config):
            cfg = cfgs.parse(cfgs.read(Path(config.model)), config.model)
            kept.append(f"{cfg.size} pixels: as {cfg.source} says")
            if cfg.unused:
                kept.append(
                    f"not {', '.join(cfg.unused)}, which are for darknet's trainer; the options of "
                    "this one, such as --learning-rate, --epochs and --augment, take their place"
                )
            return Suited(dataclasses.replace(found, image_size=cfg.size), kept)
        if config.data == SCENES:
            return Suited(found, reasons)
        size = published.SIZE
        kept.append(f"{size} pixels: what {config.model} was published for")
        return Suited(dataclasses.replace(found, image_size=size), kept)

    @classmethod
    def load(cls, config: DetectionConfig, card: Card | None = None) -> tuple[Splits, Card]:
        """Load the config's images with their boxes, split, and the text of the network.

        Raises:
            ConfigError: the network is for other classes than the data's.
        """
        if isinstance(card, DarknetCard) and card.imported:
            return _stand_in(card.image_size), card
        splits, of_data = super().load(config, card)
        if isinstance(card, DarknetCard):
            text = card.cfg
        elif _is_file(config):
            text = cfgs.read(Path(config.model))
            _check_classes(cfgs.parse(text, config.model), of_data.classes)
        else:
            text = published.write(config.model, len(of_data.classes), of_data.image_size)
        return splits, DarknetCard(**vars(of_data), cfg=text)

    def build_model(self) -> nn.Module:
        """Return the network of the card."""
        card: Any = self.card
        return Darknet(cfgs.parse(card.cfg, self.config.model), card.image_size)

    def warm_start(self, splits: Splits, say: Say) -> None:
        """Load the weights that the config names, where they fit."""
        source, model = self.config.weights, self.model
        if source is None:
            return
        assert isinstance(model, Darknet)
        weights.refuse_absent(source)
        if weights.is_weights(source):
            say(weights.start(model, Path(source)))
        else:
            say(other_weights.load(model, self.config.model, source))

    @property
    def unmeasured(self) -> str:
        """Why nothing of its own measures the run: nobody has the data that it learned from."""
        card: Any = self.card
        return "was trained elsewhere, and has no data of its own" if card.imported else ""


def _stand_in(size: int) -> dict[str, BoxSet]:
    """Return photos without boxes in place of data that nobody has: to be shown and compared on."""
    from sklearn.datasets import load_sample_image

    photos = [torch.from_numpy(load_sample_image(name).copy()).movedim(2, 0) for name in _PHOTOS]
    squares = torch.stack([letterbox(photo, size)[0] for photo in photos])
    sizes = torch.tensor([photo.shape[1:] for photo in photos])
    nothing = Ragged(torch.zeros(0, 6), torch.zeros(len(photos) + 1, dtype=torch.int64))
    split = BoxSet(squares, nothing, sizes, _PHOTOS)
    return dict.fromkeys(("train", "validation", "test"), split)


def _is_file(config: DetectionConfig) -> bool:
    return config.model not in published.NAMES


def _check_classes(cfg: cfgs.Cfg, classes: tuple[str, ...]) -> None:
    """Refuse a network for another number of classes, and say in which lines it stands.

    Raises:
        ConfigError: with the lines.
    """
    if cfg.classes == len(classes):
        return
    problems = [
        f"{cfg.source}: it is for {cfg.classes} classes, and the data has {len(classes)}; write"
    ]
    for at, head in cfg.heads:
        filters = len(head.mask) * (5 + len(classes))
        problems += [
            f"filters={filters} in the [convolutional] of line {cfg.layers[at - 1].line}",
            f"classes={len(classes)} in the [yolo] of line {head.line}",
        ]
    raise ConfigError(problems)
