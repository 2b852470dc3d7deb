"""The lab's command line in this process."""

import pytest

from labs.detection.__main__ import PROGRAM, group


@pytest.fixture(scope="session")
def lab(command):
    """Return a function that runs a command of the lab."""

    def run(*words):
        return command(group, PROGRAM, *words)

    return run
