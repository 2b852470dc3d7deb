"""Tables whose cells are pixels, as people hand them out."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from common.images.glance import choose_split, find_test
from common.images.load import find_files
from common.images.tables.locate import locate
from common.options.budget import Choices
from common.options.config import ImageConfig, build

GREY = np.random.default_rng(0).integers(0, 256, (12, 14, 14), np.uint8)
SMALL = np.arange(12 * 64).reshape(12, 8, 8).astype(np.uint8) % 251
GREY[:, 0, 0] = SMALL[:, 0, 0] = 0  # a corner that is black in all
LABELS = ["고양이", "dog", "dog"] * 4
NUMBERED = [f"pixel{place}" for place in range(196)]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("LABS_CACHE", str(tmp_path / "cache"))


def write(path, header, images, labels=LABELS, *, last=False, between=","):
    lines = [between.join(header)] if header else []
    for image, label in zip(images, labels or [None] * len(images), strict=True):
        cells = [str(value) for value in np.ravel(image).tolist()]
        label = [] if label is None else [label]
        lines.append(between.join([*cells, *label] if last else [*label, *cells]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def listed(path, classes="required", **options):
    config = build(ImageConfig, ("test", {"data": str(path), **options}))
    return find_files(config, "class", classes)


def images(found):
    return np.stack([np.asarray(Image.open(file.path)) for file in found.files])


@pytest.mark.parametrize(
    ("names", "pixels"),
    [
        (NUMBERED, GREY),
        ([f"pixel{1 + place:04}" for place in range(196)], GREY),
        ([f"{row}x{column}" for row in range(1, 15) for column in range(1, 15)], GREY),
        ([f"pixel_{row}_{column}" for row in range(8) for column in range(8)], SMALL),
        ([str(place) for place in range(196)], GREY),
        (
            [f"{row}x{column}" for row in range(8) for column in range(1, 10)],
            SMALL[:, :, [0, *range(8)]],
        ),
    ],
)
@pytest.mark.parametrize("last", [False, True])
def test_columns_of_pixels(tmp_path, names, pixels, last):
    header = [*names, "label"] if last else ["label", *names]
    found = listed(write(tmp_path / "train.csv", header, pixels, last=last))
    np.testing.assert_array_equal(images(found), pixels)
    assert [file.label for file in found.files] == LABELS
    height, width = pixels.shape[1:]
    assert f"images of {height}x{width} grey pixels in columns {names[0]!r}" in found.source


def test_columns_are_taken_by_their_numbers(tmp_path):
    names = [f"{row}x{column}" for row in range(14) for column in range(14)]
    down = [f"{row}x{column}" for column in range(14) for row in range(14)]
    assert names != down
    path = write(tmp_path / "train.csv", ["label", *down], GREY.swapaxes(1, 2))
    np.testing.assert_array_equal(images(listed(path)), GREY)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("labels", [LABELS, ["7", "9"] * 6, None])
def test_without_names_of_columns(tmp_path, last, labels):
    path = write(tmp_path / "mnist_train.csv", [], GREY, labels, last=last)
    found = listed(path, "optional")
    np.testing.assert_array_equal(images(found), GREY)
    assert [file.label for file in found.files] == (labels or [None] * 12)
    where = "" if labels is None else f", its label in column {197 if last else 1}"
    first = 1 if last or labels is None else 2
    assert f"pixels in columns {first} to {first + 195}{where}, unpacked" in found.source


@pytest.mark.parametrize("between", [" ", ", "])
def test_a_cell_with_all_pixels(tmp_path, between):
    rows = ["emotion,pixels,Usage"]
    usage = ["Training"] * 6 + ["PublicTest"] * 3 + ["PrivateTest"] * 3
    for image, label, part in zip(SMALL, LABELS, usage, strict=True):
        rows.append(f'{label},"{between.join(map(str, image.ravel().tolist()))}",{part}')
    (tmp_path / "fer.csv").write_text("\n".join(rows), "utf-8")
    found = listed(tmp_path / "fer.csv", label_column=("emotion",), split_column="Usage")
    np.testing.assert_array_equal(images(found), SMALL)
    assert [file.part for file in found.files] == (
        ["train"] * 6 + ["validation"] * 3 + ["test"] * 3
    )


def test_lists_of_json(tmp_path):
    rows = [
        {"label": label, "image": image.ravel().tolist()}
        for image, label in zip(SMALL, LABELS, strict=True)
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    np.testing.assert_array_equal(images(listed(tmp_path / "a.jsonl")), SMALL)


@pytest.mark.parametrize("planes", [False, True])
def test_colors_side_by_side_or_in_planes(tmp_path, planes):
    ramp = np.add.outer(np.arange(14), np.arange(14)) * 9
    photos = np.stack([np.stack([ramp, 255 - ramp, np.full_like(ramp, 90)], -1)] * 12)
    flat = np.moveaxis(photos, 3, 1) if planes else photos
    names = [f"pixel{place:04}" for place in range(14 * 14 * 3)]
    found = listed(write(tmp_path / "rgb.csv", ["label", *names], flat))
    np.testing.assert_array_equal(images(found), photos)
    assert "images of 14x14 RGB pixels" in found.source


@pytest.mark.parametrize(
    ("values", "white"), [(GREY / 255, 255), (GREY > 99, 255), (GREY.astype(float), 1)]
)
def test_white_is_255(tmp_path, values, white):
    path = write(tmp_path / "a.csv", ["label", *NUMBERED], np.asarray(values, float))
    np.testing.assert_array_equal(images(listed(path)), np.rint(values * white).astype(np.uint8))


def test_the_digits_of_uci_have_16_levels(tmp_path):
    digits = np.arange(12 * 64).reshape(12, 8, 8) % 17
    digits[:, 0, 0] = 0
    names = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
    found = listed(write(tmp_path / "digits.csv", [*names, "target"], digits, last=True))
    np.testing.assert_array_equal(images(found), np.rint(digits * 255 / 16).astype(np.uint8))


def test_rows_are_no_pixels_and_other_columns_stay(tmp_path):
    header = ["", "id", "digit", "letter", *map(str, range(196))]
    rows = [[row, 2049 + row, row % 2, "LM"[row % 2], *GREY[row].ravel()] for row in range(12)]
    lines = [",".join(map(str, row)) for row in [header, *rows]]
    (tmp_path / "train.csv").write_text("\n".join(lines))
    table = locate(tmp_path / "train.csv").read_text("utf-8").splitlines()
    assert table[:2] == ["image,id,digit,letter", "row-000001.png,2049,0,L"]
    assert [file.label for file in listed(tmp_path / "train.csv").files] == ["0", "1"] * 6


def test_a_folder_with_train_and_test(tmp_path):
    header = ["label", *NUMBERED]
    root = tmp_path / "set"
    write(root / "sign_train.csv", header, GREY)
    (root / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    for labels, test in ((LABELS[:3], "data:sign_test.csv"), (["dog"] * 3, None)):
        write(root / "sign_test.csv", header, GREY[:3], labels)
        found = Choices(build(ImageConfig, ("test", {"data": str(root)})))
        choose_split(found)
        assert found.config.test == test
        np.testing.assert_array_equal(images(listed(root)), GREY)
    write(root / "sign_test.csv", NUMBERED, GREY[:3], None)
    assert find_test(build(ImageConfig, ("test", {"data": str(root)}))) is None
    for classes in ("required", "optional"):
        assert len(listed(root, classes).files) == 12
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.write(root / "sign_train.csv", "sign_train.csv")
    np.testing.assert_array_equal(images(listed(tmp_path / "set.zip")), GREY)


def test_how_the_users_table_is_written_is_not_asked_of_ours(tmp_path):
    path = write(tmp_path / "a.csv", ["label", *NUMBERED], GREY, between=";")
    path.write_bytes(path.read_text("utf-8").encode("cp949"))
    found = listed(path, delimiter=";", file_encoding="cp949")
    assert [file.label for file in found.files] == LABELS
    np.testing.assert_array_equal(images(found), GREY)


@pytest.mark.parametrize("row", [4, 30])
@pytest.mark.parametrize("wrong", ["", "x", "-1", "256", "nan"])
def test_a_row_with_other_pixels_is_left_out_by_name(tmp_path, wrong, row):
    path = write(tmp_path / "a.csv", ["label", *NUMBERED], np.tile(GREY, (3, 1, 1)), LABELS * 3)
    lines = path.read_text("utf-8").splitlines()
    lines[row] = lines[row].rpartition(",")[0] + "," + wrong
    path.write_text("\n".join(lines), "utf-8")
    found = listed(path)
    assert len(found.files) == 35
    [(place, why)] = found.skipped
    assert place == f"a.csv:{row + 1}"
    assert f"row-{row:06}.png, which has not 196 pixels from 0 to 255" in why
    lines[1:] = [line.rpartition(",")[0] + "," + wrong for line in lines[1:]]
    path.write_text("\n".join(lines), "utf-8")
    with pytest.raises(DataError, match="a.csv"):
        listed(path)


def test_a_table_that_names_images_is_about_them(tmp_path):
    for number in range(12):
        Image.fromarray(GREY[number]).save(tmp_path / f"{number}.png")
    names = [f"{number}.png" for number in range(12)]
    rows = [
        f"{name},{','.join(map(str, image.ravel()))},{label}"
        for name, image, label in zip(names, GREY, LABELS, strict=True)
    ]
    for kind in ("pixel", "img_x"):
        header = ",".join(["filename", *(f"{kind}{place}" for place in range(196)), "label"])
        path = tmp_path / f"{kind}.csv"
        path.write_text("\n".join([header, *rows]), "utf-8")
        assert locate(path) == path


@pytest.mark.parametrize("last", [False, True])
def test_tables_without_names_that_are_sorted(tmp_path, last):
    photos = np.random.default_rng(3).integers(0, 256, (120, 14, 14), np.uint8)
    labels = [str(number // 40) for number in range(120)]
    found = listed(write(tmp_path / "a.csv", [], photos, labels, last=last))
    assert [file.label for file in found.files] == labels
    photos[:, 13, 13] = photos[:, 0, 0] = np.arange(120) % 30 == 0  # nearly always black
    letters = [str(number % 26) for number in range(120)]
    found = listed(write(tmp_path / "b.csv", [], photos, letters, last=last))
    assert [file.label for file in found.files] == letters


def test_a_column_called_image_stays(tmp_path):
    path = write(tmp_path / "a.csv", ["image", *NUMBERED], GREY, [str(n % 2) for n in range(12)])
    assert locate(path).read_text("utf-8").startswith("image of pixels,image\n")


@pytest.mark.parametrize(
    "header",
    [
        ["label", *(f"v{place}" for place in range(256))],  # sensors
        ["label", *(f"image_feature{place}" for place in range(64))],
        ["label", *(f"pixel{place}" for place in range(190))],  # no square
        ["label", *(f"pixel{place}" for place in range(16))],  # nothing to see
    ],
)
def test_other_columns_of_numbers_are_no_images(tmp_path, header):
    rows = np.random.default_rng(1).integers(0, 256, (12, len(header) - 1))
    path = write(tmp_path / "a.csv", header, rows)
    assert locate(path) == path
    measured = write(tmp_path / "b.csv", ["label", *(f"f{n}" for n in range(400))], rng_floats())
    assert locate(measured) == measured


def rng_floats():
    return np.random.default_rng(1).random((12, 400))
