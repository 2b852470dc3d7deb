import gzip
import unicodedata
import zipfile

import pytest
import torch

from common import files
from common.errors import DataError
from common.io import fetch as download
from common.training.sequences import Ragged
from labs.rnn import vectors
from labs.rnn.vectors import load_vectors, read_vectors

VOCABULARY = ["<pad>", "<unk>", "good", "bad", "영화", "never", "'"]
LINES = ["the 1 2 3", "good 0.5 -1e-3 2", "영화 4 5 6", "' 7 8 9", "good 9 9 9", ". . . 1 2 3"]


def write(path, lines, encoding="utf-8"):
    path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
    return path


def check(found):
    assert found.known.tolist() == [False, False, True, False, True, False, True]
    expected = torch.zeros(7, 3)
    expected[2], expected[4] = torch.tensor([0.5, -1e-3, 2]), torch.tensor([4.0, 5, 6])
    expected[6] = torch.tensor([7.0, 8, 9])
    assert torch.equal(found.values, expected)


@pytest.mark.parametrize("header", [[], ["6 3"]])
@pytest.mark.parametrize("end", ["", " "])
def test_words_of_the_vocabulary_are_read_and_the_first_of_two_counts(tmp_path, header, end):
    lines = [*header, *(unicodedata.normalize("NFD", line) + end for line in LINES)]
    found = read_vectors(write(tmp_path / "vectors.txt", lines), VOCABULARY, 3)
    check(found)
    assert (found.source, found.skipped) == ("vectors.txt", ())


def test_compressed_files_are_read_as_they_are(tmp_path):
    plain = write(tmp_path / "glove.3d.txt", LINES)
    (tmp_path / "v.txt.gz").write_bytes(gzip.compress(plain.read_bytes()))
    for name, members in [("one.zip", ["a.txt"]), ("two.zip", ["a.txt", "b/c.txt"])]:
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for member in members:
                archive.write(plain, member)
    for path in ["glove.3d.txt", "v.txt.gz", "one.zip", "one.zip/a.txt", "two.zip/b/c.txt"]:
        check(load_vectors(str(tmp_path / path), VOCABULARY, 3))
    with pytest.raises(DataError, match=r"one of the 2 files in it\n.*two\.zip/a\.txt\n.*/b/c"):
        load_vectors(str(tmp_path / "two.zip"), VOCABULARY, 3)


def test_coverage_of_words_and_of_running_text(tmp_path):
    found = read_vectors(write(tmp_path / "v.txt", LINES), VOCABULARY, 3)
    covered = found.coverage(Ragged.of([[2, 2, 3, 1], [], [4, 6]]))
    assert (covered.types, covered.tokens) == (3 / 5, 4 / 6)
    assert found.coverage(Ragged.of([])).tokens == 0


def test_malformed_lines_are_named(tmp_path):
    lines = ["the 1 2 3", "good 1 2", "good 1 x 3", "good 1 nan 3", "other 1 2", "", "good 1 2 3"]
    lines += ["영화 1 2 3 4", "bad" + " 1" * 600_000]
    found = read_vectors(write(tmp_path / "v.txt", lines), VOCABULARY, 3)
    assert found.values[2].tolist() == [1, 2, 3]
    assert int(found.known.sum()) == 1
    assert found.skipped[:6] == (
        ("v.txt:2", "2 numbers, expected 3"),
        ("v.txt:3", "not all of it are finite numbers"),
        ("v.txt:4", "not all of it are finite numbers"),
        ("v.txt:5", "2 numbers, expected 3"),
        ("v.txt:6", "0 numbers, expected 3"),
        ("v.txt:8", "not all of it are finite numbers"),
    )
    assert "v.txt:9" in dict(found.skipped)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"good 1 2 3 4\n", r"v\.txt:1: expected a word and 3 numbers, found 4"),
        (b"6 4\ngood 1 2 3 4\n", r"v\.txt:2: expected a word and 3 numbers, found 4"),
        (b"", r"has none of the 7 words"),
        ("영화 1 2 3\n".encode("cp949"), r"has none of the 7 words; .*UTF-8"),
        (b"9 3\nx 1 2 3\n" + b"ab\0\n" * 30, r"no text file of word vectors, or is damaged\n  v"),
    ],
)
def test_files_that_are_no_vectors(tmp_path, content, message):
    (tmp_path / "v.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_vectors(tmp_path / "v.txt", VOCABULARY, 3)


def test_damaged_and_missing_files(tmp_path):
    data = "".join(f"word{number} 1 2 3\n" for number in range(9999)).encode()
    (tmp_path / "short.gz").write_bytes(gzip.compress(data)[:-1000])
    (tmp_path / "not.gz").write_bytes(data)
    (tmp_path / "not.zip").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "flipped.zip", "w") as archive:
        archive.writestr("v.txt", data)
    flipped = bytearray((tmp_path / "flipped.zip").read_bytes())
    flipped[500] ^= 1
    (tmp_path / "flipped.zip").write_bytes(flipped)
    for name in ["short.gz", "not.gz", "not.zip", "flipped.zip"]:
        with pytest.raises(DataError, match=r"is damaged|cannot read the vectors"):
            read_vectors(tmp_path / name, ["word1"], 3)
    for path in [tmp_path / "none.txt", tmp_path, tmp_path / "none.zip" / "a.txt"]:
        with pytest.raises(DataError, match="cannot read the vectors"):
            read_vectors(path, ["word1"], 3)


def test_glove_is_fetched_whole_and_read_from_its_archive(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "glove.6B.zip", "w") as archive:
        archive.writestr("glove.6B.50d.txt", "good" + " 0.5" * 50 + "\n")
    monkeypatch.setattr(vectors, "_GLOVE", known(tmp_path / "glove.6B.zip"))
    found = load_vectors("glove", VOCABULARY, 50, tmp_path)
    assert found.values[2].tolist() == [0.5] * 50
    assert found.source == "glove.6B.50d.txt"
    with pytest.raises(DataError, match="50, 100, 200, 300 numbers, not of 64"):
        load_vectors("glove", VOCABULARY, 64, tmp_path)


def known(path):
    """A download that needs no network, since the file is there."""
    sha256 = files.sha256_of(path)
    return download.Remote(f"https://nowhere.invalid/{path.name}", sha256, path.stat().st_size)
