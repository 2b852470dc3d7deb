from types import SimpleNamespace

import numpy as np
import pytest
import torch

from common.runs import doubts
from common.training.compute import Compute
from common.training.sequences import Padded, Ragged
from labs.detection import task
from labs.detection.config import DetectionConfig
from labs.detection.data.load import BoxSet
from labs.detection.inspect import doctor
from labs.detection.job import Detector

NAMES = tuple("0123456789")


@pytest.fixture(scope="module")
def data():
    """Scenes scaled to 64 pixels, which are learned eight times as fast."""
    return Detector.load(DetectionConfig(image_size=64, limit=200))


@pytest.fixture
def job(data, tmp_path, monkeypatch):
    """Build a run of which nothing is trained yet, whose trial is small."""
    monkeypatch.setattr(doctor, "_BATCH", 3)

    def build(**options):
        config = DetectionConfig(**{"image_size": 64, "limit": 200, **options})
        found = Detector(config, Compute("cpu", "32"), data[1])
        found.create(tmp_path, None, "run")
        return found

    return build


@pytest.fixture
def trained(job, data, monkeypatch):
    """Build a finished run whose detector finds all that training labels show, more or less."""
    truth = {name: rows(part) for name, part in data[0].items()}

    def build(shown=0.3, **options):
        found = job(**options)
        best = {"epoch": 2, "train/loss": 2.0, "validation/map50_95": 0.5}
        found.run.write_history([{**best, "epoch": 1, "train/loss": 9.0}, best])
        figures = {"best_epoch": 2, "validation": {"score_threshold": shown}, "baselines": {}}
        found.run.write("metrics", figures)
        monkeypatch.setattr(doubts, "_FEW_UPDATES", 1)  # the two epochs are made up
        found.run.best.touch()
        monkeypatch.setattr(Detector, "load_best", lambda job: None)
        monkeypatch.setattr(Detector, "predict_splits", lambda job, splits, names: {names[0]: {}})
        monkeypatch.setattr(Detector, "decide", lambda job, _: detected(truth["validation"]))
        return found

    return build


def rows(split):
    """Return the boxes of a split, (N, T, 6)."""
    boxes = Padded.of([split.boxes[row] for row in range(len(split))])
    return task.filled(boxes, 6).numpy()


def detected(truth, score=0.8):
    """Return detections of all boxes, a little off, with falling scores."""
    found = np.zeros((len(truth), task.MOST, 6), np.float32)
    found[..., 5] = -1
    found[:, : truth.shape[1], :4] = truth[..., :4] + 0.5
    found[:, : truth.shape[1], 4] = score - 0.01 * np.arange(truth.shape[1])
    found[:, : truth.shape[1], 5] = truth[..., 4]
    return found


def with_boxes(split, change):
    """Return a split with each image's boxes changed."""
    boxes = Ragged.of([change(split.boxes[row].clone()) for row in range(len(split))])
    return BoxSet(split.images, boxes, split.sizes, split.names)


def all_with(splits, change):
    return {name: with_boxes(part, change) for name, part in splits.items()}


def shifted(right, down):
    """Move boxes, in shares of 64 pixels; what leaves comes back on the other side."""

    def change(boxes):
        half = (boxes[:, 2:4] - boxes[:, :2]) / 2
        center = (boxes[:, :2] + half + 64 * torch.tensor([right, down])) % 64
        return torch.cat([center - half, center + half, boxes[:, 4:]], 1)

    return change


# --- runs that are broken in one way, and what the doctor says of the whole of them -------------


def diagnosis(job, splits, steps=0, score=None):
    checks = list(doctor.examine(job, splits, score, steps))
    assert all(check.advice for check in checks if check.verdict != "ok")
    return doctor.conclusion(checks)


def test_a_sound_run_has_nothing_broken(trained, data):
    assert diagnosis(trained(), data[0]).startswith("No check found a problem")


def test_a_run_of_few_updates_is_not_all_right(trained, data, monkeypatch):
    run = trained()
    monkeypatch.setattr(doubts, "_FEW_UPDATES", 10**6)
    [said] = [check for check in doctor.examine(run, data[0], None, 0) if check.name == "result"]
    assert said.verdict == "warning"
    assert "updates only" in said.advice


@pytest.mark.parametrize(
    ("right", "down", "words"),
    [(0.5, 0, "half the image's width"), (0, 0.5, "height"), (0.5, 0.5, "both directions")],
)
def test_labels_that_are_shifted_by_half_the_image(trained, data, right, down, words):
    said = diagnosis(trained(), all_with(data[0], shifted(right, down)))
    assert said.startswith("The likely cause (place of the train boxes)")
    assert words in said


def test_classes_that_are_permuted_in_validation(trained, data):
    def change(boxes):
        boxes[:, 4] = (boxes[:, 4] + 1) % 10
        return boxes

    splits = data[0] | {"validation": with_boxes(data[0]["validation"], change)}
    said = diagnosis(trained(), splits)
    assert said.startswith("The likely cause (classes)")
    assert "are found as" in said


def test_boxes_that_are_tiny(trained, data):
    def change(boxes):
        center = (boxes[:, :2] + boxes[:, 2:4]) / 2
        return torch.cat([center - 1, center + 1, boxes[:, 4:]], 1)

    said = diagnosis(trained(), all_with(data[0], change))
    assert said.startswith("The likely cause (scale): the median box has a side of 2.0 of 64")
    assert "--image-size" in said


def test_a_score_threshold_that_is_too_high(trained, data):
    said = diagnosis(trained(shown=0.95), data[0])
    assert said.startswith("The likely cause (scores)")
    assert "it hides them" in said
    assert diagnosis(trained(), data[0], score=0.95) == said


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1e-7, 30.0])
def test_a_learning_rate_that_is_too_small_or_too_large(job, data, rate):
    said = diagnosis(job(learning_rate=rate), data[0], steps=80)
    assert said.startswith(
        "The likely cause (one batch): a fresh model learns 3 training images only"
    )
    assert "the learning rate is wrong" in said
    assert f"--learning-rate {DetectionConfig.learning_rate:g}" in said


def test_a_batch_that_cannot_be_learned_because_its_labels_contradict_its_images(job, data):
    train = data[0]["train"]
    same = BoxSet(train.images[:1].expand(len(train), -1, -1, -1), *parts(train))
    found = doctor.trial(job(), data[0] | {"train": same}, 40)
    assert found.verdict == "problem"
    assert "labels, loss or model do not go together" in found.advice
    assert "steps, with" not in found.found  # the learning rate is the usual one already


def test_a_run_that_is_not_finished(job, data):
    begun = job(epochs=1, limit=60)
    names = [check.name for check in doctor.examine(begun, data[0], None, 0)]
    assert names[-1] == "learning"
    quiet = SimpleNamespace(epoch=lambda row, best: None, progress=lambda progress: None)
    begun.train(data[0], quiet, print)
    checks = {check.name: check for check in doctor.examine(begun, data[0], None, 0)}
    assert "from which on" in checks["scores"].found
    assert checks["learning"].verdict == "warning"


@pytest.mark.slow
def test_a_sound_model_learns_a_batch_and_its_run_stays_as_it_is(job, data):
    sound = job()
    before = sound.model.state_dict()["head.weight"].clone()
    found = doctor.trial(sound, data[0], 200)
    assert found.verdict == "ok"
    assert "labels, loss and model go together" in found.found
    assert torch.equal(sound.model.state_dict()["head.weight"], before)
    assert not sound.run.best.exists()


def parts(split):
    return split.boxes, split.sizes, split.names


# --- single checks ------------------------------------------------------------------------------


def ragged(*boxes):
    return Ragged.of([torch.tensor(rows, dtype=torch.float32).reshape(-1, 6) for rows in boxes])


def box(label, size=20.0):
    return [10.0, 10.0, 10.0 + size, 10.0 + size, label, 0]


@pytest.mark.parametrize(
    ("train", "validation", "verdict", "words"),
    [
        ([[], []], [[box(0)]], "problem", "none of the 2 training images has a box"),
        ([[box(0), box(2)]], [[box(1)]], "problem", "class numbers without a name: 2"),
        ([[box(0)]], [[box(1)]], "problem", "no training box shows 고양이"),
        ([[box(0)]], [[box(0)]], "warning", "no box shows 고양이"),
        ([[box(0), box(1)], [], []], [[box(0)]], "warning", "67% of which have none"),
        ([[box(0), box(1)]], [[box(0)]], "ok", "2 boxes in 1 training images"),
    ],
)
def test_labels(train, validation, verdict, words):
    found = doctor.labels(ragged(*train), ragged(*validation), ("개", "고양이"))
    assert found.verdict == verdict
    assert words in found.found


@pytest.mark.parametrize(
    ("size", "verdict", "words"),
    [
        (3.0, "problem", "Try --image-size 704"),
        (3.9, "problem", "Try --image-size 544"),
        (20.0, "ok", ""),
        (128.0, "warning", "whole images"),
    ],
)
def test_scale(size, verdict, words):
    found = doctor.scale(ragged([[0, 0, size, size, 0, 0]] * 3), 128, 8)
    assert found.verdict == verdict
    assert words in found.advice


def test_scale_of_coordinates_that_are_shares_of_the_image():
    found = doctor.scale(ragged([[0.1, 0.1, 0.5, 0.9, 0, 0]]), 128, 8)
    assert found.verdict == "problem"
    assert "shares of the image" in found.advice


MISTAKES = {
    "x and y swapped": lambda boxes: boxes[:, [1, 0, 3, 2, 4, 5]],
    "mirrored left to right": lambda boxes: torch.stack(
        [64 - boxes[:, 2], boxes[:, 1], 64 - boxes[:, 0], boxes[:, 3], *boxes[:, 4:].T], 1
    ),
    "mirrored top to bottom": lambda boxes: torch.stack(
        [boxes[:, 0], 64 - boxes[:, 3], boxes[:, 2], 64 - boxes[:, 1], *boxes[:, 4:].T], 1
    ),
    "a corner was taken for the center": lambda boxes: torch.cat(
        [boxes[:, :4] - (boxes[:, 2:4] - boxes[:, :2]).repeat(1, 2) / 2, boxes[:, 4:]], 1
    ),
    "the center was taken for a corner": lambda boxes: torch.cat(
        [boxes[:, :4] + (boxes[:, 2:4] - boxes[:, :2]).repeat(1, 2) / 2, boxes[:, 4:]], 1
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_places_that_a_common_mistake_makes(data, mistake):
    found = doctor.place("train", with_boxes(data[0]["train"], MISTAKES[mistake]))
    assert found.verdict == "problem"
    assert mistake in found.found


def test_places_of_labels_that_belong_to_other_images(data):
    train = data[0]["train"]
    order = [*range(1, len(train)), 0]
    other = BoxSet(train.images, train.boxes.select(order), train.sizes, train.names)
    found = doctor.place("train", other)
    assert found.verdict != "ok"


def test_places_of_right_labels_and_of_none(data):
    assert doctor.place("train", data[0]["train"]).verdict == "ok"
    empty = with_boxes(data[0]["train"], lambda boxes: boxes[:0])
    assert doctor.place("train", empty).verdict == "ok"


@pytest.mark.parametrize(
    ("sizes", "verdict"), [([(20, 20)], "ok"), ([(14, 20)], "ok"), ([(200, 200)], "problem")]
)
def test_anchors(sizes, verdict):
    assert doctor.anchors(ragged([box(0)]), sizes).verdict == verdict


@pytest.mark.parametrize(
    ("losses", "maps", "verdict", "words"),
    [
        ([], [], "warning", "no epoch is finished"),
        ([5.0], [0.1], "warning", "--epochs"),
        ([5.0, 4.99, 4.98], [0.0, 0.0, 0.0], "problem", "it hardly fell"),
        ([5.0, 9.0], [0.0, 0.0], "problem", "smaller one, such as --learning-rate 0.0003"),
        ([5.0, float("nan")], [0.0, 0.0], "problem", "smaller one"),
        ([5.0, 3.0, 1.0], [0.1, 0.2, 0.3], "warning", "Train longer: --epochs 24"),
        ([5.0, 3.0, 1.0], [0.3, 0.2, 0.1], "warning", "gets worse"),
        ([5.0, 3.0, 1.0], [0.1, 0.3, 0.2], "ok", "the best epoch was 2"),
    ],
)
def test_learning(losses, maps, verdict, words):
    history = [
        {"epoch": number, "train/loss": loss, "validation/map50_95": value}
        for number, (loss, value) in enumerate(zip(losses, maps, strict=True), 1)
    ]
    config = DetectionConfig(learning_rate=0.003, epochs=12)
    found = doctor.learning(history, config, "validation/map50_95", "max")
    assert found.verdict == verdict
    assert words in f"{found.found} {found.advice}"


def test_classes_that_are_wrong_without_a_system(data):
    truth = rows(data[0]["train"])
    found = detected(truth)
    used = found[..., 5] >= 0
    found[used, 5] = np.random.default_rng(0).integers(0, 10, used.sum())
    check = doctor.classes(found, truth, NAMES)
    assert check.verdict == "problem"
    assert "only their classes are not" in check.advice


def test_classes_of_which_two_are_swapped(data):
    truth = rows(data[0]["train"])
    found = detected(truth)
    swapped = truth[..., 4].copy()
    swapped[truth[..., 4] == 3], swapped[truth[..., 4] == 8] = 8, 3
    truth[..., 4] = swapped
    check = doctor.classes(found, truth, NAMES)
    assert check.verdict == "problem"
    assert "labelled 3 are found as 8, 8 are found as 3" in check.found


def test_classes_of_boxes_that_are_not_found(data):
    truth = rows(data[0]["train"])
    found = detected(truth)
    found[..., :4] = 0, 0, 1, 1
    assert doctor.classes(found, truth, NAMES).verdict == "warning"
    assert doctor.classes(detected(truth), truth, NAMES).verdict == "ok"


def test_scores_of_nothing_and_of_an_unsure_network(data):
    truth = rows(data[0]["train"])
    nothing = detected(truth)
    nothing[..., 5] = -1
    assert doctor.scores(nothing, truth, 10, 0.25).verdict == "problem"
    unsure = detected(truth, 0.06)
    unsure[..., :4] = 0, 0, 1, 1
    assert doctor.scores(unsure, truth, 10, 0.25).verdict == "warning"
    assert doctor.scores(detected(truth), truth, 10, 0.25).verdict == "ok"


def test_the_first_problem_is_the_likely_cause():
    checks = [
        doctor.Check("a", "ok", "fine"),
        doctor.Check("b", "problem", "broken", "Mend it"),
        doctor.Check("c", "problem", "lost"),
    ]
    assert doctor.conclusion(checks).startswith("The likely cause (b): broken. Mend it. See to")
    assert doctor.conclusion(checks[:1]).startswith("No check found a problem")


def test_the_stride_of_a_model_and_of_one_that_has_none():
    assert doctor.stride(SimpleNamespace(stride=torch.tensor([8.0, 16.0]))) == 8
    assert doctor.stride(SimpleNamespace()) == 8
