import math

import pytest
import torch
from torch import nn

from common.images.augment import Pipeline
from common.training import When, evaluate, optim, train_step
from common.training.compute import Compute
from common.training.means import shares
from common.training.sequences import Padded
from labs.detection import boxes as geometry
from labs.detection.data.scenes import Composer
from labs.detection.models.tiny_yolo import (
    GAINS,
    STAGES,
    TinyYolo,
    TinyYoloTask,
    assign,
    decode,
    stride_for,
)
from labs.detection.task import MOST

ANCHORS = torch.tensor([[8.0, 16], [20, 20], [40, 30]])


class Fixed(nn.Module):
    """A model whose grid is a parameter, whatever the image: what the loss says of it is exact."""

    def __init__(self, grid, anchors=ANCHORS, stride=8):
        super().__init__()
        self.grid, self.anchors, self.stride = nn.Parameter(grid), anchors, stride

    def forward(self, images):
        return self.grid[: len(images)]


def encode(corners, column, row, anchor, stride):
    """The inverse of `decode` for boxes (n, 4) in one cell: the numbers (n, 4) of its channels."""
    x, y, width, height = geometry.to_centers(corners).unbind(-1)
    places = torch.stack([x / stride - column, y / stride - row], -1)
    return torch.cat(
        [((places + 0.5) / 2).logit(), (torch.stack([width, height], -1) / anchor).log()], -1
    )


def when():
    return When(0, 0, torch.Generator())


def row(*corners, label=0, crowd=0):
    return torch.tensor([[*corners, label, crowd]], dtype=torch.float32)


def batch(*boxes, size=64):
    """Blank images, each with its boxes (n, 6)."""
    return torch.zeros(len(boxes), 3, size, size), Padded.of(boxes)


def random_rows(number, size, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(number, 2, generator=generator) * size * 0.7
    high = low + 4 + torch.rand(number, 2, generator=generator) * size * 0.25
    labels = torch.randint(classes, (number, 1), generator=generator)
    return torch.cat([low, high, labels, torch.zeros(number, 1)], 1)


def test_a_grid_of_zeros_is_the_anchors_in_the_middle_of_each_cell():
    found = decode(torch.zeros(2, 3 * 5 + 4, 2, 3), ANCHORS, 8)
    assert found.boxes.shape == (2, 6, 3, 4)
    assert found.boxes[0, 0, 0].tolist() == [0, -4, 8, 12]
    assert found.boxes[1, 5, 1].tolist() == [10, 2, 30, 22]  # row 1, column 2: center at (20, 12)
    assert found.objectness.shape == (2, 6, 3)
    assert found.classes.shape == (2, 6, 4)


def test_a_grid_is_read_channel_by_channel():
    grid = torch.arange(2 * 19 * 6).reshape(2, 19, 2, 3).float() / 100
    found = decode(grid, ANCHORS, 8)
    assert torch.equal(found.objectness[1, 4], grid[1, [4, 9, 14], 1, 1])
    assert torch.equal(found.classes[1, 4], grid[1, 15:, 1, 1])


def test_decoding_undoes_encoding():
    for cell, anchor in ((0, 0), (7, 1), (34, 2)):
        y, x = divmod(cell, 8)
        size = torch.rand(50, 2) * 50 + 2
        middle = (torch.tensor([x, y]) + torch.rand(50, 2) * 1.9 - 0.45) * 8
        corners = geometry.to_corners(torch.cat([middle, size], 1))
        grid = torch.zeros(50, 20, 8, 8)
        numbers = encode(corners, x, y, ANCHORS[anchor], 8)
        grid[:, 5 * anchor : 5 * anchor + 4, y, x] = numbers
        decoded = decode(grid, ANCHORS, 8).boxes[:, cell, anchor]
        torch.testing.assert_close(decoded, corners, rtol=1e-4, atol=1e-3)


def test_no_number_makes_a_box_infinite():
    for value in (-1e4, 1e4):
        assert decode(torch.full((1, 16, 2, 2), value), ANCHORS, 8).boxes.isfinite().all()


def test_who_answers_for_a_box_by_hand():
    # Center (21, 34) in cells of 8: column 2.625, row 4.25. Size 8 x 20.
    found = assign(torch.tensor([17.0, 24, 25, 44]), ANCHORS, 8, cells=8)
    own, beside, above = 4 * 8 + 2, 4 * 8 + 3, 3 * 8 + 2
    assert found.cells.tolist() == [own, beside, above]
    assert found.anchor_ious.tolist() == pytest.approx([16 / 20, 160 / 400, 160 / 1200])
    assert found.responsible.tolist() == [[True, False, False]] * 3


def test_several_anchors_answer_where_they_fit_and_none_outside_of_the_grid():
    # Center (1, 63): the cell in the lower left corner has no neighbor to the left or below.
    found = assign(torch.tensor([[-11.0, 51, 13, 75]]), ANCHORS, 8, cells=8)
    assert found.cells[0, 0] == 7 * 8
    assert found.anchor_ious[0].tolist() == pytest.approx([128 / 576, 400 / 576, 576 / 1200])
    assert found.responsible[0].tolist() == [[False, True, False], [False] * 3, [False] * 3]
    close = torch.tensor([[20.0, 20], [20, 24]])
    assert assign(torch.tensor([[22.0, 22, 42, 44]]), close, 8, cells=8).responsible.all()


def test_the_best_anchor_answers_however_badly_it_fits():
    found = assign(torch.tensor([[30.0, 30, 31, 62], [64, 64, 64, 64]]), ANCHORS, 8, cells=8)
    assert found.anchor_ious.amax(1)[0] < 0.5
    assert found.responsible[0].sum() == 3
    assert found.responsible[1].any()  # a box without an area, on the edge
    assert found.cells[1, 0] == 63


def test_any_shape_of_boxes_can_be_assigned():
    corners = random_rows(12, 64, 4, 0)[:, :4]
    flat, shaped = (
        assign(each, ANCHORS, 8, cells=8) for each in (corners, corners.view(2, 2, 3, 4))
    )
    assert all(torch.equal(a, b.flatten(0, 2)) for a, b in zip(flat, shaped, strict=True))
    assert assign(corners[:0], ANCHORS, 8, cells=8).responsible.shape == (0, 3, 3)


def test_the_loss_by_hand():
    """One anchor of 16x16, a grid of 1x2 cells of 32; the box's own cell alone answers."""
    anchors = torch.tensor([[16.0, 16]])
    grid = torch.zeros(1, 5 + 3, 1, 1)
    grid[0, 4] = -1.0
    grid[0, 5:, 0, 0] = torch.tensor([0.0, 1, 2])
    model = Fixed(grid, anchors, 32)
    parts = TinyYoloTask(3, 4).loss(model, batch(row(8, 8, 24, 16, label=1), size=32), when())
    iou = giou = 0.5  # the box in the middle is 8, 8, 24, 24
    chance = 1 / (1 + math.e)
    expected = {
        "box": 1 - giou,
        "objectness": -iou * math.log(chance) - (1 - iou) * math.log(1 - chance),
        "class": math.log(1 + math.e + math.e**2) - 1,
    }
    assert {name: part.item() for name, part in parts.items()} == pytest.approx(
        {name: GAINS[name] * value for name, value in expected.items()}, rel=1e-5
    )


def test_objects_count_the_same_however_many_answer_for_them():
    grid = torch.randn(2, 19, 8, 8)
    task, model = TinyYoloTask(4, 9), Fixed(grid)
    corner, middle = row(-11, 51, 13, 75, label=2), row(22, 22, 42, 44, label=1)
    both = task.loss(model, batch(torch.cat([corner, middle]), corner[:0]), when())
    alone = [task.loss(model, batch(each, each[:0]), when()) for each in (corner, middle)]
    for name in ("box", "class"):
        assert both[name].item() == pytest.approx(sum(part[name].item() for part in alone) / 2)


def test_neither_the_order_of_boxes_nor_padding_nor_a_crowd_changes_the_loss():
    rows, crowd = random_rows(6, 64, 4, 1), row(0, 0, 60, 60, label=3, crowd=1)
    task, model = TinyYoloTask(4, 9), Fixed(torch.randn(1, 19, 8, 8))
    first = task.loss(model, batch(rows), when())
    for other in (rows.flip(0), torch.cat([crowd, rows])):
        again = task.loss(model, batch(other), when())
        torch.testing.assert_close(again, first)
    images, (values, lengths) = batch(rows)
    padded = Padded(torch.cat([values, torch.full((1, 3, 6), 3.0)], 1), lengths)
    torch.testing.assert_close(task.loss(model, (images, padded), when()), first)
    assert task.weights(batch(torch.cat([crowd, rows])))["box"] == 6


def test_of_two_objects_in_one_place_the_better_fit_is_the_objectness():
    model = Fixed(torch.zeros(1, 6, 1, 1), torch.tensor([[16.0, 16]]), 32)
    task = TinyYoloTask(1, 4)
    exact, wide = row(8, 8, 24, 24), row(0, 8, 32, 24)
    for rows in (torch.cat([exact, wide]), torch.cat([wide, exact])):
        parts = task.loss(model, batch(rows, size=32), when())
        parts["objectness"].backward()
        # The derivative by a logit is probability - target, here 1/2 - 1.
        assert model.grid.grad[0, 4].item() == pytest.approx(-0.5 * GAINS["objectness"])
        model.grid.grad = None


def test_micro_batches_add_up_to_one_batch_also_where_images_have_no_boxes():
    rows = [random_rows(5, 64, 4, 2), torch.zeros(0, 6), torch.zeros(0, 6), row(9, 9, 30, 30)]
    task, grid = TinyYoloTask(4, 9), torch.randn(4, 19, 8, 8)
    whole = Fixed(grid.clone())
    sum(task.loss(whole, batch(*rows), when()).values()).backward()
    parts = [batch(*rows[:1]), batch(*rows[1:3]), batch(*rows[3:])]
    gradients, low = [], 0
    for share, part in zip(shares([task.weights(p) for p in parts]), parts, strict=True):
        model = Fixed(grid[low : low + len(part[0])].clone())
        losses = task.loss(model, part, when())
        sum(share[name] * losses[name] for name in losses).backward()
        gradients.append(model.grid.grad)
        low += len(part[0])
    torch.testing.assert_close(torch.cat(gradients), whole.grid.grad)


def test_images_without_any_box():
    task, model = TinyYoloTask(4, 9), TinyYolo(4, ANCHORS.tolist())
    empty = batch(torch.zeros(0, 6), torch.zeros(0, 6))
    parts = task.loss(model, empty, when())
    assert parts["box"] == parts["class"] == 0
    assert parts["objectness"] > 0
    sum(parts.values()).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    assert all(weight > 0 for weight in task.weights(empty).values())


@pytest.mark.parametrize(("size", "stride"), [(32, 8), (96, 8), (128, 16), (160, 32)])
@pytest.mark.parametrize("classes", [1, 20])
def test_sizes_strides_and_classes(size, stride, classes):
    model, task = TinyYolo(classes, ANCHORS.tolist(), stride), TinyYoloTask(classes, 9)
    rows = random_rows(5, size, classes, 3)
    images, boxes = batch(rows, rows[:2], size=size)
    assert model(images).shape == (2, 15 + classes, size // stride, size // stride)
    parts = task.loss(model, (images, boxes), when())
    assert all(part.isfinite() and part > 0 for part in parts.values() if classes > 1)
    found = task.outputs(model.eval(), (images, boxes))
    assert found["detections"].shape == (2, MOST, 6)
    assert found["targets"].shape == (2, 9, 6)


def test_the_stride_grows_with_the_image():
    assert [stride_for(size) for size in (32, 128, 192, 224, 384, 416, 640, 1280)] == (
        [8, 8, 8, 16, 16, 32, 32, 32]
    )
    assert len(STAGES) == 5  # 32 pixels


def test_before_training_no_anchor_is_sure():
    model = TinyYolo(4, ANCHORS.tolist())
    objectness = decode(model.eval()(torch.rand(2, 3, 64, 64)), model.anchors, 8).objectness
    assert objectness.sigmoid().mean().item() == pytest.approx(0.01, abs=0.005)


@pytest.mark.parametrize("precision", ["bf16", "16"])
def test_half_precision_computes_the_loss_in_float32(precision):
    dtype = {"bf16": torch.bfloat16, "16": torch.float16}[precision]
    model, task = TinyYolo(4, ANCHORS.tolist()), TinyYoloTask(4, 9)
    images, boxes = batch(random_rows(5, 64, 4, 4), random_rows(3, 64, 4, 5))
    images = torch.rand_like(images)
    exact = task.loss(model, (images, boxes), when())
    with torch.autocast("cpu", dtype):
        parts = task.loss(model, (images, boxes), when())
        found = task.detect(model, images)
    assert found.dtype == torch.float32
    for name, part in parts.items():
        assert part.dtype == torch.float32
        assert part.item() == pytest.approx(exact[name].item(), rel=0.05)
    sum(parts.values()).backward()


def test_channels_last_computes_the_same():
    model, task = TinyYolo(4, ANCHORS.tolist()), TinyYoloTask(4, 9)
    images, boxes = batch(random_rows(5, 64, 4, 4))
    images = torch.rand_like(images)
    first = task.loss(model, (images, boxes), when())
    compute = Compute(channels_last=True)
    compute.place(model)
    torch.testing.assert_close(task.loss(model, (compute.move(images), boxes), when()), first)


def test_detections_are_those_that_suppression_keeps():
    torch.manual_seed(0)
    model, task = Fixed(torch.randn(2, 19, 4, 4) * 2), TinyYoloTask(4, 9)
    with torch.inference_mode():
        found = task.detect(model, torch.zeros(2, 3, 32, 32))
    assert found.dtype == torch.float32
    for grid, rows in zip(model.grid.detach(), found, strict=True):
        predicted = decode(grid[None], ANCHORS, 8)
        corners = predicted.boxes[0].clamp(0, 32).flatten(0, 1)
        scores = (
            predicted.objectness[0].sigmoid()[..., None] * predicted.classes[0].softmax(1)[:, None]
        )
        scores = scores.flatten(0, 1)
        expected = []
        for label in range(4):
            steps = geometry.nms_steps(corners, scores[:, label], 0.5)
            kept = [step.kept for step in steps]
            expected += [(*corners[r].tolist(), scores[r, label].item(), label) for r in kept]
        expected.sort(key=lambda each: -each[4])
        torch.testing.assert_close(rows[:MOST], torch.tensor(expected)[:MOST])


def test_unused_rows_have_no_class():
    model = Fixed(torch.zeros(1, 6, 1, 1), torch.tensor([[16.0, 16]]), 32)
    [found] = TinyYoloTask(1, 9).detect(model, torch.zeros(1, 3, 32, 32))
    assert found[0].tolist() == [8, 8, 24, 24, 0.5, 0]
    assert (found[1:] == torch.tensor([0.0, 0, 0, 0, 0, -1])).all()


@pytest.mark.slow
def test_it_overfits_one_batch():
    composer = Composer("train", 0)
    scenes = [composer.scene(number) for number in range(8)]
    images = torch.stack([torch.from_numpy(scene.image) for scene in scenes])
    boxes = Padded.of([torch.from_numpy(scene.boxes) for scene in scenes])
    one = (Pipeline((), (0, 0, 0), (1, 1, 1))(images, None), boxes)
    sizes = torch.cat([torch.from_numpy(scene.boxes) for scene in scenes])
    anchors, _ = geometry.kmeans_anchors(sizes[:, 2:4] - sizes[:, :2], 3)
    torch.manual_seed(0)
    model, task = TinyYolo(10, anchors.tolist()), TinyYoloTask(10, 6)
    compute = Compute(channels_last=True)
    compute.place(model)
    one = compute.move(one)
    optimizer = optim.build("adamw", model, 3e-3)
    options = {"epoch": 0, "rate": 1.0, "seed": 0, "clip": None, "compute": compute}
    for step in range(80):
        model.train()
        train_step(model, task, [one], optimizer, step=step, **options)
    figures = evaluate(model, task, [one], compute)
    assert figures["map50"] > 0.99
