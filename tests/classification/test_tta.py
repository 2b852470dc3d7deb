"""Test-time augmentation of a run: its gain and cost, and what `predict` says with it."""

import json

import numpy as np
import torch

from common.runs import views
from common.runs.folder import open_run
from labs.classification.job import ClassifyImages


def test_evaluate_shows_the_gain_and_predict_uses_it(lab, train, photos):
    _, path = train("--augment", "hflip")
    before = lab("evaluate", path)
    result = lab("evaluate", path, "--tta", "auto")
    assert result.code == 0, result
    assert "without" in result.out
    assert "1 changed copy (hflip)" in result.out
    assert "times as long" in result.out
    kept = json.loads(views.file(open_run(path), "tta").read_text())["measured"]
    low, high = kept["difference_interval"]
    assert low <= kept["difference"] <= high
    gain = kept["with"]["accuracy"] - kept["without"]["accuracy"]
    np.testing.assert_allclose(kept["difference"], gain)
    assert lab("evaluate", path).out == before.out  # which is as it was

    plain = lab("predict", path, photos, "--format", "csv")
    with_copies = lab("predict", path, photos, "--format", "csv", "--tta", "shift:1")
    assert (plain.code, with_copies.code) == (0, 0)
    assert "4 changed copies (shift:1 down" in with_copies.err
    assert plain.out != with_copies.out


def test_answers_are_the_mean_over_the_copies(train):
    _, path = train()
    job = ClassifyImages.open_trained(path, "cpu")
    images = job.load_splits()["test"].images
    mirrored = [job.answers(each)["outputs"].softmax(1) for each in (images, images.flip(3))]
    job.copies = job.choose_copies("hflip")
    found = job.answers(images)["outputs"].softmax(1)
    torch.testing.assert_close(found, torch.stack(mirrored).mean(0))


def test_wrong_copies_are_refused_in_one_sentence(lab, train):
    _, path = train()
    for command in (["evaluate", path], ["predict", path, path]):
        result = lab(*command, "--tta", "mirror")
        assert result.code == 2
        assert "--tta mirror: expected some of auto" in result.err
