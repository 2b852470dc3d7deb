import math

import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as reference

from common import seeding
from common.errors import ConfigError, DataError
from common.images.augment import (
    AUGMENTATIONS,
    Affine,
    Color,
    Crop,
    Erase,
    HorizontalFlip,
    PadCrop,
    Pipeline,
    VerticalFlip,
    parse,
)

LAST = 1 - 2**-24  # the largest float32 below 1
EVERY = [Affine(shear=5), Color(), Crop(9), Erase(), HorizontalFlip(), PadCrop(2), VerticalFlip()]
SUMS_OVER_IMAGES = (Color, Erase)
every = pytest.mark.parametrize("transform", EVERY, ids=lambda transform: type(transform).__name__)


def images(size=64, channels=3, height=14, width=11):
    return torch.rand(size, channels, height, width, generator=seeding.generator(1))


def numbers(transform, size=64):
    return seeding.uniforms(seed=2, epoch=0, size=size, columns=transform.columns)


def test_every_name_has_a_transform_here():
    assert {type(transform) for transform in EVERY} == set(AUGMENTATIONS.values())


@every
@pytest.mark.parametrize("channels", [1, 3])
def test_values_stay_in_range_and_the_input_is_not_changed(transform, channels):
    given = images(channels=channels)
    before = given.clone()
    result = transform(given, numbers(transform))
    assert torch.equal(given, before)
    assert result.dtype == torch.float32
    assert result.shape[:2] == given.shape[:2]
    assert result.isfinite().all()
    assert result.min() >= 0
    assert result.max() <= 1 + 1e-6
    assert result.shape != given.shape or not torch.equal(result, given)


@every
def test_a_sample_gets_the_same_in_any_batch(transform):
    given, table = images(), numbers(transform)
    together = transform(given, table)
    for size in (1, 5, 24):
        pairs = zip(given.split(size), table.split(size), strict=True)
        apart = torch.cat([transform(*pair) for pair in pairs])
        if isinstance(transform, SUMS_OVER_IMAGES):
            torch.testing.assert_close(apart, together, rtol=0, atol=1e-6)
        else:
            assert torch.equal(apart, together)


@every
@pytest.mark.parametrize("number", [0.0, LAST])
def test_the_ends_of_the_numbers_are_valid(transform, number):
    for size in (9, 16, 17, 31):
        given = images(size=2, height=size, width=size)
        result = transform(given, torch.full((2, transform.columns), number))
        assert result.isfinite().all()


@every
def test_evaluation_changes_nothing_but_the_crop(transform):
    given = images()
    result = transform(given, None)
    expected = reference.center_crop(given, [9, 9]) if isinstance(transform, Crop) else given
    assert torch.equal(result, expected)


@pytest.mark.parametrize("size", [9, 10, 11, 12, 13])
def test_center_crop_is_that_of_torchvision(size):
    for given in (images(2, height=size, width=20), images(2, height=20, width=size)):
        assert torch.equal(Crop(9)(given, None), reference.center_crop(given, [9, 9]))


@every
def test_output_size_is_the_size_of_the_output(transform):
    result = transform(images(height=16, width=16), numbers(transform))
    assert result.shape[2:] == (transform.output_size(16),) * 2


@pytest.mark.parametrize(("height", "width"), [(28, 28), (14, 23), (23, 14), (1, 7)])
def test_affine_is_that_of_torchvision(height, width):
    transform = Affine(degrees=40, translate=0.3, scale=0.4, shear=25)
    given, table = images(16, height=height, width=width), numbers(transform, 16)
    result = transform(given, table)
    for image, row, warped in zip(given, (2 * table - 1).tolist(), result, strict=True):
        angle, right, down, scale, shear = row
        expected = reference.affine(
            image,
            angle=angle * 40,
            translate=[right * 0.3 * width, down * 0.3 * height],
            scale=1 + scale * 0.4,
            shear=[shear * 25, 0.0],
            interpolation=InterpolationMode.BILINEAR,
        )
        torch.testing.assert_close(warped, expected, rtol=0, atol=2e-5)


def test_affine_without_ranges_is_the_identity():
    given = images()
    transform = Affine(degrees=0, translate=0, scale=0, shear=0)
    torch.testing.assert_close(transform(given, numbers(transform)), given, rtol=0, atol=1e-5)


def test_affine_leaves_zeros_outside():
    transform = Affine(degrees=0, translate=0.5, scale=0)
    right = torch.tensor([[0.5, LAST, 0.5, 0.5, 0.5]])
    result = transform(torch.ones(1, 1, 8, 8), right)
    torch.testing.assert_close(result[..., :4], torch.zeros(1, 1, 8, 4), rtol=0, atol=1e-5)
    torch.testing.assert_close(result[..., 4:], torch.ones(1, 1, 8, 4), rtol=0, atol=1e-5)


def test_affine_is_differentiable():
    given = images(size=4).requires_grad_()
    Affine()(given, numbers(Affine(), 4)).sum().backward()
    assert given.grad is not None
    assert given.grad.abs().sum() > 0


@pytest.mark.parametrize("channels", [1, 3])
def test_color_is_that_of_torchvision(channels):
    given, table = images(16, channels), numbers(Color(), 16)
    result = Color(0.8)(given, table)
    factors = (1 + 0.8 * (2 * table - 1)).tolist()
    for image, (brightness, contrast, saturation), changed in zip(
        given, factors, result, strict=True
    ):
        image = reference.adjust_brightness(image, brightness)
        image = reference.adjust_contrast(image, contrast)
        image = reference.adjust_saturation(image, saturation)
        torch.testing.assert_close(changed, image, rtol=0, atol=1e-5)


def test_saturation_does_nothing_to_grey_images():
    given, table = images(channels=1), numbers(Color())
    other = table.clone()
    other[:, 2] = 1 - other[:, 2]
    assert torch.equal(Color()(given, table), Color()(given, other))


@pytest.mark.parametrize(("transform", "side"), [(HorizontalFlip, 3), (VerticalFlip, 2)])
def test_flips(transform, side):
    given = images()
    draws = numbers(transform())
    assert torch.equal(transform(0.0)(given, draws), given)
    assert torch.equal(transform(1.0)(given, draws), given.flip(side))
    assert torch.equal(transform(1.0)(transform(1.0)(given, draws), draws), given)
    result = transform(0.3)(given, draws)
    for image, number, flipped in zip(given, draws[:, 0], result, strict=True):
        assert torch.equal(flipped, image.flip(side - 1) if number < 0.3 else image)


def test_pad_crop_shifts_whole_pixels():
    given, table = images(), numbers(PadCrop(3))
    result = PadCrop(3)(given, table)
    places = (table * 7).long().tolist()
    assert {top for top, _ in places} == set(range(7))
    for image, (top, left), shifted in zip(given, places, result, strict=True):
        padded = reference.pad(image, [3])
        assert torch.equal(shifted, padded[:, top : top + 14, left : left + 11])


def test_crop_takes_every_place_about_as_often():
    pixels = torch.arange(20.0).reshape(1, 1, 4, 5).expand(6000, 1, 4, 5)
    corners = Crop(3)(pixels, numbers(Crop(3), 6000))[:, 0, 0, 0].long()
    places, counts = corners.unique(return_counts=True)
    assert places.tolist() == [0, 1, 2, 5, 6, 7]
    # Six standard deviations of a binomial count.
    assert (counts - 1000).abs().max() < 6 * math.sqrt(6000 / 6 * 5 / 6)


def test_crop_of_the_full_size_changes_nothing():
    given = images(height=12, width=12)
    assert torch.equal(Crop(12)(given, numbers(Crop(12))), given)


@pytest.mark.parametrize(("height", "width"), [(40, 40), (64, 20)])
def test_erase_fills_a_rectangle_of_the_right_area_with_the_mean(height, width):
    transform = Erase(p=1, low=0.1, high=0.3)
    given = images(200, height=height, width=width)
    result = transform(given, numbers(transform, 200))
    changed = (result != given).any(dim=1)
    assert changed.any(dim=(1, 2)).all()
    mean = given.mean((2, 3), keepdim=True).expand_as(given)
    torch.testing.assert_close(
        result, torch.where(changed[:, None], mean, given), rtol=0, atol=1e-6
    )
    tall, wide = changed.any(2).sum(1), changed.any(1).sum(1)
    assert torch.equal(changed.sum((1, 2)), tall * wide)  # a full rectangle
    # Rounding a side to pixels moves it by half a pixel at most.
    assert ((tall + 0.5) * (wide + 0.5) >= 0.1 * height * width).all()
    assert ((tall - 0.5) * (wide - 0.5) <= 0.3 * height * width).all()
    unit = width / height
    assert 0.3 <= ((tall + 0.5) / (wide - 0.5) * unit).min() < 0.5
    assert 2 < ((tall - 0.5) / (wide + 0.5) * unit).max() <= 1 / 0.3


@pytest.mark.parametrize(("place", "corner"), [(0.0, 0), (LAST, -1)])
def test_erase_reaches_the_corners(place, corner):
    given = images(1)
    result = Erase(p=1)(given, torch.tensor([[0.0, 0.5, 0.5, place, place]]))
    mean = given.mean((2, 3))
    torch.testing.assert_close(result[:, :, corner, corner], mean, rtol=0, atol=1e-6)


def test_erase_extremes():
    given, table = images(), numbers(Erase())
    assert torch.equal(Erase(p=0)(given, table), given)
    mean = given.mean((2, 3), keepdim=True).expand_as(given)
    everything = Erase(p=1, low=1, high=1)(given, table)
    torch.testing.assert_close(everything, mean, rtol=0, atol=1e-6)
    erased = (Erase(p=0.3)(given, table) != given).flatten(1).any(1)
    assert not erased[table[:, 0] >= 0.3].any()
    assert erased.any()


@pytest.mark.parametrize("channels", [1, 3])
def test_pipeline_normalises_as_torchvision(channels):
    pixels = (images(channels=channels) * 255).to(torch.uint8)
    before = pixels.clone()
    mean, std = (0.1, 0.2, 0.3)[:channels], (0.5, 0.6, 0.7)[:channels]
    result = Pipeline([], mean, std)(pixels, torch.empty(64, 0))
    expected = reference.normalize(reference.to_dtype(pixels, torch.float32, scale=True), mean, std)
    torch.testing.assert_close(result, expected)
    assert result.dtype == torch.float32
    assert torch.equal(pixels, before)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_pipeline_gives_each_transform_its_own_columns(dtype):
    given = images()
    given = (given * 255).to(torch.uint8) if dtype == torch.uint8 else given.to(dtype)
    before = given.clone()
    transforms = (HorizontalFlip(), PadCrop(2), Color())
    pipeline = Pipeline(transforms, (0.0,) * 3, (1.0,) * 3)
    assert pipeline.columns == 6
    table = numbers(pipeline)
    expected = given / 255 if dtype == torch.uint8 else given.float()
    for transform, start, stop in zip(transforms, (0, 1, 3), (1, 3, 6), strict=True):
        expected = transform(expected, table[:, start:stop])
    result = pipeline(given, table)
    assert result.dtype == torch.float32
    assert torch.equal(result, expected)
    assert torch.equal(given, before)


def test_pipeline_evaluates_deterministically():
    pipeline = Pipeline([*EVERY, Color()], (0.5,) * 3, (0.5,) * 3)
    given = images()
    first, second = pipeline(given, None), pipeline(given, None)
    assert torch.equal(first, second)
    torch.testing.assert_close(first, reference.center_crop(given, [9, 9]) * 2 - 1)


def test_pipeline_does_not_change_float_images():
    given = images()
    before = given.clone()
    Pipeline([], (0.5,) * 3, (0.5,) * 3)(given, None)
    assert torch.equal(given, before)


def test_pipeline_names_a_crop_that_is_too_large():
    pipeline = Pipeline(parse(["crop:20", "pad-crop", "crop:18"]), (0.5,), (0.5,))
    assert pipeline.output_size(28) == 18
    with pytest.raises(ConfigError, match=r"crop:20 needs images of at least 20 .* given 19"):
        pipeline.output_size(19)
    for table in (None, numbers(pipeline, 2)):
        with pytest.raises(ConfigError, match="given 19"):
            pipeline(torch.zeros(2, 1, 30, 19), table)
    with pytest.raises(ConfigError, match="crop:21 needs"):
        Pipeline(parse(["crop:20", "crop:21"]), (0.5,), (0.5,)).output_size(28)


@pytest.mark.parametrize(
    ("mean", "std"), [((0.5,), (0.5, 0.5)), ((0.5,), (0.0,)), ((0.5,), (math.nan,))]
)
def test_pipeline_refuses_useless_means_and_stds(mean, std):
    with pytest.raises(ConfigError, match="one value per channel"):
        Pipeline([], mean, std)


def test_pipeline_refuses_images_of_other_channels():
    with pytest.raises(DataError, match="must have 3 channels.* not 1"):
        Pipeline([], (0.5,) * 3, (0.5,) * 3)(images(channels=1), None)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_name_is_parsed_run_and_differs_between_rows(name):
    transforms = parse(["crop:9" if name == "crop" else name])
    assert [type(transform) for transform in transforms] == [AUGMENTATIONS[name]]
    pipeline = Pipeline(transforms, (0.5,) * 3, (0.5,) * 3)
    result = pipeline(images(size=1).expand(64, -1, -1, -1), numbers(pipeline))
    assert len(result.unique(dim=0)) > 1


def test_parse_reads_values_in_their_order():
    specs = ["affine", "affine:15:0.2:.3:4", "pad-crop:2", "crop:52", "vflip:0.3", "erase:1:0:1"]
    assert parse(specs) == (
        Affine(),
        Affine(degrees=15, translate=0.2, scale=0.3, shear=4),
        PadCrop(padding=2),
        Crop(size=52),
        VerticalFlip(p=0.3),
        Erase(p=1, low=0, high=1),
    )
    assert parse([]) == ()


def test_parse_reports_every_problem_with_its_spec():
    specs = ["afine", "color:0.1", "affine:181:x:1", "crop", "erase:.5:.4:.3", "hflip:1:2", "zzz"]
    with pytest.raises(ConfigError) as caught:
        parse(specs)
    unknown, degrees, translate, scale, crop, erase, flip, hopeless = caught.value.problems
    assert unknown.startswith('augmentation "afine": unknown name; did you mean "affine"?')
    assert degrees == (
        'augmentation "affine:181:x:1": degrees must be a number from 0 to 180, not 181.0; '
        "example: affine:10:0.1:0.1:0"
    )
    assert "translate must be a number from 0 to 1, not 'x'" in translate
    assert "scale must be a number from 0 to below 1, not 1.0" in scale
    assert crop == 'augmentation "crop": expected 1 value(s) (size), not 0; example: crop:52'
    assert "low must be at most high, not 0.4 with a high of 0.3" in erase
    assert "expected 0 to 1 value(s) (p), not 2; example: hflip:0.5" in flip
    assert "did you mean" not in hopeless
    assert "pad-crop" in hopeless


@pytest.mark.parametrize(
    "spec",
    [
        "affine:-1",
        "affine:nan",
        "affine:10:1.1",
        "affine:10:0:1",
        "affine:10:0:0:90",
        "affine:",
        "color:-0.1",
        "color:inf",
        "crop:0",
        "crop:5.0",
        "erase:2",
        "erase:1:-1",
        "hflip:1.01",
        "pad-crop:0",
        "pad-crop:1.5",
        "vflip:-0.01",
        "",
        "HFLIP",
    ],
)
def test_parse_refuses(spec):
    with pytest.raises(ConfigError) as caught:
        parse([spec])
    assert len(caught.value.problems) == 1


def test_values_are_checked_on_construction():
    with pytest.raises(ConfigError) as caught:
        Affine(degrees=200, scale=1)
    assert len(caught.value.problems) == 2
    with pytest.raises(ConfigError, match="padding must be an integer of at least 1, not 1.5"):
        PadCrop(1.5)
