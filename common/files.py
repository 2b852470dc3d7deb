"""Files that are either whole or not there."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from common.errors import SaveError

if TYPE_CHECKING:
    import filelock

PREFIX = ".saving-"  # of files that are not whole yet; what a crash leaves of them can be deleted

_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


_UMASK = _umask()  # mkstemp makes files that only their owner can read


def cache_dir() -> Path:
    """Return the user's folder for what can be made again.

    It is `$LABS_CACHE` or else `~/.cache/deep-learning-labs`; deleting it loses nothing but time.
    """
    return Path(os.environ.get("LABS_CACHE") or "~/.cache/deep-learning-labs").expanduser()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that takes the place of `path` when the block ends, and only then.

    The data is on the disk before the name is (write, fsync, rename, fsync of the folder), so a
    crash at any moment leaves the old file or the new one, never a part of either.

    Raises:
        SaveError: the disk is full or the folder cannot be written; the old file is intact.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=PREFIX)
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_UMASK)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def check_run_folder(run: Path) -> None:
    """Refuse to make half a run folder where the whole one was taken away.

    Raises:
        SaveError: it is not there.
    """
    if not run.is_dir():
        raise SaveError(
            f"{run} is gone: it was moved or deleted while it trained; if it was moved, go on "
            "with it where it is now"
        )


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Make a folder that takes the place of `path`, new or empty, when the block ends, if it does.

    Raises:
        SaveError: it cannot be written; nothing is left of it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=PREFIX, dir=path.parent) as temporary:
            whole = Path(temporary) / "whole"
            whole.mkdir()  # unlike its parent, others may read it
            yield whole
            if path.exists():
                path.rmdir()
            whole.rename(path)
    except OSError as error:
        raise SaveError(
            f"could not write {path}: {error.strerror or error}; nothing is left of it"
        ) from error


def make_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return a folder of the cache, made whole or not at all where it is not there yet.

    Args:
        folder: its name tells all that its content depends on.
        make: writes into the empty folder that it is given.

    Raises:
        SaveError: it cannot be written.
    """
    with locked(folder):
        if not folder.is_dir():
            with new_folder(folder) as made:
                make(made)
    return folder


def link(path: Path, name: Path) -> None:
    """Give a file, which is never changed in place, another name; copy it where that cannot be.

    Raises:
        SaveError: it could neither be linked nor copied.
    """
    try:
        name.parent.mkdir(parents=True, exist_ok=True)
        name.unlink(missing_ok=True)
        try:
            os.link(path, name)
        except OSError:  # the disk knows no links, as those of cameras
            with path.open("rb") as file, replacing(name) as copy:
                shutil.copyfileobj(file, copy)
    except OSError as error:
        raise _not_written(name, error) from error


def _not_written(path: Path, error: OSError) -> SaveError:
    return SaveError(
        f"could not write {path}: {error.strerror or error}; what was saved before is intact"
        + ("; free some space there" if error.errno in _FULL else "")
    )


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file as a whole; see `replacing`."""
    with replacing(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file as a whole; see `replacing`."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write a readable JSON file as a whole; see `replacing`."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def locked(path: Path) -> "filelock.BaseFileLock":
    """Return the lock of a file or folder that processes may make at once; use it in `with`."""
    import filelock

    path.parent.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(path.with_name(f".{path.name}.lock"))


def replace_surrogates(text: str) -> str:
    """Return a text that UTF-8 can hold: bytes of an unknown encoding are lone surrogates in it."""
    return text.encode("utf-8", "replace").decode("utf-8")


def fold_name(name: str) -> str:
    """Return a name as disks compare it that know no capitals, or no decomposed letters."""
    return unicodedata.normalize("NFC", name).casefold()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # Windows cannot open a folder, and its rename is durable by itself.
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
