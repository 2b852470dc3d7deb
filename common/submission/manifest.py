"""What is kept beside a submission: which run made it of which data, and how good that was."""

from pathlib import Path
from typing import Any

from common.files import sha256_of
from common.options.config import read_toml
from common.submission.kind import Rows
from common.submission.runs import Opened, read_scores
from common.submission.sample import Sample


def describe(
    opened: Opened, sample: Sample, rows: Rows, test: Path | None, out: Path
) -> dict[str, Any]:
    """Return the manifest of a submission that has been written.

    Args:
        opened: what answered.
        sample: with its columns.
        rows: that were written.
        test: the test data.
        out: the submission.
    """
    return {
        "file": out.name,
        "sha256": sha256_of(out),
        "rows": len(rows.cells),
        "columns": {"id": sample.id_column, "answers": list(sample.answer_columns)},
        "answers": rows.said,
        "kept": dict(rows.kept),
        "sample": {"file": str(sample.path), "sha256": sha256_of(sample.path)},
        "test": None if test is None else str(test),
        "copies": _list_copies(opened),
        "run": str(opened.run.path),
        "members": [
            {
                "run": str(job.run.path),
                "data": job.card.source,
                "fingerprint": job.card.fingerprint,
                "weights": sha256_of(job.run.best),
            }
            for one in opened.jobs
            for job in one.networks
        ],
        "config": read_toml(opened.run.config),
        "scores": read_scores(opened.run),
    }


def _list_copies(opened: Opened) -> list[str]:
    """Return the names of the changed copies that answered beside the images themselves."""
    networks = [network for job in opened.jobs for network in job.networks]
    every = [copy.name for network in networks for copy in getattr(network, "copies", ())]
    return list(dict.fromkeys(every))
