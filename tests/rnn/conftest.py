"""The lab's command line in this process."""

import pytest

from labs.rnn import __main__ as program


@pytest.fixture(scope="session")
def lab(command):
    """Return a function that runs a command of the lab."""

    def run(*words, **options):
        return command(program.lab, *words, **options)

    return run
