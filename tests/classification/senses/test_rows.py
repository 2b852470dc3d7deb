"""Columns follow the images of their rows, whatever becomes of these."""

import csv
import shutil

import pytest
import torch

from common.errors import ConfigError, DataError
from common.images import load as image_data
from common.options.config import build, flag, read_toml, to_toml
from labs.classification.config import ClassificationConfig
from labs.classification.job import ClassifyImages
from labs.classification.senses.job import ClassifySenses
from tests.rows import write_rows

SMALL = {"label_column": "digit", "model": "linear", "with_": "weight,number:number"}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Return a table of 130 rows: an image is unreadable, one listed twice, five are copies."""
    folder = tmp_path_factory.mktemp("rows")
    table = write_rows(folder, 130)
    (folder / "007.png").write_bytes(b"no image")
    for number in range(5):
        shutil.copy(folder / f"{50 + number:03}.png", folder / f"{60 + number:03}.png")
    rows = list(csv.reader(table.read_text("utf-8").splitlines()))
    for number in range(5):  # copies show what they are copies of
        rows[61 + number][1] = rows[51 + number][1]
    rows.append(rows[20])
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return table


def configured(table, **options):
    return build(ClassificationConfig, ("options", {"data": str(table), **SMALL, **options}))


def load(table, **options):
    config = configured(table, **options)
    return ClassifyImages.for_config(config).load(config)[0]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"limit": 60},
        {"folds": 3, "fold": 2},
        {"bootstrap": True},
        {"share": 0.5},
        {"per_class": 5},
        {"imbalanced": 4},
        {"all_rows": True},
        {"group_column": "note"},
        {"decoding": "stream"},
        {"split_seed": 5},
    ],
    ids=str,
)
def test_cells_are_those_of_the_image_in_the_same_row(table, options):
    splits = load(table, **options)
    assert sum(map(len, splits.values())) > 40
    for split in splits.values():
        assert [f"{int(cell):03}.png" for cell in split.cells["number"]] == list(split.names)


def test_folds_hold_each_row_with_its_cells_once(table):
    tested = [load(table, folds=3, fold=fold)["test"] for fold in (1, 2, 3)]
    numbers = [cell for split in tested for cell in split.cells["number"]]
    assert len(numbers) == len(set(numbers)) == 129


def test_cells_reach_the_network_beside_their_images(table):
    job, splits = ClassifyImages.check(configured(table, batch_size=16))
    train = splits["train"]
    pixels = {image.numpy().tobytes(): row for row, image in enumerate(train.images)}
    encoded = job.encode(train)
    plain = {encoded_row.numpy().tobytes() for encoded_row in encoded}
    batches = image_data.batches(
        job.config, train, lambda images, numbers: images, job.compute, beside=encoded
    )
    seen = 0
    for update in batches.updates(0):
        for images, beside, _ in update:
            for image, numbers in zip(images, beside, strict=True):
                assert numbers.numpy().tobytes() in plain
                same = [r for r in range(len(train)) if torch.equal(train.images[r], image)]
                assert any(torch.equal(encoded[row], numbers) for row in same)
                seen += 1
    assert seen == len(train) >= len(pixels)


def test_files_that_are_decoded_as_they_are_asked_for_have_the_same_numbers(table):
    batches = []
    for decoding in ("memory", "stream"):
        config = configured(table, decoding=decoding, workers=0, augment="none")
        job, splits = ClassifyImages.check(config)
        taken = job.batches(splits["train"], training=True)
        [(images, beside), targets] = next(taken.updates(0))[0]
        batches.append((images, beside, targets))
        taken.close()
    for first, second in zip(*batches, strict=True):
        torch.testing.assert_close(first, second)


def test_an_image_with_other_cells_in_another_row_is_left_out_and_named(table, tmp_path):
    folder = tmp_path / "again"
    shutil.copytree(table.parent, folder)
    lines = (folder / "rows.csv").read_text("utf-8").splitlines()
    number, digit, *_ = lines[10].split(",")
    (folder / "rows.csv").write_text("\n".join([*lines, f"{number},{digit},1,서울,x,9"]), "utf-8")
    splits, card = ClassifyImages.for_config(configured(table)).load(
        configured(folder / "rows.csv")
    )
    assert not any(number in split.names for split in splits.values())
    assert sum("other cells elsewhere" in reason for _, reason in card.skipped) == 2


def test_the_data_are_others_when_a_cell_is(table, tmp_path):
    folder = tmp_path / "changed"
    shutil.copytree(table.parent, folder)
    changed = folder / "rows.csv"
    first = ClassifySenses.load(configured(changed))[1].fingerprint
    text = changed.read_text("utf-8")
    cell = text.splitlines()[3].split(",")[2]
    changed.write_text(text.replace(f",{cell},", ",77.7,", 1), "utf-8")
    assert ClassifySenses.load(configured(changed))[1].fingerprint != first


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"with_": "weight,nothing"}, "no column 'nothing'"),
        ({"with_": "weight,digit"}, "is the answer"),
        ({"with_": "image2,weight"}, "no column 'image2'; did you mean image"),
        ({"with_": "city", "group_column": "city"}, "says what belongs together"),
        ({"with_": "number"}, "as an id has"),
        ({"data": "digits"}, "holds arrays; give a table"),
    ],
)
def test_columns_that_cannot_be_are_refused_in_a_sentence(table, options, words):
    with pytest.raises(DataError) as refused:
        load(**{"table": options.pop("data", table), **options})
    assert words in str(refused.value)


def test_a_folder_has_no_columns(tmp_path):
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match="is a folder; give a table"):
        load(tmp_path / "photos")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"with_": "weight,weight:text"}, "expected different columns"),
        ({"with_": "image"}, "another name"),
        ({"with_": "weight:numbr"}, "expected one of number, category, text"),
        ({"without": "title"}, "expected some of image, weight, number"),
        ({"without": "image,weight,number"}, "leaves no sense"),
        ({"with_": "none", "without": "image"}, "goes with --with"),
        ({"mixup": 0.2}, "goes without --mixup"),
        ({"teacher": "run"}, "goes without --teacher"),
        ({"optimizer": "muon"}, "goes without --optimizer muon"),
        ({"model": "googlenet"}, "goes without --model googlenet"),
        ({"pseudo": "p.csv", "unlabelled": "u"}, "goes without --pseudo"),
    ],
)
def test_options_that_do_not_go_with_columns_are_refused(table, options, words):
    with pytest.raises(ConfigError) as refused:
        configured(table, **options)
    assert words in str(refused.value)


def test_options_of_columns_survive_their_file(table, tmp_path):
    config = configured(table, without="weight", sense_dropout=0.5)
    path = tmp_path / "config.toml"
    path.write_text(to_toml(config), "utf-8")
    again = build(ClassificationConfig, (str(path), read_toml(path)))
    assert (again.with_, again.without) == (("weight", "number:number"), ("weight",))
    assert again.columns_beside == ("weight", "number")
    assert flag("with_") == "--with"
