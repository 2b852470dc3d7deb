"""Disks that are full, folders that are closed, moved or gone."""

import ctypes
import shutil
import subprocess

import pytest

from labs.classification.__main__ import lab as classification

# Root may write everywhere; a process without capabilities may do what its owner may.
PLAIN = """
import ctypes
header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert ctypes.CDLL(None).capset(header, none) == 0
"""


@pytest.fixture
def small_disk(tmp_path):
    """Return the folder of a disk of 32 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ("mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", folder)
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(("umount", "-l", folder), check=True)


def fill(path, left):
    """Write to a file until the disk is full, and make it smaller by what is to be left."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1000)):
                pass
        except OSError:
            file.truncate(file.tell() - left)


@pytest.mark.slow
def test_a_disk_that_fills_in_the_middle_of_a_checkpoint(train, saved, goes_on, small_disk):
    command, run = train(runs=small_disk)
    assert command.wait_for(lambda: len(saved(run)) == 2)
    with command.paused():
        fill(small_disk / "filler", left=saved(run)[-1].stat().st_size // 2)
        # One that was being written at this moment may still have its place.
    assert command.end() == 1, command.text
    assert "No space left on device; what was saved before is intact; free some" in command.text
    assert "Traceback" not in command.text
    (small_disk / "filler").unlink()
    goes_on(run)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "capset"), reason="Linux has capabilities")
def test_a_run_folder_that_may_not_be_written(start, half, goes_on):
    folders = [half, half / "checkpoints"]
    before = {path: path.read_bytes() for path in half.rglob("*") if path.is_file()}
    for folder in folders:
        folder.chmod(0o500)
    command = start("train", "--resume", half, first=PLAIN)
    code = command.end()
    for folder in folders:
        folder.chmod(0o700)
    assert code == 1, command.text
    assert "Permission denied; what was saved before is intact" in command.text
    assert "Traceback" not in command.text
    assert {path: path.read_bytes() for path in before} == before
    goes_on(half)


@pytest.mark.slow
def test_a_run_folder_that_is_moved_away_ends_the_run(start, half, saved, goes_on, tmp_path):
    before = saved(half)
    command = start("train", "--resume", half)
    assert command.wait_for(lambda: saved(half) != before)
    with command.paused():
        half.rename(tmp_path / "elsewhere")
    # What notices it first depends on what was to be written: a checkpoint, or another file.
    assert command.end() in (1, 2), command.text
    *_, last = command.text.splitlines()
    assert last.startswith("Error: ")
    assert str(half) in last
    assert "Traceback" not in command.text
    assert not half.exists()
    goes_on(tmp_path / "elsewhere")


@pytest.mark.slow
def test_too_many_open_files_are_one_sentence(start, photos, tmp_path):
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))"
    command = start(
        *("train", "--data", photos, "--decoding", "stream", "--workers", "4", "--model", "linear"),
        *("--image-size", "8", "--augment", "none", "--epochs", "2", "--run-dir", tmp_path),
        first=few,
    )
    assert command.end() == 1, command.text
    assert "Error: too many files are open: raise the limit (ulimit -n)" in command.text


def test_a_cache_that_cannot_be_written(command, photos, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LABS_CACHE", str(tmp_path / "file" / "cache"))
    words = ("--data", photos, "--model", "linear", "--image-size", "8", "--augment", "none")
    words = (*words, "--epochs", "1", "--warmup", "0", "--run-dir", tmp_path, "--decoding")
    done = command(classification, "train", *words, "memory")
    assert done.code == 0, done.err
    done = command(classification, "train", *words, "cache")
    assert done.code == 1
    assert "set LABS_CACHE to another folder, or choose the decoding 'stream'" in done.err
