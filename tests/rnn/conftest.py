"""The lab's command line in this process."""

import pytest

from labs.rnn.__main__ import PROGRAM, group


@pytest.fixture(scope="session")
def lab(command):
    """Return a function that runs a command of the lab."""

    def run(*words, stdin=b""):
        return command(group, PROGRAM, *words, stdin=stdin)

    return run
