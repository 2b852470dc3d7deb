"""Which groups are guessed: what may be groups, and which sentences texts have in common."""

import pytest

from common.explore.groups import find_group_columns, judge, share_sentences


def test_groups_that_may_be_are_described():
    keys = [f"p{row // 4}" for row in range(80)]
    labels = ["ab"[row // 4 % 2] for row in range(80)]
    guess = judge("--group-by name", keys, labels, 5)
    assert guess.problem == ""
    assert (guess.groups, guess.largest, guess.together, guess.one_label) == (20, 4, 1, 1)
    assert "20 groups of up to 4, 100 %" in guess.describe()


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ([None] * 80, "0% of all would have companions"),
        ([*range(70), *[70] * 10], "12% of all would have companions"),
        (["one"] * 40 + list(range(40)), "one group would have 40 of 80"),
        ([row // 20 for row in range(80)], "4 groups, and of a class 4"),
        ([row % 2 * 40 + row // 2 // 10 for row in range(80)], "8 groups, and of a class 4"),
    ],
)
def test_what_cannot_be_groups_is_said(keys, problem):
    labels = ["ab"[row % 2] for row in range(80)]
    assert problem in judge("", keys, labels, 5).describe()


def test_texts_that_share_a_sentence_are_a_group():
    texts = [
        "I liked it. The battery lasts two days at least!",
        "Bad. the  battery lasts two days at least",
        "Fine. Nobody would ever buy this one again.",
        "Nobody would ever buy this one again? Yes. 배송이 아주 빠르고 포장도 정말 꼼꼼합니다.",
        "배송이 아주 빠르고 포장도 정말 꼼꼼합니다! 좋아요",
        "I liked it. Good.",
        "I liked it.",
    ]
    found = share_sentences(texts)
    assert found[0] == found[1]
    assert found[2] == found[3] == found[4] != found[0]
    assert found[5:] == [None, None]


def test_a_phrase_that_all_use_makes_no_group():
    assert share_sentences(["as advertised, would buy it again."] * 51) == [None] * 51


def test_columns_that_repeat_may_be_groups_those_of_persons_and_things_first():
    rows = [
        [f"{row}.png", "ab"[row % 2], "mf"[row % 2], str(20 + row % 30), f"{row % 40 / 7:.2f}"]
        + [f"p{row // 4}", str(row // 3), "" if row == 5 else str(row // 2), str(row)]
        for row in range(120)
    ]
    names = ["path", "label", "sex", "age", "weight", "환자번호", "movieId", "gaps", "row"]
    found = find_group_columns([names, *rows], {"path", "label"}, 5)
    assert found == (["movieId", "환자번호"], [], ["age"])
    assert find_group_columns([], {"path"}, 5) == ([], [], [])
    assert find_group_columns([names], {"path"}, 5) == ([], [], [])
