"""The options of the lab's experiments."""

from dataclasses import dataclass

from common.experiments.options import CrossvalOptions
from labs.autoencoder.config import AutoencoderConfig


@dataclass(frozen=True)
class CrossvalConfig(CrossvalOptions, AutoencoderConfig):
    """What `crossval` takes."""
