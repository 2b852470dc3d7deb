"""Attention rollout: against hand calculation and torch's own weights, and the command."""

import json

import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

from common.runs import views
from common.runs.folder import Run
from labs.classification.look import explain_plots, rollout
from labs.classification.models import heads, vit
from labs.classification.models.build import build


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def weights(layers=3, count=2, tokens=4):
    return [noise(count, tokens, tokens, seed=seed).softmax(-1) for seed in range(layers)]


def test_the_shares_of_a_token_add_to_one():
    torch.testing.assert_close(rollout.roll_out(weights()).sum(1), torch.ones(4))


def test_two_layers_of_two_tokens_by_hand():
    first = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
    second = torch.tensor([[[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]])  # two heads
    # First (A + I) / 2: [[1, 0], [.25, .75]]. Second, of the mean of its heads [[.5, .5], [1, 0]]:
    # [[.75, .25], [.5, .5]]. Their product is what the last layer takes of what the first gave.
    expected = torch.tensor([[0.8125, 0.1875], [0.625, 0.375]])
    torch.testing.assert_close(rollout.roll_out([first, second]), expected)


def test_where_nothing_is_taken_from_others_each_token_stays_its_own():
    assert torch.equal(rollout.roll_out([torch.eye(3)[None]] * 4), torch.eye(3))


def test_weights_are_those_of_torchs_multi_head_attention():
    torch.manual_seed(0)
    own, reference = vit.Attention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(own.queries_keys_values.weight)
        reference.in_proj_bias.copy_(own.queries_keys_values.bias)
    grid = noise(1, 2, 3, 12)
    [found] = rollout._weigh_layers(own, grid)
    tokens = grid.flatten(1, 2)
    expected = reference(tokens, tokens, tokens, average_attn_weights=False)[1][0]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", vit.DESIGNS)
@pytest.mark.parametrize("size", [20, 28])
def test_all_of_an_answer_is_mixed_of_patches(name, size):
    torch.manual_seed(0)
    model = build(name, 1, 28, 10).eval()
    found = rollout.find(model, noise(1, 1, size, size))
    assert found.layers == vit._BLOCKS
    assert len(found.heads) == vit._HEADS
    assert found.whole.shape == (size // 4, size // 4)
    assert found.whole.sum() == pytest.approx(1, abs=1e-5)
    assert all(head.sum() == pytest.approx(1, abs=1e-5) for head in found.heads)
    assert 1 <= found.half <= found.whole.size // 2 + 1


def test_of_torchvisions_the_class_token_is_asked_and_has_a_share_itself():
    torch.manual_seed(0)
    model = VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=8).eval()
    image = noise(1, 3, 32, 32)
    with torch.no_grad():
        before = model(image)
        found = rollout.find(model, image)
        assert torch.equal(model(image), before)
    assert found.layers == 2
    assert found.whole.shape == (4, 4)
    mixed = rollout.roll_out(rollout._weigh_layers(model, image))
    assert mixed.shape == (17, 17)
    torch.testing.assert_close(torch.from_numpy(found.whole).flatten(), mixed[0, 1:])


def test_networks_without_attention_from_all_to_all_have_none():
    size = 28
    for name in ("resnet20", "linear"):
        assert rollout.find(build(name, 1, size, 10).eval(), noise(1, 1, size, size)) is None
    swin = build("swin_t", 3, 32, 10).eval()
    assert rollout.find(swin, noise(1, 3, 32, 32)) is None
    several = heads.Separate([build("small-vit", 1, 8, 2), build("small-vit", 1, 8, 3)]).eval()
    assert rollout.find(several, noise(1, 1, 8, 8)) is None


def test_half_is_counted_from_the_largest_on():
    shares = torch.tensor([[0.4, 0.3], [0.2, 0.1]]).numpy()
    assert rollout.Rollout(1, shares, []).half == 2
    assert rollout.Rollout(1, torch.full((2, 2), 0.25).numpy(), []).half == 2


def test_an_even_share_has_no_color_and_more_is_red():
    picture = torch.zeros(4, 4).numpy()
    even = explain_plots.shaded(picture, torch.full((2, 2), 0.25).numpy())
    assert (even == even[0, 0]).all()
    more = explain_plots.shaded(picture, torch.tensor([[0.7, 0.1], [0.1, 0.1]]).numpy())
    assert (more[:2, :2] == more[0, 0]).all()
    assert more[0, 0, 0] > more[0, 0, 2]
    assert more[3, 3, 0] < more[3, 3, 2]


@pytest.fixture(scope="module")
def run(lab, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    words = (
        "--data",
        "digits",
        "--limit",
        "120",
        "--epochs",
        "1",
        "--warmup",
        "0",
        "--threads",
        "1",
    )
    for model in ("small-vit", "linear"):
        found = lab("train", *words, "--model", model, "--run-dir", runs, "--name", model)
        assert found.code == 0, found
    return runs / "classification"


def test_explain_draws_it_beside_the_other_ways_and_alone(lab, run):
    found = lab("explain", run / "small-vit", "3")
    assert found.code == 0, found
    assert (run / "small-vit/figures/explain-1-rollout.png").is_file()
    found = lab("explain", run / "small-vit", "--rollout", "3", "5", "--format", "json")
    assert found.code == 0, found
    rows = json.loads(found.out)
    assert [row["patches"] for row in rows] == [16, 16]
    assert (run / "small-vit/figures/rollout-2.png").is_file()
    kept = {view: views.recall(Run(run / "small-vit"), view) for view in ("explain", "rollout")}
    assert all("Attention rollout says which patches" in each.text for each in kept.values())
    assert "has none, or mixes them by attention" in kept["explain"].text
    assert len(kept["rollout"].pictures) == 2


def test_a_network_without_attention_is_refused_with_what_goes(lab, run):
    found = lab("explain", run / "linear", "--rollout", "3")
    assert found.code != 0
    assert "--rollout: linear has no attention from all patches to all; leave it out" in found.err
    assert "train --model small-vit" in found.err


def test_a_layer_does_not_go_with_all_layers(lab, run):
    found = lab("explain", run / "small-vit", "--rollout", "--layer", "block1", "3")
    assert found.code == 2
    assert "--rollout: goes over all layers; drop it, or --layer" in found.err
