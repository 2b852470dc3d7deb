"""The allocator keeps large freed blocks, unless the user has settings of their own."""

import os
import subprocess
import sys

import pytest

# Prints whether anything was set, and whether a block of 64 MiB is mapped for itself.
PROGRAM = """
import ctypes
from common.allocator import keep_freed_blocks
kept = keep_freed_blocks()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
address = libc.malloc(64 * 2**20)
lines = [line.split() for line in open("/proc/self/maps")]
heaps = [line[0].split("-") for line in lines if line[-1] == "[heap]"]
print(kept, not any(int(low, 16) <= address < int(high, 16) for low, high in heaps))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "True False"),
        ({"MALLOC_MMAP_THRESHOLD_": "1000000"}, "False True"),
        ({"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=1000000"}, "False True"),
    ],
)
def test_large_blocks_are_kept_unless_the_user_decided(settings: dict[str, str], expected: str):
    plain = {name: value for name, value in os.environ.items() if "MALLOC" not in name.upper()}
    program = [sys.executable, "-c", PROGRAM]
    found = subprocess.run(
        program, env={**plain, **settings}, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == expected.split()
