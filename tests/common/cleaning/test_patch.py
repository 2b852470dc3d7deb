"""Patches: what they change, and what they refuse."""

import numpy as np
import pytest
import torch

from common.cleaning.patch import Change, Samples, apply_patch, read_patch, write_patch
from common.errors import DataError

CLASSES = ("고양이", "dog", "cow")
HEAD = "sample,given,label,action\n"


@pytest.fixture
def splits():
    """Return nine samples: six to train, one to validate, two to test."""
    return {
        "train": Samples([f"사진 {n}" for n in range(6)], torch.tensor([0, 0, 0, 1, 1, 2])),
        "validation": Samples(["v"], torch.tensor([0])),
        "test": Samples(["t", "u"], torch.tensor([1, 2])),
    }


@pytest.fixture
def patched(tmp_path, splits):
    """Return a function that applies rows to the splits."""

    def call(rows, encoding="utf-8", fingerprint=lambda name: f"of {name}", before="", **options):
        path = tmp_path / "patch.csv"
        path.write_bytes(rows.encode(encoding))
        return apply_patch(f"{before}{path}", splits, CLASSES, fingerprint, **options)

    return call


def test_training_rows_alone_are_changed(patched):
    rows = "사진 1,고양이,dog,relabel\n사진 4,dog,,drop\n사진 0,고양이,고양이,keep\n"
    found = patched(HEAD + rows + "t,dog,cow,relabel\nv,고양이,,drop\nu,cow,,keep\n")
    assert found.rows.tolist() == [0, 1, 2, 3, 5]
    assert found.targets.tolist() == [0, 1, 0, 1, 2]
    assert found.said == (
        "patch patch.csv (1 training samples relabelled and 1 dropped; 2 of validation and test "
        "left as they are)"
    )


def test_where_all_rows_train_none_is_left(patched, splits):
    samples = [name for split in splits.values() for name in split.names]
    targets = torch.cat([split.targets for split in splits.values()])
    splits["train"] = Samples(samples, targets)
    rows = "사진 1,고양이,dog,relabel\nt,dog,cow,relabel\nv,고양이,dog,relabel\n"
    found = patched(HEAD + rows, all_rows=True)
    assert found.targets.tolist() == [0, 1, 0, 1, 1, 2, 1, 2, 2]
    assert "(3 training samples relabelled and 0 dropped; 0 of validation" in found.said


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_it_is_read_as_spreadsheets_save_it(patched, encoding, between):
    text = "sample,given,label,action\n사진  1,고양이,dog,relabel\n사진 5,cow,dog,relabel\n"
    with pytest.raises(DataError, match="no training sample of class 'cow'"):
        patched(text.replace(",", between), encoding)
    text = text.replace("5,cow", "3,dog").replace("dog,dog", "dog,cow")
    found = patched(text.replace(",", between).replace("\n", "\r\n"), encoding)
    assert found.targets.tolist() == [0, 1, 0, 2, 1, 2]


def test_what_is_written_is_what_is_read(tmp_path):
    changes = [
        Change("a carriage\rreturn", "cow", "dog", "relabel", "", 2),
        Change('a "quoted"\ntext, of two lines', "dog", "cow", "relabel", "", 4),
        Change("사진/1.jpg", "고양이", "", "drop", "sha256:12e45678", 6),
    ]
    write_patch(tmp_path / "patch.csv", changes)
    assert (tmp_path / "patch.csv").read_bytes().startswith(b"\xef\xbb\xbfsample,")
    assert read_patch(tmp_path / "patch.csv") == changes


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("사진 1,고양이,dog,relable\n", "line 2, '사진 1': action 'relable': expected one of keep"),
        ("사진 1,고양이,,relabel\n", "line 2, '사진 1': a label is missing"),
        ("사진 1,고양이,고양이,relabel\n", "has its label '고양이' already"),
        ("사진 1,고양이,dog,keep\n", "keeps its label '고양이', and has another"),
        (
            "사진 0,고양이,,drop\n사진 1,고양이,dgo,relabel\n",
            "line 3, .* 'dgo'; did you mean dog",
        ),
        ("사진 1,고양이,,drop\n사진 1,고양이,dog,relabel\n", "line 3, .* in line 2 as well"),
        ("사진 1,dog,,drop\n", "line 2, '사진 1': is labelled '고양이' in these data, not 'dog'"),
        ("사진 7,dog,,drop\n", "line 2, '사진 7': these data have no such sample"),
        (",dog,,drop\n", "'sample' is empty"),
        ("사진 1,고양이\n", "2 cells, "),
    ],
)
def test_what_is_wrong_is_said_with_its_row(patched, rows, problem):
    with pytest.raises(DataError, match=problem):
        patched(HEAD + rows + "사진 2,고양이,,drop\n")


def test_a_file_that_is_no_patch_is_refused(patched, tmp_path):
    with pytest.raises(DataError, match="action"):
        patched("sample,given,label\na,b,c\n")
    with pytest.raises(DataError, match=r"^--patch: cannot read .*nowhere\.csv"):
        read_patch(tmp_path / "nowhere.csv")


def test_content_that_has_changed_is_refused(patched):
    head = HEAD.replace("action", "action,fingerprint")
    assert patched(head + "사진 1,고양이,,drop,of 사진 1\n").rows.tolist() == [0, 2, 3, 4, 5]
    with pytest.raises(DataError, match=r"line 2, '사진 1': its content has changed"):
        patched(head + "사진 1,고양이,,drop,of another\n")


def test_samples_that_are_not_in_use_do_not_matter_where_some_are_left_out(patched):
    found = patched(HEAD + "사진 1,고양이,,drop\n사진 7,dog,,drop\n", partial=True)
    assert len(found.rows) == 5
    with pytest.raises(DataError, match="neither it nor any other"):
        patched(HEAD + "사진 7,dog,,drop\n", partial=True)


def test_equal_texts_of_one_label_are_changed_alike(patched, splits):
    splits["train"] = Samples(["a b", "a  b", "a b\n", "c", "a b"], torch.tensor([0, 0, 0, 0, 1]))
    splits["test"] = Samples(["a b"], torch.tensor([0]))
    found = patched(HEAD + "a b,고양이,dog,relabel\n", fingerprint=None)
    assert found.targets.tolist() == [1, 0, 1, 0, 1]
    assert "1 of validation and test left" in found.said
    both = patched(HEAD + "a b,고양이,dog,relabel\na  b,고양이,cow,relabel\n", fingerprint=None)
    assert both.targets.tolist() == [1, 2, 1, 0, 1]


def test_white_space_is_forgiven_where_nothing_is_called_so(patched, splits):
    splits["train"] = Samples(["a b", "a  b", "c", "d", "e"], torch.tensor([0, 0, 1, 2, 0]))
    texts = patched(HEAD + "a   b,고양이,dog,relabel\n", fingerprint=None)
    assert texts.targets.tolist() == [1, 1, 1, 2, 0]
    with pytest.raises(DataError, match="line 3, .* stands in line 2 as well"):
        patched(HEAD + "a b,고양이,,drop\na   b,고양이,dog,relabel\n", fingerprint=None)
    with pytest.raises(DataError, match="line 2, .* is labelled '고양이' in these data, not 'dog'"):
        patched(HEAD + "a  b,dog,,drop\n", fingerprint=None)


def test_images_are_told_apart_by_the_white_space_of_their_names(patched, splits):
    names = ["a/고양이  0.png", "a/고양이 0.png", "a/개  1.png", "d", "e"]
    splits["train"] = Samples(names, torch.tensor([0, 0, 1, 2, 1]))
    head = HEAD.replace("action", "action,fingerprint")
    one = patched(head + "a/고양이 0.png,고양이,dog,relabel,of a/고양이 0.png\n")
    assert one.targets.tolist() == [0, 1, 1, 2, 1]
    squeezed = patched(head + "a/개 1.png,dog,cow,relabel,of a/개  1.png\n")
    assert squeezed.targets.tolist() == [0, 0, 2, 2, 1]
    with pytest.raises(DataError, match=r"could be 'a/고양이  0.png' or 'a/고양이 0.png'; write"):
        patched(head + "a/고양이   0.png,고양이,dog,relabel,of a/고양이 0.png\n")


def test_a_placebo_changes_as_many_others_in_the_same_way(patched, splits):
    targets = torch.arange(3).repeat(100)
    splits["train"] = Samples([f"사진 {n}" for n in range(300)], targets)
    rows = [f"사진 {n},고양이,dog,relabel\n" for n in range(0, 60, 3)]
    rows += [f"사진 {n},cow,,drop\n" for n in range(2, 32, 3)]
    text = HEAD + "".join(rows)
    real, one, other = patched(text), *(patched(text, before="placebo:", seed=n) for n in (0, 1))
    for found in (one, other):
        assert torch.equal(found.targets.bincount(), real.targets.bincount())
        moved = set(np.flatnonzero(found.targets.numpy() != targets[found.rows].numpy()))
        assert len(moved) == 20
        assert not torch.equal(found.targets, real.targets)
        assert found.said.startswith("a placebo of patch patch.csv (20 training samples")
    assert not torch.equal(one.targets, other.targets)
    assert torch.equal(patched(text, before="placebo:", seed=1).targets, other.targets)
