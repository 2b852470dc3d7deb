"""What the members of an ensemble say of samples that they had not seen, kept as it is computed."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.numpy import load_file, save

from common.ensembles.forms import Form, Truth
from common.ensembles.members import Member, Members, check_same_truth, load_views
from common.experiments.out_of_fold import OutOfFold
from common.files import write_bytes
from common.metrics.metrics import Array
from common.options import terminal
from common.runs.folder import Run
from common.runs.job import Splits, groups_of

OUT_OF_FOLD = "out_of_fold"  # in place of the names of splits, where members are folds
_TOGETHER = "answers/together.safetensors"


class Answers(NamedTuple):
    """What all members say of splits, or out of fold."""

    values: dict[str, Array]  # (M, N, ...) see `Form`, by the split's name
    truth: dict[str, Truth]  # likewise
    folds: Array | None  # (N,) of the samples that are learned from; None where they are too few
    seconds: Sequence[float]  # that each member took

    @property
    def learned_from(self) -> str:
        """The name of the split by which it is chosen how members answer together."""
        return OUT_OF_FOLD if OUT_OF_FOLD in self.values else "validation"

    @property
    def judged_on(self) -> str:
        """The name of the split whose figure is the result."""
        return OUT_OF_FOLD if OUT_OF_FOLD in self.values else "test"


def gather(run: Run, members: Members, views: Sequence[Splits] | None, seed: int) -> Answers:
    """Return the answers of all members; those that are kept are not computed again.

    Args:
        run: the ensemble's.
        members: of it.
        views: the data as each member sees them; loaded when None and needed.
        seed: of the folds of samples that are not in folds yet.

    Raises:
        InputError: the data are gone, or members are judged on other samples.
    """
    waiting = [number for number in range(len(members.each)) if not _kept(run, number).is_file()]
    if waiting and views is None and not members.out_of_fold:
        views = load_views(members.each)
    if waiting:
        with terminal.progress_bar(f"asking {len(members.each)} members") as bar:
            for done, number in enumerate(waiting, 1):
                _ask(run, members, number, views)
                bar.move(done / len(waiting))
    kept = [load_file(_kept(run, number)) for number in range(len(members.each))]
    names = [name.removeprefix("shares/") for name in kept[0] if name.startswith("shares/")]
    truth = {
        name: Truth(kept[0][f"targets/{name}"], kept[0].get(f"groups/{name}")) for name in names
    }
    for member, each in zip(members.each, kept, strict=True):
        for name in names:
            check_same_truth(
                *(member.path, each[f"targets/{name}"]),
                *(members.each[0].path, truth[name].targets),
                tolerance=members.form.tolerance,
            )
    values = {name: np.stack([each[f"shares/{name}"] for each in kept]) for name in names}
    folds = kept[0].get("folds")
    folds = members.form.cut(truth["validation"], seed) if folds is None else folds
    return Answers(values, truth, folds, [float(each["seconds"][0]) for each in kept])


def keep_together(run: Run, values: Array, targets: Array) -> None:
    """Keep what the members together say where they are judged, (N, ...), with the truth."""
    whole = {"shares": np.ascontiguousarray(values), "targets": np.ascontiguousarray(targets)}
    write_bytes(run.path / _TOGETHER, save(whole))


def read_together(run: Run) -> tuple[Array, Array] | None:
    """Return what `keep_together` kept; None where the members cannot be judged."""
    if not (run.path / _TOGETHER).is_file():
        return None
    kept = load_file(run.path / _TOGETHER)
    return kept["shares"], kept["targets"]


def _ask(run: Run, members: Members, number: int, views: Sequence[Splits] | None) -> None:
    """Compute and keep what a member says."""
    member = members.each[number]
    found = (
        _read_folds(member, members.form)
        if members.out_of_fold
        else _ask_of_splits(member, members.form, (views or ())[number])
    )
    whole = {name: np.ascontiguousarray(array) for name, array in found.items()}
    write_bytes(_kept(run, number), save(whole))


def _ask_of_splits(member: Member, form: Form, splits: Splits) -> dict[str, Array]:
    begun = time.perf_counter()
    member.load()
    found: dict[str, Array] = {}
    for name in ("validation", "test"):
        found[f"shares/{name}"] = member.predict(form, splits, name)
        found[f"targets/{name}"] = form.targets(member.jobs[0], splits[name])
        if (groups := groups_of(splits[name])) is not None:
            found[f"groups/{name}"] = groups
    return {**found, "seconds": np.array([time.perf_counter() - begun])}


def _read_folds(member: Member, form: Form) -> dict[str, Array]:
    """Return what the networks of a member said of their folds."""
    parts = [OutOfFold.read(job.run) for job in member.jobs]
    whole = OutOfFold.join(parts)
    sizes = [len(part.targets) for part in parts]
    values = [
        form.values(job, {name: torch.from_numpy(each) for name, each in part.outputs.items()})
        for job, part in zip(member.jobs, parts, strict=True)
    ]
    found = {
        f"shares/{OUT_OF_FOLD}": np.concatenate(values),
        f"targets/{OUT_OF_FOLD}": whole.targets,
        "folds": np.repeat(np.arange(len(parts)), sizes),
        "seconds": np.array([np.nan]),
    }
    return found if whole.groups is None else {**found, f"groups/{OUT_OF_FOLD}": whole.groups}


def _kept(run: Run, number: int) -> Path:
    return run.path / "answers" / f"{number + 1}.safetensors"
