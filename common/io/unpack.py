"""Archives unpacked safely: whole, into a folder of their own, or not at all."""

import bz2
import contextlib
import errno
import gzip
import hashlib
import json
import lzma
import os
import re
import shutil
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, NamedTuple

from common.errors import DataError, SaveError
from common.files import cache_dir, locked, sha256_of, write_json

ARCHIVE = re.compile(r".*\.(zip|tar|tgz|tar\.\w+)", re.IGNORECASE)  # names
_CHUNK = 1 << 20  # bytes

# The largest set here, GloVe 6B, has 0.9 GB in its archive and 2.2 GB out of it; IMDB has 100,000
# files. Deflate can shrink zeros 1,000 times, text and pictures (also drawn ones) 20 times at most.
_MOST_BYTES = 16 << 30
_MOST_MEMBERS = 250_000
_RATIO = 100
_SMALL = 100 << 20  # bytes that any archive may unpack to, whatever its ratio
_HEADERS = 256 << 10  # bytes of a tar between two members
_DEEPEST = 32  # folders; thousands would exhaust the recursion that deletes them

_MANIFEST = ".unpacked.json"

_UNREADABLE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    RuntimeError,  # encrypted or, as NotImplementedError, compressed in some other way
)


def is_archive(path: Path) -> bool:
    """Say whether a file is a zip or a tar, by its name alone."""
    return path.is_file() and ARCHIVE.fullmatch(path.name) is not None


def name_unpacked(key: str) -> Path:
    """Return the folder of the cache for what is unpacked from that which a key tells of."""
    return cache_dir() / "unpacked" / hashlib.sha256(key.encode()).hexdigest()[:16]


def unpacked(archive: Path) -> Path:
    """Return the folder of what an archive holds; a single folder in it is passed through."""
    folder = unpack(archive, cache_dir() / "unpacked" / sha256_of(archive)[:16])
    inside = [each for each in folder.iterdir() if not each.name.startswith((".", "__MACOSX"))]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def most_unpacked(size: int) -> int:
    """Return the bytes that a packed file of `size` bytes may unpack to."""
    return max(_SMALL, _RATIO * size)


class _Unsafe(Exception):
    """Why an archive must not be unpacked."""


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a zip or a tar (plain, gz, bz2, xz) into a folder of its own.

    It is unpacked next to the folder, which appears when everything is in it, with a manifest
    written last. Names become NFC; those that are not UTF-8 are read as cp949. Links, devices,
    absolute names, `..` and archives that swell beyond reason are refused, and nothing is left.

    Args:
        archive: the file.
        folder: what to make; one that was made of the same archive is returned as it is.

    Raises:
        DataError: the archive is missing, damaged or unsafe, or the folder holds something else.
        SaveError: the folder cannot be written, or the disk is full.
    """
    if not archive.is_file():
        raise DataError(f"{archive} is missing")
    try:
        sha256 = sha256_of(archive)
        with locked(folder):
            if unpacked_from(folder) != sha256:
                _unpack(archive, sha256, folder)
    except _Unsafe as error:
        raise DataError(
            f"{archive} was not unpacked: {error}; get the archive from a source that you trust"
        ) from error
    except _UNREADABLE as error:
        raise _unreadable(archive, error) from error
    except OSError as error:
        # gzip and bz2 say so that a file is damaged; zipfile seeks to where nothing can be.
        if error.errno in (None, errno.EINVAL):
            raise _unreadable(archive, error) from error
        raise SaveError(
            f"could not unpack {archive} to {folder}: {error.strerror}; nothing is left of the "
            "attempt; free some space, or choose another folder"
        ) from error
    return folder


def _unreadable(archive: Path, error: Exception) -> DataError:
    reason = str(error) or type(error).__name__
    return DataError(
        f"{archive} cannot be read as zip or tar ({reason}); delete it and get it again"
    )


def unpacked_from(folder: Path) -> str:
    """Return the SHA-256 of the archive that a folder was made of, "" where none was."""
    try:
        return str(json.loads((folder / _MANIFEST).read_bytes())["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _unpack(archive: Path, sha256: str, folder: Path) -> None:
    if os.path.lexists(folder):
        raise DataError(
            f"{folder} is there, but was not made of {archive}; move it away, or unpack the "
            "archive to another folder"
        )
    temporary = folder.with_name(f".unpacking-{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)  # what a killed process left
    try:
        temporary.mkdir()
        _extract(archive, temporary)
        if hasattr(os, "sync"):  # once, where fsync would be called for each of 100,000 files
            os.sync()
        write_json(temporary / _MANIFEST, {"archive": archive.name, "sha256": sha256})
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _Member(NamedTuple):
    name: str
    is_folder: bool
    size: int
    open: Callable[[], IO[bytes] | None]


def _extract(archive: Path, root: Path) -> None:
    """Write the members of an archive as files and folders, each for the first time.

    Nothing but plain files and folders is ever made, so no name can lead out through a link.
    """
    most = left = min(_MOST_BYTES, most_unpacked(archive.stat().st_size))
    with archive.open("rb") as file, contextlib.closing(_members(file)) as members:
        for number, member in enumerate(members, 1):
            if number > _MOST_MEMBERS:
                raise _Unsafe(f"it has more than {_MOST_MEMBERS:,} members")
            if member.size > left:
                raise _Unsafe(f"it unpacks to more than {most:,} bytes")
            try:
                left -= _extract_member(member, root / _safe(member.name))
            except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
                raise _Unsafe(f"the name {member.name!r} is taken by another member") from error


def _extract_member(member: _Member, path: Path) -> int:
    """Write a member; returns its bytes."""
    if member.is_folder:
        path.mkdir(parents=True, exist_ok=True)
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    source = member.open()
    assert source is not None  # tarfile gives None for what is no file
    done = 0
    with source, path.open("xb") as target:
        while chunk := source.read(_CHUNK):
            done += len(chunk)
            if done > member.size:
                raise _Unsafe(f"{member.name!r} is larger than its header says")
            target.write(chunk)
    return done


def _safe(name: str) -> PurePosixPath:
    """Return a member's name as a relative path that stays inside on every system."""
    path = PurePosixPath(unicodedata.normalize("NFC", name))
    # An anchor is a leading slash, a drive or a share. Windows drops spaces and dots at the end of
    # a name, so ".. " is ".." there.
    up = any(not part.strip(". ") for part in path.parts)
    if PureWindowsPath(name).anchor or "\\" in name or up:
        raise _Unsafe(f"the name {name!r} could lead out of the folder")
    if len(path.parts) > _DEEPEST:
        raise _Unsafe(f"the name {name[:40]!r}... has more than {_DEEPEST} parts")
    return path


def _decoded(name: bytes) -> str:
    """Read a name that says nothing of its encoding: zips made by Korean Windows have cp949."""
    for encoding in ("utf-8", "cp949"):
        with contextlib.suppress(UnicodeDecodeError):
            return name.decode(encoding)
    return name.decode("cp437")


_OPENERS: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}


def _members(file: IO[bytes]) -> Generator[_Member, None, None]:
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"PK"):
        return _zip_members(file)
    for magic, opener in _OPENERS.items():
        if start.startswith(magic):
            return _tar_members(opener(file))
    return _tar_members(file)


def _zip_members(file: IO[bytes]) -> Generator[_Member, None, None]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            name = info.orig_filename
            if not info.flag_bits & 0x800:  # the flag says that the name is UTF-8
                name = _decoded(name.encode("cp437"))
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _Unsafe(f"{name!r} is a link or a device")
            # zipfile reads the others without a bound on what a chunk of them swells to.
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _Unsafe(f"{name!r} is not compressed by deflate")
            is_folder = name.endswith("/") or kind == stat.S_IFDIR
            yield _Member(name, is_folder, info.file_size, partial(archive.open, info))


class _Bounded:
    """A stream that gives no more than `left` bytes: a tar's headers are read into memory."""

    def __init__(self, stream: IO[bytes]):
        self._stream = stream
        self.left = _HEADERS

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise _Unsafe(f"it has more than {_HEADERS:,} bytes outside of its members")
        return data


def _tar_members(stream: IO[bytes]) -> Generator[_Member, None, None]:
    bounded: Any = _Bounded(stream)  # tarfile's stubs also ask for what only a writer needs
    with stream, tarfile.open(fileobj=bounded, mode="r|", encoding="utf-8") as archive:
        for info in archive:
            name = _decoded(info.name.encode("utf-8", "surrogateescape"))
            if not (info.isreg() or info.isdir()):
                raise _Unsafe(f"{name!r} is a link or a device")
            bounded.left += info.size
            yield _Member(name, info.isdir(), info.size, partial(archive.extractfile, info))
            bounded.left = _HEADERS
        while bounded.read(_CHUNK):  # to the end, where gzip, bz2 and xz have their checksums
            pass
