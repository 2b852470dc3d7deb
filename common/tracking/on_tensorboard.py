"""TensorBoard: event files in `tensorboard/` of the run folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from common.tracking.trackers import Result, Tracker


class TensorBoard(Tracker):
    """Writes what `tensorboard --logdir runs` shows."""

    package: ClassVar = "tensorboard"

    def __init__(self, run: Path, lab: str, options: Mapping[str, Any]):
        from torch.utils.tensorboard import SummaryWriter

        folder = run / "tensorboard"
        self.last, self._options = _last_epoch(folder), options
        self._writer: Any = SummaryWriter(str(folder))

    @override
    def log_epoch(self, epoch: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    @override
    def log_result(self, result: Result) -> None:
        import numpy as np
        from PIL import Image

        options = {name: _plain(value) for name, value in self._options.items()}
        self._writer.add_hparams(options, dict(result.figures), run_name=".")
        for path in result.pictures:
            pixels = np.asarray(Image.open(path).convert("RGB"))
            self._writer.add_image(f"pictures/{path.stem}", pixels, dataformats="HWC")
        if result.report is not None:  # TensorBoard shows no HTML
            self._writer.add_text("report", f"`{result.report}`")

    @override
    def close(self) -> None:
        self._writer.close()


def _last_epoch(folder: Path) -> int:
    """Return the last epoch that the event files of a folder have, 0 where there is none."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    files = folder.glob("events.out.tfevents.*")
    steps = (event.step for file in files for event in EventFileLoader(str(file)).Load())
    return max(steps, default=0)


def _plain(value: Any) -> bool | int | float | str:
    return value if isinstance(value, bool | int | float | str) else ",".join(map(str, value))
