"""Answers out of fold: what models say of samples they had not seen, kept beside their runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.numpy import load_file, save

from common.files import write_bytes
from common.metrics.metrics import Array
from common.runs.folder import Run
from common.runs.job import Outputs, groups_of
from common.training.task import probabilities


class OutOfFold(NamedTuple):
    """What models say of the samples that they had not seen."""

    outputs: dict[str, Array]  # what the task collects, (N, ...)
    decided: Array  # what the job makes of them, (N, ...)
    targets: Array  # what is true, (N, ...)
    groups: Array | None  # what each sample belongs to, (N,), where the user named groups

    @classmethod
    def of(cls, job: Any, outputs: Outputs, split: Any) -> "OutOfFold":
        """Return what the model of a fold says of the fold."""
        return cls(
            {name: tensor.numpy() for name, tensor in outputs.items()},
            job.decide(outputs),
            job.targets(split),
            groups_of(split),
        )

    @classmethod
    def is_there(cls, run: Run) -> bool:
        """Say whether `write` has written them."""
        return _answers_of(run).is_file()

    @classmethod
    def read(cls, run: Run) -> "OutOfFold":
        """Read what `write` has written."""
        arrays = load_file(_answers_of(run))
        decided, targets = arrays.pop("decided"), arrays.pop("targets")
        groups = arrays.pop("groups", None)
        return cls(arrays, decided, targets, groups)

    def write(self, run: Run) -> None:
        """Keep it in the folder of the fold's run."""
        arrays = {**self.outputs, "decided": self.decided, "targets": self.targets}
        arrays |= {} if self.groups is None else {"groups": self.groups}
        whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        write_bytes(_answers_of(run), save(whole))

    @classmethod
    def join(cls, parts: Sequence["OutOfFold"]) -> "OutOfFold":
        """Return the answers of several folds as those of one."""
        groups = [part.groups for part in parts if part.groups is not None]
        return cls(
            {name: _join([part.outputs[name] for part in parts]) for name in parts[0].outputs},
            _join([part.decided for part in parts]),
            _join([part.targets for part in parts]),
            np.concatenate(groups) if groups else None,
        )


def list_answers(
    column: str,
    names: Sequence[str],
    truth: Sequence[Any],
    said: Sequence[Any],
    shares: Mapping[str, Sequence[float]] | None = None,
) -> list[dict[str, Any]]:
    """Return a record for each sample: what it is called, what is true, what is said.

    Args:
        column: what samples are.
        names: (N,) of the samples.
        truth: (N,) as a person reads it.
        said: (N,) likewise.
        shares: (N,) probabilities of each class, by its name.
    """
    plain = {column: names, "truth": truth, "answer": said}
    taken = {"fold", *plain}
    of_classes = {
        f"{name} (probability)" if name in taken else name: each
        for name, each in (shares or {}).items()
    }
    columns = plain | of_classes
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def shares_of(whole: OutOfFold) -> Array:
    """Return the probabilities of the classes, (N, C), of answers that are logits."""
    return probabilities(torch.from_numpy(whole.outputs["outputs"]))


def _join(arrays: Sequence[Array]) -> Array:
    """Join arrays (n, ...) to (N, ...); where they are of several widths, fill up with NaN."""
    widest = np.max([array.shape[1:] for array in arrays], 0)
    filled = []
    for array in arrays:
        lacking = [(0, most - size) for most, size in zip(widest, array.shape[1:], strict=True)]
        value = np.nan if array.dtype.kind == "f" else 0
        filled.append(np.pad(array, [(0, 0), *lacking], constant_values=value))
    return np.concatenate(filled)


def _answers_of(run: Run) -> Path:
    return run.path / "out_of_fold.safetensors"
