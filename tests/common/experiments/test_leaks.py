"""Leaks: the gap between random folds and whole groups, where there is one and where not."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError
from common.experiments.leaks import GIVEN, Rule, choose, find_first
from common.explore.groups import judge
from common.images import alike
from common.images.load import load
from common.options.config import ImageConfig
from labs.classification.__main__ import lab as classification
from labs.classification.experiments.config import LeaksConfig
from labs.classification.experiments.leaks import LeaksOfImages
from labs.rnn.__main__ import lab as rnn
from labs.rnn.experiments.config import LeaksSentimentConfig
from labs.rnn.experiments.leaks import LeaksOfTexts

QUICK = ("--model", "mlp", "--augment", "none", "--image-size", "8", "--folds", "4")
LENGTH = ("--epochs", "8", "--batch-size", "16", "--learning-rate", "0.003", "--threads", "1")


def write(folder, *, alike):
    """Write six photos of each of 24 persons; the class is the person's, and is not to be seen."""
    noise = np.random.default_rng(0)
    rows = []
    for person in range(24):
        look = noise.integers(0, 255, (8, 8))
        for number in range(6):
            look = look if alike else noise.integers(0, 255, (8, 8))
            pixels = (look + noise.normal(0, 12, (8, 8))).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"p{person:02}_{number}.png")
            rows.append(f"p{person:02}_{number}.png,{'ab'[person % 2]}")
    table = folder / "table.csv"
    table.write_text("\n".join(["path,label", *rows]))
    return table


@pytest.mark.parametrize("alike", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_leak_is_proved_where_there_is_one(command, tmp_path, alike):
    table = write(tmp_path, alike=alike)
    words = (*QUICK, *LENGTH, "--run-dir", tmp_path, "--name", "x")
    done = command(classification, "leaks", table, *words)
    assert done.code == 0, done.err
    run = tmp_path / "classification" / "x"
    metrics = json.loads((run / "metrics.json").read_text())
    assert (metrics["samples"], metrics["groups"]) == (144, 24)
    assert metrics["option"] == "--group-by name"
    accuracy = metrics["gaps"][1]
    low, high = accuracy["gap_interval"]
    assert low < accuracy["gap"] < high
    assert accuracy["grouped"] < 0.7
    if alike:
        assert accuracy["random"] > 0.85
        assert metrics["gaps"][0]["gap_interval"][0] > 0
        assert "Random folds leak" in done.out
        assert "From now on type --group-by name." in done.out
        splits, _ = load(ImageConfig(data=str(table), group_by="name", image_size=8))
        sides = [{name[:3] for name in part.names} for part in splits.values()]
        assert not sides[0] & sides[2]
    else:
        assert low < 0 < high
        assert "No leak is to be seen" in done.out
    assert (run / "report.html").exists()


def test_where_nothing_tells_there_is_no_trial(command, tmp_path):
    folder = tmp_path / "x"
    for name in "ab":
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = np.random.default_rng([number, ord(name)]).integers(0, 255, (8, 8), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    done = command(classification, "leaks", folder, "--run-dir", tmp_path / "runs")
    assert done.code == 2
    assert "nothing tells of what belongs together" in done.err
    done = command(classification, "leaks", folder, "--guess", "folder", "--run-dir", tmp_path)
    assert "--guess folder: these are no groups: one group would have 12 of 24" in done.err
    done = command(classification, "leaks", folder, "--guess", "names", "--run-dir", tmp_path)
    assert "--guess names: expected one of auto, folder, name" in done.err
    assert not (tmp_path / "runs").exists()


def test_sentences_in_common_are_a_group_of_texts(command, tmp_path):
    noise = np.random.default_rng(0)
    words = [f"w{number}" for number in range(400)]
    rows = []
    for author in range(40):
        signature = " ".join(noise.choice(words, 6))
        rows += [
            f"{' '.join(noise.choice(words, 5))}. {signature}.,{'good' if author % 2 else 'bad'}"
            for _ in range(5)
        ]
    table = tmp_path / "texts.csv"
    table.write_text("\n".join(["text,label", *rows]))
    quick = (
        "--epochs",
        "1",
        "--members",
        "1",
        "--no-n-grams",
        "--folds",
        "2",
        "--threads",
        "1",
        "--name",
        "x",
    )
    done = command(rnn, "leaks-sentiment", table, *quick, "--run-dir", tmp_path)
    assert done.code == 0, done.err
    metrics = json.loads((tmp_path / "rnn" / "x" / "metrics.json").read_text())
    assert metrics["option"] == "--group-by sentences"
    assert (metrics["samples"], metrics["groups"]) == (200, 40)


def test_columns_of_a_table_and_pictures_that_look_alike_are_guesses(tmp_path, monkeypatch):
    monkeypatch.setattr(alike, "_SIDE", 64)  # quicker
    table = write(tmp_path, alike=True)
    head, *rows = table.read_text().splitlines()
    more = [f"{row},{20 + at % 12},{row[1:3]}" for at, row in enumerate(rows[:60])]
    table.write_text("\n".join([f"{head},age,사람", *more]))
    config = LeaksConfig(data=str(table), folds=2, given=frozenset({"data", "folds"}))
    found = {rule.name: rule for rule in LeaksOfImages.rules(config)}
    assert found["features"].guess.problem == "not looked at; --guess features compares the images"
    assert found["age"].guess.measure == "age"
    config = replace(config, guess="features")
    found = {rule.name: rule for rule in LeaksOfImages.rules(config)}
    assert [*found] == ["사람", "folder", "name", "name-start", "time", "features", "age"]
    assert found["사람"].values == {"group_column": "사람"}
    assert found["사람"].guess.option == "--group-column '사람'"
    assert (found["사람"].guess.groups, found["age"].guess.groups) == (10, 12)
    seen = found["features"].guess
    assert (seen.largest, seen.one_label, seen.problem) == (6, 1, "")
    assert seen.groups < 15


def test_of_crops_a_group_is_what_keeps_more_together_than_their_photo(tmp_path):
    table = write(tmp_path, alike=False)
    rows = table.read_text().splitlines()[1:]
    crops = [
        f"{row},{left},0,4,8,{at // 4},{at % 16}"
        for at, row in enumerate(rows[:40])
        for left in (0, 4)
    ]
    table.write_text("\n".join(["path,label,x,y,w,h,person,weight_kg", *crops]))
    config = LeaksConfig(data=str(table), folds=2, crop_column=("x", "y", "w", "h"))
    found = LeaksOfImages.rules(config)
    assert GIVEN not in {rule.name for rule in found}
    assert find_first(found).name == "person"
    own = LeaksOfImages.rules(replace(config, group_column="person"))
    assert (own[0].name, own[0].guess.groups) == (GIVEN, 10)
    table.write_text(table.read_text().replace("person", "photo_id").replace("p0", "./p0", 10))
    photos = {line.split(",")[0] for line in crops}
    head, *rows = table.read_text().splitlines()
    rows = [row.rsplit(",", 2)[0] + f",{at // 2},0" for at, row in enumerate(rows)]
    table.write_text("\n".join([head, *rows]))
    first = LeaksOfImages.rules(config)[0]
    assert (first.name, first.guess.groups) == ("photo_id", len(photos))
    assert first.guess.problem.startswith("no more than the parts of a photo")


def test_numbers_are_tried_only_when_asked_for_and_may_be_a_shift(command, tmp_path):
    rows = [f"text number {row},{'ab'[row % 2]},{row // 6}" for row in range(120)]
    table = tmp_path / "t.csv"
    table.write_text("\n".join(["text,label,brightness", *rows]))
    done = command(rnn, "leaks-sentiment", table, "--run-dir", tmp_path)
    assert done.code == 2
    assert "--guess brightness tries numbers, which may measure something" in done.err
    [_, rule] = LeaksOfTexts.rules(LeaksSentimentConfig(data=str(table), given={"data"}))
    gap = {"label": "F1", "random": 0.9, "grouped": 0.7, "gap": 0.2, "gap_interval": [0.1, 0.3]}
    metrics = {"title": "X", "groups": 20, "option": rule.guess.option, "gaps": [gap]}
    said = LeaksOfTexts.verdict(object(), {**metrics, "guesses": [rule.guess._asdict()]})
    assert said.startswith("Either a leak, or a shift by brightness: X has a F1 of 0.9000")


def test_a_column_called_as_a_rule_is_goes_by_its_option():
    guess = judge("", [row // 2 for row in range(20)], [1] * 20, 2)
    options = "--group-by name", "--group-column name"
    rules = [Rule("name", {}, guess._replace(option=option)) for option in options]
    with pytest.raises(ConfigError, match="two are called so; give .* or --guess .*-column name"):
        choose(rules, LeaksConfig(guess="name"))
    assert choose(rules, LeaksConfig(guess="--group-column name")) is rules[1]


def test_columns_of_a_table_of_texts_are_guesses(tmp_path):
    rows = [f"text number {row},{'ab'[row % 2]},{row // 6},{row}" for row in range(120)]
    table = tmp_path / "t.csv"
    table.write_text("\n".join(["text,label,movie_id,id", *rows]))
    found = LeaksOfTexts.rules(LeaksSentimentConfig(data=str(table), given=frozenset({"data"})))
    assert [rule.name for rule in found] == ["movie_id", "sentences"]
    assert found[0].guess.option == "--group-column movie_id"
    assert (found[0].guess.groups, found[0].guess.problem) == (20, "")
