"""Pseudo-labels of texts: read as people have them, copies found, learned by the same fold."""

import csv
import json

import pytest

from common.experiments.crossval import read_names
from common.runs.folder import Run
from labs.rnn.__main__ import lab
from labs.rnn.experiments.config import PseudoLabelConfig
from labs.rnn.experiments.pseudo import PseudoTexts
from labs.rnn.sentiment.job import Sentiment

SMALL = (
    *("--encoding", "n-gram-bag", "--epochs", "4", "--threads", "1", "--folds", "2"),
    *("--batch-size", "8", "--learning-rate", "0.05", "--warmup", "0", "--ema", "none"),
)
GOOD = ["정말 재미있는 영화였어요", "배우들의 연기가 훌륭하고 좋았다", "다시 보고 싶은 최고의 작품"]
BAD = [
    "지루하고 시간이 아까운 영화",
    "연기가 어색하고 별로였다",
    "다시는 보고 싶지 않은 최악의 작품",
]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Return a folder with labelled reviews, and unlabelled ones, of which some are copies."""
    root = tmp_path_factory.mktemp("texts")
    rows = [
        (f"{text}, {number}번째", label)
        for number in range(10, 22)
        for label, some in (("좋음", GOOD), ("나쁨", BAD))
        for text in some
    ]
    with (root / "labelled.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    more = [f"{text} {number}회" for number in range(30, 40) for text in (*GOOD, *BAD)]
    copies = [f"  {text} https://t.co/abc" for text, _ in rows[:5]]
    lines = [*more, "", *copies, more[0]]
    (root / "more.txt").write_text("\n".join(lines), "utf-8")
    return root, rows


@pytest.fixture(scope="module")
def runs(command, texts, tmp_path_factory):
    """Return the folder of a cross-validation, of one with pseudo-labels, and what that said."""
    data, root = texts[0] / "labelled.csv", tmp_path_factory.mktemp("runs")
    words = ("crossval-sentiment", "--data", data, *SMALL, "--run-dir", root, "--name", "cv")
    done = command(lab, *words)
    assert done.code == 0, done.err
    cv = root / "rnn" / "cv"
    words = ("--threshold", "0.6", "--run-dir", root, "--name", "more")
    done = command(lab, "pseudo-label", cv, texts[0] / "more.txt", *words)
    assert done.code == 0, done.err
    return cv, cv.parent / "more", done


def test_texts_join_their_fold_and_copies_do_not(runs, texts):
    cv, more, done = runs
    assert "2 of its 67 texts are empty, or there already" in done.err
    kept = json.loads((more / "pseudo.json").read_text("utf-8"))
    assert kept["samples"] == 65
    assert "Of 65 unlabelled texts" in done.out
    for name, each in kept["folds"].items():
        old, new = (Sentiment.reopen(run / "members" / name).load_splits() for run in (cv, more))
        number = len(old["train"])
        added = new["train"].texts[number:]
        assert new["train"].texts[:number] == old["train"].texts
        assert len(added) == sum(each["counts"]) > 0
        assert [new[part].texts for part in ("validation", "test")] == [
            old[part].texts for part in ("validation", "test")
        ]
        held = {*old["test"].texts, *old["validation"].texts}
        copies = {f"{text} https://t.co/abc" for text, _ in texts[1][:5] if text in held}
        assert each["copies"] >= len(copies)
        assert not copies & {*added}
    assert read_names(Run(more)) != []
    columns = (more / "members/fold-1/data.json").read_text("utf-8")
    assert "pseudo-labelled samples to train" in columns


def test_near_copies_share_a_number():
    config = PseudoLabelConfig(crossval="cv", unlabelled="more", group_by="none")
    known = ["The plot is thin but the cast carries it well", "no"]
    more = [
        "the plot is thin but the cast carries it  WELL",
        "a plot is thin but the cast carries it well",
        "nothing of the kind is here today",
        "no!",
    ]
    first, second, *others = PseudoTexts.number_copies(config, [known, more])
    assert others[:2] == [first, first]
    assert len({first, second, *others[2:]}) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "expected a table of texts, or a file with one in each line"),
        ("\n \n", "has no text"),
    ],
)
def test_what_has_no_texts_is_one_sentence(runs, command, tmp_path, text, said):
    path = tmp_path / "more.txt"
    if text is not None:
        path.write_text(text)
    done = command(lab, "pseudo-label", runs[0], path, "--run-dir", tmp_path / "runs")
    assert (done.code, said in done.err.splitlines()[-1]) == (2, True)
    assert not (tmp_path / "runs").exists()
