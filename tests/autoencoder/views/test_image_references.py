from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from common.errors import ConfigError, DataError
from common.images.sets import ImageSet
from labs.autoencoder.views.image_references import resolve

NAMES = ("가.png", "b.png", "c.png")
IMAGES = torch.arange(3 * 16, dtype=torch.uint8).reshape(3, 1, 4, 4)


def material(classes=("가", "b"), conditional=False):
    return SimpleNamespace(
        splits={"test": ImageSet(IMAGES, torch.tensor([1, 0, 1]), NAMES)},
        job=SimpleNamespace(
            card=SimpleNamespace(image_size=4, channels=1, classes=classes, scale=None),
            model=SimpleNamespace(conditional=conditional),
            config=SimpleNamespace(model="conditional-vae", fit="crop"),
        ),
    )


@pytest.fixture
def picture(tmp_path):
    def make(name):
        Image.fromarray(np.full((4, 4), 200, np.uint8)).save(tmp_path / name)
        return str(tmp_path / name)

    return make


def test_rows_and_files_come_in_the_order_in_which_they_were_given(picture):
    path = picture("한글.png")
    names, images, classes = resolve(material(), ("2", path, "0"))
    assert names == ("c.png", path, "가.png")
    assert classes.tolist() == [1, -1, 1]
    assert torch.equal(images[0], IMAGES[2])
    assert torch.equal(images[1], torch.full((1, 4, 4), 200, dtype=torch.uint8))
    assert images.dtype == torch.uint8


def test_a_file_whose_name_is_a_number_is_reached_by_its_path(picture, monkeypatch, tmp_path):
    picture("1.png")
    (tmp_path / "1.png").rename(tmp_path / "1")
    monkeypatch.chdir(tmp_path)
    assert resolve(material(), ("./1",)).classes.tolist() == [-1]
    assert resolve(material(), ("1",)).names == ("b.png",)


def test_without_classes_none_is_known():
    assert resolve(material(classes=()), ("0",)).classes.tolist() == [-1]


def test_all_missing_rows_are_named():
    with pytest.raises(ConfigError, match=r"no row 3, 99 in the test split; its 3 rows are 0 to 2"):
        resolve(material(), ("3", "0", "99"))


@pytest.mark.parametrize("text", ["none.png", "-1", "1.5", ""])
def test_what_is_neither_a_row_nor_a_file_is_named(text):
    with pytest.raises(DataError, match="no such file") as error:
        resolve(material(), (text,))
    assert text in str(error.value)
    assert "0 to 2" in str(error.value)


def test_a_file_that_is_no_image_is_named(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("no image")
    with pytest.raises(DataError, match=r"a\.png"):
        resolve(material(), (str(path),))


def test_bytes_of_an_old_encoding_can_be_printed():
    with pytest.raises(DataError, match="no such file: \N{REPLACEMENT CHARACTER}") as error:
        resolve(material(), ("\udcb0\udca1.png",))
    str(error.value).encode()


def test_a_conditional_model_must_know_the_class(picture):
    with pytest.raises(ConfigError, match="has to know the class"):
        resolve(material(conditional=True), ("0", picture("a.png")))
    assert resolve(material(conditional=True), ("0",)).classes.tolist() == [1]
