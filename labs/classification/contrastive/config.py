"""The options of `contrast`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from common.options.config import FORM, FormConfig, data_option, flag, model_option, shared

SCENES = "scenes"
LANGUAGES = ("english", "korean")


@dataclass(frozen=True)
class ContrastConfig(FormConfig):
    """What `python -m labs.classification contrast` takes."""

    data: str = data_option(
        SCENES,
        "scenes, which are drawn; or a folder of images with a table that names them and has their "
        "captions, such as captions.csv",
    )
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

    paths: ClassVar = {"data": (SCENES,)}

    @property
    def title(self) -> str:
        """What it is."""
        return "contrastive"

    @property
    def drawn(self) -> bool:
        """Whether scenes are drawn, and no images read."""
        return self.data == SCENES

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        for name in FORM if self.drawn else ("language", "scenes"):
            if getattr(self, name) != getattr(ContrastConfig, name):
                other = "a table of captions" if self.drawn else "drawn scenes"
                yield f"{flag(name)}: goes with {other}, not with --data {self.data}"


RECIPES: dict[str, dict[str, Any]] = {
    # A look at all that there is in a minute; not measured.
    "quick": {"scenes": 2000, "epochs": 6},
}
