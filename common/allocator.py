"""How C's allocator treats the large blocks that tensors lie in.

Out of the box, glibc maps each block above 32 MB and unmaps it when it is freed, so the system
clears its pages again and again: in a forward pass over 64 photos that takes longer than the
arithmetic does. Kept, a freed block serves the next batch as it is. The price is that a process
holds on to the most memory that it ever had, see docs/benchmarks.md.
"""

import os
import sys

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST = 2**31 - 1  # bytes: mallopt takes an int
_NEVER = -1


def keep_freed_blocks() -> bool:
    """Have glibc keep freed blocks for what comes next, up to 2 GiB each; says whether it does.

    Elsewhere than on Linux with glibc, and where the user's environment has settings of the
    allocator, nothing changes.
    """
    if sys.platform != "linux" or _set_by_user():
        return False
    import ctypes

    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return False
    return bool(
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST) and libc.mallopt(_M_TRIM_THRESHOLD, _NEVER)
    )


def _set_by_user() -> bool:
    tuned = "glibc.malloc." in os.environ.get("GLIBC_TUNABLES", "")
    return tuned or any(name.startswith("MALLOC_") for name in os.environ)
