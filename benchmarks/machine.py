"""One line that says on what a benchmark ran."""

import os
import platform

import torch


def describe() -> str:
    """Name the processor, the cores, the threads and the versions."""
    processor = torch.cpu.get_capabilities().get("cpu_name") or platform.machine()
    return (
        f"{processor}, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )
