"""Numbers as people write them: read right, or asked for."""

import numpy as np
import pytest

from common.io import numbers
from common.io.numbers import Wrong

NAN = np.nan


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["0,992", "0,996", "1,001"], [0.992, 0.996, 1.001]),
        (["1,5", "2"], [1.5, 2]),
        (["1,23", "1,234"], [1.23, 1.234]),
        (["1.234,5", "12"], [1234.5, 12]),
        (["1.234.567", "1.234"], [1234567, 1234]),
        (["-0,5", "+2,5"], [-0.5, 2.5]),
        (["1,5e3", "2"], [1500, 2]),
        (["1,234,567", "1,234"], [1234567, 1234]),
        (["1,234", "1300.5"], [1234, 1300.5]),
        (["1,234", "950", "2,345", "12,000"], [1234, 950, 2345, 12000]),
        (["0", "1,234", "2,000", "3,111"], [0, 1234, 2000, 3111]),
        (["12,34,567", "5"], [1234567, 5]),
        (["1 234,5", "1\u00a0000"], [1234.5, 1000]),
        (["1'234.5", "2"], [1234.5, 2]),
        (["1.234", "2.345"], [1.234, 2.345]),
        (["0.992", "1.001"], [0.992, 1.001]),
        (["1e3", "2E-2", ".5", "7."], [1000, 0.02, 0.5, 7]),
        (["$1,200", "$950.5", "-$3"], [1200, 950.5, -3]),
        (["₩1,200", "₩1,950"], [1200, 1950]),
        (["1,200원", "1,950원"], [1200, 1950]),
        (["12 %", "13.5 %"], [12, 13.5]),
        (["(1,234.5)", "5"], [-1234.5, 5]),
        (["−5", "１２"], [-5, 12]),
        *(
            ([mark, "1", "2"], [NAN, 1, 2])
            for mark in ("", "-", ".", "..", "?", "NA", "n/a", "NaN")
        ),
        *(([mark, "1", "2"], [NAN, 1, 2]) for mark in ("NM", "null", "#N/A", "None", "ND", "결측")),
        *(([mark, "1", "2"], [NAN, 1, 2]) for mark in ("#DIV/0!", "—", "*", "missing", "미상")),
    ],
)
def test_a_column_tells_what_its_cells_are(cells, expected):
    found = numbers.read({"x": cells}).values["x"]
    assert np.array_equal(found, expected, equal_nan=True)


@pytest.mark.parametrize(
    ("cells", "row", "match"),
    [
        (["1,234", "2,345"], 0, "'1,234' may be 1234 or 1.234"),
        (["1,234", "2500"], 0, "may be 1234 or 1.234"),
        (["1.234", "950", "2.345", "3.100"], 0, "may be 1.234 or 1234"),
        (["0", "1.000"], 1, "may be 1 or 1000"),
        (["1", "many", "3"], 1, "given 'many'"),
        (["1", "5²"], 1, "given '5²'"),
        (["1", "1_000"], 1, "given '1_000'"),
        (["inf", "1"], 0, "given 'inf'"),
        (["1", "0x10"], 1, "given '0x10'"),
        (["1", "12:30"], 1, "given '12:30'"),
        (["1,5", "2.5"], 0, "given '1,5'"),
    ],
)
def test_what_is_no_number_or_may_be_two_is_refused(cells, row, match):
    with pytest.raises(Wrong, match=match) as caught:
        numbers.read({"x": cells})
    assert caught.value.row == row


def test_a_table_tells_what_a_column_does_not():
    for other, value, mark in ((["0,5", "1"], 1.234, "comma"), (["0.5", "1"], 1234, "point")):
        found = numbers.read({"x": ["1,234", "2,345"], "y": other})
        assert (found.values["x"][0], found.mark) == (value, mark)
        assert found.said == [f"'1,234' in column 'x' is {value:g}"]
    assert numbers.read({"x": ["1,234", "2,345"]}, habit="point").values["x"][0] == 1234
    assert numbers.read({"x": ["1.234", "2.345"]}).said == ["'1.234' in column 'x' is 1.234"]
    with pytest.raises(Wrong, match=r"'1\.234' may be 1\.234 or 1234"):
        numbers.read({"x": ["1.234", "2.345"]}, habit="comma")


@pytest.mark.parametrize(("decimal", "value"), [("comma", 1.234), ("point", 1234)])
def test_the_mark_can_be_given(decimal, value):
    assert numbers.read({"x": ["1,234", "2,345"]}, decimal).values["x"][0] == value
    with pytest.raises(Wrong, match=r"given '1\.2,3'|given '1,2\.3'"):
        numbers.read({"x": ["1.2,3" if decimal == "point" else "1,2.3"]}, decimal)


def test_columns_of_words_are_left_out_by_name():
    cells = {"x": ["1", "2"], "weather": ["sun", "rain"], "y": ["3", "oops"], "z": ["$1", "€2"]}
    found = numbers.read(cells)
    assert list(found.values) == ["x"]
    assert found.left_out["weather"] == (None, "it holds no numbers")
    assert found.left_out["y"] == (1, "expected a finite number, given 'oops'")
    assert "different signs: '$' and '€'" in found.left_out["z"][1]
    with pytest.raises(Wrong, match="oops"):
        numbers.read({"y": cells["y"], "x": cells["x"]}, asked=True)


def test_percent_beside_plain_numbers_is_not_mixed():
    assert "no sign" in numbers.read({"x": ["1"] * 2, "p": ["0.1", "12%"]}).left_out["p"][1]


@pytest.mark.parametrize(
    ("others", "stand_in", "taken"),
    [
        (range(30), -9999.0, True),
        (range(30), -99.99, True),
        (range(-50, 30), -999.0, False),  # once, among others below 0
        (range(-500, 500), -999.0, False),  # near others
        (range(5), -9999.0, False),  # too few to tell
        (range(30), -98.0, False),
    ],
)
def test_a_number_that_stands_for_missing(others, stand_in, taken):
    found, said = numbers.without_stand_ins(np.array([*others, stand_in], float))
    assert np.isnan(found[-1]) == taken == (said is not None)
    assert np.isfinite(found[:-1]).all()


@pytest.mark.parametrize(
    ("others", "stand_in", "taken"),
    [
        (np.linspace(995, 1025, 60), 9999.9, True),
        (np.linspace(-4.5, 3.5, 60), -99.9, True),
        (np.linspace(-20, 30, 60), -8888, True),
        (np.linspace(0, 40, 60), 999, True),
        (np.linspace(0, 900, 60), 999, False),
        (np.linspace(0, 400, 60), 999, False),
        (np.full(60, 998.0), 999, False),
        (np.linspace(-4.5, 3.5, 60), 100, False),
    ],
)
def test_nines_and_eights_that_come_again_far_away_are_missing(others, stand_in, taken):
    found, said = numbers.without_stand_ins(np.array([stand_in, *others, stand_in], float))
    assert np.isnan(found).sum() == 2 * taken
    assert (said is not None) == taken
    once, said = numbers.without_stand_ins(np.array([abs(stand_in), *others], float))
    assert said is None
    assert np.isfinite(once).all()


@pytest.mark.parametrize(
    ("cells", "values", "said"),
    [
        (["1.2M", "950.5K", "-", "7"], [1.2e6, 950_500, np.nan, 7], "'1.2M' in column 'x': M sta"),
        (["1.25B", "0.5T"], [1.25e9, 5e11], "B stands for 1,000,000,000"),
        (["3.4억", "5,000.5만"], [3.4e8, 50_005_000], "억 stands for 100,000,000"),
        (["1,01M", "2,5K"], [1.01e6, 2500], "M stands for 1,000,000"),
        (["12.3 kWh", "-4 kWh", "", "5kWh"], [12.3, -4, np.nan, 5], "the unit 'kWh' in column 'x'"),
        (["12.5 ㎍/㎥", "13 ㎍/㎥"], [12.5, 13], "the unit '㎍/㎥' in column 'x' is taken off"),
        (["1,200 명", "900 명", "80 명", "1,000 명"], [1200, 900, 80, 1000], "the unit '명'"),
        (["280.5 K", "281.5 K"], [280.5, 281.5], "the unit 'K' in column 'x' is taken off"),
        (["3.5 억", "12만"], [3.5e8, 120_000], "억 stands for 100,000,000"),
        (["12 V", "13.5 V"], [12, 13.5], "the unit 'V' in column 'x' is taken off"),
        (["<1", "3", "12", "<1"], [0.5, 3, 12, 0.5], "'<1' in column 'x' is taken for 0.5, half"),
        (["< 0.05", "0.3"], [0.025, 0.3], "half of it"),
    ],
)
def test_letters_for_thousands_units_and_bounds(cells, values, said):
    found = numbers.read({"x": cells})
    np.testing.assert_allclose(found.values["x"], values)
    assert any(said in each for each in found.said)


@pytest.mark.parametrize(
    "cells",
    [
        ["25M", "30M", "12K"],  # codes
        ["12 kWh", "13 MWh"],
        ["12 kWh", "13"],
        ["85123A", "85124A"],
        ["1호선", "2호선"],
        ["20대", "30대"],
        ["<1", "<1"],
        ["1.2M", "3.4 apples"],
    ],
)
def test_words_behind_numbers_are_no_units(cells):
    with pytest.raises(Wrong):
        numbers.read({"x": cells})


def test_a_letter_behind_what_may_be_thousands_is_asked_for():
    with pytest.raises(Wrong, match=r"may be 1.5e\+06 or 1500"):
        numbers.read({"x": ["1,500K", "2,250K"]})


@pytest.mark.parametrize(
    ("others", "stand_in", "times", "taken"),
    [
        (np.linspace(600, 2000, 60), -200, 3, True),
        (np.linspace(600, 2000, 60), -200, 2, False),  # too few to tell
        (np.linspace(0.1, 0.9, 60), -9.99, 9, True),
        (np.linspace(0.1, 0.9, 60), -0.99, 9, True),
        (np.linspace(-300, 2000, 60), -200, 9, False),  # not alone below zero
        (np.linspace(-2, 40, 60), -200, 9, True),  # and far
        (np.linspace(0, 40, 60), -1, 9, False),
        (np.linspace(0, 40, 60), -250, 9, False),
    ],
)
def test_one_number_below_zero_again_and_again_is_missing(others, stand_in, times, taken):
    found, said = numbers.without_stand_ins(np.array([*others, *[stand_in] * times], float))
    assert np.isnan(found).sum() == times * taken
    assert (said is not None) == taken


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["△4", "▲1,234", "12", "250"], [-4, -1234, 12, 250]),
        (["△ 4.5", "3.5", "2.5"], [-4.5, 3.5, 2.5]),
        (["4,50-", "3,25", "10,75"], [-4.5, 3.25, 10.75]),
        (["1,100円", "900円", "2,000円"], [1100, 900, 2000]),
        (["0.5°C", "-1.5°C", "12°C"], [0.5, -1.5, 12]),
        (["0.5℃", "-1.5℃", "12℃"], [0.5, -1.5, 12]),
    ],
)
def test_more_signs(cells, values):
    found = numbers.read({"x": cells})
    assert found.values["x"].tolist() == values
    assert any("below zero" in what for what in found.said) == (cells[0][0] == "△")


@pytest.mark.parametrize("cell", ["12M", "4만", "▼4", "3k"])
def test_an_unknown_form_of_numbers_is_refused_as_such(cell):
    with pytest.raises(numbers.Wrong, match="given") as caught:
        numbers.read({"x": [cell, "4", "5"]})
    assert "form of a number" in caught.value.help
