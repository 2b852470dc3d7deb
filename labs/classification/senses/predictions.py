"""What a network of several senses says of a competition's rows."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from common.errors import DataError
from common.io.tables import is_table, read_names
from common.submission.images import KEYS, read_chunks
from common.submission.kind import Found
from common.submission.sample import Sample
from common.submission.tables import read_test
from labs.classification.job import ClassifyImages
from labs.classification.predictions import ImageSubmission


class SensesSubmission(ImageSubmission):
    """Answers for the rows of a test table: images, and the columns beside them."""

    cells: Mapping[str, Mapping[str, str]] = {}
    """Of each row, by its id, the cells by the column."""

    def find(self, sample: Sample, test: Path, written: Mapping[str, Any]) -> Found:
        """Return the files of the images; the columns have to be in the same table."""
        config = self.jobs[0].config.of_file(test, **written)
        names = list(config.columns_beside)
        if not (test.is_file() and is_table(test)):
            raise DataError(
                f"{test}: the runs see columns beside images (--with {','.join(names)}); give a "
                "table with the images and these columns"
            )
        there = read_names(test, config.form)
        if lacking := [name for name in names if name not in there]:
            raise DataError(f"{test}: has no column {', '.join(lacking)}, which the runs see")
        found = super().find(sample, test, written)
        rows = read_test(test, sample, names, config.form, KEYS).cells
        self.cells = {name: dict(zip(names, cells, strict=True)) for name, cells in rows.items()}
        return found

    def answer(
        self, job: ClassifyImages, samples: Mapping[str, Any], move: Any
    ) -> tuple[list[str], Tensor]:
        """Return what a run says of rows."""
        networks, done = len(job.networks), 0

        def read(one: ClassifyImages) -> Iterator[tuple[Sequence[str], Tensor]]:
            nonlocal done
            for names, pixels in read_chunks(dict(samples), one.config, one.card, self.say):
                cells = {
                    column: [self.cells.get(name, {}).get(column, "") for name in names]
                    for column in one.config.columns_beside
                }
                yield names, one.inputs(pixels, cells)
                done += len(names)
                move(done / len(samples) / networks)

        return job.answer_chunks(read)
