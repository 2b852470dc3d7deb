"""Images as data sets are handed out: in Parquet, in one folder, beside a table, in lists."""

import dataclasses
import io
import json
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from common.images.glance import choose_split, find_numbers, find_several, find_test
from common.images.load import find_files, load
from common.images.tables.locate import locate
from common.io.folders import PARTS
from common.io.naming import are_shards, are_variants
from common.options.budget import Choices
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


def test_archives_in_a_folder_or_an_archive(tmp_path):
    names = [f"{c}.{n}.jpg" for c in ("cat", "dog") for n in range(3)]
    images = folder(tmp_path / "images", names)
    root = tmp_path / "dogs-vs-cats"
    root.mkdir()
    for part in ("train", "test1"):
        with zipfile.ZipFile(root / f"{part}.zip", "w") as archive:
            for name in names:
                archive.write(images / name, f"{part}/{name}")
    (root / "sampleSubmission.csv").write_text("id,label\n1,0\n")
    assert labels(listed(root)) == {name: name[:3] for name in names}
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in root.iterdir():
            archive.write(file, file.name)
    found = listed(tmp_path / "all.zip")
    assert labels(found) == {name: name[:3] for name in names}
    assert "all.zip, unpacked to" in found.source
    (root / "train.zip").rename(root / "other.zip")
    with pytest.raises(DataError, match="no class folders"):
        listed(root)


def sizes(found):
    return {part: sum(file.part == part for file in found.files) for part in found.parts}


@pytest.mark.parametrize(
    ("names", "parts", "left_out"),
    [
        (  # a folder in each part that is called as it is, and one without classes
            ["seg_train/seg_train", "seg_test/seg_test"],
            {"train": 6, "test": 6},
            ["seg_pred/seg_pred/9.jpg"],
        ),
        (["train_images"], {"train": 6}, ["test_images/9.jpg"]),
        (["rps", "rps-test-set"], {"train": 6, "test": 6}, []),
        (["Train"], {"train": 6}, ["Test/9.jpg", "Meta/1.png"]),
        (["chest/train", "chest/val", "chest/test"], {"train": 6, "validation": 6, "test": 6}, []),
        (["images"], {"all": 6}, []),
        (["train", "validation_set"], {"train": 6, "validation": 6}, ["test_set/1.jpg"]),
        (["학습", "검증", "테스트"], {"train": 6, "validation": 6, "test": 6}, []),
        (["학습데이터", "시험_데이터"], {"train": 6, "test": 6}, ["표지/1.jpg"]),
        (["Training/원천데이터", "Validation/원천데이터"], {"train": 6, "validation": 6}, []),
    ],
)
def test_parts_as_archives_have_them(tmp_path, names, parts, left_out):
    classes = [f"{c}/{n}" for c in ("cat", "dog") for n in range(3)]
    root = folder(tmp_path / "kit", [f"{part}/{name}.jpg" for part in names for name in classes])
    folder(root, left_out)
    (root / "about").mkdir()
    (root / "about" / "readme.txt").write_text("cat dog")
    found = listed(root)
    assert sizes(found) == parts
    assert {file.label for file in found.files} == {"cat", "dog"}
    assert sorted(name for name, _ in found.skipped) == sorted(
        {name.partition("/")[0] + "/" for name in left_out}
    )
    for name in names:
        assert name.startswith("chest") or name in ("Train", *PARTS) or name in found.source
    assert listed(root, "optional").files == found.files


def test_classes_whose_images_are_a_folder_deeper(tmp_path):
    names = [f"train/{c}/images/{n}" for c in ("n01", "n02") for n in range(3)]
    names += ["val/images/0", "val/images/1", "test/images/0"]
    root = folder(tmp_path / "tiny", [f"{name}.JPEG" for name in names])
    found = listed(root)
    assert [file.label for file in found.files] == ["n01"] * 3 + ["n02"] * 3
    assert [name for name, _ in found.skipped] == ["test/", "val/"]


@pytest.mark.parametrize(
    "names",
    [
        ["trains/1", "trains/2", "trains/3", "tests/1", "tests/2", "tests/3"],
        ["bus/1", "bus/2", "bus/3", "train/1", "train/2", "train/3"],
        ["train station/1", "train station/2", "train station/3", "bus/1", "bus/2", "bus/3"],
    ],
)
def test_classes_that_are_called_nearly_as_parts(tmp_path, names):
    found = listed(folder(tmp_path / "kit", [f"{name}.jpg" for name in names]))
    assert found.classes == tuple(sorted({name.partition("/")[0] for name in names}))
    assert sizes(found) == {"all": 6}


def table_of(path, rows, header="image_id,dx,patient"):
    path.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return path


def test_folders_that_are_no_classes_where_a_table_says_others(tmp_path):
    names = [f"part_{1 + n % 2}/{n}" for n in range(12)]
    root = folder(tmp_path / "ham", [f"{name}.jpg" for name in names])
    table_of(
        root / "metadata.csv", [f"{n},{'nv' if n % 3 else 'mel'},p{n // 2}" for n in range(12)]
    )
    assert locate(root) == locate(root, "optional") == root / "metadata.csv"
    assert {file.label for file in listed(root).files} == {"nv", "mel"}
    # Beside folders that may be classes a table may be about anything.
    for old in ("1", "2"):
        (root / f"part_{old}").rename(root / ("cat", "dog")[int(old) - 1])
    assert locate(root) == root


def chosen(path):
    found = Choices(build(ImageConfig, ("test", {"data": str(path)})))
    choose_split(found)
    return found


def test_a_table_of_test_images_beside_that_of_training_images(tmp_path):
    names = [f"Train/{n % 2}/{n}" for n in range(12)] + [f"Test/{n}" for n in range(4)]
    root = folder(tmp_path / "signs", [f"{name}.jpg" for name in names])
    rows = [f"{name}.jpg,{n % 2}" for n, name in enumerate(names)]
    table_of(root / "Train.csv", rows[:12], "Path,ClassId")
    table_of(root / "Test.csv", rows[12:], "Path,ClassId")
    assert chosen(root).config.test == "data:Test.csv"
    assert "20 of" not in load(chosen(root).config)[1].source
    assert "4 of Test.csv to test" in load(chosen(root).config)[1].source
    folds = build(ImageConfig, ("test", {"data": str(root), "folds": 3, "fold": 1}))
    assert find_test(folds) is None
    assert "Test.csv has the images to test on" in chosen(root).reasons[0]
    assert chosen(root / "Train.csv").config.test is None  # one file was named
    for label in ("", "0"):  # none, or what a competition fills in
        table_of(root / "Test.csv", [f"{row[:-2]},{label}" for row in rows[12:]], "Path,ClassId")
        assert chosen(root).config.test is None
    assert locate(root) == root


@pytest.mark.parametrize(
    ("name", "groups", "expected"),
    [
        ("patient_id", 30, "patient_id"),
        ("환자번호", 30, "환자번호"),
        ("batch", 30, None),  # may be anything
        ("patient_id", 5, None),  # too few to be split
        ("patient_id", 60, None),  # each alone
    ],
)
def test_images_of_one_patient_stay_together(tmp_path, name, groups, expected):
    root = folder(tmp_path / "kit", [f"{n}.jpg" for n in range(60)])
    rows = [f"{n}.jpg,{'ab'[n % 2]},{n % groups}" for n in range(60)]
    table_of(root / "labels.csv", rows, f"file,label,{name}")
    found = chosen(root / "labels.csv")
    assert found.config.group_column == (expected or "auto")
    assert bool(found.reasons) == bool(expected)


def test_several_labels_of_plus_and_minus_one(tmp_path):
    root = folder(tmp_path / "faces", [f"{n}.jpg" for n in range(8)])
    rows = [f"{n}.jpg,{1 if n % 2 else -1},{1 if n % 4 else -1}" for n in range(8)]
    table_of(root / "attributes.csv", rows, "image_id,Smiling,Young")
    config = build(ImageConfig, ("test", {"data": str(root)}))
    assert "2 columns of zeros and ones" in str(find_several(root, config))
    found = find_files(config, "labels", "required")
    assert [sorted(file.label) for file in found.files[:3]] == [[], ["Smiling", "Young"], ["Young"]]


def test_images_in_one_folder_are_no_class(tmp_path):
    root = folder(tmp_path / "plant", [f"images/{n}.jpg" for n in range(6)])
    found = listed(root, "optional")
    assert len(found.files) == 6
    assert found.classes == ()
    with pytest.raises(DataError, match="no class folders"):
        listed(root)


def test_numbered_parts_of_a_set_are_no_classes(tmp_path):
    names = [f"images_00{1 + n % 2}/images/{n}.png" for n in range(8)]
    root = folder(tmp_path / "nih", names)
    with pytest.raises(DataError, match="images_001, images_002 are numbered parts of a set"):
        listed(root)
    table_of(root / "entries.csv", [f"{n}.png,{'ab'[n // 4]},p" for n in range(8)])
    assert locate(root) == root / "entries.csv"
    several = [["images1", "images2", "other"], ["1", "2"], ["digit 1", "digit 2"], ["P1", "P2"]]
    for names in [*several, ["part_a", "part_b"], ["scan 0", "scan 1"]]:
        assert not are_shards(names)


def test_variants_that_roboflow_made_stay_together(tmp_path):
    stems = [f"p{n:02}_jpg.rf.{v:032x}" for n in range(24) for v in range(2)]
    names = [f"train/{'ab'[n % 2]}/{stem}.jpg" for n, stem in enumerate(sorted(stems))]
    root = folder(tmp_path / "kit", names)
    found = chosen(root)
    assert found.config.group_by == "name"
    files = find_files(found.config, "class", "required").files
    assert len({file.group for file in files}) == 48  # a variant of each is in each of two classes
    assert are_variants(stems)
    assert not are_variants(stems[::2])
    assert not are_variants([*stems, "other"])


@pytest.mark.parametrize(
    ("name", "cell", "expected"),
    [
        ("label", lambda n: n / 7, "column 'label' has 60 different numbers"),
        ("age", lambda n: 20 + n % 40, "column 'age' has 40 different numbers"),
        ("나이", lambda n: 20 + n % 40, "column '나이' has 40 different numbers"),
        ("label", lambda n: n % 40, None),  # may be persons
        ("키워드", lambda n: n % 40, None),  # a word that begins as a height does
        ("age", lambda n: 10 * (n % 6), None),  # may be classes
        ("age_group", lambda n: n % 40, None),
        ("age", lambda n: "nan" if n == 7 else n % 40, "column 'age' has 40 different numbers"),
        ("label", lambda n: f"{n}px", None),
    ],
)
def test_labels_that_measure_something(tmp_path, name, cell, expected):
    root = folder(tmp_path / "kit", [f"{n}.jpg" for n in range(60)])
    path = table_of(root / "labels.csv", [f"{n}.jpg,{cell(n)}" for n in range(60)], f"file,{name}")
    config = build(ImageConfig, ("test", {"data": str(path)}))
    assert find_numbers(path, config) == expected
    bands = dataclasses.replace(config, label_bands=(f"{name}=3",), label_column=(name,))
    assert find_numbers(path, bands) is None
