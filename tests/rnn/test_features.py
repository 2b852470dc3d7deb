"""`map`: the last features of classifiers of texts and of ratings."""

import json

import numpy as np
import pytest
import torch

from common.errors import RunError
from labs.rnn.features import read
from labs.rnn.sentiment.config import SentimentConfig
from labs.rnn.sentiment.job import Sentiment
from tests.silent import Silent

SMALL = {
    **{"device": "cpu", "threads": 1, "epochs": 1, "members": 2, "hidden_size": 4},
    **{"embedding_size": 5, "min_count": 1, "batch_size": 32},
}


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """A table of Korean and English reviews."""
    path = tmp_path_factory.mktemp("data") / "영화.csv"
    kinds = [
        ("정말 재미있는 영화", "좋음", 5),
        ("a dull, sad film", "나쁨", 1),
        ("so-so", "나쁨", 3),
    ]
    rows = [f'"{text} {row}",{label},{stars}' for row in range(20) for text, label, stars in kinds]
    path.write_text("\n".join(["text,label,stars", *rows]), "utf-8")
    return path


def train(folder, reviews, **options):
    options = {"data": str(reviews), "run_dir": str(folder), "name": "run", **SMALL, **options}
    job, splits = Sentiment.start(SentimentConfig(**options), ["sentiment"])
    job.train(splits, Silent(), lambda line: None)
    return job, splits


@pytest.fixture(scope="module")
def trained(tmp_path_factory, reviews):
    return train(tmp_path_factory.mktemp("runs"), reviews)


def test_the_heads_make_their_answers_of_the_last_features(trained):
    job, splits = trained
    found = read(job, splits["test"], 5000)
    members = job.model.members
    parts = torch.from_numpy(found.features).chunk(len(members), 1)
    logits = [member.head(part) for member, part in zip(members, parts, strict=True)]
    test = splits["test"]
    for row, text in enumerate(test.texts):
        tokens = job.encode([text])[0].long()[None]
        for member, mine in zip(members, logits, strict=True):
            lengths = torch.tensor([tokens.shape[1]])
            alone = member.read(member.embedding(tokens), lengths)
            torch.testing.assert_close(mine[row : row + 1], alone, rtol=1e-4, atol=1e-5)
    assert found.texts == test.texts
    said = job.decide(job.predict_splits(splits, ["test"])["test"])
    assert found.shown.mark.rows.tolist() == (said != test.targets.numpy()).tolist()


def test_what_n_grams_add_is_said(trained):
    job, splits = trained
    share = f"{100 * float(job.model.share):.0f} %"
    remark = read(job, splits["test"], 5000).remark
    assert share in remark.en
    assert share in remark.ko


def test_fewer_texts_are_a_share_of_each_class(trained):
    job, splits = trained
    found = read(job, splits["train"], 20)
    assert len(found.features) == len(found.texts) == len(found.truth) == 20
    assert {*found.truth.tolist()} == {0, 1}


def test_ratings_are_shades(tmp_path, reviews):
    job, splits = train(tmp_path, reviews, label_column="stars", loss="ordinal", target="number")
    found = read(job, splits["test"], 5000)
    assert np.array_equal(found.shown.ways[0].values, splits["test"].targets.numpy())
    assert found.truth is None
    assert found.shown.mark.rows.sum() == len(splits["test"]) // 10


def test_a_bag_of_n_grams_has_no_last_features(tmp_path, reviews):
    job, splits = train(tmp_path, reviews, encoding="n-gram-bag")
    with pytest.raises(RunError, match="bag of n-grams: one linear layer"):
        read(job, splits["test"], 5000)


def test_the_command_shows_each_text(lab, trained, tmp_path, quick_pictures):
    page = tmp_path / "지도.html"
    result = lab("map", trained[0].run.path, "--output", page)
    assert result.code == 0, result.err
    assert "right by its neighbors" in result.out
    line = next(x for x in page.read_text("utf-8").split("\n") if x.startswith("const points = "))
    points = json.loads(line.removeprefix("const points = ").removesuffix(";"))
    assert points["texts"] == trained[1]["test"].texts
    assert points["ways"][0]["names"] == ["나쁨", "좋음"]
    assert points["pictures"] == []


def test_a_users_own_texts_are_mapped(lab, trained, tmp_path):
    path = tmp_path / "mine.csv"
    rows = [f"영화가 재미있다 {row},{('좋음', '나쁨')[row % 2]}" for row in range(7)]
    path.write_text("\n".join(["글,평가", *rows]), "cp949")
    words = ("--data", path, "--text-column", "글", "--label-column", "평가")
    result = lab("map", trained[0].run.path, *words, "--output", tmp_path / "map.html")
    assert result.code == 0, result.err
    assert "영화가 재미있다 3" in (tmp_path / "map.html").read_text("utf-8")


def test_a_forecast_is_refused_with_what_has_a_map(lab, tmp_path):
    words = ("--limit", "200", "--window", "10", "--epochs", "1", "--hidden-size", "4")
    assert lab("forecast", *words, "--run-dir", tmp_path, "--name", "run").code == 0
    result = lab("map", tmp_path / "rnn/run")
    assert result.code == 2
    assert "draws the last features of runs of `sentiment`" in result.err
