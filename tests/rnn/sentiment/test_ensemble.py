"""Ensembles of classifiers of texts, each of which has its own words; asked as runs are."""

import json

import pytest

SMALL = (
    *("--limit", 150, "--epochs", 1, "--members", 1, "--hidden-size", 4, "--embedding-size", 4),
    *("--threads", 1, "--no-n-grams"),
)


@pytest.fixture(scope="module")
def runs(lab, tmp_path_factory):
    """Return the folder of a run on words, one on characters, and both together."""
    root = tmp_path_factory.mktemp("runs")
    for name, *more in (("words",), ("characters", "--tokenizer", "characters", "--seed", 1)):
        done = lab("sentiment", *SMALL, *more, "--run-dir", root, "--name", name)
        assert done.code == 0, done.err
    folder = root / "rnn"
    named = (folder / "words", folder / "characters")
    done = lab("ensemble", *named, "--name", "both", "--run-dir", root)
    assert done.code == 0, done.err
    assert "2 members together have a test balanced accuracy of" in done.out
    return folder


def ask(lab, run, *words):
    """Return the probability of each class for each text."""
    done = lab("predict", run, *words, "--format", "json")
    assert done.code == 0, done.err
    return [
        {name: value for name, value in each.items() if name.startswith("p(")}
        for each in json.loads(done.out)
    ]


def test_predict_and_submit_give_the_mean_for_any_form_of_texts(lab, runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = ["a happy day", "so sad", "zzqx"]
    table, sample = tmp_path / "test.csv", tmp_path / "sample_submission.csv"
    rows = [f"{number},{text}" for number, text in enumerate(texts)]
    table.write_text("\n".join(["id,text", *rows]), "utf-8")
    each = [ask(lab, runs / name, *texts) for name in ("words", "characters")]
    for together in (ask(lab, runs / "both", *texts), ask(lab, runs / "both", "--file", table)):
        for row, shares in enumerate(together):
            mean = {name: (each[0][row][name] + each[1][row][name]) / 2 for name in shares}
            assert shares == pytest.approx(mean, abs=1e-6)
    sample.write_text("id,positive\n2,0.5\n0,0.5\n1,0.5\n", "utf-8")
    done = lab("submit", runs / "both", table, sample)
    assert done.code == 0, done.err
    said = [line.split(",") for line in (tmp_path / "submission.csv").read_text().split()[1:]]
    assert [name for name, _ in said] == ["2", "0", "1"]
    for name, value in said:
        assert float(value) == pytest.approx(together[int(name)]["p(positive)"], abs=1e-6)


def test_a_text_is_unknown_only_where_no_member_knows_a_word_of_it(lab, runs):
    alone = lab("predict", runs / "words", "zzqx")
    assert "has no known word" in alone.err
    both = lab("predict", runs / "both", "zzqx")
    assert (both.code, both.err) == (0, "")
    assert f"of {runs / 'both'}" in both.out


def test_evaluate_report_and_resume_take_it(lab, runs):
    run = runs / "both"
    found = json.loads((run / "metrics.json").read_text("utf-8"))
    done = lab("evaluate", run)
    assert done.code == 0, done.err
    assert f"{found['test']['balanced_accuracy']:.4f}" in done.out
    before = (run / "report.html").read_text("utf-8")
    (run / "report.html").unlink()
    assert lab("report", run).code == 0
    assert (run / "report.html").read_text("utf-8") == before
    for path in (run / "metrics.json", run / "answers" / "2.safetensors"):
        path.unlink()
    done = lab("ensemble", "--resume", run)
    assert done.code == 0, done.err
    now = json.loads((run / "metrics.json").read_text("utf-8"))
    assert now["test"] == found["test"]
    words = (runs / "words", runs / "characters", "--run-dir", runs.parent, "--boosting")
    assert "--boosting: goes with classifiers of images" in lab("ensemble", *words).err
    refused = lab("memory", run, "--text", "a happy day")
    assert refused.code == 2
    assert "is an ensemble: to look into a network, name one" in refused.err
