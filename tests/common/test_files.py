import errno
import json
import os
import stat

import pytest

from common import files
from common.errors import SaveError
from common.files import PREFIX, link, replacing, write_bytes, write_json, write_text


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def only(folder):
    """The one file of a folder: no temporary file lies beside it."""
    [path] = folder.iterdir()
    return path


def test_a_file_is_written_with_its_folders_and_readable_as_any_other(tmp_path):
    path = tmp_path / "a" / "b" / "c.bin"
    write_bytes(path, b"one")
    assert only(path.parent).read_bytes() == b"one"
    plain = tmp_path / "plain"
    plain.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_text_is_utf8_and_json_is_readable(tmp_path):
    write_text(tmp_path / "text", "고양이\n")
    assert (tmp_path / "text").read_bytes() == "고양이\n".encode()
    write_json(tmp_path / "json", {"class": "고양이"})
    assert (tmp_path / "json").read_bytes() == '{\n  "class": "고양이"\n}\n'.encode()
    assert json.loads((tmp_path / "json").read_bytes()) == {"class": "고양이"}


def test_a_name_that_cannot_be_given_says_so(tmp_path):
    path = tmp_path / "file"
    path.write_text("text")
    (tmp_path / "folder").mkdir()
    for name in (path / "in a file", tmp_path / "folder"):
        with pytest.raises(SaveError, match="^could not write"):
            link(path, name)
    link(path, tmp_path / "new" / "name")
    assert (tmp_path / "new" / "name").samefile(path)


def test_the_old_file_stays_until_the_block_ends(tmp_path):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        assert len(list(tmp_path.glob(f"{PREFIX}*"))) == 1
    assert only(tmp_path).read_bytes() == b"new"


def write_half(path, error):
    with replacing(path) as file:
        file.write(b"half of the n")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_changes_nothing(tmp_path, error):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with pytest.raises(error):
        write_half(path, error)
    assert only(tmp_path).read_bytes() == b"old"


@pytest.mark.parametrize("call", ["replace", "fsync", "chmod"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, call):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    monkeypatch.setattr(files.os, call, full_disk)
    with pytest.raises(SaveError, match=r"could not write .*file: No space left.*is intact"):
        write_bytes(path, b"new")
    assert only(tmp_path).read_bytes() == b"old"


def test_a_disk_that_fills_while_writing(tmp_path):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with pytest.raises(SaveError, match="No space left"):
        write_half(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert only(tmp_path).read_bytes() == b"old"


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SaveError, match="could not write"):
        write_bytes(tmp_path / "file" / "below", b"new")


def test_the_data_is_on_the_disk_before_its_name_and_the_name_after(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor):
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "data")
        fsync(descriptor)

    def noted_replace(*arguments):
        calls.append("name")
        replace(*arguments)

    monkeypatch.setattr(files.os, "fsync", noted_fsync)
    monkeypatch.setattr(files.os, "replace", noted_replace)
    write_bytes(tmp_path / "file", b"new")
    assert calls == ["data", "name", "folder"]


def test_a_real_limit_on_the_size_of_files(tmp_path, small_files):
    """The write fails in the kernel, in the middle of the data."""
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with small_files(), pytest.raises(SaveError, match="File too large"):
        write_bytes(path, bytes(100_000))
    assert only(tmp_path).read_bytes() == b"old"
