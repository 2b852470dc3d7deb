"""The whole way of an image competition."""

from pathlib import Path
from typing import Any

from common.compete.compete import Compete
from common.compete.plan import Rung
from common.runs.comparison import narrow
from labs.classification.config import HEAD_FIRST, RECIPES, ClassificationConfig, recipe_for
from labs.classification.experiments.config import CrossvalConfig
from labs.classification.experiments.crossval import CrossvalImages
from labs.classification.experiments.leaks import LeaksOfImages
from labs.classification.job import ClassifyImages
from labs.classification.models.suited import estimate_seconds

_CHOSEN = ("model", "weights", "transfer")  # with one of these the user has chosen the model
_FEATURES = {"transfer": "feature-extraction", "augment": (), "learning_rate": 3e-3}
_ALL = {"learning_rate": 1e-3, "batch_size": 32}


class CompeteWithImages(Compete):
    """From labelled images to a submission."""

    lab = "classification"
    config_type = CrossvalConfig
    recipes = RECIPES
    crossval = CrossvalImages
    leaks = LeaksOfImages
    estimate_seconds = staticmethod(estimate_seconds)

    @classmethod
    def ladder(cls, config: Any) -> list[Rung]:
        """Return a linear model first; then what suits the images, and another beside it.

        Of photos the linear model is one on the features of the offline network.
        """
        config = narrow(config, ClassificationConfig)
        chosen = ClassifyImages.for_config(config).suited(config).config
        if {*_CHOSEN} & config.given:
            return [cls.make_rung(config, chosen.stem, {})]
        if chosen.weights is None:
            names = dict.fromkeys(["linear", chosen.model, "resnet20"])
            return [cls.make_rung(config, name, {"model": name, **_recipe(name)}) for name in names]
        photos = {
            "model": chosen.model,
            "weights": chosen.weights,
            "image_size": chosen.image_size,
            "monitor": chosen.monitor,
        }
        photos = {name: value for name, value in photos.items() if value is not None}
        all_of_it = {**photos, **_ALL, "transfer": "fine-tune" if config.with_ else HEAD_FIRST}
        return [
            cls.make_rung(config, "features", {**photos, **_FEATURES}),
            cls.make_rung(config, "fine-tuned", all_of_it if _is_frozen(chosen) else {}),
        ]

    def explore(self, config: Any, output: Path) -> None:
        """Write the page on what the images are."""
        from labs.classification.look import explore

        plain = narrow(config, ClassificationConfig, augment=(), model="linear")
        explore.command(plain, output)


def _recipe(name: str) -> dict[str, Any]:
    """Return the values that suit a model, but for how long it trains."""
    recipe = recipe_for(name, None)
    values = RECIPES[recipe] if recipe is not None else {}
    return {key: x for key, x in values.items() if key not in ("model", "epochs", "batch_size")}


def _is_frozen(config: ClassificationConfig) -> bool:
    return config.transfer_mode == "feature-extraction"
