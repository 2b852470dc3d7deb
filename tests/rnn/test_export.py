"""Texts, forecasts and translations by files: what they say, without torch, is what runs say."""

import numpy as np
import onnx
import onnxruntime
import pytest

from labs.rnn.forecast.job import Forecast
from labs.rnn.sentiment.job import Sentiment
from labs.rnn.translate.job import Translate

TEXTS = "\n".join(
    ["I love this, thank you!", "", "worst day ever :(", "한글 zzzqq", "a", "so so " * 40]
)
SMALL = {
    "sentiment": {
        **{"limit": 200, "hidden_size": 4, "embedding_size": 4, "members": 2},
        "n_grams": False,
    },
    "forecast": {"limit": 200, "window": 8, "horizon": 3, "hidden_size": 4, "period": 2},
    "translate": {"limit": 150, "hidden_size": 8, "embedding_size": 4},
}
KINDS = {"sentiment": Sentiment, "forecast": Forecast, "translate": Translate}
DATES = "2020년 3월 4일\nMarch 3rd, 1999\n\nzzz!\n5 May 1999"


def inputs(job):
    """Return what is asked of a run, on standard input."""
    return {"sentiment": TEXTS, "forecast": "", "translate": DATES}[job].encode()


@pytest.fixture(scope="module")
def make(untrained, lab, tmp_path_factory):
    """Return a function that makes a run of a job with options, and files of it."""

    def call(job, **options):
        folder = tmp_path_factory.mktemp("runs")
        run = untrained(KINDS[job], folder, **{**SMALL[job], **options})
        result = lab("export", run)
        assert result.code == 0, result
        return run, sorted((run / "export").glob("*.onnx"))

    return call


@pytest.fixture
def check(same_table):
    """Return a function that compares what a file says with what its run says."""

    def compare(asked, expected):
        rows = same_table(asked, expected, rel=1e-4, abs=1e-5)
        assert len({tuple(row[1:]) for row in rows}) > 2  # inputs are told apart

    return compare


@pytest.mark.parametrize("job", KINDS)
def test_a_file_says_what_its_run_says(job, make, lab, check):
    run, files = make(job)
    words, stdin = ("--format", "csv"), inputs(job)
    expected = lab("predict", run, *words, stdin=stdin)
    for path in files:
        check(lab("predict", "--onnx", path, *words, stdin=stdin), expected)
    assert lab("predict", "--onnx", files[0], "--device", "cpu").code == 2


@pytest.mark.slow
@pytest.mark.parametrize("job", KINDS)
def test_it_does_so_without_torch(job, make, lab, without_torch, tmp_path, check):
    run, [path, *_] = make(job, **({"tokenizer": "torchtext"} if job != "forecast" else {}))
    file = tmp_path / "given.txt"
    file.write_bytes(inputs(job))
    words = ("--format", "csv", *(("--file", file) if job != "forecast" else ()))
    asked = without_torch("rnn", "predict", "--onnx", path, *words)
    check(asked, lab("predict", run, *words))


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("pool", ["attention", "mean", "max", "last"])
def test_texts_of_any_length_in_any_batch(cell, pool, make):
    run, [path] = make("sentiment", cell=cell, pool=pool, layers=2)
    job = Sentiment.open_trained(run, "cpu")
    session = onnxruntime.InferenceSession(path)
    texts = TEXTS.split("\n")
    expected = job.answers(texts)["outputs"].softmax(1).numpy()
    encoded = job.encode(texts)
    for more in (0, 9):  # padding changes nothing
        for rows in ([2], [0, 5], [*range(6)]):
            width = max(1, *(len(encoded[row]) for row in rows)) + more
            tokens = np.zeros((len(rows), width), np.int64)
            for place, row in enumerate(rows):
                tokens[place, : len(encoded[row])] = encoded[row].numpy()
            lengths = np.array([len(encoded[row]) for row in rows])
            [given] = session.run(None, {"tokens": tokens, "lengths": lengths})
            assert given == pytest.approx(expected[rows], rel=1e-4, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("job", "options"),
    [
        ("sentiment", {"n_grams": True}),
        ("sentiment", {"encoding": "n-gram-bag"}),
        ("sentiment", {"encoding": "one-hot", "max_words": 50}),
        ("sentiment", {"tokenizer": "jamo", "bidirectional": False, "max_length": 7}),
        ("sentiment", {"tokenizer": "subwords", "classes": 3}),
        ("forecast", {"strategy": "recursive", "cell": "lstm", "layers": 2}),
        ("forecast", {"strategy": "encoder-decoder", "cell": "lstm"}),
        ("forecast", {"strategy": "direct", "quantiles": ("0.1", "0.5", "0.9")}),
        ("forecast", {"log": False, "difference": False}),
        ("forecast", {"log": True, "difference": False}),
        ("translate", {"attention": "none", "cell": "lstm", "layers": 2}),
        ("translate", {"attention": "bahdanau", "cell": "lstm", "reverse": "both"}),
        ("translate", {"attention": "bahdanau", "cell": "rnn", "bidirectional": False}),
        ("translate", {"attention": "luong", "beam": 4, "tokenizer": "subwords"}),
    ],
    ids=str,
)
def test_every_kind_says_the_same(job, options, make, lab, check):
    run, [path, *_] = make(job, **options)
    words, stdin = ("--format", "csv"), inputs(job)
    expected = lab("predict", run, *words, stdin=stdin)
    check(lab("predict", "--onnx", path, *words, stdin=stdin), expected)


def test_another_table_goes_on_by_a_file_too(make, lab, tmp_path, check):
    run, [path] = make("forecast", window=8, horizon=2)
    table = tmp_path / "mine.csv"
    days = np.arange("2024-01-01", "2024-02-10", dtype="datetime64[D]")
    rows = [f"{day};{100 + 3 * (row % 7)},5" for row, day in enumerate(days)]
    table.write_text("\n".join(["날짜;값", *rows]) + "\n", "utf-8")
    words = (table, "--format", "csv", "--decimal", "comma")
    asked, expected = lab("predict", "--onnx", path, *words), lab("predict", run, *words)
    check(asked, expected)


def test_files_keep_no_paths_of_the_machine(make, tmp_path):
    table = tmp_path / "secret.csv"
    days = np.arange("2024-01-01", "2024-06-10", dtype="datetime64[D]")
    rows = [f"{day},{100 + row % 7}" for row, day in enumerate(days)]
    table.write_text("\n".join(["date,value", *rows]) + "\n", "utf-8")
    _, [path] = make("forecast", data=str(table), limit=None, linear=False)
    told = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert str(tmp_path) not in told["config"]


def test_a_file_with_pretrained_vectors_says_what_its_run_says(make, lab, tmp_path, check):
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("love 1 2 3 4\nworst 4 -3 2 1\nday 2 2 -2 0\n")
    run, [path] = make("sentiment", vectors=str(vectors), freeze_vectors=True)
    stdin = inputs("sentiment")
    expected = lab("predict", run, "--format", "csv", stdin=stdin)
    check(lab("predict", "--onnx", path, "--format", "csv", stdin=stdin), expected)


def test_runs_of_a_job_that_has_no_exporter_are_refused(make, lab, monkeypatch):
    run, _ = make("forecast", window=8, horizon=2)
    monkeypatch.setattr(Forecast, "exporter", None)
    result = lab("export", run)
    assert result.code == 2
    assert result.err == f"Error: {run}: runs of gru-direct by `forecast` cannot be exported\n"


def test_what_cannot_be_exported_says_what_can(lab, tmp_path):
    result = lab("export", tmp_path)
    assert result.code == 2
    assert "is not a run folder" in result.err
