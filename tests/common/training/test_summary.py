import json

import pytest
import torch
import torchvision
from torch import nn

from common.training.summary import summarize


def rows_by_name(model, input_shape):
    return {row.name: row for row in summarize(model, input_shape).rows}


def small_network():
    """28x28 grey images -> 10 logits; every figure can be worked out by hand."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.MaxPool2d(2),
        nn.Sequential(nn.Conv2d(6, 16, 5), nn.BatchNorm2d(16), nn.ReLU()),
        nn.Flatten(),
        nn.Linear(1600, 10),
    )


def test_rows_give_the_tree_with_hand_counted_figures():
    rows = summarize(small_network(), (1, 28, 28)).rows
    found = [
        (row.name, row.depth, row.type, row.output_shape, row.parameters, row.multiply_adds)
        for row in rows
    ]
    assert found == [
        ("", 0, "Sequential", (1, 10), 0, 0),
        ("0", 1, "Conv2d", (1, 6, 28, 28), 6 * 25 + 6, 28 * 28 * 6 * 25),
        ("1", 1, "MaxPool2d", (1, 6, 14, 14), 0, 0),
        ("2", 1, "Sequential", (1, 16, 10, 10), 0, 0),
        ("2.0", 2, "Conv2d", (1, 16, 10, 10), 16 * 6 * 25 + 16, 10 * 10 * 16 * 6 * 25),
        ("2.1", 2, "BatchNorm2d", (1, 16, 10, 10), 32, 0),
        ("2.2", 2, "ReLU", (1, 16, 10, 10), 0, 0),
        ("3", 1, "Flatten", (1, 1600), 0, 0),
        ("4", 1, "Linear", (1, 10), 16010, 16000),
    ]


def test_totals_with_frozen_modules_and_buffers():
    model = small_network()
    model[0].requires_grad_(False)
    model[4].bias.requires_grad_(False)
    summary = summarize(model, (1, 28, 28))
    assert summary.parameters == 156 + 2416 + 32 + 16010
    assert summary.frozen_parameters == 156 + 10
    assert summary.trainable_parameters == 2416 + 32 + 16000
    assert summary.rows[1].trainable_parameters == 0
    assert summary.rows[-1].trainable_parameters == 16000
    assert summary.buffers == 16 + 16 + 1  # running mean and variance, batches seen
    assert summary.multiply_adds == 117_600 + 240_000 + 16_000
    assert summary.parameter_megabytes == pytest.approx(4 * summary.parameters / 1e6)


@pytest.mark.parametrize(
    ("name", "parameters", "giga_multiply_adds"),
    [
        ("vgg16", 138_357_544, 15.470),
        ("alexnet", 61_100_840, 0.714),
        ("resnet18", 11_689_512, 1.814),
        ("mobilenet_v3_small", 2_542_856, 0.057),  # grouped convolutions
        ("vit_b_32", 88_224_232, 4.409),  # attention
    ],
)
def test_published_figures(name, parameters, giga_multiply_adds):
    """The figures of torchvision's model pages, at 224 pixels and 1000 classes."""
    with torch.device("meta"):
        model = torchvision.models.get_model(name)
    summary = summarize(model, (3, 224, 224))
    assert summary.parameters == parameters
    assert summary.multiply_adds / 1e9 == pytest.approx(giga_multiply_adds, abs=5e-4)
    assert sum(row.parameters for row in summary.rows) == parameters
    assert sum(row.multiply_adds or 0 for row in summary.rows) == summary.multiply_adds
    assert summary.rows[0].output_shape == (1, 1000)


def test_no_arithmetic_is_done():
    """The sample alone would take 480 GB."""
    summary = summarize(nn.Conv2d(3, 1000, 3, padding=1), (3, 200_000, 200_000))
    assert summary.multiply_adds == 27 * 1000 * 200_000**2


def test_the_model_is_untouched():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout())
    model[2].eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    pointers = [p.data_ptr() for p in model.parameters()]
    random_state = torch.get_rng_state()
    summarize(model, (1, 8, 8))
    assert [module.training for module in model.modules()] == [True, True, True, False]
    assert [p.data_ptr() for p in model.parameters()] == pointers
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert torch.equal(torch.get_rng_state(), random_state)


class Unusual(nn.Module):
    """A module called twice, one never called, a list, a shared weight, work of its own, a dict."""

    def __init__(self):
        super().__init__()
        self.twice = nn.Linear(8, 8)
        self.never = nn.Linear(8, 3)
        self.several = nn.ModuleList([nn.Linear(8, 8, bias=False), nn.ReLU()])
        self.tied = nn.Linear(8, 8, bias=False)
        self.tied.weight = self.several[0].weight
        self.same = self.twice

    def forward(self, x):
        x = self.twice(self.same(x))
        for module in self.several:
            x = module(x)
        x = self.tied(x)
        return {"none": None, "pair": [x @ self.never.weight.T, x]}


def test_unusual_modules():
    rows = rows_by_name(Unusual(), (8,))
    assert list(rows) == ["", "twice", "never", "several", "several.0", "several.1", "tied"]
    assert rows[""].output_shape == (1, 3)
    assert rows[""].multiply_adds == 8 * 3
    assert rows["twice"].multiply_adds == 2 * 64
    assert rows["twice"].parameters == 72
    assert (rows["never"].output_shape, rows["never"].multiply_adds) == (None, None)
    assert rows["never"].parameters == 27
    assert (rows["several"].output_shape, rows["several"].multiply_adds) == (None, None)
    assert rows["several.0"].parameters == 64
    assert (rows["tied"].parameters, rows["tied"].multiply_adds) == (0, 64)
    summary = summarize(Unusual(), (8,))
    assert summary.parameters == sum(p.numel() for p in Unusual().parameters())
    assert summary.multiply_adds == 24 + 128 + 64 + 64


def test_recurrent_outputs_and_products():
    rows = rows_by_name(nn.Sequential(nn.LSTM(8, 16, batch_first=True)), (5, 8))
    assert rows["0"].output_shape == (1, 5, 16)
    assert rows["0"].multiply_adds == 5 * 4 * 16 * (8 + 16)  # steps, gates, units, inputs


def test_half_precision_parameters_take_half():
    model = nn.Sequential(nn.ReLU())
    model.register_parameter("weight", nn.Parameter(torch.zeros(500_000, dtype=torch.float16)))
    assert summarize(model, (1,)).parameter_megabytes == 1.0


def test_as_dict_goes_through_json():
    summary = summarize(small_network(), (1, 28, 28))
    loaded = json.loads(json.dumps(summary.as_dict()))
    assert loaded["parameters"] == summary.parameters
    assert loaded["rows"][1]["output_shape"] == [1, 6, 28, 28]


def test_a_sample_of_the_wrong_shape_is_an_error():
    with pytest.raises(RuntimeError, match="channel"):
        summarize(small_network(), (3, 28, 28))


def test_a_folded_summary_keeps_its_totals():
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.Linear(3, 2))))
    summary = summarize(model, (4,))
    for depth in (0, 1, 2, 3):
        rows = summary.folded(depth).rows
        assert max(row.depth for row in rows) == min(depth, 3)
        assert sum(row.parameters for row in rows) == summary.parameters == 23
        assert sum(row.multiply_adds or 0 for row in rows) == summary.multiply_adds == 18
