"""Memory that runs out."""

import pytest

pytestmark = pytest.mark.slow


def test_out_of_memory_is_one_sentence(start, half, goes_on):
    """The kernel gives the process no more memory than it has, as soon as it is to train."""
    starve = """
import resource
from labs.classification.job import ClassifyImages
train = ClassifyImages.train
def starved(job, *others):
    import torch
    pages = int(open("/proc/self/statm").read().split()[0])
    limit = pages * resource.getpagesize() + (8 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    kept = [torch.empty(1 << 18) for _ in range(100)]  # takes what is left
    train(job, *others)
ClassifyImages.train = starved
"""
    command = start("train", "--resume", half, first=starve)
    assert command.end() == 1, command.text
    assert "Error: memory ran out: close other programs" in command.text
    assert command.text.endswith(f"python -m labs.classification train --resume {half}\n")
    assert "Traceback" not in command.text
    goes_on(half)
