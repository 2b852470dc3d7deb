"""The options of the classification lab, and its recipes."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from common.options.config import (
    POLICIES,
    POLICY,
    ImageConfig,
    Kind,
    PatchConfig,
    flag,
    located,
    model_option,
    option,
    same_items_option,
    shared,
    training_option,
)
from common.suggest import suggest
from labs.classification.models.catalogue import MODELS, PACKAGED, TIMM, find_family, is_known

SEVERAL = "binary-cross-entropy"
LOSSES = ("cross-entropy", SEVERAL, "mse", "mae")
IMBALANCE = ("none", "class-weights", "sampler", "focal", "augment-rare")
HEADS = ("shared", "separate", "joint")
IMAGE = "image"  # what the sense is called that is no column
COLUMN_KINDS = ("number", "category", "text")
HEAD_FIRST = "head-first"
TRANSFERS = ("scratch", "feature-extraction", "fine-tune", HEAD_FIRST, "gradual")
AUTO, DEFAULT_MODEL = "auto", "lenet5"
RUN = "run:"  # before the folder of a run that weights come from
_FREEZE = "freeze:"


@dataclass(frozen=True)
class ClassificationConfig(PatchConfig, ImageConfig):
    """What `python -m labs.classification train` takes."""

    augment: tuple[str, ...] = same_items_option(
        ("affine:12:0.12:0.15:10",),
        "random changes of training images, with commas between: affine, color, crop:52, erase, "
        "hflip, pad-crop:4, vflip, before them policy:NAME of torchvision (augmix, autoaugment, "
        "randaugment, trivialaugment) or policy:FILE of Albumentations; or none; see `augment`",
    )
    more_augmentations: ClassVar = ("policy",)

    model: str = model_option(
        DEFAULT_MODEL,
        "from linear to vgg19 and resnet56, any torchvision classifier, see `summary`, or one of "
        "timm's, timm:NAME; auto is what suits the images, and what images of your own get when it "
        "is not given",
        choices=(AUTO, *MODELS),
        prefix=TIMM,
    )
    loss: str = model_option(
        "cross-entropy",
        "what is minimized; binary-cross-entropy is for any number of labels an image, mse and mae "
        "predict a number",
        choices=LOSSES,
    )
    label_smoothing: float = model_option(
        0.05, "share of a target spread over all classes", at_least=0, below=1
    )
    imbalance: str = model_option(
        "none",
        "how rare classes get their due: they weigh more in the loss (class-weights), are drawn as "
        "often as others (sampler), sure samples count less (focal), or they are repeated and the "
        "repeats alone augmented (augment-rare)",
        choices=IMBALANCE,
    )
    focal_gamma: float = model_option(
        2.0, "how much --imbalance focal plays down easy samples", at_least=0
    )
    heads: str = model_option(
        "shared",
        "with several label columns: one network for all (shared), one for each (separate), or one "
        "for the combinations (joint)",
        choices=HEADS,
    )

    mixup: float = training_option(
        0.0,
        "alpha of Beta(alpha, alpha), by which pairs of images are blended; 0 for none",
        at_least=0,
    )
    cutmix: float = training_option(
        0.0,
        "alpha of Beta(alpha, alpha), by which a box of one image is pasted into another; 0 for "
        "none; with --mixup each batch takes one of the two",
        at_least=0,
    )
    per_class: int | None = same_items_option(
        None,
        "training images of each class to learn from; all when not given. Validation and test stay "
        "whole",
        at_least=1,
    )
    imbalanced: float = same_items_option(
        1.0,
        "makes training images rare: the first class keeps so many times as large a share of its "
        "images as the last, with the others between. Validation and test stay whole",
        at_least=1,
    )

    with_: tuple[str, ...] = same_items_option(
        (),
        "columns of a table that the network sees beside the image of the same row, such as "
        "age,city,title: numbers, categories or short texts, as their cells tell, or as is said: "
        "age:number,city:category,title:text",
    )
    sense_dropout: float = model_option(
        0.2,
        "probability with which each sense of a training sample (its image, each column of --with) "
        "is dropped, never all: so the network answers without it, too",
        at_least=0,
        below=1,
    )
    without: tuple[str, ...] = model_option(
        (), "senses that the network never gets: image, or columns of --with; see `compare-senses`"
    )

    unlabelled: str | None = same_items_option(
        None, "the folder, zip or table of the images that --pseudo names"
    )

    teacher: str | None = option(
        None, "run whose answers are learned, too (distillation)", group="Teacher"
    )
    temperature: float = option(
        4.0, "by which the logits of teacher and student are divided", group="Teacher", above=0
    )
    teacher_weight: float = option(
        0.9,
        "share of the loss that the teacher's answers have",
        group="Teacher",
        above=0,
        at_most=1,
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
        "head), head-first (the head, then all), gradual (one more layer each epoch), freeze:N "
        "(all but the first N children), freeze:N% (all but the first N % of the layers), "
        "freeze:NAME (all but what is named so)",
        group="Transfer",
    )
    layer_decay: float = option(
        1.0,
        "each layer's learning rate, as a share of that of the next layer towards the head",
        group="Transfer",
        above=0,
        at_most=1,
    )

    epochs: int = shared("epochs", 60)
    learning_rate: float = shared("learning_rate", 4e-3)
    ema: float | None = shared("ema", 0.99)
    schedule: str = shared("schedule", "cosine")
    warmup: float = shared("warmup", 1.0)

    paths: ClassVar = {**ImageConfig.paths, "teacher": (), "unlabelled": ()}

    @property
    def title(self) -> str:
        """The model's name, and the columns that it sees beside images."""
        if not self.with_:
            return self.model
        shown = [name for name in self.columns_beside if name not in self.without]
        columns = ", ".join(shown) if len(shown) < 3 else f"{len(shown)} columns"
        if IMAGE in self.without:
            return f"a network of {columns}"
        return f"{self.model} with {columns}" if shown else f"{self.model} alone"

    @property
    def stem(self) -> str:
        """The model's name, as folders may be called."""
        return self.model.replace(":", "-")

    def locate_paths(self) -> dict[str, Any]:
        """Add the path of the weights."""
        found = super().locate_paths()
        if self.weights is not None and self.weights not in ("download", *PACKAGED):
            found["weights"] = located(self.weights, RUN)
        return found

    @property
    def numeric(self) -> bool:
        """Whether the targets are numbers, not classes."""
        return self.loss in ("mse", "mae")

    @property
    def kind(self) -> Kind:
        """What an image shows."""
        return "number" if self.numeric else "labels" if self.several else "class"

    @property
    def several(self) -> bool:
        """Whether an image has any number of labels."""
        return self.loss == SEVERAL

    @property
    def column_kinds(self) -> dict[str, str | None]:
        """The columns that go with images, and what each is; None where its cells tell."""
        found: dict[str, str | None] = {}
        for text in self.with_:
            name, colon, kind = unicodedata.normalize("NFC", text).rpartition(":")
            found[(name if colon else kind).strip()] = kind if colon else None
        return found

    @property
    def columns_beside(self) -> tuple[str, ...]:
        """The columns of --with."""
        return tuple(self.column_kinds)

    @property
    def blends(self) -> bool:
        """Whether images are blended in training."""
        return self.mixup > 0 or self.cutmix > 0

    @property
    def transfer_mode(self) -> str:
        """What of the model trains: `transfer`, or what it is when not given."""
        return self.transfer or ("fine-tune" if self.weights else "scratch")

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        yield from self._transfer_problems()
        yield from self._numeric_problems()
        yield from self._rare_problems()
        yield from self._policy_problems()
        yield from self._heads_problems()
        yield from self._teacher_problems()
        yield from self._senses_problems()
        if self.pseudo is not None and self.unlabelled is None:
            yield "--pseudo: needs --unlabelled, where its images are"
        if self.all_rows and self.transfer_mode == HEAD_FIRST:
            yield f"--all-rows: goes without --transfer {HEAD_FIRST}, which looks at validation"

    def _numeric_problems(self) -> Iterator[str]:
        if not self.numeric and not self.several:
            return
        why = "numbers have no classes" if self.numeric else "an image has no single class"
        of_classes = {
            "imbalance": why,
            "mixup": "blends classes",
            "cutmix": "blends classes",
            "label_bands": why,
            "label_order": why,
            "per_class": why,
            "imbalanced": why,
            "teacher": "distillation is of classes",
            "patch": why,
            "pseudo": why,
        }
        for name, why in of_classes.items():
            if getattr(self, name) != getattr(ClassificationConfig, name):
                yield f"{flag(name)}: {why}; drop it or --loss {self.loss}"

    def _heads_problems(self) -> Iterator[str]:
        several = len(self.label_column) > 1 and not self.several
        if several and self.numeric:
            yield f"--label-column: --loss {self.loss} predicts one number; give one column"
        if not several and self.heads != "shared":
            yield f"--heads {self.heads}: needs several --label-column, such as mask,gender,age"
        if self.heads == "separate":
            yield from self._separate_problems()

    def _separate_problems(self) -> Iterator[str]:
        """Refuse what goes by the place of a layer in one network."""
        if self.layer_decay != 1:
            yield "--layer-decay: has rates for one network, not for --heads separate; give shared"
        if self.optimizer == "muon":
            yield "--optimizer muon: takes one network, not --heads separate; try adamw"
        if self.transfer_mode == HEAD_FIRST:
            yield "--transfer head-first: fits one head, not --heads separate; give fine-tune"

    def _senses_problems(self) -> Iterator[str]:
        """Refuse what a network of several senses cannot do."""
        if not self.with_:
            for name in ("without", "sense_dropout"):
                if getattr(self, name) != getattr(ClassificationConfig, name):
                    yield f"{flag(name)}: goes with --with, the columns beside the images"
            return
        names, given = self.column_kinds, ",".join(self.with_)
        if len(names) < len(self.with_) or not all(names):
            yield f"--with {given}: expected different columns, such as age,city,title"
        if IMAGE in names:
            yield f"--with {IMAGE}: so the picture is called; give the column another name"
        for name, kind in names.items():
            if kind is not None and kind not in COLUMN_KINDS:
                near = suggest(kind, COLUMN_KINDS)
                yield f"--with {name}:{kind}: expected one of {', '.join(COLUMN_KINDS)}{near}"
        senses = (IMAGE, *names)
        for name in self.without:
            if name not in senses:
                yield f"--without {name}: expected some of {', '.join(senses)}"
        if {*senses} <= {*self.without}:
            yield f"--without {','.join(self.without)}: leaves no sense; leave one"
        refused = {
            "teacher": "sees images alone",
            "mixup": "blends images, and columns cannot be blended",
            "cutmix": "blends images, and columns cannot be blended",
            "pseudo": "its samples have no columns",
            "layer_decay": "goes by the layers of one network",
        }
        for name, why in refused.items():
            if getattr(self, name) != getattr(ClassificationConfig, name):
                yield f"--with: goes without {flag(name)}, which {why}"
        if self.heads == "separate":
            yield "--with: goes without --heads separate, a network for each label; give shared"
        if self.optimizer == "muon":
            yield "--with: goes without --optimizer muon, which takes one network; try adamw"
        if self.transfer_mode == HEAD_FIRST:
            yield f"--with: goes without --transfer {HEAD_FIRST}; give fine-tune"
        if is_known(self.model) and self.model != AUTO and find_family(self.model).auxiliary:
            yield f"--with: goes without --model {self.model}, which answers more than once"
        if IMAGE in self.without and self.weights is not None:
            yield f"--without {IMAGE}: goes without --weights, which are of images"

    def _teacher_problems(self) -> Iterator[str]:
        for name in ("temperature", "teacher_weight") if self.teacher is None else ():
            if getattr(self, name) != getattr(ClassificationConfig, name):
                yield f"{flag(name)}: there is no teacher; give --teacher RUN, or drop it"

    def _rare_problems(self) -> Iterator[str]:
        if self.imbalance == "augment-rare" and not self.augment:
            yield "--imbalance augment-rare: needs --augment, such as affine:12:0.12:0.15:10"
        if self.blends and 1 in (self.batch_size, self.micro_batch):
            which = "batch-size" if self.batch_size == 1 else "micro-batch"
            yield f"--{which} 1: --mixup and --cutmix blend pairs of a batch; give 2 or more"

    def _policy_problems(self) -> Iterator[str]:
        policies = [spec for spec in self.augment if spec.partition(":")[0] == POLICY[:-1]]
        if any(len(spec) <= len(POLICY) for spec in policies):
            yield f"--augment policy: expected policy:FILE, or with one of {', '.join(POLICIES)}"
        if policies and self.augment[: len(policies)] != tuple(policies):
            yield f"--augment {policies[-1]}: goes before all that is no policy; name it first"
        if policies and self.imbalance == "augment-rare":
            yield f"--augment {policies[0]}: not with --imbalance augment-rare; drop one of them"

    def _transfer_problems(self) -> Iterator[str]:
        mode = self.transfer_mode
        if problem := transfer_problem(mode):
            yield problem
        elif mode == "scratch" and self.weights:
            yield "--transfer scratch: begins with random weights; drop it, or --weights"
        elif mode != "scratch" and not self.weights:
            yield f"--transfer {mode}: needs --weights, else what is frozen would stay random"
        if self.weights in PACKAGED and self.weights != self.model:
            yield (
                f"--weights {self.weights}: are those of --model {self.weights}, not of "
                f"{self.model}"
            )
        if self.layer_decay != 1 and self.optimizer == "muon":
            yield "--layer-decay: --optimizer muon has one rate; try adamw"


def transfer_problem(mode: str, flag: str = "--transfer") -> str | None:
    """Return what is wrong with the text of a mode of transfer, if anything is."""
    if mode in TRANSFERS or (mode.startswith(_FREEZE) and mode != _FREEZE):
        return None
    known = f"{', '.join(TRANSFERS)}, freeze:N, freeze:N% or freeze:NAME"
    return f"{flag} {mode}: expected {known}{suggest(mode, TRANSFERS)}"


# Each was run as `train --recipe NAME` (seed 0) on 2 cores of an AMD EPYC; the test accuracy is on
# the 1,000 test digits of mnist5k, the time is the training's.
RECIPES: dict[str, dict[str, Any]] = {
    # 0.983 in 7 s: most of the way in a tenth of the time.
    "quick": {"epochs": 10, "learning_rate": 8e-3},
    # 0.908 in 1 s: one template per class, worse than nearest neighbors, and the report says so.
    "linear": {"model": "linear", "epochs": 20, "augment": (), "learning_rate": 1e-3},
    # 0.978 in 6 s: what one gets without convolutions.
    "mlp": {"model": "mlp", "epochs": 40, "learning_rate": 1e-3},
    # Rates for the families of the ladder and for torchvision's models, where the default is too
    # high. Validation accuracies are of 1,500 of mnist5k and 3 epochs, or 2,500 and 6, seed 0:
    # alexnet 0.56 after 6 epochs (0.49 with 3e-4), alexnet-bn 0.67 after 3 (0.37 with 4e-3).
    "alexnet": {"model": "alexnet", "learning_rate": 1e-3},
    # vgg11 0.90 after 6 epochs, 0.64 with 1e-3; vgg19, the deepest, learns with it more slowly.
    "vgg": {"model": "vgg11", "learning_rate": 3e-4},
    # vgg11_bn 0.75 after 3 epochs, 0.57 with 3e-3.
    "vgg_bn": {"model": "vgg11_bn", "learning_rate": 1e-3},
    # Transformers begin more slowly. With four blocks of 64, 20 epochs and seed 0 the validation
    # accuracy is 0.926 with the default rate, and 0.910 with half of it.
    "small-vit": {"model": "small-vit", "warmup": 2.0},
    # A usual value; not measured here.
    "torchvision": {"model": "resnet18", "learning_rate": 1e-3},
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


def recipe_for(model: str | None, weights: str | None = None) -> str | None:
    """Return the recipe whose values suit a model from scratch, where they are not the defaults."""
    if model is None or weights is not None or not is_known(model):
        return None
    return find_family(model).recipe
