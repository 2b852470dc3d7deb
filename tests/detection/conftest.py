"""The lab's command line in this process."""

import sys

import numpy as np
import pytest

from labs.detection import __main__ as program
from labs.detection import baselines
from labs.detection.results import DetectionResults


@pytest.fixture(scope="session")
def lab(command):
    """Return a function that runs a command of the lab in this process.

    Most tests need neither the report nor the baseline; with full=True nothing is left out.
    """

    def run(*words, full=False, **options):
        with pytest.MonkeyPatch.context() as patch:
            if not full:
                patch.setattr(DetectionResults, "write_report", _write_nothing)
                patch.setattr(baselines, "predictions", _nothing)
            return command(program.lab, *words, **options)

    return run


def _write_nothing(results, *_):
    results.job.run.report.touch()


def _nothing(splits, classes):
    """Return a baseline that finds nothing."""
    empty = np.tile(np.array([0, 0, 0, 0, 0, -1], np.float32), (1, 100, 1))
    found = {name: empty.repeat(len(splits[name]), 0) for name in ("validation", "test")}
    return {"connected components + nearest neighbor": found}


@pytest.fixture
def no_ultralytics(monkeypatch):
    """Take the library away, and our modules that have it."""
    ours = "labs.detection.models.ultralytics."
    for name in list(sys.modules):
        if name.startswith(ours):
            monkeypatch.delitem(sys.modules, name)
        elif name.partition(".")[0] == "ultralytics":
            monkeypatch.setitem(sys.modules, name, None)
