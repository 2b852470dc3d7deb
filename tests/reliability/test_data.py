"""Data that change, vanish, or are no data, while they are used."""

import os
import shutil

import pytest

from benchmarks.same_run import same
from common.images.decode import list_inputs
from common.images.files import read_files
from labs.classification.__main__ import lab as classification


def test_a_picture_that_changed_behind_its_time_stamp_is_noticed(paint, tmp_path):
    paths = [paint(tmp_path / f"{number}.bmp", 60 * number) for number in range(3)]
    names = [path.name for path in paths]
    before = read_files(names, paths, 8, decoding="cache").images
    about = paths[1].stat()
    shutil.copy(paths[2], paths[1])
    os.utime(paths[1], ns=(about.st_atime_ns, about.st_mtime_ns))
    assert (paths[1].stat().st_size, paths[1].stat().st_mtime_ns) == (
        about.st_size,
        about.st_mtime_ns,
    )
    after = read_files(names, paths, 8, decoding="cache").images
    assert (after[1] == before[2]).all()
    assert (after[1] != before[1]).any()


@pytest.mark.slow
def test_a_picture_that_is_cut_while_it_is_streamed(start, stream, saved, photos, tmp_path):
    undisturbed = stream(photos, "undisturbed")
    data = shutil.copytree(photos, tmp_path / photos.name)
    running = stream(data)
    assert running.command.wait_for(lambda: len(saved(running.run)) == 2), running.command.text
    picture = next(data.rglob("*.png"))
    whole = picture.read_bytes()
    picture.write_bytes(whole[:60])
    assert running.command.end() == 2, running.command.text
    said = running.command.text
    assert f"Error: cannot read the image {picture}: " in said
    assert said.endswith(f"python -m labs.classification train --resume {running.run}\n")
    assert "Traceback" not in said
    picture.write_bytes(whole)
    last = start("train", "--resume", running.run)
    assert (last.end(), undisturbed.command.end()) == (0, 0), last.text
    assert all(same(running.run, undisturbed.run).values())


def test_a_pipe_among_the_pictures_is_left_out(command, photos, tmp_path):
    data = shutil.copytree(photos, tmp_path / "data")
    pipe = next(data.iterdir()) / "pipe.png"
    os.mkfifo(pipe)  # nobody ever writes into it: who opens it waits
    words = ("--model", "linear", "--image-size", "8", "--augment", "none", "--epochs", "1")
    words = ("train", "--data", data, *words, "--warmup", "0", "--run-dir", tmp_path, "--name", "a")
    done = command(classification, *words)
    assert done.code == 0, done.err
    assert len([*list_inputs([data])]) == 21
    done = command(classification, "predict", tmp_path / "classification" / "a", data)
    assert done.code == 0, done.err
    assert f"cannot read the image {pipe}: a folder, a pipe or a device, and no file" in done.err
    (tmp_path / "table.csv").write_text(f"path,label\n{pipe},a\n{pipe.parent / '1 번.png'},b\n")
    done = command(classification, "train", "--data", tmp_path / "table.csv", "--run-dir", tmp_path)
    assert done.code == 2
