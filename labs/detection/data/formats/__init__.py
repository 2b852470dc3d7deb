"""Pascal VOC, COCO and YOLO, read into one kind of record and written from it; others are read.

Nothing of what is read is ever changed. What is wrong is listed with its file and line; what it
does:

    unreadable image, labels without image, path outside of the folder   left out
    unreadable labels                                 the image counts as a background
    image without labels                              a background
    labels of two images, as a.jpg and a.png          both have the boxes
    malformed box, class out of range, box of no area, duplicate box     that box is left out
    malformed outline                                 the box is there, without it
    box out of range       cut at the edge of the image; left out where a YOLO line is not 0 to 1
    size other than written                           the boxes are taken as they are
"""

import contextlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from common.errors import DataError
from common.files import fold_name, replace_surrogates
from common.io.folders import list_visible
from common.io.tables import is_packed_table, is_table, read_names
from common.io.unpack import is_archive, unpacked
from labs.detection.data.formats import coco, labelme, mask_files, table, tools, voc, yolo
from labs.detection.data.formats.folders import is_image, marks_in, part_of, read_head, walk
from labs.detection.data.formats.sets import cub, entries, supervisely
from labs.detection.data.formats.sets import lists as lists_of_sets
from labs.detection.data.formats.sets import texts as texts_of_sets
from labs.detection.records import Annotated, Problem, Reading

AS_FOUND = Reading()
FORMS: dict[str, ModuleType] = {"voc": voc, "coco": coco, "yolo": yolo}  # that are written, too
_YAML = (".yaml", ".yml")
_NAMING = (
    table,
    coco,
    tools,
    entries,
    lists_of_sets,
)  # of files that name images, which may lie elsewhere
_DATA_KEYS = (b"train", b"names")  # of a YAML that is of a data set
_ABOUT = ("readme", "license", "licence")  # how files about a data set are called


def read(path: Path | str, reading: Reading = AS_FOUND) -> Annotated:
    """Read a YOLO data.yaml, a darknet .data, a COCO JSON, a table, or a folder with any of them.

    An archive is unpacked into the cache, and is the folder that it holds.

    In a folder the first of these counts that is there: a YAML, a .data, a file of a labeling tool,
    COCO's JSON, XML files, text files for each image, lists of boxes, LabelMe's JSON files, a table
    with boxes, masks. Where there are others, it is said.

    Args:
        path: the file or the folder.
        reading: what is known of how to read it.

    Raises:
        DataError: there is no such file or folder, it is in no known format, or has no image.
        SaveError: an archive cannot be unpacked into the cache.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise DataError(f"{path} does not exist; expected a YAML, a COCO JSON, a table or a folder")
    if is_archive(path) and not is_packed_table(path):
        path = unpacked(path)
    path, inside_of = _only_inside(path)
    described = _description_of(path)
    (_, reader), *others = (
        [("", _reader_of(described, reading))] if described else _forms(path, reading)
    )
    if reader is yolo and described is None and (inside := _yaml_below(path)) is not None:
        described = inside
        inside_of.append(f"the data is that of {inside.relative_to(path).as_posix()}")
    found: Annotated = reader.read(described or path, reading)
    problems = tuple(Problem(*map(replace_surrogates, each)) for each in found.problems)
    found = replace(found, problems=problems)  # names of files may be in no encoding
    notes = [*inside_of, *found.notes, *_about_images(reader, reading)]
    if not any(found.parts.values()):
        listed = "".join(f"\n  - {at}: {kind}: {why}" for at, kind, why in found.problems[:5])
        missing = reader in _NAMING and reading.image_dir is None
        hint = "; --image-dir names another folder of the images" if missing else ""
        raise DataError(f"{path} has no image that can be read{hint}{listed}")
    if others:
        names = " and ".join(name for name, _ in others)
        notes.append(f"{names} are there, too, and are not read")
    return replace(found, notes=tuple(notes))


def _only_inside(path: Path) -> tuple[Path, list[str]]:
    """Return the folder that holds the data where an archive has put it into one, and say so.

    Else a YAML with the names of the classes is not seen beside the only folder.
    """
    root = place = path
    while (only := _only_folder(place)) is not None:
        place = only
        inside = list_visible(place)
        if any(each.is_file() or fold_name(each.name) == "annotations" for each in inside):
            path = place
    if path == root:
        return path, []
    name = path.relative_to(root).as_posix()
    return path, [f"the data is the folder {name}, the only one there"]


def _only_folder(path: Path) -> Path | None:
    """Return the folder that is all there is, if it may be more than one of images or a split."""
    if not path.is_dir():
        return None
    visible = [each for each in list_visible(path) if not _is_about(each)]
    if len(visible) != 1 or not visible[0].is_dir() or part_of([visible[0].name]) != "all":
        return None
    return None if any(map(is_image, list_visible(visible[0]))) else visible[0]


def _is_about(path: Path) -> bool:
    return path.is_file() and path.stem.casefold().partition(".")[0] in _ABOUT


def _about_images(reader: ModuleType, reading: Reading) -> list[str]:
    """Say where the images were looked for, if the user named a folder of them."""
    if reading.image_dir is None:
        return []
    if reader in _NAMING:
        return [f"the images are those in {reading.image_dir}"]
    return ["--image-dir is for files that name images: these are those of the data's folder"]


def _description_of(path: Path) -> Path | None:
    """Return a file, or the YAML of a folder, or darknet's file; None where there is none."""
    if not path.is_dir():
        return path
    return _yaml_of(path) or _darknet_of(path)


def _darknet_of(path: Path) -> Path | None:
    found = sorted(file for file in path.glob("*.data") if b"train" in read_head(file)[:1000])
    if len(found) > 1:
        listed = ", ".join(file.name for file in found)
        raise DataError(f"{path} has several .data files; name one of them: {listed}")
    return next(iter(found), None)


def _yaml_of(path: Path) -> Path | None:
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in _YAML)
    if len(found) > 1:  # one of them may be of a training
        found = [file for file in found if _names_images(file)] or found
    named = [file for file in found if file.stem in ("data", "dataset")]
    if len(found) > 1 and len(named) != 1:
        listed = ", ".join(file.name for file in found)
        raise DataError(f"{path} has several YAML files; name one of them: {listed}")
    return next(iter(named or found), None)


def _names_images(file: Path) -> bool:
    """Say whether a YAML has the keys of a data set, as far as its beginning tells."""
    head = read_head(file)
    return all(re.search(rb"^" + key + rb"\s*:", head, re.MULTILINE) for key in _DATA_KEYS)


def _yaml_below(path: Path) -> Path | None:
    """Return the data.yaml in a folder of a folder; None where there is none.

    Raises:
        DataError: there are several.
    """
    found = [file for file in walk(path) if file.name.casefold() in ("data.yaml", "data.yml")]
    if len(found) > 1:
        listed = ", ".join(file.relative_to(path).as_posix() for file in found[:5])
        raise DataError(f"{path} has several data.yaml, {listed}; name one of them as --data")
    return next(iter(found), None)


def _reader_of(file: Path, reading: Reading) -> ModuleType:
    suffix = file.suffix.lower()
    if suffix in (*_YAML, ".data"):
        return yolo
    if tools.recognize(file):
        return tools
    if entries.recognize(file):
        return entries
    if suffix == ".json":
        return _reader_of_json(file, reading)
    if is_table(file):
        return table
    if suffix == ".xml":
        raise DataError(
            f"{file} is XML of a single image; name the folder of all of them as --data"
        )
    raise DataError(
        f"{file}: expected a .yaml (YOLO), .data (darknet), .json (COCO, or an array of records), "
        f"a table ({', '.join(table.SUFFIXES)}), or a folder"
    )


def _reader_of_json(file: Path, reading: Reading) -> ModuleType:
    """Return what reads a JSON file: by its keys COCO's, else a table's where it has columns.

    Raises:
        DataError: it is LabelMe's, for a single image.
    """
    marks = marks_in(file)
    if labelme.is_labelme(file):
        raise DataError(
            f"{file} is LabelMe's JSON of a single image; name the folder of all of them as --data"
        )
    if table.has_array(file) and "{" in marks:
        return table
    if marks & {'"images"', '"annotations"', '"categories"'}:
        return coco
    with contextlib.suppress(DataError):  # COCO's reader says what is wrong
        if table.columns_in(file, reading.form) is not None:
            return table
    return coco


def _forms(root: Path, reading: Reading) -> list[tuple[str, ModuleType]]:
    """Return what label files a folder without a description has, those to be read first."""
    of_tools = tools.find_here(root)
    files = [file for file in walk(root) if file not in of_tools]
    texts = [file for file in files if file.suffix.lower() == ".txt"]
    images = [file for file in files if is_image(file)]
    of_texts = _reader_of_texts(texts, images)
    forms = [
        ("files of labeling tools", tools, bool(of_tools)),
        ("COCO's JSON files", coco, bool(coco.find(root))),
        ("XML files", voc, any(map(voc.is_xml, files))),
        ("files of CUB-200-2011", cub, cub.find(files) is not None),
        ("text files", of_texts or yolo, of_texts is not None),
        ("lists of boxes", lists_of_sets, bool(lists_of_sets.find(texts))),
        ("LabelMe's JSON files", labelme, any(map(labelme.is_labelme, files))),
        ("Supervisely's JSON files", supervisely, supervisely.are_there(files)),
        ("lists of images in JSON", entries, bool(entries.find(files))),
        ("tables", table, table.has_boxes(root, reading.form)),
        ("masks", mask_files, bool(mask_files.find(files, root))),
    ]
    found = [(name, reader) for name, reader, there in forms if there]
    if found:
        return found
    if tools.find(root):  # in a folder of it, where nothing else is
        return [("files of labeling tools", tools)]
    _refuse_videos(root, texts)
    if yolo.may_have_labels(texts):
        return [("text files", yolo)]
    raise DataError(
        f"{root} has neither a data.yaml, nor COCO's JSON, nor XML, LabelMe's JSON, a table, "
        f"masks or text files with boxes{_describe_content(root, files)}"
    )


def _describe_content(root: Path, files: Sequence[Path]) -> str:
    """Say what is in a folder of which nothing is known, and what to do."""
    if not files:
        return "; it is empty"
    kinds = Counter(file.suffix.lower() or "no suffix" for file in files)
    listed = ", ".join(f"{count:,} of {kind}" for kind, count in kinds.most_common(4))
    looks = "".join(
        f"\n  - {file.relative_to(root).as_posix()} has {inside}"
        for file in [next((each for each in files if each.suffix == kind), None) for kind in kinds]
        if file is not None and (inside := _look_into(file))
    )
    return (
        f"; its files are {listed}. Write the boxes as a table with the columns filename, class, "
        f"xmin, ymin, xmax, ymax, in pixels, beside the images{looks}"
    )


def _look_into(file: Path) -> str:
    """Return what a table or a JSON has at its beginning, "" for others."""
    if file.suffix.lower() == ".json":
        keys = re.findall(r'"([^"\n]{1,40})"\s*:', read_head(file).decode("utf-8", "replace"))
        return f"the keys {', '.join(list(dict.fromkeys(keys))[:12])}" if keys else ""
    with contextlib.suppress(DataError):
        if file.suffix.lower() in (".csv", ".tsv") and (names := read_names(file)):
            runs = "EncodedPixels" in names or "rle" in names
            more = "; masks as run lengths are not read" if runs else ""
            return f"the columns {', '.join(names[:12])}{more}"
    return ""


def _reader_of_texts(texts: Sequence[Path], images: Sequence[Path]) -> ModuleType | None:
    """Return what reads text files that are called as images are; None where there are none."""
    if texts_of_sets.recognize(texts, images) is not None:
        return texts_of_sets
    return yolo if yolo.has_labels(texts, images) else None


def _refuse_videos(root: Path, texts: Sequence[Path]) -> None:
    """Refuse the files of the MOT Challenge, whose frames must not be split at random.

    Raises:
        DataError: they are there.
    """
    if any(file.name == "gt.txt" and file.parent.name == "gt" for file in texts):
        raise DataError(
            f"{root} has gt/gt.txt of the MOT Challenge, which is of videos: frames of one video "
            "on both sides of a split promise too much; write a COCO JSON or a table of boxes for "
            "train, val and test, each of videos of its own"
        )
