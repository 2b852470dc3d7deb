"""Pascal VOC as tools write it: names, corners, lists and sizes."""

import json
import unicodedata

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from common.errors import DataError
from labs.detection import records
from labs.detection.data import formats
from labs.detection.data.check import check


def paint(path, size=(100, 50), value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(value).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def xml(objects, more="", head=""):
    boxes = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax>"
        f"<ymax>{y2}</ymax></bndbox></object>"
        for name, x1, y1, x2, y2 in objects
    )
    return f"{head}<annotation>{more}{boxes}</annotation>"


def write(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def boxes_of(root):
    return {
        picture.name: [box[:4] for box in picture.boxes] for picture in formats.read(root).pictures
    }


@pytest.mark.parametrize(
    ("declared", "encoding", "names"),
    [
        ("GBK", "gbk", ("自行车", "行人")),
        ("gb2312", "gbk", ("自行车", "镕")),
        ("GB18030", "gb18030", ("自行车", "行人")),
        ("gb2312", "gb2312", ("猫", "狗")),
        ("Big5", "big5", ("貓", "狗")),
        ("Shift_JIS", "cp932", ("自転車", "髙")),
        ("EUC-JP", "euc_jp", ("自転車", "人")),
        ("euc-kr", "cp949", ("고양이", "똠")),
        ("cp949", "cp949", ("고양이", "개")),
        ("ks_c_5601-1987", "cp949", ("고양이", "개")),
        ("ISO-8859-1", "latin-1", ("Fußgänger", "vélo")),
        ("windows-1252", "cp1252", ("Fußgänger", "can’t")),
        ("windows-1251", "cp1251", ("кошка", "собака")),
        ("UTF-8", "utf-8", ("고양이", "vélo")),
        ("utf-8", "utf-8-sig", ("고양이", "vélo")),
        ("UTF-16", "utf-16", ("고양이", "vélo")),
        ("utf-16", "utf-8", ("고양이", "vélo")),
        (None, "utf-8", ("고양이", "자전거")),
    ],
)
@pytest.mark.parametrize("quote", ['"', "'"])
def test_names_are_as_written_in_the_declared_encoding(tmp_path, declared, encoding, names, quote):
    head = (
        f"<?xml version={quote}1.0{quote} encoding={quote}{declared}{quote}?>\n" if declared else ""
    )
    for value, name in enumerate(names):
        paint(tmp_path / f"{value}.png", value=value)
        write(tmp_path / f"{value}.xml", xml([(name, 1, 1, 9, 9)], head=head), encoding)
    found = formats.read(tmp_path)
    assert not found.problems
    assert set(found.classes) == set(names)


@pytest.mark.parametrize(
    ("declared", "encoding", "why"),
    [
        ("klingon", "utf-8", "klingon, which is not known"),
        ("ascii", "utf-8", "declares the encoding ascii, but is in UTF-8"),
        ("iso-8859-1", "utf-8", "declares the encoding iso-8859-1, but is in UTF-8"),
        ("shift_jis", "utf-8", "declares the encoding shift_jis, but byte"),
    ],
)
def test_a_wrong_declaration_is_named(tmp_path, declared, encoding, why):
    head = f'<?xml version="1.0" encoding="{declared}"?>'
    for stem, text in (
        ("a", xml([("고양이", 1, 1, 9, 9)], head=head)),
        ("b", xml([("개", 1, 1, 9, 9)])),
    ):
        paint(tmp_path / f"{stem}.png", value=ord(stem))
        write(tmp_path / f"{stem}.xml", text, encoding)
    found = formats.read(tmp_path)
    assert found.classes == ("개",)
    [problem] = [each for each in found.problems if each.kind == records.BAD_LABELS]
    assert why in problem.detail


@pytest.mark.parametrize(
    ("corners", "expected", "from_zero"),
    [
        ([(1, 1, 10, 20), (91, 31, 100, 50)], [(0, 0, 10, 20), (90, 30, 100, 50)], False),
        ([(0, 5, 10, 20), (90, 30, 100, 50)], [(0, 5, 10, 20), (90, 30, 100, 50)], True),
        ([(3, 0.4, 10, 20), (90, 30, 100, 50)], [(3, 0.4, 10, 20), (90, 30, 100, 50)], True),
        ([(2.5, 3.25, 9.75, 8.5), (1.5, 2, 3, 4)], [(2.5, 3.25, 9.75, 8.5), (1.5, 2, 3, 4)], True),
        ([(2.0, 3.0, 9.0, 8.0)], [(1, 2, 9, 8)], False),
        (
            [(2.7, 3, 9, 8), (5, 5, 8, 8), (7, 7, 9, 9)],
            [(1.7, 2, 9, 8), (4, 4, 8, 8), (6, 6, 9, 9)],
            False,
        ),
    ],
)
def test_pixels_from_one_or_from_zero_alike_in_all_files(tmp_path, corners, expected, from_zero):
    for value, box in enumerate(corners):
        paint(tmp_path / f"{value}.png", value=value)
        write(tmp_path / f"{value}.xml", xml([("cat", *box)]))
    found = formats.read(tmp_path)
    assert [box[:4] for picture in found.pictures for box in picture.boxes] == [
        pytest.approx(box) for box in expected
    ]
    assert not found.problems
    assert any("counted from 0" in note for note in found.notes) is from_zero


@pytest.mark.parametrize(
    "more",
    [
        "",
        "<filename>a.png</filename>",
        "<filename></filename>",
        "<filename>other.jpg</filename><size><width>0</width><height>0</height></size>",
        "<filename>C:\\photos\\a.png</filename><size/>",
        "<size><width>100</width><height>50</height><depth>3</depth></size>",
        "<size><width>100.0</width><height>x</height></size>",
    ],
)
def test_the_image_of_an_xml_file_without_the_usual_words(tmp_path, more):
    paint(tmp_path / "JPEGImages" / "a.png")
    write(tmp_path / "Annotations" / "a.xml", xml([("cat", 1, 1, 9, 9)], more))
    found = formats.read(tmp_path)
    assert not found.problems
    assert len(found.pictures[0].boxes) == 1


def test_the_file_name_counts_where_the_xml_is_called_otherwise(tmp_path):
    for stem in ("a", "b"):
        paint(tmp_path / "images" / f"{stem}.png", value=ord(stem))
    more = "<filename>{}.png</filename>"
    write(tmp_path / "xml" / "001.xml", xml([("cat", 1, 1, 9, 9)], more.format("a")))
    write(tmp_path / "xml" / "002.xml", xml([("cat", 1, 1, 8, 8)], more.format("b")))
    write(tmp_path / "xml" / "003.xml", xml([("cat", 1, 1, 7, 7)], more.format("c")))
    assert boxes_of(tmp_path) == {"images/a.png": [(0, 0, 9, 9)], "images/b.png": [(0, 0, 8, 8)]}
    [problem] = formats.read(tmp_path).problems
    assert problem[:2] == ("xml/003.xml", records.NO_IMAGE)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    "layout",
    [
        ("JPEGImages/{}/1.png", "Annotations/{}/1.xml"),
        ("{}/JPEGImages/1.png", "{}/Annotations/1.xml"),
        ("{}/1.png", "{}/1.xml"),
        ("day/{}/images/1.png", "day/{}/xmls/1.xml"),
        ("photos/{}_images/1.png", "labels/{}_labels/1.xml"),
    ],
)
def test_equal_names_in_nested_folders(tmp_path, layout, form):
    cameras = ("cam1", "cam2", "카메라")
    image, label = layout
    for value, camera in enumerate(cameras):
        paint(tmp_path / image.format(camera), value=value)
        name = unicodedata.normalize(form, label.format(camera))
        write(tmp_path / name, xml([("cat", 1 + value, 1, 20, 20)], "<filename>1.png</filename>"))
    found = boxes_of(tmp_path)
    assert found == {image.format(camera): [(at, 0, 20, 20)] for at, camera in enumerate(cameras)}
    for name in tmp_path.glob(image.format("cam2")):
        name.unlink()
    assert image.format("cam2") not in boxes_of(tmp_path)
    [problem] = formats.read(tmp_path).problems
    assert problem.kind == records.NO_IMAGE
    assert "cam2" in problem.place
    assert boxes_of(tmp_path) == {name: box for name, box in found.items() if "cam2" not in name}


@pytest.mark.parametrize("line", ["{0}/{1}", "{0}/{1}.png", "JPEGImages/{0}/{1}.png", "{0}/{1}  1"])
def test_lists_of_nested_sets_lose_no_image(tmp_path, line):
    for value in range(15):
        camera, number = f"cam{value % 3}", value // 3
        paint(tmp_path / "JPEGImages" / camera / f"{number}.png", value=value)
        write(
            tmp_path / "Annotations" / camera / f"{number}.xml", xml([("cat", 1, 1, 9, 9 + value)])
        )
    lists = {"train": range(9), "val": range(9, 12), "test": range(12, 15)}
    for name, values in lists.items():
        lines = [line.format(f"cam{value % 3}", value // 3) for value in values]
        write(tmp_path / "ImageSets" / "Main" / f"{name}.txt", "\n".join(lines))
    found = formats.read(tmp_path)
    assert {part: len(pictures) for part, pictures in found.parts.items()} == {
        "train": 9,
        "validation": 3,
        "test": 3,
    }
    assert not found.problems
    heights = sorted(box.y2 for picture in found.pictures for box in picture.boxes)
    assert heights == list(range(9, 24))


def test_files_that_declare_nothing_tell_their_encoding_together(tmp_path):
    names = ("고양이", "강아지", "자동차", "신호등", "사람")
    for value, name in enumerate(names):
        paint(tmp_path / f"{value}.png", value=value)
        head = "<?xml version='1.0' encoding='utf-8'?>" if value % 2 else ""
        write(tmp_path / f"{value}.xml", xml([(name, 1, 1, 9, 9)], head=head), "cp949")
    found = formats.read(tmp_path)
    assert not found.problems
    assert set(found.classes) == set(names)
    assert found.notes == (
        "5 XML files are not in UTF-8, and are read as cp949 (--file-encoding names another)",
    )


def test_lists_beside_the_folders(tmp_path):
    for value, stem in enumerate("abcd"):
        paint(tmp_path / "images" / f"{stem}.png", value=value)
        write(tmp_path / "xml" / f"{stem}.xml", xml([("cat", 1, 1, 9, 9)]))
    write(tmp_path / "test.txt", "no list of images\n")
    assert list(formats.read(tmp_path).parts) == ["all"]
    write(tmp_path / "train.txt", "images/a.png\nimages/b.png\n")
    write(tmp_path / "val.txt", "c\n")
    write(tmp_path / "test.txt", "d\n")
    found = formats.read(tmp_path)
    assert {part: len(found.parts[part]) for part in found.parts} == {
        "train": 2,
        "validation": 1,
        "test": 1,
    }
    assert found.lists == "lists beside the folders (test, train, val)"


def test_the_folder_that_an_xml_file_names_tells_equal_names_apart(tmp_path):
    for value, camera in enumerate(("cam1", "cam2")):
        paint(tmp_path / "JPEGImages" / camera / "1.png", value=value)
    for number in (1, 2, 3):
        more = f"<folder>cam{number}</folder><filename>1.png</filename>"
        text = xml([("cat", 1, 1, 9, 9 + number)], more)
        write(tmp_path / "Annotations" / f"cam{number}-1.xml", text)
    assert boxes_of(tmp_path) == {
        "JPEGImages/cam1/1.png": [(0, 0, 9, 10)],
        "JPEGImages/cam2/1.png": [(0, 0, 9, 11)],
    }
    [problem] = formats.read(tmp_path).problems
    assert problem[:2] == ("Annotations/cam3-1.xml", records.NO_IMAGE)


def test_two_files_of_one_image_are_named(tmp_path):
    for value, stem in enumerate("ab"):
        paint(tmp_path / "JPEGImages" / f"{stem}.png", value=value)
        write(tmp_path / "Annotations" / f"{stem}.xml", xml([("cat", 1, 1, 9, 9)]))
    write(tmp_path / "old" / "a.xml", xml([("cat", 1, 1, 5, 5)]))
    assert boxes_of(tmp_path) == {"JPEGImages/a.png": [], "JPEGImages/b.png": [(0, 0, 9, 9)]}
    kinds = {problem.place: problem.kind for problem in formats.read(tmp_path).problems}
    assert kinds == {
        "Annotations/a.xml": records.NO_IMAGE,
        "old/a.xml": records.NO_IMAGE,
        "JPEGImages/a.png": records.NO_LABELS,
    }


def test_a_name_in_a_list_that_could_be_two_images_is_named(tmp_path):
    for value, camera in enumerate(("cam1", "cam2")):
        paint(tmp_path / "JPEGImages" / camera / "1.png", value=value)
        write(tmp_path / "Annotations" / camera / "1.xml", xml([("cat", 1, 1, 9, 9)]))
    paint(tmp_path / "JPEGImages" / "2.png", value=2)
    write(tmp_path / "Annotations" / "2.xml", xml([("cat", 1, 1, 9, 9)]))
    write(tmp_path / "ImageSets" / "Main" / "train.txt", "1\n2\n")
    found = formats.read(tmp_path)
    assert [picture.name for picture in found.parts["train"]] == ["JPEGImages/2.png"]
    assert ("list train", records.NO_IMAGE) in {problem[:2] for problem in found.problems}


# Photos that EXIF turns


def turned_photo(path, orientation, box, stored=(100, 60)):
    """Save a black photo of some stored size with a white box, to be turned; return its size."""
    pixels = np.zeros((stored[1], stored[0], 3), np.uint8)
    x1, y1, x2, y2 = box
    pixels[y1:y2, x1:x2] = 255
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(
        path, exif=exif, **({"quality": 100} if path.suffix == ".jpg" else {})
    )
    with Image.open(path) as file:
        upright = np.asarray(ImageOps.exif_transpose(file))
    rows, columns = np.nonzero(upright[..., 0] > 128)
    seen = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return tuple(map(int, seen)), upright.shape[:2]


def annotate(root, form, image, box, size):
    """Write a box; size is the written height and width, None for none."""
    x1, y1, x2, y2 = box
    if form == "coco":
        entry = {"id": 1, "file_name": image}
        entry |= {"height": size[0], "width": size[1]} if size else {}
        content = {
            "images": [entry],
            "annotations": [
                {
                    "id": 1,
                    "image_id": 1,
                    "category_id": 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "segmentation": [[x1, y1, x2, y1, x2, y2]],
                }
            ],
            "categories": [{"id": 1, "name": "cat"}],
        }
        write(root / "boxes.json", json.dumps(content))
    else:
        more = f"<size><width>{size[1]}</width><height>{size[0]}</height></size>" if size else ""
        write(root / "a.xml", xml([("cat", x1 + 1, y1 + 1, x2, y2)], more))


@pytest.mark.parametrize("form", ["coco", "voc"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_boxes_turn_with_photos_where_the_written_size_says_so(tmp_path, form, orientation, suffix):
    stored = (20, 8, 60, 24)
    seen, (height, width) = turned_photo(tmp_path / f"a{suffix}", orientation, stored)
    annotate(tmp_path, form, f"a{suffix}", stored, (60, 100))  # drawn on the stored pixels
    found = formats.read(tmp_path)
    [picture] = found.pictures
    assert (picture.height, picture.width) == (height, width)
    assert not found.problems
    if orientation >= 5:
        assert picture.boxes[0][:4] == pytest.approx(seen, abs=2)
        assert "1 photos that EXIF turns have boxes of the stored pixels" in check(tmp_path).summary
        [*outlines] = picture.boxes[0].polygons
        assert len(outlines) == (form == "coco")
        for outline in outlines:
            xs, ys = outline[::2], outline[1::2]
            assert (min(xs), min(ys), max(xs), max(ys)) == pytest.approx(picture.boxes[0][:4])
    else:  # nobody knows: the size is the same either way
        assert picture.boxes[0][:4] == stored
        assert any("no written width" in note for note in found.notes) is (orientation > 1)

    annotate(tmp_path, form, f"a{suffix}", seen, (height, width))  # drawn on the upright photo
    found = formats.read(tmp_path)
    assert found.pictures[0].boxes[0][:4] == pytest.approx(seen)
    assert bool(found.notes) is (orientation in (2, 3, 4))

    annotate(tmp_path, form, f"a{suffix}", seen, None)
    found = formats.read(tmp_path)
    assert found.pictures[0].boxes[0][:4] == pytest.approx(seen)
    assert bool(found.notes) is (orientation > 1)


def test_of_square_photos_and_of_yolo_nobody_knows_and_it_is_said(tmp_path):
    turned_photo(tmp_path / "voc" / "a.png", 6, (1, 2, 20, 10), (60, 60))
    annotate(tmp_path / "voc", "voc", "a.png", (1, 2, 20, 10), (60, 60))
    turned_photo(tmp_path / "yolo" / "a.png", 6, (1, 2, 20, 10))
    write(tmp_path / "yolo" / "a.txt", "0 0.5 0.5 0.2 0.4")
    for form in ("voc", "yolo"):
        [note] = formats.read(tmp_path / form).notes
        assert note.startswith("1 photos are turned by EXIF, and no written width and height tell")


@pytest.mark.parametrize(
    ("corners", "shares"),
    [
        ([(0.1, 0.2, 0.5, 0.6)], True),
        ([(0.1, 0.2, 0.5, 0.6), (0, 0, 1, 1)], True),
        ([(-0.05, 0.2, 1.05, 0.6)], True),
        ([(0, 0, 1, 1), (0, 0, 1, 1)], True),
        ([(0.5, 0.5, 40.5, 20.5), (0.1, 0.2, 1.5, 1.5)], False),
        ([(1, 1, 1, 1)], False),
        ([(0, 0, 2, 2)], False),
    ],
)
def test_corners_that_are_shares_are_refused(tmp_path, corners, shares):
    paint(tmp_path / "a.png")
    write(tmp_path / "a.xml", xml([("cat", *one) for one in corners]))
    if shares:
        with pytest.raises(DataError, match="shares of the image; VOC has pixels"):
            formats.read(tmp_path)
    else:
        assert len(formats.read(tmp_path).pictures[0].boxes) == len(corners)


TURN = "<attributes><attribute><name>rotation</name><value>{}</value></attribute></attributes>"


@pytest.mark.parametrize(
    ("more", "boxes", "said"),
    [
        (TURN.format("30.0"), 1, "1 boxes are turned by an angle"),
        (TURN.format("0.0"), 1, ""),
        ("<rotation>12</rotation>", 1, "1 boxes are turned by an angle"),
        ("<angle>0</angle>", 1, ""),
        ("<bndbox><xmin>1</xmin></bndbox>", 0, "cat with several bndbox"),
    ],
)
def test_what_an_object_has_besides_its_box_is_named(tmp_path, more, boxes, said):
    paint(tmp_path / "a.png")
    text = xml([("cat", 11, 10, 40, 40)]).replace("</object>", f"{more}</object>")
    write(tmp_path / "a.xml", text)
    found = formats.read(tmp_path)
    assert len(found.pictures[0].boxes) == boxes
    told = [*found.notes, *(problem.detail for problem in found.problems)]
    assert (said in " ".join(told)) if said else not told
