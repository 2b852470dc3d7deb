"""The options of `contrast`."""

from dataclasses import dataclass
from typing import Any, ClassVar

from common.options.config import TrainingConfig, data_option, model_option, shared

LANGUAGES = ("english", "korean")


@dataclass(frozen=True)
class ContrastConfig(TrainingConfig):
    """What `python -m labs.classification contrast` takes."""

    language: str = data_option("english", "of the captions", choices=LANGUAGES)
    scenes: int = data_option(
        8000, "drawings to train on, each with its caption", at_least=50, at_most=100_000
    )
    image_size: int = data_option(48, "pixels of a side", at_least=32, at_most=96)

    width: int = model_option(32, "channels of the first convolution", at_least=1)
    text_size: int = model_option(128, "units that read a caption", at_least=1)
    embedding_size: int = model_option(64, "dimensions that both are projected to", at_least=2)
    temperature: float = model_option(
        0.07, "by which similarities are divided at first; it is learned", above=0.01
    )

    epochs: int = shared("epochs", 14)
    batch_size: int = shared("batch_size", 128)
    learning_rate: float = shared("learning_rate", 2e-3)
    weight_decay: float = shared("weight_decay", 0.05)
    schedule: str = shared("schedule", "cosine")
    warmup: float = shared("warmup", 1.0)

    data: ClassVar[str] = "scenes"

    @property
    def title(self) -> str:
        """What it is."""
        return "contrastive"


RECIPES: dict[str, dict[str, Any]] = {
    # A look at all that there is in a minute; not measured.
    "quick": {"scenes": 2000, "epochs": 6},
}
