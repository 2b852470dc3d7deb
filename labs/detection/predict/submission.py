"""What a detector hands in: a row for each photo, all its boxes in a cell, or one for each box."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from common.errors import DataError
from common.images import decode
from common.images.decode import printable
from common.io.unpack import is_archive, unpacked
from common.options import terminal
from common.submission.images import find_in_folder
from common.submission.kind import Rows, Submission, check_whole
from common.submission.sample import Sample, check_given, find_twice, list_some
from labs.detection.data.formats.table import find_columns
from labs.detection.data.formats.units import are_shares
from labs.detection.job import Detector
from labs.detection.predict.predictions import Shot, detect

KINDS = ("corners", "sides")  # what the four numbers of a box are, as --boxes says it
SCORE = 0.01  # from which on boxes are handed in: mAP counts those with low scores, too
_CONFIDENCE = {"confidence", "conf", "score", "scores", "probability", "prob", "점수", "신뢰도"}


@dataclass(frozen=True)
class _Form:
    """How a sample writes boxes.

    Attributes:
        kind: corners, sides or centers.
        shares: whether edges are shares of the photo, and not pixels.
        named: whether classes are written by their names, and not their numbers.
        classes: whether they are written at all.
    """

    kind: str
    shares: bool
    named: bool
    classes: bool = True

    def write(self, boxes: Tensor, height: int, width: int) -> list[list[str]]:
        """Return the four numbers of each box (n, 4), corners in pixels."""
        x1, y1, x2, y2 = boxes.double().unbind(1)
        numbers = {
            "corners": (x1, y1, x2, y2),
            "sides": (x1, y1, x2 - x1, y2 - y1),
            "centers": ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1),
        }[self.kind]
        rows = torch.stack(numbers, 1)
        if self.shares:
            rows = rows / rows.new_tensor([width, height, width, height])
        digits = 6 if self.shares else 2
        return [[f"{value:.{digits}f}" for value in row] for row in rows.tolist()]


class _Columns(NamedTuple):
    """The columns of a sample with a row for each box."""

    box: tuple[str, ...]
    label: str | None
    score: str | None


class BoxSubmission(Submission[Detector]):
    """Boxes for a competition's photos; those of several runs are fused."""

    merging = "the fusion"

    def choose(
        self, sample: Sample, id_column: str | None, answer_columns: Sequence[str]
    ) -> Sample:
        """Choose the columns of photos and boxes, by their names; see `Submission`."""
        check_given(sample, [*filter(None, [id_column]), *answer_columns])
        found = find_columns(sample.columns)
        if len(sample.columns) == 2 or len(answer_columns) == 1 or found is None:
            chosen = super().choose(sample, id_column, answer_columns)
            if len(chosen.answer_columns) == 1:
                return chosen
            raise DataError(
                f"{sample.path}: expected a column of photos and one for all boxes of a photo, "
                "such as image_id,PredictionString, or a row for each box, such as "
                "image_id,class,confidence,xmin,ymin,xmax,ymax; the columns are "
                f"{', '.join(sample.columns)}"
            )
        scores = [name for name in sample.columns if name.casefold() in _CONFIDENCE]
        answers = [*found.box, *filter(None, [found.label]), *scores[:1]]
        return replace(sample, id_column=id_column or found.image, answer_columns=tuple(answers))

    def check(self, sample: Sample, again: Sample) -> None:
        """Refuse a file that is read again and has other columns or photos than the sample."""
        if len(sample.answer_columns) == 1:
            super().check(sample, again)
        elif again.columns != sample.columns or not {*again.ids} <= {*sample.ids}:
            raise DataError(f"{sample.path}: what would be written has other columns or ids")

    def rows(
        self, sample: Sample, test: Path | None, written: Mapping[str, Any], how: Mapping[str, Any]
    ) -> Rows:
        """Find the boxes of each photo of a sample; see `Submission.rows`."""
        if test is None:
            raise DataError("TEST: expected the photos before the sample submission")
        columns = self._columns_of(sample)
        if columns is None and (twice := find_twice(sample.ids)):
            raise DataError(f"{sample.path}: ids stand in several rows: {list_some(twice)}")
        form = self._find_form(sample, columns, how)
        score = SCORE if how["score"] is None else how["score"]
        found = self._detect(sample, test, form, score)
        empty = sum(not boxes for boxes in found.boxes.values())
        if empty:
            self.say(
                f"in {empty:,} photos nothing is found: "
                + ("their cells are empty" if columns is None else "they have no row")
            )
        said = (
            f"boxes from a score of {score:g} on (--score), classes by their "
            f"{'names' if form.named else 'numbers'}, {form.kind} in "
            f"{'shares of the photo' if form.shares else 'pixels'}"
        )
        if columns is None:
            [column] = sample.answer_columns
            cells = [_join(found.boxes.get(name), form) for name in sample.ids]
            return Rows(sample.fill({column: cells}), said, found.unreadable)
        rows = list(_spread(sample, columns, found.boxes))
        if not rows:
            raise DataError(
                f"{test}: no box is found on any of its {empty:,} photos from a score of {score:g} "
                f"on, and {sample.path} has a row for each box; give a lower --score"
            )
        return Rows(rows, said, found.unreadable)

    def _columns_of(self, sample: Sample) -> _Columns | None:
        """Return the columns of boxes; None where one cell has all boxes of a photo."""
        if len(sample.answer_columns) == 1:
            return None
        found = find_columns(sample.columns)
        assert found is not None  # as `choose` has seen
        if found.label is None and len(self.jobs[0].card.classes) > 1:
            raise DataError(f"{sample.path}: no column has the class, and the run knows several")
        scores = [name for name in sample.answer_columns if name.casefold() in _CONFIDENCE]
        return _Columns(found.box, found.label, next(iter(scores), None))

    def _find_form(self, sample: Sample, columns: _Columns | None, how: Mapping[str, Any]) -> _Form:
        """Return how the sample writes boxes.

        Raises:
            DataError: it does not tell, and no option does.
        """
        classes = self.jobs[0].card.classes
        form, kind = how["form"], how["boxes"]
        if form == "probabilities":
            raise DataError("--answers probabilities: boxes have classes by names or numbers")
        if columns is not None:
            kind = kind or str(find_columns(sample.columns)._asdict()["kind"])  # type: ignore[union-attr]
            labels = sample.cells(columns.label) if columns.label else []
            texts = list(zip(*map(sample.cells, columns.box), strict=True))
            width = 6
        else:
            if kind is None:
                raise DataError(
                    f"{sample.path}: column {sample.answer_columns[0]!r} does not tell what the "
                    "four numbers of a box are: give --boxes corners (left, upper, right, lower "
                    "edge) or --boxes sides (left, upper, width, height)"
                )
            parts, width = _cut_boxes(sample, len(classes))
            labels = [part[0] for part in parts] if width == 6 else []
            texts = [tuple(part[-4:]) for part in parts]
        numbers = [[*map(float, row)] for row in texts if all(map(_is_number, row))]
        named = form == "names" or (form is None and any(text in classes for text in labels))
        strange = [text for text in dict.fromkeys(labels) if text and not _is_whole(text)]
        if form is None and not named and strange:
            raise DataError(
                f"{sample.path}: boxes have the classes {list_some(strange)}, which the run does "
                f"not know: its classes are {list_some(classes)}; --answers names or numbers says "
                "what is to be written"
            )
        fractions = any(value % 1 for row in numbers for value in row)
        shares = fractions and are_shares(numbers)  # 0 0 1 1 alone stands for no box
        return _Form(kind, shares, named, classes=width == 6)

    def _detect(self, sample: Sample, test: Path, form: _Form, score: float) -> "_Boxes":
        """Return the boxes of each photo, as cells: class, score, and four numbers."""
        if not test.exists():
            raise DataError(f"no such file or folder: {printable(test)}")
        root = unpacked(test) if is_archive(test) else test
        if not root.is_dir():
            raise DataError(f"{test}: expected a folder of photos, or a zip of one")
        ids = list(dict.fromkeys(sample.ids))
        files = find_in_folder(ids, root, test)
        check_whole(sample, test, files)
        job, *others = self.jobs
        boxes: dict[str, list[list[str]]] = {}
        unreadable: dict[str, str] = {}

        def shots() -> Iterator[Shot]:
            for name in ids:
                path, _ = files.samples[name]
                try:
                    yield Shot(path, name, decode.photo(path))
                except DataError as error:
                    unreadable[name] = str(error)

        with terminal.progress_bar(f"looking for boxes in {len(ids):,} photos") as bar:
            for shot, each in detect(job, shots(), score, others):
                height, width = shot.pixels.shape[1:]
                labels = [int(number) for number in each.boxes[:, 5]]
                names = job.card.classes if form.named else range(len(job.card.classes))
                edges = form.write(each.boxes[:, :4], height, width)
                boxes[shot.name] = [
                    [str(names[label]), f"{score:.6f}", *cells]
                    for label, score, cells in zip(
                        labels, each.boxes[:, 4].tolist(), edges, strict=True
                    )
                ]
                bar.move(len(boxes) / len(ids))
        if not boxes:
            raise DataError(f"{test}: none of its {len(ids):,} photos can be read")
        return _Boxes(boxes, unreadable)


class _Boxes(NamedTuple):
    """The boxes of photos, as cells."""

    boxes: dict[str, list[list[str]]]
    unreadable: dict[str, str]


def _join(boxes: Sequence[Sequence[str]] | None, form: _Form) -> str | None:
    """Return all boxes of a photo in a cell; None for a photo that cannot be read."""
    if boxes is None:
        return None
    first = 0 if form.classes else 1
    return " ".join(" ".join(box[first:]) for box in boxes)


def _spread(
    sample: Sample, columns: _Columns, boxes: Mapping[str, Sequence[Sequence[str]]]
) -> Iterator[list[str]]:
    """Yield a row for each box of each photo of a sample; of those that cannot be read its own."""
    listed = any(cell.startswith("[") for cell in sample.cells(columns.box[0]))
    of_ids: dict[str, list[list[str]]] = {}
    for name, row in zip(sample.ids, sample.cut.rows[1:], strict=True):
        of_ids.setdefault(name, []).append(row)
    for name, rows in of_ids.items():
        if name not in boxes:
            yield from rows
            continue
        for label, score, *edges in boxes[name]:
            whole = f"[{', '.join(edges)}]" if listed else " ".join(edges)
            texts = [whole] if len(columns.box) == 1 else edges
            values = dict(zip(columns.box, texts, strict=True))
            values |= {columns.label: label} if columns.label else {}
            values |= {columns.score: score} if columns.score else {}
            row = list(rows[0])
            for column, value in values.items():
                place = sample.columns.index(column)
                row[place] = sample.spell(value, row[place])
            yield row


def _cut_boxes(sample: Sample, classes: int) -> tuple[list[list[str]], int]:
    """Return the boxes in a sample's cells, and of how many texts each is: 6, or 5 without a class.

    Raises:
        DataError: cells are of neither.
    """
    [column] = sample.answer_columns
    cells = [re.split(r"[ ,]+", cell) for cell in sample.cells(column) if cell]
    widths = [width for width in (6, 5) if all(len(cell) % width == 0 for cell in cells)]
    if not widths or (widths[0] == 5 and classes > 1):
        raise DataError(
            f"{sample.path}: column {column!r} has cells such as {' '.join(cells[0])!r}; expected "
            "for each box its class, its score and four numbers, or no class where there is one"
        )
    width = widths[0]
    return [
        cell[start : start + width] for cell in cells for start in range(0, len(cell), width)
    ], width


def _is_whole(text: str) -> bool:
    return _is_number(text) and float(text).is_integer()


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d*\.?\d+(e[-+]?\d+)?", text.casefold()) is not None
