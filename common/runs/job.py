"""A run with what its config builds: started or opened again, trained, and concluded.

Each kind of job (classifying images, sentiment, a forecast) derives from `Job` and says what only
it can know: how to load its data, build its model and its task, and what to measure and to show.
"""

import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from torch import Tensor, nn

from common import training
from common.card import DataCard
from common.errors import RunError
from common.files import write_text
from common.history import Row, best_row
from common.metrics.main_metric import Array, MainMetric
from common.options.config import TrainingConfig, read_toml, to_toml
from common.options.config import build as build_config
from common.options.terminal import Display
from common.report.html import PictureSaver, Section
from common.runs import folder as runs
from common.runs.folder import Run
from common.training import optim
from common.training.batches import Updates, close
from common.training.checkpoint import Checkpoints, load_weights
from common.training.compute import Compute, one_thread, set_threads

Splits = Mapping[str, Any]
Outputs = Mapping[str, Tensor]


C = TypeVar("C", bound=TrainingConfig)
K = TypeVar("K", bound=DataCard)


class Job(ABC, Generic[C, K]):
    """A run with what its config builds.

    Attributes:
        lab: the lab's name.
        verb: the command that trains such a run.
        config_type: the class of its config.
        card_type: the class of its data's card.
        remark: what became of the samples that `card.skipped` lists.
        paths: fields of the config that may hold a path, each with the names that are none.
        main_metric: the figure by which it is held against baselines.
        run: the run folder, once there is one.
        config: what to train.
        compute: where.
        card: of the data.
        model: with the weights that the seed names, until others are loaded.
    """

    lab: ClassVar[str]
    verb: ClassVar[str] = "train"
    remark: ClassVar[str] = "skipped"
    paths: ClassVar[Mapping[str, Collection[str]]] = {}
    config_type: ClassVar[type[Any]]
    card_type: ClassVar[type[Any]]
    run: Run

    def __init__(self, config: C, compute: Compute, card: K):
        self.config, self.compute, self.card = config, compute, card
        with one_thread():
            self.model = self.build_model()
        if compute.device.type == "cpu":
            set_threads(config.threads, self.work())

    # --- what a kind of job says ----------------------------------------------------------------

    @classmethod
    @abstractmethod
    def load(cls, config: C) -> tuple[Splits, K]:
        """Load `train`, `validation` and `test`, with their card.

        Raises:
            DataError: the data cannot be had, or cannot be used.
        """

    @abstractmethod
    def build_model(self) -> nn.Module:
        """Return the config's model for the data of the card, with the weights of the seed."""

    @abstractmethod
    def task(self, splits: Splits) -> training.Task:
        """Return what the loop cannot know."""

    @abstractmethod
    def batches(self, split: Any, *, training: bool = False) -> Updates:
        """Return a split as the loop takes it."""

    @abstractmethod
    def work(self) -> int:
        """Return the multiply-adds that CPU threads could share at a time."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What the network is called in tables and reports."""

    @property
    def stem(self) -> str:
        """What run folders are named after, beside the data."""
        return self.title

    @property
    @abstractmethod
    def main_metric(self) -> MainMetric:
        """The figure by which the network is held against baselines."""

    @abstractmethod
    def decide(self, outputs: Outputs) -> Array:
        """Return the predictions, (N, ...), from what the task collected of a split."""

    @abstractmethod
    def targets(self, split: Any) -> Array:
        """Return what is true of a split, (N, ...), as the main metric takes it."""

    @abstractmethod
    def figures(self, outputs: Outputs, split: Any) -> dict[str, Any]:
        """Return the figures of a split for metrics.json, the main metric's with its interval."""

    @abstractmethod
    def baselines(self, splits: Splits) -> Mapping[str, Mapping[str, Array]]:
        """Return what each baseline predicts for `validation` and `test`, by its name."""

    @abstractmethod
    def sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return what the report says of this job alone.

        Args:
            outputs: what the task collects of the test split.
            splits: the data.
            figures: what metrics.json holds.
            save_picture: saves a figure, and returns it for a section.
        """

    @classmethod
    def located(cls, config: C) -> C:
        """Return the config with the user's paths made absolute, so that a run can move."""
        given = {name: getattr(config, name) for name in cls.paths}
        absolute: dict[str, Any] = {
            name: str(Path(value).expanduser().absolute())
            for name, value in given.items()
            if value and value not in cls.paths[name]
        }
        return dataclasses.replace(config, **absolute)

    def measure(self, outputs: Mapping[str, Outputs], splits: Splits) -> dict[str, Any]:
        """Return `validation`, `test` and `baselines` of metrics.json.

        Args:
            outputs: what the task collects of `validation` and `test`.
            splits: the data.
        """
        names = ("validation", "test")
        network = {name: self.decide(outputs[name]) for name in names}
        targets = {name: self.targets(splits[name]) for name in names}
        return {
            **{name: self.figures(outputs[name], splits[name]) for name in names},
            "baselines": self.main_metric.compare(network, self.baselines(splits), targets),
        }

    def warm_start(self, splits: Splits) -> None:  # noqa: B027 - most models know nothing before
        """Give the model what it is to know before training, such as pretrained vectors.

        It is called before there is a run folder, to refuse what cannot be had, and again before
        training; of a run that goes on, the checkpoint has the last word.
        """

    def about_baselines(self) -> str:
        """Return what the report says of how the baselines were made."""
        return ""

    def verdict(self, figures: Mapping[str, Any]) -> str:
        """Say what came out, and whether the network beats the baselines."""
        return self.main_metric.verdict(figures, self.title)

    # --- what all of them do --------------------------------------------------------------------

    @classmethod
    def start(cls, config: C, command: Sequence[str]) -> tuple[Self, Splits]:
        """Make a new run folder; nothing is left behind when the config or the data are wrong.

        Args:
            config: what to train.
            command: the words of the command line, for the record.

        Raises:
            InputError: the device, the data, the model or the name cannot be had.
        """
        compute = _compute(config)
        splits, card = cls.load(config)
        job = cls(cls.located(config), compute, card)
        job.check(splits)
        data = Path(getattr(config, "data", "")).stem
        stem = f"{job.stem}-{data}" if cls.verb == "train" else f"{cls.verb}-{job.stem}-{data}"
        job.create(Path(config.run_dir), config.name, stem, command)
        return job, splits

    def check(self, splits: Splits) -> None:
        """Refuse what training would stumble over, before there is a run folder.

        Raises:
            InputError: the optimizer, pretrained weights or the monitored figure cannot be had.
        """
        self.optimizer()
        self.warm_start(splits)
        self._check_monitor(splits)

    def create(
        self, run_dir: Path, name: str | None, stem: str, command: Sequence[str] = ()
    ) -> None:
        """Make the run folder of a job.

        Raises:
            RunError: the name is taken.
        """
        self.run = runs.create(run_dir, self.lab, name, stem)
        about = {"lab": self.lab, "job": self.verb, "command": list(command)}
        self.run.write("environment", {**about, **runs.environment(str(self.compute))})
        self.run.write("data", self.card.as_dict())
        write_text(self.run.config, to_toml(self.config))  # the last: it makes the folder a run

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
            run.write("environment", {**parent.read("environment"), "job": cls.verb})
            run.write("data", cls.load(config)[1].as_dict())
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
        run = runs.open_run(path, cls.lab, cls.verb)
        config = build_config(cls.config_type, (str(run.config), read_toml(run.config)))
        if device is not None:  # another one may lack the run's precision
            config = dataclasses.replace(config, device=device, precision="auto")
        job = cls(config, _compute(config), cls.card_type.from_dict(run.read("data")))
        job.run = run
        return job

    def load_again(self) -> tuple[Splits, K]:
        """Load the data of a run that is there, with its card of today."""
        return self.load(self.config)

    def load_splits(self) -> Splits:
        """Load the run's data again.

        Raises:
            RunError: the data is no longer what the run was trained on.
        """
        splits, card = self.load_again()
        if card.fingerprint != self.card.fingerprint:
            raise RunError(
                f"the data of {self.run.path} has changed since it was trained: "
                f"{_counts(self.card)} then, {_counts(card)} now; put it back, or train a new run"
            )
        return splits

    def load_best(self) -> None:
        """Put the weights of the best epoch into the model, on the device.

        Raises:
            RunError: there are none yet, or they are damaged.
        """
        load_weights(self.run.best, self.model)
        self.compute.place(self.model)

    def optimizer(self, **options: Any) -> optim.AnyOptimizer:
        """Return the config's optimizer of the model; `options` go to `optim.build`."""
        return optim.build(
            self.config.optimizer,
            self.model,
            self.config.learning_rate,
            weight_decay=self.config.weight_decay,
            momentum=self.config.momentum,
            nesterov=self.config.nesterov,
            **options,
        )

    def monitored(self, task: training.Task) -> tuple[str, str]:
        """Return the figure that picks the best epoch, and its direction."""
        mode = None if self.config.mode == "auto" else self.config.mode
        return training.monitored(task, "validation", self.config.monitor, mode)

    def train(self, splits: Splits, display: Display, say: Callable[[str], None]) -> None:
        """Train to the end, from wherever the run stands; the best weights are then in the model.

        Args:
            splits: the data.
            display: shows the progress.
            say: called with a line for the user about damaged checkpoints.

        Raises:
            Stopped: a signal came; the run is saved.
            NonFiniteError: the loss or a gradient became NaN or infinite.
            SaveError: the disk is full; the checkpoints before are intact.
        """
        import sklearn.metrics  # noqa: F401 - or the first epoch's seconds would be those of this

        config, task = self.config, self.task(splits)
        self.warm_start(splits)
        train = self.batches(splits["train"], training=True)
        validation = self.batches(splits["validation"])
        self.compute.place(self.model)
        optimizer = self.optimizer()
        monitor, mode = self.monitored(task)
        schedule = optim.schedule(
            config.schedule,
            steps_per_epoch=len(train),
            epochs=config.epochs,
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

        training.fit(
            self.model,
            task,
            train,
            validation,
            optimizer,
            max_epochs=config.epochs,
            patience=config.patience,
            on_epoch=on_epoch,
            schedule=schedule,
            clip=config.clip,
            average=optim.Average(self.model, config.ema) if config.ema else None,
            seed=config.seed,
            compute=self.compute,
            monitor=monitor,
            mode=mode,
            checkpoint=Checkpoints(self.run.path, say),
            save_every=config.save_every,
            show=display.progress,
        )
        close(train, validation)

    def conclude(self, splits: Splits, prepared: float) -> dict[str, Any]:
        """Measure a trained run on validation and, this once, on test; write report and figures.

        Args:
            splits: the data.
            prepared: seconds that the command took before it trained.

        Returns:
            What metrics.json holds.
        """
        begun = time.perf_counter()
        history = self.run.history
        trained = sum(row["seconds"] for row in history)
        monitor, mode = self.monitored(self.task(splits))
        best = best_row(history, monitor, mode)
        if best is None:
            raise RunError(
                f"no epoch of {self.run.path} has a number for {monitor}; choose another --monitor"
            )
        outputs = self.predict_splits(splits)
        measured = self.measure(outputs, splits)
        seconds = {"train": trained, "total": 0.0}
        figures = {"best_epoch": best["epoch"], **measured, "seconds": seconds}
        self.write_report(outputs["test"], splits, figures)
        seconds["total"] = prepared + trained + time.perf_counter() - begun
        self.run.write("metrics", figures)
        return figures

    def write_report(self, outputs: Outputs, splits: Splits, figures: Mapping[str, Any]) -> None:
        """Draw the run's figures and write its report; the arguments are those of `sections`."""
        from common.report import html as report
        from common.runs import sections

        save_picture = PictureSaver(self.run.figures)
        parts = [
            sections.result(self, figures, save_picture),
            sections.learning(self, figures, save_picture),
            *self.sections(outputs, splits, figures, save_picture),
            *sections.repeat(self),
        ]
        title = f"{self.title} on {self.card.source}"
        html = report.render(title, f"Run {self.run.path.name}", self.verdict(figures), parts)
        report.write(self.run.report, html)

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

    def initialize(self) -> None:
        """Seed what draws a new model's weights."""
        from common import seeding

        torch.default_generator.manual_seed(
            seeding.derive(self.config.seed, seeding.INITIALIZATION)
        )

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
    return runs.open_run(path, lab, verb).finished


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
