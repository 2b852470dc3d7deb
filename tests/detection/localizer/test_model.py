"""The network of two heads, and its loss: places, gradients, what has no object."""

import pytest
import torch
from torch.nn import functional
from torchvision.ops import generalized_box_iou

from common.training.sequences import Padded
from labs.detection.localizer.model import Glimpse, Localizer
from labs.detection.localizer.task import OVERLAP, SIDES, LocalizerTask, detect


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Localizer(4, 64)


def batch(*boxes, size=64):
    """Return random images with at most one box (6) each."""
    images = torch.rand(len(boxes), 3, size, size)
    return images, Padded.of([torch.tensor(each).reshape(-1, 6) for each in boxes])


@pytest.mark.parametrize(("size", "lite0"), [(64, False), (128, False), (160, False), (96, True)])
def test_any_image_has_one_class_and_one_box(size, lite0):
    network = Localizer(3, size, lite0).eval()
    logits, boxes = network(torch.rand(2, 3, size, size))
    assert logits.shape == (2, 3)
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    _, weights = network.attend(torch.rand(2, 3, size, size))
    torch.testing.assert_close(weights.sum((1, 2, 3)), torch.ones(2))


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 3), (3, 2)])
def test_a_map_of_one_cell_puts_the_box_there(model, row, column):
    weights = torch.zeros(1, 1, 4, 4)
    weights[0, 0, row, column] = 1
    [box] = model.place(weights, torch.zeros(1, 4), 64)
    center = (box[:2] + box[2:]) / 2
    assert center.tolist() == pytest.approx([16 * column + 8, 16 * row + 8])
    assert (box[2:] - box[:2]).tolist() == pytest.approx([32, 32])  # sigmoid(0) of the image


def test_the_box_reaches_any_place_of_the_image(model):
    weights = torch.zeros(1, 1, 4, 4)
    weights[0, 0, 0, 0] = 1
    [box] = model.place(weights, torch.tensor([[-9.0, 9.0, -9.0, -9.0]]), 64)
    assert box[0] < 0
    assert box[1] > 24


def test_the_loss_is_that_of_torch_and_torchvision(model):
    model.eval()  # or each pass would look at other glimpses
    images, boxes = batch([10.0, 8.0, 30.0, 40.0, 2, 0], [5.0, 5.0, 60.0, 20.0, 0, 0])
    parts = LocalizerTask().loss(model, (images, boxes), None)
    logits, found = model(images)
    true = boxes.values[:, 0]
    expected = functional.cross_entropy(logits, true[:, 4].long())
    torch.testing.assert_close(parts["class"], expected)
    overlap = 1 - generalized_box_iou(found, true[:, :4]).diagonal()
    sides = (found - true[:, :4]).abs().sum(1) / 64
    torch.testing.assert_close(parts["box"], (OVERLAP * overlap + SIDES * sides).mean())


def test_an_image_whose_object_is_gone_teaches_nothing(model):
    task, box = LocalizerTask(), [10.0, 8.0, 30.0, 40.0, 2, 0]
    model.eval()  # batch norm would mix the images
    images, boxes = batch(box, [])
    alone = Padded(boxes.values[:1], boxes.lengths[:1])
    both, one = (task.loss(model, each, None) for each in ((images, boxes), (images[:1], alone)))
    torch.testing.assert_close(both, one)
    assert task.weights((images, boxes)) == {"class": 1, "box": 1}


def test_a_batch_without_any_object_has_a_loss_of_0(model):
    images, boxes = batch([], [])
    parts = LocalizerTask().loss(model, (images, boxes), None)
    assert [part.item() for part in parts.values()] == [0, 0]


def test_two_parts_of_a_batch_weigh_what_the_whole_does(model):
    task = LocalizerTask()
    model.eval()
    images, boxes = batch(*([4.0 * k, 8.0, 30.0 + k, 40.0, k % 4, 0] for k in range(5)))
    whole = task.loss(model, (images, boxes), None)
    parts = [
        (images[rows], Padded(boxes.values[rows], boxes.lengths[rows]))
        for rows in (slice(0, 2), slice(2, 5))
    ]
    for name, expected in whole.items():
        weights = [task.weights(part)[name] for part in parts]
        losses = [task.loss(model, part, None)[name] for part in parts]
        mean = sum(w * loss for w, loss in zip(weights, losses, strict=True)) / sum(weights)
        torch.testing.assert_close(mean, expected)


def test_what_it_says_is_one_detection_inside_of_the_image(model):
    model.eval()
    found = detect(model, torch.rand(3, 3, 64, 64))
    assert found.shape == (3, 1, 6)
    assert found[..., :4].min() >= 0
    assert found[..., :4].max() <= 64
    assert ((found[..., 4] > 0.25) & (found[..., 4] <= 1)).all()  # the most probable of four


def test_it_learns_a_few_images_by_heart():
    """Boxes find their places, although each map begins at the middle."""
    torch.manual_seed(0)
    network = Localizer(4, 64)
    corners, sides = torch.rand(8, 2) * 44, 8 + torch.rand(8, 2) * 12
    labels = torch.randint(4, (8, 1)).float()
    rows = torch.cat([corners, corners + sides, labels, torch.zeros(8, 1)], 1)
    images, boxes = batch(*rows.tolist())
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        sum(LocalizerTask().loss(network, (images, boxes), None).values()).backward()
        optimizer.step()
    logits, found = network(images)
    assert logits.argmax(1).tolist() == labels[:, 0].tolist()
    assert generalized_box_iou(found, rows[:, :4]).diagonal().mean() > 0.6


def test_a_glimpse_is_the_square_around_the_box():
    """Of a picture whose brightness is the column."""
    columns = torch.arange(64.0).expand(1, 3, 64, 64)
    found = Glimpse().eval()(columns, torch.tensor([[10.0, 20.0, 30.0, 30.0]]))
    assert found.shape == (1, 3, 28, 28)
    places = 19.5 + 1.2 * 20 / 28 * (torch.arange(28) - 13.5)  # of pixels' middles
    expected = places - places.mean()
    row = found[0, 0, 0]
    torch.testing.assert_close(row / row[-1], expected / expected[-1], rtol=1e-4, atol=1e-4)
    assert found.mean().abs() < 1e-4


def test_a_class_is_read_from_where_the_box_is_and_the_box_learns_nothing_of_it(model):
    images = torch.rand(2, 3, 64, 64)
    logits, boxes = model(images)
    logits.sum().backward(retain_graph=True)
    assert all(parameter.grad is None for parameter in model.trunk.parameters())
    boxes.sum().backward()
    assert any(parameter.grad is not None for parameter in model.trunk.parameters())
