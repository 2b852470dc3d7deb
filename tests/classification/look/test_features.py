"""`map`: the last features of classifiers of images, and what the command makes of them."""

import json

import numpy as np
import pytest
import torch

from common.errors import RunError
from common.maps import features
from labs.classification.config import ClassificationConfig
from labs.classification.job import ClassifyImages
from labs.classification.look.features import read
from labs.classification.models.build import build
from tests.classification.conftest import SMALL
from tests.rows import COLUMNS, write_rows

DIGITS = {"data": "digits", "limit": 120, "device": "cpu", "threads": 1}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Write images with columns; returns their table."""
    return write_rows(tmp_path_factory.mktemp("rows"))


def start(folder, **options):
    """Return a run that has not trained, which has features all the same, and its splits."""
    config = ClassificationConfig(run_dir=str(folder), name="run", **{**DIGITS, **options})
    return ClassifyImages.for_config(config).start(config, ["train"])


@pytest.mark.parametrize("name", ["linear", "mlp", "lenet5", "resnet20", "vgg11"])
def test_the_last_layer_makes_the_answer_of_the_last_features(tmp_path, name):
    job, splits = start(tmp_path, model=name, image_size=32)
    found = read(job, splits["test"], 5000)
    layer = [each for each in job.model.modules() if isinstance(each, torch.nn.Linear)][-1]
    answers = layer(torch.from_numpy(found.features))
    expected = job.predict_splits(splits, ["test"])["test"]["outputs"]
    torch.testing.assert_close(answers, expected, rtol=1e-4, atol=1e-4)
    wrong = expected.argmax(1) != splits["test"].targets
    assert found.shown.mark.rows.tolist() == wrong.tolist()
    assert found.truth.tolist() == splits["test"].targets.tolist()
    assert (found.remark is None, found.pixels is None) == (name != "linear", name == "linear")


@pytest.mark.parametrize(
    ("name", "channels", "side", "size"),
    [("lenet5-1998", 1, 32, 120), ("resnet18", 3, 64, 512), ("mobilenet_v3_small", 3, 64, 1024)],
)
def test_the_last_linear_layer_is_found_in_other_networks_too(name, channels, side, size):
    model = build(name, channels, side, 10).eval()
    pixels = torch.zeros(2, channels, side, side)
    assert features.last_layer(model, lambda: model(pixels)).in_features == size


@pytest.mark.slow
def test_a_compiled_network_has_the_same_features(tmp_path):
    job, splits = start(tmp_path, model="mlp")
    expected = read(job, splits["test"], 5000).features
    job.model.compile(backend="eager")
    job.compute.compile = True
    job.predict_splits(splits, ["test"])
    assert np.array_equal(read(job, splits["test"], 5000).features, expected)


def test_a_network_that_ends_otherwise_is_refused(tmp_path):
    job, splits = start(tmp_path, model="squeezenet1_0", image_size=32)
    with pytest.raises(RunError, match="does not end with a linear layer.*lenet5"):
        read(job, splits["test"], 5000)


def test_networks_of_several_columns_stand_side_by_side(tmp_path, rows):
    options = {"data": str(rows), "label_column": ("digit", "city"), "limit": None, "model": "mlp"}
    sizes = []
    for heads in ("shared", "separate"):
        job, splits = start(tmp_path / heads, heads=heads, **options)
        found = read(job, splits["test"], 5000)
        sizes.append(found.features.shape[1])
        assert [way.label.en for way in found.shown.ways][:2] == ["true digit", "true city"]
    assert sizes[1] == 2 * sizes[0]


def test_columns_beside_images_are_in_the_features(tmp_path, rows):
    options = {
        "data": str(rows),
        "label_column": ("digit",),
        "with_": (*COLUMNS.split(","),),
        "limit": None,
    }
    job, splits = start(tmp_path, model="linear", **options)
    found = read(job, splits["test"], 5000)
    answers = job.fusion.head(torch.from_numpy(found.features))
    expected = job.predict_splits(splits, ["test"])["test"]["outputs"]
    torch.testing.assert_close(answers, expected, rtol=1e-4, atol=1e-4)


def test_of_numbers_the_tenth_that_is_furthest_off_is_marked(tmp_path, rows):
    options = {"data": str(rows), "label_column": ("number",), "loss": "mse", "limit": None}
    job, splits = start(tmp_path, model="linear", **options)
    found = read(job, splits["test"], 5000)
    said = job.decide(job.predict_splits(splits, ["test"])["test"])
    off = np.abs(said - splits["test"].targets.numpy())
    marked = found.shown.mark.rows
    assert marked.sum() == len(off) // 10
    assert off[marked].min() >= off[~marked].max()
    assert found.truth is None


def test_a_map_of_fewer_points_has_a_share_of_each_class(tmp_path):
    job, splits = start(tmp_path, model="linear", limit=None)
    found = read(job, splits["test"], 60)
    assert 55 <= len(found.features) <= 65
    assert set(found.truth.tolist()) == set(range(10))
    assert np.array_equal(read(job, splits["test"], 60).features, found.features)


# --- the command --------------------------------------------------------------------------------


def points_of(path):
    line = next(x for x in path.read_text("utf-8").split("\n") if x.startswith("const points = "))
    return json.loads(line.removeprefix("const points = ").removesuffix(";"))


def test_the_command_draws_writes_a_page_and_adds_to_the_report(lab, run, quick_pictures):
    result = lab("map", run, "--split", "train", full=True)
    assert result.code == 0, result.err
    assert "trustworthiness is" in result.out
    assert f"Page: {run / 'map.html'}" in result.out
    assert "the run's own answers" in result.out
    points = points_of(run / "map.html")
    names = points["ways"][0]["names"]
    assert names == ["강아지, 흰", "고양이 [cat]"]
    counts = json.loads((run / "data.json").read_text("utf-8"))["counts"]
    assert len(points["places"][0]) == len(points["facts"][0]["values"]) == counts["train"]
    assert (run / "figures/map.png").is_file()
    assert "Map of the last features" in (run / "report.html").read_text("utf-8")
    view = json.loads((run / "views/map.json").read_text("utf-8"))
    assert "Sizes of clusters and distances between them mean little" in view["text"]


def test_own_data_are_mapped_beside_the_report(lab, run, photos, tmp_path):
    kept = run / "views/map.json"
    before = kept.read_bytes() if kept.is_file() else None
    result = lab("map", run, "--data", photos, "--dimensions", "3")
    assert result.code == 0, result.err
    assert "t-SNE got the first" not in result.out
    points = points_of(run / "map-data.html")
    assert len(points["places"]) == 3
    assert len(points["places"][0]) == 20
    assert (kept.read_bytes() if kept.is_file() else None) == before


def test_images_of_one_class_make_a_map(lab, run, paint, tmp_path):
    for number in range(6):
        paint(tmp_path / "사진/고양이 [cat]" / f"{number}.png", 10 * number)
    result = lab("map", run, "--data", tmp_path / "사진", "--output", tmp_path / "map.html")
    assert result.code == 0, result.err
    assert len(points_of(tmp_path / "map.html")["places"][0]) == 6


def test_what_makes_no_map_is_one_error(lab, run, paint, tmp_path):
    for number in range(3):
        paint(tmp_path / "few/고양이 [cat]" / f"{number}.png", 10 * number)
    for words, message in (
        (("--data", tmp_path / "few"), "has 3 samples, and a map needs at least 5"),
        ((), "the test split has 4 samples, and a map needs at least 5: give another --split"),
        (("--split", "train", "--perplexity", "1000"), "expected a perplexity from 1 to 4"),
        (("--data", tmp_path / "few", "--split", "train"), "give one of them"),
        (("--label-column", "x"), "--label-column: goes with --data"),
    ):
        result = lab("map", run, *words)
        assert result.code == 2, words
        assert message in result.err
        assert "Traceback" not in result.err


def test_an_ensemble_names_the_runs_that_have_features(lab, tmp_path):
    for seed in ("0", "1"):
        words = (*SMALL, "--seed", seed, "--run-dir", tmp_path, "--name", seed)
        assert lab("train", *words).code == 0
    runs = tmp_path / "classification"
    made = lab("ensemble", runs / "0", runs / "1", "--name", "both", "--run-dir", tmp_path)
    assert made.code == 0, made.err
    result = lab("map", runs / "both")
    assert result.code == 2
    assert f"is an ensemble: to look into a network, name one: {runs / '0'}" in result.err
