import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from common.errors import DataError
from common.metrics.metrics import Difference, mcnemar, wilson
from labs.autoencoder.job import Compression
from labs.autoencoder.views import representations
from labs.autoencoder.views.material import Material
from labs.autoencoder.views.probe import STRENGTHS, fit, probe, view


def blobs(count, seed, spread=0.1, classes=3):
    generator = np.random.default_rng(seed)
    numbers = np.arange(count) % classes
    centers = 10 * np.eye(classes, 4)
    vectors = centers[numbers] + spread * generator.standard_normal((count, 4))
    return vectors.astype(np.float32), numbers


def test_what_can_be_told_apart_is_told_apart():
    test, classes = blobs(60, 3)
    assert (probe(*blobs(90, 1), *blobs(30, 2), test) == classes).all()


def test_noise_is_as_good_as_chance():
    generator = np.random.default_rng(0)
    rows = [generator.standard_normal((count, 5)) for count in (200, 100, 1000)]
    classes = [generator.integers(4, size=len(each)) for each in rows]
    right = probe(rows[0], classes[0], rows[1], classes[1], rows[2]) == classes[2]
    low, high = wilson(int(right.sum()), len(right), confidence=0.999)
    assert low < 0.25 < high


def test_the_penalty_is_the_strongest_of_those_best_on_validation():
    train, validation = blobs(60, 1, spread=6), blobs(40, 2, spread=6)
    scores = [
        make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
        .fit(train[0].astype(np.float64), train[1])
        .score(*validation)
        for strength in STRENGTHS
    ]
    assert len(set(scores)) > 1
    assert STRENGTHS[int(np.argmax(scores))] == fit(*train, *validation)[-1].C
    easy = fit(*blobs(90, 1), *blobs(30, 2))
    assert STRENGTHS[0] == easy[-1].C


def test_units_of_the_vectors_do_not_matter():
    train, classes = blobs(60, 1, spread=6)
    validation, known = blobs(40, 2, spread=6)
    test, _ = blobs(50, 3, spread=6)
    units = np.array([1e-3, 1, 50, 1e4])
    plain = probe(train, classes, validation, known, test)
    assert (probe(train * units, classes, validation * units, known, test * units) == plain).all()


def test_a_number_that_never_changes_does_no_harm():
    data = [blobs(count, seed) for seed, count in enumerate((90, 30, 60))]
    dead = [np.pad(vectors, ((0, 0), (0, 2))) for vectors, _ in data]
    found = probe(dead[0], data[0][1], dead[1], data[1][1], dead[2])
    assert (found == data[2][1]).all()


def test_one_class_is_refused():
    train, validation = blobs(20, 1), blobs(10, 2)
    with pytest.raises(DataError, match="all training images are of one class"):
        fit(train[0], np.zeros(20, int), *validation)


@pytest.mark.parametrize(
    ("lead", "says"),
    [
        (Difference(0.2, 0.1, 0.3), "the latents are better"),
        (Difference(-0.2, -0.3, -0.1), "the latents are worse"),
        (Difference(0.1, -0.1, 0.3), "a difference is not shown"),
        (Difference(0.1, 0.0, 0.3), "a difference is not shown"),
    ],
)
def test_the_interval_decides(lead, says):
    assert representations.judge_lead(lead).startswith(says)


def test_few_images_show_nothing_where_the_test_does_not():
    lead = Difference(0.4, 0.1, 0.7)
    assert representations.judge_lead(lead, p=0.12) == "a difference is not shown"
    assert representations.judge_lead(lead, p=0.01) == "the latents are better"


def test_the_view_measures_all_spaces_on_the_same_test_images(material):
    found = view(material)
    rows = {name: np.arange(len(material[name])) for name in ("train", "validation", "test")}
    data = {name: representations.vectors(material, name, each) for name, each in rows.items()}
    right = {
        space: probe(
            data["train"][space],
            material["train"].classes,
            data["validation"][space],
            material["validation"].classes,
            data["test"][space],
        )
        == material["test"].classes
        for space in (representations.LATENTS, representations.PCA, representations.PIXELS)
    }
    for record in found.records:
        assert record["accuracy"] == right[record["space"]].mean()
        assert record["95 % from"] < record["accuracy"] < record["to"]
    assert [record["numbers"] for record in found.records] == [4, 4, 64]
    figures = found.figures
    lead = figures["lead_over_pca_accuracy"]
    assert lead == pytest.approx(figures["latents_accuracy"] - figures["pca_accuracy"])
    assert figures["lead_over_pca_accuracy_low"] <= lead <= figures["lead_over_pca_accuracy_high"]
    assert figures["mcnemar_p_pca"] == mcnemar(right["latents"], right["PCA"])
    low, high = (figures[f"lead_over_pca_accuracy_{end}"] for end in ("low", "high"))
    says = representations.judge_lead(Difference(lead, low, high), figures["mcnemar_p_pca"])
    assert found.verdict.endswith(f": {says}.")
    assert "told" not in found.section.text


def test_that_an_encoder_is_told_the_class_is_said(small_run):
    job = Compression.reopen(small_run("--model", "conditional-vae"), None)
    job.load_best()
    assert "is told the class" in view(Material(job, job.load_splits())).section.text
