"""The run folder: everything one training was, is, and showed.

config.toml          what repeats it                      (`--config RUN/config.toml`)
.began.toml          a copy, so that a resume notices what was edited
environment.json     the lab, versions, device, command
data.json            classes, normalisation, what was skipped, and a fingerprint of the data
history.jsonl        a row per epoch
best.safetensors     the weights of the best epoch
checkpoints/         what a resume needs
kept/                earlier positions, from which it can be computed again
branch/              of a replayed run: the position from which it went its own way
metrics.json         the figures at the end; a run that has it is finished
receipt.json         hashes of data, config, weights, answers, figures; see docs/proof.md
branch.json          of a replayed run: of which run, from where, and what is other in it
notes.json           what somebody noted of it, such as its score on a leaderboard
share.json           of a model of two parts, what validation chose of the one
time.json            of a run that was given a time: what there was time for
lengthened.json      of a run that was finished before: where it went on, with the figures then
figures/, report.html
tensorboard/, wandb/, wandb.json   what `--track` shows elsewhere
"""

import contextlib
import itertools
import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import filelock

from common import files
from common.errors import RunError
from common.history import Row
from common.options.config import read_toml

_BEFORE_CONFIG = (
    "environment.json",
    "data.json",
    "chosen.json",
    "groups.json",
    "time.json",
    ".lock",
)
RECORDED = (
    *("python", "torch", "torchvision", "numpy", "scikit-learn"),
    *("system", "processor", "threads", "device"),
)
"""What a run computed with, as its environment.json has it."""
# Options of a run that has begun: where its data lie, which are compared with what they were, and
# how it is computed and saved, which is said.
_MAY_BE_EDITED = (
    *("data", "test", "data_dir", "image_dir"),
    *("device", "threads", "workers", "save_every", "keep", "track", "decoding"),
)
_RENAMED = {("detection", "compare"): "compare-models"}
"""Commands that have another name today, by the lab and the name that older runs have."""
_noted: list[Path] | None = None  # the folders made since `noted` was entered


@contextlib.contextmanager
def noted() -> Iterator[list[Path]]:
    """Note the run folders that are made inside the block; of a run made of runs it is the first.

    Yields:
        Their paths, in the order in which they were made.
    """
    global _noted
    before, _noted = _noted, []
    try:
        yield _noted
    finally:
        _noted = before


class Run:
    """A run folder.

    Args:
        path: the folder, which exists; see `create` and `open_run`.
    """

    def __init__(self, path: Path):
        self.path = path
        self.config = path / "config.toml"
        self.best = path / "best.safetensors"
        self.figures = path / "figures"
        self.report = path / "report.html"

    def write_config(self, text: str) -> None:
        """Write config.toml; the last of a new run, for it makes the folder one."""
        files.write_text(self.config, text)

    def write(self, name: str, value: Any) -> None:
        """Write one of the JSON files; NaN, which JSON does not know, becomes null.

        Raises:
            SaveError: it could not be written, or somebody moved or deleted the folder.
        """
        files.check_run_folder(self.path)
        files.write_json(self.path / f"{name}.json", plain(value))

    def read(self, name: str) -> Any:
        """Read one of the JSON files.

        Raises:
            RunError: it is missing, or not JSON.
        """
        path = self.path / f"{name}.json"
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            verb = self.job if (self.path / "environment.json").is_file() else "train"
            raise RunError(
                f"{path} is missing; go on with the run: {verb} --resume {self.path}"
            ) from error
        except ValueError as error:
            raise RunError(f"{path} is damaged: {error}") from error

    @property
    def finished(self) -> bool:
        """Whether training, the test and the report are done."""
        return (self.path / "metrics.json").is_file()

    @property
    def answering(self) -> Path | None:
        """The folder of the run that answers for this one, which is made of others."""
        found = self.read("metrics").get("final") if self.finished else None
        return None if found is None else self.path / found

    @property
    def lengthened(self) -> list[dict[str, Any]]:
        """Each time that a finished run went on: `epochs` before and after, and `metrics` then."""
        there = (self.path / "lengthened.json").is_file()
        return list(self.read("lengthened")) if there else []

    @property
    def timed(self) -> dict[str, Any] | None:
        """What a run has time for, see `limits.trial.Timed`; None of one without a time.

        Of a run that was made longer, its time is over.
        """
        there = (self.path / "time.json").is_file() and not self.lengthened
        return dict(self.read("time")) if there else None

    @property
    def training_seconds(self) -> float | None:
        """Seconds after which training ends, None for no end."""
        timed = self.timed
        return None if timed is None else float(timed["training"])

    def lengthen(self, epochs: int) -> None:
        """Let a finished run go on, for as many epochs in all.

        Raises:
            RunError: it is not finished, or has as many epochs.
        """
        if not self.finished:
            raise RunError(f"{self.path} is not finished; go on with it first, without --epochs")
        done = len(self.history)
        if epochs <= done:
            raise RunError(
                f"--epochs {epochs}: {self.path} has {done} epochs already; give more than that"
            )
        before = [each for each in self.lengthened if each["epochs"][0] < done]
        entry = {"epochs": [done, epochs], "metrics": self.read("metrics")}
        self.write("lengthened", [*before, entry])
        for name in ("receipt", "metrics"):  # that of what it was then
            (self.path / f"{name}.json").unlink(missing_ok=True)

    @property
    def job(self) -> str:
        """The command that trained it, by its name of today."""
        about = self.read("environment")
        job = str(about.get("job", "train"))
        return _RENAMED.get((about.get("lab"), job), job)

    @property
    def history(self) -> list[Row]:
        """The rows of the epochs so far.

        Raises:
            RunError: the file is damaged.
        """
        path = self.path / "history.jsonl"
        try:
            lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
            return [_figures(json.loads(line)) for line in lines]
        except (ValueError, AttributeError) as error:
            again = f"{self.job} --resume {self.path}"
            raise RunError(
                f"{path} is damaged ({error}); the checkpoints have it, too: delete "
                f"{self.path / 'metrics.json'}, and write both again with {again}"
            ) from error

    def write_history(self, rows: Sequence[Row]) -> None:
        """Write the rows, as a whole: what a crash cut off comes again when the run is resumed.

        Raises:
            SaveError: as `write` does.
        """
        files.check_run_folder(self.path)
        lines = [json.dumps(plain(row), ensure_ascii=False) + "\n" for row in rows]
        files.write_text(self.path / "history.jsonl", "".join(lines))

    @contextlib.contextmanager
    def locked(self, *, alone: bool = True) -> Iterator[None]:
        """Keep other processes from training in this folder; a crash lets go of it.

        Args:
            alone: whether nobody else writes in it, so that what a crash left can be deleted.

        Raises:
            RunError: another process is training here, or config.toml was edited since the run
                began.
        """
        lock = filelock.FileLock(self.path / ".lock", timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise RunError(
                f"another process is training in {self.path}; wait for it, or choose another --name"
            ) from error
        try:
            for unfinished in self.path.rglob(f"{files.PREFIX}*") if alone else ():
                unfinished.unlink()
            self._refuse_edited()
            yield
        finally:
            lock.release()

    def _refuse_edited(self) -> None:
        """Refuse to go on with another config than the run began with, of which it keeps a copy.

        Half a run of one config and half of another would be neither, and no file would say so.
        """
        kept = self.path / ".began.toml"
        if not kept.is_file():
            files.write_bytes(kept, self.config.read_bytes())
            return
        now, then = read_toml(self.config), read_toml(kept)
        edited = [
            f"{name} {now.get(name, 'missing')} ({then.get(name, 'missing')} when it began)"
            for name in {**then, **now}
            if now.get(name) != then.get(name) and name not in _MAY_BE_EDITED
        ]
        if edited:
            raise RunError(
                f"{self.config} was edited since the run began: {', '.join(edited)}; put it back, "
                f"or begin another run with --config {self.config}"
            )

    def note_machine(self, device: str) -> str:
        """Say what a run goes on with that is not what it began with, and keep that.

        Args:
            device: as `environment` takes it.

        Returns:
            A line for the user; empty where nothing has changed, or nothing is computed yet.
        """
        if not any(self.path.glob("checkpoints/*.safetensors")):
            return ""
        about, now = self.read("environment"), environment(device)
        resumed = about.get("resumed", [])
        before = resumed[-1] if resumed else about
        changed = [
            f"{name} {now[name]} ({before[name]} before)"
            for name in RECORDED
            if name != "system" and before.get(name, now[name]) != now[name]
        ]
        if not changed:
            return ""
        self.write("environment", {**about, "resumed": [*resumed, now]})
        return (
            f"goes on with {', '.join(changed)}: last digits may differ from those of a run that "
            "was never stopped"
        )


class Followed(Run):
    """A run folder that another process writes; what would be written stays in memory here."""

    def __init__(self, path: Path):
        super().__init__(path)
        self._written: dict[str, Any] = {}

    def write(self, name: str, value: Any) -> None:
        """Keep what would be one of the JSON files."""
        self._written[name] = value

    def read(self, name: str) -> Any:
        """Return what was kept, or read the file."""
        return self._written[name] if name in self._written else super().read(name)

    def write_config(self, text: str) -> None:
        """Leave it to the other process."""

    def write_history(self, rows: Sequence[Row]) -> None:
        """Leave it to the other process."""

    @contextlib.contextmanager
    def locked(self, *, alone: bool = True) -> Iterator[None]:
        """Leave it to the other process."""
        yield


def create(run_dir: Path, lab: str, name: str | None, stem: str) -> Run:
    """Make a new run folder, `run_dir/lab/name`.

    Args:
        run_dir: the folder of all runs.
        lab: the lab's name.
        name: the run's own name; None takes the stem and the first number that is free.
        stem: what to name the run after.

    Raises:
        RunError: the name is taken, or would leave the folder of all runs.
    """
    folder = run_dir / lab
    names = (f"{_slug(stem)}-{number}" for number in itertools.count(1))
    for path in (folder / each for each in (names if name is None else [_safe(name)])):
        try:
            path.mkdir(parents=True)
            if _noted is not None:
                _noted.append(path)
            return Run(path)
        except OSError as error:
            if not os.path.lexists(path):
                raise RunError(
                    f"cannot make the run folder {path}: {error.strerror}; "
                    "choose another --run-dir or --name"
                ) from error
    raise RunError(f"{path} is there already; go on with --resume {path}, or choose another --name")


def open_run(path: Path, lab: str | None = None, job: str | None = None) -> Run:
    """Return the run in a folder.

    Args:
        path: the folder.
        lab: whose run it must be; of any lab when None.
        job: the command that must have trained it; any of the lab's when None.

    Raises:
        RunError: there is no such run.
    """
    run = Run(path)
    if not run.config.is_file():
        raise RunError(f"{path} is not a run folder (no config.toml in it){_runs_nearby(path)}")
    if not (path / "environment.json").is_file():
        raise RunError(f"{path} is not a run folder (no environment.json in it)")
    owner = run.read("environment").get("lab")
    if lab is not None and owner != lab:
        raise RunError(f"{path} is a run of labs.{owner}, not of labs.{lab}")
    if job is not None and run.job != job:
        raise RunError(f"{path} was trained by `{run.job}`, not by `{job}`")
    return run


def remove_half_made(path: Path) -> None:
    """Remove a run folder that a kill left before it was one: config.toml is written last."""
    if not (path / "config.toml").is_file():
        cut_off = path.glob(f"{files.PREFIX}*")  # a file that was being written
        for each in (*(path / name for name in _BEFORE_CONFIG), *cut_off):
            each.unlink(missing_ok=True)
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def environment(device: str) -> dict[str, Any]:
    """Return what a run computed with: versions, machine, device, and when it began."""
    import platform
    from datetime import UTC, datetime
    from importlib.metadata import version

    import torch

    packages = ("torch", "torchvision", "numpy", "scikit-learn")
    return {
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
        "system": platform.platform(),
        "processor": torch.cpu.get_capabilities().get("cpu_name") or platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": device,
    }


def _runs_nearby(path: Path) -> str:
    folders = [path, path.parent]
    runs = sorted(
        str(config.parent)
        for folder in folders
        if folder.is_dir()
        for config in folder.glob("*/config.toml")
    )
    return f"; runs nearby: {', '.join(runs[:5])}" if runs else ""


def _safe(name: str) -> str:
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise RunError(
            f"--name {name}: expected letters, digits and . _ + -, first a letter or digit"
        )
    return name


def _slug(text: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", text).strip("-.") or "run"


def _figures(row: dict[str, Any]) -> Row:
    """Undo what `plain` did to the figures of a row."""
    return {name: math.nan if value is None else value for name, value in row.items()}


def plain(value: Any) -> Any:
    """Return a value as JSON keeps it: NaN becomes null, tuples become lists."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
