"""Configs: frozen dataclasses from which options, TOML files and error messages are made.

Each field has a type, a default, and one line of help with its unit. Values come in layers
(defaults < recipe < `--config` file < flags); flags arrive as text, and one validator judges
everything together, so that every problem is shown at once. Nothing here imports torch, so `--help`
and a typo answer at once.
"""

import dataclasses
import math
import operator
import re
import types
import unicodedata
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self, TypeVar, get_args, get_type_hints

from common.errors import ConfigError
from common.options.labels import LabelRules, find_problems, parse_rules
from common.options.times import parse_time
from common.suggest import suggest

OPTIMIZERS = ("adam", "adamw", "muon", "rmsprop", "sgd")
SCHEDULES = ("none", "step", "cosine", "cosine-restarts", "plateau", "onecycle")
FITS = ("crop", "pad", "stretch")
DECODING = ("auto", "memory", "cache", "stream")
AUGMENTATIONS = ("affine", "color", "crop", "erase", "hflip", "pad-crop", "vflip")
TRACKERS = ("tensorboard", "wandb")
IMAGE_SETS = ("mnist5k", "digits", "mnist", "fashion-mnist", "cifar10")  # known by name
FORM = ("file_encoding", "delimiter", "sheet", "header")  # fields of `TableForm` as options
POLICY = "policy:"  # before the name of one of these, or a file, in --augment
POLICIES = ("augmix", "autoaugment", "randaugment", "trivialaugment")

AUTO = "auto"  # how text asks for a --batch-size that fits
NONE = "none"  # how text says None, or an empty list
LABEL_RULES = ("label_pattern", "label_bands", "label_order")
CROPS = ("crop_column", "crop_boxes")
GROUP_RULES = ("folder", "name", "name-start", "time", "features")  # by which files tell groups
IN_DATA = "data:"  # a file in the folder or archive that --data names, wherever that is
ROWS = "auto"  # --group-column: images of a row that names a folder are a group
PLACEBO = "placebo:"  # before a patch, in --patch
RECIPE = "recipe "  # before the name of one, where a layer of values comes from
_QUICK = f"{RECIPE}quick"  # shortens the default, and is for the set that it was made for
_LENGTH = {"epochs", "batch_size"}  # of the other recipes, which are for the set, too
_DRAWN = re.compile(r", [\d,]+ different ones among [\d,]+ drawn to train")
_PATCHED = re.compile(r"(, (?:a placebo of )?patch .+?) \([^()]* relabelled and [^()]*\)")
_PSEUDO = re.compile(r", [\d,]+ (pseudo-labelled samples to train)")
_LISTED = 10  # choices that an error lists; of more it gives only the nearest


def option(
    default: Any,
    help: str,  # noqa: A002 - click's word for it
    *,
    group: str = "Run",
    choices: Sequence[str] = (),
    prefix: str = "",
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    saved: bool = True,
    repeated: bool = False,
    same_items: bool = False,
    machine: bool = False,
) -> Any:
    """Declare a field of a config.

    Args:
        default: its value when nobody gives one.
        help: one line, with the unit.
        group: the heading under which `--help` lists it.
        choices: the values it may have.
        prefix: begins other values that it may have.
        at_least: smallest value, allowed.
        above: bound below it, not allowed itself.
        at_most: largest value, allowed.
        below: bound above it, not allowed itself.
        saved: whether it belongs to what a run computes, and so to its config.toml.
        repeated: whether its option is given once for each text of a list, which may hold commas.
        same_items: whether it is of the data, and leaves the test items what they are.
        machine: whether it says how to compute, not what.
    """
    bounds = {"at least": at_least, "above": above, "at most": at_most, "below": below}
    facts = {"choices": tuple(choices), "bounds": bounds, "saved": saved, "repeated": repeated}
    facts |= {"same_items": same_items, "machine": machine, "prefix": prefix}
    return dataclasses.field(default=default, metadata={"help": help, "group": group, **facts})


data_option = partial(option, group="Data")
same_items_option = partial(option, group="Data", same_items=True)
machine_option = partial(option, machine=True)
model_option = partial(option, group="Model")
training_option = partial(option, group="Training")


@dataclass(frozen=True)
class TrainingConfig:
    """The options that mean the same in every lab."""

    epochs: int = training_option(20, "passes over the training split", at_least=1)
    total_updates: int | None = training_option(
        None, "updates to train for, in whole epochs, in place of --epochs", at_least=1, saved=False
    )
    time: str | None = training_option(
        None,
        "what the run may take in all, such as 90s, 10m or 1h30m: it makes as many of --epochs as "
        "fit, and ends with its best weights and a report",
        saved=False,
    )
    batch_size: int = training_option(
        64, "samples in one update; auto takes as many as fit a GPU", at_least=1
    )
    micro_batch: int | None = training_option(
        None,
        "samples computed at a time; an update adds up as many as it needs",
        at_least=1,
        machine=True,
    )
    optimizer: str = training_option("adamw", "how gradients become steps", choices=OPTIMIZERS)
    learning_rate: float = training_option(1e-3, "size of a step", above=0)
    momentum: float = training_option(0.9, "of sgd, rmsprop and muon", at_least=0, below=1)
    nesterov: bool = training_option(False, "look ahead along the momentum (sgd)")
    weight_decay: float = training_option(0.0, "on matrices and kernels, not on biases", at_least=0)
    schedule: str = training_option("none", "how the learning rate changes", choices=SCHEDULES)
    schedule_every: str = training_option("step", "when it changes", choices=("step", "epoch"))
    schedule_period: int = training_option(
        10,
        "epochs between drops (step) or restarts (cosine-restarts), or without progress (plateau)",
        at_least=1,
    )
    schedule_factor: float = training_option(
        0.1, "of the learning rate at each drop (step, plateau)", above=0, below=1
    )
    warmup: float = training_option(
        0.0, "epochs of a linear rise before the schedule, at most half the run", at_least=0
    )
    clip: float | None = training_option(None, "largest norm of the gradient", above=0)
    ema: float | None = training_option(
        None,
        "decay per update of an average of the weights, used in their place; or none",
        above=0,
        below=1,
    )
    patience: int | None = training_option(
        None, "epochs without a better --monitor after which to stop", at_least=1
    )
    monitor: str | None = training_option(
        None, "the metric that picks the best epoch, such as validation/accuracy"
    )
    mode: str = training_option(
        "auto", "whether that metric is to be small or large", choices=("auto", "min", "max")
    )

    seed: int = option(0, "of weights, order, augmentation and dropout", at_least=0)
    split_seed: int = option(0, "of the split into training, validation and test", at_least=0)
    device: str = machine_option("auto", "auto, cpu, cuda, cuda:N or mps")
    precision: str = machine_option(
        "auto", "number format of the forward pass, in bits", choices=("auto", "32", "bf16", "16")
    )
    threads: int | None = machine_option(
        None, "CPU threads; when not given, 1 for a small model, else torch's choice", at_least=1
    )
    compile: bool = machine_option(False, "compile the model with torch.compile")
    channels_last: bool = machine_option(
        False, "keep channels innermost in memory: faster convolutions, on GPUs most of all"
    )
    deterministic: bool = machine_option(
        True, "on a GPU, kernels that repeat exactly where there are any"
    )
    workers: int = machine_option(
        2, "processes that read files, for data too large for memory", at_least=0
    )
    save_every: float = machine_option(60.0, "seconds between saves inside an epoch", above=0)
    keep: int = machine_option(
        8,
        "positions of the run to keep, evenly spaced, from which `replay` and `verify` compute "
        "again; at most 200 MB",
        at_least=0,
    )
    track: tuple[str, ...] = machine_option(
        (),
        "where the run is shown as well, with commas between; see docs/tracking.md",
        choices=TRACKERS,
    )
    run_dir: str = option("runs", "folder of all runs", saved=False)
    name: str | None = option(
        None, "the run's own name; model, data and a number when not given", saved=False
    )

    all_rows = False  # whether nothing is held out; an option of some jobs
    fit_batch: bool = False
    """Whether a larger --batch-size is looked for, as large as fits the device: said as `auto`."""
    given: frozenset[str] = dataclasses.field(default=frozenset(), compare=False, repr=False)
    """Names of the options that somebody gave: what is chosen for a user's data leaves them alone.

    A recipe gives its own too, but for how long it trains: that is a share of what the data needs.
    That is all that `quick` is about.
    """

    paths: ClassVar[Mapping[str, Collection[str]]] = {}
    """Options that may hold a path, each with the names that are none."""
    of_files: ClassVar[tuple[str, ...]] = ()
    """Options that say how a file is written, and so go with another file for the data, too."""

    @property
    def title(self) -> str:
        """What the network is called in tables and reports."""
        raise AttributeError(f"{type(self).__name__} trains no network")

    @property
    def stem(self) -> str:
        """What run folders are named after, beside the data."""
        return self.title

    def locate_paths(self) -> dict[str, Any]:
        """Return the options that hold paths of the user, with the paths made absolute."""
        given = {name: getattr(self, name) for name in self.paths}
        return {
            name: located(value)
            for name, value in given.items()
            if value and value not in self.paths[name] and not value.startswith(IN_DATA)
        }

    def located(self) -> Self:
        """Return the config with the user's paths made absolute, so that a run can move."""
        return dataclasses.replace(self, **self.locate_paths())

    def problems(self) -> list[str]:
        """Return what is wrong between fields that are right by themselves."""
        return list(self._problems())

    def _problems(self) -> Iterator[str]:
        if {"epochs", "total_updates"} <= self.given and self.total_updates:
            yield "--total-updates: goes in place of --epochs; give one of them"
        if self.time is not None:
            yield from _wrong_time(self.time)
        if self.fit_batch and self.micro_batch is not None:
            yield f"--batch-size {AUTO}: goes without --micro-batch, with which every size fits"
        if self.nesterov and (self.optimizer != "sgd" or self.momentum == 0):
            yield "--nesterov: needs --optimizer sgd with --momentum above 0"


@dataclass(frozen=True)
class FoldConfig(TrainingConfig):
    """The options of jobs whose data can be cut into folds."""

    folds: int | None = data_option(
        None,
        "folds that the data is cut into, in place of a test split; --fold says which one tests",
        at_least=2,
    )
    fold: int | None = data_option(
        None, "number of the fold that is the test split, from 1 on; the others train", at_least=1
    )
    share: float = same_items_option(
        1.0,
        "of the training split that is used; smaller shares are parts of larger ones",
        above=0,
        at_most=1,
    )
    bootstrap: bool = same_items_option(
        False,
        "train on as many rows of the training split, drawn with replacement by --seed, whole "
        "groups where there are any: one member of bagging",
    )

    @property
    def whole_data(self) -> Hashable:
        """All options on which the data depends, but for what its parts are and what changes it."""
        changed = {"share", "bootstrap", "augment", "patch", "pseudo", "unlabelled", "all_rows"}
        apart = {"folds", "fold", *changed}
        names = [each.name for each in options_of(type(self)) if each.metadata["group"] == "Data"]
        chosen = tuple((name, getattr(self, name)) for name in names if name not in apart)
        return chosen if getattr(self, "limit", None) is None else (*chosen, self.split_seed)

    @property
    def own_splits(self) -> tuple[str, ...]:
        """The splits that data may bring; one that tests is left out where a fold tests."""
        return ("validation", "test") if self.fold is None else ("validation",)

    @property
    def cut(self) -> tuple[str, ...]:
        """What there is to say of a split into folds, and of the share that is used."""
        fold = () if self.fold is None else (f"fold {self.fold} of {self.folds} tests",)
        return (*fold, *([f"{self.share:.3g} of training used"] if self.share < 1 else []))

    def describe_whole(self, source: str) -> str:
        """Return what a card says of its data without what `cut` says of them."""
        for said in self.cut:
            source = source.replace(f", {said}", "")
        return self.without_drawn(source)

    @staticmethod
    def without_drawn(source: str) -> str:
        """Return what a card says of its data without what `describe_drawn` says of them."""
        return _DRAWN.sub("", source)

    def describe_drawn(self, rows: Sequence[Hashable]) -> tuple[str, ...]:
        """Return what there is to say of rows (N,) that may have been drawn with replacement."""
        if not self.bootstrap:
            return ()
        return (f"{len(set(rows)):,} different ones among {len(rows):,} drawn to train",)

    @property
    def least(self) -> int:
        """Samples of a class without which it cannot be split."""
        return 3 if self.fold is None or self.folds is None else max(3, self.folds)

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        if self.fold is not None and self.folds is None:
            yield "--fold: needs --folds, the number of folds"
        if self.fold is not None and self.folds is not None and self.fold > self.folds:
            yield f"--fold {self.fold}: there are {self.folds} folds, counted from 1"


class TableForm(NamedTuple):
    """How a user's table is written; what is None is found out, and said."""

    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    header: bool | None = None
    """Whether the first row has the columns' names; without them they go by their numbers."""


@dataclass(frozen=True)
class FormConfig(TrainingConfig):
    """The options that say how users' tables are written, which `common.io.tables` reads."""

    file_encoding: str | None = data_option(
        None, "of a table or a text, such as cp949 or latin-1; found out when not given"
    )
    delimiter: str | None = data_option(
        None,
        "between the cells of a table: comma, tab, semicolon, bar, or the character itself; found "
        "out when not given",
    )
    sheet: str | None = data_option(
        None, "of a workbook: its name, or its number from 1 on; the first when not given"
    )
    header: str | None = data_option(
        None,
        "whether the first row of a table has the names of its columns (yes), or data already, and "
        "columns go by their numbers from 1 on (no); found out when not given",
        choices=("yes", "no"),
    )

    of_files: ClassVar[tuple[str, ...]] = FORM
    of_folders: ClassVar[tuple[str, ...]] = FORM  # of them, those that go with a folder

    @property
    def form(self) -> TableForm:
        """How the tables are written."""
        header = None if self.header is None else self.header == "yes"
        return TableForm(self.file_encoding, self.delimiter, self.sheet, header)

    def of_file(self, path: Path, **written: Any) -> Self:
        """Return the config with another file for its data, which may be written otherwise.

        Args:
            path: the file.
            written: values of some of `of_files`. Of the others, what says how tables are written
                is found out again; the rest is as it was.
        """
        changes: dict[str, Any] = {"data": str(path), **dict.fromkeys(FORM), **written}
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True)
class TableConfig(FormConfig, FoldConfig):
    """The options of jobs that read users' tables, and whose data can be cut into folds."""


@dataclass(frozen=True)
class PatchConfig(TableConfig):
    """The options of jobs that classify: some labels may be wrong, and in the end all may train."""

    patch: str | None = same_items_option(
        None,
        "a table of labels that are put right and samples that are dropped, in training alone; see "
        "`suspects`. placebo:FILE changes as many random samples in the same way",
    )
    pseudo: str | None = same_items_option(
        None,
        "a table of samples that join the training split, with labels that networks gave them; see "
        "`pseudo-label`",
    )

    all_rows: bool = data_option(
        False,
        "train on validation and test, too, for all of --epochs; nothing is left to measure the "
        "run; see `submit --refit`",
    )

    @property
    def partial(self) -> bool:
        """Whether some samples of the data are in no split."""
        return getattr(self, "limit", None) is not None or self.share < 1 or self.bootstrap

    def locate_paths(self) -> dict[str, Any]:
        """Add the paths of the patch and of pseudo-labels."""
        found = super().locate_paths()
        if self.patch is not None:
            found["patch"] = located(self.patch, PLACEBO)
        if self.pseudo is not None:
            found["pseudo"] = located(self.pseudo)
        return found

    def describe_whole(self, source: str) -> str:
        """Leave out how many samples a patch changed or joined, too: of each fold others."""
        return _PSEUDO.sub(r", \1", _PATCHED.sub(r"\1", super().describe_whole(source)))

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        if self.bootstrap and self.patch is not None:
            yield "--bootstrap: goes without --patch, which names each training sample once"
        if not self.all_rows:
            return
        for name in ("fold", "monitor", "patience"):
            if getattr(self, name) is not None:
                yield f"--all-rows: goes without {flag(name)}: nothing is held out"
        if self.pseudo is not None:
            yield "--all-rows: goes without --pseudo, whose labels are for the rows of one fold"
        if self.schedule == "plateau":
            yield "--all-rows: goes without --schedule plateau, which looks at a validation split"


Kind = Literal["class", "number", "labels"]
"""What an image shows: one class (or one in each of several columns), a number, or any labels."""


@dataclass(frozen=True)
class ImageConfig(TableConfig):
    """The options of the labs that train on sets of images, as `common.images.load` loads them."""

    data: str = data_option(
        "mnist5k",
        "an embedded set (mnist5k, digits), one to download (mnist, fashion-mnist, cifar10), a "
        "folder with one folder per class, a table, a zip of them, or files of arrays (.npz, IDX, "
        "CIFAR)",
    )
    test: str | None = data_option(
        None,
        "the test split, a folder, table or arrays of its own, where the data has none; data:FILE "
        "lies in the folder that --data names",
    )
    data_dir: str | None = same_items_option(
        None, "folder of files downloaded before; the cache when not given"
    )
    path_column: str = data_option(
        "path", "column of a table that holds the images' paths or ids; found out when not given"
    )
    label_column: tuple[str, ...] = data_option(
        ("label",),
        "column of a table that holds the labels, found out when not given; several, with commas "
        "between, are learned at once, and the classes are their combinations",
    )
    label_pattern: str | None = data_option(
        None,
        "one of --label-column that the files' names give, not the table, as COLUMN=EXPRESSION: "
        "the group of the regular expression is the label, as in mask=(mask|incorrect|normal)",
    )
    label_bands: tuple[str, ...] = data_option(
        (),
        "label columns of numbers that are cut into classes: age=30,60 makes <30, 30-59 and >=60",
    )
    label_order: tuple[str, ...] = data_option(
        (),
        "classes of label columns by their numbers, from 0 on, as in gender=male|female; sorted by "
        "name when not given. Of several columns the last counts fastest",
    )
    crop_column: tuple[str, ...] = data_option(
        (),
        "four columns of a table that say which part of an image is its sample: left, top, width "
        "and height in pixels of the upright image, as in x,y,w,h",
    )
    crop_boxes: str | None = data_option(
        None,
        "a table of boxes beside the images, of which each is a sample: a column with the images, "
        "and those of --crop-column, x,y,w,h when not given",
    )
    image_dir: str | None = data_option(
        None, "folder of the images that a table names; the table's own when not given"
    )
    group_column: str = data_option(
        ROWS,
        "column of a table that says which images belong together, such as those of a person; of a "
        "folder, `folder` for those that lie in one: they never stand on both sides of a split. "
        "auto: those of a row, where its path is a folder; or none",
    )
    group_by: str = data_option(
        NONE,
        "what else says which images belong together: the folder; the file's name without its last "
        "piece (p07_left_3: p07_left), or its first piece (p07); the time of the photo, for those "
        "of one minute; the features that EfficientNet-Lite0 sees, for near-copies; see `leaks`",
        choices=(NONE, *GROUP_RULES),
    )
    split_column: str | None = data_option(
        None,
        "column of a table that says which rows are for train, validation and test; one that says "
        "nothing else is used when not given. none: the lab splits",
    )
    image_size: int | None = same_items_option(
        None,
        "height and width in pixels; when not given, a set's own, or 64 for photos",
        at_least=1,
    )
    fit: str = same_items_option(
        "crop",
        "how photos become squares: the square in the center (crop), the whole with black beside "
        "it (pad), or with its sides made equal (stretch); for photos of your own, what loses "
        "little",
        choices=FITS,
    )
    limit: int | None = data_option(
        None, "samples to use of the whole set, for a short trial", at_least=10
    )
    decoding: str = same_items_option(
        "auto",
        "where a folder's decoded images are kept: auto is memory up to 1 GiB, then stream",
        choices=DECODING,
    )
    augment: tuple[str, ...] = same_items_option(
        (),
        "random changes of training images, with commas between: affine, color, crop:52, erase, "
        "hflip, pad-crop:4, vflip; or none",
    )

    more_augmentations: ClassVar[tuple[str, ...]] = ()  # that a lab's --augment takes
    of_files: ClassVar = (*FORM, "path_column", "label_column", *CROPS, "image_dir")
    of_folders: ClassVar = ("crop_boxes",)
    paths: ClassVar = {
        "data": IMAGE_SETS,
        "data_dir": (),
        "test": (),
        "image_dir": (),
        "crop_boxes": (),
    }

    @property
    def groups_given(self) -> bool:
        """Whether somebody says what is a group."""
        return self.group_column not in (ROWS, NONE)

    @property
    def rules_given(self) -> tuple[str, ...]:
        """The options given of those that go with a table alone."""
        crops = ("crop_column",) if self.crops_in_table else ()
        return (*(name for name in LABEL_RULES if getattr(self, name)), *crops)

    @property
    def columns_beside(self) -> tuple[str, ...]:
        """The columns of a table whose cells go with its images, beside labels and the like."""
        return ()

    @property
    def crops_in_table(self) -> tuple[str, ...]:
        """The columns of crops in the table of the images itself."""
        return () if self.crop_boxes else self.crop_column

    @property
    def label_rules(self) -> LabelRules:
        """What becomes of labels before they are classes."""
        return parse_rules(self.label_pattern, self.label_bands, self.label_order)

    def locate_paths(self) -> dict[str, Any]:
        """Add the paths of policies."""
        found = super().locate_paths()
        if any(map(_is_file, self.augment)):
            found["augment"] = tuple(
                located(spec, POLICY) if _is_file(spec) else spec for spec in self.augment
            )
        return found

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        if self.test is not None and self.data in IMAGE_SETS:
            yield f"--test: goes with images of your own; {self.data} has test images"
        names = {unicodedata.normalize("NFC", name) for name in self.label_column}
        if not 0 < len(self.label_column) == len(names):
            yield "--label-column: expected different columns, such as mask,gender,age"
        if len(self.crop_column) not in (0, 4):
            yield "--crop-column: expected four columns, such as x,y,w,h"
        yield from find_problems(
            self.label_column, self.label_pattern, self.label_bands, self.label_order
        )
        known = (*AUGMENTATIONS, *self.more_augmentations)
        for name in (spec.partition(":")[0] for spec in self.augment):
            if name not in known:
                near = suggest(name, known)
                yield f"--augment {name}: expected some of {', '.join(known)}{near}"


def shared(name: str, default: Any, kind: type[TrainingConfig] = TrainingConfig) -> Any:
    """Declare an option of another config again, with its help and bounds and another default."""
    [field] = [each for each in dataclasses.fields(kind) if each.name == name]
    return dataclasses.field(default=default, metadata=field.metadata)


C = TypeVar("C", bound=TrainingConfig)


def build(kind: type[C], *layers: tuple[str, Mapping[str, Any]]) -> C:
    """Put layers of values together and check them.

    Args:
        kind: the config's dataclass.
        layers: (where the values come from, values by field name), the last one strongest. Text is
            read as the field's type; `none` means None or an empty list.

    Raises:
        ConfigError: with every problem of every layer.
    """
    problems, values, given = dict[tuple[str, str], str](), dict[str, Any](), set[str]()
    for source, layer in layers:
        layer, fit_batch = _take_auto(layer)
        values |= {} if fit_batch is None else {"fit_batch": fit_batch}
        given |= _given(source, layer)
        found, wrong = read(kind, source, layer)
        values |= found
        problems |= {(source, name): problem for name, problem in wrong.items()}
    config = kind(**values, given=frozenset(given))
    # What is said of a wrong field would be said of its default, so it waits.
    flags = {flag(name) for _, name in problems}
    waiting = [each for each in config.problems() if not any(name in each for name in flags)]
    if every := [*problems.values(), *waiting]:
        raise ConfigError(every)
    return config


def _take_auto(layer: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool | None]:
    """Return values without a batch size that is to be found, and whether it is; None: not said."""
    if "batch_size" not in layer:
        return layer, None
    if layer["batch_size"] != AUTO:
        return layer, False
    return {name: value for name, value in layer.items() if name != "batch_size"}, True


def read(
    kind: type[TrainingConfig], source: str, layer: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Read values as the types of a config's fields, each by itself.

    Args:
        kind: the config's dataclass.
        source: where the values come from.
        layer: values by field name.

    Returns:
        The values that are right, and what is wrong with the others, by field name.
    """
    fields = {field.name: field for field in options_of(kind)}
    hints = get_type_hints(kind)
    values, problems = dict[str, Any](), dict[str, str]()
    for name, value in layer.items():
        label = flag(name) if source == "options" else f"{source}: {name}"
        if name not in fields:
            problems[name] = unknown(label, name, fields)
            continue
        try:
            values[name] = _checked(_converted(value, hints[name]), fields[name])
        except ValueError as error:
            problems[name] = f"{label} {_shown(value)}: {error}"
    return values, problems


def _given(source: str, layer: Mapping[str, Any]) -> set[str]:
    """Return the names of a layer's values that are not to change with the data."""
    if source == _QUICK:
        return set()
    return set(layer) - (_LENGTH if source.startswith(RECIPE) else set())


def options_of(kind: type[Any]) -> list[dataclasses.Field[Any]]:
    """Return the fields of a config that are options."""
    return [field for field in dataclasses.fields(kind) if field.metadata]


def _wrong_time(text: str) -> Iterator[str]:
    """Say what is wrong with a time, if anything is."""
    try:
        parse_time(text)
    except ConfigError as error:
        yield from error.problems


def _is_file(spec: str) -> bool:
    """Return whether a spec of --augment names the file of a policy."""
    return spec.startswith(POLICY) and spec.removeprefix(POLICY) not in POLICIES


def located(path: str, prefix: str = "") -> str:
    """Return a path made absolute, behind a prefix such as `run:` where it has it."""
    before = prefix if path.startswith(prefix) else ""
    return f"{before}{Path(path.removeprefix(prefix)).expanduser().absolute()}"


def flag(name: str) -> str:
    """Return the option of a field: learning_rate -> --learning-rate, with_ -> --with."""
    return "--" + name.rstrip("_").replace("_", "-")


def field_types(kind: type[Any]) -> dict[str, tuple[type, bool]]:
    """Return each field's type, and whether it may be None."""
    hints = get_type_hints(kind)
    return {field.name: _plain(hints[field.name]) for field in options_of(kind)}


def unknown(label: str, name: str, known: Iterable[str]) -> str:
    """Say that there is no such key, with the nearest one there is."""
    return f"{label}: no such key{suggest(name, known)}"


def read_toml(path: Path) -> dict[str, Any]:
    """Read the values of a config file.

    Raises:
        ConfigError: there is no such file, or it is not TOML.
    """
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"--config {path}: no such file; a run keeps its own in RUN/config.toml"
        ) from error
    except (ValueError, OSError) as error:
        raise ConfigError(f"--config {path}: not a TOML file: {error}") from error


def to_toml(config: TrainingConfig) -> str:
    """Return a config as TOML: every field that a repeat needs, with its help as a comment."""
    import tomli_w

    lines = []
    for field in options_of(type(config)):
        if field.metadata["saved"]:
            value = getattr(config, field.name)
            value = NONE if value is None else list(value) if isinstance(value, tuple) else value
            line = tomli_w.dumps({field.name: value}).rstrip()
            lines.append(f"{line}  # {field.metadata['help']}")
    return "\n".join(lines) + "\n"


def _plain(hint: Any) -> tuple[type, bool]:
    """Take `X | None` apart into X and whether None is allowed; tuples count as tuple."""
    optional = isinstance(hint, types.UnionType)
    if optional:
        [hint] = [part for part in get_args(hint) if part is not types.NoneType]
    return (tuple if getattr(hint, "__origin__", None) is tuple else hint), optional


def _converted(value: Any, hint: Any) -> Any:
    """Read a value, which may be text, as a type."""
    kind, optional = _plain(hint)
    if optional and (value is None or value == NONE):
        return None
    if kind is tuple:
        return _list(value)
    if isinstance(value, str) and kind is not str:
        return _from_text(value, kind)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return _from_text(str(value), float)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"expected {_WORDS[kind]}")
    return value


_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    tuple: "a list",
}
_TRUTHS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_HOLDS = {
    "at least": operator.ge,
    "above": operator.gt,
    "at most": operator.le,
    "below": operator.lt,
}


def _from_text(text: str, kind: type) -> Any:
    try:
        return _TRUTHS[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise ValueError(f"expected {_WORDS[kind]}") from None


def _list(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [] if value == NONE else [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
        raise ValueError("expected a list of texts")
    return tuple(value)


def _checked(value: Any, field: "dataclasses.Field[Any]") -> Any:
    """Compare a value with the choices and bounds of its field."""
    choices = field.metadata["choices"]
    if value is None:
        return value
    for one in value if isinstance(value, tuple) else (value,):
        if choices and one not in choices and not _begins(one, field.metadata["prefix"]):
            many = len(choices) > _LISTED
            listed = f"{len(choices)} names" if many else ", ".join(choices)
            raise ValueError(f"expected one of {listed}{suggest(str(one), choices)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("expected a finite number")
    bounds = {word: b for word, b in field.metadata["bounds"].items() if b is not None}
    if not all(_HOLDS[word](value, bound) for word, bound in bounds.items()):
        range_ = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items())
        raise ValueError(f"expected {_WORDS[type(value)]} {range_}")
    return value


def _begins(value: Any, prefix: str) -> bool:
    return bool(prefix) and isinstance(value, str) and value.startswith(prefix)


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, str) else repr(value)
