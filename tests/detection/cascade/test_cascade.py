"""A cascade on squares with bars: stages, windows, curves, and the command from end to end."""

import json

import numpy as np
import pytest
import torch

from common.errors import DataError
from common.training.sequences import Ragged
from labs.detection.cascade import features, roc, train, windows
from labs.detection.cascade.roc import Curve, Found
from labs.detection.cascade.windows import Picture
from labs.detection.data.load import BoxSet


def bars(number, seed):
    """Return images of noise with two bright frames each, whose boxes are 14 to 24 pixels wide."""
    generator = np.random.default_rng(seed)
    images = generator.integers(60, 140, (number, 3, 64, 64)).astype(np.uint8)
    boxes = []
    for image in images:
        rows = []
        for left in (2, 34):
            side = int(generator.integers(14, 25))
            x, y = left + int(generator.integers(4)), int(generator.integers(2, 38))
            image[:, y : y + side, x : x + side] = 30
            image[:, y + 3 : y + side - 3, x + 3 : x + side - 3] = 240
            rows.append([x, y, x + side, y + side, 0, 0])
        boxes.append(torch.tensor(rows, dtype=torch.float32))
    sizes = torch.full((number, 2), 64)
    names = [str(row) for row in range(number)]
    return BoxSet(torch.from_numpy(images), Ragged.of(boxes), sizes, names)


@pytest.fixture(scope="module")
def trained():
    """Return pictures of three splits, and the cascade with its validation pictures' lines."""
    splits = {
        name: bars(count, seed)
        for seed, (name, count) in enumerate({"train": 16, "validation": 10, "test": 10}.items())
    }
    sides = windows.span(splits["train"])
    pictures = {
        name: [windows.picture(split, row, sides) for row in range(len(split))]
        for name, split in splits.items()
    }
    pool = features.all_features()[::150]
    lines = []
    found = train.train(
        pictures["train"],
        pictures["validation"],
        pool,
        sides,
        np.random.default_rng(0),
        lines.append,
    )
    return pictures, found, lines


def test_each_stage_passes_a_part_of_what_reaches_it(trained):
    pictures, found, lines = trained
    assert list(found.lines) == lines
    assert 1 <= len(found.stages) <= len(train.LIMITS)
    level = pictures["test"][0].levels[0]
    sets = [
        {tuple(place) for place in found.search(level, least)[0].tolist()}
        for least in range(len(found.stages) + 1)
    ]
    assert len(sets[0]) == len(level.places)
    assert all(later <= earlier for earlier, later in zip(sets, sets[1:], strict=False))
    rates = [(line.all_detection, line.all_false) for line in lines]
    assert rates == sorted(rates, reverse=True)


def test_a_stage_lets_nearly_all_objects_of_validation_pass(trained):
    pictures, found, lines = trained
    assert min(line.detection for line in lines) >= train.PASS - 0.01
    held = windows.objects(pictures["validation"], None)
    assert (found.passes(held) == len(found.stages)).mean() == pytest.approx(
        lines[-1].all_detection
    )


def test_windows_are_judged_alike_in_an_image_and_cut_out_of_it(trained):
    pictures, found, _ = trained
    level = pictures["test"][1].levels[1]
    places, score = found.search(level, 0)
    passed = found.passes(level.windows(places))
    assert (np.floor(score) == passed).mean() > 0.99  # rounding may tip a window at a threshold


def test_it_finds_plain_objects_with_few_mistakes(trained):
    pictures, found, _ = trained
    mine = [roc.detect(found, each) for each in pictures["test"]]
    curve = roc.curve(roc.match(pictures["test"], mine))
    assert roc.rate_at(curve, 1) >= 0.5


def test_a_cascade_that_was_written_finds_the_same(trained):
    pictures, found, _ = trained
    again = train.Cascade.from_dict(json.loads(json.dumps(found.as_dict())))
    for one, other in zip(
        roc.detect(found, pictures["test"][0]), roc.detect(again, pictures["test"][0]), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_the_same_seed_trains_the_same_cascade(trained):
    pictures, found, _ = trained
    pool = features.all_features()[::150]
    again = train.train(
        pictures["train"][:16],
        pictures["validation"],
        pool,
        found.sides,
        np.random.default_rng(0),
        lambda line: None,
    )
    assert again.as_dict() == found.as_dict()


def plain(*squares):
    """Return an image with objects, which is not looked at."""
    return Picture(np.zeros((64, 64), np.uint8), np.array(squares, float), np.zeros((0, 4)), ())


def test_an_object_is_found_once_and_the_surest_first():
    picture = plain([0, 0, 20, 20], [30, 30, 50, 50])
    said = np.array([[1, 0, 21, 20], [0, 2, 20, 22], [31, 30, 51, 50], [0, 40, 20, 60]], float)
    found = Found(said, np.array([0.9, 0.8, 0.7, 0.6]))
    matched = roc.match([picture], [found])
    assert matched.right.tolist() == [True, False, True, False]
    curve = roc.curve(matched)
    assert curve.false.tolist() == [0, 1, 1, 2]
    assert curve.rate.tolist() == [0.5, 0.5, 1, 1]
    assert [roc.rate_at(curve, false) for false in (0, 0.5, 1, 9)] == [0.5, 0.5, 1, 1]


def test_a_crowd_costs_nothing():
    picture = plain([0, 0, 20, 20])
    crowd = Picture(picture.grey, picture.squares, np.array([[30.0, 30, 50, 50]]), ())
    said = Found(np.array([[30.0, 30, 50, 50]]), np.array([0.9]))
    assert roc.match([crowd], [said]).right.tolist() == []
    assert roc.match([picture], [said]).right.tolist() == [False]


def test_boxes_become_squares_without_classes():
    rows = np.array([[10, 0, 20, 40, 0.9, 3], [11, 0, 21, 40, 0.8, 1], [0, 0, 0, 0, 0, -1]])
    squares, scores = roc.of_boxes(rows)
    assert scores.tolist() == [0.9]  # the other lies on it
    side = windows.MARGIN * 40
    np.testing.assert_allclose(
        squares, [[15 - side / 2, 20 - side / 2, 15 + side / 2, 20 + side / 2]]
    )


def test_nothing_found_has_a_rate_of_0_at_any_number():
    assert roc.rate_at(Curve(np.zeros(0), np.zeros(0)), 10) == 0


def test_the_command_trains_measures_reports_and_goes_on(lab, tmp_path):
    words = ("--images", "20", "--features", "40", "--run-dir", tmp_path, "--name", "첫째")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "LIMITS", (2, 3))
        patch.setattr(roc, "_RESAMPLES", 20)
        patch.setattr(
            "labs.detection.data.scenes.COUNTS", {"train": 24, "validation": 6, "test": 6}
        )
        result = lab("cascade", *words)
        assert result.code == 0, result
        assert "stages and" in result.out
        run = tmp_path / "detection/첫째"
        figures = json.loads((run / "metrics.json").read_text())
        low, high = figures["test"]["detection_rate_interval"]
        assert 0 <= low <= high <= 1
        assert len(figures["stages"]) == 2
        assert "Stage by stage" in (run / "report.html").read_text("utf-8")
        assert "epochs" not in (run / "config.toml").read_text("utf-8")
        before = (run / "cascade.json").read_bytes()
        (run / "metrics.json").unlink()
        again = lab("cascade", "--resume", run)
        assert again.code == 0, again
        assert (run / "cascade.json").read_bytes() == before


def test_too_few_objects_are_said_before_a_folder_is_made(lab, scene_files, tmp_path):
    words = ("--data", scene_files("train", 12), "--image-size", "128", "--run-dir", tmp_path)
    result = lab("cascade", *words)
    assert result.code == 2
    assert "a cascade needs at least 10 of each" in result.err
    assert not (tmp_path / "detection").exists()


def test_objects_that_fill_their_images_are_refused():
    images = torch.randint(0, 256, (12, 3, 64, 64), dtype=torch.uint8)
    boxes = Ragged.of(torch.tensor([[0.0, 0, 64, 64, 0, 0]]) for _ in images)
    split = BoxSet(images, boxes, torch.full((12, 2), 64), [""] * 12)
    sides = windows.span(split)
    pictures = [windows.picture(split, row, sides) for row in range(12)]
    pool = features.all_features()[::2000]
    with pytest.raises(DataError, match="the boxes fill the images"):
        train.train(pictures, pictures, pool, sides, np.random.default_rng(0), print)


def test_what_is_not_there_beside_it_is_said_before_it_trains(lab, tmp_path):
    result = lab("cascade", "--beside", tmp_path / "none", "--run-dir", tmp_path)
    assert result.code == 2
    assert not (tmp_path / "detection").exists()


def test_windows_on_each_other_become_their_mean():
    squares = np.array([[0, 0, 20, 20], [2, 0, 22, 20], [60, 60, 80, 80]], float)
    merged = roc.merge(squares, np.ones(3))
    np.testing.assert_allclose(merged, [[1, 0, 21, 20], [1, 0, 21, 20], [60, 60, 80, 80]])
    assert roc.merge(np.zeros((0, 4)), np.zeros(0)).shape == (0, 4)


def test_a_run_of_another_split_is_not_drawn_beside_it(lab, tmp_path):
    words = ("--limit", "24", "--epochs", "1", "--image-size", "32", "--threads", "1")
    made = lab("train", *words, "--split-seed", "1", "--run-dir", tmp_path, "--name", "other")
    assert made.code == 0, made
    other = tmp_path / "detection/other"
    result = lab("cascade", "--beside", other, "--run-dir", tmp_path)
    assert result.code == 2
    assert "may have seen these test images" in result.err
