"""Which pictures are nearly copies: saved again, shifted, brighter, mirrored, cropped."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from common.explore.copies import Pair, find_pairs, number_pairs


@pytest.fixture(scope="module")
def views():
    """Two photos cut into different views, uint8 (40, 32, 32, 3)."""
    from sklearn.datasets import load_sample_images

    cut = []
    for photo in load_sample_images().images:
        for row in range(4):
            for column in range(5):
                view = Image.fromarray(photo[row * 100 : row * 100 + 96, column * 120 :][:, :96])
                cut.append(np.asarray(view.resize((32, 32))))
    return np.stack(cut)


def saved_again(view):
    stream = io.BytesIO()
    Image.fromarray(view).save(stream, "JPEG", quality=30)
    return np.array(Image.open(stream))


def shifted(view):
    return np.pad(view, ((2, 0), (0, 2), (0, 0)), "edge")[:32, 2:]


def brighter(view):
    return np.clip(view * 1.2, 0, 255).astype(np.uint8)


def cropped(view):
    return np.array(Image.fromarray(view[3:29, 4:30]).resize((32, 32), Image.Resampling.BILINEAR))


CHANGES = {
    "saved again": (saved_again, "near"),
    "shifted": (shifted, "near"),
    "brighter": (brighter, "near"),
    "all of them": (lambda view: saved_again(brighter(shifted(view))), "near"),
    "mirrored": (lambda view: view[:, ::-1], "mirrored"),
    "cropped": (cropped, "cropped"),
    "equal": (lambda view: view, "equal"),
}


def pairs_of(*pictures):
    return find_pairs(torch.from_numpy(np.concatenate(pictures)).permute(0, 3, 1, 2))


def test_different_views_and_digits_are_no_copies(views, digits):
    assert pairs_of(views) == []
    larger = digits.images[:150].repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert find_pairs(larger.expand(-1, 3, -1, -1)) == []


@pytest.mark.parametrize("change", CHANGES)
def test_changed_views_are_found_with_what_was_changed(views, change):
    make, kind = CHANGES[change]
    rows = [1, 7, 14, 19]
    found = pairs_of(views, np.stack([make(views[row]) for row in rows]))
    assert {pair[:3] for pair in found} == {
        (row, len(views) + at, kind) for at, row in enumerate(rows)
    }
    assert all(pair.alike > 0.8 for pair in found)


def test_pictures_in_many_clusters_are_found_as_well(views, monkeypatch):
    from common.explore import copies

    monkeypatch.setattr(copies, "_OF_A_CLUSTER", 3)
    monkeypatch.setattr(copies, "_LOOKED_THROUGH", 4)
    found = pairs_of(views, np.stack([shifted(view) for view in views]))
    assert {(pair.first, pair.second) for pair in found} == {(row, row + 40) for row in range(40)}


def test_flat_pictures_are_copies_only_where_they_are_equal():
    flat = np.stack([np.full((32, 32, 3), level, np.uint8) for level in (9, 10, 9)])
    assert pairs_of(flat) == [Pair(0, 2, "equal", 1.0)]


def test_one_picture_and_none_have_no_pairs(views):
    assert pairs_of(views[:1]) == pairs_of(views[:0]) == []


def test_groups_are_made_of_pairs_also_by_others():
    pairs = [Pair(0, 2, "near", 0.9), Pair(2, 3, "mirrored", 0.8)]
    groups = number_pairs(5, pairs)
    assert groups[0] == groups[2] == groups[3]
    assert len(set(groups)) == 3
