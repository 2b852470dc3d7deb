"""Named metrics against scikit-learn and scipy, their intervals, and metrics of one's own."""

import math

import numpy as np
import pytest
import sklearn.metrics
from scipy import stats

from common.errors import ConfigError
from common.metrics.named import NAMED, NamedMetric, find_metric

LABELS = np.arange(5)
REFERENCES = {
    "accuracy": sklearn.metrics.accuracy_score,
    "balanced_accuracy": sklearn.metrics.balanced_accuracy_score,
    "f1": lambda truth, said: sklearn.metrics.f1_score(truth, said, average="macro"),
    "weighted_f1": lambda truth, said: sklearn.metrics.f1_score(truth, said, average="weighted"),
    "kappa": sklearn.metrics.cohen_kappa_score,
    "quadratic_kappa": lambda truth, said: sklearn.metrics.cohen_kappa_score(
        truth, said, weights="quadratic", labels=LABELS
    ),
    "roc_auc": lambda truth, p: sklearn.metrics.roc_auc_score(truth, p, multi_class="ovr"),
    "log_loss": lambda truth, p: sklearn.metrics.log_loss(truth, p, labels=LABELS),
    "top3_accuracy": lambda truth, p: sklearn.metrics.top_k_accuracy_score(
        truth, p, k=3, labels=LABELS
    ),
    "mae": sklearn.metrics.mean_absolute_error,
    "rmse": sklearn.metrics.root_mean_squared_error,
    "spearman": lambda truth, said: stats.spearmanr(truth, said).statistic,
}


def answers_for(metric: NamedMetric, rows: int = 150, seed: int = 0):
    """Return truth and answers that know something.

    They have ties, but for top-k, of which scikit-learn counts ties by their order.
    """
    generator = np.random.default_rng(seed)
    truth = generator.integers(5, size=rows)
    logits = generator.normal(size=(rows, 5)) + 1.2 * np.eye(5)[truth]
    probabilities = np.exp(logits if "top" in metric.name else logits.round(1))
    probabilities /= probabilities.sum(1, keepdims=True)
    if metric.needs == "numbers":
        return truth + 0.5, (truth + generator.normal(size=rows)).round(1)
    return truth, probabilities if metric.needs == "probabilities" else probabilities.argmax(1)


@pytest.mark.parametrize("name", REFERENCES)
def test_values_and_draws_are_scikit_learns(name):
    metric = find_metric(name)
    truth, answers = answers_for(metric)
    assert metric.measure(truth, answers).value == pytest.approx(REFERENCES[name](truth, answers))
    counts = np.random.default_rng(1).multinomial(len(truth), [1 / len(truth)] * len(truth), 3)
    drawn = [np.repeat(np.arange(len(truth)), each) for each in counts]
    expected = [REFERENCES[name](truth[rows], answers[rows]) for rows in drawn]
    assert metric.of_rows(truth, answers)(counts) == pytest.approx(expected)


def test_every_name_is_held_to_a_reference():
    assert set(NAMED) == {*REFERENCES, "top5_accuracy"}, "which is top 3 with another number"


def test_intervals_are_those_of_drawing_rows_one_by_one():
    truth, said = answers_for(NAMED["f1"], 300)
    generator = np.random.default_rng(5)
    draws = (generator.integers(300, size=300) for _ in range(1000))
    reference = [
        np.mean([(said[rows] == each)[truth[rows] == each].mean() for each in range(5)])
        for rows in draws
    ]
    measured = NAMED["balanced_accuracy"].measure(truth, said)
    assert measured[1:] == pytest.approx(np.quantile(reference, [0.025, 0.975]), abs=0.008)
    assert measured == NAMED["balanced_accuracy"].measure(truth, said), "the same for the same rows"
    n, right = 300, int((truth == said).sum())
    assert NAMED["accuracy"].measure(truth, said)[1:] == pytest.approx(
        stats.binomtest(right, n).proportion_ci(method="wilson"), abs=1e-12
    )


@pytest.mark.parametrize("name", ["accuracy", "f1", "roc_auc", "mae"])
def test_rows_that_say_the_same_seven_times_count_once(name):
    metric = find_metric(name)
    truth, answers = answers_for(metric, 100)
    alone = metric.measure(truth, answers, groups=np.arange(100))
    often = metric.measure(
        np.repeat(truth, 7), np.repeat(answers, 7, axis=0), np.repeat(np.arange(100), 7)
    )
    assert often == pytest.approx(alone)
    naive = metric.measure(np.repeat(truth, 7), np.repeat(answers, 7, axis=0))
    assert naive.high - naive.low < 0.5 * (often.high - often.low)


@pytest.mark.parametrize("name", ["balanced_accuracy", "log_loss", "roc_auc"])
def test_a_paired_difference_is_surer_than_two_intervals(name):
    metric = find_metric(name)
    truth, answers = answers_for(metric, 200)
    other = answers.copy()
    other[:10] = np.roll(other[:10], 1, axis=0)
    found = metric.compare(truth, answers, other)
    a, b = metric.measure(truth, answers), metric.measure(truth, other)
    assert found.difference == pytest.approx(a.value - b.value)
    assert found.low <= found.difference <= found.high
    assert found.high - found.low < 0.7 * (a.high - a.low)
    assert metric.compare(truth, answers, answers) == (0, 0, 0)


def test_what_is_undefined_is_nan_and_a_rare_draw_of_one_class_does_no_harm():
    one_class = np.zeros(20, int)
    assert all(map(math.isnan, NAMED["kappa"].measure(one_class, one_class)))
    assert all(map(math.isnan, NAMED["roc_auc"].measure(one_class, np.full((20, 2), 0.5))))
    assert all(map(math.isnan, NAMED["f1"].measure([1], [1])[1:])), "of one row"
    assert all(map(math.isnan, NAMED["f1"].measure([0, 1], [1, 1], ["a", "a"])[1:]))
    truth = np.array([1] * 4 + [0] * 36)  # of 1 in 67 draws only one class
    scores = np.linspace(0.9, 0.1, 40)
    assert NAMED["roc_auc"].measure(truth, np.stack([1 - scores, scores], 1)).high == 1


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="one shape"):
        NAMED["f1"].measure([0, 1], [0])
    with pytest.raises(ValueError, match="class numbers"):
        NAMED["f1"].measure([0, 1], [0.2, 0.8])
    with pytest.raises(ValueError, match="sum 1"):
        NAMED["log_loss"].measure([0, 1], [[3.0, 1.0], [1.0, 2.0]])
    with pytest.raises(ValueError, match="given 3 and 2"):
        NAMED["mae"].measure([0.0, 1, 2], [0.0, 1, 2], groups=["a", "b"])
    with pytest.raises(ValueError, match="needs at least 4 classes, given 2"):
        NAMED["top3_accuracy"].measure([0, 1], [[0.5, 0.5], [0.5, 0.5]])


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("macro-f1", "f1"),
        ("QWK", "quadratic_kappa"),
        ("AUC", "roc_auc"),
        ("top-2", "top2_accuracy"),
    ],
)
def test_names_are_found_as_people_write_them(spec, name):
    assert find_metric(spec).name == name


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean balanced_accuracy"):
        find_metric("balanced_acuracy")


# --- one's own ----------------------------------------------------------------------------------

OWN = """
import numpy as np
from helper import square

def score(truth, answers):
    return (truth == answers).mean()

def brier(truth, probabilities):
    return square(probabilities - np.eye(probabilities.shape[1])[truth]).sum(1).mean()

brier.larger_is_better = False

def sorts(truth, answers):
    truth.sort()
    return 1

def no_number(truth, answers):
    return "high"

def nothing(truth, answers):
    pass

def not_finite(truth, answers):
    return float("nan")

def raises(truth, answers):
    return {}["key"]

def leaves(truth, answers):
    raise SystemExit("bye")

def one_argument(truth):
    return 1
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "helper.py").write_text("def square(x):\n    return x**2\n")
    (tmp_path / "내 지표.py").write_text(OWN, encoding="utf-8")
    return f"{tmp_path}/내 지표.py"


def test_a_metric_of_ones_own_is_measured_as_the_others(own):
    metric = find_metric(f"{own}:score")
    truth, said = answers_for(metric, 80)
    assert (metric.name, metric.needs, metric.larger_is_better) == ("score", "classes", True)
    mine, theirs = (each.measure(truth, said, truth) for each in (metric, NAMED["accuracy"]))
    assert mine.value == theirs.value
    assert mine == pytest.approx(theirs, abs=0.05)
    assert metric.compare(truth, said, said) == (0, 0, 0)
    find_metric(f"{own}:sorts").measure(truth, said)
    assert np.any(np.diff(truth) < 0), "it got a copy"

    brier = find_metric(f"{own}:brier")
    assert (brier.needs, brier.larger_is_better) == ("probabilities", False)
    truth, probabilities = answers_for(brier, 80)
    expected = ((probabilities - np.eye(5)[truth]) ** 2).sum(1).mean()
    assert brier.measure(truth, probabilities).value == pytest.approx(expected)
    assert find_metric(f"{own}:score", "numbers").needs == "numbers"


def test_a_value_of_ones_own_metric_is_one_call(own, monkeypatch):
    monkeypatch.setattr("common.metrics.own.OwnMetric.measure_draw", None)
    assert find_metric(f"{own}:score").value([0, 1, 1, 0], [0, 1, 0, 0]) == 0.75


def test_scikit_learns_function_will_do_though_some_draws_leave_it_undefined(own):
    with open(own, "a", encoding="utf-8") as file:
        file.write(
            """
from sklearn.metrics import roc_auc_score

def lowest_of_class_1(truth, probabilities):
    return probabilities[truth == 1].min()  # raises where none was drawn
"""
        )
    assert find_metric(f"{own}:roc_auc_score").needs == "probabilities"
    truth, scores = np.array([1] * 4 + [0] * 26), np.linspace(0.9, 0.1, 30)
    metric = find_metric(f"{own}:lowest_of_class_1")
    measured = metric.measure(truth, np.stack([scores, 1 - scores], 1))
    assert measured == pytest.approx((0.1, 0.1, 1 - scores[3]), abs=0.1)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("no_number", "no_number returned 'high', which is no number"),
        ("nothing", "nothing returned None, which is no number"),
        ("not_finite", "not_finite returned nan for 3 rows"),
        ("raises", r"raises raised KeyError \(line 27: "),
        ("leaves", r"leaves raised SystemExit \(line 30: bye"),
        ("one_argument", r"must take two arguments, the truth and the answers; it takes \(truth\)"),
        ("scor", "has no function scor; it has: .*did you mean score"),
    ],
)
def test_one_clear_error_names_a_metric_that_fails(own, function, words):
    with pytest.raises(ConfigError, match=words) as raised:
        find_metric(f"{own}:{function}").measure([0, 1, 2], [0, 1, 1])
    assert f"{own}:{function}" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def score(:", r"cannot be read: it raised SyntaxError \(line 1: "),
        ("import no_such_thing", r"raised ModuleNotFoundError \(line 1: No module named"),
        (None, "there is no file"),
    ],
)
def test_a_file_that_cannot_be_run(tmp_path, source, words):
    if source is not None:
        (tmp_path / "mine.py").write_text(source)
    with pytest.raises(ConfigError, match=words):
        find_metric(f"{tmp_path}/mine.py:score")
