"""A display for tests that train."""

from common.options.terminal import Display


class Silent(Display):
    """Shows nothing; after some epochs, if a number is given, the user has enough."""

    def __init__(self, enough=None):
        self._enough = enough

    def progress(self, progress):
        pass

    def epoch(self, row, best):
        if row["epoch"] == self._enough:
            raise KeyboardInterrupt
