"""Which columns of a table hold the image files and their labels."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from common.errors import DataError
from common.images.tables.finder import Finder
from common.io.tables import check_columns

PATH, LABEL = "path", ("label",)  # columns when none are given
SEPARATORS = ("|", ";", ",", " ")  # between the labels of one image

_PATHS = (
    *(
        "path",
        "filepath",
        "imagepath",
        "imgpath",
        "image",
        "img",
        "images",
        "filename",
        "imagename",
    ),
    *("imgname", "imagefile", "file", "imageid", "imgid", "id", "name", "photo", "picture", "파일"),
    *(
        "파일명",
        "파일이름",
        "파일경로",
        "이미지",
        "이미지명",
        "이미지파일",
        "사진",
        "경로",
        "아이디",
    ),
)
_LABELS = (
    *("label", "labels", "class", "classes", "classname", "labelname", "target", "targets"),
    *("category", "categories", "breed", "species", "type", "tag", "tags", "y", "diagnosis"),
    *("finding", "findings", "findinglabels", "disease", "condition", "grade", "severity", "stage"),
    *("quality", "status", "result"),
    *("classid", "dx", "emotion", "digit", "letter", "character"),
    *("정답", "라벨", "레이블", "분류", "클래스", "종류", "품종", "범주"),
    *("판정", "진단", "병명", "등급", "상태", "유형", "구분", "결과"),
    *("감정", "숫자", "글자"),
)
_GROUPS = (  # what images are of that belong together
    *("patient", "patientid", "subject", "subjectid", "person", "personid", "lesionid", "user"),
    *("userid", "group", "groupid", "family", "familyid", "session", "sessionid", "video"),
    *("videoid", "scene", "sceneid", "animalid", "plantid", "환자", "환자번호", "환자id", "피험자"),
    *("사람", "그룹", "영상"),
)
_MEASURES = re.compile(  # what numbers measure
    r"(?:^|[\W_])(?:age|price|weight|height|length|width|score|count|area|temperature|volume"
    r"|나이|연령|가격|무게|체중|키|길이|점수|개수|면적|온도)(?:[\W_]|$)",
    re.IGNORECASE,
)
_BANDS = re.compile(r"group|class|band|bin|level|range|대$|등급|구간", re.IGNORECASE)
_SAMPLE = 60  # rows that are looked at
_FOUND = 0.5  # share of cells of a column that are image files, from which on it holds them
_ONES = {"0", "1", "0.0", "1.0", "true", "false"}
SIGNS = {"-1", "1"}
_YES = {"1", "1.0", "true"}


class Columns(NamedTuple):
    """What the columns of a table are."""

    path: str
    labels: tuple[str, ...]  # none where images need no classes
    said: str = ""  # where they were found out


def choose_columns(
    table: Path,
    cells: Sequence[Sequence[str]],
    path_column: str,
    label_columns: Sequence[str],
    finder: Finder,
    *,
    required: bool = True,
    several: bool = False,
) -> Columns:
    """Return the columns of a table: those that are given, or those that its cells show.

    Args:
        table: the file, for messages.
        cells: of the table, its first row first.
        path_column: the column with the images; `PATH` when not given.
        label_columns: those with the labels; `LABEL` when not given.
        finder: of the images.
        required: whether there have to be labels.
        several: each image has several labels, which columns of zeros and ones may say.

    Raises:
        DataError: a column is not there, or cannot be found out.
    """
    header, rows = (cells[0], cells[1:]) if cells else ([], [])
    names = [unicodedata.normalize("NFC", name) for name in label_columns]
    path = unicodedata.normalize("NFC", path_column)
    check_columns(table, header, [path] if path != PATH else [])
    check_columns(table, header, names if tuple(names) != LABEL else [])
    if path not in header:
        path = _find_path(table, header, rows, names, finder)
    if tuple(names) == LABEL and LABEL[0] not in header:
        names = _find_labels(table, header, rows, path, required, several)
    found = Columns(path, tuple(names))
    if (path, tuple(names)) == (path_column, tuple(label_columns)):
        return found
    labels = f", labels from {', '.join(map(repr, names[:5]))}" if names else ", no labels"
    labels += f" and {len(names) - 5} more" if len(names) > 5 else ""
    return found._replace(said=f"images from column {path!r}{labels}")


def find_ones(header: Sequence[str], rows: Sequence[Sequence[str]], path: str) -> tuple[str, ...]:
    """Return the columns of zeros and ones beside the images, if that is what labels are in."""
    found = []
    for place, name in enumerate(header):
        values = {row[place].casefold() for row in rows}
        if name and name != path and (values <= _ONES or values <= SIGNS) and len(values) > 1:
            found.append(name)
    return tuple(found) if len(found) > 1 else ()


def is_one(cell: str) -> bool | None:
    """Return whether a cell says 1; None where it says neither 1 nor 0."""
    cell = cell.casefold()
    return cell in _YES if cell in _ONES else None


def find_separator(cells: Collection[str]) -> str | None:
    """Return what stands between several labels in the cells of a column, if anything does.

    A bar always does; a semicolon, a comma and a space only where every part is found again in
    other cells, and some cells have no more than one, or "golden retriever" would be two labels.
    """
    for separator in SEPARATORS:
        parts = {cell: split_labels(cell, separator) for cell in set(cells) if cell}
        if all(len(each) < 2 for each in parts.values()):
            continue
        cells_of = Counter(part for each in parts.values() for part in set(each))
        alone = any(len(each) == 1 for each in parts.values())
        if separator == "," and all(re.fullmatch(r"\d+(,\d+)?", cell) for cell in parts):
            continue  # decimal commas
        if separator == "|" or (alone and min(cells_of.values()) > 1):
            return separator
    return None


def split_labels(cell: str, separator: str) -> list[str]:
    """Return the labels in a cell."""
    return [part for each in cell.split(separator) if (part := each.strip())]


def is_label(name: str) -> bool:
    """Say whether a column is called as labels are."""
    return _rank(name, _LABELS) < len(_LABELS)


def is_group(name: str) -> bool:
    """Say whether a column is called as what several images are of: a patient, a video."""
    return _rank(name, _GROUPS) < len(_GROUPS)


def is_measure(name: str) -> bool:
    """Say whether a column is called as numbers are that measure something: an age, a price."""
    return bool(_MEASURES.search(name)) and not _BANDS.search(name)


def _rank(name: str, known: Sequence[str]) -> int:
    """Return how usual a name is for a column, 0 for the most usual."""
    folded = re.sub(r"[\W_]", "", name.casefold())
    return known.index(folded) if folded in known else len(known)


def _find_path(
    table: Path,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    labels: Sequence[str],
    finder: Finder,
) -> str:
    """Return the column whose cells are image files; of several, that with the usual name."""
    shares = _share_paths(header, rows, labels, finder)
    found = [name for name, share in shares.items() if share >= _FOUND]
    if not found:
        columns = {name: [row[place] for row in rows] for place, name in enumerate(header)}
        found = [name for name in shares if _name_folders(columns[name], finder)]
    found = found or [name for name in shares if _rank(name, _PATHS) < len(_PATHS)]
    if not found:
        listed = ", ".join(name or "(no name)" for name in header) or "none, it is empty"
        raise DataError(
            f"{table} has these columns: {listed}; none holds image files below {finder.root}; "
            "name it with --path-column, and where the images are with --image-dir"
        )
    path = min(found, key=lambda name: (_rank(name, _PATHS), -shares[name]))
    if _rank(path, _PATHS) == len(_PATHS) and isinstance(finder.find([path])[0], Path):
        raise DataError(
            f"{table} begins with an image, {path}; write the columns' names above it, such as "
            "path,label, or say that there are none with --header no"
        )
    return path


def find_paths(header: Sequence[str], rows: Sequence[Sequence[str]], finder: Finder) -> list[str]:
    """Return the columns whose cells are image files."""
    shares = _share_paths(header, rows, (), finder)
    return [name for name, share in shares.items() if share >= _FOUND]


def _share_paths(
    header: Sequence[str], rows: Sequence[Sequence[str]], labels: Sequence[str], finder: Finder
) -> dict[str, float]:
    """Return for each column which share of its cells are image files."""
    sample = rows[:: max(1, len(rows) // _SAMPLE)]
    return {
        name: _share_found([row[place] for row in sample if row[place]], finder)
        for place, name in enumerate(header)
        if name not in labels or name == PATH
    }


def _name_folders(cells: Sequence[str], finder: Finder) -> bool:
    """Say whether cells name folders of images, each its own."""
    named = [cell for cell in cells if cell]
    if not named or len(set(named)) < len(named):
        return False
    sample = named[:: max(1, len(named) // _SAMPLE)]
    found = sum(not isinstance(each, str) for each in finder.find_folders(sample))
    return found >= _FOUND * len(sample)


def _share_found(cells: Sequence[str], finder: Finder) -> float:
    found = finder.find(cells)
    return sum(isinstance(each, Path) for each in found) / len(found) if found else 0.0


def _find_labels(
    table: Path,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    path: str,
    required: bool,
    several: bool,
) -> list[str]:
    """Return the columns of labels: by their names, or what else there is."""
    others = [name for name in header if name and name != path]
    named = [name for name in others if is_label(name)]
    if named:
        return [min(named, key=lambda name: _rank(name, _LABELS))]
    if several and (ones := find_ones(header, rows, path)):
        return list(ones)
    if len(others) == 1 and not others[0].casefold().startswith("unnamed"):
        return others
    if not required:
        return []
    listed = ", ".join(name or "(no name)" for name in header)
    hint = "give one with --label-column"
    if find_ones(header, rows, path):
        hint += ", or several of zeros and ones with --loss binary-cross-entropy"
    raise DataError(
        f"{table} has these columns: {listed}; images are in {path!r}, and none is called as "
        f"labels are, such as label, class or target; {hint}"
    )
