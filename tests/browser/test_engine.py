"""The operations of the engine, and whole networks, in Chromium: what torch says, to 1e-4."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import common.live
from common.images.decode import _FITS
from common.live import program
from labs.classification.live.view import _OWN
from labs.classification.models import build
from labs.detection.letterbox import letterbox

HERE = Path(common.live.__file__).parent
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def page(chromium, tmp_path_factory):
    """A page that has the engine alone."""
    scripts = [(HERE / name).read_text("utf-8") for name in ("engine.js", "images.js")]
    path = tmp_path_factory.mktemp("page") / "engine.html"
    path.write_text(f"<script>{scripts[0]}</script><script>{scripts[1]}</script>", "utf-8")
    page = chromium.new_page()
    page.goto(path.as_uri())
    yield page
    page.close()


def compute(page, steps, inputs, fewest=16):
    """Return what the program gives in the browser for inputs (B, ...), likewise."""
    script = """({ dumped, inputs, shape }) => {
        const loaded = engine.load(dumped);
        return inputs.map((values) => {
            const steps = engine.run(loaded, engine.tensor(shape, Float32Array.from(values)));
            return Array.from(steps[steps.length - 1].data);
        });
    }"""
    asked = {"dumped": program.dump(steps, fewest), "shape": list(inputs.shape[1:])}
    found = page.evaluate(script, {**asked, "inputs": inputs.flatten(1).tolist()})
    return torch.tensor(found)


def round_weights(model, steps, fewest=16):
    """Give the model the weights that the page has."""
    if program.dump(steps, fewest)["bits"] < 32:
        for tensor in model.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim > 1:
                whole, factors = program.round_rows(tensor.numpy(), fewest)
                tensor.copy_(torch.from_numpy(whole * factors))


OPERATIONS = {
    "convolution": (nn.Conv2d(3, 5, 3), (3, 9, 8)),
    "convolution with stride, padding, dilation": (
        nn.Conv2d(4, 6, (3, 5), (2, 3), (1, 2), (2, 1), bias=False),
        (4, 13, 17),
    ),
    "grouped convolution": (nn.Conv2d(6, 6, 3, groups=6, padding=1), (6, 7, 7)),
    "transposed convolution": (nn.ConvTranspose2d(4, 3, 4, 2, 1), (4, 5, 6)),
    "transposed convolution, grouped": (
        nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2, dilation=2),
        (4, 5, 6),
    ),
    "max pooling": (nn.MaxPool2d(3, 2, 1), (3, 9, 11)),
    "max pooling, ceil": (nn.MaxPool2d(2, 2, ceil_mode=True), (3, 9, 11)),
    "mean pooling": (nn.AvgPool2d(3, 2, 1), (3, 9, 11)),
    "mean pooling without the padding": (
        nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        (3, 9, 11),
    ),
    "adaptive pooling": (nn.AdaptiveAvgPool2d((3, 4)), (2, 7, 9)),
    "batch norm": (nn.BatchNorm2d(4), (4, 5, 6)),
    "layer norm": (nn.LayerNorm((5, 6)), (4, 5, 6)),
    "group norm": (nn.GroupNorm(2, 4), (4, 5, 6)),
    "linear": (nn.Linear(7, 4), (7,)),
    "linear of rows": (nn.Linear(7, 4, bias=False), (3, 7)),
    "upsampling": (nn.Upsample(scale_factor=3), (2, 4, 5)),
    "softmax": (nn.Softmax(-1), (9,)),
    **{
        type(module).__name__: (module, (2, 5, 5))
        for module in (
            *(nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.2), nn.ELU(0.7), nn.Sigmoid(), nn.Tanh()),
            *(nn.SiLU(), nn.GELU(), nn.Hardsigmoid(), nn.Hardswish()),
        )
    },
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_computes_what_torch_does(page, name):
    module, shape = OPERATIONS[name]
    torch.manual_seed(0)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.2, 1.5)
    model = nn.Sequential(module).eval()
    inputs = 3 * torch.randn(2, *shape)
    with torch.no_grad():
        expected = model(inputs).flatten(1)
    found = compute(page, program.trace(model), inputs)
    torch.testing.assert_close(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "linear",
            "mlp",
            "locally-connected",
            "lenet5",
            "lenet5-1998",
            "resnet20",
        ),
        *("mobilenet_v3_small", "squeezenet1_0", "regnet_y_400mf"),
    ],
)
def test_a_whole_network_says_what_torch_says(page, name):
    small = name in ("linear", "mlp", "locally-connected", "lenet5", "lenet5-1998", "resnet20")
    channels, size = (1, 28) if small else (3, 64)
    torch.manual_seed(0)
    model = build.build(name, channels, size, 10).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    steps = program.trace(model, _OWN)
    round_weights(model, steps)
    inputs = torch.randn(2, channels, size, size)
    with torch.no_grad():
        expected = model(inputs)
    found = compute(page, program.trace(model, _OWN), inputs)
    torch.testing.assert_close(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_weights_of_twelve_bits_are_read_as_they_were_written(page):
    model = nn.Sequential(nn.Flatten(), nn.Linear(801, 501), nn.ReLU(), nn.Linear(501, 3)).eval()
    inputs = torch.randn(2, 1, 1, 801)
    steps = program.trace(model)
    round_weights(model, steps, 12)
    with torch.no_grad():
        expected = model(inputs)
    found = compute(page, program.trace(model), inputs, 12)
    torch.testing.assert_close(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("fit", _FITS)
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_scaled_as_the_program_scales_them(page, fit, channels):
    generator = np.random.default_rng(0)
    for width, height, size in [
        (50, 37, 28),
        (37, 50, 40),
        (28, 28, 28),
        (400, 20, 32),
        (9, 8, 28),
    ]:
        pixels = generator.integers(0, 256, (height, width, channels), np.uint8)
        image = Image.fromarray(pixels if channels == 3 else pixels[..., 0])
        expected = np.asarray(_FITS[fit](image, (size, size), Image.Resampling.BILINEAR)).ravel()
        script = """({ width, height, channels, data, size, fit }) => Array.from(images.fit(
            { width, height, channels, data: Uint8ClampedArray.from(data) }, size, fit).data)"""
        asked = {"width": width, "height": height, "channels": channels, "size": size, "fit": fit}
        found = page.evaluate(script, {**asked, "data": pixels.ravel().tolist()})
        np.testing.assert_array_equal(found, expected)


def test_pictures_are_letterboxed_as_the_detector_letterboxes_them(page):
    generator = np.random.default_rng(0)
    sizes = [(50, 37, 128), (200, 130, 128), (131, 640, 96), (128, 128, 128), (400, 9, 64)]
    for width, height, size in sizes:
        pixels = generator.integers(0, 256, (height, width, 3), np.uint8)
        square, fit = letterbox(torch.from_numpy(pixels).permute(2, 0, 1), size)
        script = """({ width, height, data, size }) => {
            const picture = { width, height, channels: 3, data: Uint8ClampedArray.from(data) };
            const { square, scale, left, top } = images.letterbox(picture, size, 114);
            return [Array.from(square.data), scale, left, top];
        }"""
        asked = {"width": width, "height": height, "size": size, "data": pixels.ravel().tolist()}
        found, *how = page.evaluate(script, asked)
        np.testing.assert_array_equal(found, square.permute(1, 2, 0).numpy().ravel())
        assert how == [fit.scale, fit.left, fit.top]
