import math
import subprocess
import sys

import numpy as np
import pytest
import sklearn.metrics
from scipy import stats

from common.metrics import metrics


@pytest.fixture
def outputs():
    """Probabilities (200, 7) that know something, and targets; class 6 has no samples."""
    generator = np.random.default_rng(0)
    targets = generator.integers(6, size=200)
    logits = generator.normal(size=(200, 7)) + 1.5 * np.eye(7)[targets]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), targets


# --- classification -----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_classification_equals_scikit_learn(outputs):
    probabilities, targets = outputs
    predictions = probabilities.argmax(axis=1)
    assert 6 in predictions, "the case of a class that is only predicted"
    macro = sklearn.metrics.precision_recall_fscore_support(
        targets, predictions, average="macro", zero_division=0
    )
    labels = np.arange(7)
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(targets, predictions),
        "top2_accuracy": sklearn.metrics.top_k_accuracy_score(
            targets, probabilities, k=2, labels=labels
        ),
        "top5_accuracy": sklearn.metrics.top_k_accuracy_score(
            targets, probabilities, k=5, labels=labels
        ),
        "balanced_accuracy": sklearn.metrics.balanced_accuracy_score(targets, predictions),
        "precision": macro[0],
        "recall": macro[1],
        "f1": macro[2],
        "f1_micro": sklearn.metrics.f1_score(targets, predictions, average="micro"),
        "mrr": sklearn.metrics.label_ranking_average_precision_score(
            np.eye(7)[targets], probabilities
        ),
        "calibration_error": metrics.calibration_error(probabilities, targets, bins=15),
        "log_loss": -np.log(probabilities[np.arange(200), targets]).mean(),
    }
    figures = metrics.classification(probabilities, targets, top=(2, 5, 7, 10))
    assert figures == pytest.approx(expected)
    assert all(type(value) is float for value in figures.values())


def test_macro_figures_leave_out_classes_nobody_mentions(outputs):
    probabilities, targets = outputs
    wider = np.pad(probabilities, ((0, 0), (0, 3)))
    narrow, wide = (metrics.classification(p, targets, top=()) for p in (probabilities, wider))
    for name in ("precision", "recall", "f1", "balanced_accuracy"):
        assert narrow[name] == wide[name]


def test_targets_of_only_one_class():
    figures = metrics.classification(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0]))
    assert figures["accuracy"] == figures["balanced_accuracy"] == 0.5
    assert figures["recall"] == 0.25, "mean of 1/2 and of the 0 of the class only predicted"
    assert figures["precision"] == 0.5
    assert figures["log_loss"] == pytest.approx(-(np.log(0.9) + np.log(0.2)) / 2)
    assert "top5_accuracy" not in figures


def test_equal_probabilities_earn_no_rank():
    figures = metrics.classification(np.full((4, 4), 0.25), np.arange(4), top=(2,))
    assert figures["mrr"] == 0.25
    assert figures["top2_accuracy"] == 0
    assert figures["accuracy"] == 0.25
    assert figures["calibration_error"] == 0


def test_float32_and_certain_mistakes_give_finite_figures():
    probabilities = np.array([[1, 0, 0], [0, 1, 0]], dtype=np.float32)
    figures = metrics.classification(probabilities, np.array([1, 2]))
    assert figures["log_loss"] == pytest.approx(36.04, abs=0.01)
    assert figures["calibration_error"] == 1


@pytest.mark.parametrize(
    ("probabilities", "targets", "message"),
    [
        (np.empty((0, 3)), np.empty(0, dtype=int), "at least one row of probabilities"),
        ([[0.5, 0.5], [np.nan, 0.5]], [0, 1], r"finite probabilities.*in row 1 \(1 such of 2\)"),
        ([[0.5, 0.5]], [2], r"targets in \[0, 2\), given 2 to 2"),
        ([[0.5, 0.5]], [-1], "given -1 to -1"),
        ([[0.5, 0.5]], [0.0], "class numbers"),
        ([[0.5, 0.5]], [0, 1], "of one shape, given 1 and 2"),
        ([[0.5, 0.5], [3.0, -2.0]], [0, 1], "in row 1: apply softmax"),
        ([[0.5, 0.5], [2.0, 1.0]], [0, 1], "in row 1: apply softmax"),
        ([[1.0], [1.0]], [0, 0], "at least 2 classes"),
        ([0.5, 0.5], [0, 0], "at least 2 classes"),
    ],
)
def test_wrong_classifier_output_is_named(probabilities, targets, message):
    for figure in (metrics.classification, metrics.reliability, metrics.calibration_error):
        with pytest.raises(ValueError, match=message):
            figure(np.asarray(probabilities), np.asarray(targets))


def test_per_class_marks_the_undefined_with_nan():
    predictions, targets = np.array([0, 2, 1, 0]), np.array([0, 0, 1, 0])
    rows = metrics.per_class(predictions, targets, ["ant", "bee", "cat", "dog"])
    assert [row["class"] for row in rows] == ["ant", "bee", "cat", "dog"]
    assert [row["support"] for row in rows] == [3, 1, 0, 0]
    np.testing.assert_allclose([row["precision"] for row in rows], [1, 1, 0, np.nan])
    np.testing.assert_allclose([row["recall"] for row in rows], [2 / 3, 1, np.nan, np.nan])
    np.testing.assert_allclose([row["f1"] for row in rows], [0.8, 1, 0, np.nan])


def test_confusion_has_true_classes_as_rows():
    table = metrics.confusion(np.array([1, 1, 0]), np.array([0, 1, 0]), classes=3)
    assert table.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert table.dtype.kind == "i"


@pytest.mark.parametrize(
    ("predictions", "targets", "message"),
    [
        ([3], [0], r"predictions in \[0, 3\)"),
        ([0], [3], r"targets in \[0, 3\)"),
        ([0, 1], [0], "one shape"),
        ([], [], "at least one row of predictions"),
    ],
)
def test_wrong_class_numbers_are_named(predictions, targets, message):
    for figure in (
        lambda p, t: metrics.confusion(p, t, 3),
        lambda p, t: metrics.per_class(p, t, ["a", "b", "c"]),
    ):
        with pytest.raises(ValueError, match=message):
            figure(np.array(predictions), np.array(targets))


def test_reliability_by_hand():
    # Confidences 0.6 (twice), 0.75 and 1.0 in four bins closed on the right.
    probabilities = np.array([[0.6, 0.4], [0.4, 0.6], [0.25, 0.75], [1.0, 0.0]])
    targets = np.array([0, 0, 1, 1])
    diagram = metrics.reliability(probabilities, targets, bins=4)
    assert diagram.counts.tolist() == [0, 0, 3, 1]
    np.testing.assert_allclose(diagram.confidence, [np.nan, np.nan, 0.65, 1])
    np.testing.assert_allclose(diagram.accuracy, [np.nan, np.nan, 2 / 3, 0])
    error = metrics.calibration_error(probabilities, targets, bins=4)
    assert error == pytest.approx(0.75 * (2 / 3 - 0.65) + 0.25 * 1)


def test_calibration_error_is_small_when_probabilities_are_true():
    generator = np.random.default_rng(0)
    p = generator.uniform(size=20_000)
    targets = (generator.uniform(size=20_000) < p).astype(int)
    honest = np.stack([1 - p, p], axis=1)
    certain = np.eye(2)[honest.argmax(axis=1)]
    assert metrics.calibration_error(honest, targets) < 0.02
    assert metrics.calibration_error(certain, targets) == pytest.approx(0.25, abs=0.01)


# --- regression ---------------------------------------------------------------------------------


def test_regression_by_hand():
    figures = metrics.regression(np.array([1.0, 2, 5]), np.array([1.0, 3, 2]))
    assert figures == pytest.approx(
        {"mae": 4 / 3, "mse": 10 / 3, "rmse": (10 / 3) ** 0.5, "r2": 1 - 10 / 2}
    )


def test_r2_of_constant_targets_and_of_one_row():
    constant = np.ones(3)
    assert metrics.regression(constant, constant)["r2"] == 1
    assert metrics.regression(constant + 0.1, constant)["r2"] == 0
    assert np.isnan(metrics.regression(np.ones(1), np.zeros(1))["r2"])


@pytest.mark.parametrize(
    ("predictions", "targets", "message"),
    [
        (np.ones((3, 1)), np.ones(3), r"given \(3, 1\) and \(3,\)"),
        (np.ones(0), np.ones(0), "at least one row of predictions"),
        (np.array([1, np.inf]), np.ones(2), "given inf in row 1"),
        (np.ones(2), np.array([np.nan, 1]), "finite targets, given nan in row 0"),
    ],
)
def test_wrong_regression_input_is_named(predictions, targets, message):
    with pytest.raises(ValueError, match=message):
        metrics.regression(predictions, targets)


# --- ranking ------------------------------------------------------------------------------------


def test_ranking_equals_scikit_learn():
    generator = np.random.default_rng(0)
    scores = generator.permuted(np.tile(np.arange(12.0), (30, 1)), axis=1)
    relevant = generator.random((30, 12)) < generator.random((30, 1))
    relevant[:, 3] |= ~relevant.any(axis=1)
    hits = np.take_along_axis(relevant, (-scores).argsort(1), 1)
    for k in (1, 5, 12, 20):
        expected = [
            (
                sklearn.metrics.average_precision_score(r, s),
                1 / (1 + np.sum(s > s[r].max())),
                sklearn.metrics.ndcg_score(r[None], s[None], k=k),
            )
            for r, s in zip(relevant, scores, strict=True)
        ]
        assert metrics.ranking(hits, k) == pytest.approx(np.array(expected))


def test_ranking_by_hand():
    hits = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 1]]) > 0
    gains = [1, (1 / math.log2(3) + 1 / 2) / (1 + 1 / math.log2(3)), 1 / 2]
    expected = [[1, 1, gains[0]], [(1 / 2 + 2 / 3) / 2, 1 / 2, gains[1]], [1 / 3, 1 / 3, gains[2]]]
    assert metrics.ranking(hits) == pytest.approx(np.array(expected))


@pytest.mark.parametrize("hits", [np.eye(3)[0], np.eye(3)[:, :2]])
def test_ranking_needs_a_hit_in_each_query(hits):
    with pytest.raises(ValueError, match="some in each query; given"):
        metrics.ranking(hits > 0)


# --- intervals and tests ------------------------------------------------------------------------


def test_wilson_against_its_formula():
    successes, trials, z = 45, 50, stats.norm.ppf(0.975)
    p = successes / trials
    center = (p + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2))
    assert metrics.wilson(45, 50) == pytest.approx((center - half, center + half))
    assert metrics.wilson(50, 50)[1] == 1
    assert metrics.wilson(50, 50)[0] < 1
    assert np.isnan(metrics.wilson(0, 0)).all()


def test_wilson_narrows_with_less_confidence():
    low, high = metrics.wilson(45, 50, confidence=0.5)
    wide_low, wide_high = metrics.wilson(45, 50)
    assert wide_low < low < 0.9 < high < wide_high


def test_bootstrap_of_a_mean_is_near_the_normal_interval():
    values = np.random.default_rng(0).normal(size=400)
    low, high = metrics.bootstrap(np.mean, values)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.015)
    assert high == pytest.approx(values.mean() + half, abs=0.015)
    assert metrics.bootstrap(np.mean, values) == (low, high)
    assert metrics.bootstrap(np.mean, values, seed=1) != (low, high)
    narrow = metrics.bootstrap(np.mean, values, confidence=0.5)
    assert low < narrow[0] < narrow[1] < high


@pytest.mark.parametrize(("rows", "block"), [(2, 1), (20, 1), (21, 4), (1003, 7)])
def test_bootstrap_draws_blocks_one_after_the_other(rows, block, monkeypatch):
    """Also where one call draws for several resamples."""
    monkeypatch.setattr(metrics, "_DRAWN", 5000)
    generator, expected = np.random.default_rng(3), []
    for _ in range(12):
        starts = generator.integers(rows - block + 1, size=math.ceil(rows / block))
        expected.append([first + step for first in starts for step in range(block)][:rows])
    drawn = []

    def note(numbers):
        drawn.append(numbers.tolist())
        return 0.0

    metrics.bootstrap(note, np.arange(rows), seed=3, resamples=12, block=block)
    assert drawn == expected


def test_bootstrap_draws_the_same_rows_of_every_array():
    values = np.random.default_rng(0).normal(size=(50, 3))
    distance = metrics.bootstrap(lambda a, b: np.abs(a[:, 0] - b).max(), values, values[:, 0])
    assert distance == (0, 0)


@pytest.mark.parametrize(("rows", "block"), [(1, 1), (3, 3), (3, 5)])
def test_bootstrap_of_a_single_block_knows_no_interval(rows, block):
    interval = metrics.bootstrap(np.mean, np.arange(float(rows)), block=block)
    assert np.isnan(interval).all()
    assert not metrics.is_known(interval)
    assert not metrics.is_known([None, None])
    assert metrics.is_known((0.0, 1.0))


def test_bootstrap_of_wrong_lengths():
    for arrays in ((), (np.ones(0),), (np.ones(2), np.ones(3))):
        with pytest.raises(ValueError, match="arrays of one length"):
            metrics.bootstrap(np.mean, *arrays)


def test_paired_difference_sees_what_separate_intervals_do_not():
    generator = np.random.default_rng(0)
    targets = generator.normal(scale=10, size=300)
    hardness = generator.normal(scale=3, size=300)
    ours = targets + hardness
    theirs = targets + 1.1 * hardness

    def mse(predictions, targets):
        return np.mean((predictions - targets) ** 2)

    difference, low, high = metrics.paired_difference(mse, ours, theirs, targets)
    assert difference == pytest.approx(mse(ours, targets) - mse(theirs, targets))
    assert low < difference < high < 0
    ours_high = metrics.bootstrap(mse, ours, targets)[1]
    theirs_low = metrics.bootstrap(mse, theirs, targets)[0]
    assert theirs_low < ours_high
    assert metrics.paired_difference(mse, ours, ours, targets) == (0, 0, 0)
    swapped = metrics.paired_difference(mse, theirs, ours, targets)
    assert swapped == pytest.approx((-difference, -high, -low))


def test_mcnemar_is_the_binomial_test_of_discordant_rows():
    a = np.array([True] * 8 + [False] * 1 + [True] * 20)
    b = np.array([False] * 8 + [True] * 1 + [True] * 20)
    assert metrics.mcnemar(a, b) == pytest.approx(2 * (1 + 9) / 2**9)
    assert metrics.mcnemar(b, a) == metrics.mcnemar(a, b)
    assert metrics.mcnemar(a, a) == 1
    with pytest.raises(ValueError, match="one shape"):
        metrics.mcnemar(a, b[:-1])
    with pytest.raises(ValueError, match="at least one row"):
        metrics.mcnemar(a[:0], b[:0])


def test_importing_is_cheap():
    code = (
        "import sys, common.metrics.metrics\n"
        "print({'sklearn', 'scipy', 'torch'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert shown.stdout.strip() == "set()"
