"""PCA against scikit-learn, filters against hand-made images, and how their settings are chosen."""

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn.decomposition import PCA

from common.images.load import pixel_rows
from common.images.sets import ImageSet
from labs.autoencoder import baselines, filters
from labs.autoencoder.noise import parse
from labs.autoencoder.results import psnr


def image_set(images):
    rows = range(len(images))
    return ImageSet(images, torch.tensor([row % 3 for row in rows]), tuple(map(str, rows)))


@pytest.fixture(scope="module")
def splits(digits):
    parts = {"train": (0, 300), "validation": (300, 400), "test": (400, 500)}
    return {name: image_set(digits.images[low:high]) for name, (low, high) in parts.items()}


def blobs(number, channels=1, side=16, seed=0):
    """Return smooth images, uint8."""
    drawn = torch.rand(number, channels, 4, 4, generator=torch.Generator().manual_seed(seed))
    return (torch.nn.functional.interpolate(drawn, side, mode="bicubic").clamp(0, 1) * 255).byte()


def noisy_version(images, spec, seed=0):
    drawn = parse(spec)(images.float() / 255, torch.Generator().manual_seed(seed))
    return (drawn * 255).round().byte()


def test_pca_has_the_error_of_scikit_learns(splits):
    found = baselines.compression(splits, 8)
    train, test = pixel_rows(splits["train"]), pixel_rows(splits["test"])
    reference = PCA(8, svd_solver="full").fit(train)
    given_back = reference.inverse_transform(reference.transform(test))
    expected = ((given_back - test) ** 2).mean(1)
    np.testing.assert_allclose(found[baselines.PCA]["test"], expected, rtol=1e-4)
    assert found[baselines.PCA]["test"].dtype == np.float64


def test_clipping_never_makes_pca_worse(splits):
    found = baselines.compression(splits, 8)
    for split in ("validation", "test"):
        assert (found[baselines.CLIPPED][split] <= found[baselines.PCA][split] + 1e-7).all()
    assert found[baselines.CLIPPED]["test"].mean() < found[baselines.PCA]["test"].mean()


def test_the_mean_image_has_the_variance_of_the_pixels_as_its_error(splits):
    same = {**splits, "test": splits["train"]}
    errors = baselines.compression(same, 8)[baselines.MEAN]["test"]
    assert errors.mean() == pytest.approx(pixel_rows(splits["train"]).var(0).mean(), rel=1e-4)


@pytest.mark.parametrize(("rows", "size", "components"), [(5, 100, 5), (300, 100, 64)])
def test_more_components_than_images_or_pixels_are_as_many_as_there_can_be(
    splits, rows, size, components
):
    few = splits["train"].select(torch.arange(rows))
    pca = baselines.fit_pca(few, size)
    assert pca.n_components_ == components
    pixels = pixel_rows(few)
    np.testing.assert_allclose(pca.inverse_transform(pca.transform(pixels)), pixels, atol=1e-4)


def test_pca_of_many_images_takes_a_sample(splits, monkeypatch):
    monkeypatch.setattr(baselines, "_NUMBERS", 64 * 50)
    assert baselines.fit_pca(splits["train"], 8).n_samples_ == pytest.approx(50, abs=3)


def test_the_median_filter_is_scipys():
    images = noisy_version(blobs(3), "salt-and-pepper:0.3")
    found = filters.apply(filters.candidates()["median filter"]["3x3"], images)
    expected = [ndimage.median_filter(image[0].numpy(), 3, mode="nearest") for image in images]
    np.testing.assert_array_equal(np.rint(found * 255), np.stack(expected).reshape(3, -1))


def test_the_gaussian_filter_is_scipys():
    images = noisy_version(blobs(3), "gaussian:0.2")
    found = filters.apply(filters.candidates()["Gaussian filter"]["sigma 1"], images)
    expected = [
        ndimage.gaussian_filter(image[0].numpy().astype(float), 1, mode="mirror", radius=3)
        for image in images
    ]
    np.testing.assert_allclose(found * 255, np.stack(expected).reshape(3, -1), atol=1)


def test_one_speck_is_gone_for_the_median_and_spread_by_the_gaussian():
    image = torch.zeros(1, 1, 9, 9, dtype=torch.uint8)
    image[0, 0, 4, 4] = 255
    known = filters.candidates()
    assert not filters.apply(known["median filter"]["3x3"], image).any()
    spread = filters.apply(known["Gaussian filter"]["sigma 1"], image)
    assert 0.1 < spread.max() < 0.2
    assert spread.sum() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [1, 8])
def test_filters_take_small_images_grey_and_color(channels, side):
    images = blobs(2, channels, side)
    for settings in filters.candidates().values():
        for each in settings.values():
            found = filters.apply(each, images)
            assert found.shape == (2, channels * side * side)
            assert found.dtype == np.float32
            assert 0 <= found.min() <= found.max() <= 1


def test_channels_stay_apart():
    images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    images[:, 1] = 200
    for settings in filters.candidates().values():
        for each in settings.values():
            red, green, blue = filters.apply(each, images).reshape(3, -1)
            assert not red.any()
            assert not blue.any()
            np.testing.assert_allclose(green, 200 / 255, atol=1 / 255)


@pytest.mark.slow
def test_settings_are_the_best_on_validation_and_the_names_tell_them():
    splits = {"train": image_set(blobs(60)), "validation": image_set(blobs(30, seed=1))}
    splits["test"] = image_set(blobs(20, seed=2))
    names = ("validation", "test")
    noisy = {name: noisy_version(splits[name].images, "gaussian:0.3") for name in names}
    found = baselines.denoising(splits, noisy, 16)
    clean = pixel_rows(splits["validation"])
    for name, settings in filters.candidates().items():
        [full_name] = [each for each in found if each.startswith(name)]
        chosen = full_name.removeprefix(f"{name}, ")
        quality = {
            each: psnr(
                ((filters.apply(settings[each], noisy["validation"]) - clean) ** 2).mean(1)
            ).mean()
            for each in settings
        }
        assert quality[chosen] == max(quality.values())
        assert psnr(found[full_name]["validation"]).mean() == pytest.approx(quality[chosen])


@pytest.mark.slow
def test_noisy_images_have_the_error_of_their_noise(splits):
    noisy = {name: noisy_version(splits[name].images, "masking:0.5") for name in splits}
    found = baselines.denoising(splits, noisy, 16)
    clean = pixel_rows(splits["test"])
    lost = clean * (noisy["test"].flatten(1).numpy() == 0)
    np.testing.assert_allclose(found[baselines.NOISY]["test"], (lost**2).mean(1), rtol=1e-5)


@pytest.mark.slow
def test_pca_of_clean_images_takes_noise_away(splits):
    noisy = {name: noisy_version(splits[name].images, "gaussian:0.4") for name in splits}
    found = baselines.denoising(splits, noisy, 16)
    reference = PCA(16, svd_solver="full").fit(pixel_rows(splits["train"]))
    seen = noisy["test"].flatten(1).numpy() / 255
    given_back = reference.inverse_transform(reference.transform(seen)).clip(0, 1)
    expected = ((given_back - pixel_rows(splits["test"])) ** 2).mean(1)
    np.testing.assert_allclose(found[baselines.CLIPPED]["test"], expected, rtol=1e-3)
    assert psnr(expected).mean() > psnr(found[baselines.NOISY]["test"]).mean() + 3


@pytest.mark.slow
def test_without_noise_the_weakest_settings_are_chosen(splits):
    clean = {name: splits[name].images for name in splits}
    found = baselines.denoising(splits, clean, 64)
    names = " ".join(found)
    assert "sigma 0.4" in names
    assert "h 5" in names
    assert "median filter, 3x3" in names
    assert not found[baselines.NOISY]["test"].any()


def test_filters_of_opencv_repeat_exactly():
    images = noisy_version(blobs(2), "gaussian:0.3")
    chosen = filters.candidates()["non-local means"]["h 60, 3x3 in 21x21"]
    before = cv2.getNumThreads()
    first = filters.apply(chosen, images)
    cv2.setNumThreads(1)
    np.testing.assert_array_equal(first, filters.apply(chosen, images))
    cv2.setNumThreads(before)


def test_psnr_by_hand():
    np.testing.assert_allclose(psnr(np.array([0.01, 1.0, 0.0])), [20, 0, 100])
