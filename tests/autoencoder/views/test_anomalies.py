"""Figures against scikit-learn and by hand, the threshold, and the view of a small run."""

import json
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from common.metrics import metrics
from common.metrics.metrics import wilson
from labs.autoencoder.job import Compression
from labs.autoencoder.views import anomalies
from labs.autoencoder.views.anomalies import Score
from labs.autoencoder.views.material import Material
from labs.autoencoder.views.plots import anomaly_plots


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch):
    monkeypatch.setattr(anomalies, "_RESAMPLES", 100)


def score(normal, anomalous, validation=None):
    validation = normal if validation is None else validation
    return Score(*(np.asarray(values, float) for values in (validation, normal, anomalous)))


def drawn(shift=0.5, normal=300, anomalous=60, seed=0, digits=None):
    """Return normal scores; those of anomalies lie higher by a shift. Rounded, there are ties."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=normal), shift + generator.normal(size=anomalous)
    values = [each if digits is None else each.round(digits) for each in values]
    return score(*values, generator.normal(size=normal))


# --- figures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("digits", [None, 1, 0])
@pytest.mark.parametrize("shift", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("anomalous", [1, 60, 600])
def test_figures_are_scikit_learns(digits, shift, anomalous):
    given = drawn(shift, anomalous=anomalous, digits=digits)
    values, truth = given.tested, given.anomalous
    assert metrics.roc_auc(values, truth) == pytest.approx(roc_auc_score(truth, values))
    assert anomalies.average_precision(values, truth) == pytest.approx(
        average_precision_score(truth, values)
    )


def test_a_perfect_score_has_1_and_its_opposite_0():
    perfect = score([0.1, 0.2, 0.3], [0.4, 0.5])
    assert metrics.roc_auc(perfect.tested, perfect.anomalous) == 1
    assert anomalies.average_precision(perfect.tested, perfect.anomalous) == 1
    assert metrics.roc_auc(-perfect.tested, perfect.anomalous) == 0


def test_a_constant_score_is_a_coin_and_its_precision_the_share():
    constant = score([1, 1, 1], [1])
    assert metrics.roc_auc(constant.tested, constant.anomalous) == 0.5
    assert anomalies.average_precision(constant.tested, constant.anomalous) == 0.25


def test_the_same_distribution_is_near_a_coin():
    same = drawn(0.0, 5000, 1000)
    assert metrics.roc_auc(same.tested, same.anomalous) == pytest.approx(0.5, abs=0.03)
    share = 1000 / 6000
    assert anomalies.average_precision(same.tested, same.anomalous) == pytest.approx(
        share, abs=0.02
    )


def test_auroc_by_hand():
    """Of six pairs four are right and one is a tie."""
    by_hand = score([1, 2, 3], [2, 4])
    assert metrics.roc_auc(by_hand.tested, by_hand.anomalous) == pytest.approx(4.5 / 6)


def test_without_one_of_both_there_is_no_figure():
    values = np.arange(3.0)
    for truth in (np.zeros(3, bool), np.ones(3, bool)):
        assert math.isnan(metrics.roc_auc(values, truth))
    assert math.isnan(anomalies.average_precision(values, np.zeros(3, bool)))
    assert anomalies.average_precision(values, np.ones(3, bool)) == 1


def test_ranking_holds_the_scores_against_the_first():
    good, bad = drawn(2.0), drawn(0.0, seed=1)
    found = anomalies.ranking({"a": good, "b": bad})
    assert "auroc_lead" not in found["a"]
    for name in ("auroc", "auprc"):
        low, high = found["a"][f"{name}_interval"]
        assert low < found["a"][name] < high
        difference = found["a"][name] - found["b"][name]
        assert found["b"][f"{name}_lead"] == pytest.approx(difference)
        low, high = found["b"][f"{name}_lead_interval"]
        assert 0 < low < difference < high


def test_a_score_has_no_lead_over_itself():
    same = drawn(1.0)
    found = anomalies.ranking({"a": same, "b": same._replace(normal=same.normal.copy())})
    assert found["b"]["auroc_lead"] == 0
    assert found["b"]["auroc_lead_interval"] == [0, 0]


# --- the threshold ------------------------------------------------------------------------------


@pytest.mark.parametrize("false_alarms", [0.01, 0.05, 0.5])
def test_the_threshold_is_where_validation_has_its_false_alarms(false_alarms):
    validation = np.random.default_rng(0).exponential(size=1000)
    above = anomalies.threshold(validation, false_alarms)
    assert (validation > above).mean() == pytest.approx(false_alarms, abs=0.001)


def test_alarms_are_scikit_learns():
    given = drawn(1.0)
    above = anomalies.threshold(given.validation)
    found = anomalies.alarms(given, above)
    flagged = given.tested > above
    assert found["threshold"] == above
    assert found["recall"] == pytest.approx(recall_score(given.anomalous, flagged))
    assert found["precision"] == pytest.approx(precision_score(given.anomalous, flagged))
    assert found["f1"] == pytest.approx(f1_score(given.anomalous, flagged))
    assert found["false_alarms"] == pytest.approx((given.normal > above).mean())
    assert found["recall_interval"] == list(wilson(int((given.anomalies > above).sum()), 60))
    low, high = found["f1_interval"]
    assert low < found["f1"] < high


def test_alarms_by_hand():
    found = anomalies.alarms(score([1, 2, 3, 9], [8, 2]), 5)
    figures = [found[name] for name in ("recall", "false_alarms", "precision", "f1")]
    assert figures == [0.5, 0.25, 0.5, 0.5]


def test_without_alarms_there_is_no_precision():
    found = anomalies.alarms(score([1, 2], [1, 2]), 5)
    assert found["recall"] == found["false_alarms"] == found["f1"] == 0
    assert math.isnan(found["precision"])


# --- classes ------------------------------------------------------------------------------------


def test_classes_by_hand():
    given = score([1, 1, 4, 2], [3, 5, 0, 0])
    rows = anomalies.by_class(
        given, 2.5, np.array([0, 0, 1, 1]), np.array([2, 2, 3, 3]), ("가", "b", "c", "d")
    )
    assert [row["class"] for row in rows] == ["d", "c", "b", "가"]
    d, c, b, ga = rows
    assert (d["AUROC"], d["flagged"], d["mean error"], d["images"]) == (0, 0, 0, 2)
    assert c["AUROC"] == pytest.approx(7 / 8)
    assert c["flagged"] == 1
    assert (b["flagged"], b["mean error"], b["AUROC"]) == (0.5, 3, None)
    assert (ga["flagged"], ga["in training"]) == (0, "trained on")


def records(**flagged):
    """Return rows of 100 images each, of which so many are flagged."""
    generator = np.random.default_rng(0)
    values = [np.r_[np.full(n, 9.0), generator.random(100 - n)] for n in flagged.values()]
    numbers = np.repeat(np.arange(len(flagged)), 100)
    normal = np.r_[np.full(5, 9.0), generator.random(95)]
    given = score(normal, np.concatenate(values))
    return anomalies.by_class(given, 5, np.full(100, 9), numbers, tuple("abcdefghij"))


def ranked(auroc=0.8, best=0.7, low=0.05, high=0.15):
    figures = {"auroc_interval": [0.7, 0.9], "auroc_lead": auroc - best}
    return {
        anomalies.NETWORK: {"auroc": auroc, **figures},
        anomalies.PCA: {"auroc": 0.6, **figures, "auroc_lead_interval": [0.1, 0.2]},
        anomalies.PIXELS: {"auroc": best, **figures, "auroc_lead_interval": [low, high]},
    }


def test_the_verdict_names_classes_that_go_unnoticed():
    said = anomalies.verdict(ranked(), records(a=4, b=80), 0.05)
    assert "Reconstructed too well to be noticed" in said
    assert "a (4% flagged" in said
    assert "b (" not in said


def test_the_verdict_names_the_class_that_is_noticed_least():
    said = anomalies.verdict(ranked(), records(a=90, b=40), 0.05)
    assert "too well" not in said
    assert "Noticed least is b: 40%" in said


@pytest.mark.parametrize(
    ("low", "high", "judgment"),
    [(0.1, 0.2, "beats it"), (-0.2, -0.1, "is worse"), (-0.1, 0.1, "does not beat it")],
)
def test_the_verdict_is_by_the_best_baseline(low, high, judgment):
    said = anomalies.verdict(ranked(low=low, high=high), records(a=90), 0.05)
    assert f"{anomalies.PIXELS}, has 0.7000" in said
    assert f"so the network {judgment}" in said


# --- the view -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train without two classes, but measure and show nothing yet."""
    return train(tmp_path_factory.mktemp("runs"), without=("1", "8"))


def train(folder, **values):
    """Train a small run, and give back its material."""
    from common.options.terminal import display
    from labs.autoencoder.config import AutoencoderConfig

    config = AutoencoderConfig(
        data="digits",
        limit=400,
        epochs=3,
        model="dense",
        width=4,
        latent_size=8,
        threads=1,
        run_dir=str(folder),
        name="run",
        **values,
    )
    job, splits = Compression.start(config, [])
    with display(3, []) as shown:
        job.train(splits, shown, print)
    return Material(job, splits)


def test_scores_are_errors_and_distances(trained):
    found = anomalies.scores(trained)
    assert list(found) == [
        anomalies.NETWORK,
        anomalies.PCA,
        anomalies.PIXELS,
        anomalies.LATENTS,
    ]
    train, test = trained["train"], trained["test"]
    np.testing.assert_array_equal(found[anomalies.NETWORK].normal, test.errors)
    distances = torch.cdist(torch.tensor(test.pixels), torch.tensor(train.pixels)).min(1).values
    np.testing.assert_allclose(found[anomalies.PIXELS].normal, distances, atol=1e-3)
    distances = torch.cdist(torch.tensor(test.latents), torch.tensor(train.latents)).min(1).values
    np.testing.assert_allclose(found[anomalies.LATENTS].normal, distances, atol=1e-3)
    pca = trained.pca
    given_back = pca.inverse_transform(pca.transform(test.pixels))
    expected = ((given_back - test.pixels) ** 2).mean(1)
    np.testing.assert_allclose(found[anomalies.PCA].normal, expected, rtol=1e-5)
    assert pca.n_components_ == 8
    for each in found.values():
        assert len(each.validation) == len(trained.splits["validation"])
        assert len(each.anomalies) == len(trained.splits["anomalies"])


def test_the_view_shows_figures_classes_and_pictures(trained):
    view = anomalies.view(trained)
    figures = view.figures
    normal, left_out = trained["test"].errors, trained["anomalies"].errors
    truth = np.r_[np.zeros(len(normal)), np.ones(len(left_out))]
    values = np.r_[normal, left_out]
    assert figures["auroc"] == pytest.approx(roc_auc_score(truth, values))
    assert figures["auprc"] == pytest.approx(average_precision_score(truth, values))
    assert figures["share"] == pytest.approx(truth.mean())
    assert figures["threshold"] == np.quantile(trained["validation"].errors, 0.95)
    assert {"pca_auroc", "nearest_pixels_auroc", "nearest_latents_auprc_lead"} <= set(figures)
    json.dumps(figures)
    assert [row["class"] for row in view.records[:2]] in (["1", "8"], ["8", "1"])
    assert len(view.records) == 10
    assert all(list(row) == list(view.records[0]) for row in view.records)
    assert all(path.stat().st_size > 1000 for _, path in view.section.pictures)
    assert len(view.section.pictures) == 5
    assert f"{figures['threshold']:.4f}" in view.section.text


def test_more_false_alarms_detect_more():
    given = drawn(1.0)
    strict, lenient = (
        anomalies.alarms(given, anomalies.threshold(given.validation, share))
        for share in (0.01, 0.3)
    )
    assert strict["threshold"] > lenient["threshold"]
    assert strict["recall"] < lenient["recall"]
    assert strict["false_alarms"] < lenient["false_alarms"]


def test_the_threshold_knows_neither_test_images_nor_anomalies(trained):
    """With other images in their place it is the same, whatever these are."""
    splits = {**trained.splits, "test": trained.splits["anomalies"]}
    splits["anomalies"] = trained.splits["test"]
    swapped = anomalies.view(Material(trained.job, splits)).figures
    assert swapped["threshold"] == np.quantile(trained["validation"].errors, 0.95)
    assert swapped["recall"] == (trained["test"].errors > swapped["threshold"]).mean()


def test_an_ordinary_run_is_told_to_train_without_a_class(lab, tmp_path):
    material = train(tmp_path)
    result = lab("anomalies", material.job.run.path)
    assert result.code != 0
    assert "--without" in result.err
    assert "Traceback" not in result.err


def test_the_command_prints_the_classes(lab, trained):
    result = lab("anomalies", trained.job.run.path, "--false-alarms", "0.1", "--format", "json")
    assert result.code == 0, result.err
    assert {row["class"] for row in json.loads(result.out)} == set("0123456789")
    kept = json.loads((trained.job.run.path / "views" / "anomalies.json").read_text())
    assert kept["figures"]["threshold"] == np.quantile(trained["validation"].errors, 0.9)


@pytest.mark.parametrize("share", ["0", "1", "-0.1", "x"])
def test_a_wrong_share_of_false_alarms_is_refused(lab, trained, share):
    result = lab("anomalies", trained.job.run.path, "--false-alarms", share)
    assert result.code == 2
    assert "--false-alarms" in result.err


# --- pictures -----------------------------------------------------------------------------------


def test_the_histogram_shows_both_and_the_threshold():
    figure = anomaly_plots.errors(np.array([0.1, 0.2]), np.array([0.3]), 0.25)
    axes = figure.axes[0]
    heights = [sum(bar.get_height() for bar in each) for each in axes.containers]
    assert heights == pytest.approx([1, 1])
    assert axes.lines[0].get_xdata()[0] == 0.25


def test_curves_end_where_all_is_flagged():
    given = drawn(1.0)
    figure = anomaly_plots.curves({"a": (given.tested, given.anomalous)})
    roc, precision = figure.axes
    assert roc.lines[0].get_xydata()[-1].tolist() == [1, 1]
    recall, right = precision.lines[0].get_data()
    assert (recall[0], right[0]) == (1, pytest.approx(60 / 360))


def test_a_single_anomaly_has_figures_without_intervals(trained):
    """Some resamples have no anomaly then, so there is no interval, and nothing is claimed."""
    [*_, row] = range(len(trained.splits["anomalies"]))
    one = trained.splits["anomalies"].select(torch.tensor([row]))
    view = anomalies.view(Material(trained.job, {**trained.splits, "anomalies": one}))
    assert 0 <= view.figures["auroc"] <= 1
    assert all(math.isnan(end) for end in view.figures["auroc_interval"])
    assert "does not beat it" in view.verdict
