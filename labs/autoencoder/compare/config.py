"""The options of the commands that train several autoencoders, and their recipes."""

from collections.abc import Iterator
from dataclasses import dataclass

from common.options.config import data_option, model_option, option, shared
from labs.autoencoder.config import RECIPES, TOLD, AutoencoderConfig

SWEPT = {
    name: {key: value for key, value in values.items() if key != "latent_size"}
    for name, values in RECIPES.items()
}
"""Recipes without the size of the latents, of which a sweep takes several."""


@dataclass(frozen=True)
class CompareAnomaliesConfig(AutoencoderConfig):
    """What `compare-anomalies` takes."""

    classes: tuple[str, ...] = data_option(
        (), "classes of which each is left out in a run of its own; all of them when not given"
    )
    width: int = shared("width", 16, AutoencoderConfig)
    epochs: int = shared("epochs", 15)

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        if self.without:
            yield "--without: give --classes, of which each is left out in a run of its own"
        if len(set(self.classes)) < len(self.classes):
            yield "--classes: names a class twice"
        if self.model == "conditional-vae":
            yield TOLD


UNTOLD = {name: values for name, values in RECIPES.items() if name != "conditional-vae"}
"""Recipes of models that are not told the class."""


@dataclass(frozen=True)
class SweepConfig(AutoencoderConfig):
    """What `sweep` takes."""

    sizes: tuple[str, ...] = model_option(
        ("2", "4", "8", "16", "32"),
        "numbers that an image is squeezed into, one run for each, with commas between",
    )
    seeds: int = option(1, "how often each is trained, each time with another seed", at_least=1)
    epochs: int = shared("epochs", 20)

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        if self.latent_size != AutoencoderConfig.latent_size:
            yield f"--latent-size {self.latent_size}: sweep takes several, with --sizes"
        if self.model == "denoising":
            yield (
                "--model denoising: gives back other images than it sees, so PCA is no measure of "
                "it; choose another model"
            )
        if not self.sizes:
            yield "--sizes: expected at least one, such as 2,4,8"
        wrong = [size for size in self.sizes if not _is_size(size)]
        yield from [f"--sizes {size}: expected whole numbers, at least 1" for size in wrong]
        numbers = [int(size) for size in self.sizes if size not in wrong]
        twice = sorted({number for number in numbers if numbers.count(number) > 1})
        yield from [f"--sizes {number}: given twice" for number in twice]


def _is_size(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 9 and int(text) >= 1
