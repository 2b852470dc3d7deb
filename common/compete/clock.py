"""The time that a competition's run has worked, kept so that it can be stopped and gone on with."""

import time

from common.runs.folder import Run


class Clock:
    """Seconds of work, those before a stop too.

    Args:
        run: the run folder, in whose clock.json they are kept.
        given: seconds that the user gives.
        begun: when this process began to work, by `time.perf_counter`.
    """

    def __init__(self, run: Run, given: float, begun: float):
        self.given = given
        self._run, self._begun = run, begun
        there = (run.path / "clock.json").is_file()
        self._before = float(run.read("clock")["seconds"]) if there else 0.0

    @property
    def used(self) -> float:
        """Seconds that it has worked."""
        return self._before + time.perf_counter() - self._begun

    @property
    def left(self) -> float:
        """Seconds that are left of those given; below 0 when they are over."""
        return self.given - self.used

    def keep(self) -> None:
        """Keep what was used."""
        self._run.write("clock", {"seconds": self.used})
