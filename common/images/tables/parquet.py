"""Parquet files with images in them, as data sets are handed out: unpacked as archives are."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

from common.files import make_once, sha256_of
from common.images.decode import SUFFIXES
from common.io.folders import find_part, list_visible
from common.io.unpack import name_unpacked
from common.steps import track

_SUFFIX = ".parquet"
_ROWS = 256  # read at a time
_TABLE = "images.csv"
_SPLIT = "split"  # the column that is added where files are parts of a split
_BEGINNINGS = {
    b"\xff\xd8": ".jpg",
    b"\x89PNG": ".png",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"RIFF": ".webp",
}


def find_parquet(path: Path) -> list[Path]:
    """Return the Parquet files with images in them that are meant: one, or those of a folder.

    Those of a folder may also lie in `data/`, as they are downloaded.
    """
    if path.suffix.lower() == _SUFFIX and path.is_file():
        files = [path]
    elif path.is_dir():
        places = [path, path / "data"] if (path / "data").is_dir() else [path]
        found = (
            [each for each in list_visible(place) if each.suffix.lower() == _SUFFIX]
            for place in places
        )
        files = next(filter(None, found), [])
    else:
        files = []
    return files if files and all(map(_find_images, files)) else []


def unpack_parquet(files: Sequence[Path]) -> Path:
    """Write the images into the cache, once; returns the table that names them.

    Classes have the names that the files give them. Rows of `train-00000-of-00002.parquet` and
    `test-00000-of-00001.parquet` have their part in the column `split`.

    Raises:
        SaveError: the cache cannot be written.
    """
    parts = [find_part(file.stem) for file in files]
    split = parts if len(set(parts)) > 1 and None not in parts else []
    key = "".join([*map(sha256_of, files), *map(str, split)])
    return make_once(name_unpacked(key), lambda made: _write(files, split, made)) / _TABLE


def _find_images(file: Path) -> str | None:
    """Return the first column that holds images; None without, or if nobody can tell."""
    try:
        import pyarrow
        from pyarrow import parquet

        opened = parquet.ParquetFile(file)
    except (ImportError, OSError, ValueError):  # which is said as the table is read
        return None
    is_binary, is_struct = pyarrow.types.is_binary, pyarrow.types.is_struct
    for column in opened.schema_arrow:
        if is_struct(column.type) and any(part.name == "bytes" for part in column.type):
            return str(column.name)
        if not is_binary(column.type) and not pyarrow.types.is_large_binary(column.type):
            continue
        batches = opened.iter_batches(batch_size=_ROWS, columns=[column.name])
        cells = (cell for batch in batches for cell in batch.column(0).to_pylist())
        if _suffix(next(filter(None, cells), b"")) is not None:
            return str(column.name)
    return None


def _suffix(data: bytes) -> str | None:
    """Return the suffix of an image by how its file begins, None of what is none known here."""
    found = (suffix for start, suffix in _BEGINNINGS.items() if data.startswith(start))
    return next(found, None)


def _write(files: Sequence[Path], parts: Sequence[str | None], folder: Path) -> None:
    """Write the images and their table, with a column for the parts of the files, if any."""
    from pyarrow import parquet

    schema = parquet.read_schema(files[0])
    column = str(_find_images(files[0]))
    others = [field.name for field in schema if field.name != column and _fits(field.type)]
    classes = _read_classes(schema.metadata or {})
    with (folder / _TABLE).open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow([column, *others, *([_SPLIT] if parts else [])])
        for number, file in enumerate(files):
            for row, cells in enumerate(_rows(file)):
                name = _write_image(cells[column], folder, f"{number:03}-{row:06}")
                named = [_named(cells.get(other), classes.get(other)) for other in others]
                writer.writerow([name, *named, *parts[number : number + 1]])


def _fits(kind: Any) -> bool:
    """Say whether a table can hold a column: single values, or lists of texts, such as labels."""
    import pyarrow

    types = pyarrow.types
    if types.is_list(kind) or types.is_large_list(kind):
        return bool(types.is_string(kind.value_type) or types.is_large_string(kind.value_type))
    return not kind.num_fields and not types.is_binary(kind) and not types.is_large_binary(kind)


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    from pyarrow import parquet

    opened = parquet.ParquetFile(file)
    count = -(-opened.metadata.num_rows // _ROWS)
    batches = opened.iter_batches(batch_size=_ROWS)
    for _ in track(range(count), f"unpacking the images of {file.name}"):
        yield from next(batches).to_pylist()


def _write_image(cell: Any, folder: Path, name: str) -> str:
    """Write an image; returns its name, "" where there is none."""
    data = cell["bytes"] if isinstance(cell, dict) else cell
    if not data:
        return ""
    given = PurePath(cell.get("path") or "") if isinstance(cell, dict) else PurePath()
    suffix = given.suffix if given.suffix.lower() in SUFFIXES else _suffix(data) or ".png"
    (folder / f"{name}{suffix}").write_bytes(data)
    return f"{name}{suffix}"


def _read_classes(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """Return the names of the classes in each column, by their numbers, where a file has them."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {name: each["names"] for name, each in features.items() if "names" in each}
    except (KeyError, TypeError, ValueError):
        return {}


def _named(cell: Any, names: Sequence[str] | None) -> Any:
    if isinstance(cell, list):
        return json.dumps(cell, ensure_ascii=False)
    numbered = isinstance(cell, int) and names is not None and 0 <= cell < len(names)
    return names[cell] if numbered and names is not None else cell
