"""The frame of all views: what is kept, recalled and left out, and what the commands say."""

import csv
import dataclasses
import io
import json
import math
import shutil

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from common.errors import ConfigError, DataError, RunError
from common.report.html import Section, Table
from common.runs import views as kept
from labs.autoencoder.names import VIEWS, ViewName
from labs.autoencoder.views import material as views
from labs.autoencoder.views.material import Material, View

SKETCH = "sketch"


@pytest.fixture
def copied(small_run, tmp_path):
    """Return a function that copies a small run, to be spoiled."""

    def copy(*words):
        return shutil.copytree(small_run(*words), tmp_path / "run")

    return copy


@pytest.fixture
def sketched(opened, copied):
    """Return a material and a view of it, with all that a view can have."""
    material = opened(copied())
    picture = material.save_picture("그림", "가로 그림", Figure())
    table = Table(["이름", "value"], [["가", "1"], ["b", "2"]])
    section = Section("제목 <1>", "text & more", table, [picture])
    records = [{"a": 1.5, "b": "나"}]
    return material, View(section, "It is so.", records, {"one": 0.5, "none": math.nan})


def only(patch, **names):
    """Let there be no other views; each is called by its function here."""
    patch.setattr(views, "VIEWS", {name: ViewName(name, *rest) for name, rest in names.items()})


def sections_of(patch, material, made):
    """Return the sections of a report with one view, and how often it was made."""
    count = []
    only(patch, **{SKETCH: ()})
    patch.setattr(views, "resolve_name", lambda _: lambda _: count.append(1) or made)
    return views.sections(material)[:-1], len(count)


# Kept and recalled


def test_a_view_is_recalled_as_it_was_kept(sketched, monkeypatch):
    material, made = sketched
    [first], count = sections_of(monkeypatch, material, made)
    assert (first, count) == (made.section, 1)
    [again], count = sections_of(monkeypatch, material, made)
    assert count == 0
    assert again == dataclasses.replace(made.section, table=again.table)
    assert again.table == Table(["이름", "value"], [["가", "1"], ["b", "2"]])
    assert [path.read_bytes()[1:4] for _, path in again.pictures] == [b"PNG"]
    kept = json.loads((material.job.run.path / f"views/{SKETCH}.json").read_text("utf-8"))
    assert kept["figures"] == {"one": 0.5, "none": None}
    assert kept["verdict"] == "It is so."
    assert kept["pictures"] == [["가로 그림", "그림.png"]]


def test_a_run_that_moved_has_its_views_still(sketched, opened, tmp_path, monkeypatch):
    material, made = sketched
    sections_of(monkeypatch, material, made)
    moved = opened(material.job.run.path.rename(tmp_path / "옮김"))
    [section], count = sections_of(monkeypatch, moved, made)
    assert count == 0
    assert [path for _, path in section.pictures] == [tmp_path / "옮김/figures/그림.png"]


@pytest.mark.parametrize(
    "text",
    ["", '{"title": "a', "[]", "{}", "null", '{"title": "a", "text": "", "table": [1]}', "\udcff"],
)
def test_a_damaged_view_says_what_to_delete(text, sketched, monkeypatch):
    material, made = sketched
    sections_of(monkeypatch, material, made)
    file = material.job.run.path / f"views/{SKETCH}.json"
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(RunError, match=f"{SKETCH}.json is damaged .*; delete it"):
        views.sections(material)
    file.unlink()
    assert sections_of(monkeypatch, material, made) == ([made.section], 1)


def test_what_cannot_be_made_is_said_in_the_report_and_tried_again(sketched, monkeypatch, capsys):
    material, made = sketched

    def fail(_):
        raise DataError("too few images")

    only(monkeypatch, **{SKETCH: ()})
    monkeypatch.setattr(views, "resolve_name", lambda _: fail)
    section, _ = views.sections(material)
    assert "too few images" in section.text
    assert f"the report is without `{SKETCH}`: too few images" in capsys.readouterr().err
    assert sections_of(monkeypatch, material, made) == ([made.section], 1)


@pytest.mark.slow
def test_a_report_is_written_of_ten_images(lab, tmp_path):
    words = ("--data", "digits", "--limit", "10", "--epochs", "1", "--warmup", "0")
    small = ("--width", "4", "--latent-size", "2", "--threads", "1", "--batch-size", "4")
    result = lab(
        "train", *words, *small, "--run-dir", tmp_path, "--name", "run", full=True, drawn=True
    )
    assert result.code == 0, result
    assert (tmp_path / "autoencoder/run/report.html").is_file()


def test_latents_that_are_all_the_same_have_a_report(material, monkeypatch):
    """As of an encoder that has collapsed: the training is not lost for want of a map."""
    collapsed = Material(material.job, material.splits)
    collapsed["test"].latents[:] = 0
    kept.forget(material.job.run, "latents")  # another test may have made it
    only(monkeypatch, latents=())
    monkeypatch.setattr(views, "resolve_name", lambda _: lambda made: latent_view(made))
    section, _ = views.sections(collapsed)
    assert "has collapsed" in section.text


def latent_view(made):
    from labs.autoencoder.views import latent_map as latents

    return latents.view(made)


# What a report has


@pytest.mark.parametrize(
    ("words", "without"),
    [
        ((), {"classes": True, "prior": False, "anomalies": False}),
        (("--model", "vae"), {"classes": True, "prior": True, "anomalies": False}),
        (("--without", "9,3"), {"classes": True, "prior": False, "anomalies": True}),
    ],
)
def test_the_report_has_the_views_that_the_run_has_what_for(words, without, small_run, opened):
    found = views._of_report(opened(small_run(*words)))
    expected = [
        name
        for name, view in VIEWS.items()
        if view.unasked and all(without[need] for need in view.needs)
    ]
    assert found == expected


def test_of_two_classes_with_one_left_out_nothing_is_said_of_classes(material):
    splits = dict(material.splits)
    for name in ("train", "validation", "test"):
        part = splits[name]
        splits[name] = part.select((part.targets == 1).nonzero()[:, 0])
    splits["anomalies"] = material.splits["test"]
    found = views._of_report(Material(material.job, splits))
    assert "anomalies" in found
    assert not {name for name in found if "classes" in VIEWS[name].needs}


def test_a_view_that_is_made_when_asked_is_in_the_report_from_then_on(opened, copied):
    material = opened(copied())
    name = "placed"
    assert name not in views._of_report(material)
    views._keep(material.job.run, name, View(Section("t")))
    found = views._of_report(material)
    assert name in found
    assert found == [each for each in VIEWS if each in found]


# Material


def test_all_images_are_those_of_the_three_splits(small_run, opened):
    made = opened(small_run("--without", "9,3"))
    whole = made["all"]
    parts = [made[name] for name in ("train", "validation", "test")]
    assert whole.split.names == sum((part.split.names for part in parts), ())
    assert not set(whole.split.names) & set(made["anomalies"].split.names)
    together = np.concatenate([part.latents for part in parts])
    assert whole.latents == pytest.approx(together, abs=1e-5)
    assert made["all"] is whole


def test_what_is_encoded_is_what_the_job_gives(material):
    test = material["test"]
    rows = [3, 0, 3]
    images = torch.stack([material.splits["test"].images[row] for row in rows])
    assert torch.equal(test.images(rows), images)
    assert torch.equal(test.seen(rows), images)
    assert torch.equal(test.reconstructions(rows), material.job.reconstruct(images))
    latents = material.job.encode(material.job.prepared(images)).numpy()
    assert test.latents[rows] == pytest.approx(latents, abs=1e-5)
    difference = (material.job.decode(torch.from_numpy(latents)) - images / 255).numpy()
    assert test.errors[rows] == pytest.approx((difference**2).mean((1, 2, 3)), rel=1e-4)
    assert test.pixels.shape == (len(test), 64)
    assert test.pixels[rows] == pytest.approx(images.flatten(1).numpy() / 255)


def test_what_a_denoising_run_sees_is_noisy_and_its_error_is_against_the_clean(small_run, opened):
    made = opened(small_run("--model", "denoising"))
    test, rows = made["test"], range(5)
    seen, clean = test.seen(rows), test.images(rows)
    assert seen.dtype == torch.uint8
    assert not torch.equal(seen, clean)
    assert torch.equal(seen, opened(small_run("--model", "denoising"))["test"].seen(rows))
    assert torch.equal(test.reconstructions(rows), made.job.reconstruct(seen))
    denoised = made.job.decode(made.job.encode(seen / 255))
    errors = (denoised - clean / 255).square().flatten(1).mean(1).numpy()
    assert test.errors[:5] == pytest.approx(errors, rel=1e-4)


def test_data_without_classes_says_what_to_train_on(material, opened, small_run):
    made = opened(small_run())
    made.job.card = dataclasses.replace(made.job.card, classes=())
    with pytest.raises(ConfigError, match="the probe needs classes.*one folder per class"):
        made.classes("the probe")
    assert material.classes("the probe") == tuple("0123456789")


# Commands


def test_records_are_the_same_in_every_form(lab, copied, tmp_path):
    run = copied()
    (run / "metrics.json").unlink()  # so that no report is written
    values = json.loads(lab("reconstruct", run, "--format", "json").out)
    text = lab("reconstruct", run, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(text.out)))
    assert [row["class"] for row in rows] == [value["class"] for value in values]
    assert [float(row["mse"]) for row in rows] == pytest.approx([v["mse"] for v in values], 1e-5)
    assert "picture: " in text.err
    table = lab("reconstruct", run)
    assert all(f"| {value['class']} " in table.out for value in values)
    path = tmp_path / "새 폴더" / "out.csv"
    result = lab("reconstruct", run, "--format", "csv", "--output", path)
    assert (result.code, result.out) == (0, "")
    assert path.read_text("utf-8") == text.out


def test_an_unfinished_run_with_weights_has_views_and_no_report(lab, copied):
    run = copied()
    (run / "metrics.json").unlink()
    (run / "report.html").unlink()
    result = lab("reconstruct", run)
    assert result.code == 0, result
    assert "report: " not in result.err
    assert not (run / "report.html").exists()
    assert (run / "views/reconstruct.json").is_file()


def test_a_run_without_weights_is_refused(lab, copied):
    run = copied()
    (run / "best.safetensors").unlink()
    result = lab("reconstruct", run)
    assert result.code == 2
    assert result.err.count("Error: ") == 1
    assert "best.safetensors" in result.err


@pytest.mark.parametrize("view", [name for name in VIEWS if name != "placed"])
def test_no_view_is_made_of_what_is_no_run_or_another_labs(view, lab, copied, tmp_path):
    result = lab(view, tmp_path / "nowhere")
    assert result.code == 2
    assert "is not a run folder" in result.err
    run = copied()
    about = json.loads((run / "environment.json").read_text())
    (run / "environment.json").write_text(json.dumps({**about, "lab": "classification"}))
    result = lab(view, run)
    assert result.code == 2
    assert "is a run of labs.classification, not of labs.autoencoder" in result.err
    (run / "environment.json").write_text(json.dumps({**about, "job": "sweep"}))
    result = lab(view, run)
    assert result.code == 2
    assert "was trained by `sweep`, not by `train`" in result.err


@pytest.fixture(scope="module")
def moody(lab, paint, tmp_path_factory):
    """Return a run and the folder of its pictures, which can change."""
    folder = tmp_path_factory.mktemp("data") / "사진"
    for name, level in (("가", 0), ("나", 180)):
        for number in range(10):
            paint(folder / name / f"{number}.png", level)
    runs = tmp_path_factory.mktemp("runs")
    words = ("--image-size", "8", "--epochs", "1", "--warmup", "0", "--width", "4")
    result = lab("train", "--data", folder, *words, "--run-dir", runs, "--name", "run")
    assert result.code == 0, result
    return runs / "autoencoder/run", folder


def test_data_that_is_gone_or_has_changed_is_one_error(lab, moody, tmp_path, paint):
    run, folder = moody
    assert lab("reconstruct", run).code == 0
    before = (run / "views/reconstruct.json").read_bytes()
    moved = folder.rename(folder.with_name("elsewhere"))
    result = lab("reconstruct", run)
    assert result.code == 2
    assert result.err.startswith(f"Error: --data {folder}: no such folder or file")
    moved.rename(folder)
    extra = paint(folder / "가" / "10.png", 0)
    result = lab("reconstruct", run)
    assert result.code == 2
    assert "has changed since it was trained" in result.err
    assert "put it back, or train a new run" in result.err
    extra.unlink()
    assert (run / "views/reconstruct.json").read_bytes() == before
    assert lab("reconstruct", run).code == 0


def test_a_full_disk_ends_a_view_and_spoils_nothing(lab, copied, small_files):
    run = copied()
    assert lab("reconstruct", run, drawn=True).code == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with small_files():
        result = lab("reconstruct", run, "--split", "validation", drawn=True)
    assert result.code == 1
    assert "Error: could not write " in result.err
    assert "what was saved before is intact; free some space there" in result.err
    assert "Traceback" not in result.err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_rows_are_a_share_of_each_class_in_their_order(material):
    rows = views.choose_rows(material["train"], 30)
    assert (np.diff(rows) > 0).all()
    counts = np.bincount(material["train"].classes[rows], minlength=10)
    assert counts.max() - counts.min() <= 1
    assert np.array_equal(rows, views.choose_rows(material["train"], 30))
