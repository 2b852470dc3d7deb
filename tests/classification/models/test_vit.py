"""Vision transformers by hand: against torch's own parts, and at sizes that they never saw."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from labs.classification.models import vit
from labs.classification.models.build import build

WIDTH, HEADS, SIDE = 12, 3, 5
OF_EMBEDDINGS = [name for name, design in vit.DESIGNS.items() if design.position == "embeddings"]


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def made(name, size=28):
    torch.manual_seed(0)
    return build(name, 1, size, 10).eval()


# --- attention and blocks -----------------------------------------------------------------------


def test_attention_is_torchs_multi_head_attention():
    torch.manual_seed(0)
    own, reference = vit.Attention(WIDTH, HEADS), nn.MultiheadAttention(WIDTH, HEADS)
    with torch.no_grad():
        reference.in_proj_weight.copy_(own.queries_keys_values.weight)
        reference.in_proj_bias.copy_(own.queries_keys_values.bias)
        reference.out_proj.load_state_dict(own.projection.state_dict())
    grid = noise(2, SIDE, SIDE + 1, WIDTH)
    tokens = grid.flatten(1, 2).transpose(0, 1)
    expected = reference(tokens, tokens, tokens)[0].transpose(0, 1).view(grid.shape)
    torch.testing.assert_close(own(grid), expected)


def test_a_block_is_torchs_encoder_layer_that_normalizes_first():
    torch.manual_seed(0)
    own = vit.Block(WIDTH, HEADS)
    reference = nn.TransformerEncoderLayer(
        *(WIDTH, HEADS, 2 * WIDTH, 0.0, functional.gelu), batch_first=True, norm_first=True
    )
    attention = own.attention
    reference.load_state_dict(
        {
            "self_attn.in_proj_weight": attention.queries_keys_values.weight,
            "self_attn.in_proj_bias": attention.queries_keys_values.bias,
            "self_attn.out_proj.weight": attention.projection.weight,
            "self_attn.out_proj.bias": attention.projection.bias,
            "linear1.weight": own.network[0].weight,
            "linear1.bias": own.network[0].bias,
            "linear2.weight": own.network[2].weight,
            "linear2.bias": own.network[2].bias,
            **{
                f"norm{n}.{k}": v
                for n in (1, 2)
                for k, v in own.get_submodule(f"norm{n}").state_dict().items()
            },
        }
    )
    grid = noise(2, SIDE, SIDE, WIDTH)
    torch.testing.assert_close(own(grid), reference(grid.flatten(1, 2)).view(grid.shape))


def test_the_parameters_of_the_plain_one_are_those_of_its_parts():
    width, hidden = vit._WIDTH, vit._WIDER * vit._WIDTH
    block = 4 * width * (width + 1) + 4 * width + hidden * (2 * width + 1) + width
    expected = 17 * width + 49 * width + vit._BLOCKS * block + 2 * width + 10 * (width + 1)
    assert sum(each.numel() for each in made("small-vit").parameters()) == expected


# --- patches ------------------------------------------------------------------------------------


def test_patches_are_cut_out_and_go_through_a_linear_layer():
    patches, images = vit.Patches(3, WIDTH, 4), noise(2, 3, 12, 8)
    cut = functional.unfold(images, 4, stride=4).transpose(1, 2)
    weight = patches.projection.weight.flatten(1)
    expected = functional.linear(cut, weight, patches.projection.bias)
    torch.testing.assert_close(patches(images), expected.view(2, 3, 2, WIDTH))


def test_patches_that_overlap_are_windows_of_nearly_twice_the_side():
    patches, images = vit.OverlappingPatches(1, WIDTH, 4), noise(2, 1, 12, 12)
    cut = functional.unfold(images, 7, stride=4, padding=3).transpose(1, 2)
    weight = patches.projection.weight.flatten(1)
    expected = functional.linear(cut, weight, patches.projection.bias)
    torch.testing.assert_close(patches(images), expected.view(2, 3, 3, WIDTH))


def test_an_image_that_patches_do_not_fill_gets_zeros_around_it():
    patches, images = vit.Patches(1, WIDTH, 4), noise(2, 1, 10, 10)
    torch.testing.assert_close(patches(images), patches(functional.pad(images, (1, 1, 1, 1))))
    assert patches(noise(1, 1, 9, 9)).shape == (1, 3, 3, WIDTH)


@pytest.mark.parametrize(
    ("size", "patch"), [(1, 2), (8, 2), (16, 2), (17, 4), (28, 4), (32, 4), (64, 8), (224, 32)]
)
def test_at_most_eight_patches_make_a_side(size, patch):
    assert vit.find_patch(size) == patch


@pytest.mark.parametrize("patches", [vit.Patches, vit.OverlappingPatches, vit.Stem])
@pytest.mark.parametrize("size", [8, 13, 30, 32])
def test_all_ways_to_make_patches_give_the_same_grid(patches, size):
    side = -(-size // 4)
    assert patches(1, 16, 4)(noise(2, 1, size, size)).shape == (2, side, side, 16)


# --- positions ----------------------------------------------------------------------------------


def test_positions_are_what_was_learned_at_the_trained_size_and_interpolated_at_others():
    position, grid = vit.PositionEmbeddings(SIDE, WIDTH), noise(2, SIDE, SIDE, WIDTH)
    assert position.at(SIDE, SIDE) is position.embeddings
    assert torch.equal(position(grid), grid + position.embeddings)
    maps = position.embeddings.permute(0, 3, 1, 2)
    for side in (3, 7):
        expected = functional.interpolate(maps, (side, side), mode="bicubic")
        assert torch.equal(position.at(side, side), expected.permute(0, 2, 3, 1))


@pytest.mark.parametrize("name", vit.DESIGNS)
def test_weights_of_another_size_fit_once_their_positions_are_interpolated(name):
    given, model = made(name, size=28), made(name, size=32)
    model.load_state_dict(vit.fit_positions(model, given.state_dict()))
    image = noise(1, 1, 32, 32)
    torch.testing.assert_close(model.eval()(image), given(image))
    assert vit.fit_positions(nn.Linear(2, 2), {"weight": image}) == {"weight": image}


def test_positions_by_convolution_are_what_is_around_a_token_at_any_size():
    position = vit.PositionConvolution(WIDTH)
    weight, bias = position.convolution.weight, position.convolution.bias
    for side in (1, 4, 9):
        grid = noise(1, side, side, WIDTH)
        padded = functional.pad(grid, (0, 0, 1, 1, 1, 1))
        around = [
            padded[:, row : row + side, column : column + side] * weight[:, 0, row, column]
            for row in range(3)
            for column in range(3)
        ]
        torch.testing.assert_close(position(grid), grid + sum(around) + bias)


def test_without_positions_patches_are_a_set_and_with_them_they_are_not():
    image = noise(1, 1, 28, 28)
    patches = image.view(1, 7, 4, 7, 4).permute(0, 1, 3, 2, 4).reshape(49, 4, 4)
    mixed = patches[torch.randperm(49, generator=torch.Generator().manual_seed(0))]
    shuffled = mixed.view(1, 7, 7, 4, 4).permute(0, 1, 3, 2, 4).reshape(1, 1, 28, 28)
    for name in ("small-vit-no-position", "small-vit", "small-vit-conv-position"):
        model = made(name)
        same = torch.allclose(model(image), model(shuffled), atol=1e-5)
        assert same is (name == "small-vit-no-position"), name


# --- whole models -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", vit.DESIGNS)
def test_a_network_for_one_size_goes_through_at_others(name):
    model = made(name)
    for size in (8, 20, 27, 40):
        assert model(noise(2, 1, size, size)).shape == (2, 10)


@pytest.mark.parametrize("name", OF_EMBEDDINGS)
def test_the_positions_of_a_network_follow_its_own_size(name):
    assert made(name, size=64).position.embeddings.shape[1:3] == (8, 8)


def test_a_design_differs_in_what_it_says_it_does():
    parts = {name: type(made(name).patches) for name in vit.DESIGNS}
    assert parts["small-vit"] is parts["small-vit-conv-position"] is vit.Patches
    assert parts["small-vit-overlap"] is vit.OverlappingPatches
    assert parts["small-vit-conv"] is parts["small-vit-conv-stem"] is vit.Stem
    assert not hasattr(made("small-vit-no-position"), "position")
    assert isinstance(made("small-vit-conv").position, vit.PositionConvolution)
