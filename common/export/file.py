"""An exported file, asked: without torch, by onnxruntime alone.

A file holds, beside its graph, all that a lab needs to answer with it, such as classes, sizes and
vocabularies, as its metadata (texts, or JSON). What consists of several parts (an encoder and a
decoder) is several files that lie together, and each knows the others by name.
"""

import json
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnxruntime

from common.errors import ConfigError, DataError
from common.metrics.metrics import Array
from common.options.config import TrainingConfig, read
from common.threads import usable_threads

MADE_BY = "deep-learning-labs"
TEXTS = ("made_by", "lab", "job", "model", "trained_on", "weights", "part")
"""The keys of metadata that are texts; all others are JSON."""

C = TypeVar("C", bound=TrainingConfig)

_AT_ONCE = 64  # samples that a graph is given together: bounds the memory


def start(data: bytes | str, threads: int) -> Any:
    """Return onnxruntime's session of a file, on the CPU.

    Args:
        data: of the file, or its path.
        threads: that compute. Where onnxruntime chooses, with 0, it takes all cores of the machine,
            binds a thread to each, and sees neither `OMP_NUM_THREADS` nor a container's quota.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors alone
    # Threads that spin as they wait would take the cores of other programs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


class Exported:
    """A file that `export` wrote, with the other parts of its network.

    Args:
        path: of the file, or of any of its parts.
        lab: whose it must be.
        jobs: the commands of which one must have trained it; any of the lab's when empty.

    Attributes:
        about: what it knows, by name.

    Raises:
        DataError: it is no such file, or a part is missing.
    """

    def __init__(self, path: Path, lab: str, *jobs: str):
        self.path = path
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "no such file"
            raise DataError(f"{path}: {what}; --onnx takes a file that `export RUN` has written")
        session, self.about = self._open(path)
        if self.about["lab"] != lab or (jobs and self.about["job"] not in jobs):
            raise DataError(f"{path} is of labs.{self.about['lab']} {self.about['job']}: ask there")
        self._sessions = {self.about["part"]: session}

    @staticmethod
    def _open(path: Path) -> tuple[Any, dict[str, Any]]:
        """Return the session of a file, and its metadata."""
        try:
            session = start(str(path), usable_threads())
        except Exception as error:  # onnxruntime's own have no common base
            raise DataError(f"{path} is no ONNX file that can be run: {error}") from error
        texts = session.get_modelmeta().custom_metadata_map
        if texts.get("made_by") != MADE_BY:
            raise DataError(f"{path} is an ONNX file of another program; `export RUN` writes ours")
        try:
            return session, {key: x if key in TEXTS else json.loads(x) for key, x in texts.items()}
        except ValueError as error:
            raise DataError(f"{path}: its metadata are damaged: {error}; export again") from error

    def _session(self, part: str) -> Any:
        """Return the session of a part; another one than that of the path is opened once."""
        if part not in self._sessions:
            path = self.path.with_name(self.about["files"][part])
            if not path.is_file():
                raise DataError(f"{self.path}: its other part, {path.name}, must lie beside it")
            session, about = self._open(path)
            if about["weights"] != self.about["weights"]:
                raise DataError(f"{self.path} and {path.name} are of different networks")
            self._sessions[part] = session
        return self._sessions[part]

    def config(self, kind: type[C]) -> C:
        """Return the run's config, without the paths of the machine that it was trained on.

        What goes with such a path alone is still there, so nothing is checked between options.
        """
        values, problems = read(kind, str(self.path), self.about["config"])
        if problems:
            raise ConfigError([*problems.values()])
        return kind(**values)

    def run(self, part: str = "", /, **inputs: Array) -> dict[str, Array]:
        """Return the outputs of a part for all of its inputs at once, by their names."""
        session = self._session(part)
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(None, inputs), strict=True))

    def run_rows(self, part: str = "", /, **inputs: Array) -> dict[str, Array]:
        """Do as `run` does, some rows of the inputs at a time."""
        rows = len(next(iter(inputs.values())))
        found = [
            self.run(part, **{name: x[first : first + _AT_ONCE] for name, x in inputs.items()})
            for first in range(0, rows, _AT_ONCE)
        ]
        return {name: np.concatenate([each[name] for each in found]) for name in found[0]}
