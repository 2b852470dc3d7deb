"""Runs that are killed, stopped, starved and damaged; what comes out must not differ by a bit.

Each run is a process of its own, forked from one that has imported everything, so that starting it
takes no time. It trains for a second or two and saves many times in each epoch.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common import files
from common.training import checkpoint

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and forks are POSIX's")

TRAIN = (
    *("train", "--data", "digits", "--limit", "300", "--model", "mlp", "--augment", "affine,erase"),
    *("--epochs", "8", "--batch-size", "8", "--ema", "0.9", "--optimizer", "sgd", "--nesterov"),
    *("--save-every", "0.02"),
)
TIMES = ("seconds", "samples_per_second")

# No report, and of the baselines the simplest: most tests are about the training.
LIGHT = """
from labs.classification import baselines
from labs.classification.results import ClassificationResults
from sklearn.dummy import DummyClassifier
ClassificationResults.write_report = lambda each, *_: each.job.run.report.write_text("-")
baselines._candidates = lambda *_: {"majority": iter([DummyClassifier(strategy="most_frequent")])}
"""


@pytest.fixture
def start(process, tmp_path):
    """Return a function that starts a command in a process, which does not outlive the test."""
    commands = []

    def begin(*words, first="", light=True):
        output = tmp_path / f"output-{len(commands)}"
        first = (LIGHT if light else "") + first
        commands.append(process("classification", words, first, output))
        return commands[-1]

    yield begin
    for command in commands:
        command.kill()


def train(start, runs, name="run", **options):
    """Start to train; return the process and the folder of the run."""
    command = start(*TRAIN, "--run-dir", runs, "--name", name, **options)
    return command, runs / "classification" / name


@pytest.fixture(scope="module")
def whole(process, tmp_path_factory):
    """Return what comes out of the run when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("whole")
    words = (*TRAIN, "--run-dir", folder, "--name", "run")
    command = process("classification", words, LIGHT, folder / "output")
    assert command.end() == 0, command.text
    return outcome(folder / "classification/run")


@pytest.fixture(scope="module")
def stopped(process, tmp_path_factory):
    """Return the folder of a run that SIGTERM stopped inside an epoch past the middle.

    Where the signal falls between two epochs, another run is tried.
    """
    for _ in range(5):
        run = stop_one(process, tmp_path_factory.mktemp("stopped"))
        if position(run)["update"] > 0:
            return run
    raise AssertionError("five runs were stopped, none of them inside an epoch")


def stop_one(process, folder):
    """Train past the middle, and stop with SIGTERM."""
    words = (*TRAIN, "--run-dir", folder, "--name", "run")
    command = process("classification", words, LIGHT, folder / "output")
    run = folder / "classification/run"
    assert command.wait_for(lambda: position(run)["epoch"] >= 5 and position(run)["update"] > 0)
    assert command.send(signal.SIGTERM)[0] == 143
    return run


@pytest.fixture
def half(stopped, tmp_path):
    """Return a copy of that run, to be spoiled."""
    return Path(shutil.copytree(stopped, tmp_path / "half"))


def checkpoints(run):
    return sorted((run / "checkpoints").glob("[0-9]*.safetensors"))


def position(run):
    """Return where the newest checkpoint stands, by its name; it takes no reading."""
    names = [path.stem.split("-") for path in checkpoints(run)]
    epoch, update = names[-1] if names else ("0", "0")
    return {"epoch": int(epoch), "update": int(update)}


def outcome(run):
    """Return everything that must be the same, down to the bit."""
    assert (run / "metrics.json").exists()
    newest, best = checkpoint.load(checkpoints(run)[-1]), checkpoint.load(run / "best.safetensors")
    saved = json.loads(newest.text)
    saved["position"]["rows"] = [timeless(row) for row in saved["position"]["rows"]]
    saved["position"].pop("best")  # its hash is also over the times of its epoch
    metrics = json.loads((run / "metrics.json").read_text())
    assert not list(run.rglob(f"{files.PREFIX}*"))
    return {
        "best": in_bytes(best.tensors),
        "best row": timeless(json.loads(best.text)["row"]),
        "last": in_bytes(newest.tensors),
        "state": saved,
        "history": [
            timeless(json.loads(line)) for line in (run / "history.jsonl").read_text().splitlines()
        ],
        "metrics": {name: value for name, value in metrics.items() if name != "seconds"},
    }


def in_bytes(tensors):
    return {name: (tensor.dtype, tensor.numpy().tobytes()) for name, tensor in tensors.items()}


def timeless(row):
    return {name: value for name, value in row.items() if name not in TIMES}


def test_the_outcome_says_enough(whole):
    assert len(whole["history"]) == 8
    assert {"model/hidden1.weight", "average/hidden1.weight"} <= whole["last"].keys()
    assert any(name.startswith("optimizer/") for name in whole["last"])
    assert len({row["train/loss"] for row in whole["history"]}) == 8


# Killed


def kill_and_resume(start, runs, rng, kills):
    """Kill a run at random moments, resume it each time, then let it finish.

    The first kill comes where the newest save is inside an epoch.

    Returns:
        The run's folder, and where each kill found the run: its newest checkpoint's position.
    """
    command, run = train(start, runs)
    kill_inside_an_epoch(command, run)
    found = [position(run)]
    while len(found) < kills:
        command, before = start("train", "--resume", run), checkpoints(run)
        if command.wait_for(lambda before=before: checkpoints(run) != before):
            time.sleep(rng.uniform(0, 0.15))
        command.process.kill()
        if command.end() != -signal.SIGKILL:
            assert command.end() == 0, command.text
            break
        found.append(position(run))
    command = start("train", "--resume", run)
    assert command.end() == 0, command.text
    return run, found


def kill_inside_an_epoch(command, run):
    """Kill where the newest save is inside an epoch; in a pause, or it may be of the next one."""
    while command.wait_for(lambda: position(run)["update"] > 0):
        with command.paused():
            if position(run)["update"] > 0:
                command.process.kill()
                break
    assert command.end() == -signal.SIGKILL, command.text


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_killed_run_comes_out_the_same(seed, start, whole, tmp_path):
    run, found = kill_and_resume(start, tmp_path, random.Random(seed), kills=2)
    assert any(place["update"] > 0 for place in found), found
    assert outcome(run) == whole


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_a_run_killed_again_and_again_comes_out_the_same(seed, start, whole, tmp_path):
    run, found = kill_and_resume(start, tmp_path, random.Random(seed), kills=4)
    assert any(place["update"] > 0 for place in found), found
    assert outcome(run) == whole


# Files take their names with os.replace: end there, just before or just after.
CRASH = """
import signal
real, left = os.replace, [{number}]
def replace(*paths):
    left[0] -= 1
    if not left[0] and {after}: real(*paths)
    if not left[0]: os.kill(os.getpid(), signal.SIGKILL)
    real(*paths)
os.replace = replace
"""


@pytest.mark.slow
def test_a_run_killed_while_it_saves_comes_out_the_same(start, whole, tmp_path):
    rng = random.Random(0)
    crash = CRASH.format(number=5, after=True)  # the first three are those of a new run
    command, run = train(start, tmp_path, first=crash)
    assert command.end() == -signal.SIGKILL, command.text
    inside = 0
    for number in range(8):
        crash = CRASH.format(number=rng.randint(1, 12), after=bool(number % 2))
        command = start("train", "--resume", run, first=crash)
        if command.end() == 0:
            break
        assert command.end() == -signal.SIGKILL, command.text
        inside += position(run)["update"] > 0
    else:
        assert start("train", "--resume", run).end() == 0
    assert inside > 0
    assert outcome(run) == whole


def test_a_crash_while_the_run_folder_is_made_leaves_no_run(start, lab, tmp_path):
    for number in (1, 2, 3):
        crash = CRASH.format(number=number, after=False)
        command, run = train(start, tmp_path, name=f"run{number}", first=crash)
        assert command.end() == -signal.SIGKILL
        result = lab("train", "--resume", run)
        assert result.code == 2
        assert "is not a run folder" in result.err


# Stopped


def test_signals_save_the_run_and_it_comes_out_the_same(start, whole, tmp_path):
    command, run = train(start, tmp_path)
    rng = random.Random(1)
    for signum, code, epoch in ((signal.SIGTERM, 143, 1), (signal.SIGINT, 130, 5)):
        assert command.wait_for(lambda epoch=epoch: position(run)["epoch"] >= epoch)
        time.sleep(rng.uniform(0, 0.02))
        exit_code, seconds = command.send(signum)
        assert exit_code == code, command.text
        assert seconds < 2
        assert command.text.endswith(
            "Error: stopped; the run is saved. "
            f"Go on with: python -m labs.classification train --resume {run}\n"
        )
        assert "Traceback" not in command.text
        assert not (run / "metrics.json").exists()
        command = start("train", "--resume", run)
    assert command.end() == 0
    assert outcome(run) == whole


def test_what_a_signal_saved_is_where_the_run_stood(stopped):
    saved = json.loads(checkpoint.load(checkpoints(stopped)[-1]).text)["position"]
    assert saved["update"] == position(stopped)["update"] > 0
    assert len(saved["rows"]) == saved["epoch"]


@pytest.mark.parametrize(
    ("stage", "code"),
    [("measuring on the test split", signal.SIGINT), ("REPORT", signal.SIGTERM)],
)
def test_a_signal_after_training_keeps_what_was_trained(stage, code, start, whole, half):
    slow = """
import time
def write(*_):
    print("REPORT", flush=True)
    time.sleep(60)
from labs.classification.results import ClassificationResults
ClassificationResults.write_report = write
"""
    # Fitting the real baselines takes a while; the report here takes longer than anyone waits.
    measuring = stage != "REPORT"
    command = start("train", "--resume", half, first="" if measuring else slow, light=not measuring)
    assert command.wait_for(lambda: stage in command.text)
    exit_code, seconds = command.send(code)
    assert exit_code == 128 + code, command.text
    assert seconds < 2
    assert "Go on with: " in command.text
    assert "Traceback" not in command.text
    assert not (half / "metrics.json").exists()
    assert start("train", "--resume", half).end() == 0
    assert outcome(half) == whole


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_start_leaves_nothing(signum, tmp_path, without_core):
    words = [sys.executable, "-X", "importtime", "-m", "labs.classification"]
    process = subprocess.Popen(
        [*words, *TRAIN, "--run-dir", tmp_path], stderr=subprocess.PIPE, text=True
    )
    with process:
        while "torch." not in process.stderr.readline():
            assert process.poll() is None
        begun, before = time.monotonic(), without_core(process.pid)
        process.send_signal(signum)
        rest = process.stderr.read()
        seconds = time.monotonic() - begun - (without_core(process.pid) - before)
        assert process.wait() == 128 + signum, rest
        assert seconds < 2
    assert f"Error: stopped by signal {signum:d}\n" in rest
    assert "Traceback" not in rest
    assert list(tmp_path.iterdir()) == []


# Starved and damaged


def test_a_full_disk_ends_the_run_and_spoils_nothing(start, whole, half):
    """A limit on the size of files, below that of a checkpoint, stands for a full disk."""
    before = {path: path.read_bytes() for path in (*checkpoints(half), half / "best.safetensors")}
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    command = start("train", "--resume", half, first=full)
    assert command.end() == 1, command.text
    assert "Error: could not write " in command.text
    assert "what was saved before is intact; free some space there" in command.text
    assert "Traceback" not in command.text
    assert {path: path.read_bytes() for path in before} == before
    assert start("train", "--resume", half).end() == 0
    assert outcome(half) == whole


def cut(data):
    return data[: len(data) * 2 // 3]


def flip(data):
    return data[:-1000] + bytes([data[-1000] ^ 16]) + data[-999:]


def empty(data):
    return b""


@pytest.mark.parametrize("damage", [cut, flip, empty])
def test_a_damaged_checkpoint_is_passed_over(damage, start, whole, half):
    older, newest = checkpoints(half)
    newest.write_bytes(damage(newest.read_bytes()))
    command = start("train", "--resume", half)
    assert command.end() == 0, command.text
    assert f"{newest} is damaged" in command.text
    assert "going back to the checkpoint before it" in command.text
    assert outcome(half) == whole


def test_without_a_whole_checkpoint_the_run_is_refused(lab, half):
    for path in checkpoints(half):
        path.write_bytes(cut(path.read_bytes()))
    result = lab("train", "--resume", half)
    assert result.code == 2
    assert "is whole; start again with --config" in result.err


@pytest.mark.parametrize("damage", [cut, flip])
def test_damaged_best_weights_are_noticed_before_training_goes_on(damage, lab, half):
    best = half / "best.safetensors"
    best.write_bytes(damage(best.read_bytes()))
    result = lab("train", "--resume", half)
    assert result.code == 2
    assert f"repeat it with --config {half / 'config.toml'}" in result.err


def test_a_run_without_any_checkpoint_begins_at_the_beginning(start, whole, half):
    shutil.rmtree(half / "checkpoints")
    for name in ("history.jsonl", "best.safetensors"):
        (half / name).unlink()
    assert start("train", "--resume", half).end() == 0
    assert outcome(half) == whole


# Two at once


def test_a_second_process_is_refused_while_the_first_trains(start, lab, whole, half):
    before = position(half)
    command = start("train", "--resume", half)
    assert command.wait_for(lambda: position(half) != before)
    with command.paused():
        result = lab("train", "--resume", half)
    assert result.code == 2
    assert f"another process is training in {half}" in result.err
    assert command.end() == 0, command.text
    assert outcome(half) == whole


def test_a_crash_lets_go_of_the_run_though_its_readers_live_on(start, lab, photos, tmp_path):
    """Processes that read pictures notice only after seconds that their parent is gone."""
    command = start(
        *("train", "--data", photos, "--decoding", "stream", "--workers", "2", "--model", "linear"),
        *("--image-size", "8", "--augment", "none", "--epochs", "1000", "--batch-size", "2"),
        *("--run-dir", tmp_path, "--name", "run"),
    )
    run = tmp_path / "classification/run"
    assert command.wait_for(lambda: len(checkpoints(run)) == 2), command.text
    command.process.kill()
    command.end()
    before = position(run)
    command = start("train", "--resume", run)
    assert command.wait_for(lambda: position(run)["epoch"] > before["epoch"]), command.text
    code, seconds = command.send(signal.SIGTERM)
    assert code == 143, command.text
    assert seconds < 2


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["epoch   1", "measuring on the test split"])
def test_ctrl_c_reaches_the_readers_too_and_nobody_complains(stage, start, photos, tmp_path):
    """A terminal sends it to every process of the command."""
    slow = """
import time
from common.images import files
os.setsid()
decode = files.decode
files.decode = lambda *arguments: (time.sleep(0.03), decode(*arguments))[1]
"""
    command = start(
        *("train", "--data", photos, "--decoding", "stream", "--workers", "2", "--model", "linear"),
        *("--image-size", "8", "--augment", "none", "--epochs", "2", "--warmup", "0"),
        *("--run-dir", tmp_path, "--name", "run"),
        first=slow,
    )
    assert command.wait_for(lambda: stage in command.text)
    time.sleep(0.2)
    os.killpg(command.process.pid, signal.SIGINT)
    assert command.end() == 130, command.text
    assert "Traceback" not in command.text
    assert command.text.count("Error: ") == 1
