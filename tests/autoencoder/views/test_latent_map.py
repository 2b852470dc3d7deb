"""The view of maps of the latent space, and new images put on them."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from common.maps import tsne


@pytest.fixture(scope="module")
def run(small_run):
    return small_run()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Return a folder of two pictures and a broken file, with a Korean name."""
    folder = tmp_path_factory.mktemp("사진")
    rng = np.random.default_rng(0)
    for name in ("하나", "둘"):
        pixels = rng.integers(0, 256, (20, 20), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def kept(run, name="latents"):
    return json.loads((run / "views" / f"{name}.json").read_text())


def test_a_map_carries_its_trust_figures(lab, run):
    result = lab("latents", run)
    assert result.code == 0, result
    view = kept(run)
    assert 0.5 < view["figures"]["trustworthiness"] <= 1
    assert "trustworthiness" in result.out
    assert [file for _, file in view["pictures"]] == ["latents.png", "trust.png"]
    titles = [row[0] for row in view["table"]["rows"]]
    assert titles == [
        f"{way} of the {of}" for of in ("latents", "pixels") for way in ("t-SNE", "PCA")
    ]
    html = (run / "latent_map.html").read_text(encoding="utf-8")
    assert "trustworthiness is" in html


@pytest.mark.slow
def test_all_images_can_be_mapped_in_three_dimensions(lab, run):
    assert lab("latents", run, "--split", "all", "--dimensions", "3").code == 0
    made = tsne.load(run / "maps" / "latents.npz")
    counts = json.loads((run / "data.json").read_text())["counts"]
    assert made.coordinates.shape == (sum(counts.values()), 3)


def test_fewer_points_are_a_share_of_each_class(lab, run):
    assert lab("latents", run, "--split", "train", "--points", "60").code == 0
    made = tsne.load(run / "maps" / "latents.npz")
    assert 50 <= len(made.coordinates) <= 70


def test_new_images_are_put_on_the_map_that_there_is(lab, run, pictures):
    assert lab("latents", run).code == 0
    before = tsne.load(run / "maps" / "latents.npz").coordinates
    result = lab("latents", run, "--place", pictures, "--format", "json")
    assert result.code == 0, result
    assert "skipped" in result.err
    records = json.loads(result.out)
    assert [record["image"].rpartition("/")[2] for record in records] == ["둘.png", "하나.png"]
    assert all(np.isfinite([record["x"], record["y"]]).all() for record in records)
    assert np.array_equal(tsne.load(run / "maps" / "latents.npz").coordinates, before)
    assert "trustworthiness is" in kept(run, "placed")["text"]


def test_a_new_map_forgets_the_images_on_the_old_one(lab, run, pictures):
    assert lab("latents", run).code == 0
    assert lab("latents", run, "--place", pictures).code == 0
    assert (run / "views" / "placed.json").is_file()
    assert lab("latents", run, "--seed", "1").code == 0
    assert not (run / "views" / "placed.json").exists()


def test_nothing_is_placed_on_a_map_of_other_weights(lab, small_run, tmp_path, pictures):
    run = tmp_path / "run"
    shutil.copytree(small_run(), run)
    assert lab("latents", run).code == 0
    history = run / "history.jsonl"
    history.write_text(history.read_text() + history.read_text().splitlines()[-1] + "\n")
    result = lab("latents", run, "--place", pictures)
    assert result.code == 2
    assert "trained on since its map was made" in result.err


def test_a_model_that_is_told_classes_places_no_files(lab, small_run, pictures):
    run = small_run("--model", "conditional-vae")
    assert lab("latents", run).code == 0
    result = lab("latents", run, "--place", pictures)
    assert result.code == 2
    assert "has to know the class" in result.err


def test_without_a_map_there_is_no_place(lab, small_run, pictures):
    run = small_run("--model", "linear")
    result = lab("latents", run, "--place", pictures)
    assert result.code == 2
    assert "make one with `latents`" in result.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--perplexity", "1000"), "perplexity"),
        (("--dimensions", "4"), "--dimensions"),
        (("--points", "1"), "--points"),
        (("--split", "tests"), "--split"),
        (("--place", "nowhere.png"), "nowhere.png"),
    ],
)
def test_what_cannot_be_mapped_is_one_error(lab, run, words, message):
    result = lab("latents", run, *words)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err
