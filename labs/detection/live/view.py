"""tiny-yolo as a page: what it needs of a run."""

from pathlib import Path
from typing import Any

from common.errors import RunError
from common.live import program
from common.live.page import write_page
from common.live.samples import encode_pixels
from labs.detection.data.load import BoxSet
from labs.detection.job import Detector
from labs.detection.letterbox import GREY
from labs.detection.models.tiny_yolo import CANDIDATES, LARGEST, SAME_OBJECT, TinyYolo
from labs.detection.task import MOST

_SAMPLES = 12  # test images in the page,
_PIXELS = 1_000_000  # and their values together; of large ones there are fewer


def write(job: Detector, path: Path) -> None:
    """Write the page of a run.

    Args:
        job: with its best weights.
        path: the HTML file.

    Raises:
        RunError: it is another detector than tiny-yolo, or was not measured yet.
        SaveError: it cannot be written.
    """
    steps = trace(job)
    card, model = job.card, job.model
    assert isinstance(model, TinyYolo)
    data = {
        "program": program.dump(steps),
        "classes": list(card.classes),
        "size": card.image_size,
        "stride": model.stride,
        "anchors": model.anchors.tolist(),
        "largest": LARGEST,
        "candidates": CANDIDATES,
        "most": MOST,
        "same": SAME_OBJECT,
        "score": job.score,
        "grey": GREY,
        "samples": choose_samples(job.load_splits()["test"]),
    }
    subtitle = f"{job.config.title} on {card.source}"
    write_page(path, job.run.path.name, subtitle, Path(__file__).parent, data)


def trace(job: Detector) -> list[program.Step]:
    """Return the run's network, from pixels in [0, 1] to what the cells say.

    Raises:
        RunError: it is another detector than tiny-yolo.
    """
    if not isinstance(job.model, TinyYolo):
        raise RunError(
            f"{job.run.path}: a page cannot run {job.config.title}; it runs tiny-yolo, as of "
            "`train --model tiny-yolo`"
        )
    return program.trace(job.model.eval().cpu())


def choose_samples(test: BoxSet) -> list[dict[str, Any]]:
    """Return test images, letterboxed, with what is true of them: boxes and classes."""
    values = test.image(0).numel()
    rows = range(min(len(test), _SAMPLES, max(1, _PIXELS // values)))
    return [
        {
            "name": test.names[row],
            "pixels": encode_pixels(test.image(row)),
            "boxes": [[*box[:4], int(box[4])] for box in test.boxes[row].tolist() if not box[5]],
        }
        for row in rows
    ]
