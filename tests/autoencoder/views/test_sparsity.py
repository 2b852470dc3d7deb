"""Latents as a code: sparseness, dead ones and movement, by hand and of small runs."""

import json
import math

import numpy as np
import pytest

from labs.autoencoder import noise
from labs.autoencoder.job import Compression
from labs.autoencoder.views import sparsity
from labs.autoencoder.views.material import Material


def material(path):
    job = Compression.reopen(path)
    job.load_best()
    return Material(job, job.load_splits())


def normal(number, size, seed=0):
    return np.random.default_rng(seed).normal(size=(number, size))


# --- what a code looks like ---------------------------------------------------------------------


def test_a_code_by_hand():
    found = sparsity.measure(np.array([[0.0, 3, 1], [0, -1, 1]], np.float32))
    assert found.zeros == pytest.approx(2 / 6)
    assert found.size == pytest.approx(6 / 6)
    assert found.spreads.tolist() == pytest.approx([0, 2, 0])
    assert found.dead == 2


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        ([0, 0, 5, 0], 1),
        ([2, 2, -2, 2], 0),
        ([0, 0, 0, 0], 1),  # nothing is active
        ([1, 1, 0, 0], 2 - math.sqrt(2)),  # root 4 is 2; L1 by L2 is the root of 2
        ([7], 0),
    ],
)
def test_sparseness_by_hand(vector, expected):
    assert sparsity.sparseness(np.array([vector], np.float32)) == pytest.approx([expected])


@pytest.mark.parametrize("scale", [1e-6, 0.01, 1000])
def test_no_scale_of_the_latents_changes_sparseness_dead_ones_or_movement(scale):
    latents, noisy = normal(50, 6), normal(50, 6, seed=1)
    latents[:, 0] = 0.3
    plain, scaled = sparsity.measure(latents), sparsity.measure(scale * latents)
    assert scaled.sparseness == pytest.approx(plain.sparseness)
    assert scaled.dead == plain.dead == 1
    assert scaled.size == pytest.approx(scale * plain.size)
    share = sparsity.movement(sparsity.squares(latents, noisy))
    assert sparsity.movement(sparsity.squares(scale * latents, scale * noisy)) == pytest.approx(
        share
    )


def test_a_latent_of_little_spread_is_dead():
    signs = np.array([[1.0], [-1.0]])
    assert sparsity.measure(signs * np.array([1.0, 0.5, 0.02, 0.009])).dead == 1
    assert sparsity.measure(np.ones((4, 3))).dead == 3  # all images alike


def test_movement_by_hand():
    clean = np.array([[0.0, 1], [0, -1]])  # at a distance of 1 from the mean
    assert sparsity.movement(sparsity.squares(clean, clean)) == 0
    assert sparsity.movement(sparsity.squares(clean, clean + 0.1)) == pytest.approx(
        0.1 * math.sqrt(2)
    )
    one_moves = sparsity.squares(clean, clean + [[0.5, 0], [0, 0]])
    assert one_moves.tolist() == [[0.25, 1], [0, 1]]
    assert sparsity.movement(one_moves) == pytest.approx(math.sqrt(0.125))


def test_movement_of_images_that_are_all_alike_is_no_number():
    clean = np.ones((3, 2))
    assert math.isnan(sparsity.movement(sparsity.squares(clean, clean + 1)))


def test_noise_moves_normal_vectors_by_its_own_share():
    clean = normal(2000, 10)
    noisy = clean + 0.3 * normal(2000, 10, seed=1)
    assert sparsity.movement(sparsity.squares(clean, noisy)) == pytest.approx(0.3, rel=0.02)


# --- the view -----------------------------------------------------------------------------------


def test_the_view_of_a_run(small_run, lab):
    path = small_run("--architecture", "dense")
    result = lab("codes", path, "--format", "json")
    assert result.code == 0, result
    records = json.loads(result.out)
    assert [record["space"] for record in records] == ["latents", "PCA", "pixels"]
    assert [record["numbers"] for record in records] == [4, 4, 64]
    for record in records:
        assert 0 <= record["sparseness"] <= 1
        assert record["95 % from"] <= record["moved"] <= record["to"]
    kept = json.loads((path / "views/codes.json").read_text(encoding="utf-8"))
    assert kept["figures"]["pca_moved"] == records[1]["moved"]
    assert len(kept["pictures"]) == 2
    assert "95 % interval" in kept["verdict"]


def test_movement_of_the_pixels_is_that_of_the_noise(small_run):
    """Of 8x8 images no pixel is lost; noise is cut off at black and white."""
    made = material(small_run("--architecture", "dense"))
    view = sparsity.view(made)
    clean = made["test"].pixels
    drawn = np.random.default_rng(0).normal(size=(20, *clean.shape))
    seen = (clean + sparsity.NOISE * drawn).clip(0, 1)
    apart = np.square(clean - clean.mean(0)).sum(1).mean()
    expected = math.sqrt(np.square(seen - clean).sum(-1).mean() / apart)
    assert view.figures["pixels_moved"] == pytest.approx(expected, rel=0.05)


def test_the_view_is_the_same_each_time(small_run):
    made = material(small_run("--architecture", "dense"))
    assert sparsity.view(made).figures == sparsity.view(made).figures


def test_without_noise_nothing_moves(small_run, monkeypatch):
    monkeypatch.setattr(noise, "gaussian", lambda images, generator, deviation: images)
    view = sparsity.view(material(small_run("--architecture", "dense")))
    for space in ("latents", "pca", "pixels"):
        assert view.figures[f"{space}_moved"] == pytest.approx(0, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vae", "conditional-vae", "denoising", "sparse", "contractive"])
def test_every_kind_of_model_has_a_code(small_run, model):
    view = sparsity.view(material(small_run("--architecture", "dense", "--model", model)))
    assert 0 < view.figures["latents_moved"] < 2
    assert (view.figures["latents_zeros"] > 0) == (model == "sparse")
