"""The options of the classification lab, and its recipes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from common.config import ImageConfig, nearest, option, shared
from labs.classification.names import LITE, model_names

LOSSES = ("cross-entropy", "focal", "mse", "mae")
TRANSFERS = ("scratch", "feature-extraction", "fine-tune", "gradual")
RUN = "run:"  # before the folder of a run that weights come from
_FREEZE = "freeze:"


@dataclass(frozen=True)
class ClassificationConfig(ImageConfig):
    """What `python -m labs.classification train` takes."""

    augment: tuple[str, ...] = shared("augment", ("affine:12:0.12:0.15:10",), ImageConfig)

    model: str = option(
        "lenet5",
        "from linear to vgg19 and resnet56, or any torchvision classifier; see `summary`",
        group="Model",
        choices=model_names(),
    )
    loss: str = option(
        "cross-entropy",
        "what is minimized; mse and mae predict a number",
        group="Model",
        choices=LOSSES,
    )
    label_smoothing: float = option(
        0.05, "share of a target spread over all classes", group="Model", at_least=0, below=1
    )
    class_weights: str = option(
        "none",
        "balanced: rare classes count more in the loss",
        group="Model",
        choices=("none", "balanced"),
    )
    focal_gamma: float = option(
        2.0, "how much the focal loss plays down easy samples", group="Model", at_least=0
    )

    weights: str | None = option(
        None,
        "to start from: a file (.safetensors, .pth, .pt), run:RUN, efficientnet-lite0 (for that "
        "model), or download for those of torchvision",
        group="Transfer",
    )
    transfer: str | None = option(
        None,
        "what trains: scratch, fine-tune (the default with --weights), feature-extraction (the "
        "head), gradual (one more layer each epoch), freeze:N (all but the first N children), "
        "freeze:NAME (all but what is named so)",
        group="Transfer",
    )
    layer_decay: float = option(
        1.0,
        "learning rate of each layer over that of the layer behind it",
        group="Transfer",
        above=0,
        at_most=1,
    )

    epochs: int = shared("epochs", 60)
    learning_rate: float = shared("learning_rate", 4e-3)
    ema: float | None = shared("ema", 0.99)
    schedule: str = shared("schedule", "cosine")
    warmup: float = shared("warmup", 1.0)

    @property
    def numeric(self) -> bool:
        """Whether the targets are numbers, not classes."""
        return self.loss in ("mse", "mae")

    @property
    def transfer_mode(self) -> str:
        """What of the model trains: `transfer`, or what it is when not given."""
        return self.transfer or ("fine-tune" if self.weights else "scratch")

    def problems(self) -> list[str]:
        """Return what is wrong between fields that are right by themselves."""
        found = [*super().problems(), *self._transfer_problems()]
        if self.numeric and self.class_weights != "none":
            found.append(f"--class-weights: numbers have no classes; drop it or --loss {self.loss}")
        return found

    def _transfer_problems(self) -> Iterator[str]:
        mode = self.transfer_mode
        if problem := transfer_problem(mode):
            yield problem
        elif mode == "scratch" and self.weights:
            yield "--transfer scratch: begins with random weights; drop it, or --weights"
        elif mode != "scratch" and not self.weights:
            yield f"--transfer {mode}: needs --weights, else what is frozen would stay random"
        if self.weights == LITE and self.model != LITE:
            yield f"--weights {LITE}: are those of --model {LITE}, not of {self.model}"
        if self.layer_decay != 1 and self.optimizer == "muon":
            yield "--layer-decay: --optimizer muon has one rate; try adamw"


def transfer_problem(mode: str) -> str | None:
    """Return what is wrong with the text of a mode of transfer, if anything is."""
    if mode in TRANSFERS or (mode.startswith(_FREEZE) and mode != _FREEZE):
        return None
    known = f"{', '.join(TRANSFERS)}, freeze:N or freeze:NAME"
    return f"--transfer {mode}: expected {known}{nearest(mode, TRANSFERS)}"


# Each was run as `train --recipe NAME` (seed 0) on 2 cores of an AMD EPYC; the test accuracy is on
# the 1,000 test digits of mnist5k, the time is the training's.
RECIPES: dict[str, dict[str, Any]] = {
    # 0.983 in 7 s: most of the way in a tenth of the time.
    "quick": {"epochs": 10, "learning_rate": 8e-3},
    # 0.908 in 1 s: one template per class, worse than nearest neighbors, and the report says so.
    "linear": {"model": "linear", "epochs": 20, "augment": (), "learning_rate": 1e-3},
    # 0.978 in 6 s: what one gets without convolutions.
    "mlp": {"model": "mlp", "epochs": 40, "learning_rate": 1e-3},
    # The classic recipes of transfer learning; their figures depend on the photos one brings. The
    # last layer is made for the classes of the data, such as 33 or 10.
    "resnet50-first5": {
        **{"model": "resnet50", "weights": "download", "transfer": "freeze:5", "image_size": 224},
        **{"optimizer": "adam", "learning_rate": 1e-3, "warmup": 0.0, "epochs": 25},
        **{"schedule": "step", "schedule_period": 7, "schedule_factor": 0.1},
        **{"schedule_every": "epoch", "label_smoothing": 0.0, "ema": None, "augment": ("hflip",)},
    },
    "vgg11-features": {
        **{"model": "vgg11", "weights": "download", "transfer": "freeze:features"},
        **{"image_size": 224, "optimizer": "sgd", "learning_rate": 1e-3, "epochs": 10},
        **{"label_smoothing": 0.0, "ema": None, "augment": ()},
    },
}
