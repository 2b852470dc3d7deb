"""`sentiment --target number`, on a small table of stars."""

import csv
import json
import random

import numpy as np
import pytest
import torch
from sklearn.metrics import cohen_kappa_score
from torch.nn import functional

from common.options.config import build
from labs.rnn.sentiment import data
from labs.rnn.sentiment.config import SentimentConfig
from labs.rnn.sentiment.explain import explain
from labs.rnn.sentiment.job import Sentiment
from labs.rnn.sentiment.ratings.baselines import RIDGE, ROUNDED, predictions
from labs.rnn.sentiment.ratings.job import Ratings
from labs.rnn.sentiment.ratings.levels import find_strata, look_rated
from labs.rnn.sentiment.ratings.models import Cumulative
from labs.rnn.sentiment.ratings.task import RatingCard, Scale, rate
from labs.rnn.sentiment.suit import suit_texts

WORDS = {
    1: ("terrible", "최악"),
    2: ("dull", "지루해"),
    3: ("average", "보통"),
    4: ("good", "좋아"),
    5: ("wonderful", "최고"),
}
THINGS = ("film", "phone", "hotel", "배우", "음식", "plot", "영화", "service")
SMALL = (
    *("--epochs", "4", "--batch-size", "16", "--embedding-size", "8", "--hidden-size", "4"),
    *("--members", "1", "--min-count", "1", "--ema", "none", "--learning-rate", "0.02"),
    *("--tokenizer", "basic_english"),
)


def write(path, of_star, count=300):
    drawn = random.Random(0)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["review", "별점"])
        for row in range(count):
            star = drawn.randint(1, 5)
            words = drawn.choice(WORDS[star]), drawn.choice(THINGS), drawn.choice(THINGS)
            writer.writerow([f"{words[1]} {words[0]} {words[2]} {row}", of_star(star, row)])
    return path


@pytest.fixture(scope="session")
def stars(tmp_path_factory):
    """Write a table of 300 reviews with stars, some of which are written in words."""
    path = tmp_path_factory.mktemp("stars") / "리뷰.csv"
    odd = {0: "", 1: "몰라요", 2: "3/5", 3: "★★☆☆☆"}
    return write(path, lambda star, row: odd.get(row, f"별점 {star}"))


@pytest.fixture(scope="session")
def rated(lab, stars, tmp_path_factory):
    runs = tmp_path_factory.mktemp("rated")
    options = ("--data", stars, "--target", "number", *SMALL, "--run-dir", runs, "--name", "run")
    result = lab("sentiment", *options, drawn=True)
    assert result.code == 0, result.err
    return result, runs / "rnn" / "run"


def records(result):
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_a_run_rates_reports_and_holds_itself_against_ridge(rated):
    result, run = rated
    metrics = json.loads((run / "metrics.json").read_text("utf-8"))
    assert set(metrics["baselines"]) == {"mean", "median", RIDGE, ROUNDED}
    assert metrics["test"]["mae"] < metrics["baselines"]["median"]["mae"]
    assert metrics["baselines"][RIDGE]["spearman_lead_interval"][0] < 1
    for name in ("mae", "rmse", "spearman", "quadratic_kappa"):
        low, high = metrics["test"][f"{name}_interval"]
        assert low <= metrics["test"][name] <= high
    assert "has a test mean absolute error of" in result.out
    assert "Against ridge as it is" in result.out
    report = (run / "report.html").read_text("utf-8")
    for title in ("Other metrics", "Ratings", "Levels", "Calibration", "Worst texts"):
        assert f">{title}<" in report
    card = json.loads((run / "data.json").read_text("utf-8"))
    assert card["levels"] == [1, 2, 3, 4, 5]
    reasons = dict(card["skipped"])
    assert "is empty" in reasons["리뷰.csv:2"]
    assert "no rating" in reasons["리뷰.csv:3"]
    assert "out of 5" in result.err


def test_a_run_answers_with_a_rating_and_its_distribution(lab, rated):
    _, run = rated
    found = records(lab("predict", run, "film wonderful", "terrible", "", "--format", "json"))
    assert [each["text"] for each in found] == ["film wonderful", "terrible", ""]
    for each in found:
        assert 1 <= each["rating"] <= 5
        assert sum(each[f"p({star})"] for star in range(1, 6)) == pytest.approx(1, abs=1e-5)
    assert found[0]["rating"] > found[1]["rating"]
    again = lab("evaluate", run)
    assert again.code == 0, again.err
    assert "quadratic_kappa" in again.out


def test_words_explain_a_rating(rated):
    job = Sentiment.open_trained(rated[1], "cpu")
    assert isinstance(job, Ratings)
    found = explain(job, "film wonderful plot", "occlusion")
    assert found.what == "the rating"
    assert int(np.argmax(found.scores)) == found.tokens.index("wonderful")
    found = explain(job, "film wonderful plot", "integrated-gradients")
    vectors = torch.zeros(1, 3, job.config.embedding_size)
    [member] = job.model.members
    with torch.no_grad():
        tokens = job.encode(["film wonderful plot"])[0].long()[None]
        ends = (member.embed(type("P", (), {"values": tokens})()), vectors)
        whole, nothing = (job.scale.mean(member.read(x, torch.tensor([3]))).item() for x in ends)
    assert sum(found.scores) == pytest.approx(whole - nothing, abs=0.02)


def test_labelled_data_are_read_as_ratings(lab, rated, tmp_path):
    more = write(tmp_path / "more.csv", lambda star, row: f"{star},0", 40)
    found = lab("evaluate", rated[1], "--data", more)
    assert found.code == 0, found.err
    assert "(40 samples)" in found.out


@pytest.mark.parametrize("loss", ["mse", pytest.param("mae", marks=pytest.mark.slow)])
def test_numbers_of_many_values_are_a_regression(lab, tmp_path, loss):
    table = write(tmp_path / "many.csv", lambda star, row: star + row / 1000)
    options = ("--data", table, "--label-column", "별점", "--target", "number", *SMALL)
    more = ("--loss", loss) if loss == "mae" else ()
    found = lab("sentiment", *options, *more, "--run-dir", tmp_path, "--name", "run")
    assert found.code == 0, found.err
    metrics = json.loads((tmp_path / "rnn/run/metrics.json").read_text("utf-8"))
    assert set(metrics["baselines"]) == {"mean", "median", RIDGE}
    assert "quadratic_kappa" not in metrics["test"]
    assert ("the loss mse: ratings have 300 different values" in found.err) == (loss == "mse")
    refused = lab("sentiment", *options, "--loss", "ordinal", "--run-dir", tmp_path)
    assert refused.code == 2
    assert "takes up to 20; give --loss mse" in refused.err


def test_the_tweets_are_three_ratings():
    config = build(SentimentConfig, ("test", {"target": "number", "limit": "300"}))
    splits, card = Ratings.load(config)
    assert card.levels == (-1.0, 0.0, 1.0)
    train = splits["train"].targets.double()
    assert card.mean == pytest.approx(train.mean().item())
    assert card.std == pytest.approx(train.std(correction=0).item())
    shares = [
        [(splits[name].targets == level).double().mean().item() for level in card.levels]
        for name in ("train", "test")
    ]
    np.testing.assert_allclose(shares[0], shares[1], atol=0.05)


def test_options_of_classes_are_refused():
    given = {"target": "number", "label_smoothing": "0.2", "class_weights": "none"}
    with pytest.raises(Exception, match="numbers have no classes") as caught:
        build(SentimentConfig, ("test", given))
    assert "--class-weights" in str(caught.value)
    with pytest.raises(Exception, match="--loss mse: is of numbers"):
        build(SentimentConfig, ("test", {"loss": "mse"}))


def test_labels_that_look_like_stars_are_told_of_ratings(tmp_path):
    assert look_rated(("1", "2", "3", "4", "5"))
    assert not look_rated(("0", "1"))
    assert not look_rated(("1", "2", "6"))
    assert not look_rated(("bad", "good", "ok"))
    table = write(tmp_path / "plain.csv", lambda star, row: star)
    classes, numbers = (
        " ".join(suit_texts(build(SentimentConfig, ("test", {"data": str(table), **more}))).reasons)
        for more in ({}, {"target": "number"})
    )
    assert "the labels 1, 2, 3, 4, 5 are classes here" in classes
    assert "--target number learns them as numbers" in classes
    assert "classes here" not in numbers


# --- pieces -----------------------------------------------------------------------------------


def card_of(levels, mean=3.0, std=2.0):
    words = {"levels": levels, "low": 1.0, "high": 5.0, "mean": mean, "std": std}
    plain = {"source": "", "counts": {}, "skipped": (), "fingerprint": "", "classes": ()}
    return RatingCard(**plain, words={}, removed={}, unknown={}, cut={}, copies=0, **words)


def test_ordinal_loss_is_the_sum_of_binary_cross_entropies():
    scale = Scale(card_of((1.0, 2.0, 4.0)), "ordinal")
    outputs, ratings = torch.randn(6, 2), torch.tensor([1.0, 2, 4, 4, 1, 2])
    reached = torch.tensor([[0, 0], [1, 0], [1, 1], [1, 1], [0, 0], [1, 0.0]])
    expected = functional.binary_cross_entropy_with_logits(outputs, reached) * 2
    torch.testing.assert_close(scale.loss(outputs, ratings), expected)


def test_levels_are_a_distribution_whose_median_is_said():
    scale = Scale(card_of((1.0, 2.0, 4.0)), "ordinal")
    found = scale.read(torch.tensor([[2.0, -2.0], [-3.0, 3.0], [5.0, 4.0], [-5.0, -6.0]]))
    torch.testing.assert_close(found["levels"].sum(1), torch.ones(4))
    assert (found["levels"] >= 0).all()  # also where the second is likelier than the first
    assert found["outputs"].tolist() == [2, 1, 4, 1]
    shares = torch.tensor([[0.2, 0.2, 0.6]])
    errors = [(shares * (torch.tensor([1.0, 2, 4]) - said).abs()).sum() for said in (1, 2, 4)]
    assert scale.take_median(shares).item() == (1, 2, 4)[int(np.argmin(errors))]


def test_the_mean_of_a_distribution_is_that_of_its_levels():
    scale = Scale(card_of((1.0, 2.0, 4.0)), "ordinal")
    answer = torch.tensor([[2.0, -1.0], [0.5, 0.1]])
    shares = scale.read(answer)["levels"]
    torch.testing.assert_close(scale.mean(answer), shares @ torch.tensor([1.0, 2, 4]))


def test_a_number_is_in_units_of_the_ratings_and_within_them():
    scale = Scale(card_of(()), "mse")
    found = scale.read(torch.tensor([[0.0], [0.5], [9.0], [-9.0]]))
    assert found["outputs"].tolist() == [3, 4, 5, 1]
    loss = scale.loss(torch.tensor([[0.0], [1.0]]), torch.tensor([3.0, 3.0]))
    assert loss.item() == pytest.approx(0.5)


def test_a_head_has_one_score_for_all_levels():
    head = Cumulative(4, 5)
    logits = head(torch.randn(3, 4))
    torch.testing.assert_close(logits - logits[:, :1], torch.zeros(3, 4))
    assert sum(each.numel() for each in head.parameters()) == 8


def test_kappa_is_that_of_scikit_learn_on_rounded_ratings():
    drawn = np.random.default_rng(0)
    levels = (1.0, 2.0, 3.0, 4.0, 5.0)
    truth = drawn.choice(levels, 200)
    said = (truth + drawn.normal(size=200)).clip(1, 5)
    expected = cohen_kappa_score(truth, np.rint(said), weights="quadratic")
    assert rate({"outputs": said}, truth, levels)["quadratic_kappa"] == pytest.approx(expected)


def test_strata_have_each_level_and_of_many_ratings_tenths():
    ratings = torch.tensor([1.0] * 50 + [2.0] * 3 + [3.0] * 40 + [5.0] * 2)
    strata = find_strata(ratings)
    assert strata.bincount().tolist() == [50, 45]
    many = find_strata(torch.rand(1000))
    assert many.bincount().tolist() == [100] * 10


def test_ridge_beats_constants_and_is_rounded_to_levels(stars):
    config = SentimentConfig(data=str(stars), target="number", label_column="별점",
                             text_column="review")  # fmt: skip
    splits, _ = data.load(config)
    ratings = {name: split.targets.numpy() for name, split in splits.items()}
    found = predictions(
        {name: each.texts for name, each in splits.items()}, ratings, (1, 2, 3, 4, 5)
    )
    errors = {name: np.abs(each["test"] - ratings["test"]).mean() for name, each in found.items()}
    assert max(errors[RIDGE], errors[ROUNDED]) < errors["median"]
    assert set(found[ROUNDED]["test"]) <= {1, 2, 3, 4, 5}


# --- what stands on runs ----------------------------------------------------------------------


@pytest.mark.slow
def test_folds_ensembles_and_files_rate_too(lab, rated, stars, tmp_path):
    options = ("--data", stars, "--target", "number", *SMALL, "--run-dir", tmp_path)
    second = lab("sentiment", *options, "--seed", "1", "--name", "second")
    assert second.code == 0, second.err
    together = lab(
        "ensemble", rated[1], tmp_path / "rnn/second", "--run-dir", tmp_path, "--name", "both"
    )
    assert together.code == 0, together.err
    both = tmp_path / "rnn/both"
    assert "rating" in records(lab("predict", both, "good film", "--format", "json"))[0]
    assert lab("evaluate", both).code == 0
    folds = lab("crossval-sentiment", *options, "--folds", "3", "--name", "folds")
    assert folds.code == 0, folds.err
    assert "rank correlation" in folds.out
    for refused in (("suspects", tmp_path / "rnn/folds"),):
        assert lab(*refused).code != 0
    file = lab("export", rated[1], "--output", tmp_path / "file")
    assert file.code == 0, file.err
    [onnx] = (tmp_path / "file").glob("*.onnx")
    texts = ("good film", "terrible plot", "???")
    of_run, of_file = (
        records(lab("predict", where, *texts, "--format", "json", *more))
        for where, more in ((rated[1], ()), (onnx, ("--onnx",)))
    )
    for mine, theirs in zip(of_run, of_file, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-4)
