"""A run from its data to its report, and what it says of new texts."""

import json
import math
import unicodedata

import pytest
import torch

from common.errors import DataError, RunError
from common.options.config import build
from common.runs import commands
from labs.rnn import said
from labs.rnn.translate import predictions
from labs.rnn.translate.config import TranslateConfig
from labs.rnn.translate.data import NAMES
from labs.rnn.translate.job import Translate
from labs.rnn.translate.results import TranslationResults
from tests.silent import Silent

SMALL = {"limit": 260, "epochs": 2, "hidden_size": 16, "embedding_size": 16, "learning_rate": 1e-2}


def trained(folder, **values):
    config = build(TranslateConfig, ("test", SMALL | {"run_dir": str(folder)} | values))
    job, splits = Translate.start(config, ["test"])
    job.train(splits, Silent(), print)
    return job, splits


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    job, splits = trained(tmp_path_factory.mktemp("runs"))
    return job, splits, TranslationResults(job).conclude(splits, 0.0)


@pytest.fixture(scope="module")
def job(run):
    """The run, opened again without its data."""
    reopened = Translate.reopen(run[0].run.path)
    reopened.load_best()
    return reopened


# --- the run --------------------------------------------------------------------------------------


def test_a_run_is_measured_and_reported(run):
    job, splits, metrics = run
    for name in ("validation", "test"):
        found = metrics[name]
        assert set(found) == {
            *("loss", "exact_match", "exact_match_interval", "character_accuracy", "chrf", "bleu")
        }
    assert set(metrics["baselines"]) == {"nearest source", "copy"}
    assert job.run.read("metrics") == metrics
    best = min(row["validation/loss"] for row in job.run.history)
    assert metrics["validation"]["loss"] == pytest.approx(best, rel=1e-5)
    assert {"attention_1.png", "lengths.png", "learning_curves.png", "result.png"} <= {
        path.name for path in job.run.figures.iterdir()
    }
    html = job.run.report.read_text(encoding="utf-8")
    for title in ("Attention", "Beam search", "Most confident differences", "Length", "Data"):
        assert f">{title}</h2>" in html
    assert job.run.path.name == "translate-gru-luong-dates-1"


def test_reopened_it_says_the_same(run, job):
    _, splits, metrics = run
    outputs = job.predict_splits(job.load_splits(), ["test"])["test"]
    assert TranslationResults(job).figures(outputs, splits["test"]) == metrics["test"]


def test_the_same_seed_gives_the_same_weights(run, tmp_path):
    again, _ = trained(tmp_path)
    for name, value in run[0].model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    [
        {"attention": "none", "cell": "lstm", "bidirectional": False, "reverse": "source"},
        {"attention": "bahdanau", "layers": 2, "dropout": 0.1, "teacher_forcing_end": 0.5},
        {"data": "addition", "reverse": "both", "beam": 2},
        pytest.param(
            {"data": "interface-ko", "tokenizer": "jamo", "max_length": 20},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"data": "interface-ko", "tokenizer": "subwords", "max_words": 300, "max_length": 30},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"data": "interface-fr", "tokenizer": "basic_english", "min_count": 2},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_other_options_run_to_the_end(tmp_path, values):
    job, splits = trained(tmp_path, **{"limit": 80, "epochs": 1} | values)
    metrics = TranslationResults(job).conclude(splits, 0.0)
    assert math.isfinite(metrics["test"]["loss"])
    assert job.main_metric.name in metrics["test"]
    assert job.run.report.exists()
    drawn = any(path.name.startswith("attention") for path in job.run.figures.iterdir())
    assert drawn is (job.config.attention != "none")


def test_headline_and_monitor_follow_the_data(tmp_path):
    found = {}
    for data in ("dates", "addition", "interface-ko"):
        config = build(
            TranslateConfig, ("test", {"data": data, "limit": 30, "run_dir": str(tmp_path)})
        )
        job, splits = Translate.start(config, [])
        found[data] = (job.main_metric.name, job.task(splits).monitor)
    assert found == {
        "dates": ("exact_match", "validation/loss"),
        "addition": ("exact_match", "validation/loss"),
        "interface-ko": ("chrf", "validation/chrf"),
    }


def test_a_users_table_is_found_again_from_elsewhere(tmp_path, monkeypatch):
    table = tmp_path / "짝.tsv"
    rows = [f"word {n}\t이것은 낱말 {n}" for n in range(30)]
    table.write_text("\n".join(["source\ttarget", *rows]), encoding="cp949")
    monkeypatch.chdir(tmp_path)
    job, splits = trained(tmp_path, data="짝.tsv", epochs=1)
    assert sum(len(splits[name]) for name in NAMES) == 30
    assert Translate.reopen(job.run.path).config.data == str(table)
    monkeypatch.chdir("/")
    assert Translate.reopen(job.run.path).load_splits()["test"].sources == splits["test"].sources
    table.write_text("source\ttarget\na\tb\nc\td\ne\tf\n")
    with pytest.raises(RunError, match="has changed"):
        Translate.reopen(job.run.path).load_splits()


# --- predict --------------------------------------------------------------------------------------


def predict(job, *texts, **options):
    notes = []
    return said.translate_texts(job, texts, notes.append, **options), notes


def test_predictions_are_those_of_the_test(run, job):
    _, splits, _ = run
    outputs = job.predict_splits(splits, ["test"])["test"]
    found, notes = predict(job, *splits["test"].sources)
    assert [each["translation"] for each in found] == job.decide(outputs).tolist()
    chances = outputs["log_probabilities"].tolist()
    assert [each["log_probability"] for each in found] == pytest.approx(chances, abs=1e-5)
    assert not notes or "vocabulary" in notes[0]


def test_a_text_alone_is_translated_as_among_others(job):
    texts = ["2024년 3월 5일", "May 5, 1999", "the first of May, two thousand"]
    together, _ = predict(job, *texts)
    for each in together:
        [alone], _ = predict(job, each["text"])
        assert alone["translation"] == each["translation"]
        assert alone["log_probability"] == pytest.approx(each["log_probability"], abs=1e-5)


def test_nfd_is_the_same_text(job):
    text = "이천이십사년 삼월 오일"
    [composed], _ = predict(job, text)
    [decomposed], notes = predict(job, unicodedata.normalize("NFD", text))
    assert decomposed["translation"] == composed["translation"]
    assert decomposed["log_probability"] == composed["log_probability"]
    assert not notes


@pytest.mark.parametrize("text", ["", "  \n\t"])
def test_an_empty_text_has_no_translation_and_keeps_its_place(job, text):
    found, notes = predict(job, "5 May 1999", text, "6 May 1999")
    assert [each["log_probability"] is None for each in found] == [False, True, False]
    assert found[1]["translation"] == ""
    assert len(notes) == 1
    assert "empty" in notes[0]


def test_nothing_but_empty_texts(job):
    found, notes = predict(job, "", "")
    assert [each["translation"] for each in found] == ["", ""]
    assert len(notes) == 2


def test_unknown_characters_are_named(job):
    [found], notes = predict(job, "2024Ω 3月 5日")
    assert found["log_probability"] < 0
    assert notes == ["2024Ω 3月 5日: 3 token(s) not in the vocabulary: 'Ω', '月', '日'"]


@pytest.mark.parametrize("tokenizer", ["subwords", "jamo", "basic_english", "torchtext"])
def test_other_tokens_are_known_or_named_too(tmp_path, tokenizer):
    rows = [f"the word {n}\t낱말 {n}" for n in range(30)]
    (tmp_path / "p.tsv").write_text("\n".join(["source\ttarget", *rows]))
    values = {"data": str(tmp_path / "p.tsv"), "tokenizer": tokenizer, "run_dir": str(tmp_path)}
    job, splits = Translate.start(build(TranslateConfig, ("test", values)), [])
    _, notes = predict(job, splits["train"].sources[0], splits["train"].sources[1])
    assert not notes
    _, notes = predict(job, splits["train"].sources[0] + " ☃")
    assert "1 token(s) not in the vocabulary" in notes[0]
    assert "☃" in notes[0]


def test_a_megabyte_is_cut_and_said(job):
    text = "5 May 1999 " * 100_000
    [found], notes = predict(job, text)
    [first], _ = predict(job, text[:150])
    assert found["translation"] == first["translation"]
    assert found["text"] == text
    assert len(notes) == 1
    assert "1,099,999 characters" in notes[0]
    assert "150" in notes[0]


def test_broken_bytes_can_be_read_and_printed(job):
    text = b"5 May \xff 1999\x00".decode("utf-8", "surrogateescape")
    [found], notes = predict(job, text)
    assert found["text"] == "5 May ? 1999\0"
    assert "not in the vocabulary" in notes[0]


def test_a_wider_beam_finds_nothing_less_likely_on_the_whole(run, job):
    sources = run[1]["test"].sources
    greedy, wide = (predict(job, *sources, beam=beam)[0] for beam in (1, 4))
    pairs = zip(greedy, wide, strict=True)
    better = [b["log_probability"] - a["log_probability"] for a, b in pairs]
    assert sum(better) > 0


def test_records_can_be_written_in_every_form(job, tmp_path):
    found, _ = predict(job, "5 May 1999", "")
    for form in ("table", "csv", "json"):
        commands.show_records("", found, form, tmp_path / form)
    rows = json.loads((tmp_path / "json").read_text())
    assert rows[0]["text"] == "5 May 1999"
    assert rows[1] == {"text": "", "translation": "", "log_probability": None}
    lines = (tmp_path / "csv").read_text().splitlines()
    assert lines[0] == "text,translation,log_probability"
    assert lines[2] == ",,"


# --- explain --------------------------------------------------------------------------------------


def test_explain_draws_what_was_read_and_written(job):
    notes = []
    records, figure = predictions.explain(job, "2024년 3월 5일", notes.append)
    [expected], _ = predict(job, "2024년 3월 5일")
    assert expected["translation"] in notes[0]
    axes = figure.axes[0]
    read = [tick.label2.get_text() for tick in axes.xaxis.get_major_ticks()]
    written = [tick.label1.get_text() for tick in axes.yaxis.get_major_ticks()]
    assert read == [*"2024년␣3월␣5일", "end"]
    cut_off = len(expected["translation"]) == job.card.longest
    assert written == [*expected["translation"], *([] if cut_off else ["end"])]
    assert [record["written"] for record in records] == written
    assert records[0]["attended"] in "2024년 3월 5일end"
    assert 0 < records[0]["weight"] <= 1
    torch.testing.assert_close(
        torch.tensor(axes.images[0].get_array().sum(1)), torch.ones(len(written)), check_dtype=False
    )


def test_explain_needs_a_text(job):
    with pytest.raises(DataError, match="empty"):
        predictions.explain(job, " ", print)


def test_explain_needs_attention(tmp_path):
    config = build(TranslateConfig, ("test", {"attention": "none", "run_dir": str(tmp_path)}))
    job, _ = Translate.start(config, [])
    with pytest.raises(RunError, match="--attention luong or bahdanau"):
        predictions.explain(job, "5 May 1999", print)
