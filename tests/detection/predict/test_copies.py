"""Test-time augmentation of detectors: which copies there are, and boxes that come back."""

import json

import numpy as np
import pytest
import torch

from common.errors import ConfigError
from common.runs import views
from common.runs.folder import open_run
from labs.detection.config import DetectionConfig
from labs.detection.data.load import Card
from labs.detection.models import build
from labs.detection.predict import copies
from labs.detection.predict.copies import Seen
from labs.detection.predict.fusion import fuse, fuse_outputs
from labs.detection.task import detections

SEEN = Seen(128, 8)


def names(spec, *augment, seen=SEEN):
    return [copy.name for copy in copies.parse(spec, augment, seen)]


def find_bright(images):
    """Stand for a network that finds the bright rectangle of each image, uint8 (N, 3, S, S)."""
    found = []
    for image in images:
        y, x = (image[0] > 128).nonzero(as_tuple=True)
        corners = [x.min(), y.min(), x.max() + 1, y.max() + 1]
        found.append(torch.tensor([[*map(float, corners), 0.5, 0]]))
    return {"detections": detections(found)[:, :1]}


@pytest.fixture(scope="module")
def bright():
    images = torch.zeros(2, 3, 128, 128, dtype=torch.uint8)
    images[0, :, 16:48, 40:104] = 255
    images[1, :, 64:120, 8:32] = 255
    return images


@pytest.mark.parametrize(
    ("spec", "off"),
    [("hflip", 0), ("vflip", 0), ("shift:3", 0), ("scale:1.25", 1), ("scale:.5", 1)],
)
def test_boxes_of_a_copy_come_back_to_where_they_are_in_the_image(spec, off, bright):
    plain = find_bright(bright)["detections"]
    for copy in copies.parse(spec, (), SEEN):
        changed = copy.change(bright)
        assert changed.dtype == torch.uint8
        assert copy.name in (spec, *names(spec))
        found = copy.back(find_bright(changed))["detections"]
        torch.testing.assert_close(found, plain, atol=off, rtol=0)
        if spec != "shift:3":
            assert not torch.equal(find_bright(changed)["detections"], plain)


def test_a_box_that_is_shifted_out_comes_back_inside():
    [down, *_] = copies.parse("shift:3", (), SEEN)
    found = down.back({"detections": detections([torch.tensor([[0.0, 1, 9, 128, 0.5, 0]])])})
    assert found["detections"][0, 0, :4].tolist() == [0, 0, 9, 125]


def test_what_is_found_in_image_and_copies_is_fused(bright):
    plain = find_bright(bright)
    half = {"detections": plain["detections"].clone()}
    half["detections"][..., 4] /= 2
    found = fuse_outputs([half, plain])
    expected = fuse([each["detections"].numpy() for each in (half, plain)])
    np.testing.assert_array_equal(found["detections"].numpy(), expected)
    assert found["detections"][0, 0, 4] == pytest.approx(0.375)


def test_copies_suit_what_a_run_was_trained_with():
    of = {
        (): ["scale:1.0625", "scale:0.9375"],
        ("color:0.2", "mosaic"): ["scale:1.0625", "scale:0.9375"],
        ("hflip",): ["hflip"],
        ("hflip:0", "vflip:0.2"): ["vflip"],
        ("affine", "hflip", "hsv"): ["hflip", "scale:1.25", "scale:0.75"],
        ("affine:0.1:0.01",): ["scale:1.0625", "scale:0.9375"],  # a step at the least
    }
    assert {each: copies.suit(each, SEEN) for each in of} == of
    own = Seen(320, None)  # a network that scales images itself
    assert copies.suit(("affine",), own) == ["shift:5"]
    assert copies.suit(("affine", "hflip"), own) == ["hflip"]
    assert names("auto", "hflip", "affine") == [
        "hflip",
        "scale:1.25 (160 pixels)",
        *names("scale:0.75"),
    ]
    assert names("scale:0.83", seen=Seen(640, 32)) == ["scale:0.83 (544 pixels)"]


@pytest.mark.parametrize(
    ("spec", "seen", "said"),
    [
        ("hflp", SEEN, "did you mean hflip"),
        ("crop", SEEN, "expected some of auto, hflip, vflip, shift:1, scale:1.1 with commas"),
        ("scale", SEEN, "expected it as scale:1.1"),
        ("shift:64", SEEN, "from 1 to 63"),
        ("scale:1.02", SEEN, "128 is the nearest to 131; try scale:1.0625"),
        ("scale:0.9", Seen(128, 32), "128 is the nearest to 115; try scale:0.75"),
        ("scale:1.2", Seen(128, None), "scales each image to a size of its own"),
    ],
)
def test_other_copies_are_refused(spec, seen, said):
    with pytest.raises(ConfigError, match=said):
        copies.parse(spec, (), seen)


@pytest.mark.parametrize(
    ("model", "step"), [("tiny-yolo", 8), ("lite0-yolo", 32), ("yolo11n", 32), ("ssdlite", None)]
)
def test_scaled_copies_fit_the_network(model, step):
    classes, anchors = ("a", "b"), ((16.0, 16.0), (30.0, 20.0))
    network = build.build(model, classes, 128, anchors).eval()
    assert build.step(model, network) == step
    if step is None:
        return
    card = Card("", {}, (), "", classes, 128, 3, anchors, 1.0)
    task = build.task(DetectionConfig(model=model), card)
    [larger] = copies.parse("scale:1.2", (), Seen(128, step))
    pixels = larger.change(torch.zeros(1, 3, 128, 128, dtype=torch.uint8))
    assert pixels.shape[2] == {8: 152, 32: 160}[step]
    with torch.no_grad():
        assert task.detect(network, pixels / 255).shape == (1, 100, 6)


@pytest.fixture(scope="module")
def trained(lab, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    words = ("--limit", 30, "--epochs", 1, "--threads", 1, "--run-dir", root, "--name", "run")
    done = lab("train", *words)
    assert done.code == 0, done.err
    return root / "detection/run"


@pytest.mark.slow
def test_evaluate_shows_the_gain_and_leaves_the_run_as_it_was(lab, trained):
    before = lab("evaluate", trained)
    done = lab("evaluate", trained, "--tta", "auto")
    assert done.code == 0, done.err
    assert "The fusion of boxes over the image and 2 changed copies (scale:1.0625 (136" in done.out
    assert "times as long" in done.out
    kept = json.loads(views.file(open_run(trained), "tta").read_text())["measured"]
    low, high = kept["difference_interval"]
    assert low <= kept["difference"] <= high
    gain = kept["with"]["map50_95"] - kept["without"]["map50_95"]
    assert kept["difference"] == pytest.approx(gain)
    assert lab("evaluate", trained).out == before.out


def test_predict_fuses_the_boxes_and_refuses_in_one_sentence(lab, trained, paint, tmp_path):
    photo = paint(tmp_path / "photo.png", 90, size=(90, 120))
    said = {}
    for tta in ((), ("--tta", "hflip")):
        given = ("--format", "json", "--score", 0, "--output", tmp_path / "out", *tta)
        done = lab("predict", trained, photo, *given)
        assert done.code == 0, done.err
        [said[tta]] = json.loads((tmp_path / "out/predictions.json").read_text())
    assert "each answer is the fusion of boxes over the image and 1 changed copy" in done.err
    assert said[()]["boxes"] != said["--tta", "hflip"]["boxes"]
    for command in (("evaluate", trained), ("predict", trained, photo)):
        done = lab(*command, "--tta", "crop")
        assert done.code == 2
        assert "--tta crop: expected some of auto" in done.err
