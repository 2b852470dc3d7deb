"""What columns are found to be, what is learned of them, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from common.errors import DataError
from common.images.sets import ImageSet
from labs.classification.senses import columns, pieces

NUMBERS = [f"{value}.5" for value in range(40)]


def split(cells, targets=None, name="c"):
    rows = len(cells)
    targets = torch.zeros(rows, dtype=torch.int64) if targets is None else torch.tensor(targets)
    names = tuple(map(str, range(rows)))
    return ImageSet(torch.zeros(rows, 1, 2, 2), targets, names, cells={name: tuple(cells)})


def read(cells, targets=None, kind=None, test=("",), classes=("a", "b")):
    if targets is None:
        targets = np.random.default_rng(0).integers(0, 2, len(cells)).tolist()
    splits = {"train": split(cells, targets), "test": split(test)}
    [column] = columns.read({"c": kind}, splits, classes)
    return column


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (NUMBERS, "number"),
        (["1,5", "2,25", "-3,125", ""] * 10, "number"),
        (["₩1,200", "₩3,400,000", "₩800"] * 10, "number"),
        (["0", "1"] * 20, "number"),
        (["04512", "91001", "00001"] * 10, "category"),
        (["서울", "부산", "대구"] * 10, "category"),
        (["none", "mild", "severe"] * 10, "category"),
        ([f"강아지가 {word}" for word in "가나다라마바사아자차카타파하거너더러머버서"], "text"),
        ([f"a {first}{second} thing" for first in "abcde" for second in "fghij"], "text"),
    ],
)
def test_cells_tell_what_a_column_is(cells, kind):
    assert read(cells).kind == kind


@pytest.mark.parametrize(
    ("cells", "right", "wrong"), [(["5%", "12%", "30%", ""] * 6, "7%", "0.07"),
                                  (["5", "12", "30", ""] * 6, "7", "7%")],
)  # fmt: skip
def test_a_number_with_percent_is_no_other_than_one_without(cells, right, wrong):
    column = read(cells)
    assert column.values([right, wrong, ""])[0] == 7
    assert np.isnan(column.values([right, wrong, ""])[1:]).all()
    assert column.describe_unknown({"c": [right, ""]}) == ""
    assert f"1 cells such as '{wrong}'" in column.describe_unknown({"c": [right, wrong]})
    of_older_run = replace(column, percent=None)
    assert of_older_run.values([wrong])[0] == float(wrong.removesuffix("%"))


def test_a_number_on_a_line_with_the_answer_is_doubted():
    values = np.random.default_rng(0).normal(10, 3, 60)
    cells = [f"{2 * value + 1:.6f}" for value in values]
    targets = values.astype(np.float32).tolist()
    assert "known before" in read(cells, targets, classes=()).doubt
    noisy = [f"{2 * value + 1 + number % 3 / 10:.6f}" for number, value in enumerate(values)]
    assert read(noisy, targets, classes=()).doubt == ""


def test_decimal_commas_are_read_as_such_also_in_new_cells():
    column = read(["1,5", "2,25", "3,75", "4,5"] * 5)
    assert column.decimal == "comma"
    assert column.values(["1,5", "7,25"]).tolist() == [1.5, 7.25]


def test_what_somebody_says_goes_over_what_cells_tell():
    assert read(["1", "2", "3"] * 10, kind="category").known == ("1", "2", "3")
    assert read(["red car", "old car"] * 10, kind="text").kind == "text"


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["2021-03-04", "2021-03-05", "2020-01-01"] * 9, "dates such as 2021-03-04"),
        (["2021년 3월 4일", "2021년 3월 5일"] * 9, "dates such as"),
        ([*NUMBERS, "about 4"], "1 cells such as 'about 4'"),
        (["35 kg", "36 kg", "40 kg"] * 9, "a unit, such as '35 kg'"),
        ([str(number) for number in range(100, 140)], "as an id has"),
        ([f"IMG_{number}" for number in range(40)], "as an id has"),
        (["", "", "n/a"] * 9, "is empty"),
        (["same"] * 30, "holds 'same' alone"),
        (["1,234", "5,678", "9,125"] * 9, "may be 1234 or 1.234"),
    ],
)
def test_what_tells_nothing_or_cannot_be_read_is_refused_in_a_sentence(cells, words):
    with pytest.raises(DataError, match="--with c") as refused:
        read(cells)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_column_that_is_the_answer_is_refused_unless_it_is_asked_for_by_its_kind():
    targets = [0, 1] * 20
    cells = [("cat", "dog")[target] for target in targets]
    with pytest.raises(DataError, match="gives the answer away"):
        read(cells, targets)
    assert read(cells, targets, kind="category").doubt.startswith("each of its categories goes")


def test_a_column_that_is_the_number_to_be_predicted_is_refused():
    values = torch.arange(20) * 1.25
    splits = {"train": split([f"{value:.2f}" for value in values.tolist()])}
    splits["train"] = ImageSet(
        splits["train"].images, values, splits["train"].names, cells=splits["train"].cells
    )
    with pytest.raises(DataError, match="those to be predicted"):
        columns.read({"c": None}, splits, ())


def test_categories_that_each_go_with_one_class_are_doubted():
    targets = [0, 0, 1, 1] * 10
    cells = [f"{'ab'[target]}{row % 3}x" for row, target in enumerate(targets)]
    assert "known before" in read(cells, targets).doubt


def test_numbers_that_stand_for_missing_ones_are_doubted():
    assert "-999 may stand for a missing value" in read([*NUMBERS, "-999", "-999"]).doubt


def test_statistics_are_those_of_training_alone():
    number = read(["1.5", "2.5", "3.5"] * 10, test=("1000", "2000.5"))
    assert (number.mean, number.std) == pytest.approx((2.5, np.std([1.5, 2.5, 3.5])))
    category = read(["x", "y"] * 10, test=("z", "z", "z"))
    assert category.known == ("x", "y")
    texts = [f"red {word}" for word in ("car", "cat", "cup", "can", "cow")] * 5
    assert not any("moon" in piece for piece in read(texts, kind="text", test=("moon moon",)).known)


def test_missing_cells_unknown_categories_and_unknown_texts_are_missing():
    number = read(["1.5", "2.5", "", "n/a"] * 10)
    assert number.encode(["", "n/a", "word", "1.5"])[:, 0].tolist() == [0, 0, 0, 1]
    category = read(["x", "y", ""] * 10)
    assert category.encode(["z", "", "y"]).tolist() == [[0, 0], [0, 0], [1, 1]]
    text = read(["red car", "old car"] * 10, kind="text")
    assert text.encode(["", "zzzz", "car"])[:, 0].tolist() == [0, 0, 1]


def test_what_lies_far_out_is_taken_to_lie_less_far():
    column = read(NUMBERS)
    assert abs(column.encode(["1e30"])[0, 1]) == 20


def test_a_category_of_one_row_is_missing_and_said():
    column = read(["x", "y"] * 10 + ["once"], targets=[0, 0, 1, 1] * 5 + [0])
    assert column.known == ("x", "y")
    assert "1 rare ones" in column.said


def test_columns_that_are_not_there_are_missing_in_all_rows():
    column = read(NUMBERS)
    encoded = columns.encode([column], {}, 3)
    assert encoded.tolist() == [[0, 0]] * 3
    assert "missing in all rows" in column.describe_unknown({})


def test_unknown_cells_are_counted_and_shown():
    column = read(["x", "y"] * 10)
    assert column.describe_unknown({"c": ["x", "zz", "zz", ""]}) == (
        "c: 2 cells such as 'zz' are no categories of the training: taken as missing"
    )
    assert column.describe_unknown({"c": ["x", ""]}) == ""


def test_words_with_other_endings_share_pieces():
    first, second = pieces.cut("강아지가"), pieces.cut("강아지를")
    assert {" 강", "강아", "아지", " 강아", "강아지"} <= {*first} & {*second}
    assert " 강아지가 " in first


def test_pieces_are_the_same_composed_or_not_and_in_capitals():
    import unicodedata

    assert pieces.cut("한글 Text") == pieces.cut(unicodedata.normalize("NFD", "한글 tEXT"))


def test_pieces_of_one_text_alone_are_not_known():
    assert pieces.choose(["ab", "ab", "cd"]) == (" a", " ab", " ab ", "ab", "ab ", "b ")
