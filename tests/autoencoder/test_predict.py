"""What a run says of a user's images: tables, CSV and JSON that agree, PNG files, and faults."""

import csv
import io
import json
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from common.images.decode import decode
from common.options.terminal import figure_text

TOLD = ("--model", "conditional-vae")


@pytest.fixture(scope="module")
def pictures(paint, tmp_path_factory):
    """Return a folder of grey pictures of several sizes, two of one name."""
    folder = tmp_path_factory.mktemp("사진") / "내 사진"
    for number, name in enumerate(("하나.png", "둘.png", "더/하나.png", "b c.png")):
        paint(folder / name, 40 * number, "L", (9 + number, 12))
    return folder


@pytest.fixture(scope="module")
def color(lab, photos, tmp_path_factory):
    """Return a run on color photos of two classes with Korean names."""
    runs = tmp_path_factory.mktemp("runs")
    words = ("--image-size", "8", "--epochs", "2", "--warmup", "0", "--width", "4")
    model = ("--latent-size", "3", *TOLD, "--batch-size", "4")
    result = lab("train", "--data", photos, *words, *model, "--run-dir", runs, "--name", "색")
    assert result.code == 0, result
    return runs / "autoencoder/색"


def records(result):
    assert result.code == 0, result
    return json.loads(result.out)


def decoded(folder, size=8, channels=1):
    """Return the pictures of a folder as the run takes them."""
    return torch.stack([decode(path, size, channels) for path in sorted(folder.rglob("*.png"))])


def latents(rows):
    return np.array([[value for name, value in row.items() if name[0] == "z"] for row in rows])


def written(rows):
    return np.stack([np.array(Image.open(row["output"])) for row in rows])


def test_table_csv_and_json_say_the_same(lab, small_run, pictures):
    run = small_run()
    values = records(lab("predict", run, pictures, "--format", "json"))
    assert [row["path"] for row in values] == [str(path) for path in sorted(pictures.rglob("*.*"))]
    assert list(values[0]) == ["path", "mse", "z1", "z2", "z3", "z4"]
    text = lab("predict", run, pictures, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(text.out)))
    assert [row.pop("path") for row in rows] == [row["path"] for row in values]
    for row, value in zip(rows, values, strict=True):
        assert {name: float(x) for name, x in row.items()} == pytest.approx(
            {name: x for name, x in value.items() if name != "path"}, rel=1e-5
        )
    table = lab("predict", run, pictures)
    assert (table.code, table.err) == (0, "")
    assert table.out.startswith("4 image(s)\n")
    assert "z1" not in table.out
    assert all(figure_text(value["mse"]) in table.out for value in values)


def test_latents_and_errors_are_those_of_the_network(lab, small_run, opened, pictures):
    job = opened(small_run()).job
    values = records(lab("predict", small_run(), pictures, "--format", "json"))
    images = decoded(pictures)
    codes = job.encode(job.prepared(images))
    assert latents(values) == pytest.approx(codes.numpy(), abs=1e-6)
    errors = (job.decode(codes) - images / 255).square().flatten(1).mean(1)
    assert [row["mse"] for row in values] == pytest.approx(errors.tolist(), rel=1e-5)


def test_pngs_hold_what_the_network_gives_back(lab, small_run, opened, pictures, tmp_path):
    folder = tmp_path / "나온 것"
    words = ("--images", folder, "--format", "json")
    values = records(lab("predict", small_run(), pictures, *words))
    outputs = opened(small_run()).job.reconstruct(decoded(pictures))
    assert written(values).dtype == np.uint8
    assert np.array_equal(written(values), outputs[:, 0].numpy())
    names = ["0001-b c.png", "0002-더/하나.png", "0003-둘.png", "0004-하나.png"]
    assert [path.name for path in sorted(folder.iterdir())] == [
        name.replace("더/", "") for name in names
    ]
    assert not list(pictures.rglob("0*"))


def test_a_denoising_run_takes_pictures_as_they_are(lab, small_run, opened, pictures, tmp_path):
    run = small_run("--model", "denoising")
    words = ("--images", tmp_path, "--format", "json")
    values = records(lab("predict", run, pictures, *words))
    outputs = opened(run).job.reconstruct(decoded(pictures))
    assert np.array_equal(written(values), outputs[:, 0].numpy())


def test_many_pictures_are_read_in_pieces(lab, small_run, pictures, tmp_path, monkeypatch):
    words = ("--format", "json", "--images", tmp_path)
    whole = records(lab("predict", small_run(), pictures, *words))
    monkeypatch.setattr("common.images.decode._CHUNK", 3)
    pieces = records(lab("predict", small_run(), pictures, *words))
    assert latents(pieces) == pytest.approx(latents(whole), abs=1e-6)
    assert [row["output"] for row in pieces] == [row["output"] for row in whole]


# The kinds of pictures


def test_a_color_run_takes_grey_pictures_and_a_grey_run_color(
    lab, small_run, opened, color, pictures, photos, tmp_path
):
    words = ("--format", "json", "--images", tmp_path / "1", "--class", "고양이 [cat]")
    values = records(lab("predict", color, pictures, *words))
    number = opened(color).job.card.classes.index("고양이 [cat]")
    classes = torch.full((len(values),), number)
    outputs = opened(color).job.reconstruct(decoded(pictures, 8, 3), classes)
    assert np.array_equal(written(values), outputs.permute(0, 2, 3, 1).numpy())
    words = ("--format", "json", "--images", tmp_path / "2")
    values = records(lab("predict", small_run(), photos, *words))
    outputs = opened(small_run()).job.reconstruct(decoded(photos))
    assert np.array_equal(written(values), outputs[:, 0].numpy())


def test_names_that_are_no_utf8_do_not_stop_it(lab, small_run, pictures, tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    raw = os.fsencode(source) + b"/\xb0\xed\xbe\xe7.png"  # cp949
    try:
        shutil.copy(pictures / "둘.png", raw)
    except OSError:
        pytest.skip("the file system takes only UTF-8")
    for form in ("csv", "json", "table"):
        result = lab("predict", small_run(), source, "--format", form, "--images", out)
        assert result.code == 0, result
        result.out.encode("utf-8")
    assert [path.suffix for path in out.iterdir()] == [".png"]


def test_bad_files_are_named_on_the_way(lab, small_run, pictures, tmp_path):
    (tmp_path / "나쁜.jpg").write_text("no picture")
    good = pictures / "둘.png"
    result = lab("predict", small_run(), tmp_path / "나쁜.jpg", good, "--format", "json")
    assert [row["path"] for row in records(result)] == [str(good)]
    assert result.err == (
        f"skipped: cannot read the image {tmp_path / '나쁜.jpg'}: "
        "not an image, or of an unknown format; replace or remove the file\n"
    )
    result = lab("predict", small_run(), tmp_path)
    assert result.code == 2
    assert "none of the 1 file(s) is an image that can be read" in result.err


# The class


def test_a_conditional_run_has_to_be_told_the_class(lab, color, photos, tmp_path):
    result = lab("predict", color, photos, "--images", tmp_path / "out")
    assert result.code == 2
    assert "give --class, one of 강아지, 흰, 고양이 [cat]" in result.err
    assert not (tmp_path / "out").exists()


def test_latents_of_a_conditional_run_are_those_of_the_class(lab, small_run, opened, pictures):
    run = small_run(*TOLD)
    job = opened(run).job
    images = job.prepared(decoded(pictures))
    for name in "37":
        values = records(lab("predict", run, pictures, "--class", name, "--format", "json"))
        codes = job.encode(images, torch.full((len(images),), int(name)))
        assert latents(values) == pytest.approx(codes.numpy(), abs=1e-6)
        errors = (job.decode(codes, torch.full((len(images),), int(name))) - images).square()
        assert [row["mse"] for row in values] == pytest.approx(errors.flatten(1).mean(1).tolist())


def test_a_class_that_is_not_there_has_the_nearest_name(lab, color, photos):
    result = lab("predict", color, photos, "--class", "강아지 흰")
    assert result.code == 2
    assert "--class 강아지 흰: no such class; did you mean 강아지, 흰?" in result.err


# Faults


def test_missing_paths_and_empty_folders_fail_at_once(lab, small_run, pictures, tmp_path):
    result = lab("predict", small_run(), tmp_path / "x.png", pictures, tmp_path / "y")
    assert result.code == 2
    assert result.err == f"Error: no such file or folder: {tmp_path}/x.png, {tmp_path}/y\n"
    result = lab("predict", small_run(), tmp_path)
    assert result.err == f"Error: no images in {tmp_path}; expected files such as .jpg and .png\n"


def test_a_folder_that_cannot_be_written_is_said(lab, small_run, pictures, tmp_path):
    (tmp_path / "file").write_text("")
    words = (("--images", tmp_path / "file/below"), ("--output", tmp_path / "file/below.csv"))
    for each in words:
        result = lab("predict", small_run(), pictures, *each)
        assert result.code == 1
        assert "could not write" in result.err
    result = lab("predict", small_run(), pictures, "--images", tmp_path / "file")
    assert result.code == 2


def test_a_run_answers_without_its_data(lab, color, photos):
    moved = photos.rename(photos.with_name("elsewhere"))
    try:
        assert lab("predict", color, moved, "--class", "강아지, 흰").code == 0
    finally:
        moved.rename(photos)


@pytest.mark.parametrize("words", [["--format", "xml"], ["--output", "."], ["--clas", "3"]])
def test_wrong_options_are_refused(words, lab, small_run, pictures):
    assert lab("predict", small_run(), pictures, *words).code == 2
