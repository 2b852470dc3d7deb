"""What is chosen for images of one's own, and what is left alone."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from common.images.glance import Glance, glance
from common.options.config import build
from labs.classification.config import ClassificationConfig
from labs.classification.job import ClassifyImages
from labs.classification.models import suited as module
from labs.classification.models.suited import suited

PHOTOS = Glance(
    parts=("all",),
    total=2600,
    train=1800,
    classes=10,
    arrays=False,
    side=32,
    color=True,
    lost=0.0,
    alike=True,
)


def config(**options):
    return build(ClassificationConfig, ("options", options))


@pytest.fixture
def images(tmp_path):
    """Return a function that writes images of two classes into a folder."""

    def write(number, size, mode, folder="그림"):
        rng = np.random.default_rng(0)
        for row in range(number):
            path = tmp_path / folder / "ab"[row % 2] / f"{row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            grey = rng.integers(0, 256, (*size, 1), np.uint8)
            color = rng.integers(0, 256, (*size, 3), np.uint8)
            pixels = color if mode == "color" else np.repeat(grey, 3, axis=2)
            Image.fromarray(pixels).convert("L" if mode == "L" else "RGB").save(path)
        return str(tmp_path / folder)

    return write


@pytest.fixture
def seen(monkeypatch):
    """Return a function that lets a config see images that are not there."""

    def choose(values=None, **options):
        shown = dataclasses.replace(PHOTOS, **(values or {}))
        monkeypatch.setattr(module, "glance", lambda *_, **__: shown)
        return suited(config(data="own", **options))

    return choose


def test_known_sets_keep_the_defaults():
    assert suited(config()).config == config()
    assert suited(config(model="auto", data="digits")).config == config(data="digits")


def test_many_photos_train_the_whole_network_at_a_size_that_ten_minutes_allow(seen):
    chosen, reasons = seen({"train": 6000})
    assert (chosen.model, chosen.weights) == ("efficientnet-lite0", "efficientnet-lite0")
    assert (chosen.transfer, chosen.image_size) == ("head-first", 128)
    assert "32 pixels" in reasons[0]
    assert seen({"train": 15_000})[0].image_size == 96


@pytest.mark.parametrize(("train", "size"), [(40, 224), (900, 224), (300_000, 64)])
def test_few_photos_and_very_many_train_a_classifier_alone(seen, train, size):
    chosen, _ = seen({"train": train, "total": train})
    assert (chosen.transfer, chosen.image_size) == ("feature-extraction", size)
    assert chosen.augment == ()
    assert chosen.monitor == "validation/loss"


@pytest.mark.parametrize("values", [{"color": False, "side": 28}, {"side": 16}])
def test_small_images_get_a_network_of_the_ladder_at_their_own_size(seen, values):
    chosen, _ = seen(values)
    assert (chosen.model, chosen.weights) == ("lenet5", None)
    assert chosen.image_size == 28


def test_what_is_given_stays(seen):
    chosen, _ = seen(image_size="64", learning_rate="0.01", epochs="3", batch_size="7")
    assert (chosen.image_size, chosen.learning_rate) == (64, 0.01)
    assert (chosen.epochs, chosen.batch_size, chosen.total_updates) == (3, 7, None)
    chosen, _ = seen(model="mlp")
    assert (chosen.model, chosen.weights, chosen.image_size) == ("mlp", None, 32)
    assert seen(model="alexnet")[0].image_size == 64
    assert chosen.total_updates is not None


def test_what_is_chosen_is_what_computes(images):
    data = images(30, (40, 40), "color")
    job, _ = ClassifyImages.check(config(data=data, model="auto"))
    assert job.config.channels_last
    assert job.compute.memory_format is torch.channels_last


def test_a_photo_network_that_is_typed_computes_as_the_one_that_is_chosen(seen):
    given = {"model": "efficientnet-lite0", "weights": "efficientnet-lite0"}
    assert seen(**given, transfer="fine-tune")[0].channels_last
    assert not seen(**given, channels_last="false")[0].channels_last


def test_a_look_tells_grey_from_color_however_it_is_kept(images):
    looked = {
        mode: glance(config(data=images(8, (30, 40), mode, mode)))
        for mode in ("L", "grey as color", "color")
    }
    assert [each.color for each in looked.values()] == [False, False, True]
    assert {each.side for each in looked.values()} == {30}
    assert looked["L"].lost == pytest.approx(0.25)
    assert (looked["L"].total, looked["L"].train) == (8, 6)


def test_a_few_digits_of_ones_own(lab, images, tmp_path):
    folder, test = images(12, (28, 28), "L"), images(6, (28, 28), "L", "시험")
    options = ["--data", folder, "--test", test, "--run-dir", tmp_path / "runs"]
    result = lab("train", *options, "--total-updates", "4")
    assert result.code == 0, result.err
    said = result.out + result.err
    assert "chosen: lenet5: grey images of 28 pixels are small" in said
    assert "12 images in 2 classes, 6 of 시험 to test" in said
