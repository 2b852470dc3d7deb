"""Which class a pixel of a mask is: by a file of the user's, or by what the masks themselves hold.

A pixel's code is the value of a grey or palette image, or its color as one number, 65536 red + 256
green + blue. A legend file names the codes, a class in a line, in one of these forms throughout:

    name,r,g,b    name:r,g,b::    r g b name    #rrggbb name    value name    name,value
    name value    name    number,name,r,g,b

A single name counts from 0 on. JSON is {"name": [r, g, b]}, {"name": value} or {"value": "name"}.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from common.errors import ConfigError, DataError
from labs.detection.data.formats.folders import read_noted
from labs.detection.records import check_names

NOTHING = "nothing"  # --void: every pixel has a class
_VOID_NAMES = {"void", "ignore", "ignored", "__ignore__", "unlabeled", "unlabelled", "unknown"}
_BINARY = ("background", "object")  # the classes of masks of 0 and one other value
_FILES = ("class_dict.csv", "labelmap.txt", "label_colors.txt", "class_names.txt", "legend.csv")
_MORE_FILES = ("legend.txt", "legend.json", "classes.txt", "classes.csv")

_GAP, _N = r"\s*[,;\t ]\s*", r"(\d{1,5})"
_COLOR = rf"{_N}{_GAP}{_N}{_GAP}{_N}"
_FORMS: tuple[tuple[str, bool], ...] = (  # of a line, and whether its codes are colors
    (rf"(?P<name>[^:,;]+):\s*(?P<code>{_COLOR})(?::.*)?", True),
    (rf"(?P<name>[^,;\t]+?)\s*[,;\t]\s*(?P<code>{_COLOR})", True),
    (rf"\d+\s*[,;\t]\s*(?P<name>[^,;\t]+?)\s*[,;\t]\s*(?P<code>{_COLOR})", True),
    (rf"(?P<code>{_COLOR}){_GAP}(?P<name>\D.*)", True),
    (rf"(?P<code>#?[0-9a-fA-F]{{6}}){_GAP}(?P<name>.+)", True),
    (r"(?P<name>[^,;\t]+?)\s*[,;\t:]\s*(?P<code>#[0-9a-fA-F]{6})", True),
    (rf"(?P<code>{_N})\s*[,;:\t ]\s*(?P<name>\D.*)", False),
    (rf"(?P<name>[^,;\t:]*[^,;\t:\s\d][^,;\t:]*?)\s*[,;\t:]\s*(?P<code>{_N})", False),
)


class Legend(NamedTuple):
    """What the codes of pixels stand for."""

    names: Mapping[int, str]  # of classes, by the code; several codes may be one class
    colors: bool  # whether codes are colors
    void: frozenset[int]
    said: str  # where it is from
    order: tuple[int, ...] = ()  # the codes as its file lists them, void ones too

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes in the order of their first codes."""
        return tuple(dict.fromkeys(self.names.values()))


def find(root: Path) -> Path | None:
    """Return the legend that lies in a folder of data, or in the one above its parts."""
    places = [root / name for name in (*_FILES, *_MORE_FILES)]
    return next((path for path in places if path.is_file()), None)


def read(path: Path, encoding: str | None, notes: list[str]) -> Legend:
    """Read a legend file; notes take what was found out of its encoding.

    Raises:
        DataError: it cannot be read, or is no legend.
    """
    text = read_noted(path, notes, encoding)
    pairs, colors = (
        _of_json(text, path) if path.suffix.lower() == ".json" else _of_lines(text, path)
    )
    names: dict[int, str] = {}
    for code, name in pairs:
        if code in names and names[code] != name:
            what = hex_of(code) if colors else code
            raise DataError(f"{path}: {what} is both {names[code]} and {name}; it can be one class")
        names[code] = name
    void = {code for code, name in names.items() if name.casefold() in _VOID_NAMES}
    kept = {code: name for code, name in names.items() if code not in void}
    clean = dict(zip(dict.fromkeys(kept.values()), check_names(_unique(kept), path), strict=True))
    said = f"classes by {path.name}"
    if void:
        said += f", in which {', '.join(sorted({names[code] for code in void}))} is void"
    clean_names = {code: clean[name] for code, name in kept.items()}
    return Legend(clean_names, colors, frozenset(void), said, tuple(names))


def _unique(names: Mapping[int, str]) -> list[str]:
    return list(dict.fromkeys(names.values()))


def _of_lines(text: str, path: Path) -> tuple[list[tuple[int, str]], bool]:
    lines = [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not re.match(r"#(?![0-9a-fA-F]{6}\b)", line.strip())
    ]
    if not lines:
        raise DataError(f"{path} is empty; expected a class in each line, such as road,128,64,128")
    for form, colors in _FORMS:
        expression = re.compile(form)
        start = 0 if expression.fullmatch(lines[0][1]) else 1  # a header
        matches = [expression.fullmatch(line) for _, line in lines[start:]]
        if matches and all(matches):
            found = [match for match in matches if match is not None]
            return [(_code(each["code"], path), each["name"].strip(' "')) for each in found], colors
    numbered = next((line for line in lines if re.search(r"\d\s*[,; \t]\s*\d", line[1])), None)
    if numbered is not None:
        raise DataError(
            f"{path}, line {numbered[0]}: {numbered[1]!r} is not written as the others, or as no "
            "legend is: expected name,r,g,b or r g b name or value name in every line"
        )
    spaced = [re.fullmatch(rf"(.*\S)\s+{_N}", line) for _, line in lines]
    pairs = [(int(each[2]), each[1]) for each in spaced if each]
    if len(pairs) == len(lines) == len(dict(pairs)) == len({name for _, name in pairs}):
        return pairs, False  # road 1, car 2; but zone 1, zone 2 are names
    first = -1 if lines[0][1] == "__ignore__" else 0  # as LabelMe numbers them
    return [(number, line) for number, (_, line) in enumerate(lines, first)], False


def _of_json(text: str, path: Path) -> tuple[list[tuple[int, str]], bool]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    if isinstance(content, list) and all(isinstance(each, str) for each in content):
        return list(enumerate(content)), False
    if isinstance(content, list):
        content = {
            each.get("name"): each.get("color") for each in content if isinstance(each, dict)
        }
    entries = list(content.items()) if isinstance(content, dict) else []
    if entries and all(isinstance(value, str) and str(key).isdecimal() for key, value in entries):
        return [(int(key), value) for key, value in entries], False
    values = [value for _, value in entries]
    if entries and all(isinstance(value, int) for value in values):
        return [(int(value), str(key)) for key, value in entries], False
    if entries and all(_is_color(value) for value in values):
        return [
            (_code(" ".join(map(str, value)) if isinstance(value, list) else value, path), str(key))
            for key, value in entries
        ], True
    raise DataError(
        f'{path}: expected {{"name": [r, g, b], ...}}, {{"name": value}} or {{"value": "name"}}'
    )


def _is_color(value: Any) -> bool:
    if isinstance(value, str):
        return bool(re.fullmatch(r"#[0-9a-fA-F]{6}", value))
    return isinstance(value, list) and len(value) == 3 and all(isinstance(x, int) for x in value)


def _code(text: str, path: Path) -> int:
    """Read a value, or a color, as one number."""
    if re.fullmatch(r"#?[0-9a-fA-F]{6}", text):  # a value has five digits at most
        return int(text.removeprefix("#"), 16)
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    if len(numbers) == 1:
        return numbers[0]
    if max(numbers) > 255:
        raise DataError(f"{path}: {text} is no color; expected three numbers from 0 to 255")
    red, green, blue = numbers
    return 65536 * red + 256 * green + blue


def hex_of(code: int) -> str:
    """Write a color as #rrggbb."""
    return f"#{code:06x}"


# --- void, and classes without a legend ---------------------------------------------------------


def parse_void(texts: Iterable[str], names: Mapping[int, str]) -> frozenset[int]:
    """Read the codes of `--void`: values, colors (#rrggbb), names of the legend, or nothing.

    Raises:
        ConfigError: there is no such value.
    """
    found: set[int] = set()
    for text in texts:
        named = {code for code, name in names.items() if name == text}
        if named:
            found |= named
        elif re.fullmatch(r"#[0-9a-fA-F]{6}", text):
            found.add(int(text[1:], 16))
        elif text.isdecimal():
            found.add(int(text))
        elif text != NOTHING:
            raise ConfigError(
                f"--void {text}: expected a value such as 255, a color such as #000000, a class of "
                f"the legend, or {NOTHING}"
            )
    return frozenset(found)


def of_values(
    values: Iterable[int], palette: bool, void: frozenset[int] | None, known: Sequence[str] = ()
) -> Legend:
    """Return classes for the values of masks, as their names.

    Args:
        values: all that occur.
        palette: whether masks have palettes, of which 255 is void, as in Pascal VOC.
        void: what the user says is void; None where nobody does.
        known: the classes of a run whose data these are to be like. Where those are values, these
            are, too, however few of them occur.
    """
    seen = sorted(values)
    guessed, numbered = void is None, bool(known) and all(map(str.isdecimal, known))
    if void is None:
        is_void = "255" not in known if numbered else _is_void(seen, palette)
        void = frozenset({255}) if is_void else frozenset()
    classes = [value for value in seen if value not in void]
    others = [value for value in classes if value != 0]
    alike = tuple(known) == _BINARY and len(others) <= 1  # of which masks may hold only one
    if alike or (len(classes) == 2 and classes[0] == 0 and not numbered):
        names = dict(zip([0, *others], _BINARY, strict=False))
        said = f"in masks 0 is background and {listed(map(str, others)) or 'no other'} the object"
    else:
        names = {value: str(value) for value in classes}
        said = f"the values of masks are classes ({listed(map(str, classes))})"
    if void & set(seen):
        said += f", {listed(map(str, sorted(void & set(seen))))} is void"
        said += " (--void nothing makes it a class)" if guessed else ""
    return Legend(names, False, void, said)


def _is_void(seen: list[int], palette: bool) -> bool:
    """Say whether 255 is the border of nobody, not the last of some levels of grey."""
    others = [value for value in seen if value != 255]
    if 255 not in seen or len(others) < 2:
        return False
    steps = [high - low for low, high in zip(others, others[1:], strict=False)]
    return palette or 255 - others[-1] > 3 * max(steps)


def of_colors(codes: Iterable[int], void: frozenset[int] | None) -> Legend:
    """Return classes for the colors of masks, named by them; arguments as of `of_values`."""
    classes = [code for code in sorted(codes) if code not in (void or ())]
    names = {code: hex_of(code) for code in classes}
    said = f"the colors of masks are classes ({listed(names.values())}), which --legend can name"
    if void:
        said += f"; {listed(map(hex_of, sorted(void)))} is void"
    return Legend(names, True, void or frozenset(), said)


def listed(names: Iterable[str], most: int = 12) -> str:
    """Return names with commas between, and how many more there are."""
    every = list(names)
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")
