"""Tables of images as people have them: which file a row means, which column says what."""

import dataclasses
import os
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from common.errors import DataError
from common.images.decode import list_inputs, read_squares
from common.images.glance import find_split
from common.images.load import find_files, load
from common.images.tables.columns import find_separator
from common.images.tables.finder import Finder
from common.images.tables.listing import list_table
from common.options.config import ImageConfig

NFC, NFD = (lambda text, form=form: unicodedata.normalize(form, text) for form in ("NFC", "NFD"))


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LABS_CACHE", str(tmp_path / "cache"))


def touch(root, *names):
    """Make files that are images by their names."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def paint(path, value, side=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((side, side, 3), value, np.uint8)).save(path)
    return path


# Which file a row means

GONE = "no such image file"
MIXED = NFD("고양이/") + NFC("하나.jpg")
FOUND = {  # the files that there are; what a table says of one; the file, or why there is none
    "as it is written": (["a/1.jpg", "b/1.jpg"], "b/1.jpg", "b/1.jpg"),
    "backslashes": (["a/1.jpg", "b/1.jpg"], "b\\1.jpg", "b/1.jpg"),
    "a dot before": (["a/1.jpg"], "./a/1.jpg", "a/1.jpg"),
    "another folder's": (["camA/6.jpg"], "camB/6.jpg", f"{GONE}; there is camA/6.jpg"),
    "another part's": (["train/6.jpg"], "val/6.jpg", f"{GONE}; there is train/6.jpg"),
    "nested, another's": (["x/camA/6.jpg"], "y/camA/6.jpg", f"{GONE}; there is x/camA/6.jpg"),
    "name alone": (["train/1.jpg"], "1.jpg", "train/1.jpg"),
    "name of two": (["a/1.jpg", "b/1.jpg"], "1.jpg", "several images are called so: a/1.jpg, b/"),
    "end of a path": (["x/a/1.jpg", "x/b/1.jpg"], "b/1.jpg", "x/b/1.jpg"),
    "an id": (["train/0a1b.jpg"], "0a1b", "train/0a1b.jpg"),
    "an id with a folder": (["train/0a1b.jpg", "test/0a1b.jpg"], "test/0a1b", "test/0a1b.jpg"),
    "an id with dots": (["IMG.2020.01.jpg"], "IMG.2020.01", "IMG.2020.01.jpg"),
    "an id of two": (["1.jpg", "1.png"], "1", "several images are called so: 1.jpg, 1.png"),
    "an id beside notes": (["1.jpg", "1.txt", "1.json"], "1", "1.jpg"),
    "another suffix": (["1.png"], "1.jpg", GONE),
    "suffix in capitals": (["1.JPG"], "1.jpg", "1.JPG"),
    "all in capitals": (["Cat/IMG_1.JPG"], "cat/img_1.jpg", "Cat/IMG_1.JPG"),
    "one of two cases": (["a.jpg", "A.jpg"], "A.jpg", "A.jpg"),
    "one of two cases, unsaid": (["a.jpg", "A.jpg"], "A", "several images are called so"),
    "another machine's": (["cat/1.jpg", "dog/1.jpg"], "/home/kim/set/dog/1.jpg", "dog/1.jpg"),
    "another machine's folder": (["cat/1.jpg"], "/home/kim/set/dog/1.jpg", GONE),
    "Windows": (["cat/1.jpg", "dog/1.jpg"], "C:\\Users\\kim\\dog\\1.jpg", "dog/1.jpg"),
    "a folder above": (["cat/1.jpg"], "../input/cat/1.jpg", "cat/1.jpg"),
    "flat, from elsewhere": (["1.jpg"], "/home/kim/photos/1.jpg", "1.jpg"),
    "flat, from a folder": (["1.jpg"], "camB/1.jpg", f"{GONE}; there is 1.jpg"),
    "own folder's name": (["1.jpg"], "사진/1.jpg", "1.jpg"),
    "a web address": (["1.jpg"], "https://example.org/a/1.jpg", f"{GONE}; there is 1.jpg"),
    "composed": ([NFD("고양이/하나.jpg")], NFC("고양이/하나.jpg"), NFD("고양이/하나.jpg")),
    "decomposed": ([NFC("고양이/하나.jpg")], NFD("고양이/하나.jpg"), NFC("고양이/하나.jpg")),
    "mixed": (
        [NFD("고양이/") + NFC("하나.jpg")],
        NFC("고양이/하나.jpg"),
        NFD("고양이/") + NFC("하나.jpg"),
    ),
    "accents": ([NFD("père/é 1.jpg")], NFC("père/é 1.jpg"), NFD("père/é 1.jpg")),
    "spaces": (["a b/c  d.jpg"], "a b/c  d.jpg", "a b/c  d.jpg"),
    "hidden": ([".thumbnails/1.jpg"], "1.jpg", GONE),
    "not here": (["1.jpg"], "2.jpg", GONE),
    "nothing": (["1.jpg"], "", GONE),
    "a folder": (["1.jpg"], ".", GONE),
    "no name of a file": (["1.jpg"], "a\0b" + "c" * 500, GONE),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_row_means_its_own_file_or_none(name, tmp_path):
    files, text, expected = FOUND[name]
    root = touch(tmp_path / "사진", *files)
    [found] = Finder(root).find([text])
    if isinstance(found, Path):
        assert os.fspath(found.relative_to(root)) == expected
    else:
        assert found.startswith(expected)


def test_files_are_found_behind_links_and_where_the_path_is_right_as_it_is(tmp_path):
    touch(tmp_path / "elsewhere", "1.jpg")
    root = touch(tmp_path / "set", "a/2.jpg")
    (root / "images").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    absolute = str(tmp_path / "elsewhere" / "1.jpg")
    found = Finder(root).find(["images/1.jpg", "a/2", absolute])
    assert found == [root / "images/1.jpg", root / "a/2.jpg", Path(absolute)]


def test_numbers_that_start_again_in_each_part_are_those_of_one_part(tmp_path):
    """Of a table train.csv those of train/; else of the part that has the most."""
    files = [f"train/{number}.jpg" for number in range(8)]
    root = touch(tmp_path / "set", *files, *(f"test/{number}.jpg" for number in range(4, 12)))
    texts = [str(number) for number in range(12)]
    found = Finder(root).find(texts, "train")
    assert found[:8] == [root / file for file in files]
    assert found[8:] == [f"{GONE}; there is test/{number}.jpg" for number in range(8, 12)]
    assert Finder(root).find(texts, "test")[4] == root / "test/4.jpg"
    unsaid = Finder(root).find([*texts[:4], "8"])
    assert unsaid == [*(root / file for file in files[:4]), f"{GONE}; there is test/8.jpg"]


def test_where_some_rows_have_their_folders_the_others_have_none(tmp_path):
    """A copy in another folder does not stand in for an image that is missing."""
    root = touch(tmp_path / "set", "1.jpg", "2.jpg", "copies/1.jpg", "copies/3.jpg")
    assert Finder(root).find(["1.jpg", "2.jpg", "3.jpg"]) == [
        root / "1.jpg",
        root / "2.jpg",
        f"{GONE}; there is copies/3.jpg",
    ]


def test_two_folders_of_another_machine_are_not_one_file(tmp_path):
    root = touch(tmp_path / "set", "1.jpg", "2.jpg")
    texts = ["/data/camA/1.jpg", "/data/camB/1.jpg", "/data/camA/2.jpg"]
    found = Finder(root).find(texts)
    assert found[:2] == ["other rows mean this file by another name"] * 2
    assert found[2] == root / "2.jpg"


# Which column says what


def write_table(path, header, rows, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [header, *rows]
    path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
    return path


HEADERS = {  # a header, what a row says of image number i of the class c, and the columns
    "usual": ("path,label", "{i}.jpg,{c}", "path", ["label"]),
    "Kaggle": ("id,breed", "{i},{c}", "id", ["breed"]),
    "Kaggle, the other way": ("label,image_id", "{c},{i}", "image_id", ["label"]),
    "capitals": ("Image,Class", "{i}.jpg,{c}", "Image", ["Class"]),
    "words": ("Image ID,Class Name", "{i},{c}", "Image ID", ["Class Name"]),
    "Korean": ("파일,정답", "{i}.jpg,{c}", "파일", ["정답"]),
    "Korean, more": ("번호,파일명,분류", "9{i},{i}.jpg,{c}", "파일명", ["분류"]),
    "an index": (",filename,target", "{i}9,{i}.jpg,{c}", "filename", ["target"]),
    "a number too": ("id,filename,category", "{i},{i}.jpg,{c}", "filename", ["category"]),
    "two columns": ("what,which", "{i}.jpg,{c}", "what", ["which"]),
    "by content": ("which,note,what,label", "{c},x,{i}.jpg,{c}", "what", ["label"]),
    "more columns": ("img,width,height,species", "{i},8,8,{c}", "img", ["species"]),
}


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("folder", ["", "train"])
def test_columns_are_known_by_name_and_content(name, folder, tmp_path):
    header, form, path, labels = HEADERS[name]
    touch(tmp_path / "set" / folder, *(f"{number}.jpg" for number in range(6)))
    rows = [form.format(i=number, c="ab"[number % 2]) for number in range(6)]
    listed = list_table(write_table(tmp_path / "set" / "t.csv", header, rows), ImageConfig())
    assert [file.path.stem for file in listed.files] == list("012345")
    assert [file.label for file in listed.files] == ["a", "b"] * 3
    said = f"images from column {path!r}, labels from {labels[0]!r}"
    assert (said in listed.source) == ((path, labels) != ("path", ["label"]))


def test_columns_that_are_given_go_over_those_that_are_guessed(tmp_path):
    touch(tmp_path / "set", "1.jpg", "2.jpg", "3.jpg")
    rows = ["1.jpg,2.jpg,a,b", "2.jpg,3.jpg,a,b", "3.jpg,1.jpg,c,d"]
    table = write_table(tmp_path / "set" / "t.csv", "path,other,label,class", rows)
    listed = list_table(table, ImageConfig(path_column="other", label_column=("class",)))
    found = [(file.path.name, file.label) for file in listed.files]
    assert found == [("2.jpg", "b"), ("3.jpg", "b"), ("1.jpg", "d")]
    with pytest.raises(DataError, match="no column 'clas'; did you mean class"):
        list_table(table, ImageConfig(label_column=("clas",)))


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("when,where", "today,here", "none holds image files below .*--path-column.*--image-dir"),
        ("1.jpg,cat", "2.jpg,dog", "begins with an image, 1.jpg; write the columns' names above"),
        ("path,age,size", "1.jpg,3,4", "none is called as labels are"),
        ("path,cat,dog,old", "1.jpg,0,1,1\n2.jpg,1,0,0", "several of zeros and ones with --loss"),
        ("path,path,label", "1.jpg,1.jpg,a", "two columns are called 'path'"),
    ],
)
def test_columns_that_cannot_be_known_are_asked_for(header, row, message, tmp_path):
    touch(tmp_path / "set", "1.jpg", "2.jpg")
    with pytest.raises(DataError, match=message):
        list_table(write_table(tmp_path / "set" / "t.csv", header, [row]), ImageConfig())


def test_images_may_be_in_another_folder(tmp_path):
    touch(tmp_path / "images" / "train", "1.jpg", "2.jpg", "3.jpg")
    table = write_table(tmp_path / "tables" / "train.csv", "id,label", ["1,a", "2,b", "3,a"])
    with pytest.raises(DataError, match=r"--image-dir names another(.|\n)*3 x no such image file"):
        list_table(table, ImageConfig())
    listed = list_table(table, ImageConfig(image_dir=str(tmp_path / "images")))
    assert [file.path.name for file in listed.files] == ["1.jpg", "2.jpg", "3.jpg"]
    with pytest.raises(DataError, match="folder .* does not exist: there is no 'imags'"):
        list_table(table, ImageConfig(image_dir=str(tmp_path / "imags")))


@pytest.mark.parametrize("form", ["xlsx", "json", "jsonl", "parquet", "tsv", "gbk", "semicolon"])
def test_tables_of_all_kinds(form, tmp_path):
    import pandas

    names = ["苹果", "香蕉"] * 3
    touch(tmp_path, *(f"{number}.jpg" for number in range(6)))
    frame = pandas.DataFrame({"image": [f"{n}.jpg" for n in range(6)], "class": names})
    config, path = ImageConfig(), tmp_path / f"t.{form}"
    match form:
        case "xlsx":
            frame.to_excel(path, index=False)
        case "json":
            frame.to_json(path, orient="records", force_ascii=False)
        case "jsonl":
            frame.to_json(path, orient="records", lines=True)
        case "parquet":
            pytest.importorskip("pyarrow")
            frame.to_parquet(path)
        case "tsv":
            frame.to_csv(path, sep="\t", index=False)
        case "gbk":
            path = tmp_path / "t.csv"
            frame.to_csv(path, encoding="gbk", index=False)
            with pytest.raises(DataError, match="the encoding is not certain"):
                list_table(path, config)
            config = ImageConfig(file_encoding="gbk")
        case "semicolon":
            path = tmp_path / "t.csv"
            frame.to_csv(path, sep=";", index=False)
    listed = list_table(path, config)
    assert [(file.path.name, file.label) for file in listed.files] == [
        (f"{number}.jpg", names[number]) for number in range(6)
    ]


def test_rows_without_their_image_are_named_and_the_others_read(tmp_path):
    touch(tmp_path, *(f"camA/{number}.jpg" for number in range(6)))
    rows = [f"camA/{number}.jpg,{'ab'[number % 2]}" for number in range(6)]
    table = write_table(tmp_path / "t.csv", "path,label", [*rows, "camB/1.jpg,a", "camA/1.jpg,"])
    listed = list_table(table, ImageConfig())
    assert len(listed.files) == 6
    assert listed.skipped == (
        ("t.csv:8", "no such image file: camB/1.jpg; there is camA/1.jpg"),
        ("t.csv:9", "no label"),
    )


LABELS = {  # labels as they are written, the classes, and what is said
    "missing": (["0", "1", "nan", "0", "1", ""], ["0", "1", None] * 2, "1 labels are missing"),
    "two spellings": (["0.0", "1.0", "0", "1", "0", "1"], ["0", "1"] * 3, "are one class"),
    "as typed": (["01", "02"] * 3, ["01", "02"] * 3, ""),
    "floats": (["0.0", "1.0"] * 3, ["0.0", "1.0"] * 3, ""),
    "a word": (["none", "some"] * 3, ["none", "some"] * 3, "is a class as others are"),
    "Norway": (["no", "yes"] * 3, ["no", "yes"] * 3, ""),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_are_the_classes_that_are_meant(name, tmp_path):
    written, meant, said = LABELS[name]
    touch(tmp_path, *(f"{number}.jpg" for number in range(6)))
    rows = [f"{number}.jpg,{label}" for number, label in enumerate(written)]
    table = write_table(tmp_path / "t.csv", "path,label", rows)
    listed = list_table(table, ImageConfig(), to_learn=False)
    found = dict.fromkeys(range(6))
    found |= {int(file.path.stem): file.label for file in listed.files}
    assert list(found.values()) == meant
    assert [place for place, _ in listed.skipped] == [
        f"t.csv:{number + 2}" for number, label in enumerate(meant) if label is None
    ]
    assert said in listed.source


def test_groups_are_read_with_the_columns_that_were_found(tmp_path):
    for number in range(60):
        paint(tmp_path / f"{number}.png", 4 * number)
    rows = [f"{number},{'ab'[number % 2]},p{number // 4}" for number in range(60)]
    table = write_table(tmp_path / "t.csv", "image_id,breed,person", rows)
    splits, _ = load(ImageConfig(data=str(table), group_column="person", image_size=8))
    of = {name: {int(each) // 4 for each in part.names} for name, part in splits.items()}
    assert sum(map(len, of.values())) == 15


# Archives


def pack(path, members):
    """Write a zip; names that are bytes are stored as old Windows stores them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, data) in enumerate(members.items()):
            archive.writestr(name if isinstance(name, str) else f"{number:0{len(name)}}", data)
    packed = path.read_bytes()
    for number, name in enumerate(members):
        if isinstance(name, bytes):  # zipfile itself would write UTF-8
            packed = packed.replace(f"{number:0{len(name)}}".encode(), name)
    path.write_bytes(packed)
    return path


def picture(tmp_path, value):
    return paint(tmp_path / "one.png", value).read_bytes()


@pytest.mark.parametrize("top", ["", "사진/"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp949"])
def test_a_zip_of_class_folders_is_read(top, encoding, tmp_path):
    members = {}
    for number in range(4):
        for value, label in ((0, "고양이"), (100, "강아지")):
            name = f"{top}{label}/{number}.png"
            key = name if encoding == "utf-8" else name.encode("cp949")
            members[key] = picture(tmp_path, value + number)
    members["__MACOSX/고양이/._0.png"] = b"junk"
    path = pack(tmp_path / "photos.zip", members)
    splits, card = load(ImageConfig(data=str(path), image_size=8))
    assert card.classes == ("강아지", "고양이")
    assert sum(card.counts.values()) == 8
    assert card.source.startswith(f"photos.zip, unpacked to {tmp_path / 'cache'}")
    for part in splits.values():
        for image, target in zip(part.images, part.targets, strict=True):
            assert (image.max() >= 100) == (target == 0)
    [(names, given)] = read_squares(list_inputs([path]), 8, 3, pytest.fail)
    assert len(names) == len(given) == 8


def test_a_zip_with_a_table_is_read(tmp_path):
    members = {f"set/train/{n}.png": picture(tmp_path, n) for n in range(8)}
    rows = "".join(f"{n},{'ab'[n % 2]}\n" for n in range(8))
    path = pack(tmp_path / "set.zip", {**members, "set/train.csv": f"id,label\n{rows}"})
    listed = find_files(ImageConfig(data=str(path)), "class", "required")
    assert [file.label for file in listed.files] == ["a", "b"] * 4
    path = pack(
        tmp_path / "two.zip",
        {**members, "set/a.csv": "id,label\n0,a\n", "set/b.csv": "id,label\n1,b\n"},
    )
    with pytest.raises(DataError, match=r"holds several tables: a\.csv, b\.csv; unpack it"):
        find_files(ImageConfig(data=str(path)), "class", "required")


@pytest.mark.parametrize("name", ["../out.png", "/tmp/out.png", "a/../../out.png", "C:/out.png"])
def test_a_zip_that_would_lead_out_is_refused(name, tmp_path):
    path = pack(tmp_path / "bad" / "photos.zip", {name: picture(tmp_path, 1)})
    with pytest.raises(DataError, match="could lead out of the folder"):
        find_files(ImageConfig(data=str(path)), "class", "required")
    assert not list(tmp_path.rglob("out.png"))


# Several labels in a cell

CELLS = {  # cells of a column, and what stands between labels
    "bars": (["a|b", "b", "a|c"], "|"),
    "bars with spaces": (["cat | dog", "dog"], "|"),
    "commas": (["a,b", "b,c", "a", "c"], ","),
    "semicolons": (["a; b", "b; c", "a", "c"], ";"),
    "spaces": (["clear primary", "clear", "primary water", "water clear"], " "),
    "names of two words": (["golden retriever", "poodle", "golden retriever"], None),
    "kinds of two words": (["red car", "blue car", "red bus", "blue bus"], None),
    "one each": (["a", "b", "a"], None),
    "names with commas": (["Smith, John", "Doe, Jane", "nobody"], None),
    "none": ([], None),
}


@pytest.mark.parametrize("name", CELLS)
def test_what_stands_between_labels(name):
    cells, expected = CELLS[name]
    assert find_separator(cells) == expected


# Never another's image

WORDS = st.sampled_from(
    ["a", "b", "고양이", NFD("고양이"), "img 1", "É", NFD("É"), "1", "01", "x.y"]
)
SUFFIXES = st.sampled_from([".jpg", ".JPG", ".png", ""])
FOLDERS = st.lists(st.sampled_from(["a", "b", "train", "test", "한글", NFD("한글")]), max_size=2)
PLAIN = ("as it is", "backslashes", "NFC", "NFD", "capitals")
WAYS = (*PLAIN, "no suffix", "name", "end", "elsewhere")


@st.composite
def files_and_way(draw):
    """Return files, whether each is there, and the way in which a table calls them all."""
    file = st.tuples(FOLDERS, WORDS, SUFFIXES).map(lambda f: "/".join([*f[0], f[1] + f[2]]))
    files = draw(st.lists(file, min_size=1, max_size=8, unique_by=lambda n: NFC(n).casefold()))
    there = draw(st.lists(st.booleans(), min_size=len(files), max_size=len(files)))
    return list(zip(files, there, strict=True)), draw(st.sampled_from(WAYS))


def spell(name, way):
    match way:
        case "backslashes":
            return name.replace("/", "\\")
        case "NFC" | "NFD":
            return unicodedata.normalize(way, name)
        case "no suffix":
            return (
                name.removesuffix(Path(name).suffix)
                if Path(name).suffix in (".jpg", ".png")
                else name
            )
        case "name":
            return name.rpartition("/")[2]
        case "end":
            return "/".join(name.split("/")[-2:])
        case "elsewhere":
            return f"/home/김/set/{name}"
        case "capitals":
            return name.upper()
    return name


def clashes(files):
    """Say whether names are files and folders at once, on disks that know no capitals."""
    folded = [NFC(name).casefold() for name in files]
    return any(other.startswith(f"{name}/") for name in folded for other in folded)


def check_rows(root, files, way):
    """Each row gets its own image or says why not; and gets it where it is written in full."""
    texts = [spell(name, way) for name, _ in files]
    distinct = {NFC(each).casefold() for each in texts}
    if clashes([name for name, _ in files]) or len(distinct) < len(texts):
        return  # no such disk; or one name for two images, and nobody can tell them apart
    touch(root, *(name for name, there in files if there))
    root.mkdir(exist_ok=True)
    for (name, there), found in zip(files, Finder(root).find(texts), strict=True):
        if isinstance(found, str):
            assert not there or way not in PLAIN, found
        else:
            own = os.fspath(found.relative_to(root))
            assert NFC(own).casefold() == NFC(name).casefold()


def _hypothesis(examples):
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@_hypothesis(60)
@given(drawn=files_and_way())
def test_generated_rows_get_their_own_image_or_are_named(tmp_path_factory, drawn):
    check_rows(tmp_path_factory.mktemp("set") / "set", *drawn)


@pytest.mark.slow
@_hypothesis(1600)
@given(drawn=files_and_way())
def test_many_generated_rows_get_their_own_image_or_are_named(tmp_path_factory, drawn):
    check_rows(tmp_path_factory.mktemp("set") / "set", *drawn)


@pytest.mark.parametrize(
    ("column", "said"),
    [("split", True), ("is_train", True), ("Data Split", True), ("note", False), ("train", False)],
)
def test_a_column_of_the_split_is_named(tmp_path, column, said):
    touch(tmp_path, *(f"{at}.jpg" for at in range(6)))
    rows = [f"{at}.jpg,{'ab'[at % 2]},{at // 3}" for at in range(6)]
    table = tmp_path / "t.csv"
    table.write_text("\n".join([f"path,label,{column}", *rows]))
    source = list_table(table, ImageConfig()).source
    assert (f"column {column!r} splits nothing here" in source) is said


@pytest.mark.parametrize("kind", ["class", "labels"])
@pytest.mark.parametrize("cell", ["['a', 'b']", '["a"]', "[ 'a' ]", "[a] x", "[12]"])
def test_lists_of_labels_are_not_one_class(tmp_path, cell, kind):
    touch(tmp_path, *(f"{at}.jpg" for at in range(6)))
    quoted = cell.replace('"', '""')
    rows = [f'{at}.jpg,"{quoted if at % 2 else "c"}"' for at in range(6)]
    table = tmp_path / "t.csv"
    table.write_text("\n".join(["path,label", *rows]))
    if "'" in cell or '"' in cell:
        with pytest.raises(DataError, match="column 'label' has lists such as .* as a.b"):
            list_table(table, ImageConfig(), kind)
    else:
        assert len(list_table(table, ImageConfig(), kind).files) == 6


# Which rows are for what


def write_split(root, cells, column="split", labels=("a", "b")):
    """Write a table of images of two classes by turns, and of the part that each is for."""
    lines = [f"path,label,{column}"]
    for number, cell in enumerate(cells):
        name = f"{number}.png"
        paint(root / name, (number * 37) % 256)
        lines.append(f"{name},{labels[number % len(labels)]},{cell}")
    table = root / "labels.csv"
    table.write_text("\n".join(lines), encoding="utf-8")
    return ImageConfig(data=str(table), image_size=8)


def splits_of(config):
    return {name: sorted(split.names, key=len) for name, split in load(config)[0].items()}


@pytest.mark.parametrize("words", [("Train", "valid", "TEST"), ("학습", "검증", "시험")])
def test_a_column_of_parts_splits_the_rows(tmp_path, words):
    train, validation, test = words
    cells = [*[train] * 12, *[validation] * 4, *[test] * 4]
    config = write_split(tmp_path, cells, column="쓰임")
    assert find_split(config, "class", "required") == "쓰임"
    split = splits_of(dataclasses.replace(config, split_column="쓰임"))
    assert {name: len(names) for name, names in split.items()} == {
        "train": 12,
        "validation": 4,
        "test": 4,
    }
    assert {*split["test"]} == {f"{number}.png" for number in range(16, 20)}


def test_what_a_column_of_parts_lacks_is_cut_out_of_train(tmp_path):
    config = write_split(tmp_path, [*["train"] * 30, *["test"] * 6])
    split = splits_of(dataclasses.replace(config, split_column="split"))
    assert len(split["test"]) == 6
    assert 0 < len(split["validation"]) < len(split["train"])
    assert {*split["train"], *split["validation"]} == {f"{number}.png" for number in range(30)}


@pytest.mark.parametrize(
    "cells",
    [
        ["train"] * 12,  # no other part
        [*["train"] * 10, "extra", "test"],  # another word
        [*["train"] * 10, "", "test"],
        ["val", "test"] * 6,  # nothing to learn from
        [*["train"] * 11, "test"],  # a class is not in all parts
    ],
)
def test_a_column_that_says_more_or_less_than_parts_is_none(tmp_path, cells):
    assert find_split(write_split(tmp_path, cells), "class", "required") is None


def test_of_two_columns_of_parts_neither_is_taken_and_a_test_split_of_its_own_is_enough(tmp_path):
    config = write_split(tmp_path, [*["train"] * 8, *["test"] * 4])
    assert find_split(config, "class", "required") == "split"
    assert find_split(dataclasses.replace(config, test="elsewhere"), "class", "required") is None
    table = tmp_path / "labels.csv"
    head, *rows = table.read_text().splitlines()
    again = [f"{row},{row.rpartition(',')[2]}" for row in rows]
    table.write_text("\n".join([f"{head},fold", *again]))
    assert find_split(config, "class", "required") is None


def test_rows_that_say_no_part_and_images_in_two_parts_are_left_out(tmp_path):
    config = write_split(tmp_path, [*["train"] * 20, *["test"] * 6, "sometime"])
    table = tmp_path / "labels.csv"
    with table.open("a") as file:
        file.write("\n0.png,a,test")
    _, card = load(dataclasses.replace(config, split_column="split"))
    assert {name: why for name, why in card.skipped} == {
        "labels.csv:28": "no part of a split in 'split': sometime",
        "labels.csv:2": "an image in two parts of the split: 0.png",
        "labels.csv:29": "an image in two parts of the split: 0.png",
    }


def test_a_split_without_train_is_an_error(tmp_path):
    config = write_split(tmp_path, ["val", "test"] * 6)
    with pytest.raises(DataError, match="--split-column split: no row of .* is for train"):
        load(dataclasses.replace(config, split_column="split"))


def test_images_that_are_not_there_are_said_before_a_split_without_them(tmp_path):
    config = write_split(tmp_path, [*["train"] * 8, *["test"] * 4])
    for file in tmp_path.glob("*.png"):
        file.unlink()
    with pytest.raises(DataError, match="no such image file"):
        load(dataclasses.replace(config, split_column="split", path_column="path"))
