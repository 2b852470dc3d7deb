"""The image files that a table names, with their labels."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from common.errors import DataError
from common.images.decode import Crop
from common.images.listed import (
    Label,
    ListedFile,
    ListedImages,
    combine_columns,
    find_existing,
    join_problems,
    leave_out_rare,
    read_number,
    shorten,
)
from common.images.sets import Classes
from common.images.tables.columns import (
    LABEL,
    SEPARATORS,
    SIGNS,
    Columns,
    choose_columns,
    find_paths,
    find_separator,
    is_group,
    is_label,
    is_measure,
    is_one,
    split_labels,
)
from common.images.tables.crops import crop_file, read_crop
from common.images.tables.finder import MISSING, Finder
from common.images.tables.pixels import form_of
from common.io import folders
from common.io.folders import find_part, normalize_name, relative_name
from common.io.labels import read_labels
from common.io.tables import Table, TableForm, check_columns, read_cells, read_table
from common.options.config import ROWS, ImageConfig, Kind
from common.options.labels import LabelRules
from common.reuse import reusable

_LIST = re.compile(r"""\s*\[\s*(["']).*\1\s*,?\s*\]\s*""")  # as Python and JSON write them
_SPLIT = re.compile(
    r"(data[ _-]?)?(split|subset|partition)|is[ _-]?(train|test|val)\w*", re.IGNORECASE
)
_DIFFERENT = "another label elsewhere"
_OTHER_CELLS = "other cells elsewhere"
_MANY, _FEWEST = 20, 3  # groups in all, and of each class, that can be split
_LARGEST = 0.34  # share of all that one group may have
_MISSING = {"", "nan", "na", "n/a", "null", "none", "-"}  # what a missing number is written as
_FEW_NUMBERS = 10  # different ones, up to which they may be classes
_MOST_UNUSABLE = 0.5  # share of rows; with more of them it is the table that is wrong


class _Labelled(NamedTuple):
    """What a row's cells say."""

    label: Label
    problem: str = ""  # what is wrong with it
    detail: str = ""


class _Image(NamedTuple):
    """An image that a row names."""

    row: int
    name: str  # the row's cell, and of a folder the file in it
    file: Path | str  # or why there is none


class _Row(NamedTuple):
    line: int
    image: str
    file: Path | str  # or why there is none
    labelled: _Labelled
    group: str | None
    crop: Crop | None
    part: str
    cells: tuple[str, ...]  # of the columns that go with images


def names_images(table: Path, finder: Finder) -> bool:
    """Say whether a column of a file names images that are found; False if it is no table."""
    try:
        cells = read_cells(table)
    except DataError:
        return False
    return bool(cells and find_paths(cells[0], cells[1:], finder))


def tell_classes(table: Path) -> dict[Path, str]:
    """Return the class of each image that a table names, by a column that is called as labels are.

    It is empty where there is no such column.
    """
    config = ImageConfig()
    try:
        columns, finder = find_columns(table, config, "class", "optional")
    except DataError:
        return {}
    if len(columns.labels) != 1 or not is_label(columns.labels[0]):
        return {}
    found = _read_table(table, [columns.path, columns.labels[0]], config.form)
    files = finder.find(found.columns[0], find_part(table.stem))
    pairs = zip(files, found.columns[1], strict=True)
    return {file: label for file, label in pairs if isinstance(file, Path) and label}


def list_table(
    path: Path | str,
    config: ImageConfig,
    kind: Kind = "class",
    classes: Classes = "required",
    to_learn: bool = True,
) -> ListedImages:
    """Find the images that a table names: one per row, or all in the folder that a row names.

    Args:
        path: a table (see `common.io.tables.read_table`) whose first row names the columns.
        config: says which columns there are, how the table is written, and where the images are:
            in the table's folder when it does not. What it does not say is found out.
        kind: what labels are. Several label columns hold classes, whose combinations are then the
            classes, see `FoundImages.labels`; with `labels`, they hold zeros and ones.
        classes: see `common.images.folders.list_folder`.
        to_learn: likewise.

    Raises:
        DataError: the file or a column is missing, most rows cannot be used (they are counted by
            what is wrong), or an image has two labels. Of several columns, one has a single class,
            or there are more than 1,000 combinations. The pattern of labels fits no file's name.
    """
    table = find_existing(Path(path), Path.is_file, "CSV file")
    columns, finder = find_columns(table, config, kind, classes)
    rules = config.label_rules
    grouped = (config.group_column,) if config.groups_given and to_learn else ()
    in_table = [name for name in columns.labels if name != rules.column]
    in_columns = config.crops_in_table
    split = (config.split_column,) if to_learn and config.split_column else ()
    there, lacking = _find_beside(table, config, [columns.path, *columns.labels], to_learn)
    named = [columns.path, *in_table, *grouped, *in_columns, *split, *there]
    found = _read_table(table, named, config.form)
    problems: dict[str, list[str]] = defaultdict(list)
    for place, reason in found.skipped:
        problems[reason].append(f"line {place.rpartition(':')[2]}")
    images, expanded = _find_images(finder, found.columns[0], find_part(table.stem))
    cells = {
        name: [column[image.row] for image in images]
        for name, column in zip(named, found.columns, strict=True)
    }
    if rules.column in columns.labels:
        cells[str(rules.column)] = _read_names(config, images)
    groups: Sequence[str | None] = [None] * len(images)
    if grouped:
        groups = _read_groups(config, images, cells[config.group_column])
    elif expanded and config.group_column == ROWS:
        groups = cells[columns.path]
    texts, wrong = _cut_bands(rules, {name: cells[name] for name in columns.labels}, len(images))
    labels = _read_labels(columns.labels, texts, len(images), kind)
    numbers = [found.lines[image.row] for image in images]
    crops: Sequence[Crop | None] = [None] * len(images)
    if in_columns:
        boxes = zip(*(cells[name] for name in in_columns), strict=True)
        crops = [
            read_crop(table, line, image.name, image.file, box)
            for line, image, box in zip(numbers, images, boxes, strict=True)
        ]
    parts = ["all"] * len(images)
    for name in split:
        parts, wrong = _read_parts(name, cells[name], wrong)
    empty = [""] * len(images)
    alongside = [cells.get(name, empty) for name in config.columns_beside]
    with_images = [tuple(column[row] for column in alongside) for row in range(len(images))]
    columns_of_rows = zip(
        numbers, images, wrong, labels, groups, crops, parts, with_images, strict=True
    )
    rows = [
        _Row(line, image.name, image.file, problem or label, group, crop, part, its_cells)
        for line, image, problem, label, group, crop, part, its_cells in columns_of_rows
    ]
    listed, skipped = _take(rows, kind, problems)
    total = len(listed) + len(found.skipped) + len(skipped)
    if problems and (not listed or len(listed) < (1 - _MOST_UNUSABLE) * total):
        lines = [f"{len(lines)} x {what}: {shorten(lines)}" for what, lines in problems.items()]
        summary = f"{table} has rows that cannot be used, {total - len(listed):,} of {total:,}"
        missing = not config.image_dir and any(what.startswith(MISSING) for what in problems)
        hint = "; --image-dir names another folder of the images" if missing else ""
        if _OTHER_CELLS in problems:
            hint += "; --with takes one row for each image"
        if _DIFFERENT in problems:
            hint += "; --loss binary-cross-entropy takes a row for each label of an image"
        raise DataError(join_problems(summary + hint, lines))
    if split and "train" not in {file.part for file in listed}:
        raise DataError(f"--split-column {split[0]}: no row of {table} is for train")
    left_out = [*found.skipped, *((f"{table.name}:{line}", why) for line, why in skipped)]
    notes = [columns.said, *found.notes]
    if lacking:
        notes.append(f"no column {', '.join(map(repr, lacking))}: missing in all rows")
    if expanded:
        kept = ", whose images stay together" if groups[0] is not None and not grouped else ""
        notes.append(f"{len(found.lines):,} rows name folders{kept}")
    if rules.column is not None:
        notes.append(f"{rules.column} from the files' names")
    notes += [f"{name} in {', '.join(rules.classes_of(name))}" for name in rules.edges]
    if kind == "class" and len(texts) == 1:
        notes += read_labels([cell for cell in texts[0] if cell]).notes
    if kind == "class" and len(texts) == 1 and find_separator(texts[0]):
        notes.append("several labels in a cell taken for one class")
    source = ", ".join(filter(None, [f"table {table.name}", *notes]))
    several = columns.labels if kind == "class" and len(columns.labels) > 1 else ()
    if to_learn:
        listed, rare = leave_out_rare(listed, several)
        left_out += rare
    order = {name: rules.classes_of(name) for name in columns.labels}
    if to_learn:
        _check_order(table, order, listed)
    combined = combine_columns(table, listed, order, to_learn) if several else {}
    single = order[columns.labels[0]] if len(columns.labels) == 1 else ()
    beside = config.columns_beside
    return ListedImages(tuple(listed), tuple(left_out), source, combined, single, beside)


def _find_beside(
    table: Path, config: ImageConfig, taken: Sequence[str], to_learn: bool
) -> tuple[list[str], list[str]]:
    """Return the columns that go with the images, and those that the table lacks.

    Args:
        table: the file.
        config: names them.
        taken: the columns of images and labels.
        to_learn: see `list_table`; then all of them have to be there.

    Raises:
        DataError: one is not there, or is of something else already.
    """
    names = _read_cells(table, config.form)[0]
    if to_learn:
        check_columns(table, names, config.columns_beside)
    uses: dict[str | None, str] = {
        **dict.fromkeys([config.split_column], "splits the rows"),
        **dict.fromkeys([config.group_column], "says what belongs together"),
        **dict.fromkeys(config.crops_in_table, "says which part of an image is taken"),
        **dict.fromkeys(taken[1:], "is the answer (--label-column names another)"),
        taken[0]: "names the images",
    }
    for name in config.columns_beside:
        if name in uses:
            raise DataError(f"--with {name}: this column of {table} {uses[name]}; leave it out")
    there = [name for name in config.columns_beside if name in names]
    return there, [name for name in config.columns_beside if name not in names]


def find_columns(
    table: Path, config: ImageConfig, kind: Kind, classes: Classes
) -> tuple[Columns, Finder]:
    """Return which columns of a table are what, and what finds its images; see `list_table`."""
    folder = table.parent
    if config.image_dir is not None:
        folder = find_existing(Path(config.image_dir), Path.is_dir, "folder")
    finder = find_in(folder)
    cells = _read_cells(table, config.form)
    from_names = config.label_rules.column
    if cells and from_names in cells[0]:
        raise DataError(
            f"--label-pattern {from_names}: {table} has a column of that name; call what the "
            "files' names say otherwise, here and in --label-column"
        )
    columns = choose_columns(
        table,
        cells,
        config.path_column,
        [name for name in config.label_column if name != from_names],
        finder,
        required=classes == "required",
        several=kind == "labels",
    )
    in_table = columns.labels
    if from_names is not None:
        columns = columns._replace(labels=config.label_column)
    for name in in_table:
        place = cells[0].index(name)
        lists = [row[place] for row in cells[1:] if _LIST.fullmatch(row[place])]
        if lists:
            raise DataError(
                f"{table}: column {name!r} has lists such as {lists[0]}; write several labels of "
                "an image with | between them, as a|b"
            )
    used = (columns.path, *columns.labels, config.split_column)
    splits = [name for name in cells[0] if _SPLIT.fullmatch(name) and name not in used]
    left = [f"column {name!r} splits nothing here (--split-column)" for name in splits]
    return columns._replace(said=", ".join(filter(None, [columns.said, *left]))), finder


def find_split_column(table: Path, config: ImageConfig, kind: Kind, classes: Classes) -> str | None:
    """Return the column of a table that splits its rows, see `folders.find_split_column`."""
    names, *rows = _read_cells(table, config.form) or [[]]
    if not rows or not any(map(folders.read_part, rows[0])):  # as most tables, at a glance
        return None
    columns, _ = find_columns(table, config, kind, classes)
    used = {columns.path, *columns.labels, config.group_column, *config.crop_column}
    return folders.find_split_column(names, rows, used, columns.labels if kind == "class" else ())


def find_group_column(table: Path, config: ImageConfig, kind: Kind, classes: Classes) -> str | None:
    """Return the column that says which images belong together, by its name and its cells.

    Each image has one, several have the same, and each class has enough of them for all parts.
    """
    names, *rows = _read_cells(table, config.form) or [[]]
    named = [name for name in names if is_group(name) and name not in config.columns_beside]
    if not rows or not named:
        return None
    columns, _ = find_columns(table, config, kind, classes)
    named = [name for name in named if name not in (columns.path, *columns.labels)]
    labels = [names.index(name) for name in columns.labels if name in names]
    known = [row for row in rows if all(row[label] for label in labels)]
    cells = {name: [row[names.index(name)] for row in known] for name in named}
    found = [name for name in named if _can_be_split(cells[name], known, labels, kind)]
    return min(found, key=lambda name: len({*cells[name]}), default=None)


def _can_be_split(
    groups: Sequence[str], rows: Sequence[Sequence[str]], labels: Sequence[int], kind: Kind
) -> bool:
    """Say whether there are groups of several rows, of each class enough for all parts."""
    counts, of_classes = Counter(groups), defaultdict[tuple[str, ...], set[str]](set)
    for group, row in zip(groups, rows, strict=True):
        of_classes[tuple(row[label] for label in labels) if kind == "class" else ()].add(group)
    several = all(groups) and _MANY <= len(counts) < len(groups)
    small = several and max(counts.values()) <= _LARGEST * len(groups)
    return small and all(len(each) >= _FEWEST for each in of_classes.values())


def _read_parts(
    name: str, cells: Sequence[str], wrong: Sequence[_Labelled | None]
) -> tuple[list[str], list[_Labelled | None]]:
    """Return the part that each row is for, and what is wrong with rows, by this column too."""
    parts = [folders.read_part(cell) for cell in cells]
    problems = [
        problem or (None if part else _Labelled(None, f"no part of a split in {name!r}", cell))
        for problem, part, cell in zip(wrong, parts, cells, strict=True)
    ]
    return [part or "all" for part in parts], problems


@reusable(lambda table, form: (table, form))
def _read_cells(table: Path, form: TableForm) -> list[list[str]]:
    return read_cells(table, form_of(table, form))


@reusable(lambda table, names, form: (table, tuple(names), form))
def _read_table(table: Path, names: Sequence[str], form: TableForm) -> Table:
    return read_table(table, names, gaps=names, form=form_of(table, form))


@reusable(lambda folder: folder)
def find_in(folder: Path) -> Finder:
    """Return what finds the images below a folder, which is looked through once."""
    return Finder(folder)


def find_several_labels(table: Path, config: ImageConfig) -> str | None:
    """Say how a table shows that its images have several labels, if it does."""
    if config.label_pattern is not None:
        return None
    columns, _ = find_columns(table, config, "labels", "optional")
    cells = _read_cells(table, config.form)
    if len(columns.labels) == 1:
        place = cells[0].index(columns.labels[0])
        separator = find_separator([row[place] for row in cells[1:]])
        if separator is None:
            return None
        between = "spaces" if separator == " " else f"'{separator}'"
        return (
            f"{between} stand between several labels of an image in column {columns.labels[0]!r} "
            "(--loss cross-entropy takes each combination for a class)"
        )
    if len(columns.labels) < 2 or config.label_column != LABEL:
        return None
    return f"{len(columns.labels)} columns of zeros and ones say which labels an image has"


def find_number_labels(table: Path, config: ImageConfig) -> str | None:
    """Say how a table shows that its labels are numbers that measure something, if it does.

    All are numbers, many of them different, and some have fractions, or the column's name says what
    is measured, such as an age.
    """
    if config.label_rules.column is not None or config.label_rules.edges:
        return None
    columns, _ = find_columns(table, config, "class", "optional")
    if len(columns.labels) != 1:
        return None
    cells = _read_cells(table, config.form)
    place = cells[0].index(columns.labels[0])
    given = {row[place] for row in cells[1:]}
    numbers = {read_number(cell) for cell in given if cell.casefold() not in _MISSING}
    if None in numbers or len(numbers) <= _FEW_NUMBERS:
        return None
    fractions = any(not float(number or 0).is_integer() for number in numbers)
    if not fractions and not is_measure(columns.labels[0]):
        return None
    return f"column {columns.labels[0]!r} has {len(numbers):,} different numbers"


def _find_images(
    finder: Finder, cells: Sequence[str], part: str | None
) -> tuple[list[_Image], bool]:
    """Return the images that the cells of rows name, and whether these are folders.

    They are where no cell is an image file, and one is a folder of images.
    """
    files = finder.find(cells, part)
    if not any(isinstance(file, Path) for file in files):
        folders = finder.find_folders(cells)
        if not all(isinstance(folder, str) for folder in folders):
            return [
                image
                for row, (cell, folder) in enumerate(zip(cells, folders, strict=True))
                for image in _list_images(finder, row, cell, folder)
            ], True
    return [_Image(row, *pair) for row, pair in enumerate(zip(cells, files, strict=True))], False


def _list_images(finder: Finder, row: int, cell: str, folder: Sequence[Path] | str) -> list[_Image]:
    if isinstance(folder, str):
        return [_Image(row, cell, folder)]
    return [_Image(row, relative_name(file, finder.root), file) for file in folder]


def _read_names(config: ImageConfig, images: Sequence[_Image]) -> list[str]:
    """Return the labels that the files' names give; empty where they give none.

    Raises:
        DataError: the pattern fits none of them.
    """
    names = [
        normalize_name(image.file.name) if isinstance(image.file, Path) else image.name
        for image in images
    ]
    labels = [config.label_rules.read_name(name) for name in names]
    if not any(labels):
        raise DataError(
            f"--label-pattern {config.label_pattern}: fits no file's name, such as {names[0]}"
        )
    return labels


def _read_groups(
    config: ImageConfig, images: Sequence[_Image], groups: Sequence[str]
) -> Sequence[str]:
    """Return the groups of images, as a column has them.

    Raises:
        DataError: an image has none.
    """
    missing = [image.name for image, group in zip(images, groups, strict=True) if not group]
    if missing:
        raise DataError(
            f"--group-column {config.group_column}: {len(missing):,} images have no group, such as "
            f"{missing[0]}"
        )
    return groups


def _cut_bands(
    rules: LabelRules, cells: Mapping[str, Sequence[str]], number: int
) -> tuple[list[list[str]], list[_Labelled | None]]:
    """Return the cells of label columns with bands in place of numbers.

    Also of each row the cell that has bands and is no number, None where there is none.
    """
    columns = [list(column) for column in cells.values()]
    problems: list[_Labelled | None] = [None] * number
    for name, column in zip(cells, columns, strict=True):
        for row, cell in enumerate(column if name in rules.edges else ()):
            value = read_number(cell)
            if value is not None:
                column[row] = rules.find_band(name, value)
            elif cell:
                problems[row] = _Labelled(None, f"no number in {name!r}", cell)
    return columns, problems


def _check_order(
    table: Path, order: Mapping[str, Sequence[str]], files: Sequence[ListedFile]
) -> None:
    """Refuse an order that lacks classes, or has classes without an image: numbers would shift.

    Raises:
        DataError: it does.
    """
    for place, (column, names) in enumerate(order.items()):
        labels = [file.label for file in files]
        seen = {label[place] if isinstance(label, tuple) else label for label in labels}
        if not names or not seen:
            continue
        if unnamed := sorted(map(str, seen.difference(names))):
            raise DataError(
                f"{table}: column {column!r} has also {shorten(unnamed)}, which --label-order "
                f"{column}={'|'.join(names)} does not name"
            )
        if empty := [name for name in names if name not in seen]:
            raise DataError(
                f"{table}: no class {shorten(empty)} of column {column!r} has images enough; give "
                "other --label-bands, or leave it out of --label-order"
            )


def _read_labels(
    names: Sequence[str], texts: Sequence[Sequence[str]], number: int, kind: Kind
) -> list[_Labelled]:
    """Return what the label columns, of these names and cells, say of each row."""
    if not names:
        return [_Labelled(None)] * number
    texts = [_read_signs(cells) if kind == "labels" else cells for cells in texts]
    if kind == "labels" and len(names) == 1:
        separator = find_separator(texts[0]) or next(
            (each for each in SEPARATORS if any(each in cell for cell in texts[0])), SEPARATORS[0]
        )
        return [_Labelled(frozenset(split_labels(cell, separator))) for cell in texts[0]]
    if kind == "class" and len(names) == 1:
        return _read_classes(texts[0])
    read = _read_ones if kind == "labels" else _read_number if kind == "number" else _read_class
    return [read(names, cells) for cells in zip(*texts, strict=True)]


def _read_classes(cells: Sequence[str]) -> list[_Labelled]:
    """Return the classes as they are written, but for numbers in several spellings."""
    written = [cell for cell in cells if cell]
    names = dict(zip(written, read_labels(written).names, strict=True))
    spellings = Counter(names.values())
    return [
        _Labelled(None, "no label", cell)
        if names.get(cell) is None
        else _Labelled(cell if spellings[names[cell]] == 1 else names[cell])
        for cell in cells
    ]


def _read_class(names: Sequence[str], cells: Sequence[str]) -> _Labelled:
    empty = next((name for name, cell in zip(names, cells, strict=True) if not cell), None)
    return _Labelled(tuple(cells), "" if empty is None else f"no label in {empty!r}")


def _read_number(names: Sequence[str], cells: Sequence[str]) -> _Labelled:
    value = read_number(cells[0])
    if value is not None:
        return _Labelled(value)
    return _Labelled(
        None, "a label that is not a finite number" if cells[0] else "no label", cells[0]
    )


def _read_signs(cells: Sequence[str]) -> Sequence[str]:
    """Return 0 in place of -1 where a column has nothing but -1 and 1."""
    return [str(int(cell == "1")) for cell in cells] if {*cells} <= SIGNS else cells


def _read_ones(names: Sequence[str], cells: Sequence[str]) -> _Labelled:
    ones = [is_one(cell) for cell in cells]
    if None in ones:
        wrong = ones.index(None)
        return _Labelled(None, f"neither 0 nor 1 in {names[wrong]!r}", cells[wrong])
    return _Labelled(frozenset(name for name, one in zip(names, ones, strict=True) if one))


def _take(
    rows: Sequence[_Row], kind: Kind, problems: dict[str, list[str]]
) -> tuple[list[ListedFile], list[tuple[int, str]]]:
    """Return the files of rows, and the lines that are left out, with the reasons.

    What is wrong is also put into `problems`. An image has one row, or with several labels a row
    for each of them; where rows give it different classes, none of them is taken.
    """
    taken: dict[tuple[Path, Crop | None], list[_Row]] = defaultdict(list)
    skipped: list[tuple[int, str]] = []

    def leave_out(row: _Row, what: str, detail: str) -> None:
        problems[what].append(f"line {row.line}" + (f" ({detail})" if detail else ""))
        skipped.append((row.line, f"{what}: {detail}" if detail else what))

    for row in rows:
        if row.labelled.problem:
            leave_out(row, row.labelled.problem, row.labelled.detail)
        elif isinstance(row.file, str):
            what, separator, more = row.file.partition("; ")
            leave_out(row, what, (row.image or "an empty cell") + separator + more)
        else:
            taken[row.file.resolve(), row.crop].append(row)
    files: list[ListedFile] = []
    for same in taken.values():
        first, *others = same
        if any(row.part != first.part for row in others):
            for row in same:
                leave_out(row, "an image in two parts of the split", row.image)
            continue
        label, path = first.labelled.label, Path(first.file)
        if kind == "labels":
            label = frozenset(name for row in same for name in cast(Any, row.labelled.label))
        elif differing := [row for row in others if row.labelled.label != label]:
            for row in (first, *differing):
                other = differing[0].line if row is first else first.line
                leave_out(row, _DIFFERENT, f"{row.image}, see line {other}")
            continue
        else:
            again = f"listed twice, in lines {first.line} and "
            skipped += [(row.line, again + str(row.line)) for row in others]
        if other_cells := [row for row in others if row.cells != first.cells]:
            for row in (first, *other_cells):
                other = other_cells[0].line if row is first else first.line
                leave_out(row, _OTHER_CELLS, f"{row.image}, see line {other}")
            continue
        whole = ListedFile(first.part, first.image, path, label, first.group, None, first.cells)
        files.append(crop_file(whole, first.crop))
    return files, skipped
