"""Tables that are no text of rows: workbooks, Parquet, and JSON."""

import datetime
import decimal
import io
import json
import math
import numbers
import unicodedata
import warnings
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from common.errors import DataError
from common.suggest import suggest

# The number of a row, as people count, and its cells, None where a value is neither text nor a
# number; or why there are none.
Row = tuple[int, Sequence[str | None] | str]

_COVER = 10  # rows up to which a first sheet may be a cover or a note, as one of a single column
_LOOKED_AT = 1000  # rows that tell how full a sheet is


def read_workbook(
    data: bytes, path: Path, sheet: str | None, most: int | None = None
) -> tuple[Iterator[Row], list[str]]:
    """Return the rows of a sheet of an .xlsx, `most` at most, and what is to be said of the choice.

    Where none is named it is the first, or the fullest where the first is no more than a cover.

    Raises:
        DataError: it is no workbook, or has no such sheet.
    """
    import pandas as pd  # only where a workbook is read

    try:
        book = pd.ExcelFile(io.BytesIO(data), engine="openpyxl")
    except Exception as error:  # whatever a file that is none makes openpyxl raise
        raise DataError(
            f"{path}: is not a workbook that can be read ({error}); save it as .xlsx without a "
            "password, or as .csv"
        ) from error
    names = [str(name) for name in book.sheet_names]
    notes = []
    if sheet is None:
        chosen = _fullest(book, names)
        if len(names) > 1:
            which = "first" if chosen == names[0] else "fullest"
            notes = [
                f"of {path.name} the {which} sheet of {len(names)} is read, {chosen!r} (--sheet "
                "names another)"
            ]
    else:
        chosen = _named_sheet(names, path, sheet)
    return _rows(_frame(book, chosen, most)), notes


def _frame(book: Any, sheet: str, most: int | None) -> Any:
    """Return the cells of a sheet, of `most` rows at most."""
    import pandas as pd  # only where a workbook is read

    with warnings.catch_warnings():  # of what a sheet has beside cells, and nobody reads
        warnings.filterwarnings("ignore", module="openpyxl")
        return pd.read_excel(
            book,
            sheet_name=sheet,
            header=None,
            nrows=most,
            dtype=object,
            keep_default_na=False,
            na_filter=False,
        )


def _fullest(book: Any, names: Sequence[str]) -> str:
    """Return the first sheet; where it is no more than a cover, the one with the most cells."""
    first, *others = names
    if not others:
        return first
    cover = _frame(book, first, _LOOKED_AT)
    if len(cover) > _COVER and _count_columns(cover) > 1:
        return first
    filled = {name: _count_filled(_frame(book, name, _LOOKED_AT)) for name in others}
    return max({first: _count_filled(cover), **filled}.items(), key=lambda item: item[1])[0]


def _count_columns(frame: Any) -> int:
    return int((frame != "").any().sum())


def _count_filled(frame: Any) -> int:
    return int((frame != "").to_numpy().sum())


def _named_sheet(names: Sequence[str], path: Path, sheet: str) -> str:
    wanted = unicodedata.normalize("NFC", sheet).strip()
    known = {unicodedata.normalize("NFC", name).strip(): name for name in names}
    known |= {str(number): name for number, name in enumerate(names, 1) if str(number) not in known}
    if wanted not in known:
        listed = ", ".join(names)
        raise DataError(
            f"{path}: no sheet {sheet!r}{suggest(wanted, names)}; it has these: {listed}"
        )
    return known[wanted]


def read_parquet(data: bytes, path: Path, *, lists: bool = False) -> Iterator[Row]:
    """Return the names of the columns of a Parquet file, and its rows.

    Args:
        data: the file.
        path: where it is from, for messages.
        lists: whether a list of numbers is a cell, `[1, 2.5]`.

    Raises:
        DataError: pyarrow is not installed, or it is no Parquet file.
    """
    import pandas as pd  # only where Parquet is read

    try:
        frame = pd.read_parquet(io.BytesIO(data), dtype_backend="numpy_nullable")
    except ImportError as error:
        raise DataError(
            f"{path}: Parquet needs pyarrow, which cannot be imported; install it with pip install "
            "-e '.[parquet]', or save the table as .csv"
        ) from error
    except Exception as error:  # whatever a file that is none makes pyarrow raise
        raise DataError(f"{path}: is not a Parquet file that can be read ({error})") from error
    # One without a name may be dates; whole numbers only count the rows.
    named = any(name is not None for name in frame.index.names)
    if named or not pd.api.types.is_integer_dtype(frame.index.dtype):
        frame = frame.reset_index()
    frame = _unnest(frame)
    names = [str(name) for name in frame.columns]
    return _named(names, _rows(frame, lists))


def _unnest(frame: Any) -> Any:
    """Return a frame in which objects of texts are columns: `translation.en`, `translation.ko`."""
    import pandas as pd  # only where Parquet is read

    columns: dict[str, Any] = {}
    for name, column in frame.items():
        values = column.tolist() if column.dtype == object else []
        first = next((value for value in values if isinstance(value, dict)), {})
        if not all(value is None or isinstance(value, str) for value in first.values()):
            first = {}
        for key in first:
            inner = [value.get(key) if isinstance(value, dict) else None for value in values]
            columns[f"{name}.{key}"] = pd.Series(inner, frame.index, dtype=object)
        if not first:
            columns[str(name)] = column
    return pd.DataFrame(columns) if len(columns) > len(frame.columns) else frame


def read_json(text: str, path: Path, *, lists: bool = False) -> Iterator[Row]:
    """Return the keys of a JSON array of objects, and its rows; numbers as they are written.

    Taken are an array of objects, an object that holds a single one, what pandas writes (columns,
    rows by their numbers, or both apart), and a file with an object per line. `lists` is that of
    `read_parquet`.

    Raises:
        DataError: it is none of these.
    """
    try:
        found = _loads(text)
    except (ValueError, RecursionError) as error:
        if isinstance(_object(text.strip().split("\n", 1)[0]), dict):
            return read_json_lines(text, path, lists=lists)
        raise DataError(f"{path}: is not JSON: {error}") from error
    objects = _objects(found)
    if objects is None:
        raise DataError(
            f"{path}: expected an array of objects, one for each row, such as "
            '[{"text": "...", "label": "..."}]'
        )
    rows = (each if isinstance(each, dict) else "not a JSON object" for each in objects)
    return _of_objects(list(enumerate(rows, 1)), lists)


def _objects(found: Any) -> list[Any] | None:
    """Return what is a row each."""
    if isinstance(found, dict):
        if (rows := _split_rows(found)) is not None:
            return rows
        arrays = [value for value in found.values() if isinstance(value, list)]
        objects = [value for value in arrays if value and isinstance(value[0], dict)]
        if len(objects) == 1:
            return objects[0]
        columns = list(found.values())
        if columns and all(isinstance(column, dict) for column in columns):
            keys = list(dict.fromkeys(key for column in columns for key in column))
            if _are_counts(found) and not _are_counts(keys):  # a row each, by its number
                return columns
            index = [{}] * len(keys) if _are_counts(keys) else [{"index": key} for key in keys]
            return [
                {**named, **{name: column.get(key) for name, column in found.items()}}
                for named, key in zip(index, keys, strict=True)
            ]
        if columns and len(arrays) == len(columns) and len(set(map(len, arrays))) == 1:
            return [dict(zip(found, values, strict=True)) for values in zip(*arrays, strict=True)]
        return None
    return found if isinstance(found, list) and any(isinstance(o, dict) for o in found) else None


def _split_rows(found: dict[str, Any]) -> list[Any] | None:
    """Return the rows of what pandas writes in parts: columns, index and data."""
    names, data = found.get("columns"), found.get("data")
    index = found.get("index", [])
    if not {"columns", "data"} <= found.keys() <= {"columns", "index", "data"}:
        return None
    if not all(isinstance(each, list) for each in (names, data, index)) or not names or not data:
        return None
    if not all(isinstance(row, list) and len(row) == len(names) for row in data):
        return None
    rows = [dict(zip(map(str, names), row, strict=True)) for row in data]
    if len(index) != len(data) or _are_counts(index):
        return rows
    return [{"index": key, **row} for key, row in zip(index, rows, strict=True)]


def _are_counts(keys: Collection[Any]) -> bool:
    """Say whether keys only number rows."""
    return all(str(key).isdecimal() for key in keys)


def read_json_lines(text: str, path: Path, *, lists: bool = False) -> Iterator[Row]:
    """Return the keys of a file with a JSON object per line, and its rows; see `read_json`.

    Raises:
        DataError: no line is an object.
    """
    lines = enumerate(text.split("\n"), 1)
    found = [(number, _object(line)) for number, line in lines if line.strip()]
    if found and not any(isinstance(values, dict) for _, values in found):
        [number, reason] = found[0]
        raise DataError(f"{path}:{number}: {reason}; expected an object in each line")
    return _of_objects(found, lists)


def _of_objects(found: Sequence[tuple[int, dict[str, Any] | str]], lists: bool) -> Iterator[Row]:
    objects = _flatten([values for _, values in found if isinstance(values, dict)])
    flat = iter(objects)
    found = [(n, next(flat) if isinstance(each, dict) else each) for n, each in found]
    names = list(dict.fromkeys(key for values in objects for key in values))
    yield 0, [unicodedata.normalize("NFC", name).strip() for name in names]
    for number, values in found:
        if isinstance(values, dict):
            yield number, [_written(values.get(name), lists) for name in names]
        else:
            yield number, values


def _flatten(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return objects in which `{"meta": {"stars": 5}}` is `{"meta.stars": 5}`.

    What is an object in some rows and something else in others stays as it is, and so does one
    whose new names would be those of others.
    """
    kinds: dict[str, set[bool]] = {}
    for values in objects:
        for name, value in values.items():
            if value is not None:
                kinds.setdefault(name, set()).add(isinstance(value, dict))
    nested = {
        name
        for name, found in kinds.items()
        if found == {True} and not any(other.startswith(f"{name}.") for other in kinds)
    }
    if not nested:
        return objects
    flat = []
    for values in objects:
        row: dict[str, Any] = {}
        for name, value in values.items():
            if name not in nested:
                row[name] = value
            elif value is not None:
                row |= {f"{name}.{inner}": each for inner, each in value.items()}
        flat.append(row)
    return _flatten(flat)


def _object(line: str) -> dict[str, Any] | str:
    """Return a line's object, or why there is none."""
    try:
        values = _loads(line)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    return values if isinstance(values, dict) else "not a JSON object"


def _loads(text: str) -> Any:
    return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)


def _named(names: Sequence[str], rows: Iterator[Row]) -> Iterator[Row]:
    yield 0, names
    yield from rows


def _rows(frame: Any, lists: bool = False) -> Iterator[Row]:
    """Yield the rows of a data frame as people write them, numbered from 1 on."""
    columns = [_column(frame.iloc[:, place].tolist(), lists) for place in range(frame.shape[1])]
    return enumerate(zip(*columns, strict=True), 1)


def _column(values: Sequence[Any], lists: bool) -> list[str | None]:
    """Write the values of a column, times of the day where one of them is not midnight."""
    found = [_written(value, lists) for value in values]
    times = [
        cell[10:] for cell, value in zip(found, values, strict=True) if cell and _is_time(value)
    ]
    if times and set(times) == {" 00:00:00"}:
        return [cell and cell.removesuffix(" 00:00:00") for cell in found]
    return found


def _is_time(value: Any) -> bool:
    return isinstance(value, datetime.datetime)


def _written(value: Any, lists: bool = False) -> str | None:
    """Return a value as people write it, a missing one as "", None for what is no single value."""
    if isinstance(value, str):
        return value
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return ""
    if isinstance(value, bool) or type(value).__name__ == "bool_":
        return str(value).lower()
    if _is_time(value):
        return str(value.isoformat(" "))
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, decimal.Decimal):
        return "" if value.is_nan() else f"{value:f}"
    if isinstance(value, numbers.Real):
        number = float(value)
        return "" if math.isnan(number) else repr(number).removesuffix(".0")
    if lists and type(value).__name__ in ("list", "ndarray"):
        cells = [_written(each) for each in value]
        return None if None in cells else f"[{', '.join(map(str, cells))}]"
    return None
