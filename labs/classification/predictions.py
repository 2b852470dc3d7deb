"""What a trained run says of a user's images, and of a competition's."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from common.errors import DataError
from common.images.load import read_rows
from common.io.tables import TableForm, is_table, read_names
from common.options import terminal
from common.submission.answers import Classes, Labels, Numbers, Said
from common.submission.images import KEYS, find_images, read_chunks
from common.submission.kind import Found, RowByRow
from common.submission.sample import Sample
from common.submission.tables import read_test
from common.training.task import probabilities
from labs.classification.export.guesses import Prediction, Told
from labs.classification.job import ClassifyImages
from labs.classification.label_columns import marginals


def predict(
    job: ClassifyImages,
    paths: Sequence[Path],
    top: int,
    say: Callable[[str], None],
    **written: Any,
) -> list[Prediction]:
    """Predict files, the images in folders, or those of one table; name so many classes of each.

    `say` is called with a line for each unreadable image. The images of a table lie in its own
    folder, unless `written`, values of the config, has another one.

    Raises:
        DataError: a path is missing, or no image can be read.
    """
    say = terminal.once(say)
    beside: dict[str, list[str]] = {}

    def read(one: ClassifyImages) -> Iterator[tuple[Sequence[str], Tensor]]:
        config = one.config.of_file(paths[0], **{"image_dir": None, **written})
        for names, pixels, cells in read_rows(config, one.card, paths, say):
            for column, some in cells.items():
                beside.setdefault(column, []).extend(some)
            yield names, one.inputs(pixels, cells)

    names, outputs = job.answer_chunks(read)
    networks: Sequence[Any] = job.networks
    for network in networks:
        network.say_unknown(beside, say)
    return _describe(job, names, outputs, top)


def _describe(
    job: ClassifyImages, names: Sequence[str], outputs: Tensor, top: int
) -> list[Prediction]:
    """Return what outputs for images mean."""
    config, card = job.config, job.card
    thresholds = job.thresholds.tolist() if config.several else ()
    told = Told(config.kind, card.classes, card.labels, thresholds)
    if config.numeric:
        return told.describe(names, outputs.numpy(), top)
    return told.describe(names, probabilities(outputs, several=config.several), top)


class ImageSubmission(RowByRow[ClassifyImages]):
    """Answers for test images, and the columns beside them where the runs see some."""

    _cells: Mapping[str, Mapping[str, str]] = {}
    """Of each row, by its id, the cells by the column."""

    def find(self, sample: Sample, test: Path, written: Mapping[str, Any]) -> Found:
        """Return the files of the images; those of a table lie in its own folder."""
        config = self.jobs[0].config.of_file(test, **{"image_dir": None, **written})
        networks = [network for job in self.jobs for network in job.networks]
        columns = {name: None for each in networks for name in each.config.columns_beside}
        if columns:
            self._cells = self._read_cells(sample, test, list(columns), config.form)
        return find_images(sample, test, config, self.say)

    def _read_cells(
        self, sample: Sample, test: Path, columns: Sequence[str], form: TableForm
    ) -> dict[str, dict[str, str]]:
        """Return the cells of rows, which have to be in the table of the images.

        Raises:
            DataError: TEST is no table, or lacks a column.
        """
        asked = f"the run sees columns beside images (--with {','.join(columns)})"
        if not (test.is_file() and is_table(test)):
            raise DataError(f"{test}: {asked}; give a table with the images and these columns")
        there = read_names(test, form)
        if lacking := [name for name in columns if name not in there]:
            raise DataError(f"{test}: {asked}, and it has no column {', '.join(lacking)}")
        rows = read_test(test, sample, columns, form, KEYS).cells
        return {name: dict(zip(columns, cells, strict=True)) for name, cells in rows.items()}

    def answer(
        self, job: ClassifyImages, samples: Mapping[str, Any], move: Callable[[float], None]
    ) -> tuple[list[str], Tensor]:
        """Return what a run says of images."""
        networks, done = len(job.networks), 0

        def read(one: ClassifyImages) -> Iterator[tuple[Sequence[str], Tensor]]:
            nonlocal done
            for names, pixels in read_chunks(dict(samples), one.config, one.card, self.say):
                cells = {
                    column: [self._cells.get(name, {}).get(column, "") for name in names]
                    for column in one.config.columns_beside
                }
                yield names, one.inputs(pixels, cells)
                done += len(names)
                move(done / len(samples) / networks)

        return job.answer_chunks(read)

    def interpret(self, job: ClassifyImages, outputs: Tensor) -> Said:
        """Return what outputs mean: classes, labels, or numbers."""
        if job.config.numeric:
            return Numbers(outputs.numpy())
        names = job.card.classes
        if job.config.several:
            return Labels(names, probabilities(outputs, several=True), job.thresholds)
        shares, known = probabilities(outputs), job.card.labels
        parts = marginals(shares, known) if known else {}
        return Classes(
            names, shares, {name: Classes(tuple(known[name]), each) for name, each in parts.items()}
        )
