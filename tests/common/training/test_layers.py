"""Layers from the input to the head, and what of them trains."""

import pytest
import torch
from torch import nn

from common.training import layers


class Transformer(nn.Module):
    """A parameter of its own, a child that is one layer, and a head in a list."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 4))
        self.patches = nn.Conv2d(1, 4, 2)
        self.encoder = nn.TransformerEncoderLayer(4, 2, 8)
        self.heads = nn.Sequential(nn.LayerNorm(4), nn.Dropout(), nn.Linear(4, 3))


def names(model):
    own = {parameter: name for name, parameter in model.named_parameters()}
    return {layer: [own[p] for p in found] for layer, found in layers.layers(model).items()}


def test_layers_take_lists_apart_and_norms_join_what_is_before():
    found = names(Transformer())
    assert list(found) == ["patches", "encoder", "heads.2"]
    assert found["patches"] == ["token", "patches.weight", "patches.bias"]
    assert found["encoder"][-2:] == ["heads.0.weight", "heads.0.bias"]
    assert layers.head(Transformer()) == "heads.2"


def test_every_parameter_is_in_one_layer_also_when_shared():
    model = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4), nn.ModuleList([nn.Linear(4, 4)]))
    model[2][0].weight = model[1].weight
    found = [name for layer in names(model).values() for name in layer]
    assert sorted(found) == sorted(name for name, _ in model.named_parameters())


@pytest.fixture
def model():
    return nn.Sequential(
        nn.Dropout(),
        nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout()),
        nn.Sequential(nn.Dropout(), nn.Linear(2, 2), nn.Dropout(), nn.Linear(2, 2)),
    )


def modes(model):
    return {name for name, module in model.named_modules() if module.training}


def test_all_trains_where_nothing_is_frozen(model):
    layers.train(model.eval())
    assert all(module.training for module in model.modules())


def test_what_is_frozen_is_in_eval_and_so_is_dropout_before_what_trains(model):
    layers.freeze(model, ["1"])
    layers.train(model)
    assert modes(model) == {"", "2", "2.1", "2.2", "2.3"}
    layers.freeze_all_but(model, ["2.3"])
    layers.train(model)
    assert modes(model) == {"", "2", "2.3"}


def test_names_are_whole_parts_and_may_be_single_parameters():
    model = nn.ModuleDict({"a": nn.Linear(1, 1), "ab": nn.Linear(1, 1)})
    layers.freeze(model, ["a", "ab.bias"])
    trains = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trains == {"ab.weight"}
