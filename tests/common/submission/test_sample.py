"""A sample submission is read so that it can be written again byte for byte."""

import dataclasses

import pytest

from common.errors import DataError
from common.submission.sample import Sample


def read(path, data, id_column="id"):
    path.write_bytes(data)
    return dataclasses.replace(Sample.read(path), id_column=id_column)


WRITTEN = [
    ("s.csv", "id,y\n007,0\n1.0,0\n"),
    ("s.csv", "id,y\r\n007,0\r\n08,0"),
    ("s.csv", '"id","y"\n"a, ""b""","0"\n'),
    ("s.csv", "id;y\n1;\n2;"),
    ("s.tsv", 'id\ty\n"x\t0\n a \t1\n'),
    ("s.csv", "id,y\r1,0\r2,0\r"),
    ("s.csv", 'id,y\n"two\nlines",0\n'),
]


@pytest.mark.parametrize(("name", "text"), WRITTEN)
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_sample_is_written_as_it_was(name, text, codec, tmp_path):
    sample = read(tmp_path / name, text.encode(codec))
    assert sample.render(sample.cut.rows[1:]) == text.encode(codec)
    assert sample.columns == ("id", "y")


def test_ids_stay_as_they_are_beside_new_answers(tmp_path):
    sample = read(tmp_path / "s.csv", b'id,y,z\r\n007,"a",1\r\n" 1.0",a,2\r\n')
    filled = sample.render(sample.fill({"y": ["b,c", None]}))
    assert filled == b'id,y,z\r\n007,"b,c",1\r\n" 1.0",a,2\r\n'
    assert sample.ids == ["007", "1.0"]


def test_the_encoding_is_kept_and_must_have_the_letters(tmp_path):
    lines = [f"고양이와 강아지 사진 {number},정상" for number in range(20)]
    text = "\n".join(["파일명,분류", *lines]) + "\n"
    sample = read(tmp_path / "s.csv", text.encode("cp949"), "파일명")
    answers = ["불량품"] * 20
    written = sample.render(sample.fill({"분류": answers}))
    assert written.decode("cp949") == text.replace("정상", "불량품")
    with pytest.raises(DataError, match="is in cp949, which has no '猫咪'|which has no"):
        sample.render(sample.fill({"분류": ["😀"] * 20}))


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("s.xlsx", b"", "expected a sample submission that ends in .csv"),
        ("s.csv", b"id,y\n", "a row for each answer"),
        ("s.csv", b"id,y\n1,2,3\n4,5\n", "row 2 has 3 cells, and the first 2"),
        ("s.csv", b"id,id\n1,2\n", "two columns have the same name"),
        ("s.csv", b"id,y\n1,2\n\n3,4\n", "could not be written again as it is"),
        ("s.csv", b"id,y\n1,2\r\n3,4\n", "could not be written again as it is"),
        ("s.csv", b'id,y\n1,"2\n', "s.csv:2: a quote is never closed"),
        ("none.csv", None, "cannot read"),
    ],
)
def test_what_is_no_sample_is_one_error(name, data, problem, tmp_path):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=problem):
        Sample.read(tmp_path / name)
