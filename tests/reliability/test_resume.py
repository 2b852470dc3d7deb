"""Runs that go on after something beside them has changed."""

import json
import os
import shutil

import pytest

from benchmarks.same_run import same
from labs.classification.__main__ import lab as classification

pytestmark = pytest.mark.slow


def edit(path, before, after):
    text = path.read_text("utf-8")
    assert text.count(before) == 1
    path.write_text(text.replace(before, after), "utf-8")


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def test_a_history_that_was_cut_off_comes_again(half, whole, goes_on, command, tmp_path):
    cut(half / "history.jsonl")
    goes_on(half)
    finished = shutil.copytree(whole, tmp_path / "finished")
    cut(finished / "history.jsonl")
    for words in (("report", finished), ("train", "--resume", finished)):
        done = command(classification, *words)
        assert done.code == 2
        assert f"{finished}/history.jsonl is damaged" in done.err
        assert f"train --resume {finished}" in done.err
    (finished / "metrics.json").unlink()  # as it said
    goes_on(finished)


def test_a_config_that_was_edited_is_refused(half, goes_on, command):
    config = half / "config.toml"
    edit(config, "learning_rate = 0.001", "learning_rate = 0.1")
    before = {path: path.read_bytes() for path in half.rglob("*.safetensors")}
    done = command(classification, "train", "--resume", half)
    assert done.code == 2
    assert "was edited since the run began: learning_rate 0.1 (0.001 when it began)" in done.err
    assert {path: path.read_bytes() for path in before} == before
    edit(config, "learning_rate = 0.1", "learning_rate = 0.001")
    edit(config, "save_every = 0.05", "save_every = 5.0")  # changes no number
    goes_on(half)


def test_another_environment_is_said(half, whole, start):
    edit(half / "config.toml", "threads = 1", "threads = 2")
    environment = half / "environment.json"
    about = json.loads(environment.read_text("utf-8"))
    environment.write_text(json.dumps({**about, "torch": "1.0.0"}), "utf-8")
    command = start("train", "--resume", half)
    assert command.end() == 0, command.text
    assert (
        f"goes on with torch {about['torch']} (1.0.0 before), threads 2 (1 before)" in command.text
    )
    assert json.loads(environment.read_text("utf-8"))["resumed"][0]["threads"] == 2
    assert same(half, whole).keys() == {"weights", "history", "metrics"}  # which nobody promises


def test_a_clock_that_was_set_back_is_no_obstacle(half, goes_on, saved):
    later, earlier = 2_000_000_000, 1_000_000_000
    for path in half.rglob("*"):
        os.utime(path, (later, later))
    os.utime(saved(half)[-1], (earlier, earlier))  # the newest checkpoint looks the oldest
    goes_on(half)
