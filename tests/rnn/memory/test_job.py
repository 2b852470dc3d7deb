import itertools
import json

import pytest

from common.errors import ConfigError, NonFiniteError, RunError, Stopped
from common.runs.folder import Run
from common.runs.proof.judge import Verdict
from common.runs.proof.verify import Verifier
from labs.rnn import __main__ as program
from labs.rnn.memory import job

QUICK = {
    "epochs": "2",
    "updates": "2",
    "batch_size": "4",
    "hidden_size": "4",
    "lengths": "5",
    "cells": "rnn,gru",
    "reach": "5",
}


def train(folder, resume=None, **options):
    options = {} if resume else {**QUICK, "run_dir": str(folder), "name": "run", **options}
    job.Memory.command(recipe=None, config_path=None, resume=resume, options=options, problems=[])
    return folder / "rnn" / "run"


def metrics(run):
    return json.loads((run / "metrics.json").read_text(encoding="utf-8"))


def without_times(found):
    return {
        name: {key: value for key, value in member.items() if key != "seconds"}
        for name, member in found["members"].items()
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return train(tmp_path_factory.mktemp("runs"))


@pytest.mark.slow
def test_its_members_are_verified(finished, lab):
    """Which are of a job that no command trains."""
    path = finished / "members" / "gru-5"
    found = Verifier(program.lab.network_of(Run(path)), Run(path)).look(0, 0)
    assert (found.verdict, found.difference) == (Verdict.SAME, "")
    assert program.lab.network_of(Run(finished)) is None
    done = lab("replay", path, "--from", "1")
    assert "is a run of member; name one of sentiment, forecast, translate" in done.err


def test_a_run_keeps_its_members_its_figures_and_its_report(finished):
    found = metrics(finished)
    main = [name for name, member in found["members"].items() if member["main"]]
    assert main == ["rnn-5", "gru-5"]
    assert len(found["members"]) == 2 + 3 + 5
    assert {path.name for path in (finished / "members").iterdir()} == set(found["members"])
    for path in (finished / "members").iterdir():
        assert (path / "best.safetensors").is_file()
        assert len((path / "history.jsonl").read_text().splitlines()) == 2
    member = found["members"]["gru-5"]
    assert set(member["test"]) == {"mse", "mse_interval"}
    assert member["result"] in ("learned", "better", "no better")
    assert set(member["baselines"]) == {"always 1"}
    assert found["seconds"]["total"] >= found["seconds"]["train"] > 0
    html = (finished / "report.html").read_text(encoding="utf-8")
    assert "At T = 5 the answer without memory (always 1) has an error of 0.1667;" in html
    assert "How far a gradient reaches" in html
    assert {path.name for path in (finished / "figures").iterdir()} == {"errors.png", "reach.png"}


def test_a_finished_run_is_shown_again_and_its_report_written_again(finished, capsys):
    before = metrics(finished)
    report = finished / "report.html"
    html = report.read_bytes()
    report.unlink()
    train(finished.parent.parent, resume=finished)
    assert "no better" in capsys.readouterr().out
    job.Memory.report(finished)
    assert report.read_bytes() == html
    assert metrics(finished) == before


def test_a_stopped_run_goes_on_where_it_stood(finished, tmp_path, monkeypatch):
    epochs = itertools.count(1)

    def stop_in_the_second_member(self, row, best):
        if next(epochs) == 3:
            raise Stopped(15)

    monkeypatch.setattr(job._Bar, "epoch", stop_in_the_second_member)
    with pytest.raises(Stopped, match="memory --resume"):
        train(tmp_path, reach="none")
    run = tmp_path / "rnn" / "run"
    done = run / "members" / "rnn-5" / "metrics.json"
    begun = run / "members" / "gru-5"
    assert done.is_file()
    assert len((begun / "history.jsonl").read_text().splitlines()) == 1
    assert not (begun / "metrics.json").exists()
    assert not (run / "metrics.json").exists()
    stamp = done.stat().st_mtime_ns
    train(tmp_path, resume=run)
    assert done.stat().st_mtime_ns == stamp
    never_stopped = without_times(metrics(finished))
    assert without_times(metrics(run)) == {name: never_stopped[name] for name in ("rnn-5", "gru-5")}


def test_an_unclipped_variant_that_diverges_is_left_out(tmp_path, monkeypatch, capsys):
    real = job.Member.train

    def diverge(member, *arguments):
        if member.config.clip is None:
            raise NonFiniteError("the gradient is not finite")
        real(member, *arguments)

    monkeypatch.setattr(job.Member, "train", diverge)
    run = train(tmp_path, cells="rnn", lengths="5")
    assert list(metrics(run)["members"]) == ["rnn-5", "rnn-5-orthogonal"]
    assert "rnn-5-default-unclipped is left out" in capsys.readouterr().err


def test_the_copy_task_is_compared_too(tmp_path, capsys):
    run = train(tmp_path, task="copy", cells="gru", lengths="5", reach="none")
    [member] = metrics(run)["members"].values()
    assert set(member["test"]) == {"loss", "loss_interval", "accuracy"}
    assert "blanks, then any symbol" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "--device tpu"),
        ({"optimizer": "muon"}, "--optimizer muon"),
        ({"monitor": "validation/f1"}, "--monitor validation/f1"),
    ],
)
def test_what_cannot_be_trained_leaves_no_folder(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        train(tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_only_memory_runs_are_taken(tmp_path):
    with pytest.raises(RunError, match="not a run folder"):
        job.Memory.report(tmp_path)
