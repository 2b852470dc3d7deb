"""The lab's data: classes left out, images without classes, arrays, photos, and what is wrong."""

import json
import unicodedata

import numpy as np
import pytest
import torch
from PIL import Image

from common.errors import ConfigError
from common.images.load import ImageCard
from common.options.config import build
from labs.autoencoder.config import AutoencoderConfig
from labs.autoencoder.data import load
from labs.autoencoder.job import Compression
from labs.autoencoder.names import VIEWS

SMALL = (
    *("--epochs", "1", "--warmup", "0", "--threads", "1", "--latent-size", "4", "--width", "4"),
    *("--batch-size", "8", "--image-size", "8"),
)


def config(**options):
    options = {"data": "digits"} | options
    return build(AutoencoderConfig, ("options", {k: str(v) for k, v in options.items()}))


@pytest.fixture(scope="module")
def animals(paint, tmp_path_factory):
    """Return a folder of color pictures of three classes with Korean names, of several sizes."""
    folder = tmp_path_factory.mktemp("사진")
    for name, level in (("고양이", 0), ("강아지", 90), ("새", 180)):
        for number in range(10):
            paint(folder / name / f"{number}.png", level, size=(10 + number, 20 - number))
    return folder


@pytest.fixture(scope="module")
def flat(paint, tmp_path_factory):
    """Return a folder of pictures without classes."""
    folder = tmp_path_factory.mktemp("하나로")
    for number in range(40):
        paint(folder / f"사진 {number}.png", 5 * number, "L", (8, 8))
    return folder


# Classes left out


@pytest.mark.parametrize("without", ["9", "9,3", "0,1,2,3,4,5,6,7"])
def test_classes_left_out_are_the_anomalies_and_nothing_else_changes(without):
    out = {int(name) for name in without.split(",")}
    whole, card = load(config(limit=300))
    splits, other = load(config(limit=300, without=without))
    for name in ("train", "validation", "test"):
        kept = [row for row, target in enumerate(whole[name].targets.tolist()) if target not in out]
        assert splits[name].names == tuple(whole[name].names[row] for row in kept)
        assert torch.equal(splits[name].images, whole[name].images[kept])
        assert torch.equal(splits[name].targets, whole[name].targets[kept])
    anomalies = splits["anomalies"]
    assert len(anomalies) + len(splits["test"]) == len(whole["test"])
    assert set(anomalies.targets.tolist()) == out
    assert set(anomalies.names) < set(whole["test"].names)
    assert other.counts == {name: len(part) for name, part in splits.items()}
    assert other.classes == card.classes
    assert other.source == f"{card.source}, without {', '.join(without.split(','))}"
    assert ImageCard.from_dict(json.loads(json.dumps(other.as_dict()))) == other


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_korean_name_is_the_same_however_it_is_written(form, animals):
    name = unicodedata.normalize(form, "강아지")
    splits, card = load(config(data=animals, image_size=8, without=name))
    assert card.classes == ("강아지", "고양이", "새")
    assert {int(each) for part in splits.values() for each in part.targets} == {0, 1, 2}
    assert set(splits["anomalies"].targets.tolist()) == {0}
    assert set(splits["train"].targets.tolist()) == {1, 2}


def test_unknown_classes_come_with_the_nearest_name_and_all_at_once(animals):
    with pytest.raises(ConfigError) as error:
        load(config(data=animals, image_size=8, without="강아치,새,표범"))
    assert error.value.problems == [
        "--without 강아치: no such class; there are: 강아지, 고양이, 새; did you mean 강아지?",
        "--without 표범: no such class; there are: 강아지, 고양이, 새",
    ]


def test_not_all_classes_can_be_left_out(animals):
    with pytest.raises(ConfigError, match="names every class, so there is nothing left to train"):
        load(config(data=animals, image_size=8, without="새,강아지,고양이,새"))


def test_of_data_without_classes_none_can_be_left_out(flat):
    with pytest.raises(ConfigError, match="no such class; there are: none"):
        load(config(data=flat, image_size=8, without="새"))


# Folders


def test_one_class_alone_names_the_folder_to_give(lab, paint, tmp_path):
    for number in range(10):
        paint(tmp_path / "사진" / "새" / f"{number}.png", 20 * number)
    words = ("--run-dir", tmp_path / "runs", *SMALL)
    result = lab("train", "--data", tmp_path / "사진", *words)
    assert result.code == 2
    assert result.err.count("Error: ") == 1
    assert "only one class, '새'" in result.err
    assert f"give the folder of the images itself, {tmp_path / '사진'}/새\n" in result.err
    assert not (tmp_path / "runs").exists()
    assert lab("train", "--data", tmp_path / "사진/새", *words).code == 0


@pytest.fixture(scope="module")
def classless(lab, flat, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    words = ("--data", flat, *SMALL, "--run-dir", runs, "--name", "run")
    result = lab("train", *words, full=True, drawn=True)
    assert result.code == 0, result
    return runs / "autoencoder/run"


@pytest.mark.slow
def test_a_folder_without_classes_has_a_report_without_them(classless):
    html = (classless / "report.html").read_text("utf-8")
    kept = {path.stem for path in (classless / "views").iterdir()}
    expected = {name for name, view in VIEWS.items() if view.unasked and not view.needs}
    assert kept == expected
    assert "could not be made" not in html
    assert json.loads((classless / "data.json").read_text())["classes"] == []


@pytest.mark.parametrize("view", [name for name, view in VIEWS.items() if "classes" in view.needs])
def test_what_needs_classes_says_so_once(view, lab, classless):
    result = lab(view, classless)
    assert result.code == 2
    assert result.err.count("Error: ") == 1
    assert "needs classes" in result.err
    assert "train on a folder with one folder per class" in result.err


@pytest.mark.parametrize(("view", "option"), [("anomalies", "--without"), ("sample", "vae")])
def test_what_the_run_has_not_what_for_says_what_to_train(view, option, lab, classless):
    result = lab(view, classless)
    assert result.code == 2
    assert result.err.count("Error: ") == 1
    assert option in result.err


def test_a_conditional_model_cannot_do_without_classes(lab, flat, tmp_path):
    words = ("--data", flat, *SMALL, "--model", "conditional-vae", "--run-dir", tmp_path / "runs")
    result = lab("train", *words)
    assert result.code == 2
    assert "class" in result.err
    assert not (tmp_path / "runs").exists()


# Photos, tables, arrays


def test_color_photos_of_differing_sizes_are_scaled_and_cropped(animals):
    splits, card = load(config(data=animals, image_size=8))
    assert (card.channels, card.image_size) == (3, 8)
    assert splits["train"].images.shape[1:] == (3, 8, 8)
    _, default = load(config(data=animals))
    assert default.image_size == 64


@pytest.mark.slow
def test_color_photos_train_to_a_report(lab, animals, opened, tmp_path):
    words = ("--data", animals, *SMALL, "--run-dir", tmp_path, "--name", "run")
    assert lab("train", *words, full=True, drawn=True).code == 0
    made = opened(tmp_path / "autoencoder/run")
    assert made.job.model.decode(torch.zeros(2, 4)).shape == (2, 3, 8, 8)
    assert made["test"].pixels.shape == (6, 3 * 64)
    assert (tmp_path / "autoencoder/run/latent_map.html").is_file()
    result = lab("train", *words[:-1], "none", "--without", "새", full=True)
    assert result.code == 0, result


def test_a_table_names_pictures_and_classes(animals, tmp_path):
    table = tmp_path / "표.csv"
    rows = [f"{path},{path.parent.name}" for path in sorted(animals.rglob("*.png"))]
    table.write_text("\n".join(["그림,종류", *rows]), encoding="utf-8")
    columns = {"path_column": "그림", "label_column": "종류"}
    splits, card = load(config(data=table, image_size=8, without="새", **columns))
    assert card.classes == ("강아지", "고양이", "새")
    assert len(splits["anomalies"]) == 2
    guessed, same = load(config(data=table, image_size=8, without="새"))
    assert same.fingerprint == card.fingerprint
    assert "images from column '그림', labels from '종류'" in same.source
    without_labels = tmp_path / "그림.csv"
    without_labels.write_text(
        "\n".join(["그림,a,b", *(f"{p},1.5,2" for p in animals.rglob("*.png"))])
    )
    _, card = load(config(data=without_labels, image_size=8))
    assert card.classes == ()


def arrays(count=40, size=8, labels=True):
    rng = np.random.default_rng(0)
    found = {"images": rng.random((count, size, size))}
    return {**found, "labels": np.arange(count) % 4} if labels else found


@pytest.mark.parametrize("labels", [True, False])
def test_arrays_are_images_with_classes_or_without(labels, tmp_path):
    np.savez(tmp_path / "그림.npz", **arrays(labels=labels))
    splits, card = load(config(data=tmp_path / "그림.npz"))
    assert card.classes == (("0", "1", "2", "3") if labels else ())
    assert (card.channels, card.image_size) == (1, 8)
    assert sum(card.counts.values()) == 40
    assert splits["train"].images.dtype == torch.uint8


def broken(kind):
    found = arrays()
    if kind == "nan":
        found["images"][3, 2, 1] = np.nan
    elif kind == "sizes":
        pictures = [np.zeros((side, side)) for side in (4, 6)]
        found["images"] = np.array(pictures, dtype=object)
    elif kind == "parts":
        found = {"train_images": np.zeros((9, 4, 4)), "test_images": np.zeros((9, 6, 6))}
    elif kind == "range":
        found["images"] -= 0.5
    elif kind == "labels":
        found["labels"] = found["labels"][:-1]
    return found


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("nan", "1 pixels that are NaN or infinite, in 1 of 40 images (counted from 0: 3)"),
        ("sizes", "with all images of one size"),
        ("parts", "make them of one size"),
        ("range", "expected whole numbers or floats from 0 (black) to 255 (white)"),
        ("labels", "has labels of shape (39,), expected (40,)"),
    ],
)
def test_wrong_arrays_are_one_error_and_leave_nothing(kind, message, lab, tmp_path):
    np.savez(tmp_path / "그림.npz", **broken(kind))
    words = ("--data", tmp_path / "그림.npz", *SMALL, "--run-dir", tmp_path / "runs")
    result = lab("train", *words)
    assert result.code == 2
    assert result.err.count("Error: ") == 1
    assert message in result.err
    assert str(tmp_path / "그림.npz") in result.err
    assert not (tmp_path / "runs").exists()


def test_limit_takes_a_share_of_each_class():
    splits, card = load(config(limit=100, without="3"))
    everything = torch.cat([part.targets for part in splits.values()])
    counts = torch.bincount(everything, minlength=10).tolist()
    assert counts[3] == len(splits["anomalies"])
    rest = counts[:3] + counts[4:]
    assert max(rest) - min(rest) <= 1
    assert ", 100 of them used, without 3" in card.source


def test_what_suits_images_of_ones_own(tmp_path):
    """Small ones keep their size, and a few are trained on for as many updates as many."""
    for row in range(30):
        path = tmp_path / "얼굴" / f"{row}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (20, 40), 8 * row).save(path)
    config, reasons = Compression.suited(
        build(AutoencoderConfig, ("options", {"data": str(tmp_path / "얼굴"), "batch_size": "16"}))
    )
    assert (config.image_size, config.fit) == (20, "stretch")
    assert (config.batch_size, config.total_updates) == (16, 2200)
    assert "50 %" in " ".join(reasons)
    assert Compression.suited(AutoencoderConfig()).config == AutoencoderConfig()
