"""`open`: runs become pages; what the pages do is tested in a browser."""

import base64
import json
import re
import unicodedata

import numpy as np
import pytest
import torch

from common.errors import RunError
from labs.rnn.forecast.config import ForecastConfig
from labs.rnn.forecast.job import Forecast
from labs.rnn.live.forecast.view import choose_series
from labs.rnn.live.forecast.view import write as write_forecast
from labs.rnn.live.sentiment.view import describe, keep_rows
from labs.rnn.live.texts import count_scripts, describe_words, pack_gaps
from labs.rnn.sentiment.config import SentimentConfig
from labs.rnn.sentiment.job import Sentiment
from labs.rnn.words import Words, learn
from tests.silent import Silent

SMALL = {
    **{"device": "cpu", "threads": 1, "epochs": 1, "members": 2, "hidden_size": 4},
    **{"embedding_size": 5, "min_count": 1, "batch_size": 32},
}


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """A table of Korean and English reviews."""
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    kinds = [("정말 재미있는 영화", "good"), ("a dull, sad film", "bad"), ("so funny!", "good")]
    rows = [f'"{text} {number}",{label}' for number in range(20) for text, label in kinds]
    path.write_text("\n".join(["text,label", *rows]), "utf-8")
    return path


def train(folder, reviews, **options):
    config = SentimentConfig(data=str(reviews), run_dir=str(folder), name="run", **SMALL, **options)
    job, splits = Sentiment.for_config(config).start(config, ["sentiment"])
    with job.prepare(splits, lambda line: None):
        job.train(splits, Silent(), lambda line: None)
    return job


@pytest.fixture(scope="module")
def trained(tmp_path_factory, reviews):
    return train(tmp_path_factory.mktemp("runs"), reviews)


@pytest.fixture(scope="module")
def page(trained, lab, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    result = lab("open", trained.run.path, "--output", path)
    assert result.code == 0, result.err
    assert f"Page: {path}" in result.out
    return path.read_text("utf-8")


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def unpack_gaps(text):
    numbers, number, shift = [], 0, 0
    for byte in base64.b64decode(text):
        number += (byte & 127) << shift
        shift = shift + 7 if byte & 128 else 0
        if not shift:
            numbers.append(number)
    return numbers


def test_the_command_writes_one_page_that_asks_for_nothing(page):
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    found = data_of(page)
    assert found["classes"] == ["bad", "good"]
    assert [step["operation"] for step in found["program"]["steps"]][:6] == [
        *("embedding", "lstm", "lstm", "concatenate", "max_steps", "linear")
    ]
    assert found["networks"] == [[[1, 2]], [[7, 8]]]
    assert found["program"]["steps"][-1]["attributes"]["shares"] == found["shares"]
    assert sum(found["shares"]) == pytest.approx(1)
    assert {sample["truth"] for sample in found["samples"]} == {"bad", "good"}
    assert found["scripts"]["HANGUL"] > 0.1


def test_both_languages_have_each_text(page):
    check_texts(page)


def check_texts(page):
    texts = json.loads(re.search(r"const texts = (\{.*\});", page)[1])
    assert all(each["en"] and each["ko"] for each in texts.values())
    used = {*re.findall(r'data-(?:t|label)="([^"]+)"', page), *re.findall(r'say\("([\w-]+)"', page)}
    assert used - {"op-"} <= texts.keys()


@pytest.mark.parametrize("target", ["class", "number"])
def test_n_grams_alone_have_a_page(tmp_path, lab, reviews, target):
    path = reviews
    if target == "number":
        path = tmp_path / "stars.csv"
        text = reviews.read_text("utf-8").replace(",good", ",5").replace(",bad", ",1")
        path.write_text(text, "utf-8")
    job = train(tmp_path, path, encoding="n-gram-bag", target=target)
    found = describe(job)
    assert found["networks"] == []
    assert sum(found["shares"]) == pytest.approx(1)
    result = lab("open", job.run.path, "--output", tmp_path / "page.html")
    assert result.code == 0, result.err


def test_n_grams_that_no_text_had_are_left_out_and_change_nothing(trained):
    bags = [trained.model.bag, trained.model.ratios]
    kept = keep_rows(bags)
    assert 0 < len(kept) < 5000
    for bag in bags:
        gone = torch.ones(len(bag.counts), dtype=torch.bool)
        gone[kept] = False
        assert not bag.bag.weight[gone].any()
        assert len(bag.counts[gone].unique()) == 1
    assert unpack_gaps(describe(trained)["rows"]) == kept.tolist()


def test_ratings_have_their_levels(tmp_path, reviews):
    path = tmp_path / "rated.csv"
    written = reviews.read_text("utf-8").replace(",good", ",5").replace(",bad", ",1")
    path.write_text(written, "utf-8")
    found = describe(train(tmp_path, path, target="number"))
    assert found["kind"] == "levels"
    assert found["classes"] == ["1", "5"]
    assert "log_softmax" not in [step["operation"] for step in found["program"]["steps"]]


def test_a_network_that_is_too_large_is_refused_with_what_is_small_enough(trained, monkeypatch):
    monkeypatch.setattr("labs.rnn.live.sentiment.view._MOST_WEIGHTS", 10)
    with pytest.raises(RunError, match=r"a page holds 10 at most.*--max-words"):
        describe(trained)


def test_gaps_are_packed_into_bytes():
    numbers = [0, 1, 128, 129, 20_000, 3_000_000]
    assert unpack_gaps(pack_gaps(numbers)) == numbers


def test_the_characters_that_unicode_lacks_are_told_by_their_edges():
    edges = unpack_gaps(describe_words(Words("characters", ("<pad>", "<unk>")))["unassigned"])
    inside = np.zeros(0x110000, bool)
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        inside[begin:end] = True
    codes = range(0, 0x110000, 97)
    assert [unicodedata.category(chr(code)) == "Cn" for code in codes] == inside[codes].tolist()


def test_subwords_tell_what_is_joined_and_what_stands_alone():
    words, _ = learn(["low lower lowest", "low, low"], "subwords", max_words=12)
    found = describe_words(words)
    assert found["merges"][0] in {"l o", "o w", "▁ l"}
    assert {",", ".", "$", "。"} <= set(found["punctuation"])
    assert not set("a▁가") & set(found["punctuation"])


def test_subwords_of_another_making_are_refused_by_name():
    words, _ = learn(["low lower"], "subwords", max_words=9)
    model = json.loads(words.model)
    model["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}]}
    with pytest.raises(RunError, match="ByteLevel.*it makes words, characters, jamo"):
        describe_words(Words("subwords", words.vocabulary, 2, json.dumps(model)))


def test_scripts_are_told_by_their_letters():
    assert count_scripts(["abc 한 1!"]) == {"LATIN": 0.75, "HANGUL": 0.25}
    assert count_scripts(["12"]) == {}


@pytest.fixture(scope="module")
def foretells(tmp_path_factory):
    config = ForecastConfig(
        **{"run_dir": str(tmp_path_factory.mktemp("runs")), "name": "run", "data": "stocks"},
        **{"device": "cpu", "threads": 1, "epochs": 1, "hidden_size": 4, "limit": 300},
    )
    job, splits = Forecast.start(config, ["forecast"])
    job.train(splits, Silent(), lambda line: None)
    return job, splits


def test_a_forecaster_has_its_series_from_validation_on_and_the_dates_to_come(foretells):
    job, splits = foretells
    found = choose_series(job, splits)
    assert [each["name"] for each in found["series"]] == list(job.card.names)
    one = found["series"][0]
    assert len(found["dates"]) == len(one["values"]) + job.config.horizon
    assert found["dates"][found["testFrom"] + 1] == job.card.spans["test"][0]
    assert found["dates"][one["first"] + 1] == job.card.spans["validation"][0]
    assert one["first"] >= job.config.window - 1
    assert one["values"][-job.config.window :] == pytest.approx(job.card.tails[0])


def test_the_page_of_a_forecaster_asks_for_nothing_and_has_both_languages(foretells, tmp_path):
    write_forecast(foretells[0], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "default-src 'none'" in page
    found = data_of(page)
    assert [step["operation"] for step in found["program"]["steps"]] == [
        *("reshape", "gru", "slice", "last_step", "linear", "add", "reshape")
    ]
    check_texts(page)
