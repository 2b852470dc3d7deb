"""What one gets without a network."""

import numpy as np
import pytest
import torch

from common.training.sequences import Ragged
from labs.rnn.translate import baselines
from labs.rnn.translate.data import Split
from labs.rnn.translate.measures import CHRF, EXACT_MATCH


def split(pairs):
    empty = Ragged.of([[3]] * len(pairs))
    return Split(
        [s for s, _ in pairs], [t for _, t in pairs], empty, empty, torch.arange(len(pairs))
    )


TRAIN = split(
    [("Open file", "파일 열기"), ("Delete cell", "셀 삭제"), ("커널 다시 시작", "Restart kernel")]
)
SPLITS = {
    "train": TRAIN,
    "validation": split([("Open files", "파일 열기"), ("Delete the cell", "셀 삭제")]),
    "test": split([("커널을 다시 시작", "Restart the kernel"), ("%1", "%1"), ("cell", "셀")]),
}


@pytest.mark.parametrize("lengths", [(1, 3), (2, 5)])
def test_the_nearest_source_gives_its_target(lengths):
    asked = ["open the file", "cells to delete", "커널 시작"]
    found = baselines.nearest(TRAIN, asked, lengths)
    assert found.tolist() == TRAIN.targets


def test_a_training_source_finds_itself():
    assert baselines.nearest(TRAIN, TRAIN.sources, (1, 3)).tolist() == TRAIN.targets


def test_a_source_like_none_still_gets_an_answer():
    assert baselines.nearest(TRAIN, ["?!", ""], (2, 5)).tolist() == [TRAIN.targets[0]] * 2


def test_among_many_pairs_a_sample_is_looked_through(monkeypatch):
    many = {"train": 1_000_000, "validation": 20_000, "test": 40_000}
    assert baselines.count_seen(many) == 30_000
    assert baselines.count_seen({**many, "train": 2_000}) == 2_000
    monkeypatch.setattr(baselines, "count_seen", lambda counts: 1)
    letters = split([(4 * letter, letter) for letter in "abcdefgh"])
    found = baselines.translations({**SPLITS, "train": letters}, CHRF)
    assert len(set(found["nearest source"]["test"])) <= 3  # three of a class at the least


def test_chunks_change_nothing(monkeypatch):
    asked = ["open", "delete", "커널"] * 5
    whole = baselines.nearest(TRAIN, asked, (1, 3))
    monkeypatch.setattr(baselines, "_CHUNK", 2)
    assert np.array_equal(baselines.nearest(TRAIN, asked, (1, 3)), whole)


@pytest.mark.parametrize("main_metric", [CHRF, EXACT_MATCH])
def test_both_answer_for_validation_and_test(main_metric):
    found = baselines.translations(SPLITS, main_metric)
    assert list(found) == ["nearest source", "copy"]
    assert found["copy"]["test"].tolist() == SPLITS["test"].sources
    assert found["nearest source"]["validation"].tolist() == SPLITS["validation"].targets
    assert len(found["nearest source"]["test"]) == 3
