"""The weights in Ultralytics' own files, which are pickled models: nothing of them is ever run."""

import contextlib
import pickle
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from common.errors import RunError
from common.training.weights import reason
from labs.detection.models.ultralytics.library import MISTAKES, tasks


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Return the weights in a file of Ultralytics' (.pt): the averaged ones if there are any.

    The file is a pickled model. It is put together from known classes by torch's restricted
    unpickler, and no constructor runs: some fetch files from addresses that the file may give.

    Raises:
        RunError: it is no such file, it is damaged, or it asks for anything else.
    """
    with tempfile.TemporaryDirectory() as folder, _no_constructors():
        # Under a name of our own: names such as yolov5n.pt make the library look elsewhere.
        copy = Path(folder, "weights.pt")
        shutil.copyfile(path, copy)
        try:
            content, _ = tasks.torch_safe_load(str(copy), safe_only=True)
            model = content.get("ema") or content["model"]
            if not isinstance(model, nn.Module):
                raise TypeError(f"it holds a {type(model).__name__} where the model should be")
            tensors = nn.Module.state_dict(model.float())
        except (*MISTAKES, EOFError, ImportError, OSError, pickle.UnpicklingError) as error:
            raise RunError(
                f"{path} is not read: {reason(error)}; expected a model as Ultralytics "
                "saves it, whole and unchanged, or a .safetensors file"
            ) from error
    return {name: value for name, value in tensors.items() if isinstance(value, Tensor)}


@contextlib.contextmanager
def _no_constructors() -> Iterator[None]:
    """Let no module be constructed; unpickling does without it, unless a file is hostile."""

    def refuse(self: nn.Module, *args: Any, **options: Any) -> None:
        raise pickle.UnpicklingError(f"it would construct a {type(self).__name__}")

    construct = nn.Module.__init__
    nn.Module.__init__ = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.__init__ = construct  # type: ignore[method-assign]
