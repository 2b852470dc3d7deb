import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision.transforms import v2

from common.errors import DataError
from common.images import decode as decoding
from common.images import files
from common.images.decode import decode, photo

PHOTOS = [Image.fromarray(photo) for photo in load_sample_images().images]  # 640 x 427


def paint(path, value=0, size=(12, 10), mode="RGB", **options):
    """Save a small picture that differs for each value."""
    noise = np.random.default_rng(value).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(path, **options)
    return path


def cut(path, to=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * to)])
    return path


# Squares


def test_decode_agrees_with_torchvision(tmp_path):
    PHOTOS[0].save(tmp_path / "photo.png")
    ours = decode(tmp_path / "photo.png", 61, 3)
    reference = v2.Compose([v2.CenterCrop(427), v2.Resize(61)])(PHOTOS[0])
    difference = ours.float() - v2.functional.pil_to_tensor(reference).float()
    assert ours.dtype == torch.uint8
    assert difference.abs().mean() < 0.7  # the centre of 640 - 427 pixels lies between two of them
    grey = decode(tmp_path / "photo.png", 61, 1)
    assert grey.shape == (1, 61, 61)
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    assert (grey - (ours * weights).sum(0)).abs().max() < 2


def test_decode_is_exact_where_nothing_is_scaled(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.bmp")
    assert (decode(tmp_path / "a.bmp", 9, 3).numpy() == picture.transpose(2, 0, 1)).all()
    assert (decode(tmp_path / "a.bmp", 5, 3).shape) == (3, 5, 5)


def test_a_large_jpeg_decoded_at_reduced_size_looks_the_same(tmp_path):
    large = PHOTOS[1].resize((1600, 1600))
    large.save(tmp_path / "large.jpg", quality=95)
    large.save(tmp_path / "large.png")
    difference = decode(tmp_path / "large.jpg", 64, 3).float() - decode(
        tmp_path / "large.png", 64, 3
    )
    assert difference.abs().mean() < 1
    assert difference.abs().max() < 16


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,  # the inverse of what a viewer must do
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = PHOTOS[0].crop((0, 0, 40, 40))
    stored = upright.transpose(turn[orientation]) if orientation in turn else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    assert (decode(tmp_path / "a.png", 40, 3).permute(1, 2, 0).numpy() == np.asarray(upright)).all()


def test_cmyk_is_converted(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "red.jpg")
    red, green, blue = decode(tmp_path / "red.jpg", 4, 3).float().mean((1, 2))
    assert red > 245
    assert max(green, blue) < 10


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bit_grey_keeps_its_levels(tmp_path, suffix):
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(levels * 257).save(tmp_path / f"a.{suffix}")
    assert (decode(tmp_path / f"a.{suffix}", 16, 1)[0].numpy() == levels).all()
    assert (decode(tmp_path / f"a.{suffix}", 16, 3).numpy() == levels).all()


def test_deep_grey_of_other_kinds(tmp_path):
    levels = np.arange(256).reshape(16, 16)
    Image.fromarray((levels * 257).astype(np.int32)).save(tmp_path / "int.tif")
    Image.fromarray((levels / 255).astype(np.float32)).save(tmp_path / "float.tif")
    for name in ("int.tif", "float.tif"):
        assert (decode(tmp_path / name, 16, 1)[0].numpy() == levels).all()

    Image.fromarray(levels.astype(np.float32)).save(tmp_path / "bright.tif")
    with pytest.raises(DataError, match="grey values from 0 to 255, expected 0 to 1"):
        decode(tmp_path / "bright.tif", 16, 1)
    Image.fromarray(np.full((4, 4), np.nan, np.float32)).save(tmp_path / "nan.tif")
    with pytest.raises(DataError, match="16 of 16 pixels are NaN or infinite"):
        decode(tmp_path / "nan.tif", 16, 1)
    Image.fromarray(levels.astype(np.uint16)).save(tmp_path / "dark.png")
    with pytest.raises(DataError, match="all black"):
        decode(tmp_path / "dark.png", 16, 1)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L"])
def test_transparency_is_laid_over_white(tmp_path, mode):
    black = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    black.paste((0, 0, 0, 255), (4, 0, 8, 8))
    if mode in ("RGBA", "LA"):
        black.convert(mode).save(tmp_path / "a.png")
    else:  # one level, or one entry of the palette, is declared transparent
        levels = Image.new(mode, (8, 8), 7)
        if mode == "P":
            levels.putpalette(bytes(24))  # eight times black
        levels.paste(0, (4, 0, 8, 8))
        levels.save(tmp_path / "a.png", transparency=7)
    for channels in (1, 3):
        picture = decode(tmp_path / "a.png", 8, channels)
        assert (picture[:, :, :4] == 255).all()
        assert (picture[:, :, 4:] == 0).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_one_pixel_is_enough(tmp_path, mode):
    Image.new(mode, (1, 1), 0).save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png", 16, 3).shape == (3, 16, 16)


def test_a_long_strip_is_not_blown_up(tmp_path):
    Image.new("L", (60_000, 1), 9).save(tmp_path / "a.png")
    assert (decode(tmp_path / "a.png", 256, 1) == 9).all()


def bomb(path, side):
    """Write a PNG that says it has side x side pixels, and has none."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header
    path.write_bytes(data + struct.pack(">I", zlib.crc32(header)) + bytes(4) + b"IDAT")
    return path


def test_unreadable_files_say_why(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.png").write_text("I am not a picture")
    PHOTOS[0].save(tmp_path / "cut.jpg")
    PHOTOS[0].crop((0, 0, 60, 60)).save(tmp_path / "cut.png")
    for name, reason in {
        "empty.jpg": "empty file",
        "text.png": "not an image",
        "missing.png": "No such file",
        cut(tmp_path / "cut.jpg").name: "truncated",
        cut(tmp_path / "cut.png").name: "",
        bomb(tmp_path / "large.png", 10_000).name: "more than 89,478,485 pixels",  # PIL would warn
        bomb(tmp_path / "huge.png", 60_000).name: "more than 89,478,485 pixels",
    }.items():
        with pytest.raises(DataError, match=f"{name}: .*{reason}.*; replace or remove"):
            decode(tmp_path / name, 16, 3)
        with pytest.raises(DataError, match=f"{name}: .*{reason}.*; replace or remove"):
            photo(tmp_path / name)
    assert decoding.photo_size(tmp_path / "empty.jpg") == "empty file"
    assert decoding.photo_size(tmp_path / "cut.jpg") == (427, 640)


# Whole photos


def test_a_photo_is_decoded_at_its_full_size(tmp_path):
    PHOTOS[1].save(tmp_path / "a.png")
    decoded = photo(tmp_path / "a.png")
    assert decoded.is_contiguous()
    assert (decoded.permute(1, 2, 0).numpy() == np.asarray(PHOTOS[1])).all()


def test_a_photo_is_upright_flat_deep_and_in_color(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    paint(tmp_path / "turned.jpg", size=(40, 20), exif=exif)
    assert photo(tmp_path / "turned.jpg").shape == (3, 40, 20)
    assert decoding.photo_size(tmp_path / "turned.jpg") == (40, 20)
    Image.new("RGBA", (4, 2), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (photo(tmp_path / "clear.png") == 255).all()
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(levels * 257).save(tmp_path / "deep.png")
    assert (photo(tmp_path / "deep.png").numpy() == levels).all()


def test_photos_come_in_order_or_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "_PHOTO_CHUNK", 4)
    paths = [paint(tmp_path / f"{side}.png", size=(side, 5)) for side in range(1, 11)]
    paths.insert(3, cut(paint(tmp_path / "cut.png", size=(50, 50))))
    paths.append(bomb(tmp_path / "large.png", 10_000))
    widths = list(decoding.photos(iter(paths), lambda pixels: pixels.shape[2]))
    assert widths[:3] + widths[4:-1] == list(range(1, 11))
    assert isinstance(widths[3], str)
    assert widths[-1] == "more than 89,478,485 pixels"


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        ("crop", [[0, 0, 0, 0]] * 4),
        ("pad", [[0, 0, 0, 0], [255, 0, 0, 255], [255, 0, 0, 255], [0, 0, 0, 0]]),
        ("stretch", [[255, 0, 0, 255]] * 4),
    ],
)
def test_how_a_wide_photo_becomes_a_square(fit, expected, tmp_path):
    pixels = np.zeros((12, 24), np.uint8)
    pixels[:, :6] = pixels[:, 18:] = 255
    path = tmp_path / "넓다.png"
    Image.fromarray(pixels).save(path)
    square = decode(path, 12, 1, fit)[0]
    assert square[1::3, 1::3].tolist() == expected
    assert torch.equal(files.read_files(["a"], [path], 12, fit=fit)[0][0, 0], square)
