"""How many threads compute, and how those of numeric libraries wait for one another.

Out of the box they wait by spinning, for milliseconds: on quiet cores the next piece of work finds
them awake. Where other programs run too, the thread that is waited for may have no core, and those
that spin keep it from one. A short spin is nearly as quick on quiet cores, and gives the core away
soon where it is needed.
"""

import os
from pathlib import Path

_SPIN = {
    # GNU's OpenMP (torch, scikit-learn, openTSNE on Linux): turns of its loop, 300,000 by default.
    "GOMP_SPINCOUNT": "3000",
    # LLVM's and Intel's OpenMP (macOS, Windows): milliseconds, 200 by default.
    "KMP_BLOCKTIME": "1",
    # OpenBLAS (numpy, scipy): ticks of the processor's clock as a power of two, 26 by default.
    "OPENBLAS_THREAD_TIMEOUT": "16",
}
_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of cores in a period
_POLICY = "OMP_WAIT_POLICY"  # what a user says with it goes for OpenMP as a whole


def wait_briefly() -> None:
    """Have waiting threads spin for a short time only, in this process and those that it starts.

    Libraries read this when they are loaded, so call it before any of them is. What the user's
    environment says stays.
    """
    for name, value in _SPIN.items():
        if name == "OPENBLAS_THREAD_TIMEOUT" or _POLICY not in os.environ:
            os.environ.setdefault(name, value)


def usable_cores() -> int:
    """Return the cores that this process may use, by its affinity and its container's quota."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        cores = os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text(encoding="ascii").split()
        return min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):  # not in a container, or one without a quota
        return cores


def usable_threads() -> int:
    """Return how many threads may compute: `OMP_NUM_THREADS`, or one for each usable core."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) else usable_cores()
