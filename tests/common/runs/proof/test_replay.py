"""A replayed run is its parent until it branches off, bit for bit, and another after it."""

import json
import re

import pytest

from common.runs.folder import Run
from common.runs.proof.verify import Verifier
from common.training import checkpoint
from labs.classification.__main__ import lab
from labs.classification.job import ClassifyImages

TIMES = {"seconds", "samples_per_second"}


@pytest.fixture
def replay(command, case, quick_pictures, tmp_path):
    """Replay the run of the case; return what the command did, and the new run."""

    def run(*words, name="two"):
        words = ("replay", case.run.path, *words, "--run-dir", tmp_path / "new", "--name", name)
        return command(lab, *words), Run(tmp_path / "new" / "classification" / name)

    return run


def state(run):
    """Return all that the last checkpoint has, but for times."""
    loaded = checkpoint.load(max((run.path / "checkpoints").iterdir()))
    return loaded.tensors, json.loads(loaded.text)["parts"]


def without_times(rows):
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def test_without_a_change_it_is_the_run_again(case, replay, same):
    done, run = replay("--from", "epoch:3")  # kept are 2, 4 and 6
    assert done.code == 0, done.err
    assert run.history[:3] == case.run.history[:3]  # with their times
    assert without_times(run.history) == without_times(case.run.history)
    assert same(state(run), state(case.run))
    mine, theirs = (checkpoint.load(each.best).tensors for each in (run, case.run))
    assert same(mine, theirs)
    assert run.read("metrics")["test"] == case.run.read("metrics")["test"]


def test_it_says_where_it_was_trained_itself(case, replay):
    """Its parent may have had two processes, and another device."""
    case.change("environment", lambda about: about.update(processes=2, device="cuda:0 (bf16)"))
    done, run = replay("--from", "epoch:4")
    assert done.code == 0, done.err
    about = run.read("environment")
    assert (about["processes"], about["device"]) == (1, "cpu (32-bit)")
    assert "resumed" not in about


def test_it_is_shown_as_a_run_of_its_own(case, replay):
    """Else its curves would go into those of its parent."""
    case.run.write("wandb", {"id": "the parent's", "epoch": 6})
    done, run = replay("--from", "epoch:4")
    assert done.code == 0, done.err
    assert not (run.path / "wandb.json").exists()


def test_a_change_is_one_from_the_branch_on_and_both_are_shown(case, replay):
    done, run = replay("--from", "epoch:4", "--with", "learning-rate=0.1", "--with", "epochs=7")
    assert done.code == 0, done.err
    assert run.history[:4] == case.run.history[:4]
    assert [row["learning_rate"] for row in run.history] == [0.01] * 4 + [0.1] * 3
    assert run.history[4]["train/loss"] != case.run.history[4]["train/loss"]
    assert "learning_rate = 0.1 " in run.config.read_text("utf-8")
    about = run.read("branch")
    assert (about["epoch"], about["with"]) == (4, {"learning_rate": "0.1", "epochs": "7"})
    assert "Until epoch 4 the same" in done.out
    assert str(run.figures / "branch.png") in done.out
    assert "Replayed" in run.report.read_text("utf-8")


def test_what_fitted_the_memory_before_says_nothing_of_other_batches(case, replay):
    """Of the same batches it does: they are computed as before."""
    for path in case.run.path.glob("kept/*-0*"):
        checkpoint.change(path, lambda _, position: position.update(micro_batches={"train": 8}))
    for change, parts in {"micro_batch=16": None, "batch_size=64": None, "clip=1": 8}.items():
        done, run = replay("--from", "epoch:4", "--with", change, name=change.partition("=")[0])
        assert done.code == 0, done.err
        assert run.history[-1].get("micro_batch") == parts


def test_a_replayed_run_is_verified_and_replayed_from_its_branch_on(case, replay, command):
    _, run = replay("--from", "epoch:3", "--with", "weight_decay=0", "--with", "clip=1")
    done = command(lab, "verify", run.path, "--updates", 1000)
    assert done.code == 0, done.out
    assert "Verdict: same bits" in done.out
    assert "epochs 1 to" not in done.out
    done = command(lab, "replay", run.path, "--from", "2", "--run-dir", run.path.parent)
    assert done.code == 2
    assert f"until epoch 3, {run.path} is {case.run.path}; replay that" in done.err


def test_a_replayed_run_without_its_branch_is_not_verified(case, replay, command):
    _, run = replay("--from", "epoch:4", "--with", "learning_rate=1e-9")
    [first] = (run.path / "branch").glob("*-0*")
    found = Verifier(ClassifyImages, run).look(0, 0)
    assert any(each.endswith("that this one branched off from") for each in found.remarks)
    for path in [first, *run.path.glob("kept/*"), *run.path.glob("checkpoints/*")]:
        path.unlink()
    done = command(lab, "verify", run.path)
    assert done.code == 2
    assert "branch is empty: from where" in done.err


@pytest.mark.slow
def test_a_replayed_run_that_is_stopped_goes_on(case, replay, command, same, tmp_path):
    _, whole = replay("--from", "epoch:3", "--with", "learning_rate=0.02")
    _, run = replay("--from", "epoch:3", "--with", "learning_rate=0.02", name="stopped")
    for path in [*(run.path / "checkpoints").iterdir(), run.path / "metrics.json"]:
        path.unlink()  # as if a kill had come before its first epoch ended
    [first] = (run.path / "branch").glob("*-0*")
    (run.path / "checkpoints" / first.name).write_bytes(first.read_bytes())
    run.best.write_bytes(checkpoint.best_beside(first).read_bytes())
    done = command(lab, "train", "--resume", run.path)
    assert done.code == 0, done.err
    assert same(state(run), state(whole))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--with", "model=mlp"], "--with model: cannot change .* it changes the model"),
        (["--with", "data=digits"], "--with data: cannot change .* it changes the data"),
        (["--with", "split_seed=1"], "--with split_seed: cannot change .* the split"),
        (["--with", "optimizer=sgd"], "--with optimizer: cannot change"),
        (["--with", "learning_rat=1"], "did you mean learning_rate|learning_rate"),
        (["--with", "learning_rate=no"], "expected a number"),
        (["--with", "learning_rate"], "expected NAME=VALUE"),
        (["--with", "time=5m"], "--with time: cannot change .* give epochs"),
        (["--with", "batch_size=auto"], "--with batch_size=auto: is tried before a run begins"),
        (["--with", "epochs=3"], "none is left to be another"),
        (["--from", "epoch:9"], "has 6 epochs"),
        (["--from", "epoch:0"], "expected an epoch from 1 on"),
        (["--from", "last"], "expected an epoch from 1 on"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(replay, words, said):
    given = words if "--from" in words else ["--from", "epoch:5", *words]
    done, run = replay(*given)
    assert done.code == 2
    assert re.search(said, done.err), done.err
    assert not run.path.exists()


def test_a_patience_that_had_run_out_before_is_refused(case, replay):
    rows = case.run.history
    case.run.write_history([rows[0], *({**rows[0], "epoch": row["epoch"]} for row in rows[1:])])
    done, run = replay("--from", "epoch:5", "--with", "patience=3")
    assert done.code == 2
    assert "with a patience of 3 the run ends at epoch 4, which is 3 after its best" in done.err
    assert not run.path.exists()
