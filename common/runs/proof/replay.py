"""The command `replay`: a run that is another's until an epoch, and then goes its own way."""

import contextlib
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from common import files
from common.errors import ConfigError, RunError
from common.history import epochs_since_best
from common.options import terminal
from common.options.config import TrainingConfig, build, options_of, read_toml, to_toml
from common.runs import commands, folder
from common.runs.folder import Run, open_run
from common.runs.job import Job, Splits
from common.runs.lab import Lab
from common.runs.proof import again, branch
from common.runs.proof.again import BRANCH, Standing
from common.runs.proof.judge import judge_rows
from common.training import checkpoint

_ALSO = {  # options outside of training that leave the model and the data what they are
    *("seed", "augment", "layer_decay", "temperature", "teacher_weight", "loss"),
    *("label_smoothing", "focal_gamma", "imbalance", "class_weights", "dropout", "word_dropout"),
    *("gram_dropout", "sparsity_weight", "sparsity_target", "contraction_weight", "beta"),
    "kl_warmup",
}
_FIXED = {  # options of training that a run has from its beginning
    "optimizer": "what it remembers is that of another",
    "ema": "the average has its own weights from the beginning on",
    "monitor": "the best epoch until then was chosen by another figure",
    "mode": "the best epoch until then was chosen in the other direction",
    "total_updates": "give epochs",
    "time": "how long it trains is known; give epochs",
}
_CHANGES = {
    "Data": "it changes the data",
    "Model": "it changes the model",
    "split_seed": "it changes the split",
}


def replay(
    lab: Lab,
    path: Path,
    epoch: int,
    changes: Sequence[str],
    run_dir: Path,
    name: str | None,
    device: str | None,
) -> None:
    """Branch off from a run after an epoch, train, and show both.

    Args:
        lab: the lab.
        path: the run.
        epoch: the last that both have.
        changes: `NAME=VALUE` of options that are others from there on.
        run_dir: folder of all runs.
        name: of the new run; made of the old one's when None.
        device: another than the run's.

    Raises:
        InputError: the run has no such epoch, or cannot be changed so.
    """
    begun, parent = time.perf_counter(), open_run(path, lab.name)
    if parent.job not in lab.jobs:
        raise RunError(f"{path} is a run of {parent.job}; name one of {', '.join(lab.jobs)}")
    kind = lab.kind_of(path)
    given = _parse(changes)
    config = _change(kind.config_type, parent, given)
    job = kind.reopen(path, device)
    length = config.epochs if "epochs" in given else job.config.epochs
    standing = _find(parent, epoch, length)
    splits = job.load_splits()
    _check_patience(job.monitored(job.task(splits)), parent, config, epoch)
    with tempfile.TemporaryDirectory() as scratch:
        if standing.epoch < epoch:
            standing = _go_on(kind, parent, splits, standing, epoch, Path(scratch), device)
        run = folder.create(run_dir, lab.name, name, f"{path.name}-from-{epoch}")
        try:
            with files.new_folder(run.path) as made:
                _fill(Run(made), kind, parent, splits, standing, config, given, device)
        except BaseException:
            with contextlib.suppress(OSError):
                run.path.rmdir()
            raise
    replayed = kind.reopen(run.path, device)
    commands.train_run(replayed, splits, begun)
    _show(replayed)


# --- what may be asked ----------------------------------------------------------------------------


def _parse(changes: Sequence[str]) -> dict[str, str]:
    """Read `NAME=VALUE` of each change; a name may be written as its option is."""
    pairs = [text.partition("=") for text in changes]
    if wrong := [text for text, (_, sign, _) in zip(changes, pairs, strict=True) if not sign]:
        raise ConfigError([f"--with {text}: expected NAME=VALUE" for text in wrong])
    return {name.strip().lstrip("-").replace("-", "_"): value.strip() for name, _, value in pairs}


def _change(kind: type[TrainingConfig], parent: Run, given: Mapping[str, str]) -> TrainingConfig:
    """Return the parent's config with other values.

    Raises:
        ConfigError: a name or a value is wrong, or what it says is the same in all of a run.
    """
    fields = {field.name: field for field in options_of(kind)}
    problems = []
    for name, field in fields.items():
        group, of_machine = field.metadata["group"], field.metadata["machine"]
        free = name in _ALSO or (group == "Training" and name not in _FIXED) or of_machine
        if name in given and not free:
            why = _FIXED.get(name) or _CHANGES.get(name) or _CHANGES.get(group, "it is for all")
            problems.append(f"--with {name}: cannot change in a run that has begun: {why}")
    if problems:
        raise ConfigError(problems)
    config = build(kind, (str(parent.config), read_toml(parent.config)), ("options", given))
    if config.fit_batch:
        raise ConfigError("--with batch_size=auto: is tried before a run begins; give a number")
    if "seed" in given and getattr(config, "bootstrap", False):
        raise ConfigError("--with seed: cannot change in a run of --bootstrap: it draws the data")
    return config.located()


def _find(parent: Run, epoch: int, length: int) -> Standing:
    """Return the nearest position, at an epoch or before it, from which the run can go on.

    Raises:
        RunError: the run has no such epoch, or it is another run's.
        ConfigError: the new run would have no epoch of its own.
    """
    done = len(parent.history)
    if epoch > done:
        raise RunError(f"--from epoch:{epoch}: {parent.path} has {done} epochs")
    if epoch >= length:
        raise ConfigError(
            f"--from epoch:{epoch}: the run has {length} epochs, so none is left to be another; "
            "branch off earlier, or add --with epochs=NUMBER"
        )
    standings = again.list_standings(parent)
    before = [each for each in standings if each.epoch <= epoch and each.has_best]
    if not before:
        about = parent.read(branch.NAME)
        raise RunError(
            f"--from epoch:{epoch}: until epoch {about['epoch']}, {parent.path} is "
            f"{about['run']}; replay that"
        )
    return before[-1]


def _check_patience(
    monitored: tuple[str, str], parent: Run, config: TrainingConfig, epoch: int
) -> None:
    """Refuse a patience that had run out before the branch.

    Raises:
        ConfigError: it had.
    """
    if config.patience is None:
        return
    for end in range(1, epoch + 1):
        waited = epochs_since_best(parent.history[:end], *monitored)
        if waited >= config.patience:
            raise ConfigError(
                f"--from epoch:{epoch}: with a patience of {config.patience} the run ends at epoch "
                f"{end}, which is {waited} after its best; add --with patience=none"
            )


# --- the new run ----------------------------------------------------------------------------------


def _go_on(
    kind: type[Job[Any, Any]],
    parent: Run,
    splits: Splits,
    standing: Standing,
    epoch: int,
    scratch: Path,
    device: str | None,
) -> Standing:
    """Compute the parent again from what it kept until an epoch, where it must be the same.

    Raises:
        RunError: it is not.
    """
    text = f"computing epochs {standing.epoch + 1} to {epoch} of {parent.path} again"
    with terminal.progress_bar(text) as bar:
        found = again.compute(
            kind, parent, splits, standing, epoch, scratch, device=device, show=bar.move
        )
    rows = parent.history[standing.epoch : epoch]
    for check in judge_rows(found.rows[standing.epoch :], rows, None):
        if check.verdict:
            raise RunError(
                f"{check.what} of {parent.path} comes out otherwise here: {check.remark}; that of "
                f"another machine can be replayed from an epoch that it kept: {_kept(parent)}"
            )
    return found


def _kept(run: Run) -> str:
    epochs = [str(each.epoch) for each in again.list_standings(run) if each.epoch and each.has_best]
    return ", ".join(epochs) or "none"


def _fill(
    run: Run,
    kind: type[Job[Any, Any]],
    parent: Run,
    splits: Splits,
    standing: Standing,
    config: TrainingConfig,
    given: Mapping[str, str],
    device: str | None,
) -> None:
    """Make a run folder that stands where the parent stood, and has its own config."""
    again.place(parent, standing, run.path)
    before = [each for each in parent.lengthened if each["epochs"][0] <= standing.epoch]
    if before:  # the schedule began again there
        first, last = before[-1]["epochs"]
        before[-1]["epochs"] = [first, config.epochs if "epochs" in given else last]
        run.write("lengthened", before)
    (run.path / "notes.json").unlink(missing_ok=True)
    metrics = parent.read("metrics") if parent.finished else {}
    about = {
        "run": str(parent.path.absolute()),
        "epoch": standing.epoch,
        "with": dict(given),
        "history": parent.history,
        "metrics": {name: metrics.get(name) for name in ("best_epoch", "validation", "test")},
    }
    run.write(branch.NAME, about)
    run.write_history(parent.history[: standing.epoch])
    files.write_text(run.config, to_toml(config))
    job = kind.reopen(run.path, device)
    job.refuse(splits)
    environment = parent.read("environment")
    environment.pop("resumed", None)
    machine = folder.environment(str(job.compute)) | {"processes": job.compute.processes.size}
    run.write("environment", {**environment, "command": sys.argv, **machine})
    [path] = (run.path / "checkpoints").iterdir()
    other = not given.keys().isdisjoint(("batch_size", "micro_batch"))
    again.settle(job, splits, path, parent.history[: standing.epoch], other_parts=other)
    files.link(path, run.path / BRANCH / path.name)
    if run.best.is_file():
        files.link(run.best, checkpoint.best_beside(run.path / BRANCH / path.name))


def _show(job: Job[Any, Any]) -> None:
    about = job.run.read(branch.NAME)
    names = branch.name_both(job, about)
    terminal.show_table(
        f"Until epoch {about['epoch']} the same",
        ["", *names],
        branch.rows(job, job.run.read("metrics"), about),
    )
    if (picture := job.run.figures / "branch.png").is_file():
        click.echo(f"Picture: {picture}")
