"""The view of what the network gives back."""

import dataclasses
import json

import numpy as np
import pytest

from labs.autoencoder import plots
from labs.autoencoder.views.reconstructions import view


@pytest.fixture
def drawn(monkeypatch):
    """Return the arguments of each picture that is drawn."""
    found = []
    strips = plots.strips

    def note(images, captions, about=""):
        found.append((images, captions, about))
        return strips(images, captions, about)

    monkeypatch.setattr(plots, "strips", note)
    return found


def test_each_class_has_its_error_the_worst_first_and_all_of_them_last(material):
    records = view(material).records
    test = material["test"]
    assert records[-1]["class"] == "all"
    assert records[-1]["mse"] == pytest.approx(test.errors.mean())
    means = [record["mse"] for record in records[:-1]]
    assert means == sorted(means, reverse=True)
    for record in records[:-1]:
        own = test.errors[test.classes == int(record["class"])]
        assert (record["images"], record["worst"]) == (len(own), own.max())
        assert record["mse"] == pytest.approx(own.mean())
        assert record["95 % from"] <= record["mse"] <= record["to"]
    saved = json.loads((material.job.run.path / "metrics.json").read_text())
    assert records[-1]["mse"] == pytest.approx(saved["test"]["mse"], rel=1e-5)


def test_pictures_show_some_the_worst_and_the_best(material, drawn):
    found = view(material, count=4)
    test = material["test"]
    order = np.argsort(test.errors, kind="stable")
    assert [path.stem for _, path in found.section.pictures] == [
        f"reconstructions_{name}" for name in ("random", "worst", "best")
    ]
    assert all(path.is_file() for _, path in found.section.pictures)
    for (images, captions, about), rows in zip(drawn[1:], (order[:-5:-1], order[:4]), strict=True):
        assert (images["input"] == test.images(rows.tolist())).all()
        assert (images["output"] == test.reconstructions(rows.tolist())).all()
        names = [material.job.card.classes[number] for number in test.classes[rows]]
        assert [caption.partition(":")[0] for caption in captions] == names
        assert about == "class and squared error"
    assert [len(captions) for _, captions, _ in drawn] == [4, 4, 4]


def test_more_than_there_are_shows_all(material, drawn):
    view(material, "validation", count=96)
    assert {len(captions) for _, captions, _ in drawn} == {len(material["validation"])}


def test_of_a_denoising_run_the_noisy_images_stand_between(small_run, opened, drawn):
    made = opened(small_run("--model", "denoising"))
    view(made, count=2)
    for images, _, _ in drawn:
        assert list(images) == ["clean", "noisy", "denoised"]
        assert (images["denoised"] == made.job.reconstruct(images["noisy"])).all()
        assert (images["clean"] != images["noisy"]).any()


def test_without_classes_there_is_one_row_and_the_captions_are_errors(opened, small_run, drawn):
    made = opened(small_run())
    made.job.card = dataclasses.replace(made.job.card, classes=())
    found = view(made, count=2)
    assert [record["class"] for record in found.records] == ["all"]
    assert {about for _, _, about in drawn} == {"squared error"}
    assert all(":" not in caption for _, captions, _ in drawn for caption in captions)
