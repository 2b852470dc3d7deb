"""How runs of a kind answer test data, and what the rows of a submission are made of."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from common.errors import DataError
from common.options import terminal
from common.runs.job import Job, Say
from common.submission.answers import Said
from common.submission.sample import Sample, check_given, find_twice, list_some

J = TypeVar("J", bound=Job[Any, Any])

_IDS = {  # how columns of ids are called, without spaces and underscores, in lower case
    *("id", "ids", "imageid", "imgid", "image", "img", "filename", "imagename", "file", "path"),
    *("filepath", "imagepath", "name", "index", "idx", "key", "uuid", "sampleid", "rowid"),
    *("아이디", "번호", "순번", "파일명", "파일", "이미지", "경로"),
}


@dataclass(frozen=True)
class Rows:
    """The rows of a submission.

    Attributes:
        cells: as they are to be written.
        said: a sentence that says what was taken for what.
        kept: the ids of the rows that have the sample's own answer, with the reason.
    """

    cells: list[list[str]]
    said: str
    kept: Mapping[str, str] = field(default_factory=dict)


class Found(NamedTuple):
    """The test samples of the ids of a sample submission."""

    samples: dict[str, Any]  # by the id, as the lab's kind of run takes them
    unreadable: dict[str, str]  # why, by the id
    others: Sequence[str] = ()  # test samples that no row has


class Submission(ABC, Generic[J]):
    """How runs of a kind answer test data.

    Args:
        jobs: a run with its weights; or those of the folds of a cross-validation.

    Attributes:
        merging: what one answer of several runs is, such as "the mean"; None where there is none.
    """

    merging: ClassVar[str | None] = None

    def __init__(self, jobs: Sequence[J], say: Say):
        self.jobs, self._say, self._told = jobs, say, set[str]()

    def say(self, line: str) -> None:
        """Tell the user a line, once: each of several runs reads the same test data."""
        if line not in self._told:
            self._told.add(line)
            self._say(line)

    def choose(
        self, sample: Sample, id_column: str | None, answer_columns: Sequence[str]
    ) -> Sample:
        """Return a sample with its columns chosen: those that are given, or else guessed.

        Raises:
            DataError: a column is not there, or there is none for answers.
        """
        check_given(sample, [*filter(None, [id_column]), *answer_columns])
        if id_column is None:
            left = [name for name in sample.columns if name not in answer_columns]
            named = [name for name in left if _fold(name) in _IDS]
            id_column = next(iter([*named, *left]), sample.columns[0])
        answers = [*answer_columns] or [name for name in sample.columns if name != id_column]
        if not answers or id_column in answers:
            raise DataError(
                f"{sample.path}: expected a column of ids and others for answers, and the columns "
                f"are {', '.join(sample.columns)}; --id-column and --answer-column name them"
            )
        return replace(sample, id_column=id_column, answer_columns=tuple(answers))

    @abstractmethod
    def rows(
        self, sample: Sample, test: Path | None, written: Mapping[str, Any], how: Mapping[str, Any]
    ) -> Rows:
        """Return the rows of a submission, in the order of the sample.

        Args:
            sample: with its columns chosen.
            test: the test data; None where a run goes on with its own.
            written: how TEST is written, values of some of the config's `of_files`.
            how: what the command was given beside: `form`, one of `answers.FORMS` or None, and the
                lab's own options.

        Raises:
            DataError: the test data are not those of the sample, or cannot be had.
        """

    def refuse(  # noqa: B027 - what cannot be trained on all rows is told as it answers
        self, sample: Sample, test: Path | None, written: Mapping[str, Any], how: Mapping[str, Any]
    ) -> None:
        """Refuse what `rows` would, before a run trains for it; the arguments are the same."""

    def check(self, sample: Sample, again: Sample) -> None:
        """Refuse a file that is read again and has not what the sample has beside answers.

        Raises:
            DataError: it has other columns or ids.
        """
        kept = [name for name in sample.columns if name not in sample.answer_columns]
        if again.columns != sample.columns or any(
            again.cells(name) != sample.cells(name) for name in kept
        ):
            raise DataError(f"{sample.path}: what would be written has other columns or ids")


class RowByRow(Submission[J]):
    """Runs that say one thing of each test sample, of which a sample submission has a row each."""

    merging = "the mean"

    @abstractmethod
    def find(self, sample: Sample, test: Path, written: Mapping[str, Any]) -> Found:
        """Return the test samples of a sample's ids.

        Raises:
            DataError: the test data cannot be had.
        """

    @abstractmethod
    def answer(
        self, job: J, samples: Mapping[str, Any], move: Callable[[float], None]
    ) -> tuple[list[str], Tensor]:
        """Return the ids of the test samples that can be read, with outputs for them, (N, ...).

        Args:
            job: the run.
            samples: by their ids.
            move: called with the share that is done.
        """

    @abstractmethod
    def interpret(self, job: J, outputs: Tensor) -> Said:
        """Return what outputs of a run, (N, C), mean."""

    def rows(
        self, sample: Sample, test: Path | None, written: Mapping[str, Any], how: Mapping[str, Any]
    ) -> Rows:
        """Answer each row of a sample; see `Submission.rows`."""
        found = self._find_all(sample, test, written, how)
        read, said = self._answer_all(found)
        filled = said.fill(sample, how["form"])
        places = {name: place for place, name in enumerate(read)}
        answers = {
            column: [cells[places[name]] if name in places else None for name in sample.ids]
            for column, cells in filled.cells.items()
        }
        kept = {
            name: found.unreadable.get(name, "cannot be read")
            for name in sample.ids
            if name not in places
        }
        return Rows(sample.fill(answers), filled.said, kept)

    def refuse(
        self, sample: Sample, test: Path | None, written: Mapping[str, Any], how: Mapping[str, Any]
    ) -> None:
        """Refuse a sample that does not fit the run or the test data; see `Submission.refuse`."""
        self._find_all(sample, test, written, how)

    def _find_all(
        self, sample: Sample, test: Path | None, written: Mapping[str, Any], how: Mapping[str, Any]
    ) -> Found:
        """Return the test samples of all rows.

        Raises:
            DataError: the sample does not fit the run, or not the test data.
        """
        if test is None:
            raise DataError("TEST: expected the test data before the sample submission")
        if twice := find_twice(sample.ids):
            raise DataError(
                f"{sample.path}: {len(twice):,} ids stand in several rows of column "
                f"{sample.id_column!r}: {list_some(twice)}"
            )
        first = self.jobs[0]
        none = torch.zeros(0, len(first.card.classes))
        self.interpret(first, none).fill(sample, how["form"])  # refuses, before hours
        found = self.find(sample, test, written)
        check_whole(sample, test, found)
        return found

    def _answer_all(self, found: Found) -> tuple[list[str], Said]:
        """Return the mean of what the runs say."""
        ids: list[str] = []
        every: list[Any] = []
        number = len(self.jobs)
        of_runs = f" by {number} runs" if number > 1 else ""
        with terminal.progress_bar(f"answering {len(found.samples):,} samples{of_runs}") as bar:
            for done, job in enumerate(self.jobs):
                ids, outputs = self.answer(
                    job,
                    found.samples,
                    lambda share, done=done: bar.move((done + share) / number),  # type: ignore[misc]
                )
                every.append(self.interpret(job, outputs))
        return ids, every[0] if number == 1 else type(every[0]).mean(every)


def check_whole(sample: Sample, test: Path, found: Found) -> None:
    """Refuse test data that are not those of a sample.

    Raises:
        DataError: a row has no test sample, or the other way round.
    """
    there = found.samples.keys() | found.unreadable.keys()
    missing = [name for name in sample.ids if name not in there]
    problems = []
    if missing:
        problems.append(
            f"{len(missing):,} of the {len(sample.ids):,} rows of {sample.path} have no sample in "
            f"{test}: {list_some(missing)}"
        )
    if found.others:
        have = f"{len(found.others):,} samples of {test} have no row"
        problems.append(f"{have} in {sample.path}: {list_some(found.others)}")
    if problems:
        raise DataError("; ".join(problems))


def _fold(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter not in " _-")
