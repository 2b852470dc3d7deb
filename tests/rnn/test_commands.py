"""The commands of forecast, translate and memory from end to end, and resumed inside an epoch."""

import json
import os
import signal

import pytest
from safetensors.torch import load_file

from common.training import loop

WORDS = {
    "forecast": (
        *("--limit", "200", "--window", "10", "--epochs", "2", "--hidden-size", "4"),
        *("--layers", "2", "--dropout", "0.2", "--batch-size", "32"),
    ),
    "translate": (
        *("--limit", "150", "--epochs", "2", "--hidden-size", "8", "--embedding-size", "8"),
        *("--dropout", "0.2", "--teacher-forcing-end", "0.5", "--batch-size", "16"),
    ),
    "memory": (
        *("--lengths", "5", "--cells", "gru", "--epochs", "2", "--updates", "4"),
        *("--hidden-size", "4", "--reach", "none"),
    ),
}


def train(lab, verb, folder):
    """Train; returns what the command did, the run folder, and the weights' folder."""
    result = lab(verb, *WORDS[verb], "--run-dir", folder, "--name", "run")
    run = folder / "rnn" / "run"
    return result, run, run / "members" / "gru-5" if verb == "memory" else run


@pytest.fixture(scope="module")
def runs(lab, tmp_path_factory):
    """A finished run of each kind: what the command did, the run folder, the weights' folder."""
    found = {verb: train(lab, verb, tmp_path_factory.mktemp(verb)) for verb in WORDS}
    for result, *_ in found.values():
        assert result.code == 0, result.err
    return found


@pytest.mark.slow
@pytest.mark.parametrize("verb", WORDS)
def test_a_run_stopped_inside_an_epoch_goes_on_bitwise(
    lab, runs, verb, tmp_path, monkeypatch, same
):
    step_of = loop.train_step

    def stopping(*args, step, **options):
        if step == 5:  # the second of the second epoch, or a later one of the first
            os.kill(os.getpid(), signal.SIGTERM)
        return step_of(*args, step=step, **options)

    monkeypatch.setattr(loop, "train_step", stopping)
    result, run, weights = train(lab, verb, tmp_path)
    monkeypatch.undo()
    assert result.code != 0
    assert f"python -m labs.rnn {verb} --resume {run}" in result.err
    assert not (run / "metrics.json").exists()
    resumed = lab(verb, "--resume", run)
    assert resumed.code == 0, resumed.err
    assert same(*(load_file(each / "best.safetensors") for each in (weights, runs[verb][2])))


@pytest.mark.parametrize("verb", WORDS)
def test_a_finished_run_is_shown_again_and_reported_again(lab, runs, verb):
    result, run, _ = runs[verb]
    again = lab(verb, "--resume", run)
    assert "nothing to do" in again.err
    assert again.out.splitlines()[:3] == result.out.splitlines()[:3]
    (run / "report.html").unlink()
    assert lab("report", run).code == 0
    assert (run / "report.html").is_file()


@pytest.mark.parametrize(("verb", "figure"), [("forecast", "mase"), ("translate", "chrf")])
def test_evaluate_says_what_the_run_measured(lab, runs, verb, figure):
    _, run, _ = runs[verb]
    test = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["test"]
    assert f"{test[figure]:.4f}" in lab("evaluate", run).out


def test_a_forecast_goes_on_with_its_own_series_or_one_table(lab, runs, tmp_path):
    _, run, _ = runs["forecast"]
    dates = [record["date"] for record in json.loads(lab("predict", run, "--format", "json").out)]
    assert dates == ["2008-10-15", "2008-10-16", "2008-10-17", "2008-10-20", "2008-10-21"]
    table = tmp_path / "table.csv"
    rows = "\n".join(f"2024-01-{day:02},{300 + day}" for day in range(1, 11))
    table.write_text(f"date,close\n{rows}\n")
    by_name, by_option = (lab("predict", run, *words) for words in ((table,), ("--file", table)))
    assert by_name.out == by_option.out
    assert "2024-01-11" in by_name.out
    assert "one table" in lab("predict", run, table, "--file", table).err
    assert "a forecast" in lab("explain", run, "text").err


def test_a_table_that_is_written_otherwise_is_read_as_the_options_say(lab, runs, tmp_path):
    _, run, _ = runs["forecast"]
    table = tmp_path / "table.csv"
    rows = "\n".join(f"{day:02}.01.2024;{300 + day},5" for day in range(1, 21))
    table.write_bytes(f"{rows}\n".encode())
    words = ("--header", "no", "--delimiter", ";", "--date-order", "dmy", "--decimal", "comma")
    result = lab("predict", run, "--file", table, *words)
    assert result.code == 0, result.err
    assert "2024-01-21" in result.out
    for command in (("predict", run, "--file"), ("evaluate", run, "--data")):
        for words, wrong in {
            ("--sheet", "2"): "--sheet: goes with a workbook",
            ("--decimal", "dot"): "--decimal dot: expected one of point, comma",
            ("--text-column", "a"): "--text-column: goes with other runs than those of forecast",
            ("--delimter", ";"): "No such option '--delimter'",
        }.items():
            result = lab(*command, table, *words)
            assert (result.code, wrong in result.err) == (2, True), result.err
    assert "--header: goes with a table" in lab("predict", run, "--header", "no").err
    _, run, _ = runs["translate"]
    assert "--sheet: goes with --file" in lab("predict", run, "5월", "--sheet", "2").err


def test_a_translation_is_asked_and_explained(lab, runs):
    _, run, _ = runs["translate"]
    words = ("2024년 3월 5일", "", "--beam", "2", "--format", "json")
    result = lab("predict", run, *words)
    assert [record["text"] for record in json.loads(result.out)] == ["2024년 3월 5일", ""]
    assert "empty text" in result.err
    assert lab("explain", run, "2024년 3월 5일 🫠").code == 0
    assert (run / "figures" / "explained.png").is_file()


def test_a_memory_run_has_nothing_to_ask(lab, runs):
    _, run, _ = runs["memory"]
    assert "of which there is nothing to ask" in lab("predict", run, "text").err
    assert "of which there is nothing to ask" in lab("evaluate", run).err
