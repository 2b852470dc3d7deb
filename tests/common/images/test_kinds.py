"""Image files as people have them: which count as images, and how bright their pixels are."""

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, TiffImagePlugin

from common.errors import DataError
from common.images import decode as decoding
from common.images.decode import decode, list_inputs, read_squares
from common.images.load import ImageCard, labelled, load
from common.io.folders import walk
from common.options.config import ImageConfig
from tests.common.images.loading import load_folder


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LABS_CACHE", str(tmp_path / "cache"))


def draw(value, side=12):
    noise = np.random.default_rng(value).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def save(path, value=0, form="PNG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(value).save(path, form)
    return path


FORMS = {  # a name as people have it, and what is in it
    "a.jpe": "JPEG",
    "b.jfif": "JPEG",
    "c.JPG": "JPEG",
    "d.jpg ": "JPEG",
    "e.jpg_large": "JPEG",
    "f.jpg.1": "JPEG",
    "g": "PNG",
    "h.jpg": "PNG",
    "i.pnm": "PPM",
    "j.tga": "TGA",
    "k.TIF": "TIFF",
    "l.dib": "DIB",
    "m.pcx": "PCX",
    "n.webp": "WEBP",
    "o.bin": "BMP",
    "사진 1": "PNG",
}


def read_names(root, say):
    """Return the names of what is read where a network is asked about a folder."""
    return [name for names, _ in read_squares(list_inputs([root]), 12, 3, say) for name in names]


def test_files_are_read_by_their_content_whatever_they_are_called(tmp_path):
    root = tmp_path / "data"
    for number, (name, form) in enumerate(FORMS.items()):
        save(root / "cat" / name, number, form)
        save(root / "dog" / name, 100 + number, form)
    found = load_folder(root, 12)
    assert found.skipped == ()
    assert len(found.parts["all"]) == 2 * len(FORMS)
    assert f"{2 * len(FORMS)} images in 2 classes" in found.source
    for name, image in zip(found.parts["all"].names, found.parts["all"].images, strict=True):
        if FORMS[name[4:]] not in ("JPEG", "WEBP"):
            value = list(FORMS).index(name[4:]) + (100 if name.startswith("dog") else 0)
            expected = np.asarray(draw(value)).transpose(2, 0, 1)
            assert (image.numpy() == expected).all(), name

    given = read_names(root, pytest.fail)
    assert len(given) == 2 * len(FORMS)


def test_what_is_no_image_is_named_and_what_does_not_pretend_to_be_one_is_not(tmp_path):
    root = tmp_path / "data"
    for number in range(3):
        save(root / "cat" / f"{number}.png", number)
        save(root / "dog" / f"{number}.png", 10 + number)
    (root / "cat" / "notes").write_text("not a picture")
    (root / "cat" / "film.mov").write_bytes(b"\0\0\0\x14ftypqt  ")
    (root / "cat" / "drawing.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    save(root / "cat" / "DSC_1.NEF", 7, "TIFF")  # a raw file begins with a small preview
    (root / "cat" / "labels.txt").write_text("0 0.5 0.5 1 1")
    (root / "cat" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    found = load_folder(root, 12)
    unknown = "not an image, or of an unknown format"
    assert dict(found.skipped) == {
        "cat/DSC_1.NEF": "a camera's raw file, of which only a preview could be read",
        "cat/drawing.eps": unknown,
        "cat/film.mov": unknown,
        "cat/notes": unknown,
    }
    said = []
    names = read_names(root, said.append)
    assert len(names) == 6
    assert len(said) == 4


HIDDEN = (
    ".ipynb_checkpoints/0-checkpoint.png",
    ".thumbnails/big.png",
    "._0.png",
    ".DS_Store",
    "Thumbs.db",
    "__MACOSX/._0.png",
    "__MACOSX/cat/0.png",
    "@eaDir/0.png/SYNOPHOTO_THUMB_M.png",
    "cat/.thumbnails/0.png",
    "cat/._0.png",
)


def test_hidden_files_are_left_out_everywhere(tmp_path):
    root = tmp_path / "data"
    for name in ("cat", "dog"):
        for number in range(3):
            save(root / name / f"{number}.png", number)
    for name in HIDDEN:
        save(root / name, 50)
    found = load_folder(root, 12)
    assert (found.classes, len(found.parts["all"]), found.skipped) == (("cat", "dog"), 6, ())
    names = read_names(root, pytest.fail)
    assert [Path(name).relative_to(root).as_posix() for name in names] == [
        f"{folder}/{number}.png" for folder in ("cat", "dog") for number in range(3)
    ]
    assert len(read_names(root / ".thumbnails", pytest.fail)) == 1  # asked for


def test_links_to_folders_are_followed_once(tmp_path):
    root = tmp_path / "data"
    save(tmp_path / "elsewhere" / "1.png")
    root.mkdir()
    (root / "images").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere" / "up").symlink_to(root, target_is_directory=True)
    assert [path.relative_to(root).as_posix() for path in walk(root)] == ["images/1.png"]


def test_heic_is_read_with_its_package_and_named_without(tmp_path, monkeypatch):
    pillow_heif = pytest.importorskip("pillow_heif")
    turned = draw(1, 64).crop((0, 0, 64, 32)).resize((64, 32))
    exif = Image.Exif()
    exif[0x0112] = 6
    pillow_heif.from_pillow(turned).save(tmp_path / "a.heic", exif=exif.tobytes(), quality=100)
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.heic").read_bytes())
    size = decoding.photo_size(tmp_path / "a.heic")
    assert tuple(decoding.photo(tmp_path / "b.jpg").shape[1:]) == size == (64, 32)

    decoding._read_heif_too.cache_clear()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(DataError, match="HEIC, which needs pillow-heif: install it with pip"):
        decode(tmp_path / "a.heic", 8, 3)
    monkeypatch.undo()
    decoding._read_heif_too.cache_clear()


# How bright pixels are


def deep(path, values, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)
    return path


def ramp(low, high, side=16):
    return np.linspace(low, high, side * side).reshape(side, side)


def packed_12_bits(path, values):
    """Write a TIFF with 12 bits a pixel, as cameras for machines do."""
    flat = values.astype(np.uint16).reshape(-1, 2)
    first, second = flat[:, 0], flat[:, 1]
    data = np.stack([first >> 4, ((first & 15) << 4) | (second >> 8), second & 255], 1)
    entries = TiffImagePlugin.ImageFileDirectory_v2()
    height, width = values.shape
    for tag, value in {
        256: width,
        257: height,
        258: 12,
        259: 1,
        262: 1,
        277: 1,
        278: height,
    }.items():
        entries[tag] = value
    entries[279], entries[273] = data.size, 0  # from the end of the entries
    head = b"II*\0" + (8).to_bytes(4, "little") + entries.tobytes(8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + data.astype(np.uint8).tobytes())
    return path


DEPTHS = {  # (file, its values from and to, their type, what is white, what is said)
    "10 bits in 16": ("tif", 40, 1023, np.uint16, 1023, "values 40 to 1023 scaled so that 1023"),
    "12 bits in 16": ("tif", 300, 4095, np.uint16, 4095, "values 300 to 4095 scaled so that 4095"),
    "12 bits, PNG": ("png", 0, 4000, np.uint16, 4095, "values 0 to 4000 scaled so that 4095"),
    "14 bits": ("png", 0, 16_000, np.uint16, 16_383, "scaled so that 16383 is white"),
    "16 bits": ("tif", 0, 65_535, np.uint16, 65_535, "scaled so that 65535 is white"),
    "8 bits in 16": ("tif", 0, 255, np.uint16, 255, "scaled so that 255 is white"),
    "32 bits": ("tif", 0, 4095, np.int32, 4095, "scaled so that 4095 is white"),
    "floats to 1": ("tif", 0, 1, np.float32, 1, "floating-point grey, values 0 to 1 scaled"),
    "floats to 255": ("tif", 0, 255, np.float32, 255, "scaled so that 255 is white"),
    "floats to 4095": ("tif", 0, 4095, np.float32, 4095, "scaled so that 4095 is white"),
}


@pytest.mark.parametrize("name", DEPTHS)
@pytest.mark.parametrize("decode_to", ["memory", "cache", "stream"])
def test_a_set_is_scaled_by_its_real_range_all_alike(name, decode_to, tmp_path):
    """Dark classes stay darker than bright ones, and none is refused as black."""
    suffix, low, high, dtype, white, said = DEPTHS[name]
    root = tmp_path / "data"
    files = {}
    for number in range(3):
        dark = low + (high - low) / 8
        files[f"bright/{number}.{suffix}"] = ramp(low, high).astype(dtype)
        files[f"dark/{number}.{suffix}"] = ramp(low, dark).astype(dtype)
    for file, values in files.items():
        deep(root / file, values)
    for _ in range(2):  # also what a manifest remembers
        found = load_folder(root, 16, 1, decode_to)
        part = found.parts["all"]
        assert said in found.source
        assert found.skipped == ()
        for row, file in enumerate(part.names):
            expected = np.rint(files[file].astype(np.float64) * 255 / white)
            assert (part.images[row][0].numpy() == expected).all()


def test_a_run_scales_what_it_is_given_as_it_scaled_its_own(tmp_path):
    root = tmp_path / "data"
    for number in range(12):
        for name, high in (("bright", 4095), ("dark", 400)):
            deep(
                root / name / f"{number}.tif",
                (ramp(0, high) + number % 3).clip(0, 4095).astype("u2"),
            )
    splits, card = load(ImageConfig(data=str(root), image_size=16))
    assert ImageCard.from_dict(card.as_dict()).scale.whole == 4095
    one = deep(tmp_path / "one.tif", ramp(0, 400).astype(np.uint16))
    [(_, images)] = read_squares(list_inputs([one]), 16, 1, pytest.fail, white=card.scale)
    assert images.max() == 25
    with pytest.raises(DataError, match=r"nothing says what is; save it as 8 bits"):
        decode(one, 16, 1)
    again = labelled(ImageConfig(data=str(root / "..") + "/data", image_size=16), card, pytest.fail)
    assert torch.equal(again.images.sum(), sum(part.images.sum() for part in splits.values()))

    brighter = deep(tmp_path / "brighter.tif", ramp(0, 60_000).astype(np.uint16))
    with pytest.raises(DataError, match="grey values from 0 to 60000, expected 0 to 4095"):
        decode(brighter, 16, 1, white=card.scale)


def test_a_file_that_no_scale_fits_does_not_spoil_that_of_the_others(tmp_path):
    for name in ("a", "b"):
        for number in range(3):
            deep(tmp_path / "data" / name / f"{number}.tif", ramp(0, 200).astype(np.float32))
    for name, value in (("nan", np.nan), ("inf", np.inf), ("large", 1e9)):
        deep(tmp_path / "data" / "a" / f"{name}.tif", np.full((9, 9), value, np.float32))
    found = load_folder(tmp_path / "data", 16)
    assert found.white.real == 255
    assert [name for name, _ in found.skipped] == ["a/inf.tif", "a/large.tif", "a/nan.tif"]


@pytest.mark.parametrize("most", [1023, 4095])
def test_a_portable_graymap_says_what_is_white(most, tmp_path):
    values = ramp(0, 200).astype(">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 16 16 %d\n" % most + values.tobytes())
    levels = decode(tmp_path / "a.pgm", 16, 1)[0].numpy()
    assert np.abs(levels - values * 255.0 / most).max() <= 0.51


def test_files_that_are_much_darker_than_white_are_counted(tmp_path):
    for name, high in (("a", 60_000), ("b", 4000)):
        for number in range(3):
            deep(tmp_path / "data" / name / f"{number}.png", ramp(0, high).astype(np.uint16))
    found = load_folder(tmp_path / "data", 16)
    assert "3 of them dark, or of fewer bits: at most 4095.94" in found.source


def test_bits_that_a_file_says_count_also_where_it_is_dark(tmp_path):
    for name, high in (("a", 900), ("b", 200)):
        for number in range(3):
            packed_12_bits(tmp_path / "data" / name / f"{number}.tif", ramp(0, high))
    found = load_folder(tmp_path / "data", 16, 1)
    assert "6 files of deeper grey, scaled by the bits that they say" in found.source
    assert found.skipped == ()
    expected = np.rint(np.floor(ramp(0, 900)) * 255 / 4095)
    assert (found.parts["all"].images[0][0].numpy() == expected).all()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.arange(256).reshape(16, 16) % 9, "all black or nearly if 65,535 is white"),
        (np.arange(256).reshape(16, 16) - 100, "grey values from -100 to 155, expected 0 to"),
        (np.full((16, 16), np.nan, np.float32), "256 of 256 pixels are NaN or infinite"),
        (np.full((16, 16), 1e6, np.float32), "grey values from 1e+06 to 1e+06, expected 0 to 1"),
    ],
)
def test_values_that_no_scale_fits_are_refused_by_name(values, reason, tmp_path):
    values = values.astype(np.int32) if values.dtype == np.int64 else values
    for number in range(3):
        deep(tmp_path / "data" / "a" / f"{number}.tif", values)
    with pytest.raises(DataError) as error:
        load_folder(tmp_path / "data", 16)
    assert reason in str(error.value)


def sixteen_bit_color(path, values):
    """Write a PNG with three channels of 16 bits, which Pillow reads and does not write."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    height, width = values.shape
    rows = np.repeat(values.astype(">u2")[:, :, None], 3, 2).reshape(height, -1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(raw))
        + chunk(b"IEND", b"")
    )


def test_color_of_fewer_bits_in_16_is_refused_and_of_16_is_read_dark_too(tmp_path):
    for number in range(3):
        sixteen_bit_color(tmp_path / "few" / "a" / f"{number}.png", ramp(0, 4095))
        sixteen_bit_color(tmp_path / "all" / "a" / f"{number}.png", ramp(0, 65_535))
        sixteen_bit_color(tmp_path / "all" / "b" / f"{number}.png", ramp(0, 4095))
    with pytest.raises(DataError, match="16-bit color of at most 6% of white"):
        load_folder(tmp_path / "few", 16)
    found = load_folder(tmp_path / "all", 16)
    assert found.skipped == ()
    assert found.parts["all"].images[0].max() == 255


def test_zero_is_white_where_a_tiff_says_so(tmp_path):
    values = ramp(0, 65_535).astype(np.uint16)
    deep(tmp_path / "a.tif", values, tiffinfo={262: 0})
    levels = decode(tmp_path / "a.tif", 16, 1)[0].numpy()
    assert (levels == 255 - np.rint(values / 257)).all()


def test_of_several_pictures_the_first_is_taken_and_that_is_said(tmp_path):
    for name in ("a", "b"):
        for number in range(3):
            path = tmp_path / "data" / name / f"{number}.{'gif' if name == 'a' else 'tif'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            pictures = [Image.new("L", (8, 8), shade) for shade in (10 + number, 200)]
            pictures[0].save(path, save_all=True, append_images=pictures[1:])
    found = load_folder(tmp_path / "data", 8)
    assert "6 files hold several pictures, of which the first is taken" in found.source
    assert found.parts["all"].images.amax((1, 2, 3)).tolist() == [10, 11, 12] * 2


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_pictures_are_turned_once(suffix, compression, tmp_path):
    upright = Image.new("L", (40, 24), 0)
    upright.paste(255, (0, 0, 8, 24))
    exif = Image.Exif()
    exif[0x0112] = 8  # turned a quarter to the left
    options = {"compression": compression} if compression and suffix == "tif" else {}
    file = tmp_path / f"a.{suffix}"
    upright.transpose(Image.Transpose.ROTATE_270).save(file, exif=exif, **options)
    pixels = decoding.photo(file)[0].float()
    assert decoding.photo_size(file) == tuple(pixels.shape) == (24, 40)
    assert pixels[:, :7].mean() > 250
    assert pixels[:, 9:].mean() < 5


MODES = {  # a mode of Pillow, what is painted in it, and the color that people see
    "1": (1, (255, 255, 255)),
    "L": (90, (90, 90, 90)),
    "LA": ((90, 0), (255, 255, 255)),
    "P": (3, (30, 60, 90)),
    "RGBA": ((9, 9, 9, 0), (255, 255, 255)),
    "CMYK": ((255, 0, 0, 0), (0, 255, 255)),
}


@pytest.mark.parametrize("mode", MODES)
def test_modes_become_the_colors_that_people_see(mode, tmp_path):
    paint, seen = MODES[mode]
    image = Image.new(mode, (8, 8), paint)
    if mode == "P":
        image.putpalette([0] * 9 + [30, 60, 90])
    image.save(tmp_path / "a.tif" if mode == "CMYK" else tmp_path / "a.png")
    pixels = decode(next(tmp_path.glob("a.*")), 8, 3)
    assert pixels[:, 4, 4].tolist() == list(seen)


@pytest.mark.parametrize(
    ("hot", "white", "said"),
    [
        ({}, 4095, "values 0 to 4095 scaled"),
        ({0: 1}, 4095, "1 pixels of 1 files are beyond 4095, which all others need"),
        ({5: 2}, 4095, "2 pixels of 1 files are beyond 4095"),
        ({0: 100}, 65_535, "scaled so that 65535 is white"),
        ({at: 1 for at in range(3)}, 65_535, "scaled so that 65535 is white"),
    ],
)
@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_a_few_hot_pixels_do_not_darken_a_set(hot, white, said, suffix, tmp_path):
    root = tmp_path / "data"
    for number in range(10):
        values = ramp(0, 4095).astype(np.uint16)
        values.reshape(-1)[: hot.get(number, 0)] = 65_535
        deep(root / "ab"[number % 2] / f"{number}.{suffix}", values)
    found = load_folder(root, 16, 1)
    assert (found.white.whole, found.skipped) == (white, ())
    assert said in found.source
    assert found.parts["all"].images.amax() == 255


@pytest.mark.parametrize(("high", "said"), [(1, True), (15, True), (40, False), (255, False)])
@pytest.mark.parametrize("decode_to", ["memory", "stream"])
def test_images_that_are_all_nearly_black_are_named(high, said, decode_to, tmp_path):
    for name in ("a", "b"):
        for number in range(3):
            values = (np.arange(256).reshape(16, 16) + number) % (high + 1)
            deep(tmp_path / "data" / name / f"{number}.png", values.astype(np.uint8))
    source = load_folder(tmp_path / "data", 16, 1, decode_to).source
    assert (f"all are nearly black, at most {high} of 255" in source) is said
