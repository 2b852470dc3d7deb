"""A run with what its config builds: the contract of a kind of job, and how it starts and trains.

Each kind of job (classifying images, sentiment, a forecast) derives from `Job` and says what only
it can know: how to load its data, build its model and its task, what it answers and what is true.
What is measured of a trained run, and what its report says, is `common.runs.conclude`.
"""

import contextlib
import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

import numpy as np
from torch import Tensor, nn

from common import seeding, training
from common.allocator import keep_freed_blocks
from common.card import DataCard
from common.errors import ConfigError, RunError
from common.files import write_text
from common.history import Row, best_row
from common.io.tables import refuse_unfit
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.options.config import TableConfig, TrainingConfig, read_toml, to_toml
from common.options.config import build as build_config
from common.options.terminal import Display
from common.reuse import reuse
from common.runs import folder
from common.runs.folder import Run
from common.runs.limits import trial
from common.steps import step
from common.tracking import trackers
from common.training import optim
from common.training.batches import Updates, close
from common.training.checkpoint import Checkpoints, Followed, Memory, load_weights
from common.training.compute import (
    Compute,
    carry_precision,
    choose_device,
    one_thread,
    set_threads,
)
from common.training.limits import memory

Splits = Mapping[str, Any]
Outputs = Mapping[str, Tensor]
Say = Callable[[str], None]  # called with a line for the user

C = TypeVar("C", bound=TrainingConfig)
K = TypeVar("K", bound=DataCard)


def groups_of(split: Any) -> Array | None:
    """Return what each sample of a split belongs to, (N,), where the user named groups."""
    groups = getattr(split, "groups", None)
    return None if groups is None else np.asarray(groups)


class Suited(NamedTuple, Generic[C]):
    """A config with what suits the data, and a sentence for each choice, with its reason."""

    config: C
    reasons: Sequence[str] = ()


class Prepared(NamedTuple):
    """What `fit` is handed beside the model."""

    task: training.Task
    train: Updates
    validation: Updates


class Job(ABC, Generic[C, K]):
    """A run with what its config builds.

        job, splits = Sentiment.start(SentimentConfig(epochs=2), sys.argv)
        job.train(splits, display, print)
        conclude.conclusion_of(job).conclude(splits, prepared=0.0)

    Attributes:
        lab: the lab's name.
        verb: the command that trains such a run.
        config_type: the class of its config.
        card_type: the class of its data's card.
        conclusion: `module:class` of what measures and reports it, a `conclude.Conclusion`.
        submission: `module:class` of how it answers a competition's test data, a
            `common.submission.kind.Submission`; None where there is nothing to hand in.
        exporter: `module:class` of how it becomes a file, a `common.export.exporter.Exporter`;
            None where it cannot.
        page: `module:function` that writes a page in which its network runs, see
            `common.live.page`; None where there is none.
        features: `module:function` that gives its last features as a map shows them, a
            `common.maps.features.Points`; None where there are none.
        remark: what became of the samples that `card.skipped` lists.
        optimizer_options: fields of the config that go to the optimizer beside the usual ones.
        main_metric: by which it is compared with baselines.
        run: the run folder, once there is one.
        config: what to train.
        compute: where.
        card: of the data.
        model: with the weights that the seed names, until others are loaded.
        reasons: a sentence for each thing that was chosen for the data.
        timed: what there is time for, where a time is given.
    """

    lab: ClassVar[str]
    verb: ClassVar[str] = "train"
    config_type: ClassVar[type[Any]]
    card_type: ClassVar[type[Any]]
    conclusion: ClassVar[str]
    submission: ClassVar[str | None] = None
    exporter: ClassVar[str | None] = None
    page: ClassVar[str | None] = None
    features: ClassVar[str | None] = None
    remark: ClassVar[str] = "skipped"
    optimizer_options: ClassVar[tuple[str, ...]] = ()
    run: Run
    reasons: Sequence[str] = ()
    timed: trial.Timed | None = None

    def __init__(self, config: C, compute: Compute, card: K):
        self.config, self.compute, self.card = config, compute, card
        self.model = self.initial_model()
        if compute.device.type == "cpu":
            keep_freed_blocks()
            set_threads(config.threads, 0 if config.threads else self.work())

    # --- what a kind of job says ----------------------------------------------------------------

    @classmethod
    def for_config(cls, config: C) -> type[Any]:
        """Return the class of the job that a config asks for, where one command trains several.

        `check`, `reopen` and `member` ask it, so that who starts or opens a run need not.
        """
        return cls

    @classmethod
    @abstractmethod
    def load(cls, config: C, card: K | None = None) -> tuple[Splits, K]:
        """Load `train`, `validation` and `test`, with their card.

        Args:
            config: what to load.
            card: of a run that is there, to load its data as it was loaded then.

        Raises:
            DataError: the data cannot be had, or cannot be used.
        """

    @classmethod
    def suited(cls, config: C) -> Suited[C]:
        """Return the config of a new run with what suits a user's data, which is looked at.

        It chooses nothing that is in `config.given`, and for sets that are known by name nothing
        at all. The choice depends on the data and the config alone, so that it repeats.

        Args:
            config: what is asked for.

        Raises:
            DataError: the data cannot be had, or cannot be used.
        """
        return Suited(config)

    @abstractmethod
    def build_model(self) -> nn.Module:
        """Return the config's model for the data of the card; torch's generator is seeded."""

    @abstractmethod
    def task(self, splits: Splits) -> training.Task:
        """Return what the loop cannot know.

        Args:
            splits: the data; for a task that only collects what a trained model says, those that
                it is to answer: `train` need not be among them.
        """

    @abstractmethod
    def batches(self, split: Any, *, training: bool = False) -> Updates:
        """Return a split as the loop takes it."""

    @abstractmethod
    def work(self) -> int:
        """Return the multiply-adds that CPU threads could share at a time."""

    @property
    @abstractmethod
    def main_metric(self) -> MainMetric:
        """The metric by which the network is compared with baselines."""

    @abstractmethod
    def decide(self, outputs: Outputs) -> Array:
        """Return the predictions, (N, ...), from what the task collected, or from answers."""

    @abstractmethod
    def targets(self, split: Any) -> Array:
        """Return what is true of a split, (N, ...), as the main metric takes it."""

    @abstractmethod
    def answers(self, inputs: Any) -> Outputs:
        """Return what the model says of inputs of which nothing is known, a row for each.

        Args:
            inputs: as users give them, read: images, texts, the past of series.
        """

    def labelled(self, path: Path, say: Say, **written: Any) -> Any:
        """Return all of a user's file or folder as one split, in the run's own classes.

        It is read as `--data` is, with the run's columns and size. To measure it, let it be the
        only split: `predict_splits({"data": split}, ["data"])`.

        Args:
            path: as `--data` takes it.
            say: called with a line for whatever was left out, cut or guessed.
            written: how it is written, values of some of the config's `of_files`.

        Raises:
            DataError: it cannot be read, or has what the run does not know.
            RunError: such a run learns from no files.
        """
        raise RunError(f"{self.run.path} was trained by `{self.verb}`, which takes no files")

    def refuse(self, splits: Splits) -> None:  # noqa: B027 - most have nothing else to refuse
        """Refuse what training would stumble over, before there is a run folder.

        Raises:
            InputError: what the config names cannot be had, or does not suit the data.
        """

    def warm_start(self, splits: Splits, say: Say) -> None:  # noqa: B027 - most know nothing before
        """Give the model what it is to know before training, such as pretrained vectors.

        Called before there is a run folder, to refuse what cannot be had, and again before
        training; of a run that goes on, the checkpoint has the last word.
        """

    @contextlib.contextmanager
    def prepare(self, splits: Splits, say: Say) -> Iterator[Prepared]:
        """Yield what the model trains with; inside the block it may train in another way."""
        train = self.batches(splits["train"], training=True)
        validation = self.batches(splits["validation"])
        try:
            yield Prepared(self.task(splits), train, validation)
        finally:
            close(train, validation)

    def initial_model(self) -> nn.Module:
        """Return the model with the weights that the seed names."""
        seeding.seed_weights(self.config.seed)
        with one_thread():
            return self.build_model()

    @property
    def networks(self) -> Sequence["Job[Any, Any]"]:
        """What answers: the run itself; of runs that answer together, each of them."""
        return [self]

    @property
    def unmeasured(self) -> str:
        """Why none of its own data measure the run, as the end of a sentence; "" where some do."""
        return "has trained on all its rows" if self.config.all_rows else ""

    # --- start and reopen -----------------------------------------------------------------------

    @classmethod
    def start(
        cls, config: C, command: Sequence[str], begun: float | None = None
    ) -> tuple[Self, Splits]:
        """Make a new run folder; nothing is left behind when the config or the data are wrong.

        Args:
            config: what to train.
            command: the words of the command line, for the record.
            begun: when the command began, by `time.perf_counter`; now when None.

        Raises:
            InputError: the device, the data, the model or the name cannot be had.
        """
        job, splits = cls.check(config, begun)
        name = f"{job.config.stem}-{Path(getattr(config, 'data', '')).stem}"
        stem = name if cls.verb == "train" else f"{cls.verb}-{name}"
        job.create(Path(config.run_dir), config.name, stem, command)
        return job, splits

    @classmethod
    def check(cls, config: C, begun: float | None = None) -> tuple[Self, Splits]:
        """Build all that a config asks for, and refuse what training would stumble over.

        Args:
            config: what to train.
            begun: see `start`.

        Raises:
            InputError: the device, the data, the model, the optimizer, pretrained weights or the
                monitored metric cannot be had.
        """
        begun = time.perf_counter() if begun is None else begun
        _compute(config)  # refuses a device before any data is read
        trackers.check(config.track)
        if isinstance(config, TableConfig):
            refuse_unfit(config)
        kind = cls.for_config(config)
        with reuse(), step("reading the data"):  # of what both read
            config, reasons = kind.suited(config)  # with the user's own words, for the messages
            splits, card = kind.load(config)
        job: Self = kind(config.located(), _compute(config), card)
        job.reasons = reasons
        job.optimizer()
        job.refuse(splits)
        job.warm_start(splits, lambda line: None)
        job._fit_batch(splits)
        job._count_epochs(splits)
        job._check_monitor(splits)
        job._fit_time(splits, begun)
        return job, splits

    def _count_epochs(self, splits: Splits) -> None:
        """Turn the updates that are asked for into whole epochs."""
        if self.config.total_updates is not None:
            train = self.batches(splits["train"], training=True)
            epochs = -(-self.config.total_updates // len(train))
            close(train)
            self.config = dataclasses.replace(self.config, epochs=epochs, total_updates=None)

    def _fit_batch(self, splits: Splits) -> None:
        """Take as large batches as fit the device, where that is asked for."""
        if self.config.fit_batch and self.compute.processes.size > 1:
            raise ConfigError(
                "--batch-size auto: of several processes none knows what fits the others; find it "
                "out in one process, and give the number"
            )
        if self.config.fit_batch:
            size, reason = trial.fit_batch(self, splits)
            self.reasons = [*self.reasons, reason]
            self.config = dataclasses.replace(self.config, batch_size=size, fit_batch=False)

    def _fit_time(self, splits: Splits, begun: float) -> None:
        """Take as many epochs as there is time for, where a time is given."""
        if self.config.time is not None:
            self.timed = self.compute.processes.same(trial.fit_time(self, splits, begun))
            self.reasons = [*self.reasons, self.timed.describe()]
            self.config = dataclasses.replace(self.config, epochs=self.timed.epochs, time=None)

    def create(
        self, run_dir: Path, name: str | None, stem: str, command: Sequence[str] = ()
    ) -> None:
        """Make the run folder of a job.

        Raises:
            RunError: the name is taken.
        """
        path = run_dir
        if self.compute.processes.rank == 0:
            path = folder.create(run_dir, self.lab, name, stem).path
        self.run = self._run_at(self.compute.processes.same(path))
        about = {"lab": self.lab, "job": self.verb, "command": list(command)}
        machine = folder.environment(str(self.compute))
        machine["processes"] = self.compute.processes.size
        self.run.write("environment", {**about, **machine})
        self.run.write("data", self.card.as_dict())
        if self.reasons:
            self.run.write("chosen", {"reasons": list(self.reasons)})
        if self.timed is not None:
            self.run.write("time", self.timed._asdict())
        self.run.write_config(to_toml(self.config))

    def _run_at(self, path: Path) -> Run:
        """Return the run in a folder, of several processes the one that writes, or a follower."""
        return Run(path) if self.compute.processes.rank == 0 else folder.Followed(path)

    @classmethod
    def member(cls, parent: Run, name: str, config: C, device: str | None = None) -> Self:
        """Open a member of a run that is made of runs, or make it: `members/NAME` in its folder.

        Args:
            parent: the run.
            name: the member's.
            config: the member's.
            device: another device than the config's.
        """
        path = parent.path / "members" / name
        run = Run(path)
        if not run.config.is_file():
            _, card = cls.for_config(config).load(config)
            path.mkdir(parents=True, exist_ok=True)
            run.write("environment", {**parent.read("environment"), "job": cls.verb})
            run.write("data", card.as_dict())
            write_text(run.config, to_toml(config))  # the last: it makes the folder a run
        return cls.reopen(path, device)

    @classmethod
    def reopen(cls, path: Path, device: str | None = None) -> Self:
        """Build a run's model again from its config and the card of its data, without the data.

        Args:
            path: the run folder.
            device: another device than the config's.

        Raises:
            RunError: there is no such run.
            ConfigError: its config.toml was changed into something wrong, or the device is not
                here.
        """
        run = folder.open_run(path, cls.lab, cls.verb)
        config = build_config(cls.config_type, (str(run.config), read_toml(run.config)))
        for entry in run.lengthened:
            config = dataclasses.replace(config, epochs=entry["epochs"][1])
        if device is not None:
            precision = carry_precision(config.precision, choose_device(device))
            config = dataclasses.replace(config, device=device, precision=precision)
        kind = cls.for_config(config)
        card = kind.card_type.from_dict(run.read("data"))
        job: Self = kind(config, _compute(config), card)
        job.run = job._run_at(path)
        return job

    @classmethod
    def open_trained(cls, path: Path, device: str | None = None) -> Self:
        """Reopen a run with the weights of its best epoch, ready to be asked.

        Args:
            path: the run folder.
            device: another device than the config's.

        Raises:
            RunError: there is no such run, or it has no weights yet.
            ConfigError: as `reopen` does.
        """
        job = cls.reopen(path, device)
        job.load_best()
        return job

    def load_splits(self) -> Splits:
        """Load the run's data again.

        Raises:
            RunError: the data is no longer what the run was trained on.
        """
        with step("reading the data"):
            splits, card = self.load(self.config, self.card)
        if card.fingerprint != self.card.fingerprint:
            raise RunError(
                f"the data of {self.run.path} has changed since it was trained: "
                f"{_counts(self.card)} then, {_counts(card)} now; put it back, or train a new run"
            )
        return splits

    def load_best(self) -> None:
        """Put the weights of the best epoch into the model, on the device.

        A model of two parts has the share that was chosen after training, where one was.

        Raises:
            RunError: there are none yet, or they are damaged.
        """
        load_weights(self.run.best, self.model)
        if (self.run.path / "share.json").is_file():
            model: Any = self.model
            model.share.fill_(self.run.read("share")["share"])
        self.compute.place(self.model)

    # --- train ----------------------------------------------------------------------------------

    def optimizer(self) -> optim.AnyOptimizer:
        """Return the config's optimizer of the model."""
        config = self.config
        return optim.build(
            config.optimizer,
            self.model,
            config.learning_rate,
            weight_decay=config.weight_decay,
            momentum=config.momentum,
            nesterov=config.nesterov,
            **{name: getattr(config, name) for name in self.optimizer_options},
        )

    def monitored(self, task: training.Task) -> tuple[str, str]:
        """Return the metric that picks the best epoch, and its direction; of all rows the last."""
        if self.config.all_rows:
            return "epoch", "max"
        mode = None if self.config.mode == "auto" else self.config.mode
        return training.monitored(task, "validation", self.config.monitor, mode)

    def train(
        self,
        splits: Splits,
        display: Display,
        say: Say,
        watch: Callable[[Row], object] = lambda row: None,
    ) -> None:
        """Train to the end, from wherever the run stands; the best weights are then in the model.

        Args:
            splits: the data.
            display: shows the progress.
            say: called with a line for the user, such as one about damaged checkpoints.
            watch: called with the row of each epoch, those before a resume first; what it raises
                ends the training, which is saved.

        Raises:
            Stopped: a signal came; the run is saved.
            NonFiniteError: the loss or a gradient became NaN or infinite.
            NoMemoryError: the memory is full, and nothing can be made smaller.
            SaveError: the disk is full; the checkpoints before are intact.
        """
        import sklearn.metrics  # noqa: F401 - or the first epoch's seconds would be those of this

        if changed := self.run.note_machine(str(self.compute)):
            say(changed)
        self.warm_start(splits, say)
        with memory.must_do("training"), self.prepare(splits, say) as prepared:
            self._fit(prepared, display, say, watch)

    def _fit(
        self, prepared: Prepared, display: Display, say: Say, watch: Callable[[Row], object]
    ) -> None:
        config, (task, train, validation) = self.config, prepared
        self.compute.place(self.model)
        optimizer = self.optimizer()
        monitor, mode = self.monitored(task)
        first = max((entry["epochs"][0] for entry in self.run.lengthened), default=0)
        restarted = optim.schedule(
            config.schedule,
            steps_per_epoch=len(train),
            epochs=config.epochs - first,
            warmup=config.warmup,
            period=config.schedule_period,
            factor=config.schedule_factor,
            every=config.schedule_every,
            monitor=monitor,
            mode=mode,
        )
        rows: list[Row] = []

        def on_epoch(row: Row) -> None:
            rows.append(row)
            self.run.write_history(rows)
            display.epoch(row, best=best_row(rows, monitor, mode) is row)
            log(row)
            watch(row)

        with trackers.tracked(config.track, self.run.path, self.lab) as log:
            training.fit(
                self.model,
                task,
                train,
                None if config.all_rows else validation,
                optimizer,
                max_epochs=config.epochs,
                patience=config.patience,
                waits_from=first,
                on_epoch=on_epoch,
                schedule=lambda step, rows: restarted(step - first * len(train), rows),
                clip=config.clip,
                average=optim.Average(self.model, config.ema) if config.ema else None,
                seed=config.seed,
                compute=self.compute,
                monitor=monitor,
                mode=mode,
                checkpoint=self._checkpoints(say),
                save_every=config.save_every,
                seconds=self.compute.processes.same(self.run.training_seconds),
                show=display.progress,
            )

    def _checkpoints(self, say: Say) -> Memory:
        """Return where the run is saved; of several processes the first saves it."""
        if self.compute.processes.rank:
            return Followed(self.run.path)
        return Checkpoints(self.run.path, say, self.config.keep)

    def predict_splits(
        self, splits: Splits, names: Sequence[str] = ("validation", "test")
    ) -> dict[str, dict[str, Tensor]]:
        """Return what the task collects of splits, by the split's name."""
        task = self.task(splits)
        found = {}
        for name in names:
            batches = self.batches(splits[name])
            found[name] = training.infer(self.model, task, batches, self.compute)
            close(batches)
        return found

    def _check_monitor(self, splits: Splits) -> None:
        """Refuse a figure that no epoch will report, before there is a run folder."""
        if self.config.monitor is None:
            return
        task = self.task(splits)
        self.compute.place(self.model)
        validation = self.batches(splits["validation"])
        figures = training.evaluate(self.model, task, validation, self.compute)
        close(validation)
        row = {"train/loss": 0.0, **{f"validation/{name}": x for name, x in figures.items()}}
        best_row([row], *self.monitored(task))


def is_finished(path: Path, lab: str, verb: str) -> bool:
    """Say whether a run has nothing left to do, without building it.

    Raises:
        RunError: there is no such run.
    """
    return folder.open_run(path, lab, verb).finished


def _compute(config: TrainingConfig) -> Compute:
    return Compute(
        config.device,
        config.precision,
        compile=config.compile,
        channels_last=config.channels_last,
        deterministic=config.deterministic,
    )


def _counts(card: DataCard) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in card.counts.items())
