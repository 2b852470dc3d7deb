"""Which table or folder a user's data is in: of an archive, of a folder with both, of several."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from common.errors import DataError
from common.images.arrays import find_arrays, holds_arrays
from common.images.folders import is_image
from common.images.sets import Classes
from common.images.tables.listing import find_in, names_images, tell_classes
from common.images.tables.parquet import find_parquet, unpack_parquet
from common.images.tables.pixels import find_pixels, unpack_pixels
from common.io.folders import find_part, list_folders, list_visible, normalize_name, walk
from common.io.naming import are_shards
from common.io.tables import AS_FOUND, TableForm, read_names
from common.io.unpack import is_archive, unpacked
from common.reuse import reusable

_LISTS = (".csv", ".tsv", ".xlsx", ".json", ".jsonl")  # tables that may name a folder's images


@reusable(lambda path, classes="required", form=AS_FOUND: (path, classes, form))
def locate(path: Path, classes: Classes = "required", form: TableForm = AS_FOUND) -> Path:
    """Return the folder or table that a user's data is in: of an archive, what it holds, unpacked.

    Archives, Parquet files with images and tables of pixels are unpacked into the cache; archives
    that hold arrays are returned as they are. A folder with folders for classes is itself, and so
    is one that needs none. Of another it is the table in it that names images, or holds their
    pixels, or the archive or the arrays; of several, that of the training images.

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
        return unpack_pixels(folder, form)
    if not folder.is_dir() or find_arrays(folder):
        return path
    if _has_classes(folder):
        return _find_overruling(folder) or folder
    if classes == "optional" and folder == path and _holds_images(folder):
        return folder
    tables = _find_lists(folder)
    train = _choose_train(tables)
    if tables and train is None:
        raise DataError(
            f"{path} holds several tables: {', '.join(each.name for each in tables)}; "
            f"{'unpack it, and ' if folder != path else ''}name one of them"
        )
    if train is not None:
        return train
    packed = None if _holds_images(folder) else _find_packed(folder, form)
    return folder if packed is None else locate(packed, classes, form)


def _choose_train(files: Sequence[Path]) -> Path | None:
    """Return the only one of some files, or that of the training images by its name."""
    named = [each for each in files if find_part(each.stem) == "train"]
    chosen = named if len(files) > 1 else files
    return chosen[0] if len(chosen) == 1 else None


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
    folder = unpacked(path) if is_archive(path) else path
    train = locate(path, "required", form)
    packed = _find_packed(folder, form)
    if packed is not None and not is_archive(packed) and train in (packed, locate(packed)):
        tests = [each for each in folder.glob(f"*{packed.suffix}") if _is_test(each)]
        tests = [each for each in tests if find_pixels(each, form) == find_pixels(packed, form)]
        labels = locate(tests[0]) if len(tests) == 1 else None
        told = labels is not None and (holds_arrays(labels) or _tells_several(labels))
        return tests[0] if told and find_part(packed.stem) == "train" else None
    found = _find_test(train) if train.is_file() and not is_archive(train) else None
    return found if found is not None and found.is_relative_to(folder) else None


def _is_test(file: Path) -> bool:
    return find_part(file.stem) == "test"


def _tells_several(table: Path) -> bool:
    """Say whether a table tells several classes: one alone is what competitions fill in."""
    return len({*tell_classes(table).values()}) > 1


def _find_test(train: Path) -> Path | None:
    """Return the table beside that of the training images that is the same of the test images."""
    if find_part(train.stem) != "train":
        return None
    tests = [each for each in _find_lists(train.parent) if _is_test(each)]
    alike = [each for each in tests if read_names(each) == read_names(train)]
    return alike[0] if len(alike) == 1 and _tells_several(alike[0]) else None


def _holds_images(folder: Path) -> bool:
    return any(map(is_image, walk(folder)))


def _find_packed(folder: Path, form: TableForm) -> Path | None:
    """Return the archive, arrays or pixels in a folder that are those to train on."""
    files = [each for each in list_visible(folder) if each.is_file()]
    packed = [each for each in files if holds_arrays(each)]
    return _choose_train(packed or [each for each in files if find_pixels(each, form)])


def _has_classes(folder: Path) -> bool:
    """Say whether a folder has folders that are not those of a split's parts, but of classes."""
    inside = list_folders(folder)
    if len(inside) > 1 and not all(find_part(each.name) for each in inside):
        return True
    return len(inside) > 1 and any(map(list_folders, inside))


def _find_overruling(folder: Path) -> Path | None:
    """Return the table that says the classes in a folder whose folders do not, or not of all.

    They are called as numbered parts of a set; or the table has a counterpart for test images that
    lie in no folders of classes.
    """
    train = _choose_train(_find_lists(folder))
    if train is None or not (labels := tell_classes(train)):
        return None
    if are_shards([normalize_name(each.name) for each in list_folders(folder)]):
        return train
    test = _find_test(train)
    mixed = test is not None and _mixes(tell_classes(test))
    return train if mixed and not _mixes(labels) else None


def _mixes(labels: Mapping[Path, str]) -> bool:
    """Say whether images of one folder have several labels."""
    return len({(file.parent, label) for file, label in labels.items()}) > len(
        {file.parent for file in labels}
    )


def _find_lists(folder: Path) -> list[Path]:
    """Return the tables in a folder that name images below it."""
    finder = find_in(folder)
    files = [each for each in list_visible(folder) if each.is_file()]
    tables = [each for each in files if each.suffix.lower() in _LISTS]
    return [each for each in tables if names_images(each, finder)]
