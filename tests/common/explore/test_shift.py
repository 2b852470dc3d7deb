"""Whether two parts of the data can be told apart, and by what."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from common.explore import shift


@pytest.fixture
def parts():
    return np.arange(200) % 2 == 1


def test_the_area_is_that_of_scikit_learn_also_with_ties(parts):
    scores = np.random.default_rng(0).integers(0, 5, 200) + parts
    area = shift.find_area(scores.astype(float), parts)
    assert area.value == pytest.approx(roc_auc_score(parts, scores))
    assert 0.5 < area.low < area.value < area.high < 1


def test_the_interval_holds_the_truth_in_about_95_of_100(parts):
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        area = shift.find_area(generator.normal(size=200), parts)
        held += area.low <= 0.5 <= area.high
    assert 0.91 < held / 300 < 0.99


def test_parts_of_one_source_cannot_be_told_apart(parts):
    features = np.random.default_rng(2).normal(size=(200, 3))
    told = shift.tell_apart(features, parts, shift.draw_rows(parts))
    said, grave = shift.describe(told.area, ("train", "test"))
    assert "cannot tell test from train" in said
    assert not grave


def test_parts_of_two_sources_can_and_the_column_is_named(parts):
    columns = {name: np.random.default_rng(at).normal(size=200) for at, name in enumerate("ab")}
    columns["b"] += 3 * parts
    told = shift.tell_apart(np.column_stack([*columns.values()]), parts, shift.draw_rows(parts))
    said, grave = shift.describe(told.area, ("train", "test"))
    assert grave
    assert "different sources" in said
    (name, area, first, second), *_ = shift.by_each(columns, told)
    assert name == "b"
    assert area.value > 0.9
    assert second - first == pytest.approx(3, abs=0.5)


def test_a_part_of_few_rows_is_not_compared():
    assert shift.draw_rows(np.arange(100) < 5) is None
