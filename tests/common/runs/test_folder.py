import json
import math
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from common import files
from common.errors import RunError, SaveError
from common.history import best_row
from common.runs.folder import Run, create, environment, open_run


def make(folder, lab="toys", config="epochs = 1\n"):
    """Make what `open_run` takes for a run."""
    run = Run(folder)
    run.path.mkdir(parents=True)
    run.config.write_text(config)
    run.write("environment", {"lab": lab})
    return run


# create


def test_runs_without_a_name_are_numbered(tmp_path):
    paths = [create(tmp_path, "toys", None, "mlp-digits").path for _ in range(3)]
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "toys/mlp-digits-1",
        "toys/mlp-digits-2",
        "toys/mlp-digits-3",
    ]
    assert all(path.is_dir() for path in paths)


def test_the_first_free_number_is_taken(tmp_path):
    for name in ("a-1", "a-3"):
        create(tmp_path, "toys", name, "")
    (tmp_path / "toys/a-2").write_text("a file")
    assert create(tmp_path, "toys", None, "a").path.name == "a-4"


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("mlp-사진 모음", "mlp-사진-모음-1"),
        ("mlp-../../etc", "mlp-..-..-etc-1"),
        ("../..", "run-1"),
        ("a/b\\c:d\0e", "a-b-c-d-e-1"),
        (".hidden", "hidden-1"),
        ("", "run-1"),
    ],
)
def test_a_stem_becomes_one_harmless_folder_name(stem, name, tmp_path):
    path = create(tmp_path, "toys", None, stem).path
    assert path == tmp_path / "toys" / name
    assert path.is_dir()


def test_a_name_is_taken_as_it_is(tmp_path):
    for name in ("first", "두-번째", "v1.2+x_3"):
        assert create(tmp_path, "toys", name, "stem").path == tmp_path / "toys" / name


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "a\\b", "..", ".", "", "-x", ".x", "a b", "a\n", "/a"]
)
def test_a_name_that_is_no_plain_name_is_refused_and_leaves_nothing(name, tmp_path):
    with pytest.raises(RunError, match="(?s)--name .*expected letters, digits"):
        create(tmp_path, "toys", name, "stem")
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_refused_and_left_alone(tmp_path):
    run = create(tmp_path, "toys", "mine", "stem")
    run.config.write_text("epochs = 1\n")
    with pytest.raises(RunError, match=r"mine is there already; go on with --resume .*mine"):
        create(tmp_path, "toys", "mine", "stem")
    assert [path.name for path in run.path.iterdir()] == ["config.toml"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/toys").write_text("")
    for run_dir in (tmp_path / "file", tmp_path / "file/below", tmp_path / "runs"):
        for name in (None, "mine"):
            with pytest.raises(RunError, match=r"cannot make .*Not a directory.*--run-dir"):
                create(run_dir, "toys", name, "stem")
    with pytest.raises(RunError, match="too long.*--name"):
        create(tmp_path, "toys", "x" * 300, "stem")


def test_two_at_a_time_never_get_the_same_folder(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: create(tmp_path, "toys", None, "a"), range(40)))
    assert sorted(run.path.name for run in runs) == sorted(f"a-{n}" for n in range(1, 41))


# open_run


def test_a_run_is_opened_by_its_folder(tmp_path):
    make(tmp_path / "a")
    assert open_run(tmp_path / "a", "toys").path == tmp_path / "a"


def test_what_is_no_run_is_refused_with_the_runs_nearby(tmp_path):
    make(tmp_path / "runs/toys/a-1"), make(tmp_path / "runs/toys/a-2")
    for wrong in ("runs/toys", "runs/toys/a-3"):
        with pytest.raises(RunError, match="is not a run folder") as caught:
            open_run(tmp_path / wrong, "toys")
        assert str(tmp_path / "runs/toys/a-1") in str(caught.value)
        assert str(tmp_path / "runs/toys/a-2") in str(caught.value)
    with pytest.raises(RunError, match=r"is not a run folder \(no config.toml in it\)$"):
        open_run(tmp_path / "nowhere/at/all", "toys")


def test_a_file_is_no_run(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is not a run folder"):
        open_run(tmp_path / "file", "toys")


def test_a_run_of_another_lab_is_refused(tmp_path):
    make(tmp_path / "a", lab="dolls")
    with pytest.raises(RunError, match=r"a run of labs\.dolls, not of labs\.toys"):
        open_run(tmp_path / "a", "toys")


def test_a_run_without_or_with_damaged_files_is_refused(tmp_path):
    run = make(tmp_path / "a")
    (run.path / "environment.json").write_text('{"lab": ')
    with pytest.raises(RunError, match=r"environment\.json is damaged"):
        open_run(run.path, "toys")
    (run.path / "environment.json").unlink()
    with pytest.raises(RunError, match=r"not a run folder \(no environment\.json"):
        open_run(run.path, "toys")
    with pytest.raises(RunError, match=r"metrics\.json is missing"):
        run.read("metrics")


# JSON and history


def test_what_json_does_not_know_becomes_null(tmp_path):
    run = make(tmp_path / "a")
    value = {"a": math.nan, "b": [math.inf, 1.5, (-math.inf, "가")], "c": {"d": None, "e": True}}
    run.write("metrics", value)
    text = (run.path / "metrics.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    assert "가" in text
    assert run.read("metrics") == {"a": None, "b": [None, 1.5, [None, "가"]], "c": value["c"]}


def test_a_run_is_finished_when_it_has_its_metrics(tmp_path):
    run = make(tmp_path / "a")
    assert not run.finished
    run.write("metrics", {})
    assert run.finished


def test_history_comes_back_as_it_was_with_nan_as_nan(tmp_path):
    run = make(tmp_path / "a")
    assert run.history == []
    rows = [
        {"epoch": 1, "train/loss": 1 / 3, "validation/r2": math.nan},
        {"epoch": 2, "train/loss": 1e-300, "validation/r2": 0.5},
    ]
    run.write_history(rows)
    lines = (run.path / "history.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["validation/r2"] is None
    assert len(lines) == 2
    first, second = run.history
    assert math.isnan(first["validation/r2"])
    assert (first["train/loss"], second) == (1 / 3, rows[1])
    assert best_row(run.history, "validation/r2", "max") == rows[1]


# The lock


def test_a_second_holder_is_refused_until_the_first_lets_go(tmp_path):
    run = make(tmp_path / "a")
    with (
        run.locked(),
        pytest.raises(RunError, match="another process is training"),
        Run(run.path).locked(),
    ):
        pass
    with Run(run.path).locked():
        pass


def test_an_error_inside_lets_go_of_the_lock(tmp_path):
    run = make(tmp_path / "a")
    with pytest.raises(ZeroDivisionError), run.locked():
        _ = 1 / 0
    with run.locked():
        pass


HOLD = """
import sys, time
from pathlib import Path
from common.runs.folder import Run
with Run(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    time.sleep(60)
"""


def test_another_process_is_kept_out_and_its_crash_lets_go(tmp_path):
    run = make(tmp_path / "a")
    command = [sys.executable, "-c", HOLD, str(run.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(RunError, match="another process is training"), run.locked():
            pass
        os.kill(holder.pid, signal.SIGKILL)
    with run.locked():
        pass


def test_the_lock_sweeps_up_what_a_crash_left_and_nothing_else(tmp_path):
    run = make(tmp_path / "a")
    (run.path / "checkpoints").mkdir()
    leftovers = [run.path / f"{files.PREFIX}x", run.path / "checkpoints" / f"{files.PREFIX}y"]
    for path in [*leftovers, run.path / "checkpoints/000001-00000000.safetensors"]:
        path.write_text("")
    with run.locked():
        assert not any(path.exists() for path in leftovers)
        assert (run.path / "checkpoints/000001-00000000.safetensors").exists()
        assert run.config.exists()


def test_the_environment_says_what_computed():
    import torch

    found = environment("cpu (32-bit)")
    assert found["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert found["device"] == "cpu (32-bit)"
    assert found["threads"] == torch.get_num_threads()
    assert {"began", "python", "numpy", "system", "processor"} <= found.keys()
    json.dumps(found)


def test_a_folder_that_was_taken_away_is_not_begun_again(tmp_path):
    run = Run(tmp_path / "gone")
    for write in (lambda: run.write("metrics", {}), lambda: run.write_history([])):
        with pytest.raises(SaveError, match="gone is gone: it was moved or deleted"):
            write()
    assert not run.path.exists()
