"""The options of the commands that compare: variants of a config, each trained with some seeds."""

from collections.abc import Iterator
from dataclasses import dataclass

from common.options.config import option, shared
from common.suggest import suggest
from labs.classification.config import HEAD_FIRST, TRANSFERS, ClassificationConfig, transfer_problem
from labs.classification.models.catalogue import MODELS, PACKAGED, is_known

SOME_LAYERS = "freeze:50%"  # the mode of transfer that tables call to train some layers
_COMPARED = tuple(mode for mode in TRANSFERS if mode != HEAD_FIRST)  # it ends as fine-tune does


@dataclass(frozen=True)
class TrialsConfig(ClassificationConfig):
    """What every command that compares variants of a config takes."""

    seeds: int = option(
        3,
        "how often each variant is trained, each time with another seed",
        group="Trials",
        at_least=1,
    )

    def _numeric_problems(self) -> Iterator[str]:
        if self.numeric:
            yield f"--loss {self.loss}: comparisons take classes, not numbers"
        if self.several:
            yield (
                f"--loss {self.loss}: comparisons take images of one class each; --loss "
                "cross-entropy takes each combination of labels for a class"
            )


@dataclass(frozen=True)
class CompareImbalanceConfig(TrialsConfig):
    """What `compare-imbalance` takes."""

    imbalanced: float = shared("imbalanced", 50.0, ClassificationConfig)

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        if self.imbalance != ClassificationConfig.imbalance:
            yield f"--imbalance {self.imbalance}: all of them are compared; drop it"


@dataclass(frozen=True)
class CompareSensesConfig(TrialsConfig):
    """What `compare-senses` takes."""

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        if not self.with_:
            yield "--with: there is one sense without it; name columns, such as age,city,title"
        if self.without:
            yield f"--without {','.join(self.without)}: senses are compared; leave it out"


@dataclass(frozen=True)
class CompareTransferConfig(TrialsConfig):
    """What `compare-transfer` takes."""

    modes: tuple[str, ...] = option(
        _COMPARED,
        "of --transfer that are compared, with commas between",
        group="Trials",
    )
    epochs: int = shared("epochs", 10)
    learning_rate: float = shared("learning_rate", 1e-3)

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        if not self.weights:
            yield (
                "--weights: there is nothing to transfer without them; give a file, run:RUN, "
                f"{', '.join(PACKAGED)} or download"
            )
        if self.transfer:
            yield f"--transfer {self.transfer}: modes are compared; name them with --modes"
        if len(set(self.modes)) < max(2, len(self.modes)):
            yield f"--modes {','.join(self.modes)}: expected two or more, each once"
        yield from filter(None, (transfer_problem(mode, "--modes") for mode in self.modes))


@dataclass(frozen=True)
class AdviseConfig(CompareTransferConfig):
    """What `advise` takes."""

    similar: str = option(
        "estimate",
        "whether the images are like those that the weights saw; estimate: see how well the frozen "
        "features tell the classes apart",
        group="Transfer",
        choices=("yes", "no", "estimate"),
    )
    modes: tuple[str, ...] = shared("modes", (*_COMPARED, SOME_LAYERS), CompareTransferConfig)
    probe: bool = option(False, "train with each mode, and see which wins", group="Trials")

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        if len(self.label_column) > 1:
            yield "--label-column: advise takes one column; name one of them"


@dataclass(frozen=True)
class CompareHeadsConfig(TrialsConfig):
    """What `compare-heads` takes."""

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        if len(self.label_column) < 2:
            yield "--label-column: expected several columns, such as mask,gender,age"
        if self.heads != ClassificationConfig.heads:
            yield f"--heads {self.heads}: all of them are compared; drop it"


@dataclass(frozen=True)
class CompareTeacherConfig(TrialsConfig):
    """What `compare-teacher` takes."""

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        if self.teacher is None:
            yield "--teacher: expected the folder of a finished run of train; it teaches"


@dataclass(frozen=True)
class ModelsConfig(TrialsConfig):
    """What every command takes that compares models, each with its own recipe."""

    models: tuple[str, ...] = option(
        ("linear", "mlp", "locally-connected", "lenet5", "resnet20"),
        "what is compared, with commas between",
        group="Trials",
    )
    chosen: tuple[str, ...] = option(
        (),
        "fields whose values here go over the models' own recipes; those of the options that are "
        "given",
        group="Trials",
    )
    epochs: int = shared("epochs", 8)

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        if self.model != ClassificationConfig.model:
            yield f"--model {self.model}: several are compared; name them with --models"
        if self.weights:
            yield "--weights: this command trains from random weights; drop it"
        if not self.models:
            yield "--models: expected at least one, such as linear,lenet5"
        twice = sorted({name for name in self.models if self.models.count(name) > 1})
        yield from [f"--models {name}: given twice" for name in twice]
        yield from [
            f"--models {name}: no such model{suggest(name, MODELS)}"
            for name in self.models
            if not is_known(name)
        ]


@dataclass(frozen=True)
class CompareArchitecturesConfig(ModelsConfig):
    """What `compare-architectures` takes."""


@dataclass(frozen=True)
class CompareSizesConfig(ModelsConfig):
    """What `compare-sizes` takes."""

    models: tuple[str, ...] = option(
        (
            "small-vit",
            "small-vit-no-position",
            "small-vit-overlap",
            "small-vit-conv-stem",
            "small-vit-conv-position",
            "small-vit-conv",
            "resnet20",
        ),
        "what is compared, with commas between: the first with each of the others",
        group="Trials",
    )
    sizes: tuple[str, ...] = option(
        (),
        "pixels of a side that test images are shown with, with commas between; when not given, "
        "two patches of a vision transformer less than in training to three more, of 28 pixels "
        "20,24,32,36,40",
        group="Trials",
    )
    augment: tuple[str, ...] = shared("augment", (), ClassificationConfig)
    epochs: int = shared("epochs", 15)

    @property
    def pixels(self) -> tuple[int, ...]:
        """The sizes as numbers."""
        return tuple(map(int, self.sizes))

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        wrong = [size for size in self.sizes if not (size.isdecimal() and int(size) > 0)]
        yield from [f"--sizes {size}: expected pixels, such as 20,24,32" for size in wrong]
        if not wrong and len(set(self.pixels)) < len(self.sizes):
            yield f"--sizes {','.join(self.sizes)}: one of them is given twice"
        if any(spec.partition(":")[0] == "crop" for spec in self.augment):
            yield "--augment crop: cuts images of every size to one; drop it, or give pad-crop:4"
