"""`--test`: a table of its own is measured, and nothing of it is learned."""

import json

import numpy as np
import pytest

from common.errors import ConfigError, DataError
from labs.rnn.forecast.data import load
from labs.rnn.forecast.job import Forecast
from labs.rnn.forecast.predictions import predict

OPTIONS = {"window": "8", "horizon": "3", "period": "7"}
BEGIN = np.datetime64("2024-01-01")


@pytest.fixture
def series(tmp_path):
    """Write a table of a random walk from a day on; returns its path."""

    def write(name, first, last, columns=("x", "y"), seed=0):
        values = 50 + np.random.default_rng(seed).standard_normal((200, 2)).cumsum(0)
        rows = [
            f"{BEGIN + day},{','.join(f'{value:.4f}' for value in values[day, : len(columns)])}"
            for day in range(first, last)
        ]
        path = tmp_path / f"{name}.csv"
        path.write_text("\n".join([f"date,{','.join(columns)}", *rows]) + "\n")
        return str(path)

    return write


def test_what_goes_on_is_seen_with_the_series_before(series, make):
    data, test = series("data", 0, 150), series("test", 150, 200)
    splits, card = load(make(**OPTIONS, data=data, test=test))
    whole, _ = load(make(**OPTIONS, data=series("all", 0, 200)))
    assert len(splits["test"]) == 2 * (50 - 3 + 1)
    assert splits["test"].origins.min() == 149
    assert card.spans["test"] == ("2024-05-30", "2024-07-18")
    assert card.spans["validation"][1] == "2024-05-29"
    assert card.ends == ("2024-07-18", "2024-07-18")
    last = len(whole["test"])
    assert (splits["test"].truth[-last:] == whole["test"].truth).all()
    assert "tested on test.csv" in card.source


def test_nothing_of_it_is_learned(series, make):
    data = series("data", 0, 150)
    found = []
    for seed in (0, 1):
        test = series("test", 150, 200, seed=seed)
        splits, card = load(make(**OPTIONS, data=data, test=test))
        found.append((splits["train"], splits["validation"], card))
    (one, validation, card), (other, validation_too, card_too) = found
    for field in ("inputs", "targets", "truth", "offsets", "factors", "naive", "origins"):
        assert (getattr(one, field) == getattr(other, field)).all()
        assert (getattr(validation, field) == getattr(validation_too, field)).all()
    assert (card.centers, card.factors, card.naive) == (
        card_too.centers,
        card_too.factors,
        card_too.naive,
    )
    assert card.fingerprint != card_too.fingerprint
    alone, _ = load(make(**OPTIONS, data=data))
    assert len(one) > len(alone["train"])


@pytest.mark.parametrize(("first", "last"), [(160, 200), (0, 40)])
def test_what_stands_apart_is_seen_by_itself(series, make, first, last):
    data = series("data", 50, 150)
    splits, card = load(make(**OPTIONS, data=data, test=series("test", first, last)))
    assert splits["test"].origins.min() == 7
    assert len(splits["test"]) == 2 * (last - first - 8 - 3 + 1)
    assert card.ends == ("2024-05-29", "2024-05-29")


def test_series_are_known_by_name(series, make):
    data = series("data", 0, 150)
    splits, card = load(make(**OPTIONS, data=data, test=series("test", 150, 200, ("y",))))
    assert set(splits["test"].series.tolist()) == {1}
    path = series("other", 150, 200, ("y", "z"))
    _, card = load(make(**OPTIONS, data=data, test=path))
    assert ("test", "left out z: the run does not know this series") in card.skipped
    with pytest.raises(DataError, match=r"--test .*none of its series \(q\) is one of the run's"):
        load(make(**OPTIONS, data=data, test=series("odd", 150, 200, ("q",))))


@pytest.mark.parametrize(
    ("first", "last", "match"),
    [
        (140, 200, "10 of its dates are in --data too, the first is 2024-05-20"),
        (160, 165, "no test window of 8 values has its 3 targets there"),
    ],
)
def test_what_cannot_be_tested_is_refused(series, make, first, last, match):
    with pytest.raises(DataError, match=match):
        load(make(**OPTIONS, data=series("data", 0, 150), test=series("test", first, last)))


def test_options(series, make):
    with pytest.raises(ConfigError, match="--test: goes with series of your own"):
        make(test=series("test", 0, 9))
    with pytest.raises(DataError, match="--test nowhere.csv: no such file"):
        load(make(data=series("data", 0, 150), test="nowhere.csv"))


def test_a_run_is_opened_with_its_test_table(series, make, tmp_path):
    options = {**OPTIONS, "hidden_size": "4", "epochs": "1", "linear": "no"}
    data, test = series("data", 0, 150), series("test", 150, 200)
    config = make(**options, data=data, test=test, run_dir=str(tmp_path))
    job, splits = Forecast.start(config, ["test"])
    assert job.config.test == test
    again = Forecast.reopen(job.run.path).load_splits()
    assert (again["test"].inputs == splits["test"].inputs).all()
    assert json.loads((job.run.path / "data.json").read_text())["counts"]["test"] == 96
    assert predict(job)[0]["date"] == "2024-07-19"
