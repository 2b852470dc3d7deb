"""The user's folders: one for each class, whole or split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from common.errors import DataError
from common.images.decode import (
    SUFFIXES,
    is_candidate,
)
from common.images.listed import (
    TOGETHER,
    ListedFile,
    ListedImages,
    find_existing,
    find_too_few,
    join_problems,
    leave_out_rare,
)
from common.images.sets import Classes
from common.io.folders import (
    list_folders,
    list_visible,
    normalize_name,
    relative_name,
)
from common.io.naming import are_shards, classes_of_names
from common.io.parts import find_parts

LAYOUT = """expected one folder per class:
    {0}/cat/1.jpg    {0}/dog/1.jpg
or the same below train/ and, if there are any, validation/ and test/:
    {0}/train/cat/1.jpg    {0}/test/cat/9.jpg"""


def list_folder(
    path: Path | str, classes: Classes = "required", to_learn: bool = True, nested: bool = False
) -> ListedImages:
    """Find the images in one folder per class.

    The class folders stand directly in the folder, or below train/, validation/ (val/, valid/) and
    test/, as `common.io.parts.find_parts` finds them. A class folder may hold all its images in one
    folder, called alike in all classes (`cat/images/1.jpg`). Where classes are optional, images may
    stand there instead, in no class folder. Hidden files are ignored, and so are those whose suffix
    says that they are no images. Class names are normalized to NFC, so that names from macOS equal
    those from elsewhere.

    Args:
        path: the folder.
        classes: `required`, or `optional`: images without any class folder are a set without
            classes.
        to_learn: every class needs enough images in every part; what is only to be measured may
            have any of the parts, and any number of images of any classes.
        nested: images may lie in folders inside a class folder, such as one of each person.

    Raises:
        DataError: the folder is missing or laid out otherwise, classes differ between parts, or a
            class has too few images: 3 to be split, or 1 in each part. All that the names show is
            said at once.
    """
    root = find_existing(Path(path), Path.is_dir, "folder")
    source = f"folder {root.name}"
    places = find_parts(root, to_learn, is_candidate, unwrap=not nested)
    if places.problems:
        raise DataError(
            join_problems(f"{root} cannot be used; {LAYOUT.format(root.name)}", places.problems)
        )
    parts, source = places.parts, source + places.said
    flat = not any(map(list_folders, parts.values()))
    if flat and classes == "optional":
        return ListedImages(tuple(_unlabeled(root, parts, to_learn)), (), source)
    labels = _Told({}, "")
    if flat:
        labels = _label_files(
            [path for each in parts.values() for path in _image_files(each)], to_learn
        )
        source += labels.said
    problems: list[str] = []
    files: list[ListedFile] = []
    counts: dict[str, dict[str, int]] = {}
    skipped = list(places.left_out)
    for part, folder in parts.items():
        if labels.of:
            paths = _image_files(folder)
            found = [ListedFile(part, relative_name(p, root), p, labels.of[p]) for p in paths]
            counts[part] = Counter(map(labels.of.__getitem__, paths))
        else:
            loose = (relative_name(file, root) for file in _image_files(folder) if is_image(file))
            skipped += [(name, "not in a class folder") for name in loose]
            found, counts[part], wrong = _list_classes(root, part, folder, nested)
            if classes == "required" and len(parts) == 1 and are_shards([*counts[part]]):
                raise DataError(
                    f"{folder}: {', '.join(sorted(counts[part])[:3])} are numbered parts of a set, "
                    f"and no classes; name a table that has them; {LAYOUT.format(root.name)}"
                )
            problems += wrong
        files += sorted(found)
        if not counts[part]:
            raise DataError(f"no class folders in {folder}; {LAYOUT.format(root.name)}")
    if to_learn:
        known = {label for classes in counts.values() for label in classes}
        files, rare = leave_out_rare(files, (), known)
        skipped += rare
        if rare:
            left = {file.label for file in files}
            counts = {
                part: {label: number for label, number in each.items() if label in left}
                for part, each in counts.items()
            }
        problems += _different_classes(counts)
    problems += find_too_few(counts, "images", to_learn)
    if problems:
        raise DataError(
            join_problems(f"{root} cannot be used; {LAYOUT.format(root.name)}", problems)
        )
    return ListedImages(tuple(files), tuple(skipped), source)


def _list_classes(
    root: Path, part: str, folder: Path, nested: bool
) -> tuple[list[ListedFile], dict[str, int], list[str]]:
    """Return the files in the class folders of a part, how many each has, and what is wrong."""
    found, counts, problems = [], dict[str, int](), list[str]()
    folders = list_folders(folder)
    within = None if nested else _find_within(folders)
    for class_folder in folders:
        label = normalize_name(class_folder.name)
        place = class_folder / within if within else class_folder
        paths, inner = _image_files(place), list_folders(place)
        if nested:
            paths += [path for each in inner for path in _image_files(each)]
        else:
            problems += [
                f"{relative_name(each, root)}/ is a folder inside a class folder; "
                "name the folder that holds the class folders as --data, or, where it is one "
                "of a person or an object, keep its images together by --group-column folder"
                for each in inner
            ]
        counts[label] = counts.get(label, 0) + len(paths)
        for path in paths:
            group = relative_name(path.parent, root) if nested else None
            found.append(ListedFile(part, relative_name(path, root), path, label, group))
    return found, counts, problems


def _find_within(folders: Sequence[Path]) -> str | None:
    """Return what the one folder in each of several is called that holds their images, if any."""
    inner = {tuple(each.name for each in list_folders(folder)) for folder in folders}
    alike = len(folders) > 1 and len(inner) == 1 and not any(map(_image_files, folders))
    names = next(iter(inner), ())
    return names[0] if alike and len(names) == 1 else None


class _Told(NamedTuple):
    """The classes of files that are in no class folders."""

    of: Mapping[Path, str]  # none where nothing says them
    said: str  # where they are from


def _label_files(paths: Sequence[Path], to_learn: bool) -> _Told:
    """Find the class of each file that is in no class folder.

    It is in a file of its own beside the image, as in shards for webdataset (`000.jpg`, `000.cls`),
    or in the image's name (`cat.0.jpg`), if one of the two says it of all.
    """
    beside = [path.with_suffix(".cls") for path in paths]
    if paths and all(map(Path.is_file, beside)):
        told = [normalize_name(file.read_text("utf-8", "replace").strip()) for file in beside]
        how = ", classes from the .cls files beside the images"
        return _Told(dict(zip(paths, told, strict=True)), how)
    names = classes_of_names([normalize_name(path.stem) for path in paths], to_learn)
    if names is None:
        return _Told({}, "")
    how = f", classes from the files' names, such as {names[0]!r} of {paths[0].name}"
    return _Told(dict(zip(paths, names, strict=True)), how)


def _unlabeled(root: Path, parts: Mapping[str, Path], to_learn: bool) -> list[ListedFile]:
    files = [
        ListedFile(part, relative_name(path, root), path, None)
        for part, folder in parts.items()
        for path in _image_files(folder)
    ]
    found = Counter(file.part for file in files)
    counts = {part: {TOGETHER: found[part]} for part in parts}
    if problems := find_too_few(counts, "images", to_learn):
        raise DataError(
            join_problems(f"{root} cannot be used: it has no class folders, and", problems)
        )
    return files


def _different_classes(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    expected, problems = counts.get("train") or counts["all"], []
    for part, classes in counts.items():
        if missing := expected.keys() - classes.keys():
            problems.append(f"{part}: lacks these classes of train: {', '.join(sorted(missing))}")
        if more := classes.keys() - expected.keys():
            problems.append(f"{part}: has classes that train lacks: {', '.join(sorted(more))}")
    return problems


def is_image(path: Path) -> bool:
    """Say whether a file's name is that of an image."""
    return path.suffix.lower() in SUFFIXES


def _image_files(folder: Path) -> list[Path]:
    """Return what may be an image in a folder; broken links too, so that they are reported."""
    named = filter(is_candidate, list_visible(folder))
    return [path for path in named if path.is_file() or (path.is_symlink() and not path.is_dir())]
