"""Walks through the latent space: where they begin and end, and what is measured on the way."""

import json

import numpy as np
import pytest
import torch

from common.errors import ConfigError, DataError
from labs.autoencoder.job import Compression, to_uint8
from labs.autoencoder.views import samples, traversals
from labs.autoencoder.views.material import Material
from labs.autoencoder.views.training_distance import Nearest, TrainingImages, flat

DENSE = ("--architecture", "dense")
TOLD = ("--model", "conditional-vae", "--loss", "bce", "--epochs", "25", "--limit", "600", *DENSE)
SHARES = np.linspace(0, 1, 5)


def material(path):
    job = Compression.reopen(path)
    job.load_best()
    return Material(job, job.load_splits())


@pytest.fixture(scope="module")
def plain(small_run):
    return material(small_run(*DENSE))


@pytest.fixture(scope="module")
def vae(small_run):
    return material(small_run("--model", "vae", "--loss", "bce", *DENSE))


@pytest.fixture(scope="module")
def told(small_run):
    return material(small_run(*TOLD))


def pair(made, rows=(0, 1)):
    test = made.splits["test"]
    images, classes = test.images[list(rows)], test.targets[list(rows)]
    return traversals.Pairs(images[:1], images[1:], (classes[:1], classes[1:]), [("a", "b")])


# --- from image to image ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "vae", "told"])
def test_a_walk_begins_and_ends_with_the_two_reconstructions(kind, request):
    made = request.getfixturevalue(kind)
    [steps] = to_uint8(traversals.walk(made.job, pair(made), SHARES))
    assert steps.shape == (5, 1, 8, 8)
    ends = made["test"].reconstructions([0, 1])
    assert (steps[[0, -1]].int() - ends.int()).abs().max() <= 1


def test_the_middle_of_a_walk_is_the_decoded_mean_of_the_latents(plain):
    [steps] = traversals.walk(plain.job, pair(plain), SHARES)
    mean = torch.from_numpy(plain["test"].latents[:2].mean(0, keepdims=True))
    torch.testing.assert_close(steps[2], plain.job.decode(mean)[0], atol=1e-5, rtol=0)


def test_the_class_that_is_told_changes_after_half_of_the_way(told):
    both = pair(told)
    last = told.splits["test"].targets[1:2]
    latents = told.job.encode(told.job.prepared(both.starts), both.classes[0])
    latents = torch.lerp(latents, told.job.encode(told.job.prepared(both.ends), last), 0.75)
    [steps] = traversals.walk(told.job, both, SHARES)
    torch.testing.assert_close(steps[3], told.job.decode(latents, last)[0], atol=1e-5, rtol=0)


def test_pairs_are_of_different_classes_and_repeat_with_their_seed(plain):
    test, classes = plain.splits["test"], plain.job.card.classes
    pairs = traversals._drawn_pairs(test, classes, 50, seed=1)
    assert (pairs.classes[0] != pairs.classes[1]).all()
    again = traversals._drawn_pairs(test, classes, 50, seed=1)
    assert torch.equal(pairs.starts, again.starts)
    assert torch.equal(pairs.ends, again.ends)
    assert pairs.names[0] == tuple(classes[column[0]] for column in pairs.classes)
    assert not torch.equal(pairs.starts, traversals._drawn_pairs(test, classes, 50, seed=2).starts)


def test_one_class_and_a_single_image_still_give_pairs(plain):
    test = plain.splits["test"]
    same = test.select((test.targets == test.targets[0]).nonzero()[:, 0])
    assert len(traversals._drawn_pairs(same, (), 5, seed=0).names) == 5
    assert len(traversals._drawn_pairs(test.select(torch.tensor([3])), (), 2, seed=0).names) == 2


def test_a_blend_of_pixels_has_a_hump_and_the_view_measures_both(plain):
    view = traversals.interpolate(plain)
    assert len(view.records) == 9
    assert len(view.section.pictures) == 2
    assert view.figures["hump_pixels"] > 1.2
    middle, ends = view.records[4], (view.records[0], view.records[-1])
    hump = middle["latents"] / np.mean([end["latents"] for end in ends])
    assert view.figures["hump_latents"] == pytest.approx(hump)
    ratio = view.figures["hump_latents"] / view.figures["hump_pixels"]
    assert view.figures["hump_ratio"] == pytest.approx(ratio)
    assert view.figures["hump_ratio_low"] < ratio < view.figures["hump_ratio_high"]
    assert f"{ratio:.2f}" in view.verdict


def test_a_flat_curve_of_a_poor_decoder_is_not_praised():
    flat_one, hump = np.full((9, 9), 0.04), np.full((9, 9), 0.02)
    hump[:, 4] = 0.03
    verdict, _ = traversals._judge_paths({traversals.LATENTS: flat_one, traversals.PIXELS: hump})
    assert "says little" in verdict
    verdict, figures = traversals._judge_paths(
        {traversals.LATENTS: flat_one / 4, traversals.PIXELS: hump}
    )
    assert "less than a blend" in verdict
    assert figures["hump_ratio"] == pytest.approx(1 / 1.5)
    verdict, _ = traversals._judge_paths(
        {traversals.LATENTS: hump / 2, traversals.PIXELS: flat_one}
    )
    assert "more than a blend" in verdict


def test_interpolate_takes_two_images_or_none(plain):
    with pytest.raises(ConfigError, match="two images"):
        traversals.interpolate(plain, "3")
    with pytest.raises(ConfigError, match="no row 9999"):
        traversals.interpolate(plain, "3", "9999")
    with pytest.raises(DataError, match="no such file"):
        traversals.interpolate(plain, "3", "고양이.png")
    assert traversals.interpolate(plain, "3", "5", steps=4).section.pictures


# --- near to real images ------------------------------------------------------------------------


def test_the_nearest_training_image_is_found_with_its_distance_and_class(plain):
    train = plain.splits["train"]
    known = TrainingImages(plain)
    found = known.nearest(flat(plain.job.prepared(train.images[:20])))
    assert found.errors == pytest.approx(np.full(20, 1e-12), abs=1e-9)
    assert found.classes.tolist() == train.targets[:20].tolist()
    pixels = flat(plain.job.prepared(plain.splits["test"].images[:7]))
    everything = flat(plain.job.prepared(train.images))
    by_hand = ((pixels[:, None] - everything[None]) ** 2).mean(2).min(1)
    assert known.nearest(pixels).errors == pytest.approx(by_hand, rel=1e-4)


def test_large_images_are_shrunk_to_32_pixels():
    assert flat(torch.rand(2, 3, 96, 96)).shape == (2, 3 * 32 * 32)
    assert flat(torch.rand(2, 1, 8, 8)).shape == (2, 64)


# --- along a dimension --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "vae", "told"])
def test_at_its_own_value_an_image_is_its_reconstruction(kind, request):
    made = request.getfixturevalue(kind)
    latents = torch.from_numpy(made["test"].latents[0])
    classes = made.splits["test"].targets[:1]
    pictures = traversals.move(made.job, latents, 2, [float(latents[2]), 5.0], classes)
    [own] = made["test"].reconstructions([0])
    assert (to_uint8(pictures)[0].int() - own.int()).abs().max() <= 1
    assert not torch.equal(pictures[0], pictures[1])


def test_dimensions_are_sorted_by_their_change_of_the_pixels(plain):
    view = traversals.traverse(plain)
    changes = [record["change"] for record in view.records]
    assert changes == sorted(changes, reverse=True)
    assert sorted(record["dimension"] for record in view.records) == [1, 2, 3, 4]
    assert sum(record["share"] for record in view.records) == pytest.approx(1)
    top = view.records[0]
    low, high = np.quantile(plain["train"].latents[:, top["dimension"] - 1], [0.02, 0.98])
    rows = np.random.default_rng(0).permutation(len(plain["test"]))[:32]
    ends = []
    for value in (low, high):
        latents = plain["test"].latents[rows].copy()
        latents[:, top["dimension"] - 1] = value
        ends.append(plain.job.decode(torch.from_numpy(latents)))
    by_hand = (ends[0] - ends[1]).square().mean().item()
    assert top["change"] == pytest.approx(by_hand, rel=1e-4)


def test_a_dimension_that_the_decoder_ignores_comes_last(plain, small_run):
    made = material(small_run(*DENSE))
    with torch.no_grad():
        first = next(part for part in made.job.model.decoder.modules() if hasattr(part, "weight"))
        first.weight[:, 1] = 0
    last = traversals.traverse(made).records[-1]
    assert (last["dimension"], last["change"], last["share"]) == (2, 0, 0)


def test_a_vae_moves_over_its_prior(vae):
    values, headers = traversals._range(vae)
    assert values.tolist() == [[-3, -2, -1, 0, 1, 2, 3]] * 4
    assert headers == ["-3", "-2", "-1", "0", "+1", "+2", "+3"]


def test_traverse_knows_its_dimensions(plain):
    assert traversals.traverse(plain, "5", dimensions=[4, 1]).section.pictures
    for wrong in (0, 5):
        with pytest.raises(ConfigError, match=f"--dimension {wrong}: expected 1 to 4"):
            traversals.traverse(plain, dimensions=[wrong])


@pytest.mark.parametrize(("means", "needed"), [([1, 0, 0], 1), ([1, 1, 1, 1], 4), ([8, 1, 1], 2)])
def test_how_many_dimensions_make_most_of_the_change(means, needed):
    assert traversals._needed(np.array(means, float)) == needed


# --- from the prior -----------------------------------------------------------------------------


def test_samples_repeat_with_their_seed(vae):
    assert torch.equal(samples.draw(vae.job, 6, 3), samples.draw(vae.job, 6, 3))
    assert not torch.equal(samples.draw(vae.job, 6, 3), samples.draw(vae.job, 6, 4))


def test_samples_are_the_decoded_prior(vae):
    latents = torch.randn(6, 4, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(samples.draw(vae.job, 6, 3), vae.job.decode(latents))


def test_a_conditional_vae_draws_the_class_that_is_wished(told):
    view = samples.view(told, count=20, classes=["7", "3"])
    assert view.figures["class_share"] > 0.8
    assert view.figures["class_share_low"] < view.figures["class_share"]
    assert view.figures["class_share_of_test_images"] > 0.8
    same = torch.full((8,), 3)
    other = torch.full((8,), 7)
    assert not torch.equal(samples.draw(told.job, 8, 0, same), samples.draw(told.job, 8, 0, other))


def test_samples_are_held_against_real_images(vae):
    view = samples.view(vae, count=9)
    groups = {record["pictures"]: record for record in view.records}
    assert list(groups) == ["samples", "reconstructions", "test images", "normal in PCA"]
    for record in groups.values():
        assert record["95 % from"] <= record["median distance"] <= record["to"]
    ratio = groups["samples"]["median distance"] / groups["test images"]["median distance"]
    assert view.figures["against_images"] == pytest.approx(ratio)
    assert view.figures["against_images_low"] < ratio < view.figures["against_images_high"]
    images = flat(vae.job.prepared(vae.splits["test"].images)).astype(float)
    differences = ((images[:, None] - images[None]) ** 2).mean()
    assert groups["test images"]["apart"] == pytest.approx(differences, rel=1e-4)


def test_a_model_without_a_prior_has_no_samples(plain):
    with pytest.raises(ConfigError, match="conv has no prior.*--model vae"):
        samples.view(plain)


def test_classes_are_for_models_that_are_told_them(vae, told):
    with pytest.raises(ConfigError, match="vae is not told classes.*conditional-vae"):
        samples.view(vae, classes=["3"])
    with pytest.raises(
        ConfigError, match="--class x, y: no such class in training; there are: 0, 1"
    ):
        samples.view(told, classes=["x", "3", "y"])


def test_a_class_that_training_never_saw_is_not_drawn(told):
    train = told.splits["train"]
    fewer = train.select((train.targets != 9).nonzero()[:, 0])
    made = Material(told.job, {**told.splits, "train": fewer})
    assert samples._wished(made, ()) == list(range(9))
    with pytest.raises(ConfigError, match="--class 9: no such class in training"):
        samples.view(made, classes=["9"])


def test_a_decoder_that_does_not_heed_the_class_is_told_of(told):
    known, wished = TrainingImages(told), torch.arange(10).repeat(20)
    found = Nearest(np.ones(200), wished.numpy())
    verdict, figures = samples._judge_classes(told, known, found, wished)
    assert figures["class_share"] == 1
    assert "heeds" not in verdict
    verdict, figures = samples._judge_classes(told, known, found, (wished + 1) % 10)
    assert figures["class_share"] == 0
    assert "hardly heeds the class" in verdict
    assert f"--beta than {told.job.config.divergence_weight:g}," in verdict


# --- as commands --------------------------------------------------------------------------------


def test_the_commands_print_what_they_measured(lab, small_run, told):
    path = told.job.run.path
    result = lab("sample", path, "--class", "7", "--class", "3", "--format", "json")
    assert result.code == 0, result
    assert [row["pictures"] for row in json.loads(result.out)][0] == "samples"
    assert "takes" in result.err
    result = lab("traverse", path, "3", "--dimension", "2")
    assert result.code == 0, result
    assert "dimension" in result.out
    result = lab("interpolate", path, "3", "5", "--steps", "4", "--format", "csv")
    assert result.code == 0, result
    assert result.out.startswith("way,latents,")
    assert (path / "figures/interpolate.png").is_file()


def test_wrong_use_is_told_in_one_line(lab, small_run):
    path = small_run(*DENSE)
    for words, said in (
        (("sample", path), "has no prior"),
        (("interpolate", path, "3"), "two images"),
        (("traverse", path, "--dimension", "5"), "expected 1 to 4"),
    ):
        result = lab(*words)
        assert (result.code, result.err.count("Error")) == (2, 1), result
        assert said in result.err
