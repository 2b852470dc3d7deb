"""Classes left out in turn: what is planned, measured, told and refused."""

import json
import unicodedata
from types import SimpleNamespace

import pytest

from common.errors import ConfigError
from common.runs import comparison
from labs.autoencoder.compare import anomalies as compare_anomalies
from labs.autoencoder.compare.anomalies import Comparison
from labs.autoencoder.compare.config import CompareAnomaliesConfig
from labs.autoencoder.config import AutoencoderConfig
from labs.autoencoder.views import anomalies
from labs.autoencoder.views.plots import anomaly_plots

TINY = (
    *("--data", "digits", "--limit", "300", "--epochs", "2", "--model", "dense"),
    *("--width", "4", "--latent-size", "4", "--threads", "1"),
)


@pytest.fixture(scope="module")
def compared(lab, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anomalies, "_RESAMPLES", 100)
        result = lab(
            *("compare-anomalies", *TINY, "--classes", "1,8", "--run-dir", runs, "--name", "run"),
            drawn=True,
        )
    assert result.code == 0, result.err
    return SimpleNamespace(result=result, run=runs / "autoencoder" / "run")


# --- plans --------------------------------------------------------------------------------------


def test_each_class_has_a_run_of_its_own():
    config = CompareAnomaliesConfig(classes=("1", "8"), latent_size=7, name="all")
    plan = Comparison.plan(config)
    assert list(plan) == ["1-1", "2-8"]
    for member, name in zip(plan.values(), ("1", "8"), strict=True):
        assert type(member) is AutoencoderConfig
        assert member.without == (name,)
        assert (member.latent_size, member.epochs, member.name) == (7, config.epochs, None)


@pytest.mark.parametrize("name", ["고양이", "a/b", "..", "x" * 300, "cat dog"])
def test_every_class_name_makes_a_folder(name, tmp_path):
    [folder] = Comparison.plan(CompareAnomaliesConfig(classes=(name,)))
    path = tmp_path / folder
    path.mkdir()
    assert path.resolve().parent == tmp_path.resolve()


def test_names_that_look_alike_have_folders_of_their_own():
    assert len(Comparison.plan(CompareAnomaliesConfig(classes=("a/b", "a:b", "a b")))) == 3


def test_without_classes_all_are_left_out_in_turn(tmp_path):
    config = CompareAnomaliesConfig(data="digits", limit=300, run_dir=str(tmp_path))
    started = Comparison.start(config)
    assert started.config.classes == tuple("0123456789")
    assert len(Comparison.plan(started.config)) == 10
    assert Comparison.reopen(started.run.path).config.classes == started.config.classes


def test_runs_are_short_unless_told_otherwise():
    assert CompareAnomaliesConfig().epochs < AutoencoderConfig().epochs
    assert CompareAnomaliesConfig().width < AutoencoderConfig().width


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--classes", "1,x"), "--classes x: no such class; there are: 0, 1"),
        (("--classes", "1,1"), "--classes: names a class twice"),
        (("--without", "1"), "--without: give --classes"),
        (("--model", "conditional-vae"), "conditional-vae: is told the class"),
        (("--epochs", "0"), "--epochs"),
    ],
)
def test_wrong_options_leave_no_run(lab, tmp_path, words, said):
    result = lab("compare-anomalies", *TINY, *words, "--run-dir", tmp_path)
    assert result.code != 0
    assert said in result.err
    assert "Traceback" not in result.err
    assert not list(tmp_path.iterdir())


def test_images_without_classes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(
        compare_anomalies.Compression, "load", lambda config: ({}, SimpleNamespace(classes=()))
    )
    with pytest.raises(ConfigError, match="has no classes that could be left out"):
        Comparison.start(CompareAnomaliesConfig(data="photos", run_dir=str(tmp_path)))


def test_korean_names_are_found_in_either_normal_form(tmp_path, monkeypatch):
    classes = ("고양이", "개")
    monkeypatch.setattr(
        compare_anomalies.Compression, "load", lambda config: ({}, SimpleNamespace(classes=classes))
    )
    monkeypatch.setattr(
        comparison.Comparison, "start", classmethod(lambda cls, config, command: config)
    )
    decomposed = unicodedata.normalize("NFD", "고양이")
    assert Comparison.start(CompareAnomaliesConfig(classes=(decomposed,))).classes == ("고양이",)


# --- a run --------------------------------------------------------------------------------------


def test_metrics_have_a_row_for_each_class_the_worst_first(compared):
    metrics = json.loads((compared.run / "metrics.json").read_text())
    assert metrics["source"] == "digits: 1,797 digits 8x8 (scikit-learn), 300 of them used"
    rows = metrics["classes"]
    assert {row["class"] for row in rows} == {"1", "8"}
    assert rows[0]["auroc"] <= rows[1]["auroc"]
    for row, other in (rows, rows[::-1]):
        low, high = row["auroc_interval"]
        assert 0 <= low <= row["auroc"] <= high <= 1
        assert row["class"] not in row["errors"]
        assert row["known_error"] == other["errors"][row["class"]]
        assert {"pca_auroc", "nearest_pixels_auroc", "recall", "auprc"} <= set(row)
    assert metrics["seconds"]["total"] >= metrics["seconds"]["train"] > 0


def test_members_never_saw_their_class(compared):
    for member in (compared.run / "members").iterdir():
        card = json.loads((member / "data.json").read_text())
        assert card["counts"]["anomalies"] > 0
        assert "without" in card["source"]
        assert not (member / "report.html").exists()


def test_the_screen_and_the_report_say_the_same(compared):
    out, report = compared.result.out, (compared.run / "report.html").read_text()
    metrics = json.loads((compared.run / "metrics.json").read_text())
    for row in metrics["classes"]:
        assert f"{row['auroc']:.4f}" in out
        assert f"{row['auroc']:.4f}" in report
    assert "Report:" in out
    assert (compared.run / "figures" / "compared.png").stat().st_size > 1000


def test_a_finished_run_is_not_trained_again(lab, compared):
    result = lab("compare-anomalies", "--resume", compared.run)
    assert result.code == 0
    assert "nothing to do" in result.err
    assert "left out" in result.out


# --- what is told -------------------------------------------------------------------------------


def row(name, **values):
    known = {
        "class": name,
        "error": 0.03,
        "known_error": 0.01,
        "normal_error": 0.02,
        "auroc": 0.9,
        "recall_interval": [0.5, 0.7],
        "false_alarms": 0.05,
        "pca_auroc_lead_interval": [0.1, 0.2],
        "nearest_pixels_auroc_lead_interval": [-0.1, 0.1],
    }
    return {**known, **values}


def test_the_verdict_says_that_all_are_noticed():
    said = compare_anomalies.verdict([row("4", auroc=0.7), row("2")])
    assert "Every class raises more alarms" in said
    assert "Noticed least is 4, with an AUROC of 0.7000" in said
    assert "better than PCA for 2 of 2 classes and worse for 0" in said
    assert "the nearest training image for 0 and worse for 0" in said


def test_a_class_may_go_unnoticed_because_it_is_simple():
    simple = row("1", auroc=0.2, error=0.011, recall_interval=[0.0, 0.04])
    said = compare_anomalies.verdict([simple, row("2")])
    assert "1 (AUROC 0.2000), whose images are simple: unseen, their error is 0.0110" in said
    assert "2 (AUROC" not in said


def test_a_class_may_go_unnoticed_because_others_have_its_parts():
    alike = row("9", auroc=0.6, known_error=0.02, recall_interval=[0.02, 0.1])
    said = compare_anomalies.verdict([alike])
    assert "parts that other classes have too: not to see it raises its error only 1.5" in said


def test_a_single_class_has_no_error_when_trained_on():
    single = row("9", known_error=None, recall_interval=[0.02, 0.1])
    assert "whose error, 0.0300, is near that of normal images, 0.0200" in (
        compare_anomalies.verdict([single])
    )


def test_the_verdict_counts_where_pca_is_better():
    rows = [row("1", pca_auroc_lead_interval=[-0.2, -0.1]), row("2"), row("3")]
    rows[2]["pca_auroc_lead_interval"] = [-0.1, 0.1]
    said = compare_anomalies.verdict(rows)
    assert "better than PCA for 1 of 3 classes and worse for 1" in said


def test_the_picture_has_a_point_for_each_score_and_class():
    rows = [
        {"class": name, "auroc": value, "auroc_interval": [value - 0.1, value + 0.1]}
        | {"pca_auroc": 0.5, "pca_auroc_interval": [0.4, 0.6]}
        for name, value in (("가", 0.3), ("b", 0.8))
    ]
    [axes] = anomaly_plots.compared(rows, {"network": "", "PCA": "pca_"}).axes
    points = {line.get_label(): line.get_xdata() for line in axes.lines}
    assert list(points["network"]) == [0.3, 0.8]
    assert list(points["PCA"]) == [0.5, 0.5]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["가", "b"]
