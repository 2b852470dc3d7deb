"""Networks of pixels: built by name, trained from the command line, asked of photos."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from common.errors import DataError, RunError
from labs.detection.config import RECIPES, DetectionConfig, recipe_for
from labs.detection.models import pixel_models, unet
from labs.detection.names import PIXELS
from labs.detection.semantic import augment, baselines, data, legend, plots, predictions, suited
from labs.detection.semantic.losses import VOID
from labs.detection.semantic.task import PixelTask
from tests.detection.semantic.conftest import color

SEMANTIC = DetectionConfig(task="semantic", model="unet")


@pytest.mark.parametrize("name", PIXELS)
def test_every_network_is_built_runs_and_learns(name):
    torch.manual_seed(0)
    model = pixel_models.build(name, 3).train()
    squares = torch.rand(2, 4, 64, 64)
    squares[:, 3] = torch.randint(0, 3, (2, 64, 64)) / 255
    task = PixelTask(3, ["cross-entropy"])
    parts = task.loss(model, (squares,), None)
    assert parts.keys() <= task.weights((squares,)).keys()
    sum(parts.values()).backward()
    assert all(each.grad is not None for each in model.parameters() if each.requires_grad)
    found = task.outputs(model.eval(), (squares,))
    assert found["said"].shape == (2, 64, 64)


def test_a_u_net_says_the_same_of_neighbors_until_it_learns():
    model = unet.build("unet", 3).eval()
    logits = model(torch.rand(1, 3, 32, 32))
    assert torch.equal(logits[..., ::2, ::2], logits[..., 1::2, 1::2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "semantic"}, "tiny-yolo finds objects"),
        ({"model": "unet"}, "add --task semantic"),
        ({"task": "semantic", "model": "unet", "anchors": 3}, "--anchors: goes with boxes"),
        ({"task": "semantic", "model": "unet", "augment": ("mosaic",)}, "takes affine, color"),
        ({"task": "semantic", "model": "unet", "loss": ()}, "--loss: expected some of"),
        ({"loss": ("dice",)}, "--loss: goes with --task semantic"),
        ({"legend": "a.csv"}, "--legend: goes with --task semantic"),
    ],
)
def test_what_makes_no_sense_is_said(options, message):
    [problem] = DetectionConfig(**options).problems()
    assert message in problem


def test_each_network_has_a_recipe_of_its_own():
    assert recipe_for(None, "semantic") == "unet"
    for name in PIXELS:
        assert RECIPES[recipe_for(name)]["task"] == "semantic"
        assert not DetectionConfig(**RECIPES[name]).problems()


@pytest.mark.parametrize("spec", ["hflip:1", "vflip:1", "affine:0.1:0", "color:0.5"])
def test_classes_go_where_their_pixels_go(spec):
    """A pixel's red is its class; what comes in from outside is void."""
    generator = torch.Generator().manual_seed(0)
    classes = torch.randint(0, 2, (4, 4, 4), dtype=torch.uint8, generator=generator)
    classes = classes.repeat_interleave(8, 1).repeat_interleave(8, 2)
    squares = torch.stack([classes * 255, classes, classes, classes], 1)
    pipeline = augment.pipeline(DetectionConfig(augment=(spec,)))
    numbers = torch.rand(4, pipeline.columns, generator=generator)
    changed = pipeline(squares, numbers)
    red, found = changed[:, 0], (changed[:, 3] * 255).round()
    known = found != VOID
    assert (known.all() == (not spec.startswith("affine"))).item()
    sure = known & ((red < 0.1) | (red > 0.9))
    if not spec.startswith("color"):
        assert sure.float().mean() > 0.5
        assert torch.equal(red[sure].round(), found[sure])
        assert not torch.equal(found, classes.float())
    else:
        assert torch.equal(found, classes.float())
    assert torch.equal(pipeline(squares, None)[:, 3] * 255, classes.float())


def test_what_fits_small_images_is_chosen_and_said(masks):
    root, _ = masks(color)
    config = DetectionConfig(
        **{**RECIPES["unet"], "data": str(root)},
        given=frozenset(RECIPES["unet"]) - {"epochs", "batch_size"},
    )
    found, reasons = suited.suited(config)
    assert (found.image_size, found.batch_size) == (64, 8)
    assert found.total_updates == 600
    assert "hflip" in found.augment
    assert len(reasons) == 4


@pytest.fixture(scope="module")
def run(tmp_path_factory, lab):
    """Train on disks for a moment; returns the folder of the data, and that of the run."""
    from tests.detection.semantic.conftest import disks, grey

    folder, generator = tmp_path_factory.mktemp("pixels"), np.random.default_rng(0)
    for number in range(12):
        image, classes = disks(generator)
        for kind in ("images", "masks"):
            (folder / "set" / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / "set" / "images" / f"{number}.png")
        grey(classes, folder / "set" / "masks" / f"{number}.png")
    words = ["train", "--task", "semantic", "--data", folder / "set", "--image-size", "32"]
    words += ["--epochs", "2", "--run-dir", folder / "runs", "--name", "one", "--device", "cpu"]
    lab(*map(str, words))
    return folder / "set", folder / "runs" / "detection" / "one"


def test_a_run_on_own_masks_is_measured_reported_and_measured_again(run, lab):
    root, folder = run
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert metrics["baselines"].keys() == {baselines.COLOR, baselines.FILTERS}
    assert metrics["baselines"][baselines.COLOR]["mean_iou"] > 0.9  # a color is a class here
    page = (folder / "report.html").read_text("utf-8")
    for title in ("What it says", "Each class", "Neighbors", "Worst images"):
        assert title in page
    said = lab("evaluate", folder, "--data", root)
    assert "mean_iou" in said.out
    assert "boundary F1" in said.out


def test_photos_get_drawn_masks_that_a_legend_names(run, lab):
    root, folder = run
    said = lab("predict", folder, root / "images", "--format", "drawn,masks,json,csv")
    output = folder / "predictions"
    with Image.open(output / "masks" / "3.png") as mask:
        assert (mask.mode, mask.size) == ("P", (40, 30))
    read = legend.read(output / "masks" / "legend.json", None, [])
    assert (read.names, read.colors) == ({0: "0", 1: "1", 2: "2"}, False)
    record = json.loads((output / "predictions.json").read_text("utf-8"))[0]
    assert sum(record["shares"].values()) == pytest.approx(1, abs=1e-4)
    assert len((output / "predictions.csv").read_text().splitlines()) == 13
    assert (output / "drawn" / "3.jpg").is_file()
    assert "shares of its pixels" in said.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("predict", "RUN", "x.png", "--score", "0.5"), "--score: goes with boxes"),
        (("predict", "RUN", "x.png", "--format", "yolo"), "expected some of drawn, masks"),
        (("nms", "RUN"), "no boxes to explain"),
        (("evaluate", "RUN", "--tta", "auto"), "boxes alone are fused"),
    ],
)
def test_what_goes_with_boxes_alone_is_refused(run, lab, words, message):
    said = lab(*(run[1] if word == "RUN" else word for word in words))
    assert said.code
    assert message in said.err


def test_other_classes_are_refused_by_name(run, masks):
    from labs.detection.job import Detector

    root, _ = masks(color)
    job = Detector.open_trained(run[1], "cpu")
    with pytest.raises(DataError, match="does not know the classes #000000"):
        job.labelled(root, print)


def test_photos_of_any_size_keep_their_size(run):
    from labs.detection.job import Detector

    job = Detector.open_trained(run[1], "cpu")
    photos = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in ((70, 31), (9, 50))]
    assert [said.shape for said in job.name_pixels(photos)] == [(70, 31), (9, 50)]
    with pytest.raises(RunError, match="--tta"):
        job.choose_copies("auto")


def test_pictures_show_a_row_for_each_image():
    image = np.zeros((3, 8, 10), np.uint8)
    true = np.zeros((8, 10), np.uint8)
    true[0] = VOID
    said = np.ones((8, 10), np.uint8)
    figure = plots.pictures([plots.Panel(image, true, said, "하나")] * 2, ("background", "b"))
    assert len(figure.axes) == 8
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        *("background", "b", "mistake", "void")
    ]
    drawn = predictions.draw(image, said, ("background", "고양이"))
    assert drawn.width >= 480
    painted = plots.paint(true, plots.colors(("background", "b")))
    assert painted[1, 0].tolist() == [0, 0, 0]
    assert data.boxed(true, 32).shape == (32, 32)
