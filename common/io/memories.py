"""Translation memories (TMX) as tables: a column for each language, a row for each unit."""

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from common.errors import DataError
from common.io.sheets import Row

_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_ENTITY = re.compile(rb"<\0?!\0?E\0?N\0?T\0?I\0?T\0?Y")  # also in UTF-16


def read_memory(data: bytes, path: Path) -> Iterator[Row]:
    """Return the languages of a TMX file, and of each unit its text in each of them.

    Languages go without their regions: en-US is en. Of several texts of a unit in one language the
    first is taken; an absent one is "".

    Args:
        data: the file.
        path: where it is from, for messages.

    Raises:
        DataError: it is not TMX, or declares entities, which may swell without end.
    """
    if _ENTITY.search(data):
        raise DataError(f"{path}: declares entities, which a TMX file needs not; leave them out")
    try:
        units = [*_units(data)]
    except (ET.ParseError, LookupError, ValueError) as error:  # LookupError: of its encoding
        raise DataError(
            f"{path}: is not a TMX file that can be read ({error}); save it as UTF-8"
        ) from error
    languages = list(dict.fromkeys(language for unit in units for language in unit))
    if not languages:
        raise DataError(f"{path}: has no units (tu) with texts (tuv) in any language")
    rows = [[unit.get(language, "") for language in languages] for unit in units]
    return iter([(0, languages), *enumerate(rows, 1)])


def _units(data: bytes) -> Iterator[dict[str, str]]:
    """Yield the texts of each unit by their languages."""
    for _, element in ET.iterparse(io.BytesIO(data)):
        if _name(element) != "tu":
            continue
        unit: dict[str, str] = {}
        for variant in element:
            language = variant.get(_LANGUAGE) or variant.get("lang") or ""
            segment = next((each for each in variant if _name(each) == "seg"), None)
            if _name(variant) == "tuv" and language and segment is not None:
                unit.setdefault(re.split("[-_]", language)[0].casefold(), _text(segment))
        yield unit
        element.clear()


def _text(element: ET.Element) -> str:
    """Return the text of a segment without the code of programs in it; <hi> alone holds text."""
    inside = [_text(child) if _name(child) == "hi" else "" for child in element]
    behind = [child.tail or "" for child in element]
    return (element.text or "") + "".join(map("".join, zip(inside, behind, strict=True)))


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
