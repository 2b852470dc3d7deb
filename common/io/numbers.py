"""Numbers as people write them, with a decimal point or with decimal commas.

Which one a cell such as `1,234` has cannot be told from it alone. So its column tells, then the
table; where both readings stay, there is one error.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from common.metrics.metrics import Array

MARKS = {"point": ".", "comma": ","}
_MISSING = frozenset(
    (
        *("", "-", "--", "---", "–", "—", ".", "..", "...", "…", "?", "*", "(na)", "<na>", "na"),
        *("n/a", "n.a.", "n.a", "#n/a", "#n/a n/a", "nan", "-nan", "nat", "null", "nil", "none"),
        *("**", "***", "nm", "nd", "n.d.", "n/d", "missing", "unknown", "not available"),
        *("no data", "nodata", "1.#ind", "-1.#ind"),
        *("#div/0!", "#value!", "#ref!", "#num!", "#null!", "#name?"),
        *("결측", "결측치", "없음", "미상", "해당없음", "자료없음", "점검중", "통신장애"),
    )
)
# Numbers that stand for missing values, where all others are far from them.
_STAND_INS = (-99.99, -999.0, -999.9, -999.99, -9999.0, -9999.9, -9999.99, -99999.0)
_NINES = re.compile(r"-?(?:9{3,}(?:\.9+)?|8{3,}(?:\.8+)?|99\.9+|88\.8+)|-99|-88")
# Likewise where they are the one number below zero, again and again: -200, -9.99.
_ALONE = re.compile(r"-(?:[1-9]\d*00|9+(?:\.9+)?|0\.99+)")
_OFTEN = 3  # times that such a number is there
_FAR = 3  # ranges of all others that they are away from these
_ENOUGH = 20  # other values that show it
_ENOUGH_CELLS = 4  # cells, so that it is no chance how all are written

_SCALES = {"K": 3, "M": 6, "B": 9, "T": 12, "천": 3, "만": 4, "억": 8, "조": 12}
_SCALED = re.compile(r"([+-]?\d[\d.,]*)([KMBT]|\s?[천만억조])")  # 280.5 K is a temperature
_LESS = re.compile(r"<\s?(\d+(?:\.\d+)?)")
_UNIT = re.compile(
    r"([+-]?\d[\d.,]*)((?:\s*"
    r"(?:[kMGT]Wh?|Wh|[kM]?VA|[km]V|mA|[kMG]?Hz|[kcm]m|k?m/[hs]|mph|km²|m[²³2]|㎡|㎥|[km]g|m[lL]|"
    r"[hk]?Pa|mbar|bar|pp[mb]|[µμ]g/m[³3]|㎍/㎥|°|deg|명|건|톤))|\s[WVAKTmgtlL])"  # 123A is a code
)

_BEFORE = re.compile(r"^([+-]?)\s*(?:US)?([$₩€£¥])\s*")
_BEHIND = re.compile(r"\s*(%|[$₩€£¥원円元엔℃]|°\s?[CF]|USD|KRW|EUR|JPY|GBP)$")
_MINUS = re.compile(r"[△▲]\s*(?=\d)")  # as in Korean and Japanese accounts
_WITH_POINT = "$₩£¥원円元엔USDKRWJPYGBP"  # where a comma stands between thousands
_SAME = str.maketrans(
    "０１２３４５６７８９％￦＄，．－＋−\u00a0\u202f\u2009’", "0123456789%₩$,.-+-   '"
)
_PLAIN, _GROUPED = (
    {
        ".": re.compile(ways.format(mark=r"\.", between="[, ']")),
        ",": re.compile(ways.format(mark=",", between="[. ']")),
    }
    for ways in (
        r"[+-]?(?:[0-9]+(?:{mark}[0-9]*)?|{mark}[0-9]+)(?:[eE][+-]?[0-9]+)?",
        r"[+-]?(?:[1-9][0-9]{{0,2}}(?P<b>{between})[0-9]{{3}}(?:(?P=b)[0-9]{{3}})*)(?:{mark}[0-9]*)?"
        r"(?:[eE][+-]?[0-9]+)?",
    )
)
_INDIAN = re.compile(r"[+-]?[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]*)?")
_THOUSANDS = {mark: re.compile(rf"[+-]?[1-9][0-9]{{0,2}}[{mark}][0-9]{{3}}") for mark in ".,"}


_HELP = (
    "leave the cell empty where the value is not known, or name the columns with --value-columns"
)
_HELP_FORM = "this form of a number is not known; write digits alone, such as 1200000 or -4.5"


class Wrong(ValueError):
    """Cells that are no numbers, or of which nobody can tell what they are."""

    def __init__(self, name: str, row: int | None, reason: str, help: str = _HELP):  # noqa: A002
        self.name, self.row, self.reason, self.help = name, row, reason, help
        super().__init__(f"{name}: {reason}")


class Numbers(NamedTuple):
    """Columns of numbers that were read."""

    values: dict[str, Array]  # float64 (T,) of each column, NaN where a value is missing
    left_out: dict[str, tuple[int | None, str]]  # of other columns the first wrong row, and why
    said: list[str]  # what was guessed
    mark: str | None  # point or comma, where there are commas and the cells show it


class _Column(NamedTuple):
    """A column, and what it is with either decimal mark."""

    name: str
    cells: list[str]  # without signs
    readings: dict[str, Array]  # of the marks with which all of its cells are numbers
    sign: str  # what was taken off
    wrong: tuple[int | None, str] | None  # the first cell that is no number, and why
    said: list[str]  # what else was done to its cells


def read(
    columns: Mapping[str, Sequence[str]],
    decimal: str | None = None,
    *,
    asked: bool = False,
    habit: str | None = None,
) -> Numbers:
    """Read columns of numbers; others are left out, with the reason.

    Args:
        columns: the cells of each.
        decimal: point or comma; found out when None.
        asked: whether each of them is asked for, so that none may be left out.
        habit: point or comma, where the rest of the table shows who wrote it: in Korean a comma
            stands between thousands, and where days are 31.12.2022 a point may.

    Raises:
        Wrong: none is a column of numbers, or one that is asked for is not; or `1,234` may be 1234
            as well as 1.234.
    """
    marks = list(MARKS.values()) if decimal is None else [MARKS[decimal]]
    looked = [_look(name, cells, marks) for name, cells in columns.items()]
    left_out = {each.name: each.wrong for each in looked if each.wrong is not None}
    kept = [each for each in looked if each.wrong is None]
    some = [name for name, (row, _) in left_out.items() if row is not None]
    if left_out and (asked or (not kept and some)):
        name = next(iter(left_out)) if asked else some[0]
        row, reason = left_out[name]
        cell = "" if row is None else columns[name][row]
        raise Wrong(name, row, reason, _HELP_FORM if re.search(r"\d", cell) else _HELP)
    decided = {each.name: _decide(each, habit) for each in kept}
    shown = {mark for mark, evidence in decided.values() if evidence}
    mark_of_table = next(iter(shown)) if len(shown) == 1 else None
    values, said = {}, []
    for each in kept:
        mark = decided[each.name][0] or mark_of_table
        values[each.name] = each.readings[mark or _refuse(each)]
        if each.sign:
            said.append(f"column {each.name!r} is read without its signs ({each.sign})")
        said += each.said
        minus = next(filter(_MINUS.match, columns[each.name]), None)
        if minus is not None:
            said.append(f"{minus!r} in column {each.name!r} is below zero")
    example = _say_marks(kept, values)
    found = next((name for name, mark in MARKS.items() if mark == mark_of_table), None)
    return Numbers(values, left_out, said + example, found if example else None)


def is_number(cell: str) -> bool:
    """Say whether a cell is a number with a point or a comma."""
    bare, _ = _bare(cell)
    return any(_number(bare, mark) is not None for mark in ".,") and not _is_missing(bare)


def read_cell(cell: str, decimal: str) -> float | None:
    """Return the number in a cell by a decimal mark; NaN where it is missing, None where none."""
    return _number(_bare(cell)[0], MARKS[decimal])


def is_percent(cell: str) -> bool:
    """Say whether a cell is a number with a sign of percent."""
    return _bare(cell)[1] == "%"


def is_missing(cell: str) -> bool:
    """Say whether a cell of numbers says that there is none."""
    text, _ = _bare(cell)
    return _is_missing(text) and bool(text or not cell.strip())  # a sign alone is something


def _look(name: str, cells: Sequence[str], marks: Sequence[str]) -> _Column:
    taken = {cell: _bare(cell) for cell in dict.fromkeys(cells)}
    bare = {cell: text for cell, (text, _) in taken.items()}
    plain = [cell for cell, (text, _) in taken.items() if not _is_missing(text)]
    signs = {taken[cell][1] for cell in plain}
    said: list[str] = []
    if any(not bare[cell][-1].isdigit() or bare[cell][0] == "<" for cell in plain):
        for simplify in (_without_scale, _without_unit, _without_bound):
            bare, done = simplify({cell: bare[cell] for cell in plain}, bare)
            said += [f"{what} in column {name!r}{how}" for what, how in done]
    found = [bare[cell] for cell in cells]
    readings = {}
    for mark in marks:
        numbers = {text: _number(text, mark) for text in bare.values()}
        if None not in numbers.values():
            readings[mark] = np.array([numbers[text] for text in found], float)
    wrong: tuple[int | None, str] | None = None
    if not readings:
        wrong = _first_wrong(cells, bare, marks)
    elif not plain:
        wrong = (None, "it holds no numbers")
    elif len(signs - {""}) > 1 or ("%" in signs and len(signs) > 1):
        which = " and ".join(repr(sign or "no sign") for sign in sorted(signs))
        wrong = (None, f"its numbers have different signs: {which}")
    return _Column(name, found, readings, "".join(signs), wrong, said)


_Texts = dict[str, str]
_Done = list[tuple[str, str]]  # what was in a cell, and what it is now


def _without_scale(plain: _Texts, bare: _Texts) -> tuple[_Texts, _Done]:
    """Write 1.2M and 950.5K as numbers; whole ones alone, such as 25M, may be codes."""
    found = {cell: _SCALED.fullmatch(text) for cell, text in plain.items()}
    scaled = {cell: each for cell, each in found.items() if each}
    if not any(set(each[1]) & {".", ","} for each in scaled.values()):
        return bare, []
    written = {cell: f"{each[1]}e{_SCALES[each[2].strip()]}" for cell, each in scaled.items()}
    first = next(iter(written))
    letter = scaled[first][2].strip()
    return bare | written, [(repr(first), f": {letter} stands for {10 ** _SCALES[letter]:,}")]


def _without_unit(plain: _Texts, bare: _Texts) -> tuple[_Texts, _Done]:
    """Take off the unit that all cells have."""
    found = {cell: _UNIT.fullmatch(text) for cell, text in plain.items()}
    units = {each and each[2].strip() for each in found.values()}
    if len(units) != 1 or None in units:
        return bare, []
    taken = {cell: each[1] for cell, each in found.items() if each}
    return bare | taken, [(f"the unit {units.pop()!r}", " is taken off")]


def _without_bound(plain: _Texts, bare: _Texts) -> tuple[_Texts, _Done]:
    """Take half of the bound where a cell only says that a number is below one, such as <1."""
    found = {cell: _LESS.fullmatch(text) for cell, text in plain.items()}
    below = {cell: f"{float(each[1]) / 2:g}" for cell, each in found.items() if each}
    if not below or len(below) == len(plain):
        return bare, []
    first = next(iter(below))
    return bare | below, [(repr(first), f" is taken for {below[first]}, half of it")]


def _first_wrong(
    cells: Sequence[str], bare: Mapping[str, str], marks: Sequence[str]
) -> tuple[int | None, str]:
    """Return the first row without a number, by the mark that reads most, and the reason."""
    rows = min(
        (
            [n for n, cell in enumerate(cells) if _number(bare[cell], mark) is None]
            for mark in marks
        ),
        key=len,
    )
    missing = sum(_is_missing(bare[cell]) for cell in cells)
    if len(rows) + missing == len(cells) and not re.search("[0-9]", cells[rows[0]]):
        return None, "it holds no numbers"
    more = f" ({len(rows) - 1:,} more such cells in the column)" if len(rows) > 1 else ""
    return rows[0], f"expected a finite number, given {cells[rows[0]]!r}{more}"


def _bare(cell: str) -> tuple[str, str]:
    """Return a cell without a sign of money or percent, and the sign."""
    text, sign = cell.translate(_SAME).strip(), ""
    if text[:1].isdigit() and text[-1:].isdigit():  # the usual one
        return text, sign
    if text.startswith("(") and text.endswith(")") and text[-2:-1].isdigit():  # as accountants do
        text = f"-{text[1:-1]}"
    if _MINUS.match(text):
        text = _MINUS.sub("-", text, count=1)
    elif text[-1:] == "-" and text[:1].isdigit():  # as some programs write it
        text = f"-{text[:-1].rstrip()}"
    if found := _BEFORE.search(text):
        text, sign = found[1] + text[found.end() :], found[2]
    elif found := _BEHIND.search(text):
        text, sign = text[: found.start()], found[1]
    return text, sign


def _is_missing(text: str) -> bool:
    return text.lower() in _MISSING


def _number(text: str, mark: str) -> float | None:
    """Return a number by a decimal mark, NaN where it is missing, None where it is none."""
    if _is_missing(text):
        return np.nan
    if not _PLAIN[mark].fullmatch(text):
        if not _GROUPED[mark].fullmatch(text) and not (mark == "." and _INDIAN.fullmatch(text)):
            return None
        text = re.sub("[ ',.]".replace(mark, ""), "", text)
    value = float(text.replace(mark, "."))
    return value if np.isfinite(value) else None


def _decide(column: _Column, habit: str | None) -> tuple[str | None, bool]:
    """Return a column's decimal mark, None where nobody can tell, and whether its cells show it.

    - `0,992`, `1.234,5` and `1,234,567` can be read in one way.
    - Where all marked cells are like `1,234` and others are below 1,000 without a mark, these are
      thousands: fractions of three digits would have them there too, or sometimes fewer.
    - `1.234` alone has a point, as programs write it, unless it may be thousands by the same sign,
      or by the habits of who wrote it.
    """
    marked = [cell for cell in column.cells if _is_marked(cell)]
    if len(column.readings) == 1 or not marked:
        return next(iter(column.readings)), bool(marked)
    point, comma = column.readings["."], column.readings[","]
    if np.array_equal(point, comma, equal_nan=True):
        return ".", False
    whole = [cell.lstrip("+-") for cell in column.cells if cell.lstrip("+-").isdigit()]
    with_all_digits = any(cell.strip("0") for cell in whole) or any(c.endswith("0") for c in marked)
    may_be = len(whole) > 0 and with_all_digits and all(len(cell) < 4 for cell in whole)
    grouped = may_be and len(whole) + len(marked) >= _ENOUGH_CELLS
    if all(map(_THOUSANDS[","].fullmatch, marked)):
        known = grouped or habit == "point" or (column.sign != "" and column.sign in _WITH_POINT)
        return ("." if known else None), grouped
    if all(map(_THOUSANDS["."].fullmatch, marked)):
        return (None if may_be or habit == "comma" else "."), False
    return None, False


def _refuse(column: _Column) -> str:
    row = next(n for n, cell in enumerate(column.cells) if _is_marked(cell))
    ways = " or ".join(f"{column.readings[mark][row]:g}" for mark in ".,")
    raise Wrong(
        column.name,
        row,
        f"{column.cells[row]!r} may be {ways}",
        "say which with --decimal point or --decimal comma",
    )


def _say_marks(columns: Sequence[_Column], values: Mapping[str, Array]) -> list[str]:
    """Say by an example how cells were read that have a comma, or could be read otherwise."""
    for column in columns:
        for row, cell in enumerate(column.cells):
            if "," in cell or (len(column.readings) > 1 and "." in cell) or cell.count(".") > 1:
                value = values[column.name][row]
                if np.isfinite(value):
                    return [f"{cell!r} in column {column.name!r} is {value:.10g}"]
    return []


def _is_marked(cell: str) -> bool:
    return ("." in cell or "," in cell) and not _is_missing(cell)


def without_stand_ins(values: Array) -> tuple[Array, str | None]:
    """Take a number such as -9999 for a missing value, where all other values are far from it.

    Returns:
        The values, and a sentence where it was done.
    """
    for stand_in in (*_STAND_INS, *_extremes(values)):
        here = values == stand_in
        others = values[np.isfinite(values) & ~here]
        if not here.any() or len(others) < _ENOUGH:
            continue
        times = "once" if here.sum() == 1 else f"{here.sum():,} times"
        what = f"{stand_in:g} is taken for a missing value, {times}"
        if stand_in in _STAND_INS and (
            others.min() >= 0 or (here.sum() > 1 and others.min() > stand_in / 10)
        ):
            return np.where(here, np.nan, values), f"{what}: others are {others.min():g} or more"
        if _is_alone(stand_in) and here.sum() >= _OFTEN and others.min() >= 0:
            return np.where(here, np.nan, values), f"{what}: no other is below zero"
        if here.sum() > 1 and _is_far(stand_in, others):
            others_are = f"others are {others.min():g} to {others.max():g}"
            return np.where(here, np.nan, values), f"{what}: {others_are}"
    return values, None


def _extremes(values: Array) -> list[float]:
    """Return the least and the greatest value, where they are all nines or eights, or -200."""
    finite = values[np.isfinite(values)]
    ends = (float(finite.min()), float(finite.max())) if len(finite) else ()
    return [end for end in ends if _NINES.fullmatch(f"{end:.10g}") or _is_alone(end)]


def _is_alone(number: float) -> bool:
    return _ALONE.fullmatch(f"{number:.10g}") is not None


def _is_far(stand_in: float, others: Array) -> bool:
    """Say whether a number is far outside the range of all others, which are not all alike."""
    spread = max(np.ptp(others), np.abs(others).max() / 4)
    return bool(np.ptp(others) > 0 and np.abs(others - stand_in).min() > _FAR * spread)
