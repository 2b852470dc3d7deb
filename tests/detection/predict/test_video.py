"""Videos: read, found objects in, and written again."""

import socket
import sys

import numpy as np
import pytest

from common.errors import DataError, SaveError
from labs.detection.predict import video

RATE = 12.5
cv2 = video._opencv()  # FFmpeg listens once in a process to how silent it is to be


def film(path, frames=10, size=(64, 48), codec="mp4v"):
    """Write a video in which frame n has the grey value 20 n."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), RATE, size)
    assert writer.isOpened()
    for number in range(frames):
        writer.write(np.full((size[1], size[0], 3), 20 * number, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "mp4v"), ("비디오.avi", "MJPG")])
def test_frames_come_in_order_with_their_time(name, codec, tmp_path):
    with video.open_video(film(tmp_path / name, codec=codec)) as opened:
        frames = list(opened.frames)
        assert (opened.rate, opened.announced) == (RATE, 10)
    assert [frame.number for frame in frames] == list(range(10))
    assert [frame.seconds for frame in frames] == pytest.approx([n / RATE for n in range(10)])
    for number, frame in enumerate(frames):
        assert frame.pixels.shape == (3, 48, 64)
        assert frame.pixels.float().mean().item() == pytest.approx(20 * number, abs=4)


def test_colors_are_rgb(tmp_path):
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 255
    with video.write_video(tmp_path / "red.mp4", RATE) as writer:
        writer.add(red)
    with video.open_video(tmp_path / "red.mp4") as opened:
        [frame] = opened.frames
    levels = frame.pixels.float().mean((1, 2)).tolist()
    assert levels == pytest.approx([255, 0, 0], abs=12)


def test_a_written_video_has_all_frames_also_of_an_odd_size(tmp_path):
    path = tmp_path / "새 폴더" / "out.mp4"
    frames = [np.full((47, 63, 3), level, np.uint8) for level in (0, 100, 200)]
    with video.write_video(path, RATE) as writer:
        for frame in frames:
            writer.add(frame)
        assert not path.exists()
    assert [entry.name for entry in path.parent.iterdir()] == ["out.mp4"]
    with video.open_video(path) as opened:
        read = list(opened.frames)
    assert [frame.pixels.shape for frame in read] == [(3, 48, 64)] * 3
    levels = [frame.pixels.float().mean().item() for frame in read]
    assert levels == pytest.approx([0, 100, 200], abs=4)


def test_nothing_is_left_of_a_video_that_was_not_finished(tmp_path):
    def write_and_stop():
        with video.write_video(tmp_path / "out.mp4", RATE) as writer:
            writer.add(np.zeros((32, 32, 3), np.uint8))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"no video" * 100, "half"])
def test_damaged_videos_are_refused(content, tmp_path, capfd):
    path = tmp_path / "bad.mp4"
    whole = film(tmp_path / "a.mp4").read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(DataError, match="cannot read the video .*bad.mp4: .*try to convert"):
        video.open_video(path).__enter__()
    assert capfd.readouterr() == ("", "")


def test_a_playlist_leads_nowhere(tmp_path):
    path = tmp_path / "list.mp4"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n")
        with pytest.raises(DataError, match="cannot read the video"):
            video.open_video(path).__enter__()
        with pytest.raises(BlockingIOError):  # nobody has called
            server.accept()


def test_a_codec_that_is_not_there_is_named(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(video, "_CODEC", "zzzz")
    frame = np.zeros((32, 32, 3), np.uint8)
    with (
        pytest.raises(SaveError, match=r"no codec zzzz for 32x32 at 12.5 frames"),
        video.write_video(tmp_path / "out.mp4", RATE) as writer,
    ):
        writer.add(frame)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SaveError, match="could not write"):
        video.write_video(tmp_path / "file" / "out.mp4", RATE).__enter__()


def test_a_disk_that_is_full_is_said(tmp_path, small_files):
    noise = np.random.default_rng(0).integers(0, 256, (10, 64, 64, 3), np.uint8)

    def write():
        with video.write_video(tmp_path / "out.mp4", RATE) as writer:
            for frame in noise:
                writer.add(frame)

    with small_files(), pytest.raises(SaveError, match="could not write .*out.mp4: frames"):
        write()
    assert not list(tmp_path.iterdir())


def test_without_opencv_it_is_said_what_to_install(tmp_path, monkeypatch):
    path = film(tmp_path / "a.mp4")
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(DataError, match="pip install opencv-python"):
        video.open_video(path).__enter__()
