"""What --label-pattern, --label-bands and --label-order say, and what they cannot."""

import pytest

from common.errors import ConfigError
from common.options.config import ImageConfig, build
from common.options.labels import name_bands, parse_rules


@pytest.mark.parametrize(
    ("edges", "names"),
    [
        ((30, 60), ("<30", "30-59", ">=60")),
        ((18,), ("<18", ">=18")),
        ((1, 2, 10), ("<1", "1", "2-9", ">=10")),
        ((0.5, 1.5), ("<0.5", "0.5-<1.5", ">=1.5")),
        ((-10, 0), ("<-10", "-10--1", ">=0")),
    ],
)
def test_bands_are_named_by_what_is_in_them(edges, names):
    assert name_bands(edges) == names


def test_a_number_on_an_edge_is_in_the_upper_band():
    rules = parse_rules(None, ("age=30", "60"), ())
    bands = [rules.find_band("age", number) for number in (-1, 29, 29.9, 30, 59.9, 60, 100)]
    assert bands == ["<30"] * 3 + ["30-59"] * 2 + [">=60"] * 2


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("mask1.jpg", "mask"),
        ("incorrect_mask.jpg", "incorrect"),
        ("normal.jpg", "normal"),
        ("Mask1.jpg", ""),
        ("5.jpg", ""),
    ],
)
def test_the_group_of_a_pattern_is_the_label(name, label):
    rules = parse_rules("mask=(mask|incorrect|normal)", (), ())
    assert rules.read_name(name) == label


def test_the_options_are_read_from_text():
    given = {
        "label_column": "mask,gender,age,키",
        "label_pattern": "mask=^([a-z]{2,4})=?",
        "label_bands": "age=30,60,키=1.5",
        "label_order": "gender=male|female",
    }
    rules = build(ImageConfig, ("options", given)).label_rules
    assert rules.edges == {"age": (30, 60), "키": (1.5,)}
    assert rules.order == {"gender": ("male", "female")}
    assert rules.pattern.pattern == "^([a-z]{2,4})=?"
    assert [rules.classes_of(name) for name in ("mask", "gender")] == [(), ("male", "female")]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"label_pattern": "(a|b)"}, "--label-pattern (a|b): expected COLUMN=EXPRESSION"),
        ({"label_pattern": "label=(a"}, "(a is no regular expression: missing ), unterminated"),
        ({"label_pattern": "label=a|b"}, "has 0 groups, expected one"),
        ({"label_pattern": "label=(a)(b)"}, "has 2 groups, expected one"),
        ({"label_pattern": "mask=(a)"}, "--label-pattern mask: is none of --label-column label"),
        ({"label_bands": "30,60"}, "--label-bands 30,60: expected COLUMN=NUMBER,NUMBER"),
        ({"label_bands": "label=young"}, "expected COLUMN=NUMBER,NUMBER"),
        ({"label_bands": "label=60,30"}, "--label-bands label=60,30: expected rising numbers"),
        ({"label_bands": "label=nan"}, "expected COLUMN=NUMBER,NUMBER"),
        ({"label_bands": "age=30"}, "--label-bands age: is none of --label-column label"),
        ({"label_order": "label=a"}, "--label-order label=a: expected COLUMN=CLASS|CLASS"),
        ({"label_order": "label=a|b|a"}, "each class once"),
        ({"label_order": "a|b"}, "expected COLUMN=CLASS|CLASS"),
        (
            {"label_bands": "label=30", "label_order": "label=<30|>=30"},
            "--label-order label: bands have the order of their numbers",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(options, problem):
    with pytest.raises(ConfigError) as caught:
        build(ImageConfig, ("options", options))
    [said] = caught.value.problems
    assert problem in said
