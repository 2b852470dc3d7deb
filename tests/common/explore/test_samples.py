"""What is said of samples of any kind: classes, copies, groups."""

from collections import Counter

from common.explore import samples


def test_classes_are_counted_in_each_part_and_in_all():
    numbers = {
        "train": Counter({"개": 90, "cat": 40, "fox": 4, "owl": 0}),
        "test": Counter({"개": 10, "cat": 2}),
    }
    section, findings = samples.count_classes(numbers, 146, "texts", advice="; look")
    assert section.text == "4 classes of 146 texts."
    assert list(section.table.columns) == ["class", "train", "test", "all", "share"]
    assert [list(row) for row in section.table.rows] == [
        ["개", "90", "10", "100", "68.5%"],
        ["cat", "40", "2", "42", "28.8%"],
        ["fox", "4", "0", "4", "2.7%"],
        ["owl", "0", "0", "0", "0.0%"],
    ]
    assert findings == [
        "1 classes have no texts, such as owl.",
        "Classes are unequal: 100 texts of '개', 4 of 'fox'; look.",
        "1 classes have fewer than 10 texts, such as fox.",
        "test lacks 1 classes, such as fox.",
    ]


def test_data_without_parts_have_no_column_of_all():
    section, findings = samples.count_classes({"all": Counter(a=20, b=20)}, 40, "pictures")
    assert list(section.table.columns) == ["class", "all", "share"]
    assert findings == []


def test_copies_are_counted_within_parts_and_across_them():
    pairs = [("same", 0, 1), ("near", 1, 2)]
    parts, labels = ["test", "train", "train"], ["a", "a", "b"]
    found = samples.count_copies(pairs, {"same": "alike", "near": "nearly"}, parts, labels, "texts")
    assert list(found.table.columns) == ["kind", "within train", "within test", "train and test"]
    assert [*map(list, found.table.rows)] == [["alike", "0", "0", "1"], ["nearly", "1", "0", "0"]]
    assert found.contrary == [1]
    assert found.findings[0].startswith("Pairs of texts that are one (1 same, 1 near): ")


def test_groups_of_several_parts_and_classes_are_named():
    parts, labels = ["train", "test", "train", "train"], ["a", "a", "a", "b"]
    part = samples.show_groups([7, 7, 8, 8], parts, labels, "person", of=5, noun="texts")
    assert part.section.text.endswith("1 have texts of several classes.")
    assert part.findings == [
        "1 groups by person stand in several parts of the split: a leak.",
        "Group 7 holds 40% of all texts.",
    ]
