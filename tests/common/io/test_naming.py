"""What the names of files say of which belong together."""

import pytest

from common.io.naming import group_of_name


@pytest.mark.parametrize(
    ("name", "rest", "start"),
    [
        ("a/p07_left_3.jpg", "a/p07_left", "a/p07"),
        ("p07-3.png", "p07", "p07"),
        ("IMG 2031 (2).jpg", "IMG 2031", "IMG"),
        ("frame12.jpg", "frame", None),
        ("scan.12.0.png", "scan.12", "scan"),
        ("홍길동_01.jpg", "홍길동", "홍길동"),
        ("0012.jpg", None, None),
        ("x/normal.jpg", None, None),
        ("_3.jpg", None, None),
    ],
)
def test_a_name_without_its_last_piece_and_its_first_piece(name, rest, start):
    assert group_of_name("name", name) == rest
    assert group_of_name("name-start", name) == start


def test_a_folder_is_what_a_file_lies_in():
    assert group_of_name("folder", "x/사람/1.jpg") == "x/사람"
    assert group_of_name("folder", "1.jpg") is None
