"""Confident learning: the same figures as cleanlab's, and what stands to reason."""

import numpy as np
import pytest

from common.cleaning import confident

LABELS = np.array(
    [2, 0, 0, 0, 0, 1, 2, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 2, 0, 2, 1, 1, 2, 1, 2, 1, 1, 1, 0, 2]
)
FIRST_TWO = [
    *((46, 14), (34, 63), (52, 9), (44, 53), (35, 52), (44, 18), (52, 1), (54, 35), (42, 30)),
    *((52, 36), (63, 14), (46, 32), (15, 31), (2, 46), (42, 15), (38, 36), (30, 23), (22, 1)),
    *((39, 43), (56, 31), (22, 50), (2, 53), (2, 55), (10, 48), (34, 43), (30, 65), (7, 78)),
    *((14, 46), (87, 6), (48, 8)),
]
SHARES = np.array([(one, two, 100 - one - two) for one, two in FIRST_TWO]) / 100

# What cleanlab 2.9.0 says of them: `get_confident_thresholds`, `compute_confident_joint` with
# calibrate=False and with True, `find_label_issues` ranked by "normalized_margin".
THRESHOLDS = [0.43076923, 0.456, 0.41]
JOINT = [[4, 3, 3], [3, 6, 1], [4, 1, 1]]
CALIBRATED = [[5, 4, 4], [3, 6, 1], [5, 1, 1]]
ISSUES = [13, 19, 1, 5, 12, 24, 7, 4, 16, 11, 3, 0, 6, 29, 14]


def test_thresholds_joint_and_ranking_are_those_of_cleanlab():
    assert confident.find_thresholds(LABELS, SHARES) == pytest.approx(THRESHOLDS)
    assert confident.join(LABELS, SHARES).tolist() == JOINT
    beside = np.array(CALIBRATED) * (1 - np.eye(3, dtype=int))
    assert confident.count_wrong(LABELS, SHARES).tolist() == beside.tolist()
    assert confident.find_suspects(LABELS, SHARES).tolist() == ISSUES


def test_rows_keep_their_sums_when_they_are_rounded():
    rng = np.random.default_rng(10)
    labels = rng.integers(0, 5, 200)
    shares = rng.random((200, 5)) ** 2
    shares += 0.5 * np.eye(5)[np.where(rng.random(200) < 0.3, (labels + 1) % 5, labels)]
    counts = confident.count_wrong(labels, shares / shares.sum(1, keepdims=True))
    # `compute_confident_joint` of cleanlab 2.9.0
    joint = [
        *([13, 15, 1, 6, 3], [3, 18, 13, 1, 5], [3, 5, 18, 9, 5], [2, 8, 2, 24, 10]),
        [8, 5, 2, 4, 17],
    ]
    assert (counts + np.diag(np.diag(joint))).tolist() == joint
    assert confident.round_rows(np.array([[2.5, 2.5], [1.4, 1.4]])).sum(1).tolist() == [5, 3]


def test_of_several_confident_classes_the_most_probable_counts():
    """As the paper has it, even where a class below its own threshold is more probable."""
    labels = np.array([0, 0, 1, 1, 2, 2])
    shares = np.array(
        [(0.3, 0.2, 0.5), (0.1, 0, 0.9), (0, 0.2, 0.8), (0, 0.2, 0.8), (0, 0, 1), (0, 0, 1)]
    )
    assert confident.find_confident(labels, shares).tolist() == [0, -1, 1, 1, 2, 2]


def test_a_class_that_nobody_is_given_is_never_confident():
    labels, shares = np.array([0, 0]), np.array([[0.1, 0.9], [0.6, 0.4]])
    assert confident.find_thresholds(labels, shares).tolist() == [pytest.approx(0.35), np.inf]
    assert confident.find_suspects(labels, shares).tolist() == []


def test_flipped_labels_are_found_and_right_ones_are_not():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 4, 2000)
    labels, flipped = true.copy(), rng.random(2000) < 0.1
    labels[flipped] = (true[flipped] + 1) % 4
    logits = rng.normal(size=(2000, 4))
    logits[np.arange(2000), true] += 5
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = confident.find_suspects(labels, shares)
    assert flipped[found].mean() > 0.95
    assert flipped[found].sum() > 0.95 * flipped.sum()
    assert confident.count_wrong(labels, shares).sum() == pytest.approx(flipped.sum(), rel=0.1)
    assert (np.diff(confident.find_margins(labels, shares)[found]) >= 0).all()
