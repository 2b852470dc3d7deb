"""A user's tables, as runs on sequences read them."""

import json

import numpy as np
import pytest
import torch

from common.errors import DataError
from common.options.config import build
from common.runs.conclude import conclusion_of
from labs.rnn.forecast.job import Forecast
from labs.rnn.sentiment.job import Sentiment
from labs.rnn.translate.job import Translate


def started(kind, **options):
    values = {"epochs": "1", "device": "cpu", "hidden_size": "4", **options}
    values = {name: str(value) for name, value in values.items()}
    return kind.check(build(kind.config_type, ("options", values)))


def figures(job, split):
    splits = dict.fromkeys(("train", "validation", "test"), split)
    return conclusion_of(job).figures(job.predict_splits(splits, ["test"])["test"], split)


def write(path, *rows):
    path.write_text("\n".join(rows), "utf-8")
    return path


def test_texts_have_the_runs_classes_and_words(tmp_path):
    kinds = ("good", "bad", "dull")
    rows = [f"the film is {kinds[row % 3]} {row},{kinds[row % 3]}" for row in range(30)]
    table = write(tmp_path / "own.csv", "text,label", *rows)
    job, splits = started(Sentiment, data=table, max_length=4)
    said = []
    found = job.labelled(table, said.append)
    for split in splits.values():
        rows = [found.texts.index(text) for text in split.texts]
        assert found.targets[rows].tolist() == split.targets.tolist()
        encoded = zip(rows, range(len(split)), strict=True)
        assert all(torch.equal(found.encoded[a], split.encoded[b]) for a, b in encoded)
    assert said == ["30 of the texts: only their first 4 tokens are read"]
    test = splits["test"]
    records = [
        json.dumps({"text": text, "label": job.card.classes[target]})
        for text, target in zip(test.texts, test.targets.tolist(), strict=True)
    ]
    again = job.labelled(write(tmp_path / "test.jsonl", *records, "{}"), said.append)
    assert figures(job, again) == figures(job, test)
    assert said[1].startswith("skipped test.jsonl:")
    one = job.labelled(write(tmp_path / "one.csv", "text,label", "so good,good"), print)
    assert one.targets.tolist() == [job.card.classes.index("good")]
    with pytest.raises(DataError, match="not know the class odd; it knows bad, dull, good"):
        job.labelled(write(tmp_path / "odd.csv", "text,label", "hm,odd"), print)


def test_pairs_have_the_runs_words(tmp_path):
    rows = [f"{row} plus {row},{2 * row}" for row in range(30)]
    table = write(tmp_path / "own.csv", "source,target", *rows)
    job, splits = started(Translate, data=table, max_length=12)
    found = job.labelled(table, print)
    pairs = list(zip(found.sources, found.targets, strict=True))
    for split in splits.values():
        for row, pair in enumerate(zip(split.sources, split.targets, strict=True)):
            assert torch.equal(found.source[pairs.index(pair)], split.source[row])
            assert torch.equal(found.target[pairs.index(pair)], split.target[row])
    said = []
    other = write(tmp_path / "b.csv", "source,target", "1,2", "1,2", "9,1234567890123")
    few = job.labelled(other, said.append)
    assert list(few.targets) == ["2", "2"]
    assert said == ["skipped 1 pair: longer than 12 characters (--max-length)"]
    assert figures(job, few)["loss"] > 0


def test_windows_of_the_runs_series_are_scaled_as_in_training(tmp_path):
    walks = 50 + np.random.default_rng(0).standard_normal((80, 2)).cumsum(0)
    days = np.datetime64("2024-01-01") + np.arange(80)
    table = write(
        tmp_path / "own.csv",
        "date,a,b",
        *(f"{d},{x},{y}" for d, (x, y) in zip(days, walks, strict=True)),
    )
    job, splits = started(Forecast, data=table, window=6, horizon=2)
    found = job.labelled(table, print)
    assert len(found) == 2 * (80 - 6 - 2 + 1)
    for split in splits.values():
        rows = np.isin(found.origins, split.origins)
        for name in ("inputs", "targets", "truth", "offsets", "factors", "naive"):
            assert np.array_equal(getattr(found, name)[rows], getattr(split, name))
    said = []
    rows = (f"{d},{y},1" for d, (_, y) in zip(days, walks, strict=True))
    turned = job.labelled(write(tmp_path / "b.csv", "date,b,c", *rows), said.append)
    assert np.array_equal(turned.truth, found.truth[found.series == 1])
    assert said[0].startswith("dates are column 'date': year, month, day")
    assert said[2:] == ["left out c: the run does not know this series"]
    assert np.isfinite(figures(job, turned)["mase"])
    with pytest.raises(DataError, match=r"none of its series \(c\) is one of the run's: a, b"):
        job.labelled(write(tmp_path / "c.csv", "date,c", *(f"{d},1" for d in days)), print)
