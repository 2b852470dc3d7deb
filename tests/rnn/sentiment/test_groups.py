"""Texts that belong together, planted: five phrases of each tweet, with most of its words."""

import csv
import json
import random

import pytest

from labs.rnn.sentiment import baselines
from labs.rnn.sentiment.data import tweets
from labs.rnn.sentiment.job import Sentiment

SHORT = ("--members", "1", "--epochs", "1", "--hidden-size", "4", "--embedding-size", "4")


def write_phrases(path, texts, targets):
    """Write five phrases of each text, that leave out one fifth each."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "tweet"])
        for number, (text, target) in enumerate(zip(texts, targets, strict=True)):
            words = text.split()
            for phrase in range(5):
                kept = [word for place, word in enumerate(words) if place % 5 != phrase]
                writer.writerow([" ".join(kept), target, number])


@pytest.mark.slow
def test_a_figure_holds_for_new_groups_only_where_groups_stay_together(lab, tmp_path, monkeypatch):
    monkeypatch.setattr(
        baselines,
        "predictions",
        lambda texts, targets: {
            "majority class": {name: 0 * targets[name] for name in ("validation", "test")}
        },
    )
    part = tweets().parts["all"]
    long = [row for row, text in enumerate(part.texts) if len(text.split()) >= 10]
    long = random.Random(0).sample(long, 1400)
    texts, targets = [part.texts[row] for row in long], part.targets[long].tolist()
    mine, new = tmp_path / "mine.csv", tmp_path / "new.csv"
    write_phrases(mine, texts[:700], targets[:700])
    write_phrases(new, texts[700:], targets[700:])

    shown, true = {}, {}
    for name, column in (("apart", "none"), ("together", "tweet")):
        words = ("sentiment", "--data", mine, "--group-column", column, *SHORT, "--name", name)
        assert lab(*words, "--run-dir", tmp_path).code == 0
        run = tmp_path / "rnn" / name
        test = json.loads((run / "metrics.json").read_text("utf-8"))["test"]
        shown[name] = test["balanced_accuracy_interval"]
        job = Sentiment.open_trained(run)
        split = job.labelled(new, print)
        outputs = job.predict_splits({"data": split}, ["data"])["data"]
        found = job.main_metric.measure(job.decide(outputs), job.targets(split))
        true[name] = found["balanced_accuracy_interval"]  # 700 new tweets are a sample, too
    assert shown["together"][0] < true["together"][1]
    assert true["together"][0] < shown["together"][1]
    assert true["apart"][1] < shown["apart"][0] - 0.1  # it promised far too much
