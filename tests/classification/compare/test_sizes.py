"""Other image sizes: which images are shown, what is measured of them, and what is said."""

import json

import numpy as np
import pytest
import torch

from common.errors import ConfigError
from common.images.sets import ImageSet
from common.options.config import build
from labs.classification.compare import size_plots, sizes
from labs.classification.compare.config import CompareSizesConfig
from labs.classification.compare.sizes import KEPT, Comparison

SMALL = (
    *("--data", "digits", "--limit", "100", "--epochs", "1", "--warmup", "0"),
    *("--batch-size", "16", "--name", "all"),
)


def config(**options):
    return build(CompareSizesConfig, ("options", options))


# --- which sizes, which images ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (28, (20, 24, 32, 36, 40)),
        (8, (4, 6, 10, 12, 14)),
        (64, (48, 56, 72, 80, 88)),
        (3, (1, 5, 7, 9)),  # none of no pixels
    ],
)
def test_sizes_go_in_whole_patches_from_the_trained_one(own, expected):
    assert sizes.find_sizes(config(), own) == expected


def test_sizes_that_are_given_are_taken_but_for_the_trained_one():
    assert sizes.find_sizes(config(sizes="40,28,20"), 28) == (20, 40)


def test_a_frame_is_black_and_leaves_the_image_what_it_is():
    images = torch.randint(1, 256, (2, 1, 5, 5), dtype=torch.uint8)
    framed = sizes.frame(images, 2)
    assert torch.equal(framed[..., 2:-2, 2:-2], images)
    assert int((framed > 0).sum()) == images.numel()


def test_images_are_found_by_their_names_in_whichever_split_they_lie():
    def part(*names):
        pixels = torch.tensor([int(name) for name in names], dtype=torch.uint8)
        return ImageSet(pixels[:, None, None, None], pixels.long(), names)

    splits = {"train": part("1", "2"), "validation": part("3"), "test": part("4", "5")}
    for names in (("5", "4"), ("5", "1", "3")):
        found = sizes.select(splits, names)
        assert found.names == names
        assert found.targets.tolist() == [int(name) for name in names]


def test_a_size_that_one_model_needs_is_that_of_all():
    def of(models, **options):
        given = {"models": models, "seeds": "1", **options}
        return {each.image_size for each in Comparison.plan(config(**given)).values()}

    assert of("small-vit,resnet20") == {None}
    assert of("small-vit,vgg11") == {32}
    assert of("small-vit,resnet20", image_size="40") == {40}


# --- what is kept -------------------------------------------------------------------------------


def test_what_is_kept_is_the_mean_of_the_others_as_a_share_of_the_first():
    rows = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 0], [1, 0, 0]], np.float64)
    found = KEPT.measure_runs([rows, rows])
    assert found["kept"] == pytest.approx(((3 + 1) / 8) / (3 / 4))
    assert KEPT.compare_runs([rows], [rows])["difference"] == 0
    nothing = np.zeros((4, 3))
    assert KEPT.measure_runs([nothing])["kept"] == 0


def test_an_image_is_drawn_that_is_lost_at_the_largest_size():
    rows = np.array([[0, 0, 0], [1, 0, 1], [1, 1, 0]], np.float64)
    assert sizes._find_lost(rows) == 2
    assert sizes._find_lost(rows[:2]) == 0


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sizes": "20,x"}, "--sizes x: expected pixels, such as 20,24,32"),
        ({"sizes": "0"}, "--sizes 0: expected pixels"),
        ({"sizes": "20,20"}, "--sizes 20,20: one of them is given twice"),
        ({"augment": "crop:20"}, "--augment crop: cuts images of every size to one"),
        ({"models": "small-vitt"}, "--models small-vitt: no such model; did you mean small-vit?"),
    ],
)
def test_what_cannot_be_compared_is_told(options, said):
    with pytest.raises(ConfigError) as caught:
        config(**options)
    assert said in "\n".join(caught.value.problems)


def test_a_model_of_one_size_alone_is_refused_and_leaves_no_folder(lab, tmp_path):
    words = ("--models", "small-vit,lenet5", "--run-dir", tmp_path / "runs")
    found = lab("compare-sizes", *SMALL, *words)
    assert found.code != 0
    assert "--models lenet5: is made for 28x28 pixels, and 20x20 do not go through" in found.err
    assert "such as resnet20" in found.err
    assert not (tmp_path / "runs").exists()


# --- a run --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(lab, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    models = "small-vit,small-vit-no-position,resnet20"
    words = ("--models", models, "--seeds", "1", "--sizes", "5,8,12", "--run-dir", folder)
    found = lab("compare-sizes", *SMALL, *words, full=True, drawn=True)
    assert found.code == 0, found
    path = folder / "classification/all"
    return found, path, json.loads((path / "metrics.json").read_text())


def test_each_model_is_measured_at_each_size(run):
    _, _, metrics = run
    compared = metrics["compared"]
    assert list(compared) == ["small-vit", "small-vit-no-position", "resnet20"]
    for name, entry in compared.items():
        assert (entry["image_size"], entry["sizes"]) == (8, [5, 12])
        assert entry["at_sizes"][0]["accuracy"] == pytest.approx(entry["accuracy"])
        assert entry["scaled_back"][0] == entry["at_sizes"][0]
        others = [each["accuracy"] for each in entry["at_sizes"][1:]]
        assert entry["elsewhere"] == pytest.approx(np.mean(others))
        kept = np.mean(others) / max(entry["accuracy"], 1 / 20)
        assert entry["kept_resized"] == pytest.approx(kept)
        assert ("kept_resized_difference" in entry) is (name != "small-vit")


def test_report_and_screen_show_sizes_causes_and_looks(run):
    found, path, _ = run
    for said in ("small-vit, trained at 8 pixels", "without positions", "mean at other sizes"):
        assert said in found.out, found.out
    html = (path / "report.html").read_text(encoding="utf-8")
    for part in ("Accuracy at each size", "Why", "Where they look", "framed", "5 px", "12 px"):
        assert part in html
    for name in ("sizes", "kept", "rollout", "compared", "curves"):
        assert (path / f"figures/{name}.png").is_file()


@pytest.mark.slow
def test_the_report_of_a_finished_run_is_written_again(lab, run):
    _, path, _ = run
    html = (path / "report.html").read_bytes()
    (path / "report.html").unlink()
    assert lab("report", path, drawn=True).code == 0
    assert (path / "report.html").read_bytes() == html


def test_test_images_are_scaled_from_their_originals(run):
    _, path, _ = run
    whole = Comparison.reopen(path)
    job = whole.open_member("small-vit-0", "cpu")
    test = job.load_splits()["test"]
    expected = sizes.scale_pixels(test.images, 12)
    found = whole._at(job, test, 12)
    assert torch.equal(found, expected)


# --- what is said and drawn ---------------------------------------------------------------------


def entry(kept, difference=None):
    figures = [{"accuracy": kept, "interval": [kept - 0.01, kept + 0.01]}] * 3
    found = {
        **{"image_size": 28, "sizes": [20, 40], "accuracy": 0.95, "parameters": 10},
        **{"at_sizes": figures, "scaled_back": figures, "framed": figures[0]},
        **{"gain_back": 0.05, "gain_back_interval": [0.04, 0.06]},
    }
    for name in ("elsewhere", "kept_resized", "kept_back", "kept_framed"):
        found |= {name: kept, f"{name}_interval": [kept - 0.01, kept + 0.01]}
        if difference is not None:
            found[f"{name}_difference"] = difference[0]
            found[f"{name}_difference_interval"] = difference[1:]
    return found


def test_the_verdict_says_who_keeps_more_and_what_loses_it():
    compared = {
        "small-vit": entry(0.9),
        "small-vit-no-position": entry(0.9, (0.0, -0.01, 0.01)),
        "small-vit-conv": entry(0.96, (0.06, 0.05, 0.07)),
        "resnet20": entry(0.8, (-0.1, -0.12, -0.08)),
    }
    said = " ".join(sizes._describe_kept(compared))
    assert "on 0.9500 of the test images there, and on 0.9000 in the mean at 20, 40 pixels" in said
    assert "Right on more at these sizes: small-vit-conv +0.0600 (+0.0500 to +0.0700)." in said
    assert "Right on fewer: resnet20 -0.1000" in said
    assert "Of its own accuracy small-vit keeps 0.9000 (0.8900 to 0.9100)." in said
    assert "A larger share is kept by: small-vit-conv +0.0600" in said
    assert "Not to be told apart in the share: small-vit-no-position" in said
    said = " ".join(sizes._explain(compared))
    assert "only their number and positions are others, small-vit keeps 0.9000" in said
    assert "+0.0500 (+0.0400 to +0.0600) more: do that where you can" in said
    assert "without positions: it is right on 0.9500 at 28 pixels" in said


def test_accuracies_are_drawn_in_the_order_of_the_sizes():
    figure = size_plots.draw_sizes({"small-vit": entry(0.9), "resnet20": entry(0.8)})
    for axes in figure.axes:
        drawn = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 3]
        assert all((np.diff(each) > 0).all() for each in drawn)
