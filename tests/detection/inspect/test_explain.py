import pytest
import torch
from torchvision.ops import batched_nms, box_iou

from common.errors import DataError
from common.report import plots
from common.training.compute import Compute
from labs.detection.config import DetectionConfig
from labs.detection.inspect import explain
from labs.detection.job import Detector

KOREAN = ("영", "하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟", "아홉")


@pytest.fixture(scope="module")
def data():
    return Detector.load(DetectionConfig(image_size=64, limit=60))


@pytest.fixture(scope="module")
def jobs(data):
    """Return detectors of each kind, with random weights."""
    built = {}

    def build(model):
        if model not in built:
            config = DetectionConfig(model=model, image_size=64, limit=60)
            built[model] = Detector(config, Compute("cpu", "32"), data[1])
        return built[model]

    return build


MODELS = ("tiny-yolo", "faster-rcnn", "ssdlite", "yolo11n", "yolo26n")


@pytest.mark.parametrize("model", MODELS)
def test_every_box_has_its_answers_near_it(jobs, data, model):
    if model.startswith("yolo"):
        pytest.importorskip("ultralytics")
    train = data[0]["train"]
    image, boxes = train[0]
    answers = explain.assignment(jobs(model), image, boxes).answers
    answered, every = {answer.box for answer in answers}, set(range(len(boxes)))
    # No middle of a cell may lie in a thin box, and then no cell of Ultralytics' models answers.
    assert answered <= every if model.startswith("yolo") else answered == every
    assert [answer.box for answer in answers] == sorted(answer.box for answer in answers)
    for answer in answers:
        assert 0 <= answer.fit <= 1
        assert max(answer.row, answer.column) < 64 / answer.stride
        x1, y1, x2, y2 = boxes[answer.box, :4]
        reach = max(x2 - x1, y2 - y1) + 2 * answer.stride
        assert abs((answer.column + 0.5) * answer.stride - (x1 + x2) / 2) < reach
        assert abs((answer.row + 0.5) * answer.stride - (y1 + y2) / 2) < reach


def test_the_first_cell_of_tiny_yolo_has_the_middle_of_the_box(jobs, data):
    job = jobs("tiny-yolo")
    box = torch.tensor([[17.0, 20.0, 29.0, 44.0, 3, 0]])  # middle 23, 32: column 2, row 4
    answers = explain.assignment(job, data[0]["train"].image(0), box).answers
    first = answers[0]
    assert (first.row, first.column, first.stride) == (4, 2, 8)
    cells = {(answer.row, answer.column) for answer in answers}
    assert cells == {(4, 2), (4, 3), (3, 2)}  # and the nearest to its right and above it
    sizes = torch.tensor([[0, 0, *size] for size in job.card.anchors])
    ious = box_iou(torch.tensor([[0.0, 0.0, 12.0, 24.0]]), sizes)[0]
    fits = sorted({answer.fit for answer in answers})
    expected = sorted({iou for iou in ious.tolist() if iou >= 0.5 or iou == max(ious)})
    assert fits == pytest.approx(expected)
    x1, y1, x2, y2 = first.anchor
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((20, 36))


@pytest.mark.parametrize("model", ["faster-rcnn", "ssdlite"])
def test_torchvision_answers_are_those_of_its_matcher(jobs, data, model):
    image, boxes = data[0]["train"][1]
    for answer in explain.assignment(jobs(model), image, boxes).answers:
        overlap = box_iou(boxes[answer.box, None, :4], torch.tensor([answer.anchor]))
        assert answer.fit == pytest.approx(overlap.item(), abs=1e-5)
        center = (answer.anchor[0] + answer.anchor[2]) / 2
        place = answer.column if model == "faster-rcnn" else answer.column + 0.5
        assert center == pytest.approx(place * answer.stride, abs=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_pictures_and_tables_of_the_assignment(jobs, data, model, tmp_path):
    if model.startswith("yolo"):
        pytest.importorskip("ultralytics")
    figure, (title, columns, rows) = explain.draw_assignment(jobs(model), data[0]["train"], 0)
    plots.save(figure, tmp_path / "picture.png")
    assert model in title
    assert rows
    assert all(len(row) == len(columns) for row in rows)
    every = range(1, len(data[0]["train"].boxes[0]) + 1)
    assert {row[0] for row in rows} == set(map(str, every))  # also those that nobody answers for


def test_the_assignment_needs_no_run():
    job, splits = explain.without_run()
    _, (title, _, rows) = explain.draw_assignment(job, splits["train"], 0)
    assert title == "tiny-yolo: who answers for the boxes of train/0"
    assert len(rows) > 6


def test_images_without_boxes_and_images_that_are_not_there(jobs, data):
    train = data[0]["train"]
    with pytest.raises(
        DataError, match=f"--image 999: expected a number from 0 to {len(train) - 1}"
    ):
        explain.draw_assignment(jobs("tiny-yolo"), train, 999)
    bare = type(train)(train.images, train.boxes.select([0] * len(train)), train.sizes, train.names)
    bare.boxes.values[:, 5] = 1
    with pytest.raises(DataError, match="has no boxes"):
        explain.draw_assignment(jobs("tiny-yolo"), bare, 0)


# --- non-maximum suppression --------------------------------------------------------------------


def test_suppression_keeps_what_torchvision_keeps():
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(80, 2, generator=generator) * 40
    boxes = torch.cat([corners, corners + 8 + 8 * torch.rand(80, 2, generator=generator)], 1)
    scores = torch.rand(80, 1, generator=generator).sort(0, descending=True).values
    labels = torch.randint(3, (80, 1), generator=generator).float()
    rows = torch.cat([boxes, scores, labels], 1)
    steps = explain.suppression(rows, 0.4)
    expected = batched_nms(boxes, scores[:, 0], labels[:, 0], 0.4)
    assert [step.kept for step in steps] == expected.tolist()
    touched = sorted([step.kept for step in steps] + [row for s in steps for row in s.removed])
    assert touched == list(range(80))
    for step in steps:
        assert all(iou > 0.4 for iou in step.ious)
        assert all(rows[row, 5] == rows[step.kept, 5] for row in step.removed)


@pytest.mark.parametrize("model", ["tiny-yolo", "ssdlite"])
def test_candidates_and_nms_are_the_detections_of_the_model(jobs, data, model):
    job, image = jobs(model), data[0]["train"].image(0)
    job.model.eval()
    with torch.no_grad():
        detections = job.detection.detect(job.model, image[None] / 255)[0]
    rows = explain.candidates(job, image, detections[20, 4].item())
    threshold = {"tiny-yolo": 0.5, "ssdlite": 0.55}[model]
    kept = [step.kept for step in explain.suppression(rows, threshold)][:20]
    columns = [0, 1, 2, 3, 4] if model == "tiny-yolo" else [4]  # ssdlite gives equal scores
    torch.testing.assert_close(rows[kept][:, columns], detections[:20, columns])


def test_candidates_of_ultralytics_models_count_for_each_class(jobs, data):
    pytest.importorskip("ultralytics")
    rows = explain.candidates(jobs("yolo11n"), data[0]["train"].image(0), 0.0)
    assert len(rows) == 84 * 10  # points of grids of 8, 4 and 2 cells a side, and classes
    assert rows[:, 4].diff().max() <= 0
    assert rows[:, 5].int().bincount().tolist() == [84] * 10


def test_the_nms_of_torchvision_models_is_as_it_was_afterwards(jobs, data):
    for model in ("faster-rcnn", "ssdlite"):
        last = getattr(jobs(model).model, "roi_heads", jobs(model).model)
        before = last.nms_thresh, last.detections_per_img
        rows = explain.candidates(jobs(model), data[0]["train"].image(0), 0.0)
        assert len(rows) > 100
        assert (last.nms_thresh, last.detections_per_img) == before


def test_a_model_that_needs_no_nms_says_so(jobs, data):
    pytest.importorskip("ultralytics")
    with pytest.raises(DataError, match="does without NMS"):
        explain.candidates(jobs("yolo26n"), data[0]["train"].image(0), 0.1)


def test_pictures_and_tables_of_nms_with_korean_names(jobs, data, tmp_path, monkeypatch):
    job, image = jobs("tiny-yolo"), data[0]["train"]
    monkeypatch.setattr(job, "card", _renamed(job.card))
    score = explain.candidates(job, image.image(0), 0.0)[60, 4].item()
    figure, (title, columns, rows) = explain.draw_nms(job, image, 0, 0.5, score)
    plots.save(figure, tmp_path / "picture.png")  # a letter without a glyph would warn
    assert "61 candidates" in title
    assert rows[0][1] in KOREAN
    _, (title, _, all_rows) = explain.draw_nms(job, image, 0, 0.0, score)
    assert sum(int(row[3]) for row in all_rows) + len(all_rows) == 61
    assert "listed" not in title
    _, (title, _, some) = explain.draw_nms(job, image, 0, 1.0, score)
    assert "61 kept, the first 30 listed" in title
    assert len(some) == 30
    assert all(len(row) == len(columns) for row in rows)


def test_nms_of_an_image_in_which_nothing_is_found(jobs, data):
    with pytest.raises(DataError, match="try a lower --score"):
        explain.draw_nms(jobs("tiny-yolo"), data[0]["train"], 0, 0.5, 0.999)


def _renamed(card):
    from dataclasses import replace

    return replace(card, classes=KOREAN)
