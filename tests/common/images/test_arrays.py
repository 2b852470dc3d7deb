import gzip
import io
import itertools
import os
import pickle
import struct
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from sklearn.datasets import load_digits, load_sample_images

from common.errors import DataError
from common.images.arrays import CIFAR10, find_arrays, holds_arrays, read_arrays
from common.images.decode import decode
from common.images.glance import choose_split
from common.images.load import load
from common.io.folders import PARTS
from common.options.budget import Choices
from common.options.config import ImageConfig, build

DIGITS = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)  # (1797, 8, 8)
LABELS = load_digits().target
PHOTO = load_sample_images().images[0]  # (427, 640, 3)
NUMPY = "numpy._core.multiarray _reconstruct"


def read(path):
    return read_arrays(Path(path), PARTS)


def refuse(path, message):
    """Return the message of what must be refused, which is one line and names the path."""
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    assert str(path) in said
    return said


def problem(path):
    """Return what is wrong with a file, or nothing."""
    try:
        read(path)
    except DataError as error:
        return str(error)
    return ""


def idx(values):
    """Write an array as IDX, its type in the third byte and its dimensions in the fourth."""
    codes = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}
    code = codes[values.dtype.str[1:]]
    header = struct.pack(f">HBB{values.ndim}I", 0, code, values.ndim, *values.shape)
    return header + values.astype(values.dtype.newbyteorder(">")).tobytes()


def write_mnist(folder, style="{part}-{kind}-idx{dims}-ubyte", pack=False, train=40, test=20):
    folder.mkdir(parents=True, exist_ok=True)
    for part, rows in (("train", slice(0, train)), ("t10k", slice(train, train + test))):
        for kind, values in (("images", DIGITS), ("labels", LABELS.astype(np.uint8))):
            name = style.format(part=part, kind=kind, dims=values.ndim)
            data = idx(values[rows])
            path = folder / (name + ".gz" if pack else name)
            path.write_bytes(gzip.compress(data) if pack else data)
    return folder


def batch(number, first=0):
    """Return the pixels of a CIFAR batch, (number, 3072), and labels."""
    pixels = np.random.default_rng(first).integers(0, 256, (number, 3072), dtype=np.uint8)
    return pixels, [(first + row) % 10 for row in range(number)]


def write_binary(folder, number=10):
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"data_batch_{index}.bin" for index in range(1, 6)] + ["test_batch.bin"]
    for first, name in enumerate(names):
        pixels, labels = batch(number, first)
        rows = np.hstack([np.array(labels, np.uint8)[:, None], pixels])
        (folder / name).write_bytes(rows.tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(CIFAR10))
    return folder


def python_two(pixels, labels):
    """Return a batch as Python 2 pickled those of CIFAR-10: protocol 2, text without an encoding.

    The opcodes are those that `pickletools.dis` shows of the real files.
    """

    def text(data):
        head = b"U" + bytes([len(data)]) if len(data) < 256 else b"T" + struct.pack("<I", len(data))
        return head + data

    def numbers(values):
        return b"".join(b"K" + bytes([value]) for value in values)

    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85q\x07"
        + (text(b"b") + b"\x87q\x09Rq\x0a(K\x01")
        + (b"M" + struct.pack("<H", len(pixels)) + b"M\x00\x0c\x86q\x0b")
        + (b"cnumpy\ndtype\nq\x0c" + text(b"u1") + b"K\x00K\x01\x87q\x0eRq\x0f(K\x03")
        + (text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x11b\x89")
        + (text(pixels.tobytes()) + b"tq\x12b")
    )
    listed = b"]q\x14(" + numbers(labels[:7]) + b"e(" + numbers(labels[7:]) + b"e"
    names = b"]q\x16(" + b"".join(text(b"cat_s_%06d.png" % row) for row in labels) + b"e"
    return (
        (b"\x80\x02}q\x01(" + text(b"batch_label") + b"q\x02" + text(b"training batch 1 of 5"))
        + (text(b"labels") + b"q\x13" + listed + text(b"data") + b"q\x04" + array)
        + (text(b"filenames") + b"q\x15" + names + b"u.")
    )


def write_python(folder, make=python_two, number=10):
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"data_batch_{index}" for index in range(1, 6)] + ["test_batch"]
    for first, name in enumerate(names):
        (folder / name).write_bytes(make(*batch(number, first)))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CIFAR10)}))
    return folder


def same(one, other):
    assert one.parts.keys() == other.parts.keys()
    for part, (pixels, labels) in one.parts.items():
        assert (pixels == other.parts[part].pixels).all()
        assert (labels == other.parts[part].labels).all()


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


# IDX


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize(
    "style",
    [
        "{part}-{kind}-idx{dims}-ubyte",
        "{part}-{kind}.idx{dims}-ubyte",
        "emnist-digits-{part}-{kind}-idx{dims}-ubyte",
    ],
)
def test_idx_files_are_found_however_they_are_called(style, pack, tmp_path):
    folder = write_mnist(tmp_path / "set", style, pack)
    assert holds_arrays(folder)
    found = read(folder)
    assert list(found.parts) == ["train", "test"]
    assert found.names == ()
    pixels, labels = found.parts["train"]
    assert (pixels.dtype, pixels.shape) == (np.uint8, (40, 1, 8, 8))
    assert (pixels[:, 0] == DIGITS[:40]).all()
    assert labels.dtype == np.int64
    assert (found.parts["test"].labels == LABELS[40:60]).all()


def test_the_layout_of_torchvision_is_looked_into(tmp_path):
    raw = write_mnist(tmp_path / "MNIST" / "raw")
    write_mnist(raw, pack=True)  # it leaves both there
    for folder in (tmp_path, tmp_path / "MNIST", raw):
        assert find_arrays(folder) == [raw]
        same(read(folder), read(raw))
    write_mnist(tmp_path / "FashionMNIST" / "raw")
    said = refuse(tmp_path, "several sets")
    assert said.endswith("FashionMNIST/raw, MNIST/raw")


def test_a_single_part_is_all_there_is(tmp_path):
    (tmp_path / "images-idx3-ubyte").write_bytes(idx(DIGITS[:5]))
    found = read(tmp_path)
    assert list(found.parts) == ["all"]
    assert found.parts["all"].labels is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (DIGITS[:4].astype(np.int16), DIGITS[:4]),
        (DIGITS[:4].astype(np.int32), DIGITS[:4]),
        ((DIGITS[:4] / 255).astype(np.float32), DIGITS[:4]),
        (DIGITS[:4].astype(np.float64), DIGITS[:4]),
    ],
)
def test_idx_of_other_types(values, expected, tmp_path):
    (tmp_path / "images-idx3-ubyte").write_bytes(idx(values))
    assert (read(tmp_path).parts["all"].pixels[:, 0] == expected).all()


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "begins with nothing"),
        (b"<html>404</html>", "begins with 3c 68 74 6d"),
        (b"\0\0\x08", "begins with 00 00 08"),
        (b"\0\0\x07\x03" + bytes(99), "begins with 00 00 07 03"),
        (b"\0\0\x08\xff" + bytes(9999), "begins with 00 00 08 ff"),
        (b"\0\0\x08\x03" + bytes(7), "ends within its header"),
        (struct.pack(">IIII", 0x803, 2**32 - 1, 2**32 - 1, 2**32 - 1), "bytes can hold"),
        (struct.pack(">IIII", 0x803, 10**6, 1000, 1000) + bytes(500), "bytes can hold"),
        (idx(DIGITS[:4]) + b"x", "and holds more"),
        (idx(DIGITS[:0]), r"is empty: it is of shape \(0, 8, 8\)"),
        (idx(LABELS.astype(np.uint8)), r"is of shape \(1797,\)"),
    ],
)
def test_idx_files_that_are_none(data, message, pack, tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(gzip.compress(data) if pack else data)
    refuse(path.parent, message)


def test_idx_files_that_are_cut(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(idx(DIGITS[:9])[:-1])
    assert "9 x 8 x 8 values in 576 bytes" in refuse(tmp_path, "and holds only 575")
    path.write_bytes(gzip.compress(idx(DIGITS[:9])[:-1]))
    refuse(tmp_path, "and holds only 575")
    path.write_bytes(gzip.compress(idx(DIGITS[:9]))[:-20])
    refuse(tmp_path, "is damaged")
    packed = bytearray(gzip.compress(idx(DIGITS[:9])))
    packed[-6] ^= 1  # in the checksum
    path.write_bytes(packed)
    refuse(tmp_path, "is damaged .CRC check failed")


def test_a_packed_bomb_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr("common.io.unpack._SMALL", 1 << 16)
    header = struct.pack(">IIII", 0x803, 1 << 10, 32, 32)
    path = tmp_path / "images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(header + bytes(1 << 20)))
    refuse(tmp_path, "1,024 x 32 x 32 values in 1,048,576 bytes, more than its")


def test_several_idx_sets_in_a_folder_are_told_apart(tmp_path):
    for name in ("digits", "letters"):
        write_mnist(tmp_path, f"emnist-{name}-{{part}}-{{kind}}-idx{{dims}}-ubyte")
    refuse(tmp_path, "several sets; move one elsewhere")


def test_idx_files_without_their_counterparts(tmp_path):
    folder = write_mnist(tmp_path / "set")
    (folder / "t10k-labels-idx1-ubyte").unlink()
    refuse(folder, "has labels, but none for test")
    (folder / "t10k-images-idx3-ubyte").rename(folder / "t10k-labels-idx1-ubyte")
    refuse(folder, "has labels for test, and no images")
    (folder / "t10k-labels-idx1-ubyte").unlink()
    assert list(read(folder).parts) == ["train"]
    for path in folder.iterdir():
        path.rename(str(path).replace("train", "t10k"))
    assert list(read(folder).parts) == ["test"]


# CIFAR-10


def test_both_versions_of_cifar_are_the_same(tmp_path):
    binary = read(write_binary(tmp_path / "cifar-10-batches-bin"))
    assert binary.names == CIFAR10
    pixels, labels = binary.parts["train"]
    assert pixels.shape == (50, 3, 32, 32)
    assert (pixels[10:20].reshape(10, -1) == batch(10, 1)[0]).all()
    assert labels[10:20].tolist() == batch(10, 1)[1]
    same(read(write_python(tmp_path / "py" / "cifar-10-batches-py")), binary)
    assert find_arrays(tmp_path) == [tmp_path / "cifar-10-batches-bin"]
    same(read(tmp_path), binary)


@pytest.mark.parametrize(
    ("form", "protocol"),
    [
        *((str, protocol) for protocol in range(1, 6)),
        *((str.encode, protocol) for protocol in (3, 5)),
    ],
)
def test_batches_that_were_pickled_anew(form, protocol, tmp_path):
    def make(pixels, labels):
        value = {form("labels"): labels, form("data"): pixels, form("batch_label"): form("1 of 5")}
        return pickle.dumps(value, protocol)

    found = read(write_python(tmp_path / "python", make))
    same(found, read(write_binary(tmp_path / "binary")))


@pytest.mark.parametrize("pack", ["w", "w:gz", "zip"])
def test_archives_are_unpacked_into_the_cache(pack, tmp_path, monkeypatch):
    monkeypatch.setenv("LABS_CACHE", str(tmp_path / "cache"))
    folder = write_binary(tmp_path / "cifar-10-batches-bin")
    path = tmp_path / ("set.zip" if pack == "zip" else "cifar-10-binary.tar.gz")
    if pack == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.iterdir():
                archive.write(file, f"inner/{file.name}")
    else:
        with tarfile.open(path, pack) as archive:
            archive.add(folder, folder.name)
    assert holds_arrays(path)
    for _ in range(2):
        same(read(path), read(folder))
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("cat/1.jpg", b"")
    refuse(tmp_path / "other.zip", "has no files of arrays")


@pytest.mark.parametrize("size", [0, 3072, 3073 * 3 - 1])
def test_a_binary_batch_that_is_cut(size, tmp_path):
    folder = write_binary(tmp_path / "set")
    path = folder / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match=f"data_batch_2.bin has {size:,} bytes, expected 3,073"):
        read(folder)


def test_a_label_that_cifar_does_not_have(tmp_path):
    folder = write_binary(tmp_path / "set")
    data = bytearray((folder / "test_batch.bin").read_bytes())
    data[2 * 3073] = 10
    (folder / "test_batch.bin").write_bytes(data)
    with pytest.raises(DataError, match="image 2 has the label 10, expected 0 to 9"):
        read(folder)


def hostile(path):
    """Return pickles that run code, and what would be a batch if it did."""
    pixels, labels = batch(10)
    good = python_two(pixels, labels)
    call = b"cos\nmkdir\n(X" + struct.pack("<I", len(str(path))) + str(path).encode() + b"tR0"
    return {
        "alone": pickle.dumps(Trap(path)),
        "before": good[:2] + call + good[2:],
        "inside": pickle.dumps({"data": Trap(path), "labels": labels}),
        "beside": pickle.dumps({"data": pixels, "labels": labels, "x": Trap(path)}),
        "in place of an array": good.replace(
            b"cnumpy.core.multiarray\n_reconstruct", b"cos\nmkdir"
        ),
    }


@pytest.mark.parametrize("name", hostile(Path()))
def test_a_hostile_batch_runs_nothing(name, tmp_path):
    trap = tmp_path / "trap"
    data = hostile(trap)[name]
    folder = write_python(tmp_path / "set")
    (folder / "data_batch_1").write_bytes(data)
    if error := problem(folder):
        assert "data_batch_1" in error
    else:  # where the trap stands beside the data, only the data is read
        pixels = read(folder).parts["train"].pixels
        assert (pixels[:10].reshape(10, -1) == batch(10)[0]).all()
    assert not trap.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"not a pickle",
        pickle.dumps([1, 2, 3]),
        pickle.dumps({"data": batch(3)[0], "labels": [1, 2]}),
        pickle.dumps({"data": batch(3)[0].astype(float), "labels": [1, 2, 3]}),
        pickle.dumps({"data": batch(3)[0], "fine_labels": [1, 2, 3]}),
        python_two(*batch(10))[:9000],
        b"\x80\x02r\xff\xff\xff\xff.",  # would take 64 GB for its memo
        b"\x80\x04\x8e" + b"\xff" * 8,
    ],
)
def test_python_batches_that_are_none(data, tmp_path):
    (tmp_path / "data_batch_1").write_bytes(data)
    refuse(tmp_path, "or the binary version, data_batch_1.bin")


# NumPy


def save(path, **values):
    np.savez_compressed(path, **values)
    return path


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),  # Keras
        ("X_train", "Y_train", "X_test", "Y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),  # MedMNIST
        ("train_data", "train_targets", "test_data", "test_targets"),
    ],
)
def test_arrays_are_known_by_their_names(names, tmp_path):
    values = (DIGITS[:40], LABELS[:40], DIGITS[40:60], LABELS[40:60])
    path = save(tmp_path / "a.npz", **dict(zip(names, values, strict=True)))
    assert holds_arrays(path)
    same(read(path), read(write_mnist(tmp_path / "mnist")))


def test_arrays_of_one_part_and_with_validation(tmp_path):
    for names in (("images", "labels"), ("x", "y"), ("data", "target")):
        found = read(save(tmp_path / "a.npz", **dict(zip(names, (DIGITS, LABELS), strict=True))))
        assert list(found.parts) == ["all"]
        assert (found.parts["all"].labels == LABELS).all()
    parts = ("test", "val", "train")
    named = {f"{part}_images": DIGITS[:9] for part in parts}
    named |= {f"{part}_labels": LABELS[:9, None] for part in parts}
    found = read(save(tmp_path / "a.npz", **named))
    assert list(found.parts) == ["train", "validation", "test"]
    assert (found.parts["validation"].labels == LABELS[:9]).all()


def test_images_alone(tmp_path):
    np.save(tmp_path / "a.npy", DIGITS)
    save(tmp_path / "a.npz", whatever=DIGITS)
    save(tmp_path / "b.npz", x_train=DIGITS, x_test=DIGITS[:3], note=np.arange(3))
    for name in ("a.npy", "a.npz"):
        found = read(tmp_path / name)
        assert (found.parts["all"].pixels[:, 0] == DIGITS).all()
        assert found.parts["all"].labels is None
    found = read(tmp_path / "b.npz")
    assert list(found.parts) == ["train", "test"]
    assert found.skipped == (("note", "neither images nor labels, by its name"),)


def test_color_stands_at_either_end(tmp_path):
    pixels = np.stack([PHOTO[row : row + 32, :32] for row in range(0, 300, 50)])
    np.save(tmp_path / "last.npy", pixels)
    np.save(tmp_path / "first.npy", np.moveaxis(pixels, 3, 1))
    np.save(tmp_path / "fortran.npy", np.asfortranarray(pixels))
    np.save(tmp_path / "grey.npy", pixels[..., :1])
    for name in ("last", "first", "fortran"):
        found = read(tmp_path / f"{name}.npy").parts["all"].pixels
        assert found.flags.c_contiguous
        assert (found == np.moveaxis(pixels, 3, 1)).all()
    assert read(tmp_path / "grey.npy").parts["all"].pixels.shape == (6, 1, 32, 32)


@pytest.mark.parametrize("shape", [(2, 17, 9), (2, 9, 17), (2, 3, 9, 17), (2, 17, 9, 3)])
def test_the_square_in_the_centre_is_taken_as_from_files(shape, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.save(tmp_path / "a.npy", pixels)
    found = read(tmp_path / "a.npy").parts["all"].pixels
    image = np.moveaxis(pixels[1], 0, 2) if shape[1] == 3 else pixels[1]
    Image.fromarray(image).save(tmp_path / "a.png")
    assert (found[1] == decode(tmp_path / "a.png", 9, found.shape[1]).numpy()).all()


@pytest.mark.parametrize(
    "values",
    [
        DIGITS.astype(np.int64),
        DIGITS.astype(np.float32),
        DIGITS / 255,
        (DIGITS / 255).astype(np.float32),
        (DIGITS.astype(">f4") / 255).astype(">f4"),
        DIGITS.astype(np.uint16).byteswap().view(">u2"),
    ],
)
def test_values_of_all_kinds_give_the_same_pixels(values, tmp_path):
    np.save(tmp_path / "a.npy", values)
    assert (read(tmp_path / "a.npy").parts["all"].pixels[:, 0] == DIGITS).all()


def test_two_levels(tmp_path):
    bits = DIGITS > 100
    for values in (bits, bits.astype(np.float32), bits.astype(np.uint8) * 255):
        np.save(tmp_path / "a.npy", values)
        assert (read(tmp_path / "a.npy").parts["all"].pixels[:, 0] == bits * 255).all()
    np.save(tmp_path / "a.npy", bits.astype(np.uint8))
    refuse(tmp_path / "a.npy", "uint8 pixels from 0 to 1; .* or booleans")


def test_the_scale_is_that_of_all_parts(tmp_path):
    dark = np.full((3, 4, 4), 0.5)
    path = save(tmp_path / "a.npz", x_train=np.full((3, 4, 4), 200.0), x_test=dark * 4)
    assert (read(path).parts["test"].pixels == 2).all()
    path = save(tmp_path / "a.npz", x_train=dark, x_test=dark)
    assert (read(path).parts["test"].pixels == 128).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (DIGITS.astype(float) - 1, r"float64 pixels from -1 to 254; expected"),
        (DIGITS / 255 * 1.01, r"float64 pixels from 0 to 1.01; expected"),
        (DIGITS.astype(np.uint16) * 257, "uint16 pixels from 0 to 65535"),
        (DIGITS.astype(np.int16) - 9, "int16 pixels from -9 to 246"),
        (DIGITS + 1j, "holds complex128"),
        (DIGITS.astype("U3"), "holds text, expected the images' pixels"),
        (np.zeros((4, 4, 4), "M8[s]"), "holds datetime64"),
        (np.zeros((4, 4, 4), [("a", "u1")]), r"holds \[\('a', 'u1'\)\]"),
        (DIGITS.reshape(-1, 64), r"is of shape \(1797, 64\); expected \(images, height, width\)"),
        (PHOTO, r"is of shape \(427, 640, 3\)"),
        (np.zeros((4, 3, 8, 3)), "with 1 or 3 channels"),
        (np.zeros((4, 8, 8, 4)), "with 1 or 3 channels"),
        (np.zeros((4, 8, 8, 8, 3)), "with 1 or 3 channels"),
        (np.zeros((0, 8, 8)), "is empty"),
        (np.zeros((8, 0, 8)), "is empty"),
        (np.zeros(()), "is of shape"),
    ],
)
def test_arrays_that_are_no_images(values, message, tmp_path):
    np.save(tmp_path / "a.npy", values)
    refuse(tmp_path / "a.npy", message)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_counted(bad, tmp_path):
    values = (DIGITS / 255).astype(np.float32)
    values[7, 1, 2] = values[7, 3, 3] = values[300, 0, 0] = bad
    path = save(tmp_path / "a.npz", x_train=DIGITS / 255, x_test=values)
    said = refuse(path, "3 pixels that are NaN or infinite, in 2 of 1,797 images")
    assert "x_test" in said
    assert "(counted from 0: 7, 300)" in said


def test_parts_that_do_not_fit_together(tmp_path):
    path = tmp_path / "a.npz"
    save(path, x_train=DIGITS, x_test=DIGITS[:, :6, :6])
    refuse(
        path, r"x_test has images of 1 x 6 x 6 \(channels, height, width\), .*x_train of 1 x 8 x"
    )
    save(path, x_train=DIGITS, x_test=DIGITS / 255)
    refuse(path, "x_test holds float64, .*x_train uint8; save both alike")
    save(path, x_val=DIGITS, x_test=DIGITS)
    refuse(path, "has validation, test, and no train")
    save(path, x=DIGITS, x_train=DIGITS)
    refuse(path, "what belongs to none: .*, x; remove it")
    save(path, x_train=DIGITS, train_images=DIGITS)
    refuse(path, "train_images: these are the images of train, as are others")
    save(path, x_train=DIGITS, y_train=LABELS, x_test=DIGITS)
    refuse(path, "has labels, but none for test")
    save(path, x_train=DIGITS, y_train=LABELS, x_test=DIGITS, y_test=LABELS.astype(str))
    refuse(path, "labels that are numbers and others that are text")
    save(path, a=DIGITS, b=LABELS)
    refuse(path, "no images under a name that says so; it has a, b, expected x_train")
    save(path)
    refuse(path, "it has none")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:-1], r"labels of shape \(1796,\), expected \(1797,\)"),
        (np.eye(10)[LABELS], r"labels of shape \(1797, 10\), expected \(1797,\)"),
        (LABELS / 2, r"label 1 is 0.5, expected whole numbers or text"),
        (np.where(LABELS == 2, np.nan, LABELS), "label 2 is nan"),
        (LABELS.astype(object), "Python objects, which are not read"),
        (LABELS.astype("S1"), "holds .S1"),
    ],
)
def test_labels_that_are_none(labels, message, tmp_path):
    refuse(save(tmp_path / "a.npz", x=DIGITS, y=labels), message)


def test_labels_of_other_kinds(tmp_path):
    decomposed = "고양이".encode().decode()
    for labels, expected in (
        (LABELS.astype(np.float32), LABELS),
        (LABELS > 4, LABELS > 4),
        (LABELS - 5, LABELS - 5),
        (np.where(LABELS > 4, decomposed, " dog "), np.where(LABELS > 4, "고양이", "dog")),
    ):
        found = read(save(tmp_path / "a.npz", x=DIGITS, y=labels))
        assert (found.parts["all"].labels == expected).all()


def test_objects_are_never_unpickled(tmp_path):
    trap = tmp_path / "trap"
    values = np.array([Trap(trap), Trap(trap)], dtype=object)
    np.save(tmp_path / "a.npy", values, allow_pickle=True)
    save(tmp_path / "a.npz", x=DIGITS[:2], y=values)
    uneven = np.empty(2, object)
    uneven[:] = [np.zeros((3, 3)), np.zeros((4, 4))]
    save(tmp_path / "b.npz", x=uneven)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Trap(trap)))
    for name in ("a.npy", "a.npz", "b.npz"):
        refuse(tmp_path / name, "could run code; save one array of numbers, with all images of one")
    refuse(tmp_path / "b.npy", "is damaged")
    save(tmp_path / "c.npz", x=DIGITS, y=LABELS, note=values)  # is not even opened
    assert [name for name, _ in read(tmp_path / "c.npz").skipped] == ["note"]
    assert not trap.exists()


def header(shape, dtype="|u1"):
    file = io.BytesIO()
    description = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, description)
    return file.getvalue()


def test_arrays_whose_header_lies(tmp_path):
    for shape, data, message in (
        ((10**6, 10**6, 10**3), b"", "announces 1,000,000 x 1,000,000 x 1,000 values in"),
        ((2, 8, 8), bytes(127), "in 128 bytes and holds 127"),
        ((2, 8, 8), bytes(129), "in 128 bytes and holds 129"),
        ((-2, 8, 8), bytes(128), "announces -2"),
        ((-2, -8, 8), bytes(128), "is damaged"),
    ):
        (tmp_path / "a.npy").write_bytes(header(shape) + data)
        refuse(tmp_path / "a.npy", message)
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr("x.npy", header(shape) + data)
        refuse(tmp_path / "a.npz", message)


def test_an_npz_that_is_a_bomb_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr("common.io.unpack._SMALL", 1 << 16)
    path = save(tmp_path / "a.npz", x=np.zeros((1024, 32, 32), np.uint8))
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("it was read"))
    refuse(path, "x unpacks to 1,048,704 bytes, beyond reason")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_npz_that_is_packed_otherwise_is_refused(method, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
        archive.writestr("x.npy", header((2, 8, 8)) + bytes(128))
    refuse(tmp_path / "a.npz", "not packed by deflate")


def test_damage_anywhere_is_told_or_harmless(tmp_path):
    """A byte changed or an end cut off gives a DataError, or other pixels; nothing else."""
    save(tmp_path / "good.npz", x=DIGITS[:3], y=LABELS[:3])
    np.save(tmp_path / "good.npy", DIGITS[:3])
    made = {
        "a.npz": (tmp_path / "good.npz").read_bytes(),
        "a.npy": (tmp_path / "good.npy").read_bytes(),
        "train-images-idx3-ubyte": idx(DIGITS[:3]),
        "train-images-idx3-ubyte.gz": gzip.compress(idx(DIGITS[:3])),
        "data_batch_1": python_two(*batch(1)),
    }
    generator = np.random.default_rng(0)
    for name, data in made.items():
        folder = tmp_path / name.replace(".", "_")
        folder.mkdir()
        path = folder / name
        place = folder if "batch" in name or "idx" in name else path
        ends = generator.integers(0, len(data), 10)
        flips = itertools.product(generator.integers(0, min(len(data), 300), 15), (1, 128, 255))
        damaged = [data[:end] for end in ends]
        damaged += [data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :] for at, bit in flips]
        for each in damaged:
            path.write_bytes(each)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # NumPy's, of headers of Python 2
                error = problem(place)
            assert not error or str(folder) in error


# Paths


def test_what_holds_no_arrays_says_what_does(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.png").write_bytes(b"")
    (tmp_path / "a.csv").write_text("path,label\n")
    assert not holds_arrays(tmp_path)
    assert not holds_arrays(tmp_path / "a.csv")
    assert not holds_arrays(tmp_path / "missing")
    refuse(tmp_path, "has no files of arrays: expected IDX files such as train-images-idx3-ubyte")
    refuse(tmp_path / "a.csv", "expected .npz, .npy, .mat, an archive, or a folder")
    refuse(tmp_path / "missing.npz", "does not exist")
    folder = write_mnist(tmp_path / "mnist")
    assert holds_arrays(folder / "train-images-idx3-ubyte")
    refuse(folder / "train-images-idx3-ubyte", "one of several files; name the folder")
    write_binary(folder)
    refuse(folder, "both IDX files and CIFAR-10's batches")
    refuse(write_python(write_binary(tmp_path / "cifar")), "binary and Python batches; separate")


def test_files_that_cannot_be_opened_are_named(tmp_path, monkeypatch):
    def deny(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    np.save(tmp_path / "a.npy", DIGITS)
    folder = write_mnist(tmp_path / "mnist")
    monkeypatch.setattr(Path, "open", deny)
    refuse(tmp_path / "a.npy", "cannot read .*: Permission denied")
    refuse(folder, "cannot read .*-ubyte: Permission denied")


def svhn(path, images, labels):
    savemat(path, {"X": np.moveaxis(images, 0, 3), "y": labels[:, None]})
    return path


def test_matlab_numbers_images_last(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (7, 12, 12, 3), np.uint8)
    labels = np.array([10, 1, 2, 3, 1, 2, 3], np.uint8)
    found = read(svhn(tmp_path / "train_12x12.mat", images, labels)).parts["all"]
    np.testing.assert_array_equal(found.pixels, np.moveaxis(images, 3, 1))
    assert found.labels.tolist() == labels.tolist()
    grey = images[..., 0]
    for given in (grey, np.moveaxis(grey, 0, 2)):
        savemat(tmp_path / "a.mat", {"train_x": given, "train_y": labels[None], "note": ["a"]})
        found = read(tmp_path / "a.mat").parts["train"]
        np.testing.assert_array_equal(found.pixels[:, 0], grey)
        assert found.labels.tolist() == labels.tolist()
    savemat(tmp_path / "b.mat", {"anything": grey})
    np.testing.assert_array_equal(read(tmp_path / "b.mat").parts["all"].pixels[:, 0], grey)


def test_arrays_in_a_folder_with_those_to_test_on(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (30, 12, 12, 3), np.uint8)
    labels = np.arange(30, dtype=np.uint8) % 3
    (tmp_path / "svhn").mkdir()
    svhn(tmp_path / "svhn/train_12x12.mat", images, labels)
    svhn(tmp_path / "svhn/test_12x12.mat", images[:9] // 2, labels[:9])
    found = Choices(build(ImageConfig, ("test", {"data": str(tmp_path / "svhn")})))
    choose_split(found)
    assert found.config.test == "data:test_12x12.mat"
    splits, _ = load(found.config)
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 27,
        "validation": 3,
        "test": 9,
    }


def test_matlab_files_that_cannot_be_read(tmp_path):
    path = tmp_path / "a.mat"
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124, b" ") + b"\0\2IM" + bytes(512))
    refuse(path, "save it with -v7")
    path.write_bytes(b"no matrix at all" * 20)
    refuse(path, "a.mat")
    savemat(path, {"theta": np.zeros((3, 3)), "alpha": 1})
    refuse(path, "no images under a name such as X or images; it has theta, alpha")
    savemat(path, {"X": np.zeros((4, 3000, 3000), np.uint8), "y": np.zeros(4)}, do_compression=True)
    refuse(path, "beyond reason")
