"""What is used of the package ultralytics (AGPL-3.0): the one file that imports it.

Left to itself the library looks for the internet, installs packages and reports what it does; it is
imported with all of that switched off, and what it changes in the whole process is undone.
"""

import contextlib
import os
import warnings
from collections.abc import Iterator

import numpy as np
import PIL.Image
import torch

from common.errors import ConfigError
from common.files import cache_dir

__all__ = [
    "DEFAULT_CFG_DICT",
    "MISTAKES",
    "ROOT",
    "SETTINGS",
    "Albumentations",
    "Instances",
    "IterableSimpleNamespace",
    "dist2bbox",
    "make_anchors",
    "tasks",
    "v8_transforms",
]

_SWITCHES = {
    "ULTRALYTICS_SAFE_LOAD": "1",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_CONFIG_DIR": str(cache_dir()),  # else it would write to the user's own folder
    "YOLO_OFFLINE": "true",
    "YOLO_VERBOSE": "false",
}
_SET_BY_THE_LIBRARY = (
    "KINETO_LOG_LEVEL",
    "NUMEXPR_MAX_THREADS",
    "OMP_NUM_THREADS",
    "TF_CPP_MIN_LOG_LEVEL",
    "TORCH_CPP_LOG_LEVEL",
)


@contextlib.contextmanager
def _contained() -> Iterator[None]:
    """Switch the library's own doings off, and undo what its import does to the whole process."""
    os.environ.update(_SWITCHES)  # for the processes that we start, too
    before = {name: os.environ.get(name) for name in _SET_BY_THE_LIBRARY}
    save, open_image = torch.save, PIL.Image.open
    try:
        with warnings.catch_warnings(), np.printoptions():
            yield
    finally:
        torch.set_printoptions(profile="default")  # type: ignore[no-untyped-call]
        torch.save, PIL.Image.open = save, open_image
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


try:
    with _contained():
        from ultralytics.data.augment import Albumentations, v8_transforms
        from ultralytics.nn import tasks
        from ultralytics.utils import DEFAULT_CFG_DICT, ROOT, SETTINGS, IterableSimpleNamespace
        from ultralytics.utils.instance import Instances
        from ultralytics.utils.tal import dist2bbox, make_anchors
except ImportError as error:
    raise ConfigError(
        "Ultralytics' models, weights and --augment need ultralytics, which cannot be imported "
        f"({error}); install it with pip install -e '.[ultralytics]' (its license is AGPL-3.0), or "
        "choose tiny-yolo, faster-rcnn or ssdlite, which do without it"
    ) from error

# Whatever reports to somebody, in memory only: no settings file is changed.
dict.update(SETTINGS, {name: False for name, value in SETTINGS.items() if value is True})
tasks.SAFE_LOAD = True  # also where somebody imported the library before us

# What it raises where a model or a file is not as it expects.
MISTAKES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
