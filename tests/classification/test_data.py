"""The lab's data, what a config builds, the baselines, and the figures."""

import json
import math
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

from common import seeding
from common.errors import ConfigError, DataError, NonFiniteError
from common.images import augment
from common.images.files import ImageFiles
from common.images.load import ImageCard, pixel_rows
from common.images.sets import ImageSet
from common.options import config as configs
from common.options.config import build
from common.training import When, losses
from common.training.compute import Compute
from common.training.task import probabilities
from labs.classification import baselines, task
from labs.classification import config as lab_config
from labs.classification.config import ClassificationConfig
from labs.classification.data import load
from labs.classification.job import ClassifyImages


def config(**options):
    options = {
        "data": "digits",
        "augment": "none",
        "model": "linear",
        "label_smoothing": 0,
    } | options
    return build(ClassificationConfig, ("options", {k: str(v) for k, v in options.items()}))


# Names that are kept twice, so that --help need not import torch


def test_losses_are_those_that_can_be_built():
    assert {*lab_config.LOSSES, "focal"} == set(losses.LOSSES)  # focal is an --imbalance


def test_augmentations_are_those_that_can_be_built():
    assert tuple(augment.AUGMENTATIONS) == configs.AUGMENTATIONS
    [field] = [f for f in ClassificationConfig.__dataclass_fields__.values() if f.name == "augment"]
    assert all(name in field.metadata["help"] for name in configs.AUGMENTATIONS)


def test_the_default_config_has_no_problems_and_every_recipe_builds():
    assert ClassificationConfig().problems() == []
    for name, values in lab_config.RECIPES.items():
        build(ClassificationConfig, (f"recipe {name}", values))


# Splits


def test_digits_are_split_by_class_without_overlap():
    splits, card = load(config())
    names = {name: set(part.names) for name, part in splits.items()}
    assert set.union(*names.values()) == {f"digits/{row}" for row in range(1797)}
    assert sum(map(len, names.values())) == 1797
    assert card.counts == {"train": 1259, "validation": 179, "test": 359}
    known = load_digits().target
    for part in splits.values():
        rows = [int(name.partition("/")[2]) for name in part.names]
        assert torch.equal(part.targets, torch.from_numpy(known[rows]))
        shares = Counter(part.targets.tolist())
        assert max(shares.values()) - min(shares.values()) <= 10


def test_the_split_seed_names_the_split_and_the_seed_does_not():
    first, again = load(config())[1], load(config(seed=5))[1]
    other = load(config(split_seed=1))[1]
    assert first == again
    assert first.fingerprint != other.fingerprint
    assert first.counts == other.counts


def test_limit_takes_a_share_of_each_class():
    splits, card = load(config(limit=100))
    assert sum(card.counts.values()) == pytest.approx(100, abs=5)
    classes = Counter(int(t) for part in splits.values() for t in part.targets)
    assert set(classes) == set(range(10))
    assert max(classes.values()) - min(classes.values()) <= 1
    assert load(config(limit=5000))[1].counts == load(config())[1].counts


def test_limit_is_shared_among_the_parts_of_a_folder(paint, tmp_path):
    for part, number in (("train", 30), ("val", 10), ("test", 20)):
        for name, level in (("a", 0), ("b", 180)):
            for item in range(number):
                paint(tmp_path / part / name / f"{part}{item}.png", level)
    card = load(config(data=tmp_path, image_size=4, limit=60))[1]
    assert card.counts == {"train": 30, "validation": 10, "test": 20}


def test_the_card_survives_json():
    card = load(config(limit=60))[1]
    assert ImageCard.from_dict(json.loads(json.dumps(card.as_dict()))) == card


def test_normalisation_is_that_of_the_training_pixels():
    splits, card = load(config())
    pixels = splits["train"].images.double() / 255
    assert card.mean == pytest.approx([pixels.mean().item()])
    assert card.std == pytest.approx([pixels.std(correction=0).item()])
    prepared = task.augmentation(config(), card)(splits["train"].images, None)
    assert prepared.mean().item() == pytest.approx(0, abs=1e-5)
    assert prepared.std().item() == pytest.approx(1, abs=1e-3)


def test_flat_pictures_do_not_divide_by_zero(tmp_path):
    for name, level in (("a", 7), ("b", 7)):
        for number in range(3):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.new("L", (8, 8), level).save(tmp_path / name / f"{number}.png")
    splits, card = load(config(data=tmp_path, image_size=8))
    assert card.std == (1 / 255,)
    assert card.copies == len(splits["test"])


def test_images_come_in_the_size_and_the_channels_that_the_model_wants():
    splits, card = load(config(limit=30, image_size=16))
    assert splits["train"].images.shape[1:] == (1, 16, 16)
    assert (card.channels, card.image_size) == (1, 16)
    splits, card = load(config(limit=30, model="resnet18"))
    assert splits["train"].images.shape[1:] == (3, 64, 64)
    assert (card.channels, card.image_size) == (3, 64)
    assert torch.equal(splits["train"].images[:, 0], splits["train"].images[:, 2])
    assert splits["train"].images.dtype == torch.uint8


def test_a_part_that_the_folder_has_is_not_cut_from_train(paint, tmp_path):
    for part, number in (("train", 6), ("val", 2)):
        for name, level in (("a", 0), ("b", 180)):
            for item in range(number):
                paint(tmp_path / part / name / f"{part}{item}.png", level)
    splits, card = load(config(data=tmp_path, image_size=8))
    assert card.counts == {"train": 10, "validation": 4, "test": 2}
    assert all(name.startswith("val/") for name in splits["validation"].names)
    assert all(name.startswith("train/") for name in splits["test"].names)
    assert not set(splits["test"].names) & set(splits["train"].names)


def test_a_folder_with_all_parts_is_taken_as_it_is(paint, tmp_path):
    for part, number in (("train", 5), ("validation", 2), ("test", 3)):
        for name, level in (("가", 0), ("나", 180)):
            for item in range(number):
                paint(tmp_path / part / name / f"{part}{item}.png", level)
    splits, card = load(config(data=tmp_path, image_size=8))
    assert card.counts == {"train": 10, "validation": 4, "test": 6}
    assert card.classes == ("가", "나")
    for name, part in splits.items():
        assert all(each.startswith(f"{name}/") for each in part.names)


def test_numeric_losses_take_digits_as_numbers():
    splits, card = load(config(limit=30, loss="mae"))
    assert splits["train"].targets.dtype == torch.float32
    assert card.classes == ()
    assert set(splits["test"].targets.tolist()) <= set(map(float, range(10)))


def test_streamed_pictures_are_those_in_memory(photos):
    memory = load(config(data=photos, image_size=8, decoding="memory"))
    stream = load(config(data=photos, image_size=8, decoding="stream"))
    assert isinstance(stream[0]["train"].images, ImageFiles)
    assert memory[1].mean == stream[1].mean
    assert memory[1].counts == stream[1].counts
    for name, part in memory[0].items():
        assert part.names == stream[0][name].names
        read = torch.stack([stream[0][name].images[row] for row in range(len(part))])
        assert torch.equal(part.images, read)


def test_a_home_folder_is_found(photos, monkeypatch):
    monkeypatch.setenv("HOME", str(photos.parent))
    assert load(config(data=f"~/{photos.name}", image_size=8))[1].counts["train"] == 14


def test_unknown_data_names_the_embedded_sets():
    with pytest.raises(DataError, match="cifar10; did you mean mnist5k"):
        load(config(data="mnist5"))


# What a config builds


def test_weights_depend_on_the_seed_alone():
    card = load(config(limit=30))[1]

    def weights(**options):
        return ClassifyImages(
            config(model="mlp", **options), Compute("cpu"), card
        ).model.state_dict()

    first = weights()
    torch.manual_seed(123)
    again = weights(epochs=3, warmup=0)
    other = weights(seed=1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_a_model_is_built_for_what_the_crop_leaves():
    card = load(config(limit=30, image_size=16))[1]
    model = task.build_model(config(augment="crop:12"), card)
    assert model(torch.zeros(2, 1, 12, 12)).shape == (2, 10)
    with pytest.raises(ConfigError, match="at least 20 pixels"):
        task.build_model(config(augment="crop:20"), card)


def card_of(*classes):
    return ImageCard("", {}, (), "", classes, 1, 8, (0.5,), (0.5,), None)


def test_balanced_weights_weigh_loss_and_batches():
    targets = torch.tensor([0, 0, 0, 1])
    card = card_of("a", "b")
    kind = task.build_task(config(imbalance="class-weights"), targets, card, Compute())
    weights = torch.tensor([4 / 6, 2.0])
    batch = (torch.tensor([[1.0, 2.0], [0.5, 0.0], [0.0, 3.0]]), torch.tensor([0, 1, 1]))
    when = When(0, 0, seeding.generator(0))
    loss = kind.loss(nn.Identity(), batch, when)["loss"]
    assert loss.item() == pytest.approx(nn.functional.cross_entropy(*batch, weights).item())
    assert kind.weights(batch)["loss"].item() == pytest.approx(weights[batch[1]].sum().item())
    plain = task.build_task(config(), targets, card, Compute())
    assert plain.weights(batch)["loss"] == 3
    asked = task.build_task(config(imbalance="class-weights"), None, card, Compute())
    assert asked.outputs(nn.Identity(), batch)["outputs"].equal(batch[0])


@pytest.mark.parametrize("loss", ["cross-entropy", "mse"])
def test_outputs_that_are_not_finite_have_no_figures(loss):
    card = card_of(*(() if loss == "mse" else ("a", "b")))
    kind = task.build_task(config(loss=loss), torch.tensor([0, 1]), card, Compute())
    outputs = torch.zeros(2) if loss == "mse" else torch.zeros(2, 2)
    targets = torch.tensor([0, 1]).to(torch.float32 if loss == "mse" else torch.int64)
    assert "loss" in kind.figures({"outputs": outputs, "targets": targets})
    outputs[1] = math.nan
    with pytest.raises(NonFiniteError, match="learning-rate"):
        kind.figures({"outputs": outputs, "targets": targets})


# Baselines and figures


def picture_sets(targets, noise=8, size=8, seed=0):
    """Return train, validation and test of 1 x size x size pictures as bright as their target."""
    generator = torch.Generator().manual_seed(seed)
    sets = {}
    for name, labels in targets.items():
        level = torch.tensor(labels).float()[:, None, None, None] * 60 + 30
        dots = torch.rand(len(labels), 1, size, size, generator=generator) * noise
        names = tuple(f"{name}{row}" for row in range(len(labels)))
        sets[name] = ImageSet((level + dots).to(torch.uint8), torch.tensor(labels), names)
    return sets


def test_baselines_find_what_is_easy_and_the_majority_only_the_majority():
    labels = [0, 1, 2] * 10
    sets = picture_sets({"train": [0, *labels], "validation": labels, "test": [2, 1, 0, 0]})
    found = baselines.predictions(sets)
    assert list(found) == ["majority class", "k-nearest neighbors", "logistic regression"]
    for name in ("k-nearest neighbors", "logistic regression"):
        assert found[name]["test"].tolist() == [2, 1, 0, 0]
        assert found[name]["validation"].tolist() == labels
    assert found["majority class"]["test"].tolist() == [0, 0, 0, 0]


def test_baselines_see_what_fits_into_their_memory_and_time():
    assert baselines.count_seen(50_000, 3, 32, 10) == 50_000  # CIFAR-10
    assert baselines.count_seen(50_000, 3, 32, 100) == 13_020
    assert baselines.count_seen(1_000_000, 1, 28, 0) == 250_000_000 // 784


def test_baselines_of_numbers():
    labels = [0.0, 1.0, 2.0, 3.0] * 5
    sets = picture_sets({"train": labels, "validation": labels, "test": [2.0, 0.0]}, noise=1)
    found = baselines.predictions(sets, "number")
    assert list(found) == ["mean", "k-nearest neighbors", "linear regression"]
    assert found["mean"]["test"] == pytest.approx([1.5, 1.5])
    assert found["k-nearest neighbors"]["test"] == pytest.approx([2, 0])
    assert found["linear regression"]["test"] == pytest.approx([2, 0], abs=0.1)


@pytest.mark.parametrize("numeric", [False, True])
def test_baselines_manage_with_the_fewest_pictures(numeric):
    targets = [0.0, 1.0] if numeric else [0, 1]
    parts = ("train", "validation", "test")
    for sizes in ([2, 2, 2], [1, 1, 1]) if numeric else ([2, 2, 2],):
        sets = picture_sets({p: targets[:n] for p, n in zip(parts, sizes, strict=True)})
        found = baselines.predictions(sets, "number" if numeric else "class")
        assert len(found) == 3
        assert all(len(each["test"]) == sizes[2] for each in found.values())


def test_baselines_choose_on_validation():
    """A wrong label in the training split misleads one neighbor, not three."""
    labels = [0] * 6 + [1] * 6
    sets = picture_sets({"train": labels, "validation": [0] * 6, "test": [0] * 6}, noise=0)
    wrong = sets["train"].targets.clone()
    wrong[0] = 1
    train = ImageSet(sets["train"].images, wrong, sets["train"].names)
    found = baselines.predictions({**sets, "train": train})
    assert found["k-nearest neighbors"]["validation"].tolist() == [0] * 6
    assert found["k-nearest neighbors"]["test"].tolist() == [0] * 6


def test_baselines_see_large_images_shrunk():
    part = ImageSet(
        torch.full((3, 1, 64, 64), 255, dtype=torch.uint8), torch.zeros(3), tuple("abc")
    )
    pixels = pixel_rows(part, baselines.SIDE)
    assert pixels.shape == (3, 32 * 32)
    assert np.all(pixels == 1)


def test_probabilities_and_decisions():
    logits = torch.tensor([[0.0, 0.0], [1000.0, -1000.0], [-1.0, 1.0]])
    chances = probabilities(logits)
    assert chances.dtype == np.float64
    assert chances.sum(1) == pytest.approx([1, 1, 1])
    assert task.decide(logits, numeric=False).tolist() == [0, 0, 1]
    assert task.decide(torch.tensor([0.5]), numeric=True).tolist() == [0.5]
