"""Pascal VOC, COCO and YOLO, read into one kind of record and written from it; others are read.

Nothing of what is read is ever changed. What is wrong is listed with its file and line; what it
does:

    unreadable image, labels without image, path outside of the folder   left out
    unreadable labels                                 the image counts as a background
    image without labels                              a background
    malformed box, class out of range, box of no area, duplicate box     that box is left out
    box out of range       cut at the edge of the image; left out where a YOLO line is not 0 to 1
    size other than written                           the boxes are taken as they are
"""

from pathlib import Path
from types import ModuleType

from common.errors import DataError
from labs.detection.data.formats import coco, labelme, table, voc, yolo
from labs.detection.data.formats.folders import walk
from labs.detection.records import Annotated

FORMS: dict[str, ModuleType] = {"voc": voc, "coco": coco, "yolo": yolo}  # that are written, too
_YAML = (".yaml", ".yml")


def read(path: Path | str) -> Annotated:
    """Read a YOLO data.yaml, a darknet .data, a COCO JSON, a table, or a folder with any of them.

    In a folder the first of these counts that is there: a YAML, a .data, COCO's JSON, XML files,
    LabelMe's JSON files, a table with boxes, text files.

    Raises:
        DataError: there is no such file or folder, it is in no known format, or has no image.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise DataError(f"{path} does not exist; expected a YAML, a COCO JSON, a CSV or a folder")
    found = _reader(path).read(_description_of(path) or path)
    if not any(found.parts.values()):
        listed = "".join(f"\n  - {at}: {kind}: {why}" for at, kind, why in found.problems[:5])
        raise DataError(f"{path} has no image that can be read{listed}")
    return found  # type: ignore[no-any-return]


def _description_of(path: Path) -> Path | None:
    """Return the YAML of a folder, or darknet's file, None where there is none."""
    if not path.is_dir():
        return None
    return _yaml_of(path) or _darknet_of(path)


def _darknet_of(path: Path) -> Path | None:
    found = sorted(file for file in path.glob("*.data") if b"train" in file.read_bytes()[:1000])
    if len(found) > 1:
        listed = ", ".join(file.name for file in found)
        raise DataError(f"{path} has several .data files; name one of them: {listed}")
    return next(iter(found), None)


def _yaml_of(path: Path) -> Path | None:
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in _YAML)
    named = [file for file in found if file.stem in ("data", "dataset")]
    if len(found) > 1 and len(named) != 1:
        listed = ", ".join(file.name for file in found)
        raise DataError(f"{path} has several YAML files; name one of them: {listed}")
    return next(iter(named or found), None)


def _reader(path: Path) -> ModuleType:
    suffix = path.suffix.lower()
    if path.is_file():
        if suffix in (*_YAML, ".data"):
            return yolo
        if suffix == ".json":
            return coco
        if suffix in table.SUFFIXES:
            return table
        raise DataError(
            f"{path}: expected a .yaml (YOLO), .data (darknet), .json (COCO) or .csv file, or a "
            "folder"
        )
    if _description_of(path):
        return yolo
    if coco.find(path):
        return coco
    files = list(walk(path))
    suffixes = {file.suffix.lower() for file in files}
    if ".xml" in suffixes:
        return voc
    if any(map(labelme.is_labelme, files)):
        return labelme
    if table.find(path):
        return table
    if ".txt" in suffixes:
        return yolo
    raise DataError(
        f"{path} has neither a data.yaml, nor COCO's JSON, nor XML, LabelMe's JSON, a CSV or text "
        "files with boxes" + ("" if suffixes else "; it is empty")
    )
