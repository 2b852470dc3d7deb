"""What a user gives for a competition: files that have to fit one another, kept as they are."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from common.errors import DataError
from common.files import sha256_of
from common.runs import commands
from common.runs.folder import Run
from common.runs.lab import Lab
from common.submission.command import refuse_to_replace
from common.submission.runs import Opened, submission_of
from common.submission.sample import Sample

REFIT = "refit"
_FILES = ("train", "test", "sample", "out")


class Competition(NamedTuple):
    """What the user gave.

    Attributes:
        train: the labelled data.
        test: the test data.
        sample: the sample submission.
        seconds: that it may take.
        out: the file to hand in; None for one in the run's folder.
        id_column: of the sample; see `common.submission.command.command`.
        answer_columns: likewise.
        form: likewise.
        written: how the test data are written, as that command has it in `options`.
    """

    train: Path
    test: Path
    sample: Path
    seconds: float
    out: Path | None = None
    id_column: str | None = None
    answer_columns: Sequence[str] = ()
    form: str | None = None
    written: Mapping[str, str] = MappingProxyType({})

    def as_dict(self) -> dict[str, Any]:
        """Return it for TOML, with whole paths."""
        values = {name: value for name, value in self._asdict().items() if value is not None}
        paths = {
            name: str(path.expanduser().absolute())
            for name, path in values.items()
            if name in _FILES
        }
        columns, written = list(self.answer_columns), dict(self.written)
        return {**values, **paths, "answer_columns": columns, "written": written}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what `as_dict` gave."""
        paths = {name: Path(value) for name, value in values.items() if name in _FILES}
        return cls(**{**values, **paths})

    def check_out(self) -> None:
        """Refuse to write over what is given.

        Raises:
            DataError: a file that is to be written is one of them.
        """
        if self.out is None:
            return
        for out in (self.out, name_second(self.out)):
            for path in (out, out.with_suffix(".json")):
                refuse_to_replace(f"--out {self.out}:", path, [self.train, self.test, self.sample])

    def fitted(self, lab: Lab, job: Any, options: Mapping[str, Any]) -> Self:
        """Refuse a sample that does not fit the test data or a job; say how these are written.

        The images of a table lie in its own folder, or in that of the training images.

        Args:
            lab: of the job.
            job: of a rung, which has no run yet.
            options: of the config, that were given.

        Raises:
            DataError: it does not fit.
        """
        job.run = Run(self.test)  # it has none yet: who looks for a finished one finds nothing
        submission = submission_of(lab, Opened(job.run, job.verb, [job]))
        sample = submission.choose(Sample.read(self.sample), self.id_column, self.answer_columns)
        how = {"form": self.form}
        try:
            submission.refuse(sample, self.test, {}, how)
            return self
        except DataError:
            if self.test.is_dir() or "image_dir" not in options:
                raise
        written = {"image_dir": str(options["image_dir"])}
        submission.refuse(sample, self.test, commands.read_written(job, self.test, written), how)
        return self._replace(written=written)


def name_second(out: Path) -> Path:
    """Return the file of the answers of networks that learned from all rows."""
    return out.with_stem(f"{out.stem}-{REFIT}")


def is_written(out: Path, steps: Path) -> bool:
    """Say whether one of the steps has written a file before a stop, whole and with a manifest."""
    manifest = out.with_suffix(".json")
    if not (out.is_file() and manifest.is_file()):
        return False
    known = json.loads(manifest.read_text(encoding="utf-8"))
    return known.get("sha256") == sha256_of(out) and Path(known["run"]).is_relative_to(steps)
