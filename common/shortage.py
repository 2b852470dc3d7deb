"""What a machine runs out of: memory, open files, processes that are killed for it."""

import errno
import re

_MEMORY = re.compile("can't allocate memory|out of memory|cannot allocate memory", re.IGNORECASE)
_READER = re.compile(r"DataLoader worker.*?(?:killed by signal: (\w[\w ]*)|exited unexpectedly)")


def name_shortage(error: BaseException) -> str:
    """Say what the machine ran out of and what to try, in a sentence; "" where it is another error.

    Libraries have no common exceptions for this: torch says it with a RuntimeError, which is told
    from others by its words.
    """
    if isinstance(error, OSError) and error.errno == errno.EMFILE:
        return "too many files are open: raise the limit (ulimit -n), or use fewer --workers"
    if not isinstance(error, MemoryError | RuntimeError | OSError):
        return ""
    if found := _READER.search(str(error)):
        how = f"was killed ({found[1].strip()})" if found[1] else "ended"
        return (
            f"a process that reads the data {how}, as happens where memory or /dev/shm runs out: "
            "close other programs, or use fewer --workers"
        )
    starved = isinstance(error, OSError) and error.errno == errno.ENOMEM
    if starved or isinstance(error, MemoryError) or _MEMORY.search(str(error)):
        return (
            "memory ran out: close other programs, or give a smaller --micro-batch, --batch-size, "
            "--image-size or --limit"
        )
    return ""
