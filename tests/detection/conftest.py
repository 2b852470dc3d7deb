"""The lab's command line in this process."""

import sys

import numpy as np
import pytest
from PIL import Image

from labs.detection import __main__ as program
from labs.detection import baselines
from labs.detection.data import scenes
from labs.detection.localizer.results import LocalizerResults
from labs.detection.results import DetectionResults


@pytest.fixture(scope="session")
def lab(command):
    """Return a function that runs a command of the lab in this process.

    Most tests need neither the report nor the baseline; with full=True nothing is left out.
    """

    def run(*words, full=False, **options):
        with pytest.MonkeyPatch.context() as patch:
            if not full:
                for kind in (DetectionResults, LocalizerResults):
                    patch.setattr(kind, "write_report", _write_nothing)
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


@pytest.fixture(scope="session")
def scene_files(tmp_path_factory):
    """Write scenes as a user has photos; return a function from (split, count) to their table."""
    folder = tmp_path_factory.mktemp("scenes")

    def write(split, count):
        table = folder / f"{split}-{count}.csv"
        if table.exists():
            return table
        pixels, boxes = scenes.load(0, {**dict.fromkeys(scenes.COUNTS, 1), split: count})[split]
        lines = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
        for number, image in enumerate(pixels):
            name = f"{split}-{count}-{number}.png"
            Image.fromarray(image.numpy().transpose(1, 2, 0)).save(folder / name)
            for *corners, label, _ in boxes[number].int().tolist():
                lines.append(",".join(map(str, [name, 128, 128, label, *corners])))
        table.write_text("\n".join(lines) + "\n")
        return table

    return write


@pytest.fixture
def no_ultralytics(monkeypatch):
    """Take the library away, and our modules that have it."""
    ours = "labs.detection.models.ultralytics."
    for name in list(sys.modules):
        if name.startswith(ours):
            monkeypatch.delitem(sys.modules, name)
        elif name.partition(".")[0] == "ultralytics":
            monkeypatch.setitem(sys.modules, name, None)
