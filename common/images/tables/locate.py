"""Which table or folder a user's data is in: of an archive, of a folder with both, of several."""

from collections import defaultdict
from pathlib import Path

from common.errors import DataError
from common.images.arrays import find_arrays, holds_arrays, is_archive, unpacked
from common.images.decode import is_candidate
from common.images.folders import is_image
from common.images.sets import Classes
from common.images.tables.finder import Finder
from common.images.tables.listing import names_images, tell_classes
from common.images.tables.parquet import find_parquet, unpack_parquet
from common.images.tables.pixels import find_pixels, unpack_pixels
from common.io.folders import find_part, list_folders, list_visible, normalize_name, walk
from common.io.naming import are_shards
from common.io.tables import AS_FOUND, TableForm, read_names
from common.reuse import reusable

_LISTS = (".csv", ".tsv", ".xlsx", ".json", ".jsonl")  # tables that may name a folder's images
_MOST = 0.9  # share of a folder's images that a table names which says what all of them are


@reusable(lambda path, classes="required", form=AS_FOUND: (path, classes, form))
def locate(path: Path, classes: Classes = "required", form: TableForm = AS_FOUND) -> Path:
    """Return the folder or table that a user's data is in: of an archive, what it holds, unpacked.

    Archives, Parquet files with images and tables of pixels are unpacked into the cache; archives
    that hold arrays are returned as they are. Of a folder it is the table in it that names images,
    or holds their pixels; of several, that of the training images. One with nothing but archives is
    that of the training images. A folder with folders for
    classes is itself, but where the table says other classes; so is one that needs none.

    Args:
        path: the data.
        classes: see `common.images.folders.list_folder`.
        form: what is known of how a table is written.

    Raises:
        DataError: the archive is damaged or unsafe, or there are several such tables.
        SaveError: the cache cannot be written.
    """
    folder = unpacked(path) if is_archive(path) else path
    if files := find_parquet(folder):
        return unpack_parquet(files)
    if find_pixels(folder, form):
        return unpack_pixels([folder], form)
    if not folder.is_dir() or find_arrays(folder):
        return path
    if file := _find_packed(folder):
        return locate(file, classes, form)
    has_classes = _has_classes(folder)
    if not has_classes and (files := _find_pixel_tables(folder, form)):
        return unpack_pixels(files, form)
    if classes == "optional" and folder == path and not has_classes:
        return folder
    tables = _find_lists(folder)
    named = [each for each in tables if find_part(each.stem) == "train"]
    if has_classes:
        chosen = named if len(named) == 1 else tables
        others = len(chosen) == 1 and _says_others(chosen[0], folder)
        return chosen[0] if others else folder
    if len(tables) > 1 and len(named) != 1:
        raise DataError(
            f"{path} holds several tables: {', '.join(each.name for each in tables)}; "
            f"{'unpack it, and ' if folder != path else ''}name one of them"
        )
    return next(iter(named or tables), folder)


def find_table(path: Path, classes: Classes, form: TableForm) -> Path | None:
    """Return the table that names a user's images, also in an archive; None where there is none.

    The arguments and errors are those of `locate`.
    """
    if not path.exists() or holds_arrays(path) and not is_archive(path):
        return None
    table = locate(path, classes, form)
    return None if table.is_dir() or holds_arrays(table) else table


@reusable(lambda path, form: (path, form))
def find_test_file(path: Path, form: TableForm) -> Path | None:
    """Return the file in a folder that has its test images with their classes; None without.

    It is called by the part it is of: a table with the columns of that of the training images, or
    arrays like theirs.
    """
    if path.is_file() and not is_archive(path) or not path.exists():
        return None
    found = locate(path, "required", form)
    if found.is_file() and holds_arrays(found) and not is_archive(found):
        tests = [each for each in found.parent.glob(f"*{found.suffix}") if _is_test(each)]
        return tests[0] if len(tests) == 1 and find_part(found.stem) == "train" else None
    return _find_test(found) if found.is_file() and not is_archive(found) else None


def _is_test(file: Path) -> bool:
    return find_part(file.stem) == "test"


def _find_test(train: Path) -> Path | None:
    """Return the table beside that of the training images that is the same of the test images."""
    if find_part(train.stem) != "train":
        return None
    tests = [each for each in _find_lists(train.parent) if _is_test(each)]
    alike = [each for each in tests if read_names(each) == read_names(train) and tell_classes(each)]
    return alike[0] if len(alike) == 1 else None


def _find_packed(folder: Path) -> Path | None:
    """Return the archive or the arrays in a folder without images that hold those to train on."""
    files = [each for each in list_visible(folder) if each.is_file() and holds_arrays(each)]
    named = [each for each in files if find_part(each.stem) == "train"]
    chosen = named if len(files) > 1 else files
    return chosen[0] if len(chosen) == 1 and not any(map(is_image, walk(folder))) else None


def _has_classes(folder: Path) -> bool:
    """Say whether a folder has folders that are not those of a split's parts, but of classes."""
    inside = list_folders(folder)
    if len(inside) > 1 and not all(find_part(each.name) for each in inside):
        return True
    return len(inside) > 1 and any(map(list_folders, inside))


def _says_others(table: Path, folder: Path) -> bool:
    """Say whether a table says what images are, and not what the folders they are in are called.

    It does where images of one folder have several labels in it, where the folders are called as
    parts of a set are, or where it has a counterpart for test images, which lie in no such folders.
    """
    labels = tell_classes(table)
    if labels and (_are_shards(folder) or _find_test(table)):
        return True
    images = sum(map(is_candidate, walk(folder)))
    if len(labels) < _MOST * images:
        return False
    of_folders = defaultdict[Path, set[str]](set)
    for file, label in labels.items():
        of_folders[file.parent].add(label)
    return any(len(each) > 1 for each in of_folders.values())


def _are_shards(folder: Path) -> bool:
    return are_shards([normalize_name(each.name) for each in list_folders(folder)])


def _find_pixel_tables(folder: Path, form: TableForm) -> list[Path]:
    """Return the tables of pixels in a folder without images: the one, or those of train and test.

    Those of other parts have the same columns: a test table without labels is left out.
    """
    visible = list_visible(folder)
    layouts = {each: find_pixels(each, form) for each in visible if not any(map(is_image, visible))}
    files = [file for file, layout in layouts.items() if layout]
    train = [file for file in files if find_part(file.stem) == "train"]
    if len(files) < 2 or len(train) != 1:
        return files if len(files) == 1 else []
    alike = [file for file in files if layouts[file] == layouts[train[0]] and find_part(file.stem)]
    return [*train, *(file for file in alike if file not in train)]


def _find_lists(folder: Path) -> list[Path]:
    """Return the tables in a folder that name images below it."""
    finder = Finder(folder)
    files = [each for each in list_visible(folder) if each.is_file()]
    tables = [each for each in files if each.suffix.lower() in _LISTS]
    return [each for each in tables if names_images(each, finder)]
