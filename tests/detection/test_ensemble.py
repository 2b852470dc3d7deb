"""Detectors that answer together: the folds of a cross-validation hand in, fused."""

import json
import shutil

import pytest
import torch

from labs.detection.job import Detector
from labs.detection.predict import predictions
from labs.detection.predict.fusion import fuse

SMALL = (
    *("--model", "tiny-yolo", "--image-size", 128, "--anchors", 3, "--augment", "none"),
    *("--batch-size", 8, "--ema", "none", "--threads", 1),
)


@pytest.fixture(scope="module")
def folds(lab, scene_files, tmp_path_factory):
    """Return the folder of a cross-validation of two folds."""
    root = tmp_path_factory.mktemp("folds")
    words = ("--data", scene_files("train", 24), "--folds", 2, "--epochs", 1, *SMALL)
    done = lab("crossval", *words, "--run-dir", root, "--name", "cv")
    assert done.code == 0, done.err
    return root / "detection/cv"


@pytest.fixture
def photos(scene_files, tmp_path):
    """Return a folder of two photos."""
    table = scene_files("test", 2)
    for number in range(2):
        (tmp_path / "test").mkdir(exist_ok=True)
        shutil.copy(table.with_name(f"test-2-{number}.png"), tmp_path / f"test/{number}.png")
    return tmp_path / "test"


@pytest.mark.slow
def test_the_folds_of_a_cross_validation_hand_in_what_they_find_together(
    lab, folds, photos, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sample.csv").write_text("image_id,class,conf,xmin,ymin,xmax,ymax\n1,0,1,0,0,1,1\n")
    (photos / "0.png").unlink()
    done = lab("submit", folds, photos, tmp_path / "sample.csv", "--score", 0.001)
    assert done.code == 0, done.err
    assert "the answers are the fusion of those of 2 folds" in done.err
    manifest = json.loads((tmp_path / "submission.json").read_text())
    names = [folds / "members" / f"fold-{number}" for number in (1, 2)]
    assert [each["run"] for each in manifest["members"]] == list(map(str, names))
    [shot] = predictions._photos({"1": photos / "1.png"}, print)
    jobs = [Detector.open_trained(path, "cpu") for path in names]
    [together] = fuse([job.find([shot.pixels])["detections"].numpy() for job in jobs])
    expected = torch.from_numpy(together[together[:, 4] >= 0.001])
    written = (tmp_path / "submission.csv").read_text().split()[1:]
    assert len(written) == len(expected)
    for line, (*corners, score, label) in zip(written, expected.tolist(), strict=True):
        values = [float(cell) for cell in line.split(",")]
        assert values == pytest.approx([1, label, score, *corners], abs=0.01)
