"""What all benchmarks need: a line that says on what they ran, and the time of commands."""

import os
import platform
import resource

import torch


def describe() -> str:
    """Name the processor, the cores, the threads and the versions."""
    processor = torch.cpu.get_capabilities().get("cpu_name") or platform.machine()
    return (
        f"{processor}, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )


def cpu_seconds() -> float:
    """Return the processor seconds of all commands that have ended, start and report included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
