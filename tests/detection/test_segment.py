"""Instance segmentation: the library's models, losses and masks on our loop, data and commands."""

import contextlib
import json

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from common import training
from common.errors import ConfigError, DataError
from common.options.config import build as build_config
from common.training import When, optim
from common.training.batches import Batches
from common.training.checkpoint import Checkpoints
from common.training.compute import Compute
from common.training.sequences import Padded, Ragged
from labs.detection import baselines, masks, metrics, names
from labs.detection.config import RECIPES, CompareConfig, DetectionConfig, recipe_for
from labs.detection.data import augment, load, scenes
from labs.detection.data.load import BoxSet, Photos
from labs.detection.job import Detector
from labs.detection.task import MOST, filled

networks = pytest.importorskip("labs.detection.models.ultralytics.build")
learning = pytest.importorskip("labs.detection.models.ultralytics.task")
SegmentationTask = learning.SegmentationTask

SMALLEST = ["yolo11n-seg", "yolo12n-seg", "yolo26n-seg", "yolov8n-seg", "yolov8n-seg-p6"]
CLASSES = ("하나", "둘", "셋")
SEGMENT = DetectionConfig(task="segment", model="yolo11n-seg")


def when(epoch=0):
    return When(epoch, 0, torch.Generator())


def build(name, size=64, classes=CLASSES):
    torch.manual_seed(0)
    return networks.build(name, classes, size, "segment")


def split(count=6, size=64):
    """Draw disks, whose masks are not their boxes, on noise; a square lies on the first ones."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 80, (count, 3, size, size), dtype=torch.uint8, generator=generator)
    instances = torch.zeros(count, size, size, dtype=torch.uint8)
    boxes = []
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    for number in range(count):
        left, top = torch.randint(0, size - 32, (2,), generator=generator).tolist()
        label = number % 3
        disk = (x - left - 13.5).square() + (y - top - 13.5).square() <= 196
        instances[number][disk] = 1
        pixels[number, label][disk] = 255
        rows = [[left, top, left + 28.0, top + 28, label, 0]]
        if number % 2:
            instances[number, top + 20 : top + 32, left + 20 : left + 32] = 2
            pixels[number, :, top + 20 : top + 32, left + 20 : left + 32] = 255
            rows.append([left + 20.0, top + 20, left + 32, top + 32, 2, 0])
        boxes.append(torch.tensor(rows))
    sizes = torch.full((count, 2), size)
    labels = [str(number) for number in range(count)]
    return BoxSet(pixels, Ragged.of(boxes), sizes, labels, instances)


def whole_batch(images):
    batches = Batches(
        images.columns,
        len(images),
        prepare=augment.pipeline(SEGMENT),
        lengths=torch.zeros(len(images)),
    )
    return next(batches.updates(0))[0]


# --- models and their losses --------------------------------------------------------------------


def test_names_are_those_that_the_library_describes():
    assert set(names.SEGMENTATION) == set(networks.descriptions("segment"))


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_each_family_trains_and_finds_masks(name):
    model, task, batch = build(name), SegmentationTask(3, 2, 10), whole_batch(split())
    parts = task.loss(model.train(), batch, when())
    expected = {"box", "mask", "class", "distance"} | ({"semantic"} if "26" in name else set())
    assert set(parts) == expected
    assert all(value > 0 for value in parts.values())
    sum(parts.values()).backward()
    untrained = [key for key, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not untrained
    with torch.inference_mode():
        outputs = task.outputs(model.eval(), batch)
        found, prototypes = task.segment(model, batch[0])
        assert torch.equal(found[..., :6], task.detect(model, batch[0]))
    assert outputs["detections"].shape == (6, MOST, 6 + 2)
    assert outputs["targets"].shape == (6, 2, 6)
    assert prototypes.shape == (6, found.shape[2] - 6, 16, 16)
    for image in range(6):
        inside = masks.assemble(found[image], found[image, :, 6:], prototypes[image], 64)
        crowd = torch.zeros(2, dtype=torch.bool)
        torch.testing.assert_close(
            outputs["detections"][image, :, 6:], masks.ious(inside, batch[2][image], crowd)
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", [each for each in names.SEGMENTATION if each not in SMALLEST])
def test_every_other_model_is_built_and_detects(name):
    with torch.inference_mode():
        found = SegmentationTask(3, 2, 10).detect(build(name).eval(), torch.rand(1, 3, 64, 64))
    assert found.isfinite().all()


@pytest.mark.parametrize("name", ["yolo11n-seg", "yolo26n-seg"])
def test_the_loss_is_the_library_s_own(name):
    model = build(name).train()
    images, boxes, instances = whole_batch(split())
    ours = SegmentationTask(3, 2, 8).loss(model, (images, boxes, instances), when())
    image, row = (torch.arange(2) < boxes.lengths[:, None]).nonzero(as_tuple=True)
    rows = boxes.values[image, row]
    of_pixel = torch.zeros_like(instances, dtype=torch.float32)
    for at, number, label in zip(image, row + 1, rows[:, 4], strict=True):
        of_pixel[at][instances[at] == number] = label
    batch = {
        "img": images,
        "batch_idx": image.float(),
        "cls": rows[:, 4:5],
        "bboxes": torch.cat([(rows[:, :2] + rows[:, 2:4]) / 2, rows[:, 2:4] - rows[:, :2]], 1) / 64,
        "masks": instances.float(),
        "sem_masks": of_pixel,
    }
    model.criterion = model.init_criterion()
    total, _ = model.loss(batch)
    given = {"box": 0, "mask": 1, "class": 2, "distance": 3, "semantic": 4}
    for part, value in ours.items():
        torch.testing.assert_close(6 * value, total[given[part]])


def test_a_crowd_is_no_example_and_shifts_no_mask():
    images, boxes, instances = whole_batch(split())
    values = torch.nn.functional.pad(boxes.values, (0, 0, 1, 0))
    values[:, 0] = torch.tensor([0.0, 0, 64, 64, 1, 1])
    crowded = Padded(values, boxes.lengths + 1)
    moved = torch.where(instances > 0, instances + 1, 1)  # the crowd is all around
    plain, other = (
        learning._targets(each, 64, maps) for each, maps in ((boxes, instances), (crowded, moved))
    )
    assert plain.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in plain.items())


def test_large_masks_are_learned_from_fewer_pixels():
    boxes = Padded.of([torch.tensor([[0.0, 0, 320, 640, 1, 0]])])
    instances = torch.zeros(1, 640, 640, dtype=torch.uint8)
    instances[:, :, :320] = 1
    found = learning._targets(boxes, 640, instances)
    assert found["masks"].shape == (1, 160, 160)
    assert found["masks"][:, :, :80].all()
    assert not found["masks"][:, :, 80:].any()
    assert torch.equal(found["sem_masks"], found["masks"])


def test_masks_stay_exact_where_the_network_computes_in_small_floats():
    model, task, batch = (
        build("yolo11n-seg"),
        SegmentationTask(3, 2, 8),
        whole_batch(split()),
    )
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        ious = task.outputs(model.eval(), batch)["detections"]
    assert ious.dtype == torch.float64
    exact = task.loss(model.train(), batch, when())
    with torch.autocast("cpu", torch.bfloat16):
        rough = task.loss(model, batch, when())
    assert rough["mask"].dtype == torch.float32
    assert rough["mask"].item() == pytest.approx(exact["mask"].item(), rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["yolo11n-seg", "yolo26n-seg"])
def test_one_batch_is_learned(name):
    images = split(4)
    model, task, batch = build(name), SegmentationTask(3, 2, 10), whole_batch(images)
    stream = training.epochs(
        model,
        task,
        [batch] * 20,
        [batch],
        optim.build("adamw", model, 2e-3),
        max_epochs=15,
        schedule=optim.schedule("cosine", steps_per_epoch=20, epochs=15, warmup=1),
        clip=10.0,
    )
    with contextlib.closing(stream):
        best = 0.0
        for row in stream:
            best = max(best, row["validation/mask_map50"])
            if best > 0.9:
                break
    assert best > 0.9


class Interrupted(SegmentationTask):
    """Breaks off at an update."""

    at = None

    def loss(self, model, batch, when):
        if when.step == self.at:
            raise KeyboardInterrupt
        return super().loss(model, batch, when)


@pytest.mark.slow
def test_resume_is_bitwise(tmp_path):
    def train(folder, at=None):
        task = Interrupted(3, 2, 2)
        task.at = at
        model, images = build("yolo26n-seg"), split()
        columns, lengths = images.columns, torch.zeros(len(images))
        pipeline = augment.pipeline(SEGMENT)
        training.fit(
            model,
            task,
            Batches(columns, 3, training=True, prepare=pipeline, lengths=lengths),
            Batches(columns, 6, prepare=pipeline, lengths=lengths),
            optim.build("adamw", model, 1e-3),
            max_epochs=2,
            average=optim.Average(model, 0.9),
            checkpoint=Checkpoints(folder),
            save_every=0.0,
        )
        return model.state_dict()

    whole = train(tmp_path / "whole")
    for at in (1, 2):  # inside an epoch, and between two
        with contextlib.suppress(KeyboardInterrupt):
            train(tmp_path / "broken", at)
    resumed = train(tmp_path / "broken")
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())


# --- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "segment"}, "tiny-yolo finds boxes alone.*--model yolo11n-seg"),
        ({"model": "yolo11n-seg"}, "--model yolo11n-seg finds masks; add --task segment"),
        (
            {"task": "segment", "model": "yolo11n-seg", "augment": ("color:0.2", "mosaic")},
            "--augment mosaic: --task segment takes color alone",
        ),
    ],
)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build_config(DetectionConfig, ("options", options))
    assert len(caught.value.problems) == 1


def test_the_task_alone_chooses_a_model():
    assert recipe_for(None, "segment") == recipe_for("yolo26s-seg") == "yolo11n-seg"
    assert recipe_for("yolo11n") == "yolo11n"
    assert not DetectionConfig(**RECIPES["yolo11n-seg"]).problems()
    [problem] = CompareConfig(task="segment").problems()
    assert "compare-models takes detectors alone" in problem


@pytest.mark.parametrize(("task", "head"), [("segment", "Detect"), ("detect", "Segment")])
def test_a_model_file_must_be_of_the_task(tmp_path, task, head):
    path = tmp_path / "my.yaml"
    rows = [[-1, 1, "Conv", [8, 3, 2]]]
    content = {"nc": 1, "backbone": rows, "head": [[[0], 1, head, ["nc"]]]}
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match="the last row must be a"):
        networks.build(str(path), CLASSES, 64, task)


# --- data ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_scenes_have_the_ink_of_their_digits():
    config = DetectionConfig(task="segment", model="yolo11n-seg", limit=400, image_size=256)
    splits, _ = load.load(config)
    images = splits["validation"]
    assert images.instances.shape == (len(images), 256, 256)
    for row in range(len(images)):
        seen = images.instances[row].unique().tolist()
        assert set(seen) <= set(range(len(images.boxes[row]) + 1))
        last = (images.instances[row] == len(images.boxes[row])).nonzero()
        x1, y1, x2, y2 = images.boxes[row][-1, :4].tolist()
        assert last.amin(0).tolist() == [y1, x1]
        assert last.amax(0).tolist() == [y2 - 1, x2 - 1]
    assert load.load(DetectionConfig(limit=400))[0]["test"].instances is None
    again = scenes.instances("validation", 0, 3)
    assert torch.equal(again, scenes.instances("validation", 0, 9)[:3])


def outlined(root, count=12, bare=0):
    """Write a YOLO data set of triangles; the last ones have boxes alone."""
    (root / "images").mkdir()
    (root / "labels").mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 99, (40, 60, 3), np.uint8)
        pixels[10:30, 20:40] = 200
        Image.fromarray(pixels).save(root / "images" / f"사진{number}.png")
        triangle = "0 0.333333 0.25 0.666667 0.25 0.666667 0.75"
        box = "0 0.5 0.5 0.333333 0.5"
        text = box if number >= count - bare else triangle
        (root / "labels" / f"사진{number}.txt").write_text(f"{text}\n", encoding="utf-8")
    content = {"train": "images", "names": ["삼각형"]}
    (root / "data.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return DetectionConfig(
        task="segment", model="yolo11n-seg", data=str(root / "data.yaml"), image_size=64
    )


def test_outlines_of_files_become_masks(tmp_path, monkeypatch):
    config = outlined(tmp_path, bare=2)
    splits, card = load.load(config)
    assert "2 objects without an outline fill their boxes, in " in card.source
    areas = torch.cat([part.instances.flatten(1).sum(1) for part in splits.values()]).sort().values
    box = 64 / 60 * 20 * 64 / 60 * 20
    assert areas[-2:].float().div(box).sub(1).abs().max() < 0.1
    assert areas[:-2].float().div(box / 2).sub(1).abs().max() < 0.1
    monkeypatch.setattr(load, "_MEMORY_LIMIT", 0)
    lazy, same = load.load(config)
    assert same.fingerprint == card.fingerprint
    assert type(lazy["train"].images) is Photos
    for one, other in zip(lazy["train"], splits["train"], strict=False):
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))
    batches = Batches(lazy["train"], 3, prepare=augment.pipeline(config))
    images, boxes, instances = next(batches.updates(0))[0]
    assert images.shape == (3, 3, 64, 64)
    assert instances.shape == (3, 64, 64)
    assert boxes.lengths.tolist() == [1, 1, 1]


def test_other_outlines_are_other_data(tmp_path):
    config = outlined(tmp_path)
    before = load.load(config)[1].fingerprint
    label = tmp_path / "labels" / "사진3.txt"
    label.write_text("0 0.333333 0.25 0.666667 0.25 0.666667 0.75 0.333333 0.75\n")
    assert load.load(config)[1].fingerprint != before


def test_data_without_any_outline_is_refused(tmp_path):
    config = outlined(tmp_path, bare=12)
    with pytest.raises(DataError, match=r"none of the 12 objects has an outline.*--task detect"):
        load.load(config)


def test_the_baseline_finds_masks():
    images = split(12)
    found = baselines.predictions({"train": images, "validation": images, "test": images}, 3)
    [[detections, _]] = [each.values() for each in found.values()]
    assert detections.shape == (12, 100, 6 + 2)
    truth = Padded.of([images.boxes[row] for row in range(12)])
    rows = metrics.statistics(detections, filled(truth, 2).numpy())
    assert metrics.MASKS.compute(rows) > 0.5


# --- commands -----------------------------------------------------------------------------------


class FindsTheFirst(SegmentationTask):
    """Stands for a network that knows its job: finds what is light in the left half."""

    def segment(self, model, images):
        found = torch.zeros(len(images), MOST, 7)
        found[..., 5] = -1
        found[:, 0] = torch.tensor([8.0, 16, 40, 48, 0.9, 0, 1])
        light = torch.nn.functional.interpolate(images.mean(1, keepdim=True), (64, 64))
        return found, light - 0.5


@pytest.fixture
def job():
    config = DetectionConfig(task="segment", model="yolo11n-seg", limit=20, image_size=64)
    _, card = Detector.load(config)
    job = Detector(config, Compute("cpu", "32"), card)
    job.detection = FindsTheFirst(10, card.most, 1)
    return job


def test_masks_of_photos_are_drawn_and_told(tmp_path, job):
    from labs.detection.predict import predictions

    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[10:30, 20:60] = 255  # in the square of 64: x 10 to 30, y 16 + 5 to 16 + 15
    Image.fromarray(pixels).save(tmp_path / "사진.png")
    out = tmp_path / "out"
    [found] = predictions.predict(
        job, [tmp_path / "사진.png"], out, predictions.FORMATS, 0.5, print
    )
    [[outline]] = found.outlines
    xs, ys = np.array(outline[::2]), np.array(outline[1::2])
    np.testing.assert_allclose([xs.min(), xs.max(), ys.min(), ys.max()], [20, 60, 10, 30], atol=1.5)
    [record] = json.loads((out / "predictions.json").read_text("utf-8"))
    assert record["boxes"][0]["polygons"] == [list(outline)]
    label, *values, score = (out / "yolo" / "사진.txt").read_text("utf-8").split()
    assert (label, score) == ("0", "0.900000")
    np.testing.assert_allclose(values[::2] and [float(x) * 128 for x in values[::2]], xs, atol=1e-3)
    drawn = np.array(Image.open(out / "drawn" / "사진.jpg"))
    assert drawn[100, 200].max() - drawn[100, 200].min() > 60  # tinted
    assert drawn[300, 600].max() < 30


def test_export_is_refused(tmp_path, job):
    from labs.detection.inspect.export import BoxExporter

    job.create(tmp_path, "run", "run")
    with pytest.raises(DataError, match="only boxes are exported"):
        BoxExporter(job).export(tmp_path, ["onnx"])


def test_assignments_of_yolo26_are_refused():
    task, boxes = (
        SegmentationTask(3, 2, 1),
        Padded.of([torch.tensor([[8.0, 8, 40, 40, 1, 0]])]),
    )
    image = torch.rand(1, 3, 64, 64)
    assert task.assigned(build("yolo11n-seg").eval(), image, boxes)
    with pytest.raises(DataError, match="depends on masks"):
        task.assigned(build("yolo26n-seg").eval(), image, boxes)


@pytest.mark.slow
def test_every_command_takes_a_run(tmp_path, lab):
    words = ["--limit", "80", "--epochs", "1", "--run-dir", tmp_path, "--name", "run"]
    trained = lab("train", "--task", "segment", *map(str, words), full=True, drawn=True)
    assert trained.code == 0, trained.err
    run = tmp_path / "detection" / "run"
    assert "mask mAP50-95" in trained.out
    figures = json.loads((run / "metrics.json").read_text())
    assert {"mask_map50_95", "mask_map50", "map50"} <= figures["test"].keys()
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert "train/mask" in history[0]
    assert "validation/mask_map50_95" in history[0]
    html = (run / "report.html").read_text("utf-8")
    assert "every IoU is that of masks" in html
    assert "True masks are the digits" in html
    Image.fromarray(np.zeros((50, 90, 3), np.uint8)).save(tmp_path / "a.png")
    for command, *more in (
        ("evaluate", run, "--split", "validation"),
        ("predict", run, tmp_path / "a.png", "--score", "0"),
        ("report", run),
        ("doctor", run, "--steps", "20"),
        ("explain-assignment", run),
        ("nms", run, "--score", "0.0001"),
    ):
        done = lab(command, *map(str, more))
        assert done.code == 0, (command, done.err)


def test_a_summary_and_the_list_know_the_models(lab):
    assert "yolo26x-seg" in lab("summary").out
    assert "SegmentationModel" in lab("summary", "yolo11n-seg", "--depth", "0").out
