"""The sentiment commands, on a small table of Korean and English texts."""

import csv
import json
import shutil
import unicodedata

import pytest
import torch
from safetensors.torch import load_file

from common.options.config import build
from common.runs.conclude import conclusion_of
from common.runs.job import Job
from common.training.compute import Compute
from common.training.sequences import Padded
from common.training.task import probabilities
from labs.rnn.sentiment import baselines
from labs.rnn.sentiment.config import SentimentConfig
from labs.rnn.sentiment.explain import explain
from labs.rnn.sentiment.job import Sentiment

GOOD = ("정말 좋아요", "great film", "재미있는 영화", "i loved it", "최고의 연기", "wonderful cast")
BAD = ("정말 싫어요", "awful film", "지루한 영화", "i hated it", "최악의 연기", "terrible cast")
FILLER = (
    *("어제 봤다", "on monday", "친구와 함께", "with a friend", "집에서", "again"),
    *("오늘", "at home", "극장에서", "in the rain", "혼자", "today"),
)

SMALL = (
    *(
        "--tokenizer",
        "basic_english",
        "--epochs",
        "12",
        "--batch-size",
        "8",
        "--embedding-size",
        "16",
        "--hidden-size",
        "8",
    ),
    *(
        "--members",
        "1",
        "--word-dropout",
        "0",
        "--gram-dropout",
        "0",
        "--dropout",
        "0.2",
        "--min-count",
        "1",
        "--ema",
        "none",
        "--learning-rate",
        "0.02",
    ),
)


@pytest.fixture(scope="session")
def reviews(tmp_path_factory):
    """Write a table of 144 reviews, each of an opinion and something that does not matter."""
    path = tmp_path_factory.mktemp("reviews") / "영화.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for filler in FILLER:
            for good, bad in zip(GOOD, BAD, strict=True):
                writer.writerows([[f"{filler}, {good}", "긍정"], [f"{filler}, {bad}", "부정"]])
    return path


@pytest.fixture(scope="session")
def trained(lab, reviews, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    result = lab(
        "sentiment", "--data", reviews, *SMALL, "--run-dir", runs, "--name", "run", drawn=True
    )
    assert result.code == 0, result.err
    return result, runs / "rnn" / "run"


def records(result):
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_a_run_learns_reports_and_holds_itself_against_baselines(trained):
    result, run = trained
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["test"]["balanced_accuracy"] > 0.75
    assert set(metrics["baselines"]) == {
        "majority class",
        "TF-IDF bigrams + logistic regression",
        "NB-SVM on bigrams",
        "words and characters + linear SVM",
    }
    assert metrics["baselines"]["majority class"]["balanced_accuracy"] == 0.5
    assert metrics["baselines"]["majority class"]["mcnemar_p"] < 0.05
    assert "bilstm + n-grams has a test balanced accuracy of" in result.out
    assert "McNemar" in result.out
    html = (run / "report.html").read_text(encoding="utf-8")
    for title in ("Result", "Confusion matrix", "Most confident mistakes", "Words", "긍정"):
        assert title in html
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    assert (environment["lab"], environment["job"]) == ("rnn", "sentiment")


def test_baselines_read_as_many_texts_as_fit_and_it_is_said(trained, tmp_path, monkeypatch):
    copy = tmp_path / "run"
    shutil.copytree(trained[1], copy)
    job = Sentiment.open_trained(copy, "cpu")
    conclusion = conclusion_of(job)
    learned = job.card.counts["train"]
    assert conclusion.of_baselines() == ""
    with monkeypatch.context() as patch:
        patch.setattr(baselines, "CHARACTERS", 1000)
        conclusion.conclude_member(job.load_splits(), baselines=True)
    seen = conclusion.seen_by_baselines()
    assert 0 < seen < learned
    # Also when the budget has become another one.
    told = f"The baselines learned from {seen:,} of the {learned:,} training samples."
    assert conclusion.of_baselines() == told
    (copy / "baselines.json").unlink()  # as runs did not write it once
    assert conclusion.of_baselines() == ""


def test_predictions_need_no_data(lab, trained, reviews, tmp_path):
    _, run = trained
    moved = shutil.copytree(run, tmp_path / "moved")
    found = records(lab("predict", moved, *GOOD, *BAD, "--format", "json"))
    assert [each["class"] for each in found] == ["긍정"] * 6 + ["부정"] * 6
    for each in found:
        assert each["p(긍정)"] + each["p(부정)"] == pytest.approx(1)
        assert each["probability"] == max(each["p(긍정)"], each["p(부정)"])
        assert each["unknown"] == 0


def test_texts_come_decomposed_from_files_and_from_standard_input(lab, trained, tmp_path):
    _, run = trained
    apart = unicodedata.normalize("NFD", "정말 좋아요")
    composed = records(lab("predict", run, "정말 좋아요", "--format", "json"))[0]["probability"]
    lines = tmp_path / "texts.txt"
    lines.write_bytes("정말 좋아요\r\n정말 싫어요\n".encode("cp949"))
    table = tmp_path / "texts.tsv"
    table.write_text(f"번호\t글\n1\t{apart}\n", encoding="utf-8-sig")
    for words, stdin in (
        ([apart], b""),
        (["--file", lines], b""),
        (["--file", table, "--text-column", "글"], b""),
        ([], "정말 좋아요\n".encode()),
        (["-"], apart.encode()),
    ):
        found = records(lab("predict", run, *words, "--format", "json", stdin=stdin))
        assert found[0]["probability"] == pytest.approx(composed, abs=1e-6)
    assert [
        each["class"] for each in records(lab("predict", run, "--file", lines, "--format", "json"))
    ] == ["긍정", "부정"]


def test_texts_of_which_nothing_is_known_are_answered_and_said(lab, trained):
    _, run = trained
    odd = b"\nqwerty\nnul \x00 byte\n" + b"great " * 200_000
    result = lab("predict", run, "--format", "json", stdin=odd)
    rows = records(result)
    assert [row["unknown"] for row in rows] == [1, 1, 1, 0]
    assert len(rows[3]["text"]) == 1_200_000
    assert "text 1 has no word" in result.err
    assert "text 2 has no known word" in result.err
    result = lab("predict", run, stdin=b"fine\nqwerty \xff\xfe\n")
    assert result.code == 2
    assert "standard input:2: the encoding is not certain" in result.err


def test_a_text_is_answered_alike_alone_and_among_others(trained):
    _, run = trained
    job = Sentiment.reopen(run)
    job.load_best()
    from labs.rnn.sentiment.predictions import predict

    texts = [*GOOD, *BAD, "i " * 300]
    together = predict(job, texts, print)
    for text, among in zip(texts, together, strict=True):
        [alone] = predict(job, [text], print)
        assert alone["probability"] == pytest.approx(among["probability"], abs=1e-5)


@pytest.mark.parametrize("method", ["integrated-gradients", "occlusion"])
def test_an_explanation_finds_the_word_that_matters(lab, trained, method, tmp_path):
    _, run = trained
    picture = tmp_path / "why.png"
    text = "어제 봤다, 지루한 영화"
    result = lab("explain", run, text, "--method", method, "--output", picture, drawn=True)
    assert result.code == 0, result.err
    assert "부정, with a probability of" in result.err
    assert picture.read_bytes().startswith(b"\x89PNG")
    job = Sentiment.reopen(run)
    job.load_best()
    found = explain(job, text, method)
    assert found.tokens == ["어제", "봤다", ",", "지루한", "영화"]
    assert max(zip(found.scores, found.tokens, strict=True))[1] == "지루한"


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("--tokenizer", "characters"), ("--max-length", "3")])
def test_occlusion_explains_the_answer_that_predict_gives(
    lab, reviews, trained, tmp_path, monkeypatch, words
):
    _, run = trained
    if words:
        monkeypatch.setattr(baselines, "predictions", majority)
        options = ("--data", reviews, *SMALL, *words, "--run-dir", tmp_path, "--name", "r")
        assert lab("sentiment", *options).code == 0
        run = tmp_path / "rnn" / "r"
    text = 'Great "film" :) wonder"ful;\n정말 좋아요 <br />\ud83d'
    job = Sentiment.reopen(run)
    job.load_best()
    found = explain(job, text, "occlusion")
    best = probabilities(job.answers([text])["outputs"]).max()
    assert found.said.endswith(f"with a probability of {best:.3f}")
    if not words:
        assert found.tokens == ["great", "film", ")", "wonderful", "정말", "좋아요", "\ufffd"]
    assert len(found.tokens) == len(job.encode([text])[0]) == len(found.scores)


def test_integrated_gradients_add_up_to_what_the_text_changed(trained):
    _, run = trained
    job = Sentiment.reopen(run)
    job.load_best()
    found = explain(job, "최악의 연기, again", "integrated-gradients")
    [member] = job.model.eval().members
    vectors = torch.zeros(1, len(found.tokens), job.config.embedding_size)
    [tokens] = job.encode(["최악의 연기, again"]).select([0]).values[None].long()
    lengths = torch.tensor([len(found.tokens)])
    with torch.no_grad():
        read = member(Padded(tokens[None], lengths)).softmax(1)[0]
        nothing = member.read(vectors, lengths).softmax(1)[0]
    target = job.card.classes.index(found.said.partition(",")[0])
    assert sum(found.scores) == pytest.approx((read - nothing)[target].item(), abs=0.01)


def test_the_gates_of_a_run_can_be_looked_into(lab, trained):
    _, run = trained
    result = lab("memory", run, "--text", "정말 좋아요 great", drawn=True)
    assert result.code == 0, result.err
    assert "정말" in result.out
    for name in ("rightward", "leftward"):
        assert (run / "figures" / f"gates-layer1-{name}.png").is_file()


def test_the_other_commands_take_the_run(lab, trained):
    _, run = trained
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    evaluated = lab("evaluate", run)
    assert f"{metrics['test']['accuracy']:.4f}" in evaluated.out
    (run / "report.html").unlink()
    assert lab("report", run).code == 0
    assert (run / "report.html").is_file()
    again = lab("sentiment", "--resume", run)
    assert "nothing to do" in again.err
    assert "bilstm + n-grams (epoch" in again.out


@pytest.mark.slow
def test_a_run_goes_on_bitwise(lab, reviews, trained, tmp_path, monkeypatch, same):
    _, whole = trained
    words = ("sentiment", "--data", reviews, *SMALL, "--run-dir", tmp_path, "--name", "half")
    train = Job.train

    def stopped(self, splits, display, say):
        monkeypatch.setattr(type(display), "epoch", _stop_after(3, type(display).epoch))
        train(self, splits, display, say)

    monkeypatch.setattr(Job, "train", stopped)
    with pytest.raises(RuntimeError):
        lab(*words)
    monkeypatch.undo()
    run = tmp_path / "rnn" / "half"
    assert len((run / "history.jsonl").read_text().splitlines()) == 3
    assert lab("sentiment", "--resume", run).code == 0
    halves = [load_file(each / "best.safetensors") for each in (run, whole)]
    assert same(*halves)
    rows = [(each / "history.jsonl").read_text().splitlines() for each in (run, whole)]
    assert [plain(row) for row in rows[0]] == [plain(row) for row in rows[1]]


def plain(line):
    """Return a row of history without its times."""
    row = json.loads(line)
    return {
        name: value
        for name, value in row.items()
        if "seconds" not in name and "per_second" not in name
    }


def _stop_after(epochs, shown):
    def epoch(self, row, best):
        shown(self, row, best)
        if row["epoch"] == epochs:
            raise RuntimeError

    return epoch


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("--encoding", "n-gram-bag"),
        ("--encoding", "one-hot", "--max-words", "30"),
        ("--tokenizer", "jamo", "--cell", "gru", "--pool", "max"),
        ("--no-bidirectional", "--truncate", "2", "--pool", "last", "--micro-batch", "5"),
    ],
)
def test_other_ways_to_read(lab, reviews, tmp_path, monkeypatch, words):
    monkeypatch.setattr(baselines, "predictions", majority)
    result = lab(
        "sentiment", "--data", reviews, *SMALL, "--run-dir", tmp_path, "--name", "r", *words
    )
    assert result.code == 0, result.err
    found = records(lab("predict", tmp_path / "rnn" / "r", *BAD, "--format", "json"))
    assert sum(each["class"] == "부정" for each in found) >= 4


@pytest.mark.slow
def test_torchtext_cuts_a_run_into_the_words_of_basic_english(
    lab, reviews, trained, tmp_path, monkeypatch
):
    monkeypatch.setattr(baselines, "predictions", majority)
    _, run = trained
    options = ("--data", reviews, *SMALL, "--tokenizer", "torchtext", "--run-dir", tmp_path)
    assert lab("sentiment", *options, "--name", "r").code == 0
    own = tmp_path / "rnn" / "r"
    ours, theirs = (load_file(each / "best.safetensors") for each in (run, own))
    assert all(torch.equal(ours[name], theirs[name]) for name in {**ours, **theirs})
    text = "어제 봤다, 지루한 영화!"
    assert records(lab("predict", own, text, "--format", "json")) == records(
        lab("predict", run, text, "--format", "json")
    )
    job = Sentiment.reopen(own)
    job.load_best()
    assert explain(job, text, "occlusion").tokens == ["어제", "봤다", ",", "지루한", "영화", "!"]


def majority(texts, targets):
    return {"majority class": {name: 0 * targets[name] for name in ("validation", "test")}}


@pytest.mark.slow
def test_pretrained_vectors_are_read_covered_and_kept(lab, reviews, tmp_path, monkeypatch):
    monkeypatch.setattr(baselines, "predictions", majority)
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("great 1 2 3\n최악의 4 5 6\nnowhere 7 8 9\n", encoding="utf-8")
    result = lab(
        "sentiment",
        "--data",
        reviews,
        *SMALL,
        "--embedding-size",
        "3",
        "--vectors",
        vectors,
        "--freeze-vectors",
        "--run-dir",
        tmp_path,
        "--name",
        "r",
    )
    assert result.code == 0, result.err
    vectors.unlink()  # a trained run needs it no more
    job = Sentiment.reopen(tmp_path / "rnn" / "r")
    job.load_best()
    rows = {
        word: row.tolist()
        for word, row in zip(
            job.words.vocabulary, job.model.members[0].embedding.weight, strict=True
        )
    }
    assert rows["great"] == [1, 2, 3]
    assert rows["최악의"] == [4, 5, 6]
    metrics = json.loads((job.run.path / "metrics.json").read_text(encoding="utf-8"))
    words = len(job.words.vocabulary) - 2
    assert metrics["vectors"]["coverage"]["train"]["types"] == pytest.approx(2 / words)
    assert "Pretrained vectors" in job.run.report.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--data", "nowhere.csv"), "no such table"),
        (("--data", "tweet"), "did you mean tweets?"),
        (("--label-column", "lable"), "did you mean label?"),
        (("--vectors", "nowhere.txt"), "nowhere.txt"),
        (("--monitor", "validation/acuracy"), "did you mean validation/accuracy?"),
        (("--cell", "lstn"), "did you mean lstm?"),
    ],
)
def test_what_is_wrong_is_said_and_leaves_nothing_behind(lab, reviews, tmp_path, words, problem):
    result = lab("sentiment", "--data", reviews, "--run-dir", tmp_path, *words)
    assert result.code == 2
    assert problem in result.err
    assert not list(tmp_path.glob("rnn/*"))


def test_a_run_is_asked_only_what_it_can_answer(lab, trained, tmp_path):
    _, run = trained
    assert "--beam goes with a run of translate" in lab("predict", run, "a", "--beam", "2").err
    assert "give texts or --file" in lab("predict", run, "a", "--file", "b").err
    assert "not of labs.rnn" not in lab("predict", run, "great").err
    assert "is not a run folder" in lab("predict", tmp_path, "great").err
    assert "give RUN and --text" in lab("memory", run).err
    assert "the text has 0 words" in lab("explain", run, " ").err


def test_little_of_what_networks_read_is_padding():
    config = build(SentimentConfig, ("test", {"limit": 4000}))
    splits, card = Sentiment.load(config)
    job = Sentiment(config, Compute(), card)
    read = [tokens for [(tokens, *_)] in job.batches(splits["train"], training=True).updates(0)]
    real, places = (
        sum(x) for x in zip(*((int(t.lengths.sum()), t.values.numel()) for t in read), strict=True)
    )
    assert 1 - real / places < 0.05


def test_the_first_weights_do_not_depend_on_the_threads(same):
    config = build(SentimentConfig, ("test", {"limit": 60, "members": 1, "n_grams": False}))
    _, card = Sentiment.load(config)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(Sentiment(config, Compute(), card).model.state_dict())
    torch.set_num_threads(1)
    assert same(*found)


def test_a_bag_has_no_cells_to_compare(lab, tmp_path):
    result = lab("compare-cells", "--encoding", "n-gram-bag", "--run-dir", tmp_path)
    assert result.code == 2
    assert "has no cell to compare" in result.err


@pytest.mark.slow
def test_cells_are_compared_over_seeds(lab, reviews, tmp_path):
    words = ("--data", reviews, *SMALL, "--epochs", "2", "--seeds", "2", "--run-dir", tmp_path)
    result = lab("compare-cells", *words, "--name", "cells", drawn=True)
    assert result.code == 0, result.err
    run = tmp_path / "rnn" / "cells"
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    of_seeds = {
        title: len(found["balanced_accuracy_of_seeds"])
        for title, found in metrics["compared"].items()
    }
    assert of_seeds == {"rnn": 2, "lstm": 2, "gru": 2}
    members = [
        json.loads((run / f"members/gru-{seed}/metrics.json").read_text()) for seed in (0, 1)
    ]
    losses = [each["test"]["log_loss"] for each in members]
    assert losses[0] != losses[1]
    tests = [each["test"]["balanced_accuracy"] for each in members]
    assert metrics["compared"]["gru"]["balanced_accuracy_of_seeds"] == pytest.approx(tests)
    for name in ("compared", "curves"):
        assert (run / "figures" / f"{name}.png").is_file()
    assert "has the best validation balanced accuracy; on test it has" in result.out
    assert lab("report", run / "members" / "gru-0").code == 0
    # What is finished is not trained again.
    (run / "metrics.json").unlink()
    shutil.rmtree(run / "members" / "gru-1")
    before = (run / "members" / "gru-0" / "history.jsonl").stat().st_mtime_ns
    assert lab("compare-cells", "--resume", run).code == 0
    assert (run / "members" / "gru-0" / "history.jsonl").stat().st_mtime_ns == before
    again = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    del again["compared"]["gru"]["seconds"], metrics["compared"]["gru"]["seconds"]
    assert again["compared"]["gru"] == metrics["compared"]["gru"]


@pytest.mark.slow
def test_encodings_are_compared(lab, reviews, tmp_path):
    words = ("--data", reviews, *SMALL, "--epochs", "1", "--seeds", "1", "--run-dir", tmp_path)
    result = lab("compare-encodings", *words, "--name", "encodings", drawn=True)
    assert result.code == 0, result.err
    metrics = json.loads((tmp_path / "rnn" / "encodings" / "metrics.json").read_text())
    assert list(metrics["compared"]) == ["one-hot", "n-gram-bag", "words", "characters", "subwords"]
    assert result.out.count("0.") >= 15


@pytest.mark.slow
def test_frozen_vectors_are_compared_with_words_that_are_learned(
    lab, reviews, tmp_path, monkeypatch
):
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("great" + " 1" * 16 + "\n")
    words = ("--data", reviews, *SMALL, "--epochs", "1", "--seeds", "1", "--limit", "60")
    words = (*words, "--freeze-vectors", "--run-dir", tmp_path, "--name", "vectors", "--vectors")
    missing = lab("compare-encodings", *words, tmp_path / "nowhere.txt")
    assert missing.code == 2
    assert not list(tmp_path.glob("rnn/*"))
    result = lab("compare-encodings", *words, vectors)
    assert result.code == 0, result.err
    metrics = json.loads((tmp_path / "rnn" / "vectors" / "metrics.json").read_text())
    parameters = {title: found["parameters"] for title, found in metrics["compared"].items()}
    assert parameters["words"] == parameters["pretrained"] > parameters["pretrained-frozen"]


def test_a_table_with_columns_of_its_own_is_read_without_a_word(lab, reviews, tmp_path):
    """Trains on columns that only their contents tell; the run then asks for the same ones."""
    rows = list(csv.reader(reviews.read_text(encoding="utf-8").splitlines()))[1:]
    table = tmp_path / "r.tsv"
    lines = [f"{number}\t{text}\t{label}" for number, (text, label) in enumerate(rows)]
    table.write_text("\n".join(["no\twhat\twhich", *lines]), encoding="utf-8")
    short = ("--embedding-size", "4", "--hidden-size", "4", "--members", "1", "--epochs", "1")
    words = ("sentiment", "--data", table, *short, "--run-dir", tmp_path, "--name", "r")
    result = lab(*words)
    assert result.code == 0, result.err
    assert "chosen: column 'what' of r.tsv holds the texts" in result.err
    assert "chosen: column 'which' of r.tsv holds the labels" in result.err
    assert "chosen: subwords: " in result.err  # half of the letters are Korean
    run = tmp_path / "rnn" / "r"
    table.write_text("what\n정말 좋아요\n\n", encoding="utf-8")
    asked = records(lab("predict", run, "--file", table, "--format", "json"))
    assert [row["text"] for row in asked] == ["정말 좋아요"]
    missing = lab("predict", run, "--file", table, "--text-column", "wat")
    assert "did you mean what?" in missing.err
