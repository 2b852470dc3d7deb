"""Ultralytics' models on our loop: built, trained and read as the library itself would."""

import contextlib
import copy
import sys

import pytest
import torch
from torch import nn

from common import training
from common.errors import ConfigError, RunError
from common.training import When, optim
from common.training.batches import Batches
from common.training.checkpoint import Checkpoints
from common.training.sequences import Padded, Ragged
from labs.detection import names
from labs.detection.config import DetectionConfig
from labs.detection.data import augment
from labs.detection.data.load import BoxSet
from labs.detection.models import build as detectors
from labs.detection.models import weights
from labs.detection.task import MOST

networks = pytest.importorskip("labs.detection.models.ultralytics.build")
decode = pytest.importorskip("labs.detection.models.ultralytics.decode").decode
UltralyticsTask = pytest.importorskip("labs.detection.models.ultralytics.task").UltralyticsTask

SMALLEST = [
    *("yolo11n", "yolo12n", "yolo26n", "yolo26n-p2", "yolo26n-p6", "yolov10n", "yolov3-tiny"),
    *("yolov5n", "yolov5n-p6", "yolov6n", "yolov8n", "yolov8n-ghost", "yolov8n-ghost-p2"),
    *("yolov8n-ghost-p6", "yolov8n-p2", "yolov8n-p6", "yolov9t"),
]
BOXES = Padded.of(
    [
        torch.tensor([[10.0, 12, 90, 60, 1, 0], [3, 4, 30, 33, 0, 0]]),
        torch.zeros(0, 6),
        torch.tensor([[40.0, 20, 80, 100, 2, 0]]),
    ]
)
CLASSES = ("하나", "둘", "셋")


def images(count=3, size=128):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def when(epoch=0):
    return When(epoch, 0, torch.Generator())


def build(name, seed=0, size=128):
    torch.manual_seed(seed)
    return networks.build(name, CLASSES, size)


@pytest.fixture(scope="module")
def yolo11():
    return build("yolo11n")


@pytest.fixture(scope="module")
def yolo26():
    return build("yolo26n")


def library_batch(boxes, size):
    """Return boxes as the library's data sets give them."""
    rows = [
        torch.cat([torch.full((int(n), 1), i), values[: int(n)]], 1)
        for i, (values, n) in enumerate(zip(boxes.values, boxes.lengths, strict=True))
    ]
    rows = torch.cat(rows)
    x1, y1, x2, y2 = (rows[:, 1:5] / size).T
    centers = torch.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], 1)
    return {"batch_idx": rows[:, 0], "cls": rows[:, 5:6], "bboxes": centers}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_each_family_trains_and_detects(name):
    model, task = build(name), UltralyticsTask(3, 2, 10)
    parts = task.loss(model.train(), (images(), BOXES), when())
    assert set(parts) == {"box", "class", "distance"} == set(task.weights((images(), BOXES)))
    sum(parts.values()).backward()
    untrained = [key for key, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not untrained
    with torch.inference_mode():
        found = task.detect(model.eval(), images())
    assert found.shape == (3, MOST, 6)
    assert found[..., :4].min() >= 0
    assert found[..., :4].max() <= 128
    assert (found[:, :-1, 4] >= found[:, 1:, 4]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", [each for each in names.ULTRALYTICS if each not in SMALLEST])
def test_every_other_model_is_built_and_detects(name):
    with torch.inference_mode():
        found = UltralyticsTask(3, 2, 10).detect(build(name).eval(), images(1))
    assert found.isfinite().all()


def test_the_seed_names_the_weights(yolo11):
    again, other = build("yolo11n").state_dict(), build("yolo11n", seed=1).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in yolo11.state_dict().items())
    assert not torch.equal(again["model.0.conv.weight"], other["model.0.conv.weight"])


@pytest.mark.parametrize(
    ("name", "epoch", "factors"), [("yolo11n", 0, 1), ("yolo26n", 0, 2), ("yolo26n", 7, 2)]
)
def test_the_loss_is_the_library_s_own(name, epoch, factors):
    model = build(name).train()
    ours = UltralyticsTask(3, 2, 8).loss(model, (images(), BOXES), when(epoch))
    model.args = copy.copy(model.args)
    model.criterion = model.init_criterion()
    for _ in range(epoch):
        model.criterion.update()
    total, _ = model.loss({"img": images(), **library_batch(BOXES, 128)})
    torch.testing.assert_close(torch.stack(list(ours.values())) * 3, total)
    assert ours["box"] > 0


def test_heads_change_their_weights_over_the_epochs(yolo26):
    task = UltralyticsTask(3, 2, 8)
    losses = [
        sum(task.loss(yolo26.train(), (images(), BOXES), when(epoch)).values()).item()
        for epoch in (0, 7, 0)
    ]
    assert losses[0] != losses[1]
    assert losses[0] == losses[2]


def test_a_batch_without_boxes_and_a_crowd_are_backgrounds(yolo11):
    task, model = UltralyticsTask(3, 2, 8), yolo11.train()
    empty = Padded.of([torch.zeros(0, 6)] * 3)
    crowd = Padded.of([torch.tensor([[10.0, 12, 90, 60, 1, 1]]), *[torch.zeros(0, 6)] * 2])
    losses = [task.loss(model, (images(), boxes), when()) for boxes in (empty, crowd)]
    assert losses[0]["box"] == losses[0]["distance"] == 0
    assert losses[0]["class"] > 0
    assert losses[0] == losses[1]
    sum(losses[0].values()).backward()


def test_a_small_float_changes_the_loss_little(yolo11):
    task = UltralyticsTask(3, 2, 8)
    exact = task.loss(yolo11.train(), (images(), BOXES), when())
    with torch.autocast("cpu", torch.bfloat16):
        rough = task.loss(yolo11.train(), (images(), BOXES), when())
    for name, value in exact.items():
        assert rough[name].dtype == torch.float32
        assert rough[name].item() == pytest.approx(value.item(), rel=0.05)


def spread(model):
    """Let the scores of a new model differ, so that what is surest is not left to rounding."""
    model = copy.deepcopy(model).eval()
    torch.manual_seed(3)
    for part in model.model[-1].modules():
        if isinstance(part, nn.Conv2d) and part.bias is not None:
            part.weight.data.normal_(0, 0.5)
    return model


def test_detections_are_those_of_the_library_s_validation(yolo11):
    from ultralytics.utils.nms import non_max_suppression

    model, task = spread(yolo11), UltralyticsTask(3, 2, 8)
    with torch.inference_mode():
        ours = task.detect(model, images())
        theirs = non_max_suppression(
            model(images()), 0.001, 0.7, multi_label=True, max_det=MOST, max_time_img=100
        )
        for rows in theirs:
            rows[:, :4].clamp_(0, 128)
    for mine, rows in zip(ours, theirs, strict=True):
        assert len(rows) == (mine[:, 5] >= 0).sum()
        torch.testing.assert_close(mine[: len(rows)], rows, rtol=1e-4, atol=1e-3)


def test_an_end_to_end_head_gives_its_own_detections(yolo26):
    model, task = spread(yolo26), UltralyticsTask(3, 2, 8)
    with torch.inference_mode():
        ours, theirs = task.detect(model, images()), model(images())[0][:, :MOST].clone()
        theirs[..., :4].clamp_(0, 128)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


@pytest.mark.slow
def test_boxes_stay_exact_where_the_network_computes_in_small_floats(yolo11):
    model = spread(yolo11)
    with torch.inference_mode():
        boxes, _ = decode(model, images(1, 640))
        with torch.autocast("cpu", torch.bfloat16):
            rough, scores = decode(model, images(1, 640))
    assert (rough.dtype, scores.dtype) == (torch.float32, torch.float32)
    points = (boxes[..., :2] + boxes[..., 2:]) / 2
    rough_points = (rough[..., :2] + rough[..., 2:]) / 2
    assert (points - rough_points).abs().median() < 1  # bfloat16 steps by 4 pixels from 512 on


def test_training_goes_on_after_detection_at_another_size(yolo11):
    task, model = UltralyticsTask(3, 2, 8), copy.deepcopy(yolo11)
    with torch.inference_mode():
        task.detect(model.eval(), images(1, 64))
        task.detect(model, images(1, 96))
    copy.deepcopy(model)
    scores = decode(model, images(1))[1]
    scores.sum().backward()
    sum(task.loss(model.train(), (images(), BOXES), when()).values()).backward()


def test_image_sizes_are_checked_against_the_model():
    with pytest.raises(ConfigError, match=r"--image-size 96: yolov5n-p6 needs a multiple of 64"):
        build("yolov5n-p6", size=96)


def test_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match="does not describe it"):
        build("yolo99n")


def split(count=6, size=64):
    """Make squares of two colors on noise."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 80, (count, 3, size, size), dtype=torch.uint8, generator=generator)
    boxes = []
    for number in range(count):
        x, y = torch.randint(0, size - 24, (2,), generator=generator).tolist()
        label = number % 2
        pixels[number, label, y : y + 20, x : x + 20] = 255
        boxes.append(torch.tensor([[x, y, x + 20.0, y + 20, label, 0]]))
    sizes = torch.full((count, 2), size)
    return BoxSet(pixels, Ragged.of(boxes), sizes, [str(number) for number in range(count)])


class Interrupted(UltralyticsTask):
    """Breaks off at an update."""

    at = None

    def loss(self, model, batch, when):
        if when.step == self.at:
            raise KeyboardInterrupt
        return super().loss(model, batch, when)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["yolo26n"])
def test_resume_is_bitwise(tmp_path, name):
    config = DetectionConfig(augment=("mosaic", "mixup:0.5"), epochs=2, close_mosaic=1)

    def train(folder, at=None):
        task = Interrupted(2, 1, config.epochs)
        task.at = at
        model = build(name, size=64)
        before = set(model.state_dict())
        data = detectors.training_set(split(), config)
        batches = Batches(data, 3, training=True, prepare=augment.pipeline(config))
        training.fit(
            model,
            task,
            batches,
            Batches(split(), 6, prepare=augment.pipeline(config)),
            optim.build("adamw", model, 1e-3),
            max_epochs=config.epochs,
            average=optim.Average(model, 0.9),
            checkpoint=Checkpoints(folder),
            save_every=0.0,
        )
        assert set(model.state_dict()) == before
        return model.state_dict()

    whole = train(tmp_path / "whole")
    for at in (1, 2):  # inside an epoch, and between two
        with contextlib.suppress(KeyboardInterrupt):
            train(tmp_path / "broken", at)
    resumed = train(tmp_path / "broken")
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())


def test_weights_of_other_classes_fit_but_for_the_last_layers(tmp_path, yolo11):
    path = tmp_path / "coco.pt"
    torch.manual_seed(5)
    coco = networks.build("yolo11n", [str(number) for number in range(80)], 64)
    torch.save({"model": coco.half()}, path)
    model = copy.deepcopy(yolo11)
    said = weights.load(model, "yolo11n", str(path))
    assert said.startswith("4")
    assert f"of {len(model.state_dict())} tensors" in said
    first = "model.0.conv.weight"
    assert torch.equal(model.state_dict()[first], coco.state_dict()[first].float())
    last = "model.23.cv3.0.2.weight"
    assert torch.equal(model.state_dict()[last], yolo11.state_dict()[last])


def test_weights_of_another_model_are_refused(tmp_path, yolo11):
    from safetensors.torch import save_file

    path = tmp_path / "other.safetensors"
    save_file(build("yolov8n").state_dict(), path)
    with pytest.raises(RunError, match="another model than yolo11n"):
        weights.load(copy.deepcopy(yolo11), "yolo11n", str(path))
    path = tmp_path / "same.safetensors"
    save_file(yolo11.state_dict(), path)
    assert str(path) in weights.load(copy.deepcopy(yolo11), "yolo11n", str(path))


@pytest.mark.parametrize(
    ("source", "message"),
    [("없음.pt", "no such file"), ("test.txt", "ends in"), ("download", "no checksum is known")],
)
def test_weights_that_cannot_be_had(tmp_path, source, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test.txt").write_text("x")
    with pytest.raises(ConfigError, match=message):
        weights.load(nn.Linear(1, 1), "yolov9t", source)


def test_a_download_is_verified(monkeypatch, tmp_path):
    asked = []

    def fetch(remote, folder, *, instead, named):
        assert not named, "detection has no --data-dir for weights"
        asked.append(remote)
        return tmp_path / "없음.pt"

    monkeypatch.setattr(weights.download, "fetch", fetch)
    for name in (*weights._SHA256, "ssdlite", "faster-rcnn"):
        with pytest.raises(ConfigError, match="no such file"):
            weights.load(nn.Linear(1, 1), name, "download")
    assert all(remote.url.startswith("https://") for remote in asked)
    assert {len(remote.sha256) for remote in asked} == {64, 8}
    assert set(weights._SHA256) <= set(names.ULTRALYTICS)


def test_plain_tensors_are_read_without_the_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "labs.detection.models.ultralytics.checkpoint", None)
    given, taken = nn.Linear(2, 3), nn.Linear(2, 3)
    torch.save(given.state_dict(), tmp_path / "plain.pth")
    assert weights.load(taken, "ssdlite", str(tmp_path / "plain.pth")).startswith("2 of 2 tensors")
    assert torch.equal(given.weight, taken.weight)
