import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from labs.detection.data import scenes
from labs.detection.data.scenes import SIZE, Composer

COUNT = 60


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LABS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(scenes, "load_embedded", lambda name: MNIST)
    return tmp_path / "cache"


MNIST = scenes.load_embedded("mnist5k")  # once, from the user's own cache


@pytest.fixture(scope="module")
def composers():
    return {split: Composer(split, 0) for split in scenes.COUNTS}


@pytest.fixture(scope="module")
def made(composers):
    return [composers["train"].scene(number) for number in range(COUNT)]


def test_scenes_are_as_described(made):
    for scene in made:
        assert scene.image.shape == (3, SIZE, SIZE)
        assert scene.image.dtype == np.uint8
        boxes = torch.from_numpy(scene.boxes)
        assert 1 <= len(boxes) <= 6
        corners = boxes[:, :4]
        assert (corners >= 0).all()
        assert (corners <= SIZE).all()
        sides = corners[:, 2:] - corners[:, :2]
        assert (sides > 0).all()
        assert (sides <= 42).all()  # 1.5 x 28
        iou = box_iou(corners, corners).fill_diagonal_(0)
        assert iou.max() <= 0.2
        assert set(boxes[:, 4].tolist()) <= set(range(10))
        assert (boxes[:, 5] == 0).all()
    assert {len(scene.boxes) for scene in made} == {1, 2, 3, 4, 5, 6}
    assert {label for scene in made for label in scene.boxes[:, 4]} == set(range(10))


def test_boxes_are_tight_around_the_ink(made):
    for scene in made:
        last = len(scene.boxes)  # nothing was laid over the last digit
        rows, columns = np.nonzero(scene.instances == last)
        found = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        assert found == tuple(scene.boxes[-1, :4])
        assert scene.instances.max() == last


def test_digits_stand_out_from_what_is_under_them(made):
    differences = []
    for scene in made:
        luma = np.tensordot(scenes._LUMA, scene.image.astype(np.float32), 1)
        x1, y1, x2, y2 = scene.boxes[-1, :4].astype(int)
        ink = scene.instances[y1:y2, x1:x2] == len(scene.boxes)
        around = luma[y1:y2, x1:x2]
        differences.append(abs(around[ink].mean() - around[~ink].mean()))
    assert np.mean(differences) > 60
    assert min(differences) > 15


def test_a_scene_depends_on_its_number_alone(composers, made):
    again = Composer("train", 0).scene(5)
    assert (again.image == made[5].image).all()
    assert (again.boxes == made[5].boxes).all()
    for other in (composers["validation"].scene(5), Composer("train", 1).scene(5)):
        assert not (other.image == again.image).all()


def test_splits_share_no_digit_and_training_no_photo(composers):
    digits = {
        split: {np.asarray(digit).tobytes() for digit in composer._digits}
        for split, composer in composers.items()
    }
    assert [len(composer._digits) for composer in composers.values()] == [3500, 500, 1000]
    assert not digits["train"] & digits["validation"]
    assert not (digits["train"] | digits["validation"]) & digits["test"]
    photos = {
        split: {photo.tobytes() for photo in composer._photos}
        for split, composer in composers.items()
    }
    assert not photos["train"] & (photos["validation"] | photos["test"])


def test_the_first_scenes_are_the_same_whatever_the_count(cache):
    few, more = (scenes.load(0, {"test": count})["test"] for count in (3, 5))
    assert torch.equal(few[0], more[0][:3])
    assert all(torch.equal(few[1][row], more[1][row]) for row in range(3))


def test_scenes_are_kept_and_made_again_when_the_file_is_damaged(cache, monkeypatch):
    images, boxes = scenes.load(0, {"validation": 4})["validation"]
    [kept] = cache.iterdir()
    composer = Composer
    monkeypatch.setattr(scenes, "Composer", None)
    again, others = scenes.load(0, {"validation": 4})["validation"]
    assert torch.equal(again, images)
    assert torch.equal(others.values, boxes.values)
    assert torch.equal(others.starts, boxes.starts)

    kept.write_bytes(kept.read_bytes()[:1000])
    monkeypatch.setattr(scenes, "Composer", composer)
    again, _ = scenes.load(0, {"validation": 4})["validation"]
    assert torch.equal(again, images)


def test_without_a_place_for_the_cache_scenes_are_made(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LABS_CACHE", str(tmp_path / "file"))
    images, boxes = scenes.load(0, {"test": 2})["test"]
    assert len(images) == len(boxes) == 2
