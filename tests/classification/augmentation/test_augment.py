"""`augment`: what each change does to real images, and folders with augmented copies."""

import re
import signal
import unicodedata

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from common.errors import SaveError, Stopped
from common.images import augment as transforms
from common.images import decode
from common.runs.folder import Run
from common.training import When
from common.training.compute import Compute
from common.training.task import Classification
from labs.classification import task
from labs.classification.augmentation import export, preview
from labs.classification.config import ClassificationConfig
from labs.classification.data import load
from labs.classification.job import ClassifyImages

NAMES = ("고양이 [cat]", "강아지, 흰")


def config(**values):
    given = {"data": "digits", "limit": 60, "batch_size": 16, "model": "linear", **values}
    return ClassificationConfig(workers=0, **given)


def opened(path):
    """Return a file's pixels, uint8 (C, H, W)."""
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.array(image))
    return pixels.permute(2, 0, 1) if pixels.ndim == 3 else pixels[None]


# The picture


def fed(values, epoch=0):
    """Return the images of the first batch of an epoch as training takes them, in [0, 1]."""
    splits, card = load(values)
    job = ClassifyImages(values, Compute("cpu"), card)
    batches = job.batches(splits["train"], training=True)
    images, targets = next(batches.updates(epoch))[0]
    mean, std = (torch.tensor(each)[:, None, None] for each in (card.mean, card.std))
    return images * std + mean, targets, job, splits, card


@pytest.mark.parametrize(
    "specs",
    [
        ("affine:15", "hflip", "erase:1"),
        ("policy:trivialaugment", "pad-crop:1", "vflip"),
        ("crop:7",),
    ],
)
def test_the_picture_shows_what_the_first_epoch_feeds(specs):
    values = config(augment=specs, seed=3)
    images, targets, job, splits, card = fed(values)
    rows, columns = preview.columns(values, card, splits["train"], 6, 2)
    assert splits["train"].targets[rows].tolist() == targets[:6].tolist()
    assert [column.heading for column in columns[:-1]] == ["original", *specs][: len(columns) - 1]
    assert [len(column.rows[0]) for column in columns] == [1] + [2] * (len(columns) - 1)
    for row, sample in zip(rows, columns[0].rows, strict=True):
        assert torch.equal(sample[0].image, splits["train"].images[row])
    shown = torch.stack([row[0].image for row in columns[-1].rows]) / 255
    torch.testing.assert_close(shown, images[:6], rtol=0, atol=0.6 / 255)


def test_the_second_epoch_is_that_of_training():
    values = config(augment=("policy:augmix", "affine:15"), batch_size=64)
    images, _, _, splits, card = fed(values, epoch=1)
    rows, columns = preview.columns(values, card, splits["train"], 5, 2)
    order = preview.Feed(values, card, len(splits["train"])).order(1)
    for row, sample in zip(rows, columns[-1].rows, strict=True):
        expected = images[order.index(row)]
        torch.testing.assert_close(sample[1].image / 255, expected, rtol=0, atol=0.6 / 255)


def test_each_change_alone_is_the_step_that_it_is_among_all():
    values = config(augment=("policy:randaugment", "hflip:1", "vflip"))
    splits, card = load(values)
    feed = preview.Feed(values, card, len(splits["train"]))
    row = feed.order(0)[4]
    image = splits["train"].images[row]
    step = image
    for number in range(3):
        step = feed.alone(number, step, row, 0)
    assert torch.equal(step, feed.together(image, row, 0))
    assert torch.equal(feed.alone(1, image, row, 0), image.flip(2))


def test_blends_are_those_of_the_loss():
    values = config(augment=("affine:5",), mixup=1.0, cutmix=1.0)
    captions = set()
    for epoch in range(3):
        images, targets, job, splits, card = fed(values, epoch)
        kind = task.build_task(values, splits["train"].targets, card, Compute("cpu"))
        assert isinstance(kind, Classification)
        step = epoch * len(job.batches(splits["train"], training=True))
        generator = job.compute.seed(values.seed, 2, step, 0)
        blended, share = kind.mixed(images, When(epoch, step, generator))
        feed = preview.Feed(values, card, len(splits["train"]))
        row = feed.order(epoch)[5]
        cell = preview._blended(values, card, splits["train"], feed, row, epoch)
        torch.testing.assert_close(cell.image / 255, blended[5], rtol=0, atol=1.1 / 255)
        names = [card.classes[int(targets[place])] for place in (5, 4)]
        assert cell.caption == f"{share:.0%} {names[0]}\n{1 - share:.0%} {names[1]}"
        captions.add(cell.caption)
    assert len(captions) > 1


def test_without_specs_every_change_is_drawn_alone(lab, tmp_path):
    words = ("--picture", tmp_path / "그림.png", "--samples", "3")
    result = lab("augment", "digits", *words, drawn=True)
    assert result.code == 0, result
    assert all(f"\n| {name}" in result.out for name in transforms.AUGMENTATIONS)
    assert "crop:7 " in result.out
    assert result.out.endswith(f"Picture: {tmp_path / '그림.png'}\n")
    splits, card = load(config())
    values = config(augment=preview.examples(8))
    _, columns = preview.columns(values, card, splits["train"], 3, 2, together=False)
    assert [column.heading for column in columns] == ["original", *preview.examples(8)]
    with Image.open(tmp_path / "그림.png") as picture:
        assert picture.height > 300
        assert len(np.unique(np.array(picture))) > 50


@pytest.mark.filterwarnings("error::UserWarning")  # of letters that no font has
def test_korean_names_are_drawn(lab, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("--augment", "policy:trivialaugment,affine", "--mixup", "1", "--batch-size", "4")
    result = lab("augment", photos, *words, "--image-size", "16", "--epochs", "3")
    assert result.code == 0, result
    assert (tmp_path / f"augment-{photos.name}.png").is_file()
    values = config(data=str(photos), image_size=16, limit=None, mixup=1.0, batch_size=4)
    splits, card = load(values)
    rows, columns = preview.columns(values, card, splits["train"], 2, 1)
    assert {preview.label(card, splits["train"].targets[row]) for row in rows} <= set(NAMES)
    figure = preview.draw(columns, [NAMES[0], NAMES[1]], "사진")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {NAMES[0], NAMES[1], "사진", "original", "epoch 1"} <= set(texts)


def test_numbers_have_no_names(lab, tmp_path):
    words = ("--loss", "mse", "--augment", "affine", "--picture", tmp_path / "p.png")
    assert lab("augment", "digits", *words).code == 0
    _, card = load(config(loss="mse"))
    assert preview.label(card, torch.tensor(2.5)) == "2.5"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--augment", "afine"), "--augment afine: expected some of .* did you mean affine?"),
        (("--augment", "affine:999"), '--augment: augmentation "affine:999"'),
        (("--augment", "crop:60"), "crop:60 needs images of at least 60"),
        (("--augment", "hflip,policy:augmix"), "policy:augmix: goes before all that is no policy"),
        (("--augment", "policy"), "--augment policy: expected policy:FILE, or with one of augmix"),
        (("--augment", "policy:"), "--augment policy: expected policy:FILE"),
        (("--augment", "policy:augmax"), "no such file.*did you mean policy:augmix?"),
        (("--copies", "3"), "--write and --copies go together"),
        (("--write", "x"), "--write and --copies go together"),
        (("--augmnet", "affine"), "no option --augmnet.*--augment"),
        (("--mixup", "-1"), "--mixup -1: expected a number at least 0"),
    ],
)
def test_wrong_words_are_refused(words, expected, lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = lab("augment", "digits", *words)
    assert result.code == 2
    assert result.out == ""
    assert "Traceback" not in result.err
    assert re.search(expected, result.err), result.err
    assert not list(tmp_path.iterdir())


def test_it_has_the_options_that_say_what_is_fed(lab):
    shown = lab("augment", "--help").out
    assert all(f"{name} " in shown for name in ("--augment", "--image-size", "--cutmix", "--seed"))
    assert "--learning-rate" not in shown
    assert "no option --learning-rate" in lab("augment", "digits", "--learning-rate", "1").err


def test_data_that_is_not_there_is_told(lab):
    assert "no such folder" in lab("augment", "digitz").err
    assert "did you mean digits?" in lab("augment", "digitz").err
    assert "--augmnet: no such option" in lab("augment", "--augmnet", "affine").err


# Policies in training


def run_of(lab, tmp_path, name, *words):
    result = lab(
        *("train", "--data", "digits", "--limit", "60", "--model", "linear", "--epochs", "3"),
        *("--batch-size", "16", "--run-dir", tmp_path / "runs", "--name", name, *words),
    )
    return result, tmp_path / "runs/classification" / name


def weights(run):
    return {
        name: value.numpy().tobytes() for name, value in load_file(run / "best.safetensors").items()
    }


def test_a_policy_changes_training_and_neither_workers_nor_a_stop_do(lab, tmp_path, monkeypatch):
    policy = ("--augment", "policy:trivialaugment,hflip")
    result, whole = run_of(lab, tmp_path, "whole", *policy, "--workers", "0")
    assert result.code == 0, result
    _, plain = run_of(lab, tmp_path, "plain", "--augment", "hflip")
    assert weights(plain) != weights(whole)

    stopped, write = iter([False, True]), Run.write_history

    def stop(run, rows):
        write(run, rows)
        if next(stopped, False):
            raise Stopped(signal.SIGTERM)

    monkeypatch.setattr(Run, "write_history", stop)
    result, half = run_of(lab, tmp_path, "half", *policy, "--workers", "2")
    assert result.code == 143, result
    monkeypatch.setattr(Run, "write_history", write)
    assert lab("train", "--resume", half).code == 0
    assert weights(half) == weights(whole)


def test_evaluation_does_without_the_policy(lab, tmp_path, monkeypatch):
    """Neither the file nor the library is needed where nothing random happens."""
    library = pytest.importorskip("albumentations")
    file = tmp_path / "p.json"
    with file.open("w") as stream:
        library.save(library.Rotate(20, p=1), stream)
    monkeypatch.chdir(tmp_path)
    result, run = run_of(lab, tmp_path, "run", "--augment", "policy:p.json", "--workers", "0")
    assert result.code == 0, result
    assert f"policy:{file}" in (run / "config.toml").read_text()
    first = lab("evaluate", run)
    file.unlink()
    assert lab("evaluate", run) == first
    assert first.code == 0


def test_features_are_not_kept_where_a_policy_changes_images(lab, tmp_path):
    result, source = run_of(lab, tmp_path, "source", "--augment", "none", "--model", "mlp")
    assert result.code == 0, result
    frozen = ("--model", "mlp", "--weights", f"run:{source}", "--transfer", "feature-extraction")
    result, _ = run_of(lab, tmp_path, "kept", *frozen, "--augment", "none")
    assert "features are kept" in result.err
    result, _ = run_of(lab, tmp_path, "fed", *frozen, "--augment", "policy:augmix")
    assert result.code == 0, result
    assert "features are kept" not in result.err


def test_numbers_are_read_off_changed_images_too(lab, tmp_path):
    words = ("--loss", "mse", "--augment", "policy:trivialaugment", "--workers", "0")
    result, run = run_of(lab, tmp_path, "run", *words)
    assert result.code == 0, result
    assert weights(run) != weights(run_of(lab, tmp_path, "plain", *words[:3], "none")[1])


def test_a_wrong_policy_leaves_no_run(lab, tmp_path):
    result, run = run_of(lab, tmp_path, "run", "--augment", "policy:nothing.json")
    assert result.code == 2
    assert "nothing.json: no such file" in result.err
    assert not run.exists()


def test_repeats_of_rare_classes_refuse_policies(lab, tmp_path):
    words = ("--augment", "policy:augmix", "--imbalance", "augment-rare")
    result, _ = run_of(lab, tmp_path, "run", *words)
    assert result.code == 2
    assert "--augment policy:augmix: not with --imbalance augment-rare" in result.err


# A copy of a folder


def loaded(path, **values):
    return load(config(data=str(path), limit=None, image_size=12, **values))[0]


def test_only_training_images_have_copies_and_the_test_is_the_same(lab, photos, tmp_path):
    out = tmp_path / "새 폴더" / "증강"
    before = sorted((path, path.stat().st_mtime_ns) for path in photos.rglob("*"))
    words = ("--augment", "affine:20,hflip", "--write", out, "--copies", "2", "--split-seed", "5")
    result = lab("augment", photos, *words)
    assert result.code == 0, result
    assert f"train --data {out}\n" in result.out
    assert sorted((path, path.stat().st_mtime_ns) for path in photos.rglob("*")) == before
    assert [path.name for path in out.parent.iterdir()] == ["증강"]

    old, new = loaded(photos, split_seed=5), loaded(out)
    for part in ("validation", "test"):
        assert torch.equal(new[part].images, old[part].images)
        assert torch.equal(new[part].targets, old[part].targets)
        assert [name.removeprefix(f"{part}/") for name in new[part].names] == [*old[part].names]
    assert len(new["train"]) == 3 * len(old["train"])
    for name, target in zip(old["train"].names, old["train"].targets, strict=True):
        original = f"train/{name}"
        stem = original.removesuffix(".png")
        for copy in (original, f"{stem}-aug1.png", f"{stem}-aug2.png"):
            assert new["train"].targets[new["train"].names.index(copy)] == target
        assert (out / original).read_bytes() == (photos / name).read_bytes()
        copies = [(out / f"{stem}-aug{number}.png").read_bytes() for number in (1, 2)]
        assert len({*copies, (out / original).read_bytes()}) == 3


def test_copy_k_is_what_epoch_k_makes_of_the_image(photos, tmp_path):
    values = config(
        data=str(photos), limit=None, augment=("policy:augmix", "erase:1"), decoding="stream"
    )
    splits, card = load(values)
    export.write(values, card, splits, tmp_path / "out", 2)
    feed = preview.Feed(values, card, len(splits["train"]))
    name = splits["train"].names[3]
    expected = feed.together(decode.photo(photos / name), 3, 1)
    written = tmp_path / "out/train" / name.replace(".png", "-aug2.png")
    assert torch.equal(opened(written), expected)


def test_parts_that_are_there_are_kept(paint, tmp_path):
    data = tmp_path / "data"
    for part, count in (("train", 6), ("val", 2), ("test", 3)):
        for name in NAMES:
            for number in range(count):
                paint(data / part / name / f"{part}{number}.png", 40 * (name == NAMES[0]))
    values = config(data=str(data), limit=None, augment=("vflip:1",), decoding="stream")
    splits, card = load(values)
    counts = export.write(values, card, splits, tmp_path / "out", 1)
    assert counts == {"train": (12, 12), "validation": (4, 0), "test": (6, 0)}
    names = {path.name for path in (tmp_path / "out/test").rglob("*.png")}
    assert names == {"test0.png", "test1.png", "test2.png"}


def test_an_image_size_makes_the_copies_what_training_sees(paint, tmp_path):
    data = tmp_path / "data"
    for number in range(4):
        for name in NAMES:
            paint(data / name / f"{number}.png", 90, size=(30, 20), mode="L")
    for size, expected in ((None, (20, 30)), (10, (10, 10))):
        values = config(
            data=str(data), limit=None, augment=("hflip:1",), image_size=size, decoding="stream"
        )
        splits, card = load(values)
        out = tmp_path / f"out{size}"
        export.write(values, card, splits, out, 1)
        copies = [opened(path) for path in sorted(out.rglob("*-aug1.png"))]
        assert {tuple(copy.shape) for copy in copies} == {(1, *expected)}
        originals = [opened(path) for path in sorted(out.rglob("train/*/[0-9].png"))]
        assert {tuple(each.shape) for each in originals} == {(1, 20, 30)}
        if size is None:
            flipped = sorted(each.flip(2).numpy().tobytes() for each in originals)
            assert sorted(copy.numpy().tobytes() for copy in copies) == flipped


def test_names_that_meet_are_kept_apart(paint, tmp_path):
    data = tmp_path / "data"
    decomposed = unicodedata.normalize("NFD", "고양이")
    for name in ("고양이", "개"):
        for file in ("1.png", "1.bmp", "1-aug1.png", "2.png", "3.png", "4.png"):
            paint(data / name / file, 30)
    paint(data / decomposed / "2.png", 100)
    values = config(data=str(data), limit=None, augment=("hflip",), decoding="stream")
    splits, card = load(values)
    counts = export.write(values, card, splits, tmp_path / "out", 2)
    total = sum(count.originals + count.copies for count in counts.values())
    assert total == 13 + 2 * counts["train"].originals
    assert sum(path.is_file() for path in (tmp_path / "out").rglob("*")) == total
    assert {path.name for path in (tmp_path / "out/train").iterdir()} == {"고양이", "개"}


def test_a_table_becomes_folders(paint, tmp_path):
    lines = ["path,label"]
    for number in range(12):
        name = NAMES[number % 2]
        paint(tmp_path / f"p{number % 3}/{number}.png", 30)
        lines.append(f'p{number % 3}/{number}.png,"{name}"')
    table = tmp_path / "표.csv"
    table.write_text("\n".join(lines), encoding="utf-8")
    values = config(data=str(table), limit=None, augment=("hflip",), decoding="stream")
    splits, card = load(values)
    export.write(values, card, splits, tmp_path / "out", 1)
    old, new = loaded(table), loaded(tmp_path / "out")
    key = [
        sorted(image.numpy().tobytes() for image in split["test"].images) for split in (old, new)
    ]
    assert key[0] == key[1]


def test_an_embedded_set_becomes_files_without_loss(lab, tmp_path):
    out = tmp_path / "out"
    words = ("--augment", "affine", "--write", out, "--copies", "1", "--limit", "100")
    result = lab("augment", "digits", *words)
    assert result.code == 0, result
    assert f"train --data {out} --image-size 8\n" in result.out
    old, _ = load(config(limit=100))
    new, _ = load(config(data=str(out), limit=None, image_size=8))
    for part in ("validation", "test"):
        key = [
            sorted(
                (int(y), x.numpy().tobytes())
                for x, y in (split[part][i] for i in range(len(split[part])))
            )
            for split in (old, new)
        ]
        assert key[0] == key[1]
    assert len(new["train"]) == 2 * len(old["train"])


def test_nothing_is_overwritten(lab, photos, tmp_path):
    words = ("--augment", "hflip", "--copies", "1", "--write")
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for path in (out, tmp_path / "file"):
        result = lab("augment", photos, *words, path)
        assert result.code == 2
        assert "is there already, and nothing is overwritten" in result.err
    assert (out / "mine").read_text() == "mine"
    inside = lab("augment", photos, *words, photos / "new")
    assert "lies in the data itself" in inside.err
    assert not (photos / "new").exists()
    (out / "mine").unlink()
    assert lab("augment", photos, *words, out).code == 0
    assert {path.name for path in out.iterdir()} == {"train", "validation", "test"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "--write: needs --augment"),
        (("--augment", "hflip", "--loss", "mse"), "folders tell one class of each image"),
        (("--augment", "hflip", "--mixup", "1"), "a blend has two classes"),
        (("--augment", "hflip", "--label-column", "a,b"), "folders tell one label"),
        (("--augment", "crop:50"), "crop:50 needs images of at least 50"),
        (("--augment", "hflip", "--copies", "0"), "0 is not in the range"),
    ],
)
def test_what_folders_cannot_hold_is_refused(words, expected, lab, photos, tmp_path):
    copies = () if "--copies" in words else ("--copies", "1")
    result = lab("augment", photos, *words, *copies, "--write", tmp_path / "out")
    assert result.code == 2
    assert expected in result.err
    assert not list(tmp_path.iterdir())


def test_a_class_that_is_no_folders_name_is_refused(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (12, 8, 8), np.uint8)
    for number in range(12):
        Image.fromarray(pixels[number]).save(tmp_path / f"{number}.png")
    rows = "".join(f"{n}.png,{('T-shirt/top', 'coat')[n % 2]}\n" for n in range(12))
    (tmp_path / "t.csv").write_text("path,label\n" + rows)
    values = config(data=str(tmp_path / "t.csv"), limit=None, augment=("hflip",), decoding="stream")
    splits, card = load(values)
    with pytest.raises(export.DataError, match="class 'T-shirt/top' cannot be the name"):
        export.write(values, card, splits, tmp_path / "out", 1)


@pytest.mark.parametrize(
    ("fault", "error", "expected"),
    [
        (OSError(28, "No space left on device"), SaveError, "No space left.*nothing is left of it"),
        (Stopped(signal.SIGTERM), Stopped, "stopped; nothing was written"),
    ],
)
def test_what_is_interrupted_leaves_nothing_and_is_told(
    fault, error, expected, photos, tmp_path, monkeypatch
):
    values = config(data=str(photos), limit=None, augment=("hflip",), decoding="stream")
    splits, card = load(values)
    left, save = iter(range(5)), export._save

    def broken(image, path):
        if next(left, None) is None:
            raise fault
        save(image, path)

    monkeypatch.setattr(export, "_save", broken)
    with pytest.raises(error, match=expected):
        export.write(values, card, splits, tmp_path / "a/out", 2)
    assert not list((tmp_path / "a").iterdir())
