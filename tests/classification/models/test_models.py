import functools
import itertools

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional
from torchvision.models import (
    VisionTransformer,
    get_model,
    get_model_builder,
    get_model_weights,
    list_models,
    vgg,
)

from common.errors import ConfigError
from common.training import When, losses
from common.training.summary import summarize
from common.training.task import Classification
from labs.classification.models import lenet as lenets
from labs.classification.models.build import build
from labs.classification.models.catalogue import DESCRIPTIONS, MODELS, TORCHVISION
from labs.classification.models.resnet import Block
from labs.classification.models.torchvision_models import fit_position_embeddings

# Those of the lab's own that torchvision has too.
SHARED = [name for name in list_models(module=torchvision.models) if name in DESCRIPTIONS]
OWN = [name for name in DESCRIPTIONS if not MODELS[name].needs_color]
LENETS = ("lenet5", "lenet5-1998", "locally-connected")
SIZES = (1, 12, 28, 32, 63, 64, 75, 96, 128, 224, 299)
# From here on, a model is only built, without its numbers.
LARGE = 100_000_000


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def count(model):
    return sum(p.numel() for p in model.parameters())


def on_meta(name, channels, size, classes):
    with torch.device("meta"):
        return build(name, channels, size, classes)


def published_parameters(name):
    return get_model_weights(name).DEFAULT.meta["num_params"]


def smallest_of_each_family():
    """One name per module of torchvision.models, the one with the fewest parameters."""
    families = {}
    for name in TORCHVISION:
        families.setdefault(get_model_builder(name).__module__, []).append(name)
    return [min(names, key=published_parameters) for names in families.values()]


@functools.cache
def smallest_size(name, channels=3):
    """Return the least of some sizes that a model takes, with its auxiliary classifiers."""
    if name == "inception_v3":
        return 299
    if not MODELS[name].tried:
        return 32
    for size in SIZES:
        try:
            on_meta(name, channels, size, 3)
        except ConfigError:
            continue
        return size
    raise AssertionError(f"{name} takes none of {SIZES}")


def check_gradients(name, channels=3):
    """Train a model on three images: the task's loss reaches every parameter."""
    size = smallest_size(name, channels)
    torch.manual_seed(1)
    model = build(name, channels, size, 3).train()
    task = Classification(losses.build("cross-entropy"), auxiliary=MODELS[name].auxiliary)
    batch = noise(3, channels, size, size), torch.arange(3)
    parts = task.loss(model, batch, When(0, 0, torch.Generator()))
    assert parts.keys() == task.weights(batch).keys()
    sum(parts.values()).backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.requires_grad, parameter_name
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
    assert any(parameter.grad.any() for parameter in model.parameters())
    with torch.no_grad():
        assert model.eval()(batch[0]).shape == (3, 3)


# Every registered model


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_every_own_model_takes_what_it_was_published_for(name):
    channels, size, classes = MODELS[name].usual
    summary = summarize(on_meta(name, channels, size, classes), (channels, size, size))
    assert summary.rows[0].output_shape == (1, classes)


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_own_models_learn_on_their_smallest_grey_image(name):
    check_gradients(name, channels=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_own_models_learn_in_color(name):
    check_gradients(name)


@pytest.mark.parametrize(
    "name", ["shufflenet_v2_x0_5", pytest.param("googlenet", marks=pytest.mark.slow)]
)
def test_torchvision_models_learn(name):
    check_gradients(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in TORCHVISION if published_parameters(n) < LARGE])
def test_every_torchvision_model_learns_on_its_smallest_image(name):
    check_gradients(name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    [
        *itertools.product(OWN, (12, 33, 64, 95)),
        *itertools.product(LENETS, (13, 27, 28, 29, 31, 32, 52)),
    ],
)
def test_own_models_adapt_to_the_image_size(name, size):
    if size < smallest_size(name):
        with pytest.raises(ConfigError, match=f"{name} needs at least .* have {size}x{size}; give"):
            on_meta(name, 1, size, 10)
    else:
        images = torch.empty(2, 1, size, size, device="meta")
        assert on_meta(name, 1, size, 10)(images).shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "smallest", "advice"),
    [
        ("lenet5", 12, 28),
        ("lenet5-1998", 12, 28),
        ("locally-connected", 12, 28),
        ("alexnet-lrn", 63, 64),
        ("vgg16_bn", 32, 32),
    ],
)
def test_where_the_poolings_leave_nothing_the_smallest_size_is_named(name, smallest, advice):
    message = (
        f"^{name} needs at least {smallest}x{smallest} pixels, the images have "
        f"{smallest - 1}x{smallest - 1}; give --image-size {advice}, or --model mlp$"
    )
    with pytest.raises(ConfigError, match=message):
        build(name, 1, smallest - 1, 10)
    on_meta(name, 1, smallest, 10)
    on_meta(name, 1, advice, 10)


@pytest.mark.parametrize(
    ("name", "shape", "parameters"),
    [
        ("linear", (1, 28, 10), 784 * 10 + 10),
        ("mlp", (1, 28, 10), 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10),
        ("lenet5", (1, 28, 10), 61_706),
        ("lenet5", (1, 32, 10), 61_706),
        # The paper's 156 + 12 + 1,516 + 32 + 48,120 + 10,164; the codes do not train.
        ("lenet5-1998", (1, 32, 10), 60_000),
        ("locally-connected", (1, 28, 10), 61_706 - 156 - 2_416 + 122_304 + 241_600),
        ("alexnet", (3, 224, 1000), 61_100_840),
        ("vgg11", (3, 224, 1000), 132_863_336),
        ("vgg16", (3, 224, 1000), 138_357_544),
        ("resnet20", (3, 32, 10), 269_722),
        ("resnet32", (3, 32, 10), 464_154),
        ("resnet56", (3, 32, 10), 853_018),
    ],
)
def test_parameter_counts(name, shape, parameters):
    assert count(on_meta(name, *shape)) == parameters


# The linear template, and the three LeNets


def test_linear_scores_are_inner_products_with_templates():
    model, images = build("linear", 3, 8, 10), noise(4, 3, 8, 8)
    templates = model.classifier.weight.view(10, 3, 8, 8)
    scores = torch.einsum("nchw,kchw->nk", images, templates) + model.classifier.bias
    torch.testing.assert_close(model(images), scores)


@pytest.mark.parametrize("size", [28, 32])
@pytest.mark.parametrize("name", LENETS)
def test_lenets_have_the_shapes_of_the_paper(name, size):
    summary = summarize(build(name, 1, size, 10), (1, size, size))
    shapes = {row.name: row.output_shape[1:] for row in summary.rows}
    assert (shapes["c1"], shapes["s2"]) == ((6, 28, 28), (6, 14, 14))
    assert (shapes["c3"], shapes["s4"]) == ((16, 10, 10), (16, 5, 5))
    assert (shapes["c5"], shapes["f6"], shapes["output"]) == ((120,), (84,), (10,))
    if name != "lenet5-1998":
        assert summary.multiply_adds == 117_600 + 240_000 + 48_000 + 10_080 + 840


@pytest.mark.parametrize("padding", [0, 2])
def test_each_window_of_a_locally_connected_layer_has_a_kernel_of_its_own(padding):
    layer, images = lenets.LocallyConnected(3, 4, 9, padding), noise(2, 3, 9, 9)
    found, bias = layer(images), layer.bias.view(4, layer.side, layer.side)
    assert found.shape == (2, 4, layer.side, layer.side)
    for row, column in itertools.product(range(layer.side), repeat=2):
        kernels = layer.kernels(row, column)
        everywhere = functional.conv2d(images, kernels, bias[:, row, column], padding=padding)
        expected = everywhere[:, :, row, column]
        torch.testing.assert_close(found[:, :, row, column], expected)


def test_a_locally_connected_network_with_equal_windows_is_a_lenet5():
    shared, local = build("lenet5", 3, 28, 10), build("locally-connected", 3, 28, 10)
    equal = {k: v for k, v in shared.state_dict().items() if not k.startswith(("c1.", "c3."))}
    local.load_state_dict(local.state_dict() | equal)
    with torch.no_grad():
        for name in ("c1", "c3"):
            from_layer, to_layer = getattr(shared, name), getattr(local, name)
            to_layer.weight[:] = from_layer.weight.flatten(1)
            to_layer.bias[:] = from_layer.bias.repeat_interleave(to_layer.side**2)
        images = noise(2, 3, 28, 28)
        torch.testing.assert_close(local(images), shared(images))


def test_c3_of_1998_sees_the_maps_of_table_1():
    layer, maps = lenets.PartialConvolution(lenets._CONNECTIONS), noise(2, 6, 14, 14)
    kernels = layer.weight.split([len(sees) for sees in lenets._CONNECTIONS])
    rows = zip(lenets._CONNECTIONS, kernels, layer.bias, strict=True)
    expected = [functional.conv2d(maps[:, sees], k[None], b[None]) for sees, k, b in rows]
    torch.testing.assert_close(layer(maps), torch.cat(expected, 1))
    # Six maps see three neighboring ones, six four, three two pairs, one all; each is seen by ten.
    assert [len(sees) for sees in lenets._CONNECTIONS] == [3] * 6 + [4] * 9 + [6]
    assert len(set(lenets._CONNECTIONS)) == 16
    seen = [sum(map_ in sees for sees in lenets._CONNECTIONS) for map_ in range(6)]
    assert seen == [10] * 6


def test_subsampling_and_squashing_of_1998():
    layer, maps = lenets.Subsampling(2), noise(3, 2, 4, 4)
    torch.testing.assert_close(layer(maps), functional.avg_pool2d(maps, 2))
    with torch.no_grad():
        layer.weight[:], layer.bias[:] = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 1.0])
    mean = maps[1, 1, 2:, :2].mean()
    torch.testing.assert_close(layer(maps)[1, 1, 1, 0], 1 - mean)
    squashed = lenets.ScaledTanh()(torch.tensor([-1.0, 0.0, 1.0, 100.0]))
    torch.testing.assert_close(squashed, torch.tensor([-1, 0, 1, 1.7159]), atol=1e-4, rtol=0)


def test_the_outputs_of_1998_are_distances_to_fixed_codes():
    layer, features = lenets.CodeDistances(84, 10), noise(3, 84)
    torch.testing.assert_close(layer(features), -(torch.cdist(features, layer.codes) ** 2))
    assert set(layer.codes.flatten().tolist()) == {-1, 1}
    assert len(layer.codes.unique(dim=0)) == 10
    assert not list(layer.parameters())
    assert torch.equal(layer.codes, lenets.CodeDistances(84, 10).codes)
    assert layer(layer.codes).argmax(1).tolist() == list(range(10))
    with pytest.raises(ConfigError, match=r"cannot predict a number; give --model lenet5$"):
        build("lenet5-1998", 1, 28, 1)


# AlexNet and VGG


def same_as_torchvision(name, size):
    """Compare names, initial weights and logits, in training too: dropout is where it was."""
    torch.manual_seed(1)
    own = build(name, 3, size, 7)
    torch.manual_seed(1)
    theirs = get_model(name, num_classes=7)
    weights = theirs.state_dict()
    assert all(torch.equal(weights[key], value) for key, value in own.state_dict().items())
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.mul_(1.1).add_(0.001)
    own.load_state_dict(weights, strict=True)
    images = noise(2, 3, size, size)
    for mode in (True, False):
        logits = []
        for model in (own, theirs):
            torch.manual_seed(2)
            with torch.no_grad():
                logits.append(model.train(mode)(images))
        assert logits[0].any()
        assert torch.equal(*logits)


@pytest.mark.slow
def test_alexnet_is_torchvisions():
    same_as_torchvision("alexnet", 65)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"), [("alexnet", 224), ("vgg11", 224), *itertools.product(SHARED, [65])]
)
def test_alexnet_and_vgg_are_torchvisions(name, size):
    same_as_torchvision(name, size)


@pytest.mark.parametrize("name", SHARED)
def test_names_and_counts_are_those_of_torchvision(name):
    with torch.device("meta"):
        theirs = get_model(name).state_dict()
    own = on_meta(name, 3, 224, 1000)
    assert {key: value.shape for key, value in own.state_dict().items()} == {
        key: value.shape for key, value in theirs.items()
    }
    assert count(own) == published_parameters(name)


@pytest.mark.parametrize(("name", "table"), [("vgg11", "A"), ("vgg13_bn", "B")])
def test_the_convolutions_of_vgg_are_torchvisions_at_small_sizes_too(name, table):
    theirs = vgg.make_layers(vgg.cfgs[table], batch_norm=name.endswith("_bn"))
    own, images = build(name, 3, 32, 7).features, noise(2, 3, 32, 32)
    own.load_state_dict(theirs.state_dict(), strict=True)
    assert torch.equal(own(images), theirs(images))


@pytest.mark.parametrize(
    ("name", "size", "widths"),
    [
        ("vgg11", 224, [25_088, 4096, 4096, 10]),
        ("vgg11", 65, [25_088, 4096, 4096, 10]),
        ("vgg11", 64, [2048, 512, 512, 10]),
        ("vgg11", 63, [512, 512, 512, 10]),
        ("vgg19_bn", 32, [512, 512, 512, 10]),
        ("alexnet", 224, [9216, 4096, 4096, 10]),
        ("alexnet-bn", 64, [256, 512, 512, 10]),
    ],
)
def test_the_classifier_follows_the_image_size_and_the_classes(name, size, widths):
    layers = [m for m in on_meta(name, 3, size, 10).classifier if isinstance(m, nn.Linear)]
    assert [layer.in_features for layer in layers] + [layers[-1].out_features] == widths


def test_local_response_normalization_is_that_of_the_paper():
    """b = a / (k + alpha * the sum of five neighboring squares) ^ beta (section 3.3)."""
    features = build("alexnet-lrn", 1, 64, 10).features
    kinds = [type(layer).__name__ for layer in features]
    assert kinds[:8] == ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"] * 2
    assert kinds.count("LocalResponseNorm") == 2
    maps = 100 * noise(2, 8, 3, 3)
    squares = functional.pad(maps**2, (0, 0, 0, 0, 2, 2)).unfold(1, 5, 1).sum(-1)
    torch.testing.assert_close(features[2](maps), maps / (2 + 1e-4 * squares) ** 0.75)


def test_batch_norm_follows_each_convolution_of_alexnet():
    kinds = [type(layer).__name__ for layer in on_meta("alexnet-bn", 1, 64, 10).features]
    after = [kinds[place + 1] for place, kind in enumerate(kinds) if kind == "Conv2d"]
    assert after == ["BatchNorm2d"] * 5


# Residual networks


@pytest.mark.parametrize("name", ["resnet20", "resnet32", "resnet56"])
def test_residual_networks_have_the_shapes_of_the_paper(name):
    model = on_meta(name, 3, 32, 10)
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert f"resnet{len(layers)}" == name
    shapes = {row.name: row.output_shape[1:] for row in summarize(model, (3, 32, 32)).rows}
    stages = [shapes[f"layer{number}"] for number in (1, 2, 3)]
    assert stages == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


@pytest.mark.parametrize("size", [7, 8])
def test_without_its_residual_a_block_passes_on_its_input(size):
    maps = noise(2, 4, size, size)
    for block, kept in ((Block(4, 4), maps), (Block(4, 6), maps[:, :, ::2, ::2])):
        nn.init.zeros_(block.bn2.weight)
        found = block(maps)
        torch.testing.assert_close(found[:, :4], kept.relu())
        assert not found[:, 4:].any()


# torchvision's models


def check_on_meta(name, monkeypatch):
    """Build for 7 classes without memory, and send an image through."""
    if not MODELS[name].tried:
        # The constructor reads the values of what these make.
        monkeypatch.setattr(torch, "arange", functools.partial(torch.arange, device="cpu"))
        monkeypatch.setattr(torch, "tensor", functools.partial(torch.tensor, device="cpu"))
    size = 299 if name == "inception_v3" else 224
    model = on_meta(name, 3, size, 7)
    assert summarize(model, (3, size, size)).rows[0].output_shape == (1, 7)


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "outputs"),
    [("googlenet", 32, 3), ("inception_v3", 299, 2), ("inception_v3", 96, 0)],
)
def test_auxiliary_classifiers_speak_in_training_only(name, size, outputs):
    model, images = on_meta(name, 3, size, 7), torch.empty(2, 3, size, size, device="meta")
    assert model.eval()(images).shape == (2, 7)
    found = model.train()(images)
    if outputs:
        assert [tuple(each.shape) for each in found] == [(2, 7)] * outputs
    else:
        assert found.shape == (2, 7)


def test_there_are_no_auxiliary_classifiers_where_a_number_is_predicted():
    model = on_meta("googlenet", 3, 64, 1)
    assert model.train()(torch.empty(2, 3, 64, 64, device="meta")).shape == (2, 1)


def test_the_trial_draws_no_random_numbers():
    torch.manual_seed(1)
    expected = get_model("shufflenet_v2_x0_5", num_classes=4).state_dict()
    torch.manual_seed(1)
    found = build("shufflenet_v2_x0_5", 3, 64, 4).state_dict()
    assert all(torch.equal(expected[key], found[key]) for key in expected)


@pytest.mark.parametrize(
    ("name", "size", "advice"),
    [
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
    ("name", "advice"),
    [
        ("resnet81", r"did you mean resnet18\?"),
        ("lenet-5", r"did you mean lenet5\?"),
        ("zzz", "the command `summary` lists them"),
    ],
)
def test_an_unknown_name_gets_a_near_one(name, advice):
    with pytest.raises(ConfigError, match=f"^unknown model '{name}'; {advice}$"):
        build(name, 3, 32, 10)


def test_grey_images_are_refused_where_color_is_needed():
    with pytest.raises(ConfigError, match=r"3 channels\), these have 1"):
        build("resnet18", 1, 32, 10)


# Position embeddings


def small_vit(size):
    torch.manual_seed(size)
    return VisionTransformer(
        image_size=size, patch_size=8, num_layers=1, num_heads=2, hidden_dim=4, mlp_dim=8
    )


@pytest.mark.parametrize("size", [16, 24, 48])
def test_position_embeddings_are_interpolated_to_another_image_size(size):
    state = small_vit(32).state_dict()
    key = "encoder.pos_embedding"
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 4), torch.linspace(0, 1, 4), indexing="ij")
    # A plane, which any interpolation keeps, and a constant.
    state[key][0, 1:] = torch.stack([rows, columns, rows + columns, torch.ones(4, 4)], 2).flatten(
        0, 1
    )
    before, model = {name: value.clone() for name, value in state.items()}, small_vit(size)
    fitted = fit_position_embeddings(model, state)
    model.load_state_dict(fitted, strict=True)
    assert all(torch.equal(before[name], value) for name, value in state.items())
    assert all(torch.equal(fitted[name], state[name]) for name in state if name != key)
    assert torch.equal(fitted[key][:, 0], state[key][:, 0])
    side = size // 8
    grid = fitted[key][0, 1:].view(side, side, 4)
    corners = grid[[0, 0, -1, -1], [0, -1, 0, -1]]
    expected = torch.tensor([[0.0, 0, 0, 1], [0, 1, 1, 1], [1, 0, 1, 1], [1, 1, 2, 1]])
    torch.testing.assert_close(corners, expected)
    torch.testing.assert_close(grid[:, :, 3], torch.ones(side, side))
    assert model.eval()(noise(2, 3, size, size)).isfinite().all()


def test_position_embeddings_that_fit_stay_what_they_are():
    state = small_vit(32).state_dict()
    fitted = fit_position_embeddings(small_vit(32), state)
    assert all(torch.equal(fitted[name], state[name]) for name in state)
    weights = build("linear", 1, 8, 3).state_dict()
    assert fit_position_embeddings(build("linear", 1, 8, 3), weights) == weights


def test_position_embeddings_of_no_square_grid_are_refused():
    state = {"encoder.pos_embedding": torch.zeros(1, 7, 4)}
    with pytest.raises(ValueError, match="perfect square"):
        fit_position_embeddings(small_vit(32), state)
