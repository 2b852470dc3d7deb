"""Who works at what, where several processes or machines share a folder.

A lease is a small file that names its process and is touched every few seconds. One that nobody has
touched for a minute has expired, and so has at once that of a process of this machine that has
ended. So work that a killed process left is found again.
"""

import contextlib
import json
import os
import platform
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

from common import files

EXPIRES = 60.0  # seconds without a touch
_BEAT = 5.0  # seconds between two touches


class Leases:
    """The leases in a folder.

    Args:
        folder: is made when there is one.
    """

    def __init__(self, folder: Path):
        self._folder = folder

    def locked(self) -> contextlib.AbstractContextManager[object]:
        """Keep others from taking leases while something is looked at; a crash lets go of it."""
        return files.locked(self._folder)

    def take(self, name: str) -> "Lease":
        """Take a lease that nobody holds; call it inside `locked`."""
        return Lease(self._folder / name)

    def is_held(self, name: str) -> bool:
        """Say whether a living process, perhaps this one, holds a lease."""
        path = self._folder / name
        try:
            touched, holder = path.stat().st_mtime, json.loads(path.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return False
        return self._now() - touched < EXPIRES and not _has_ended(holder)

    def _now(self) -> float:
        """Return the time by the clock that the folder's files have, which may be a server's."""
        clock = self._folder / f".clock-{uuid.uuid4().hex}"
        clock.touch()
        now = clock.stat().st_mtime
        clock.unlink()
        return now


class Lease:
    """A lease that this process holds until `release`.

    Args:
        path: of its file.
    """

    def __init__(self, path: Path):
        self._path, self._ended = path, threading.Event()
        self._holder = {"machine": _machine(), **_process(os.getpid()), "token": uuid.uuid4().hex}
        files.write_json(path, self._holder)
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._beating.start()

    @property
    def is_mine(self) -> bool:
        """Whether nobody else took it over, as happens where this process slept for long."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return bool(json.loads(self._path.read_text("utf-8")) == self._holder)
        return False

    def release(self) -> None:
        """Give it back."""
        self._ended.set()
        self._beating.join()
        if self.is_mine:
            self._path.unlink()

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT):
            if not self.is_mine:
                return
            with contextlib.suppress(OSError):  # the folder may be away for a moment
                os.utime(self._path)


@contextlib.contextmanager
def released(lease: Lease) -> Iterator[None]:
    """Release a lease when the block ends."""
    try:
        yield
    finally:
        lease.release()


def _has_ended(holder: dict[str, object]) -> bool:
    """Say whether a process of this machine has ended; of others, nothing is known."""
    if holder.get("machine") != _machine():
        return False
    pid = holder.get("pid")
    return not isinstance(pid, int) or _process(pid) != {
        name: holder.get(name) for name in ("pid", "began")
    }


def _machine() -> list[str]:
    """Return what tells machines apart; and containers, whose processes have numbers of their own.

    Where the system does not say (Linux alone does), the name has to do.
    """
    found = [platform.node()]
    with contextlib.suppress(OSError):
        found += [
            Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
            os.readlink("/proc/self/ns/pid"),
        ]
    return found


def _process(pid: int) -> dict[str, object]:
    """Return the number of a process that runs, and when it began if the system says so; or {}."""
    if not Path("/proc/self/stat").exists():
        return {"pid": pid, "began": None} if _is_alive(pid) else {}
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return {}
    return {} if fields[0] == "Z" else {"pid": pid, "began": fields[19]}


def _is_alive(pid: int) -> bool:
    if os.name != "posix":  # there, a signal of 0 would end it: let the lease expire
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
