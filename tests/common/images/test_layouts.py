"""Images as data sets are handed out: in Parquet, in one folder, beside a table, in lists."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from common.images.load import find_files, locate
from common.options.config import ImageConfig, build

CLASSES = ["고양이", "dog"]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("LABS_CACHE", str(tmp_path / "cache"))


def jpeg(number=0):
    data = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(data, "JPEG")
    return data.getvalue()


def folder(root, names, content=None):
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(number) if content is None else content)
    return root


def listed(path, classes="required"):
    return find_files(build(ImageConfig, ("test", {"data": str(path)})), "class", classes)


def labels(found):
    return {file.name.rpartition("/")[2]: file.label for file in found.files}


def parquet(path, numbers, *, named=True, plain=False):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    cells = [{"bytes": jpeg(n), "path": f"{n}.jpg"} for n in numbers]
    rows = {
        "image": [cell["bytes"] for cell in cells] if plain else cells,
        "label": [n % 2 for n in numbers],
        "boxes": [[1, 2]] * len(numbers),
    }
    table = pa.table(rows)
    if named:
        features = {"image": {"_type": "Image"}, "label": {"names": CLASSES}}
        told = {"huggingface": json.dumps({"info": {"features": features}})}
        table = table.replace_schema_metadata(told)
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path)
    return path


@pytest.mark.parametrize("plain", [False, True])
def test_parquet_with_images_in_it(tmp_path, plain):
    found = listed(parquet(tmp_path / "rows.parquet", range(6), plain=plain))
    assert [file.label for file in found.files] == CLASSES * 3
    assert found.files[5].path.read_bytes() == jpeg(5)
    assert "rows.parquet, unpacked to" in found.source
    assert locate(tmp_path / "rows.parquet").read_text("utf-8").startswith("image,label\n")


def test_classes_without_names_keep_their_numbers(tmp_path):
    found = listed(parquet(tmp_path / "rows.parquet", range(6), named=False))
    assert [file.label for file in found.files] == ["0", "1"] * 3


@pytest.mark.parametrize("place", ["", "data/"])
def test_a_folder_of_parquet_is_split_by_the_names_of_its_files(tmp_path, place):
    parquet(tmp_path / f"hub/{place}train-00000-of-00002.parquet", range(6))
    parquet(tmp_path / f"hub/{place}train-00001-of-00002.parquet", range(6, 12))
    parquet(tmp_path / f"hub/{place}test-00000-of-00001.parquet", range(12, 18))
    rows = locate(tmp_path / "hub").read_text("utf-8").splitlines()
    assert rows[0] == "image,label,split"
    assert [row.rpartition(",")[2] for row in rows[1:]] == ["test"] * 6 + ["train"] * 12


def test_other_columns_of_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    many = [["cat", "개"], ["cat"]]
    rows = {"image": [jpeg(0), jpeg(1)], "mask": [b"\0", b"\1"], "label": many, "at": [[1], [2]]}
    parquet.write_table(pa.table(rows), tmp_path / "a.parquet")
    lines = locate(tmp_path / "a.parquet").read_text("utf-8").splitlines()
    assert lines[0] == "image,label"
    assert lines[1].endswith('"[""cat"", ""개""]"')
    parquet.write_table(pa.table({"path": ["a"], "md5": [b"\x12\x34"]}), tmp_path / "b.parquet")
    assert locate(tmp_path / "b.parquet") == tmp_path / "b.parquet"  # other bytes are no images


def test_parquet_of_numbers_is_a_table(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pa.table({"x": [1, 2]}), tmp_path / "a.parquet")
    assert locate(tmp_path / "a.parquet") == tmp_path / "a.parquet"


@pytest.mark.parametrize(
    "names",
    [
        ["cat.0", "cat.1", "cat.2", "dog.0", "dog.1", "dog.2"],
        ["cat_01", "cat_02", "cat_03", "dog_01", "dog_02", "dog_03"],
        ["cat (1)", "cat (2)", "cat (3)", "dog (1)", "dog (2)", "dog (3)"],
        ["cat1", "cat2", "cat10", "dog1", "dog2", "dog3"],
    ],
)
def test_classes_in_the_names_of_files(tmp_path, names):
    root = folder(tmp_path / "flat", [f"{name}.jpg" for name in names])
    found = listed(root)
    assert labels(found) == {f"{name}.jpg": name[:3] for name in names}
    assert "classes from the files' names, such as 'cat' of cat" in found.source
    assert listed(root, "optional").classes == ()


@pytest.mark.parametrize(
    "names",
    [
        ["IMG_1", "IMG_2", "IMG_3", "DSC_1", "DSC_2", "DSC_3"],  # of two cameras
        ["cat_1", "cat_2", "cat_3", "dog_1", "dog_2", "dog_3", "sunset"],
        ["cat_1", "cat_2", "cat_3", "dog_1"],
        ["1", "2", "3"],
    ],
)
def test_names_that_say_no_classes(tmp_path, names):
    with pytest.raises(DataError, match="no class folders"):
        listed(folder(tmp_path / "flat", [f"{name}.jpg" for name in names]))


def test_shards_with_a_file_of_the_class_beside_each_image(tmp_path):
    with tarfile.open(tmp_path / "shard-000.tar", "w") as shard:
        for n in range(6):
            for name, data in ((f"{n:03}.jpg", jpeg(n)), (f"{n:03}.cls", b"%d\n" % (n % 2))):
                about = tarfile.TarInfo(name)
                about.size = len(data)
                shard.addfile(about, io.BytesIO(data))
    found = listed(tmp_path / "shard-000.tar")
    assert labels(found) == {f"{n:03}.jpg": str(n % 2) for n in range(6)}
    assert "classes from the .cls files" in found.source


def write_table(path, names, said="dog"):
    rows = [f"{name},{said if n % 2 else 'cat'}" for n, name in enumerate(names)]
    path.write_text("\n".join(["image_id,label", *rows]) + "\n", "utf-8")


def test_a_folder_with_its_table_beside_the_folder_of_images(tmp_path):
    names = [f"images/{n}.jpg" for n in range(6)]
    root = folder(tmp_path / "kit", names)
    write_table(root / "labels.csv", [f"{n}.jpg" for n in range(6)])
    (root / "about.csv").write_text("key,value\nlicense,none\n")
    assert labels(listed(root)) == {f"{n}.jpg": ("cat", "dog")[n % 2] for n in range(6)}


def test_images_that_need_no_classes_need_no_table(tmp_path):
    root = folder(tmp_path / "kit", [f"{n}.jpg" for n in range(6)])
    write_table(root / "captions.csv", ["0.jpg", "0.jpg", "1.jpg"])
    assert len(listed(root, "optional").files) == 6


def test_of_several_tables_it_is_that_of_the_training_images(tmp_path):
    root = folder(
        tmp_path / "kit", [f"{part}/{n}.jpg" for part in ("train", "test") for n in range(6)]
    )
    write_table(root / "train.csv", [f"train/{n}" for n in range(6)])
    write_table(root / "sample_submission.csv", [f"test/{n}" for n in range(6)], "cat")
    assert locate(root) == root / "train.csv"
    (root / "train.csv").rename(root / "more.csv")
    with pytest.raises(
        DataError, match="several tables: more.csv, sample_submission.csv; name one"
    ):
        locate(root)


def test_folders_of_classes_stay_what_they_are(tmp_path):
    root = folder(
        tmp_path / "kit", [f"{name}/{n}.jpg" for name in ("cat", "dog") for n in range(3)]
    )
    write_table(root / "labels.csv", ["cat/0.jpg"] * 3)
    assert locate(root) == root
    parts = folder(
        tmp_path / "parts",
        [f"{p}/{c}/{n}.jpg" for p in ("train", "test") for c in "ab" for n in range(3)],
    )
    write_table(parts / "labels.csv", ["train/a/0.jpg"] * 3)
    assert locate(parts) == parts


def test_a_list_of_images_with_their_classes(tmp_path):
    root = folder(tmp_path / "kit", [f"all/{n} x.jpg" for n in range(6)])
    (root / "train.txt").write_text("".join(f"all/{n} x.jpg {n % 2}\n" for n in range(6)))
    found = listed(root / "train.txt")
    assert [file.label for file in found.files] == ["0", "1"] * 3


def test_parquet_that_is_renamed_is_read_by_its_new_name(tmp_path):
    path = parquet(tmp_path / "rows.parquet", range(6))
    first = listed(path)
    again = listed(path.rename(tmp_path / "others.parquet"))
    assert [file.label for file in again.files] == [file.label for file in first.files]
    hub = tmp_path / "hub"
    parquet(hub / "a-0.parquet", range(6))
    parquet(hub / "b-0.parquet", range(6, 12))
    assert locate(hub).read_text("utf-8").startswith("image,label\n")
    (hub / "a-0.parquet").rename(hub / "test-0.parquet")
    (hub / "b-0.parquet").rename(hub / "train-0.parquet")
    assert locate(hub).read_text("utf-8").startswith("image,label,split\n")
