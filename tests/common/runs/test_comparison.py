"""Comparisons: one rule for all, what is said of differences, and what loads for it."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from common.metrics import metrics
from common.metrics.main_metric import ACCURACY, BALANCED_ACCURACY, MAE
from common.options.config import TrainingConfig
from common.runs import comparison
from common.runs.comparison import narrow, time_each
from common.runs.differences import describe_differences, find_best, judge


def answers(shares, rows=300):
    """Return classes, and for each share what a run says that is right so often by design."""
    generator = np.random.default_rng(0)
    targets = generator.integers(3, size=rows)
    return targets, [
        np.where(generator.random(rows) < share, targets, generator.integers(3, size=rows))
        for share in shares
    ]


def statistics(metric, shares):
    targets, runs = answers(shares)
    return [metric.statistics(each, targets) for each in runs]


def test_of_a_mean_and_of_any_figure_the_same_runs_and_items_are_drawn():
    ours, theirs = statistics(ACCURACY, (0.9, 0.8)), statistics(ACCURACY, (0.5, 0.6))

    def share(rows):
        return float(np.mean(rows))

    for runs in ((ours,), (ours, theirs), (ours, theirs[:1])):
        fast = metrics.seeds_interval(*runs, resamples=200)
        assert fast == pytest.approx(metrics.seeds_interval(*runs, metric=share, resamples=200))


def test_runs_of_any_metric_are_measured_and_compared_by_one_rule():
    ours = statistics(BALANCED_ACCURACY, (0.9, 0.8))
    found = BALANCED_ACCURACY.measure_runs(ours)
    each = [BALANCED_ACCURACY.compute(rows) for rows in ours]
    assert found["balanced_accuracy_of_seeds"] == each
    assert found["balanced_accuracy"] == pytest.approx(np.mean(each))
    low, high = found["balanced_accuracy_interval"]
    assert low < found["balanced_accuracy"] < high
    worse = BALANCED_ACCURACY.compare_runs(statistics(BALANCED_ACCURACY, (0.3, 0.2)), ours)
    assert judge(worse["difference_interval"]) == -1
    same = BALANCED_ACCURACY.compare_runs(ours, ours)
    assert same == {"difference": 0.0, "difference_interval": [0.0, 0.0]}


def test_of_rows_that_depend_on_each_other_intervals_are_wider():
    ours, theirs = ([np.repeat(rows, 4) for rows in statistics(ACCURACY, (0.9, 0.8))] for _ in "ab")
    theirs = [np.roll(rows, 40) for rows in theirs]
    alone = dataclasses.replace(ACCURACY, resamples=300)
    groups, in_blocks = np.repeat(np.arange(300), 4), dataclasses.replace(alone, block=4)

    def width(found):
        return float(np.diff(next(v for name, v in found.items() if "interval" in name))[0])

    for number in (1, 2):
        for compare in ("measure_runs", "compare_runs"):
            runs = [ours[:number], theirs[:number]][: 1 + (compare == "compare_runs")]
            usual = width(getattr(alone, compare)(*runs))
            assert width(getattr(alone, compare)(*runs, groups=groups)) > 1.1 * usual
            assert width(getattr(in_blocks, compare)(*runs)) > 1.1 * usual


def test_of_a_single_run_intervals_are_those_of_a_paired_difference():
    (ours,), (theirs,) = statistics(ACCURACY, (0.9,)), statistics(ACCURACY, (0.5,))
    for more in ({}, {"groups": np.arange(300) // 7}, {"block": 5}):
        _, *ends = metrics.paired_difference(metrics.mean, ours, theirs, **more)
        assert metrics.seeds_interval([ours], [theirs], **more) == pytest.approx(ends, rel=1e-12)
    assert np.isnan(metrics.seeds_interval([ours, theirs], groups=np.zeros(300))).all()


def test_where_less_is_better_a_smaller_figure_is_a_positive_difference():
    targets = np.zeros(50)
    near, far = [MAE.statistics(targets + 1, targets)], [MAE.statistics(targets + 3, targets)]
    found = MAE.compare_runs(near, far)
    assert [found["difference"], *found["difference_interval"]] == pytest.approx([2.0] * 3)
    compared = {"far": {"validation_mae": 3.0}, "near": {"validation_mae": 1.0}}
    assert find_best(compared, MAE) == "near"


def test_differences_are_told_by_where_their_intervals_are():
    differences = {"a": (0.2, [0.1, 0.3]), "b": (0.0, [-0.1, 0.1]), "c": (-0.2, [-0.3, -0.1])}
    assert list(describe_differences(differences, "Better", "Level", "Worse")) == [
        "Better: a +0.2000 (+0.1000 to +0.3000).",
        "Level: b +0.0000 (-0.1000 to +0.1000).",
        "Worse: c -0.2000 (-0.3000 to -0.1000).",
    ]


def test_a_member_has_the_values_of_the_whole_but_for_its_name_and_what_varies():
    @dataclasses.dataclass(frozen=True)
    class Whole(TrainingConfig):
        seeds: int = 3

    whole = Whole(name="all", epochs=7)
    member = narrow(whole, TrainingConfig, seed=5)
    assert member == TrainingConfig(epochs=7, seed=5)


def test_a_comparison_of_an_older_version_says_which_rule_made_it():
    entry = {"accuracy": 0.9, "validation_accuracy": 0.8}

    class Old(comparison.Comparison):
        main_metric, by_validation = ACCURACY, True

    said = object.__new__(Old).verdict({"compared": {"a": entry}, "rule": "the range of the seeds"})
    assert said.endswith("Judged by the range of the seeds, as comparisons were then.")
    assert "a has the best validation accuracy; on test it has 0.9000." in said


def test_the_first_call_warms_up():
    called = []
    assert time_each(called.append, [1, 2, 3]) >= 0
    assert called == [1, 1, 2, 3]


@pytest.mark.slow
def test_to_import_a_comparison_loads_no_pictures():
    code = (
        "import sys\n"
        "import labs.classification.compare.architectures, labs.classification.compare.imbalance\n"
        "import labs.rnn.sentiment.compare\n"
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
