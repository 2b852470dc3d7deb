"""torchvision's detectors on our loop: parts of the loss, default boxes, detections."""

import pytest
import torch

from common.training import When
from common.training.sequences import Padded
from labs.detection.models import torchvision_models
from labs.detection.task import MOST

ANCHORS = [(8.0, 8.0), (12.0, 12.0), (32.0, 32.0)]
BOX = [10.0, 10.0, 40.0, 40.0, 3.0, 0.0]
CROWD = [0.0, 0.0, 60.0, 60.0, 2.0, 1.0]
PARTS = {
    "faster-rcnn": {"proposal", "proposal_box", "class", "box"},
    "ssdlite": {"class", "box"},
}


@pytest.fixture(scope="module", params=sorted(PARTS))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    torch.manual_seed(0)
    return torchvision_models.build(name, 4, 64, ANCHORS)


@pytest.fixture
def task():
    return torchvision_models.TorchvisionTask(4, 2)


def batch(*rows):
    torch.manual_seed(1)
    boxes = [torch.tensor(each) if each else torch.zeros(0, 6) for each in rows]
    return torch.rand(len(rows), 3, 64, 64), Padded.of(boxes)


def loss(task, model, data):
    model.train()
    torch.manual_seed(2)  # which proposals are sampled
    return task.loss(model, data, When(0, 0, torch.Generator()))


def test_the_parts_of_the_loss_are_weighed_by_images(name, model, task):
    data = batch([BOX], [])
    parts = loss(task, model, data)
    assert set(parts) == PARTS[name]
    weights = task.weights(data)
    assert all(weights[part] == 2 for part in parts)
    assert all(part.isfinite() and part.requires_grad for part in parts.values())


def test_images_without_boxes_train_too(model, task):
    parts = loss(task, model, batch([], []))
    assert all(part.isfinite() for part in parts.values())
    assert parts["box"] == 0


def test_a_crowd_is_no_example(model, task):
    one, other = (loss(task, model, batch(rows, [BOX])) for rows in ([BOX], [BOX, CROWD]))
    assert {key: value.item() for key, value in one.items()} == {
        key: value.item() for key, value in other.items()
    }


def test_detections_are_in_pixels_of_the_image_the_surest_first(model, task):
    images, _ = batch([], [])
    with torch.inference_mode():
        found = task.detect(model.eval(), images)
    assert found.shape == (2, MOST, 6)
    used = found[found[..., 5] >= 0]
    assert len(used)
    assert used[:, :4].min() >= 0
    assert used[:, :4].max() <= 64
    assert set(used[:, 5].tolist()) <= {0.0, 1.0, 2.0, 3.0}
    assert (found[..., 4].diff(dim=1) <= 0).all()


def test_default_boxes_span_the_sizes_of_the_training_boxes():
    model = torchvision_models.build("ssdlite", 4, 64, ANCHORS)
    scales = model.anchor_generator.scales
    assert scales[0] == pytest.approx(8 / 64)
    assert scales[5] == pytest.approx(32 / 64)
    assert scales == sorted(scales)


def test_all_anchors_of_one_size_are_a_scale_as_well():
    model = torchvision_models.build("ssdlite", 4, 64, [(16.0, 16.0)])
    assert model.anchor_generator.scales == [0.25] * 7


def test_a_model_whose_shapes_depend_on_what_it_finds_is_summarized(name, lab):
    result = lab("summary", name, "--image-size", "64", "--depth", "1")
    assert result.code == 0, result
    assert "parameters" in result.out
    assert "backbone" in result.out
