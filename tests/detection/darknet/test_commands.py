"""Networks of a `.cfg` by the commands: trained, exported, imported, refused."""

import dataclasses
import json

import pytest
import torch

from labs.detection.darknet import cfg, imported, weights
from labs.detection.darknet.network import Darknet
from labs.detection.job import Detector

OWN = """[net]
width=64
height=64
batch=64

[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky

[convolutional]
batch_normalize=1
filters=16
size=3
stride=2
pad=1
activation=mish

[convolutional]
filters=30
size=1
activation=linear

[yolo]
mask=0,1
anchors=8,12, 16,20
classes=10
num=2
scale_x_y=1.05
iou_loss=ciou
iou_normalizer=0.07
"""
SHORT = ("--limit", 30, "--epochs", 2, "--batch-size", 8)


def refused(result):
    assert result.code == 2
    return result.err


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    path = tmp_path_factory.mktemp("darknet") / "own.cfg"
    path.write_text(OWN)
    return path


@pytest.fixture(scope="module")
def run(lab, own):
    """A finished run of a user's .cfg on scenes."""
    folder = own.parent / "runs"
    lab("train", "--model", own, *SHORT, "--run-dir", folder, "--name", "own", full=True)
    return folder / "detection/own"


def test_a_cfg_trains_and_its_run_needs_the_file_no_more(run, own):
    chosen = json.loads((run / "chosen.json").read_text())["reasons"]
    assert any("64 pixels: as" in reason for reason in chosen)
    assert any("batch of [net]" in reason for reason in chosen)
    assert (run / "report.html").is_file()
    own.rename(own.with_suffix(".away"))
    try:
        job = Detector.open_trained(run)
    finally:
        own.with_suffix(".away").rename(own)
    assert type(job.model) is Darknet
    assert job.card.image_size == 64


def test_a_run_becomes_darknets_files_and_they_a_run_that_says_the_same(lab, run, tmp_path):
    lab("export-darknet", run, "--output", tmp_path / "files")
    files = [tmp_path / "files" / f"own.{ending}" for ending in ("cfg", "weights", "names")]
    out = lab(
        *("import-darknet", *files[:2], "--names", files[2]),
        *("--run-dir", tmp_path, "--name", "back"),
    ).out
    assert "4 layers" in out
    back = tmp_path / "detection/back"
    one, other = Detector.open_trained(run), Detector.open_trained(back)
    photos = [torch.randint(0, 256, (3, 90, 70), dtype=torch.uint8)]
    assert torch.equal(one.find(photos)["detections"], other.find(photos)["detections"])
    assert other.score == 0.25
    assert other.card.classes == one.card.classes
    for words in (("evaluate", back), ("report", back), ("doctor", back)):
        assert "trained elsewhere, and has no data of its own" in refused(lab(*words))
    assert "nothing is known of how good it is" in lab("train", "--resume", back).out


def test_the_files_are_for_the_pixels_that_the_run_was_trained_with(run, tmp_path):
    job = Detector.open_trained(run)
    job.card = dataclasses.replace(job.card, image_size=96)
    [path, *_] = imported.export_run(job, tmp_path)
    found = cfg.parse(path.read_text(), str(path))
    assert (found.size, len(found.layers)) == (96, 4)
    assert cfg.parse(cfg.resize(OWN.replace("width=64\nheight=64\n", ""), 32), "").size == 32


def test_an_imported_run_is_measured_on_ones_own_data(lab, run, scene_files, tmp_path):
    lab("export-darknet", run)
    files = [run / "darknet" / f"own.{ending}" for ending in ("cfg", "weights", "names")]
    lab("import-darknet", *files[:2], "--names", files[2], "--run-dir", tmp_path, "--name", "back")
    data = scene_files("test", 3)
    shown = [
        lab("evaluate", path, "--data", data).out.partition("map50")[2]
        for path in (run, tmp_path / "detection/back")
    ]
    assert shown[0]
    words = ("nms", tmp_path / "detection/back", "--score", 0, "--output", tmp_path / "nms.png")
    lab(*words)
    lab("explain-assignment", run, "--output", tmp_path / "assigned.png")
    lab("export", tmp_path / "detection/back", "--format", "torchscript")


def test_weights_of_other_classes_begin_a_network(lab, own, tmp_path):
    text = OWN.replace("filters=30", "filters=16").replace("classes=10", "classes=3")
    path = tmp_path / "three.weights"
    weights.write(path, Darknet(cfg.parse(text, "three.cfg"), 64))
    words = ("--model", own, "--weights", path, *SHORT, "--run-dir", tmp_path)
    assert "is of 3 classes: 2 of 3 convolutions" in lab("train", *words).err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"--model": "none.cfg"}, "No such file"),
        ({"--model": "darknet-yolov3-tinny"}, "did you mean darknet-yolov3-tiny"),
        ({"--model": "darknet-yolov3-tiny", "--task": "segment"}, "finds boxes alone"),
        ({"--model": "darknet-yolov3-tiny", "--weights": "download"}, "no checksum is known"),
        ({"--model": "darknet-yolov3-tiny", "--weights": "no.weights"}, "no such file"),
        ({"--model": "tiny-yolo", "--weights": "some.weights"}, "goes with the .cfg"),
    ],
)
def test_what_cannot_be_trained_is_refused(lab, tmp_path, options, said):
    words = [word for pair in options.items() for word in pair]
    assert said in refused(lab("train", *words, *SHORT, "--run-dir", tmp_path))


def test_a_cfg_for_other_classes_is_refused_with_the_lines_to_change(lab, tmp_path):
    path = tmp_path / "two.cfg"
    path.write_text(OWN.replace("filters=30", "filters=14").replace("classes=10", "classes=2"))
    err = " ".join(refused(lab("train", "--model", path, *SHORT, "--run-dir", tmp_path)).split())
    assert "it is for 2 classes, and the data has 10" in err
    assert "filters=30 in the [convolutional] of line 22" in err
    assert "classes=10 in the [yolo] of line 27" in err


def test_only_networks_of_a_cfg_become_darknets_files(lab, run, tmp_path):
    lab("train", *SHORT, "--image-size", 64, "--run-dir", tmp_path, "--name", "tiny")
    assert "no network of a .cfg" in refused(lab("export-darknet", tmp_path / "detection/tiny"))


def test_names_must_be_as_many_as_the_classes(lab, run, tmp_path):
    lab("export-darknet", run, "--output", tmp_path)
    names = tmp_path / "few.names"
    names.write_text("one\ntwo\n")
    words = (tmp_path / "own.cfg", tmp_path / "own.weights", "--names", names)
    assert "has 2 names" in refused(lab("import-darknet", *words, "--run-dir", tmp_path))
