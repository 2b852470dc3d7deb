"""What several runs of one command load alike, they load once.

    with reuse():
        for fold in folds:
            load(fold)  # what it reads by functions that are `reusable` is read the first time

Outside of such a block nothing is kept. Inside, of each function the latest result is, so that what
a search loads for one size of images makes room for the next.
"""

import contextlib
import functools
from collections.abc import Callable, Hashable, Iterator
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_kept: dict[str, tuple[Hashable, Any]] | None = None


@contextlib.contextmanager
def reuse() -> Iterator[None]:
    """Keep what reusable functions return, until the block ends; an inner block does nothing."""
    global _kept
    if _kept is not None:
        yield
        return
    _kept = {}
    try:
        yield
    finally:
        _kept = None


def reusable(key: Callable[P, Hashable]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that lets a function's result be reused, which nobody may change then.

    Args:
        key: returns of the arguments all that the result depends on.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        name = f"{function.__module__}.{function.__qualname__}"

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if _kept is None:
                return function(*args, **kwargs)
            wanted = key(*args, **kwargs)
            if name not in _kept or _kept[name][0] != wanted:
                _kept[name] = wanted, function(*args, **kwargs)
            found: R = _kept[name][1]
            return found

        return call

    return decorate
