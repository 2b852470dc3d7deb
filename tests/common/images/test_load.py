"""A config's images as splits: named sets, folders, and files of arrays, scaled and colored."""

import numpy as np
import pytest
import torch
from PIL import Image

from common.errors import DataError
from common.images import decode, known
from common.images import load as image_data
from common.images.glance import glance
from common.images.load import joined, load, pixel_rows
from common.images.sets import ImageSet
from common.options.config import IMAGE_SETS, ImageConfig
from common.training.splits import sample_rows
from tests.common.images.loading import load_folder


@pytest.fixture
def arrays(tmp_path):
    """Write digits as Keras keeps them, with a test part; return the file."""
    rng = np.random.default_rng(0)
    path = tmp_path / "숫자.npz"
    np.savez(
        path,
        x_train=rng.integers(0, 256, (60, 10, 10), dtype=np.uint8),
        y_train=np.arange(60) % 3,
        x_test=rng.integers(0, 256, (9, 10, 10), dtype=np.uint8),
        y_test=np.arange(9) % 3,
    )
    return path


def test_parts_that_are_missing_are_cut_from_the_training_part(arrays):
    splits, card = load(ImageConfig(data=str(arrays)))
    assert card.counts["test"] == 9
    assert card.counts["train"] + card.counts["validation"] == 60
    assert card.classes == ("0", "1", "2")
    assert (card.channels, card.image_size) == (1, 10)
    with np.load(arrays) as file:
        assert np.array_equal(splits["test"].images[:, 0].numpy(), file["x_test"])


def test_arrays_are_scaled_and_colored_as_asked(arrays):
    splits, card = load(ImageConfig(data=str(arrays), image_size=16), color=True)
    assert splits["train"].images.shape[1:] == (3, 16, 16)
    assert (card.channels, card.image_size) == (3, 16)
    assert load(ImageConfig(data=str(arrays)), color=True)[1].image_size == 64


def test_scaling_some_at_a_time_changes_nothing(arrays, monkeypatch):
    whole = load(ImageConfig(data=str(arrays), image_size=7))[0]["train"].images
    monkeypatch.setattr(image_data, "_CHUNK", 5)
    assert torch.equal(load(ImageConfig(data=str(arrays), image_size=7))[0]["train"].images, whole)


@pytest.fixture
def folder(tmp_path):
    """Write 40 grey pictures of two classes, each of its own grey; return the folder."""
    for row in range(40):
        path = tmp_path / "사진" / "ab"[row % 2] / f"{row:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (12, 12), row).save(path)
    return tmp_path / "사진"


def test_no_more_files_are_decoded_than_the_limit_takes(folder, monkeypatch):
    whole = load_folder(folder, 64).parts["all"]
    opened = []
    real = decode.square
    monkeypatch.setattr(
        decode, "square", lambda path, *options: opened.append(path) or real(path, *options)
    )
    splits, card = load(ImageConfig(data=str(folder), limit=10))
    assert len(opened) == len(set(opened)) == sum(card.counts.values()) == 10
    assert card.source == "folder 사진: 40 images in 2 classes, 10 of them used"
    # They are those that were taken of the decoded images before.
    rows = sample_rows(whole.targets, 10, 0)
    assert sorted(joined(list(splits.values())).names) == [whole.names[row] for row in rows]


def test_a_test_split_of_its_own(folder, tmp_path):
    for name, grey in (("b/1.png", 201), ("b/2.png", 202)):  # of one class of the two
        path = tmp_path / "시험" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (30, 30), grey).save(path)
    config = ImageConfig(data=str(folder), test=str(tmp_path / "시험"), image_size=8)
    splits, card = load(config)
    assert card.counts == {"train": 36, "validation": 4, "test": 2}
    assert splits["test"].targets.tolist() == [1, 1]
    assert splits["test"].images[:, 0, 0, 0].tolist() == [201, 202]
    assert glance(config, kind="class").train == 36


def test_a_test_split_that_cannot_be(folder, arrays, tmp_path):
    wrong = {
        "no such folder or file": (folder, tmp_path / "없다"),
        "the class c": (folder, tmp_path / "other"),
        "has a test split already": (arrays, folder),
    }
    (tmp_path / "other" / "c").mkdir(parents=True)
    Image.new("L", (8, 8)).save(tmp_path / "other" / "c" / "1.png")
    for text, (data, test) in wrong.items():
        with pytest.raises(DataError, match="--test") as caught:
            load(ImageConfig(data=str(data), test=str(test)))
        assert text in str(caught.value)
    [problem] = ImageConfig(test="x").problems()
    assert problem == "--test: goes with images of your own; mnist5k has test images"


def test_folders_are_parts_by_what_people_call_them(folder):
    parts = ("Training", "VALID", "Testing")
    for name in "ab":
        for row, path in enumerate(sorted((folder / name).iterdir())):
            moved = folder / parts[row % 3] / name / path.name
            moved.parent.mkdir(parents=True, exist_ok=True)
            path.rename(moved)
        (folder / name).rmdir()
    _, card = load(ImageConfig(data=str(folder)))
    assert card.counts == {"train": 14, "validation": 14, "test": 12}


def test_classes_that_are_numbers_can_be_predicted_as_such(arrays):
    splits, card = load(ImageConfig(data=str(arrays)), kind="number")
    assert card.classes == ()
    assert set(splits["train"].targets.tolist()) == {0.0, 1.0, 2.0}


def test_classes_that_are_none_cannot(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, images=np.zeros((9, 8, 8), np.uint8) + 3, labels=np.array(["a", "b", "c"] * 3))
    with pytest.raises(DataError, match="are no numbers"):
        load(ImageConfig(data=str(path)), kind="number")


def test_images_without_labels_have_no_classes(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.arange(20 * 64, dtype=np.float32).reshape(20, 8, 8) / 2000)
    splits, card = load(ImageConfig(data=str(path)), classes="optional")
    assert card.classes == ()
    assert sum(map(len, splits.values())) == 20


def test_a_downloaded_set_is_taken_from_the_folder_that_is_given(monkeypatch, arrays, tmp_path):
    asked = []

    def load_download(name, folder):
        asked.append((name, folder))
        return known.load_arrays(arrays)

    monkeypatch.setattr(known, "load_download", load_download)
    assert load(ImageConfig(data="mnist", data_dir=str(tmp_path)))[1].counts["test"] == 9
    assert asked == [("mnist", tmp_path)]


def test_names_of_sets_are_no_paths():
    assert set(IMAGE_SETS) == {*known.EMBEDDED, *known.DOWNLOADS}


def test_what_is_not_there_is_told_with_the_nearest_name():
    with pytest.raises(DataError, match="did you mean fashion-mnist?"):
        load(ImageConfig(data="fashion-mnits"))


@pytest.mark.parametrize("kind", ["arrays", "files"])
def test_joined_splits_are_the_set_again(kind, arrays, paint_files):
    path = arrays if kind == "arrays" else paint_files
    config = ImageConfig(data=str(path), image_size=8, decoding="stream")
    splits = load(config)[0]
    whole = joined(list(splits.values()))
    assert len(whole) == sum(map(len, splits.values()))
    assert whole.names == tuple(name for part in splits.values() for name in part.names)
    last = splits["test"]
    assert torch.equal(whole.images[len(whole) - 1], last.images[len(last) - 1])
    assert torch.equal(whole.targets[-len(last) :], last.targets)


@pytest.fixture
def paint_files(tmp_path):
    """Return a folder of 24 noisy pictures in two classes."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(24):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def test_pixel_rows_are_in_order_between_0_and_1(monkeypatch):
    pixels = torch.arange(7 * 16, dtype=torch.uint8).reshape(7, 1, 4, 4)
    part = ImageSet(pixels, torch.zeros(7), tuple("abcdefg"))
    monkeypatch.setattr(image_data, "_CHUNK", 3)
    assert pixel_rows(part) == pytest.approx(pixels.flatten(1).numpy() / 255)
    assert pixel_rows(part, 2)[:, 0] == pytest.approx(
        pixels[:, 0, :2, :2].float().mean((1, 2)).numpy() / 255
    )
