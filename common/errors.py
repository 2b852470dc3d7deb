"""The exceptions a user may see.

    LabError               base: shown as one message, never as a traceback (also in a notebook)
    ├── InputError         exit 2: what was given is wrong; the message says what to do instead
    │   ├── ConfigError    options and config files: every problem at once
    │   ├── DataError      images, folders, tables; its DownloadError is in `common.io.fetch`
    │   └── RunError       run folders: missing, locked, damaged, already there
    ├── RunFailed          exit 1: the run itself could not go on
    │   ├── NonFiniteError a loss or gradient became NaN or infinite
    │   ├── NoMemoryError  the memory is full, and nothing can be made smaller
    │   └── SaveError      a file could not be written; what was saved before is intact
    └── Stopped            exit 128 + signal: stopped from outside

Messages say what was expected, what was given, and the next thing to try.
"""

from collections.abc import Sequence


class _OneMessage:
    """Shown in a notebook as one message, too: IPython asks an error for its own traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class LabError(_OneMessage, Exception):
    """Base of every error that a user may see."""

    exit_code = 1


class InputError(LabError):
    """What the user gave is wrong."""

    exit_code = 2


class ConfigError(InputError):
    """Options or a config file are wrong.

    Args:
        problems: one line for each problem; all of them are shown at once.
    """

    def __init__(self, problems: Sequence[str] | str):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class DataError(InputError):
    """Images, folders or tables cannot be used."""


class RunError(InputError):
    """A run folder is missing, locked, damaged, or already there."""


class RunFailed(LabError):
    """The run itself could not go on."""


class NonFiniteError(RunFailed):
    """A loss or a gradient became NaN or infinite; the step was not applied."""


class NoMemoryError(RunFailed):
    """The memory of the device is full, and what it holds cannot be made smaller."""


class SaveError(RunFailed):
    """A file could not be written; what was saved before is intact."""


class Stopped(_OneMessage, BaseException):
    """The run was stopped by a signal; like KeyboardInterrupt, no `except Exception` takes it.

    Args:
        signum: the signal's number; the process exits with 128 + signum.
        message: what was saved, and how to go on.
    """

    def __init__(self, signum: int, message: str = ""):
        self.signum = signum
        self.exit_code = 128 + signum
        super().__init__(message or f"stopped by signal {signum}")
