import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, mean_absolute_error

from common.metrics.main_metric import (
    ACCURACY,
    BALANCED_ACCURACY,
    MAE,
    MainMetric,
)


def both(values):
    return {"validation": np.asarray(values), "test": np.asarray(values)}


def test_a_network_with_baselines_beside_it():
    labels = np.array([0, 1, 2] * 6)
    half = np.where(np.arange(18) < 9, labels, (labels + 1) % 3)
    network = {"validation": labels, "test": half}
    guesses = {"right": both(labels), "constant": both(np.zeros(18, np.int64))}
    found = ACCURACY.compare(network, guesses, both(labels))
    test = ACCURACY.measure(half, labels)
    low, high = test["accuracy_interval"]
    assert test["accuracy"] == 0.5
    assert 0.25 < low < 0.5 < high < 0.75
    assert (found["right"]["accuracy"], found["right"]["validation_accuracy"]) == (1, 1)
    assert found["right"]["lead"] == -0.5
    assert found["right"]["lead_interval"][1] < 0
    assert found["constant"]["lead"] == pytest.approx(0.5 - 1 / 3)
    text = ACCURACY.verdict({"test": test, "baselines": found}, "net")
    assert text.startswith("net has a test accuracy of 0.5000 (95 % interval 0.2")
    assert "has 1.0000; the lead over it is -0.5000" in text
    assert "so net does not beat it: it is worse." in text
    # 2 / 2^9
    assert text.endswith(
        "By plain accuracy, 0 samples are right with net alone, 9 with right alone: McNemar's test "
        "gives p = 0.0039, which speaks for right."
    )


def test_of_groups_no_test_takes_samples_as_independent():
    labels = np.array([0, 1, 2] * 6)
    guesses, groups = {"wrong": both((labels + 1) % 3)}, np.arange(18) // 3
    found = ACCURACY.compare(both(labels), guesses, both(labels), groups)
    assert not {"mcnemar_p", "right_alone"} & found["wrong"].keys()
    measured = ACCURACY.measure(labels, labels, groups)
    assert "McNemar" not in ACCURACY.verdict({"test": measured, "baselines": found}, "net")


def test_two_figures_that_disagree_are_told_apart():
    """The network is better in the rare class, the baseline in the frequent one."""
    labels = np.repeat([0, 1], [200, 40])
    network = np.concatenate([np.arange(200) < 40, np.ones(40)]).astype(int)  # 40 of 200 wrong
    baseline = np.concatenate([np.zeros(200), np.arange(40) < 20]).astype(int)  # 20 of 40 wrong
    found = BALANCED_ACCURACY.compare(both(network), {"b": both(baseline)}, both(labels))
    test = BALANCED_ACCURACY.measure(network, labels)
    text = BALANCED_ACCURACY.verdict({"test": test, "baselines": found}, "net")
    assert "net beats it" in text
    assert "which speaks for b. The two disagree: balanced accuracy weighs each class" in text


def test_the_lead_in_an_error_is_positive_where_the_network_errs_less():
    labels = np.array([0.0, 1.0, 2.0, 3.0] * 4)
    bent = labels + np.array([0.5, -0.5] * 8)
    mean = np.full(16, 1.5)
    found = MAE.compare({"validation": labels, "test": bent}, {"mean": both(mean)}, both(labels))
    test = MAE.measure(bent, labels)
    assert test["mae"] == pytest.approx(mean_absolute_error(labels, bent))
    assert test["mae_interval"] == pytest.approx([0.5, 0.5])
    assert (found["mean"]["mae"], found["mean"]["validation_mae"]) == (1, 1)
    assert found["mean"]["lead"] == pytest.approx(0.5)


@pytest.mark.parametrize("nothing", [float("nan"), None])
def test_of_a_single_sample_nobody_knows_who_is_better(nothing):
    """NaN, which metrics.json holds as null."""
    right, one = both([1.0]), both([1.5])
    found = MAE.compare(right, {"other": one}, right)
    test = MAE.measure(right["test"], right["test"])
    assert np.isnan([*test["mae_interval"], *found["other"]["lead_interval"]]).all()
    test["mae_interval"] = found["other"]["lead_interval"] = [nothing, nothing]
    text = MAE.verdict({"test": test, "baselines": found}, "net")
    assert "(95 % interval unknown)" in text
    assert "+0.5000 (unknown), so whether net beats it is not known" in text


def test_balanced_accuracy_is_scikit_learns():
    generator = np.random.default_rng(0)
    targets = generator.choice([0, 1, 3], 200, p=[0.8, 0.15, 0.05])
    guesses = np.where(generator.random(200) < 0.7, targets, 0)
    expected = balanced_accuracy_score(targets, guesses)
    found = BALANCED_ACCURACY.measure(guesses, targets)
    assert found["balanced_accuracy"] == pytest.approx(expected)
    low, high = found["balanced_accuracy_interval"]
    assert low < expected < high


def test_neighbors_that_depend_on_each_other_widen_the_interval():
    walk = np.cumsum(np.random.default_rng(0).normal(size=400))

    def width(block):
        error = MainMetric("mae", "", lambda a, b: np.abs(a - b), np.mean, False, block=block)
        low, high = error.measure(walk, np.zeros(400))["mae_interval"]
        return high - low

    assert width(40) > 2 * width(1)


@pytest.mark.parametrize(
    ("lead", "interval", "judgment"),
    [
        (0.2, [0.1, 0.3], "net beats it."),
        (0.2, [0.0, 0.3], "net does not beat it: the interval holds 0."),
        (-0.2, [-0.3, 0.1], "net does not beat it: the interval holds 0."),
        (-0.2, [-0.3, -0.1], "net does not beat it: it is worse."),
    ],
)
def test_the_verdict_is_about_the_best_baseline(lead, interval, judgment):
    test = {"accuracy": 0.7, "accuracy_interval": [0.6, 0.8]}
    best = {"accuracy": 0.5, "lead": lead, "lead_interval": interval}
    worse = {"accuracy": 0.1, "lead": 0.6, "lead_interval": [0.5, 0.7]}
    text = ACCURACY.verdict({"test": test, "baselines": {"worse": worse, "best": best}}, "net")
    assert "The best baseline, best, has 0.5000" in text
    assert text.endswith(judgment)


def test_samples_of_a_group_are_drawn_together():
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 3, 400)
    right = np.repeat(generator.random(40) < 0.7, 10)  # a group is right or wrong as a whole
    guesses = np.where(right, targets, (targets + 1) % 3)
    groups = np.repeat(np.arange(40), 10)
    alone = BALANCED_ACCURACY.measure(guesses, targets, np.arange(400))
    usual = BALANCED_ACCURACY.measure(guesses, targets)
    interval = "balanced_accuracy_interval"
    assert alone["balanced_accuracy"] == pytest.approx(usual["balanced_accuracy"])
    assert alone[interval] == pytest.approx(usual[interval])
    whole = BALANCED_ACCURACY.measure(guesses, targets, groups)
    assert whole["balanced_accuracy"] == usual["balanced_accuracy"]
    widths = [np.diff(each[interval])[0] for each in (usual, whole)]
    assert widths[1] > 2 * widths[0]
    half = {"constant": both(np.zeros(400, np.int64))}
    usual, whole = (
        BALANCED_ACCURACY.compare(both(guesses), half, both(targets), of)["constant"]
        for of in (None, groups)
    )
    assert whole["lead"] == usual["lead"]
    assert np.diff(whole["lead_interval"]) > 2 * np.diff(usual["lead_interval"])
