"""Submissions of classifiers of texts: the rows of the sample, answered from a test table."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from common.runs.folder import Run
from common.submission import refit
from labs.rnn.sentiment import ngrams

GOOD, BAD = ("정말 좋아요 최고", "재미있고 좋은 영화"), ("별로 지루해요", "최악이고 재미없다")
SMALL = (
    *("--members", 1, "--hidden-size", 4, "--embedding-size", 4, "--epochs", 2, "--threads", 1),
    "--no-n-grams",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return a folder with a table of labelled texts, and one of test texts in cp949."""
    folder = tmp_path_factory.mktemp("영화")
    with (folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
        rows = [(f"{text} {n}", label) for n in range(15) for text, label in _labelled()]
        csv.writer(file).writerows([("review", "label"), *rows])
    texts = [f"TEST_{n},{text} {n + 50}" for n, (text, _) in enumerate(_labelled())]
    (folder / "test.csv").write_text("\n".join(["ID,review", *texts]), "cp949")
    return folder


def _labelled():
    return [*((text, "긍정") for text in GOOD), *((text, "부정") for text in BAD)]


@pytest.fixture(scope="module")
def whole(lab, data):
    """Return the folder of a cross-validation; its folds are runs, too."""
    words = ("--data", data / "train.csv", "--run-dir", data, "--name", "whole", "--folds", 2)
    done = lab("crossval-sentiment", *words, *SMALL)
    assert done.code == 0, done.err
    return data / "rnn/whole"


def submit(lab, run, data, text, *words):
    """Submit for the text of a sample; return the result and the rows behind the header."""
    sample, out = data / "sample.csv", data / "submission.csv"
    sample.write_text(text, "utf-8-sig", newline="\r\n")
    out.unlink(missing_ok=True)
    result = lab("submit", run, data / "test.csv", sample, "--out", out, *words)
    if not out.exists():
        return result, None
    assert out.read_bytes().startswith(b"\xef\xbb\xbfID,")
    rows = csv.reader(out.read_bytes().decode("utf-8-sig").split("\r\n"))
    return result, [row for row in rows if row][1:]


def test_the_rows_are_those_of_the_sample_and_the_folds_answer_together(lab, whole, data):
    ids = [f"TEST_{n}" for n in (2, 0, 3, 1)]
    result, rows = submit(lab, whole, data, "ID,label\n" + "".join(f"{i},긍정\n" for i in ids))
    assert result.code == 0, result.err
    assert [name for name, _ in rows] == ids
    assert {said for _, said in rows} <= {"긍정", "부정"}
    scores = json.loads((data / "submission.json").read_text())["scores"]
    assert "balanced_accuracy_interval" in scores["out_of_fold"]
    shares = "ID,p\n" + "".join(f"{i},0.5\n" for i in ids)
    every = [
        submit(lab, run, data, shares)[1]
        for run in (whole, whole / "members/fold-1", whole / "members/fold-2")
    ]
    mean, *folds = np.array(every)[:, :, 1].astype(float)
    np.testing.assert_allclose(mean, np.mean(folds, 0), atol=1e-6)


@pytest.mark.parametrize(
    ("text", "words", "problem"),
    [
        ("ID,label\nTEST_0,0\nTEST_1,0\n", (), "2 samples of"),
        ("ID,label\nx,0\ny,0\n", (), "2 of the 2 rows of"),
        ("key,label\nx,0\ny,0\n", (), "no column has the ids of"),
        ("ID,label\nTEST_0,0\n", ("--text-column", "texts"), "no column 'texts'"),
    ],
)
def test_what_does_not_fit_is_one_error(lab, whole, data, text, words, problem):
    result, rows = submit(lab, whole, data, text, *words)
    assert (result.code, rows) == (2, None)
    assert problem in result.err
    assert result.err.count("Error: ") == 1


def test_n_grams_of_a_refit_are_chosen_without_the_texts_of_validation():
    texts = [f"{text} {n}" for n in range(15) for text, _ in _labelled()]
    targets = torch.tensor([0, 0, 1, 1] * 15)
    grams = ngrams.ngrams(texts)
    every = ngrams.Labelled(grams, targets)
    held = ngrams.Labelled(grams.select(range(48, 60)), targets[48:])
    first = ngrams.Labelled(grams.select(range(48)), targets[:48])
    plain = ngrams.fit(first, held, None, print)
    whole = ngrams.fit(every, held, None, print, held=12)
    again = ngrams.fit(first, held, None, print, held=0)
    for one, same, other in zip(plain, again, whole, strict=True):
        assert torch.equal(one.weights, same.weights)
        assert not torch.equal(one.weights, other.weights)


def test_a_refit_has_the_share_of_the_folds(whole):
    for fold, share in ((1, 0.25), (2, 0.75)):
        path = whole / f"members/fold-{fold}/share.json"
        path.write_text(json.dumps({"share": share}))
    runs = [SimpleNamespace(run=Run(whole / f"members/fold-{fold}")) for fold in (1, 2)]
    carried = refit._carry(SimpleNamespace(run=Run(whole), jobs=runs))
    assert carried["share"] == {"share": 0.5}
    assert "out_of_fold" in carried["carried"]["measured"]
    for each in runs:
        (each.run.path / "share.json").unlink()
