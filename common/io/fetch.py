"""Files from the internet: fetched whole and verified, or not at all; archives unpacked safely.

A file takes its name only when its SHA-256 is the expected one. Until then it is `NAME.part`, which
an interrupted download leaves and the next one goes on from. The checksum also judges what was
resumed, so no ETag needs to be kept: where the file changed in between, it is fetched again, once.
"""

import http
import http.client
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from common.errors import DataError, SaveError
from common.files import locked, sha256_of
from common.io.unpack import unpack, unpacked_from
from common.steps import Step, step

Show = Callable[[int, int], object]
"""Called with the bytes that are there and the bytes there will be."""

TIMEOUT = 20.0  # seconds

_WAITS = (1.0, 3.0, 9.0)  # seconds before another try
_SLOWEST = 1000  # bytes per second over `timeout` seconds; slower is stalled
_CHUNK = 1 << 20
_ONLY_HTTPS = "only https is used, not {}"


class DownloadError(DataError):
    """A file could not be had; the message says why, and what can be used instead."""


class _Final(Exception):
    """Why a download failed for good."""


class _Passing(Exception):
    """Why a try failed that may succeed when it is repeated."""


@dataclass(frozen=True)
class Remote:
    """A file to download.

    Raises:
        ValueError: the hash or the name cannot be one.
    """

    url: str  # https only
    sha256: str
    """Hexadecimal SHA-256; its first 8 or more digits will do, as torchvision's weights carry them
    in their names, but only the whole is proof against tampering."""
    size: int  # bytes; more than this is never read
    name: str = ""  # of the file on the disk; the end of the URL's path by default

    def __post_init__(self) -> None:
        name = self.name or PurePosixPath(unquote(urlsplit(self.url).path)).name
        object.__setattr__(self, "name", name)
        if not re.fullmatch(r"[0-9a-f]{8,64}", self.sha256):
            raise ValueError(f"SHA-256 must be 8 to 64 hexadecimal digits, got {self.sha256!r}")
        if not name.strip(". ") or re.search(r"[/\\:]", name):
            raise ValueError(f"name must be that of a file, got {name!r}")


def fetch(remote: Remote, folder: Path, *, instead: str, **options: Any) -> Path:
    """Return the path of a file, downloaded unless the folder has it already; see `fetch_all`."""
    return fetch_all([remote], folder, instead=instead, **options)[0]


def fetch_all(
    remotes: Sequence[Remote],
    folder: Path,
    *,
    instead: str,
    show: Show | None = None,
    timeout: float = TIMEOUT,
    named: bool = True,
) -> list[Path]:
    """Return the paths of files, downloading those that the folder does not have.

    Files that are there are verified and never changed. Proxies are taken from `https_proxy`, and
    certificates of one's own network from `SSL_CERT_FILE`. Several processes may fetch the same
    file: one downloads, the others wait for it.

    Args:
        remotes: the files.
        folder: where they are or go.
        instead: what to do without them, such as "--data mnist5k needs no download".
        show: called during downloads with the bytes so far and in all, both over all files.
        timeout: seconds without an answer, or with next to nothing coming, until a try is given up.
        named: whether `--data-dir` names the folder, which errors then suggest.

    Raises:
        DownloadError: a file could not be had, or one that is there is not the expected one.
        SaveError: the folder cannot be written, or the disk is full.
    """
    paths, total, before = [], sum(remote.size for remote in remotes), 0
    for remote in remotes:
        try:
            paths.append(_fetch(remote, folder, _shift(show, before, total), timeout))
        except (_Final, _Passing) as error:
            there = f"put the file into {folder}"
            if named:
                names = ", ".join(each.name for each in remotes)
                there = (
                    "name the folder of files that are already there with --data-dir FOLDER (it "
                    f"needs {names})"
                )
            raise DownloadError(
                f"could not get {remote.name} from {remote.url}: {error}; {instead}, or {there}"
            ) from error
        except OSError as error:
            raise SaveError(
                f"could not write {folder / remote.name}: {error.strerror or error}; what came is "
                "kept and the next try goes on from it; free some space"
                + (", or name another folder with --data-dir FOLDER" if named else "")
            ) from error
        before += remote.size
    return paths


def fetch_unpacked(remote: Remote, folder: Path, *, instead: str) -> Path:
    """Return the folder of what an archive holds, `folder/NAME` without the archive's ending.

    What was unpacked before is used as it is, also where the archive has been deleted since.

    Raises:
        DownloadError: the archive could not be had; see `fetch_all`.
        DataError: the archive cannot be unpacked; see `unpack`.
        SaveError: the folder cannot be written, or the disk is full.
    """
    target = folder / re.sub(r"(\.tar)?\.\w+$", "", remote.name)
    if unpacked_from(target).startswith(remote.sha256):
        return target
    return unpack(fetch(remote, folder, instead=instead), target)


def _both(shown: Step, show: Show) -> Show:
    def tell(done: int, size: int) -> None:
        shown.total = size
        shown.move(done)
        show(done, size)

    return tell


def _shift(show: Show | None, before: int, total: int) -> Show:
    if show is None:
        return lambda done, size: None
    # The last of the files may be smaller than announced; then its end is the end.
    return lambda done, size: show(before + done, max(before + size, total))


def _fetch(remote: Remote, folder: Path, show: Show, timeout: float) -> Path:
    path = folder / remote.name
    if not _is_there(path, remote):
        with step(f"downloading {remote.name}", remote.size) as shown, locked(path):
            if not _is_there(path, remote):  # another process may have been faster
                _download(remote, path, _both(shown, show), timeout)
    return path


def _is_there(path: Path, remote: Remote) -> bool:
    if not path.is_file():
        return False
    with step(f"checking {remote.name}"):
        given = sha256_of(path)
    if given.startswith(remote.sha256):
        return True
    raise _Final(
        f"{path} is there, but its SHA-256 is {given}, expected {remote.sha256}; "
        "move it away to download the right one"
    )


def _download(remote: Remote, path: Path, show: Show, timeout: float) -> None:
    part = path.with_name(f"{path.name}.part")
    for wait in (*_WAITS, None):
        try:
            _receive(remote, part, show, timeout)
            break
        except _Passing:
            if wait is None:
                raise
            time.sleep(wait)
    os.replace(part, path)


def _receive(remote: Remote, part: Path, show: Show, timeout: float) -> None:
    """Bring the rest of a file, and verify the whole.

    Raises:
        _Final, _Passing: what came before an error on the way is kept; what is wrong is deleted.
    """
    start = part.stat().st_size if part.exists() else 0
    response = _ask(remote.url, start, timeout)
    if response is not None:
        with response:
            start = min(start, _first_byte(response))
            _write(part, start, response, remote.size, show, timeout)
    given = sha256_of(part)
    if not given.startswith(remote.sha256):
        part.unlink()
        # What was resumed may be two files: it is worth a try from the start.
        failure = _Passing if start else _Final
        raise failure(f"its SHA-256 is {given}, expected {remote.sha256}")


def _ask(url: str, start: int, timeout: float) -> HTTPResponse | None:
    """Ask for a file from a byte on; None where the server says that there is no more."""
    if urlsplit(url).scheme != "https":
        raise _Final(_ONLY_HTTPS.format(url))
    headers = {"User-Agent": "deep-learning-labs"}  # some servers turn Python's own away
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        response: HTTPResponse = _opener().open(
            urllib.request.Request(url, headers=headers), timeout=timeout
        )
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
                return None
            raise _refusal(error.code, str(error.reason)) from error
    except urllib.error.URLError as error:  # never connected: offline must be said at once
        raise _Final(_no_connection(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _broken(error, timeout) from error
    return response


class _RedirectToHttps(urllib.request.HTTPRedirectHandler):
    max_redirections = 5

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme != "https":
            raise urllib.error.HTTPError(
                req.full_url, code, _ONLY_HTTPS.format(newurl), headers, fp
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Make an opener that knows https and nothing else, and always checks certificates."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        _RedirectToHttps(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _refusal(code: int, reason: str) -> _Final | _Passing:
    if 300 <= code < 400:
        return _Final(f"the server redirects in vain: {reason.splitlines()[0]}")
    passing = code in (http.HTTPStatus.REQUEST_TIMEOUT, http.HTTPStatus.TOO_MANY_REQUESTS)
    phrase = http.client.responses.get(code, "unknown status")
    return (_Passing if passing or code >= 500 else _Final)(f"the server says {code} ({phrase})")


def _no_connection(reason: str | BaseException) -> str:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate cannot be trusted ({reason.verify_message}); in a network "
            "with certificates of its own, name their file in SSL_CERT_FILE"
        )
    return f"no connection ({getattr(reason, 'strerror', None) or reason})"


def _broken(error: Exception, timeout: float) -> _Passing:
    if isinstance(error, TimeoutError):
        return _Passing(f"the server sent nothing for {timeout:g} s; what came before is kept")
    return _Passing(f"the connection broke ({error!r}); what came before is kept")


def _first_byte(response: HTTPResponse) -> int:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if response.status == http.HTTPStatus.PARTIAL_CONTENT and found else 0


def _write(
    part: Path, start: int, response: HTTPResponse, size: int, show: Show, timeout: float
) -> None:
    total = None if response.length is None else start + response.length
    try:
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            for chunk in _read_chunks(response, start, total, size, timeout):
                file.write(chunk)
                show(file.tell(), total or size)
            file.flush()
            os.fsync(file.fileno())
    except _Final:
        part.unlink()
        raise


def _read_chunks(
    response: HTTPResponse, start: int, total: int | None, size: int, timeout: float
) -> Iterator[bytes]:
    """Yield what the server sends until `total` bytes are there.

    Raises:
        _Final: it would be more than `size` bytes.
        _Passing: it ends too early, the connection breaks, or next to nothing comes.
    """
    if total is not None and total > size:
        raise _Final(f"the server sends {total:,} bytes, more than the {size:,} bytes expected")
    done = marked = start
    since = time.monotonic()
    while total is None or done < total:
        try:
            chunk = response.read1(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _broken(error, timeout) from error
        if not chunk:
            break
        done += len(chunk)
        if done > size:
            raise _Final(f"the server sends more than the {size:,} bytes expected")
        yield chunk
        if (seconds := time.monotonic() - since) > timeout:
            if done - marked < _SLOWEST * seconds:
                raise _Passing(
                    f"only {done - marked:,} bytes came in {seconds:.3g} s; what came is kept"
                )
            marked, since = done, time.monotonic()
    if total is not None and done < total:
        raise _Passing(f"only {done:,} of {total:,} bytes came; they are kept")
