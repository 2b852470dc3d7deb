"""A process that torchrun has started, and what it says."""

import os
import signal
import threading

import pytest

from common import torchrun
from common.errors import RunError
from common.signals import handled_by, raise_stopped
from common.torchrun import speaking


@pytest.fixture
def follower(monkeypatch):
    for name in ("RANK", "LOCAL_RANK"):
        monkeypatch.setenv(name, "1")
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "2")
    monkeypatch.setenv("TORCH_CPP_LOG_LEVEL", "ERROR")  # which would stay set


def test_a_follower_that_is_ended_as_it_waits_says_nothing(follower):
    """The first process has said what was wrong, and torchrun has ended the others."""
    ending = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM))

    def fail():
        with handled_by(raise_stopped), speaking():
            ending.start()
            raise RunError("the first says it")

    with pytest.raises(SystemExit) as done:
        fail()
    assert done.value.code == 128 + signal.SIGTERM


def test_a_follower_that_is_left_alone_says_its_error(follower, monkeypatch):
    monkeypatch.setattr(torchrun, "_PATIENCE", 0.01)
    with pytest.raises(RunError, match="its own"), speaking():
        raise RunError("its own")
