"""Videos through OpenCV: their frames, and a new video of frames.

OpenCV is imported when there is a video to read.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common import files
from common.errors import DataError, SaveError

SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")

_CODEC, _SUFFIX = "mp4v", ".mp4"  # MPEG-4 part 2, which OpenCV's own builds can always write
_USUAL_RATE = 25.0  # frames per second of a video that does not say it


class Frame(NamedTuple):
    """A frame of a video."""

    number: int  # from 0
    seconds: float  # since the beginning
    pixels: Tensor  # uint8 (3, H, W), RGB


class Video(NamedTuple):
    """A video that is being read."""

    rate: float  # frames per second
    announced: int  # frames that its header promises, 0 where it does not say
    frames: Iterator[Frame]


@contextlib.contextmanager
def open_video(path: Path) -> Iterator[Video]:
    """Read a video while the block lasts.

    Raises:
        DataError: it cannot be read, or OpenCV is not installed.
    """
    cv2 = _opencv()
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        rate = capture.get(cv2.CAP_PROP_FPS)
        announced = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        frames = _frames(cv2, capture)
        first = next(frames, None)
        if first is None:
            raise DataError(
                f"cannot read the video {path}: not a video, damaged, or of a codec that OpenCV "
                f"{cv2.__version__} does not know; try to convert it to .mp4 (H.264)"
            )
        yield Video(rate if rate > 0 else _USUAL_RATE, max(announced, 0), chain([first], frames))
    finally:
        capture.release()


@contextlib.contextmanager
def write_video(path: Path, rate: float) -> Iterator["Writer"]:
    """Write an .mp4 of so many frames per second, which takes its name only when the block ends.

    Raises:
        SaveError: the folder cannot be written, or OpenCV cannot write such a video.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(_SUFFIX, files.PREFIX, path.parent)
        os.close(handle)
        with contextlib.closing(Writer(temporary, path, rate)) as writer:
            yield writer
        if not writer.is_whole():  # OpenCV says nothing where it could not write
            raise SaveError(f"could not write {path}: frames are missing; free some space there")
        os.replace(temporary, path)
    except OSError as error:
        raise SaveError(f"could not write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


class Writer:
    """A video that is being written; see `write_video`."""

    def __init__(self, temporary: str, path: Path, rate: float):
        self._temporary, self._path, self._rate = temporary, path, rate
        self._cv2 = _opencv()
        self._video: Any = None
        self._frames = 0

    def add(self, pixels: NDArray[np.uint8]) -> None:
        """Add a frame, (H, W, 3) RGB, of the same size as the others.

        Raises:
            SaveError: OpenCV cannot write such a video.
        """
        height, width = pixels.shape[:2]
        even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        if self._video is None:
            self._video = self._open(even.shape[1], even.shape[0])
        self._video.write(self._cv2.cvtColor(even, self._cv2.COLOR_RGB2BGR))
        self._frames += 1

    def close(self) -> None:
        """Finish the file."""
        if self._video is not None:
            self._video.release()

    def is_whole(self) -> bool:
        """Say whether the finished file announces every frame."""
        capture = self._cv2.VideoCapture(self._temporary, self._cv2.CAP_FFMPEG)
        try:
            return int(capture.get(self._cv2.CAP_PROP_FRAME_COUNT)) >= self._frames
        finally:
            capture.release()

    def _open(self, width: int, height: int) -> Any:
        cv2 = self._cv2
        code = cv2.VideoWriter_fourcc(*_CODEC)
        video = cv2.VideoWriter(self._temporary, cv2.CAP_FFMPEG, code, self._rate, (width, height))
        if not video.isOpened():
            raise SaveError(
                f"could not write {self._path}: OpenCV {cv2.__version__} has no codec {_CODEC} for "
                f"{width}x{height} at {self._rate:g} frames per second; leave the drawn video out: "
                "--format json"
            )
        return video


def _opencv() -> Any:
    """Return cv2, which keeps its complaints to itself and reads local files alone."""
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "protocol_whitelist;file"
    try:
        import cv2
    except ImportError as error:
        raise DataError(
            f"videos need OpenCV, which cannot be imported ({error}): pip install opencv-python"
        ) from error
    module: Any = cv2
    module.utils.logging.setLogLevel(module.utils.logging.LOG_LEVEL_SILENT)
    return module


def _frames(cv2: Any, capture: Any) -> Iterator[Frame]:
    number = 0
    while True:
        whole, pixels = capture.read()
        if not whole:
            return
        seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        rgb = np.ascontiguousarray(pixels[..., ::-1].transpose(2, 0, 1))
        yield Frame(number, seconds, torch.from_numpy(rgb))
        number += 1
