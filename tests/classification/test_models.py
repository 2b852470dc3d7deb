import functools
import subprocess
import sys

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import get_model, get_model_builder, get_model_weights, list_models

from common.errors import ConfigError
from common.summary import summarize
from labs.classification.models import build
from labs.classification.names import DESCRIPTIONS, MODELS, TORCHVISION, model_names, needs_color


def smallest_of_each_family():
    """One name per module of torchvision.models, the one with the fewest parameters."""
    families = {}
    for name in TORCHVISION:
        families.setdefault(get_model_builder(name).__module__, []).append(name)
    return [min(names, key=published_parameters) for names in families.values()]


def published_parameters(name):
    return get_model_weights(name).DEFAULT.meta["num_params"]


def check_gradients(model, images):
    loss = nn.functional.cross_entropy(model(images), torch.arange(len(images)))
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad, name
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert any(parameter.grad.any() for parameter in model.parameters())


# Names


def test_the_committed_names_are_those_of_the_installed_torchvision():
    assert list(TORCHVISION) == sorted(list_models(module=torchvision.models))


def test_every_own_model_is_described_in_one_line():
    assert DESCRIPTIONS.keys() == MODELS.keys()
    assert not any("\n" in line for line in DESCRIPTIONS.values())


def test_names_do_not_clash_and_only_torchvision_needs_color():
    assert len(set(model_names())) == len(model_names()) == len(MODELS) + len(TORCHVISION)
    assert [name for name in model_names() if not needs_color(name)] == list(MODELS)


def test_names_are_known_without_torch():
    code = "import sys, labs.classification.names; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The lab's own models


def smallest_size(name):
    for size in range(1, 65):
        try:
            build(name, 1, size, 3)
        except ConfigError:
            continue
        return size
    raise AssertionError(f"{name} takes no size up to 64")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", MODELS)
def test_own_models_learn_on_their_smallest_image(name, channels):
    size = smallest_size(name)
    model = build(name, channels, size, 3)
    images = torch.randn(3, channels, size, size, generator=torch.Generator().manual_seed(1))
    assert model(images).shape == (3, 3)
    check_gradients(model, images)


@pytest.mark.parametrize("size", [12, 13, 27, 28, 29, 31, 32, 33, 52, 64])
@pytest.mark.parametrize("name", MODELS)
def test_own_models_adapt_to_the_image_size(name, size):
    assert build(name, 1, size, 10)(torch.zeros(2, 1, size, size)).shape == (2, 10)


def test_linear_scores_are_inner_products_with_templates():
    model = build("linear", 3, 8, 10)
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    templates = model.classifier.weight.view(10, 3, 8, 8)
    scores = torch.einsum("nchw,kchw->nk", images, templates) + model.classifier.bias
    torch.testing.assert_close(model(images), scores)


@pytest.mark.parametrize(
    ("name", "size", "parameters"),
    [
        ("linear", 28, 784 * 10 + 10),
        ("mlp", 28, 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10),
        ("lenet5", 28, 61_706),
        ("lenet5", 32, 61_706),
    ],
)
def test_parameter_counts(name, size, parameters):
    assert sum(p.numel() for p in build(name, 1, size, 10).parameters()) == parameters


@pytest.mark.parametrize("size", [28, 32])
def test_lenet5_has_the_shapes_of_the_paper(size):
    summary = summarize(build("lenet5", 1, size, 10), (1, size, size))
    shapes = {row.name: row.output_shape[1:] for row in summary.rows}
    assert (shapes["c1"], shapes["s2"]) == ((6, 28, 28), (6, 14, 14))
    assert (shapes["c3"], shapes["s4"]) == ((16, 10, 10), (16, 5, 5))
    assert (shapes["c5"], shapes["f6"], shapes["output"]) == ((120,), (84,), (10,))
    assert summary.multiply_adds == 117_600 + 240_000 + 48_000 + 10_080 + 840


def test_lenet5_says_what_it_needs():
    with pytest.raises(ConfigError, match=r"at least 12x12 .* have 8x8; .*--image-size 28"):
        build("lenet5", 1, 8, 10)
    assert smallest_size("lenet5") == 12


# torchvision's models


def check_on_meta(name, monkeypatch):
    """Build for 7 classes without memory, and send an image through."""
    if name.startswith("regnet_"):
        # The constructor reads the values of what these make.
        monkeypatch.setattr(torch, "arange", functools.partial(torch.arange, device="cpu"))
        monkeypatch.setattr(torch, "tensor", functools.partial(torch.tensor, device="cpu"))
    with torch.device("meta"):
        model = build(name, 3, 224, 7)
    assert summarize(model, (3, 224, 224)).rows[0].output_shape == (1, 7)


@pytest.mark.parametrize("name", smallest_of_each_family())
def test_every_family_of_torchvision(name, monkeypatch):
    check_on_meta(name, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCHVISION)
def test_every_model_of_torchvision(name, monkeypatch):
    check_on_meta(name, monkeypatch)


@pytest.mark.parametrize("size", [8, 33])
def test_regnets_are_exempt_from_the_trial_because_they_take_any_size(size):
    model = build("regnet_y_400mf", 3, size, 7).eval()
    assert model(torch.zeros(1, 3, size, size)).shape == (1, 7)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_no_auxiliary_outputs_in_training_mode(name):
    with torch.device("meta"):
        model = build(name, 3, 96, 7)
        assert model.train()(torch.empty(2, 3, 96, 96)).shape == (2, 7)


def test_a_torchvision_model_learns():
    model = build("shufflenet_v2_x0_5", 3, 64, 4)
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    check_gradients(model, images)


def test_the_trial_draws_no_random_numbers():
    torch.manual_seed(1)
    expected = get_model("shufflenet_v2_x0_5", num_classes=4).state_dict()
    torch.manual_seed(1)
    found = build("shufflenet_v2_x0_5", 3, 64, 4).state_dict()
    assert all(torch.equal(expected[key], found[key]) for key in expected)


@pytest.mark.parametrize(
    ("name", "size", "advice"),
    [
        ("vgg11", 28, 32),
        ("alexnet", 28, 64),
        ("inception_v3", 64, 75),
        ("vit_b_32", 28, 32),
        ("vit_b_32", 300, 256),
        ("maxvit_t", 64, 224),
    ],
)
def test_an_impossible_size_names_the_nearest_possible_one(name, size, advice):
    message = rf"{name} cannot take {size}x{size} images \(.+\); give --image-size {advice}$"
    with pytest.raises(ConfigError, match=message):
        build(name, 3, size, 10)


@pytest.mark.parametrize(
    ("name", "nearest"), [("resnet81", "resnet18"), ("LeNet-5", "lenet5"), ("zzz", "linear")]
)
def test_an_unknown_name_gets_near_ones(name, nearest):
    with pytest.raises(ConfigError, match=f"unknown model '{name}'; give --model .*{nearest}"):
        build(name, 3, 32, 10)


def test_grey_images_are_refused_where_color_is_needed():
    with pytest.raises(ConfigError, match=r"3 channels\), these have 1"):
        build("resnet18", 1, 32, 10)
