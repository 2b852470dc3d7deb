"""Receptive fields: the values of the paper and of hand calculation, and what trying them gives."""

import csv
import io
import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision import models as torchvision_models

from labs.classification.look import layer_calls
from labs.classification.look import receptive_field as fields
from labs.classification.models import build as models


def on_meta(build, *arguments, **options):
    with torch.device("meta"):
        return build(*arguments, **options)


def arithmetic(model, channels=3, image_size=224):
    return fields.by_arithmetic(layer_calls.trace(model, channels, image_size))


def along(found):
    return [(field.size, field.jump, field.start) for field in found]


# Arithmetic


def test_lenet5_by_hand():
    found = arithmetic(on_meta(models.build, "lenet5", 1, 28, 10), 1, 28)
    assert [field.name for field in found] == ["c1", "s2", "c3", "s4"]
    assert [field.maps for field in found] == [(6, 28), (6, 14), (16, 10), (16, 5)]
    # c1 is padded by 2: its first unit stands over the first pixel.
    assert along(found) == [(5, 1, 0.0), (6, 2, 0.5), (14, 2, 4.5), (16, 4, 5.5)]


@pytest.mark.parametrize(
    ("build", "size", "jump", "border"),
    [
        (torchvision_models.alexnet, 195, 32, 66),  # 64 in the paper, whose first layer has no 2
        (torchvision_models.vgg16, 212, 32, 90),
        (torchvision_models.vgg16_bn, 212, 32, 90),
    ],
)
def test_the_published_chains(build, size, jump, border):
    """Araujo, Norris and Sim 2019, the table of models; the border is their effective padding."""
    last = arithmetic(on_meta(build))[-1]
    assert (last.size, last.jump) == (size, jump)
    assert last.start - (last.size - 1) / 2 == -border


def test_vgg16_after_each_pooling_by_hand():
    found = arithmetic(on_meta(torchvision_models.vgg16))
    pools = [field for field in found if field.name.split(".")[1] in ("4", "9", "16", "23", "30")]
    assert [field.size for field in pools] == [6, 16, 44, 100, 212]


def convolutions(strides, channels=1):
    return [nn.Conv2d(channels, channels, 3, stride, padding=1) for stride in strides]


def test_resnet_v1_50_and_mobilenet_v1_as_in_the_paper():
    """Their main paths, with the steps where the measured models have them: last in a block."""
    blocks = [*[1, 1, 2], *[1, 1, 1, 2], *[1, 1, 1, 1, 1, 2], *[1, 1, 1]]
    stem = [nn.Conv2d(1, 1, 7, 2, padding=3), nn.MaxPool2d(3, 2)]
    last = arithmetic(nn.Sequential(*stem, *convolutions(blocks)), 1, 480)[-1]
    assert (last.size, last.jump, last.start - (last.size - 1) / 2) == (483, 32, -239)
    steps = [2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    last = arithmetic(nn.Sequential(*convolutions(steps)), 1, 224)[-1]
    assert (last.size, last.jump) == (315, 32)


class Functional(nn.Module):
    """Two convolutions with something between them that is no module."""

    def __init__(self, between):
        super().__init__()
        self.one, self.two = convolutions([1, 1])
        self.relu = nn.ReLU()
        self.between = between

    def forward(self, images):
        return self.two(self.between(self.relu(self.one(images)), images))


@pytest.mark.parametrize(
    "between",
    [
        lambda maps, images: maps + images,
        lambda maps, images: maps.add_(1),
        lambda maps, images: functional.max_pool2d(maps, 2),
        lambda maps, images: maps * maps.mean((2, 3), keepdim=True),
    ],
)
def test_what_is_no_chain_is_not_computed(between):
    assert arithmetic(Functional(between), 1, 16) is None
    assert arithmetic(Functional(lambda maps, images: maps), 1, 16) is not None


@pytest.mark.parametrize(
    "middle", [nn.GroupNorm(1, 1), nn.Upsample(scale_factor=2), nn.InstanceNorm2d(1)]
)
def test_layers_that_are_neither_windows_nor_pointwise_are_not_computed(middle):
    model = nn.Sequential(*convolutions([1]), middle, *convolutions([1]))
    assert arithmetic(model, 1, 16) is None


def test_weighing_by_the_whole_picture_is_no_chain():
    assert arithmetic(on_meta(torchvision_models.efficientnet_b0)) is None


# Trial


def test_trial_and_arithmetic_agree():
    model = models.build("lenet5", 1, 28, 10).eval()
    by_side = {field.maps[1]: field for field in arithmetic(model, 1, 28)}
    tried = fields.by_trial(model, 1, 28)
    assert along(tried) == along(by_side.values())
    assert [field.maps for field in tried] == [field.maps for field in by_side.values()]


def test_trial_and_arithmetic_agree_on_unusual_windows():
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding="same", dilation=3),
        nn.AvgPool2d(3, 2, 1),
        nn.Conv2d(2, 2, 4, stride=2, padding=1),
        nn.MaxPool2d(2, stride=1, dilation=2),
    ).eval()
    by_side = {field.maps[1]: field for field in arithmetic(model, 1, 64)}
    assert along(fields.by_trial(model, 1, 64)) == along(by_side.values())


def test_a_model_that_takes_one_size_is_tried_on_it():
    """The same windows as in lenet5, of kernels that are not shared."""
    model = models.build("locally-connected", 1, 28, 10).eval()
    assert arithmetic(model, 1, 28) is None
    expected = [(5, 1, 0.0), (6, 2, 0.5), (14, 2, 4.5), (16, 4, 5.5)]
    assert along(fields.by_trial(model, 1, 28)) == expected


@pytest.mark.slow
def test_the_fields_of_resnet18_by_hand():
    model = torchvision_models.resnet18().eval()
    assert arithmetic(model) is None
    found = fields.by_trial(model, 3, 64)
    assert [field.name for field in found] == ["relu", "layer1", "layer2", "layer3", "layer4"]
    sizes = [7, 11 + 4 * 8, 43 + 8 + 3 * 16, 99 + 16 + 3 * 32, 211 + 32 + 3 * 64]
    assert along(found) == [(size, 2**n, 0.0) for n, size in enumerate(sizes, 1)]


@pytest.mark.slow
def test_inception_v3_as_in_the_paper():
    model = torchvision_models.inception_v3(aux_logits=False, init_weights=False).eval()
    last = fields.by_trial(model, 3, 299)[-1]
    assert (last.size, last.jump, last.start - (last.size - 1) / 2) == (1311, 32, -618)


def test_a_global_layer_sees_the_whole_picture():
    model = Functional(lambda maps, images: maps * maps.mean((2, 3), keepdim=True)).eval()
    [field] = fields.by_trial(model, 1, 16)
    assert (field.size, field.maps) == (None, (1, 16))
    [row] = fields.records(fields.survey(model, "x", 1, 16))
    assert (row["field"], row["jump"], row["start"]) == ("all", None, None)


def test_a_model_is_left_as_it_was(same):
    model = models.build("lenet5", 1, 28, 10)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fields.survey(model, "lenet5", 1, 28)
    assert same(before, model.state_dict())
    assert not any(module._forward_hooks for module in model.modules())


# In effect


def test_the_effective_field_of_a_convolution_is_its_weights():
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1)).eval()
    strength = fields.effective(model, [0], 1, 9, seed=0)[0]
    weights = model[0].weight.detach()[0, 0].abs().numpy()
    assert np.allclose(strength[3:6, 3:6], weights)
    assert strength.sum() == pytest.approx(weights.sum(), rel=1e-5)


def test_the_effective_field_is_the_mean_square_over_channels_and_maps():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 400, 1)).eval()
    strength = fields.effective(model, [0], 3, 5, seed=0)[0]
    expected = model[0].weight.detach().square().sum().div(3).sqrt().item()
    assert strength[2, 2] == pytest.approx(expected, rel=0.1), "signs of 16 images estimate it"
    assert np.count_nonzero(strength) == 1


def test_a_deep_chain_sees_less_than_it_could():
    torch.manual_seed(0)
    model = nn.Sequential(*convolutions([1] * 12, channels=4)).eval()
    strength = fields.effective(model, [3, 11], 4, 41, seed=0)
    assert arithmetic(model, 4, 41)[-1].size == 25
    shallow, deep = (fields.effective_side(strength[place]) for place in (3, 11))
    assert shallow < 9
    assert shallow < deep < 20
    assert np.unravel_index(strength[11].argmax(), (41, 41)) in [
        (row, column) for row in range(17, 24) for column in range(17, 24)
    ]


def test_the_side_counts_what_is_above_the_tail():
    strength = np.zeros((9, 9))
    strength[2:6, 2:6] = 1
    strength[0, 0] = 0.045
    assert fields.effective_side(strength) == 4
    strength[0, 0] = 0.046
    assert fields.effective_side(strength) == pytest.approx(math.sqrt(17))


# The command


def test_a_model_by_name_is_shown_and_drawn(lab, tmp_path):
    path = tmp_path / "그림" / "fields.png"
    result = lab("receptive-field", "lenet5", "--picture", path, "--format", "csv")
    assert (result.code, result.err) == (0, f"picture: {path}\n")
    assert path.read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert [(row["layer"], row["field"], row["jump"]) for row in rows] == [
        *(("c1", "5", "1"), ("s2", "6", "2"), ("c3", "14", "2"), ("s4", "16", "4"))
    ]
    assert all(0 < float(row["effective field"]) <= float(row["field"]) for row in rows)
    again = lab("receptive-field", "lenet5", "--picture", path, "--format", "csv")
    assert again.out == result.out
    other = lab("receptive-field", "lenet5", "--picture", path, "--format", "csv", "--seed", "1")
    assert other.code == 0


@pytest.mark.slow
def test_a_run_is_shown_as_trained_and_its_report_keeps_it(train, lab):
    words = ("--model", "lenet5", "--image-size", "16", "--epochs", "1")
    result, run = train(*words)
    assert result.code == 0, result
    result = lab("receptive-field", "--run", run, full=True, drawn=True)
    assert result.code == 0
    assert (run / "figures/receptive_field.png").is_file()
    assert "Receptive fields" in (run / "report.html").read_text()
    assert lab("report", run, full=True).code == 0
    assert "Receptive fields" in (run / "report.html").read_text()
    assert json.loads((run / "views/receptive-field.json").read_text())["table"]["rows"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lenet6"], "no model 'lenet6'; did you mean lenet5?"),
        ([], "give the name of a model, such as lenet5, or --run RUN"),
        (["lenet5", "--run", "x"], "give the name of a model, such as lenet5, or --run RUN"),
        (["--run", "x"], "x is not a run folder"),
        (["--run", "x", "--channels", "3"], "go with the name of a model"),
        (["mlp"], "mlp has no convolution or pooling: each of its units sees the whole picture"),
        (["lenet5", "--image-size", "8"], "at least 12x12 pixels"),
    ],
)
def test_what_cannot_be_shown_is_refused(words, message, lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = lab("receptive-field", *words)
    assert result.code == 2
    assert message in result.err
    assert not list(tmp_path.iterdir())


def test_a_picture_that_cannot_be_written_is_said(lab, tmp_path):
    (tmp_path / "file").write_text("")
    result = lab("receptive-field", "lenet5", "--picture", tmp_path / "file/x.png")
    assert result.code == 1
    assert "could not write" in result.err
