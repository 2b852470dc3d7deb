import hashlib

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from common.errors import DataError
from common.training.batches import Batches
from labs.detection.config import DetectionConfig
from labs.detection.data import load as data
from labs.detection.data import scenes
from labs.detection.data.load import Card, Photos, load
from labs.detection.letterbox import Letterbox

MNIST = scenes.load_embedded("mnist5k")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LABS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(scenes, "load_embedded", lambda name: MNIST)


def paint(path, size=(100, 50), value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(value).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def make(root, parts=("train",), number=10, line="0 0.5 0.5 0.2 0.4\n"):
    """Make a set in YOLO's format, with `number` images in each split."""
    for index, part in enumerate(parts):
        for item in range(number):
            paint(root / part / f"{part}{item}.png", (100, 50 + item), 100 * index + item)
            (root / part / f"{part}{item}.txt").write_text(line)
    keys = "".join(f"{part}: {part}\n" for part in parts)
    path = root / "data.yaml"
    path.write_text(f"{keys}names: [cat]\n")
    return path


def config(path, **options):
    return DetectionConfig(data=str(path), **{"image_size": 64, **options})


def digest(root):
    return {
        path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file()
    }


# Scenes


@pytest.mark.parametrize(
    ("limit", "counts"),
    [(10, (8, 1, 1)), (1100, (880, 110, 110)), (4000, (3600, 200, 200)), (None, (8000, 200, 200))],
)
def test_a_limit_leaves_enough_scenes_to_measure(limit, counts):
    assert tuple(data.scene_counts(limit).values()) == counts


def test_scenes_of_a_limit():
    splits, card = load(DetectionConfig(limit=44))
    assert card.counts == {"train": 36, "validation": 4, "test": 4}
    assert card.classes == tuple("0123456789")
    assert card.image_size == 128
    assert card.most == max(int(part.boxes.lengths.max()) for part in splits.values())
    assert "composites" in card.source
    assert Card.from_dict(card.as_dict()) == card
    assert len(card.anchors) == 5
    areas = [width * height for width, height in card.anchors]
    assert areas == sorted(areas)
    assert 0.6 < card.anchor_iou < 1
    image, boxes = splits["train"][3]
    assert (image.shape, image.dtype) == ((3, 128, 128), torch.uint8)
    assert (boxes.shape[1], boxes.dtype) == (6, torch.float32)
    assert splits["test"].names[1] == "test/1"
    again, same = load(DetectionConfig(limit=44))
    assert same == card
    assert load(DetectionConfig(limit=44, split_seed=1))[1].fingerprint != card.fingerprint


def test_scenes_of_another_size():
    small, _ = load(DetectionConfig(limit=44))
    splits, card = load(DetectionConfig(limit=44, image_size=160))
    assert card.image_size == 160
    assert splits["train"].images.shape == (36, 3, 160, 160)
    boxes, others = (each["train"].boxes.values for each in (splits, small))
    torch.testing.assert_close(boxes[:, :4], others[:, :4] * 1.25)
    assert torch.equal(boxes[:, 4:], others[:, 4:])


# Files


def test_images_without_splits_are_split_at_random(tmp_path):
    path = make(tmp_path / "set", number=20)
    (tmp_path / "set" / "train" / "train3.txt").unlink()
    (tmp_path / "set" / "train" / "train4.txt").write_text("")
    before = digest(tmp_path / "set")
    splits, card = load(config(path))
    assert card.counts == {"train": 14, "validation": 2, "test": 4}
    names = [name for part in splits.values() for name in part.names]
    assert sorted(names) == sorted(f"train/train{item}.png" for item in range(20))
    assert card.source == (
        "YOLO data.yaml: 20 images with 18 boxes of 1 class, 2 of them without a box; split at "
        "random 70 to 10 to 20"
    )
    assert card.skipped == ()  # a background is not left out
    assert (card.most, card.classes, card.image_size) == (1, ("cat",), 64)
    assert load(config(path))[1] == card
    assert set(load(config(path, split_seed=1))[0]["test"].names) != set(splits["test"].names)
    assert digest(tmp_path / "set") == before

    part = splits["train"]
    row = part.names.index(next(name for name in part.names if name[-5] not in "34"))
    height, width = part.sizes[row].tolist()
    assert width == 100
    expected = torch.tensor([[40, 0.3 * height, 60, 0.7 * height, 0, 0]])
    torch.testing.assert_close(Letterbox.fit(height, width, 64).back(part[row][1]), expected)


def test_without_a_test_split_it_is_cut_from_training(tmp_path):
    splits, card = load(config(make(tmp_path / "set", ("train", "val"))))
    assert card.counts == {"train": 8, "validation": 10, "test": 2}
    assert all(name.startswith("train/") for name in splits["test"].names)
    assert card.source.endswith("; with validation of its own, test cut from train at random")


def test_splits_of_ones_own_are_kept(tmp_path):
    splits, card = load(config(make(tmp_path / "set", ("train", "val", "test"), 4)))
    assert card.counts == {"train": 4, "validation": 4, "test": 4}
    assert all(name.startswith("val/") for name in splits["validation"].names)
    assert card.source.endswith("; with validation and test of its own")


def test_no_image_is_trained_on_that_is_in_another_split(tmp_path):
    root = tmp_path / "set"
    path = make(root, ("train", "val", "test"), 4)
    (root / "train" / "copy.png").write_bytes((root / "test" / "test1.png").read_bytes())
    (root / "train" / "twin.png").write_bytes((root / "train" / "train1.png").read_bytes())
    path.write_text("train: [train, val/val2.png]\nval: val\ntest: test\nnames: [cat]\n")
    splits, card = load(config(path))
    assert card.counts == {"train": 4, "validation": 4, "test": 4}
    assert dict(card.skipped) == {
        "train/copy.png": "the same image as test/test1.png of test",
        "train/twin.png": "the same image as train/train1.png",
        "val/val2.png": "the same image as val/val2.png of validation",
    }


def test_splits_that_are_one_folder_are_split_at_random(tmp_path):
    path = make(tmp_path / "set")
    path.write_text("train: train\nval: train\nnames: [cat]\n")
    _, card = load(config(path))
    assert card.counts == {"train": 7, "validation": 1, "test": 2}
    assert "its splits are the same images, so they were split at random" in card.source


def test_unreadable_images_are_left_out_and_listed(tmp_path):
    root = tmp_path / "set"
    path = make(root, number=20)
    data_of = (root / "train" / "train1.png").read_bytes()
    (root / "train" / "train1.png").write_bytes(data_of[: len(data_of) // 2])
    (root / "train" / "train2.png").write_bytes(b"")
    (root / "train" / "train3.txt").write_text("0 0.5 0.5 0.2 0.4\n0 0.5 2 0.1 0.1\n")
    splits, card = load(config(path))
    assert sum(card.counts.values()) == 18
    skipped = dict(card.skipped)
    assert skipped["train/train2.png"] == "unreadable image: empty file"
    assert skipped["train/train1.png"].startswith("unreadable image: ")
    assert skipped["train/train3.txt:2"] == "box out of range: 2, expected 0 to 1; left out"
    assert len(skipped) == 3


def test_large_sets_are_decoded_when_asked_for(tmp_path, monkeypatch):
    path = make(tmp_path / "set", number=12)
    kept, card = load(config(path))
    monkeypatch.setattr(data, "_MEMORY_LIMIT", 0)
    read, other = load(config(path))
    assert other == card
    assert type(kept["train"].images) is Tensor
    assert type(read["train"].images) is Photos
    for name in kept:
        for one, two in zip(kept[name], DataLoader(read[name], None, num_workers=0), strict=True):
            assert torch.equal(one[0], two[0])
            assert torch.equal(one[1], two[1])
    batches = [list(Batches(part["train"], 4).updates(0)) for part in (kept, read)]
    for [one], [two] in zip(*batches, strict=True):
        assert torch.equal(one[0], two[0])
        assert torch.equal(one[1].values, two[1].values)

    gone = read["train"].images.paths[0]
    gone.unlink()
    with pytest.raises(DataError, match=f"cannot read the image .*{gone.name}"):
        read["train"].image(0)


def test_files_are_decoded_in_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "_MEMORY_LIMIT", 0)
    splits, _ = load(config(make(tmp_path / "set", number=12)))
    here, there = (
        [images for [(images, _)] in Batches(splits["train"], 4, workers=workers).updates(0)]
        for workers in (0, 1)
    )
    assert torch.equal(torch.cat(here), torch.cat(there))


def test_the_fingerprint_changes_with_boxes_and_images(tmp_path):
    root = tmp_path / "set"
    path = make(root)
    known = {load(config(path))[1].fingerprint, load(config(path, image_size=96))[1].fingerprint}
    (root / "train" / "train1.txt").write_text("0 0.5 0.5 0.3 0.4\n")
    known.add(load(config(path))[1].fingerprint)
    paint(root / "train" / "train2.png", (90, 40), 7)
    known.add(load(config(path))[1].fingerprint)
    path.write_text("train: train\nnames: [dog]\n")
    known.add(load(config(path))[1].fingerprint)
    assert len(known) == 5


def test_a_limit_takes_from_each_split(tmp_path):
    path = make(tmp_path / "set", ("train", "val"), 20)
    _, card = load(config(path, limit=20))
    assert card.counts == {"train": 8, "validation": 10, "test": 2}
    assert load(config(path, limit=1000))[1].counts == load(config(path))[1].counts


def test_images_are_640_pixels_unless_said_otherwise(tmp_path):
    assert load(config(make(tmp_path / "set", number=3), image_size=None))[1].image_size == 640


def test_data_that_cannot_be_used_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"--data sceens: no such file.*did you mean scenes"):
        load(config("sceens"))
    with pytest.raises(DataError, match="2 image.* to train with; at least 3"):
        load(config(make(tmp_path / "few", number=2)))
    with pytest.raises(DataError, match="no training image has a box"):
        load(config(make(tmp_path / "none", line="")))
    path = make(tmp_path / "damaged", ("train", "val"), 3)
    for file in (tmp_path / "damaged" / "val").glob("*.png"):
        file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(DataError, match="no image of validation can be read"):
        load(config(path))
