"""What a network looks at: against hand calculation, and the command with its faults."""

import html
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from torchvision import models as torchvision_models

from labs.classification.job import ClassifyImages
from labs.classification.look import explain, explain_plots, layer_calls
from labs.classification.look.explanation import Reading

SIDE = 14


@pytest.fixture(scope="module")
def run(lab, tmp_path_factory):
    """Return a LeNet-5 that has learned little of small digits: it makes mistakes."""
    runs = tmp_path_factory.mktemp("runs")
    result = lab(
        *("train", "--data", "digits", "--limit", "150", "--model", "lenet5", "--image-size", "16"),
        *("--augment", "none", "--epochs", "3", "--run-dir", runs, "--name", "lenet"),
    )
    assert result.code == 0, result
    return runs / "classification/lenet"


@pytest.fixture(scope="module")
def opened(run):
    job = ClassifyImages.reopen(run)
    job.load_best()
    return job, job.load_splits()


@pytest.fixture(scope="module")
def korean(lab, photos, tmp_path_factory):
    """Return a run on color photographs of two classes with Korean names."""
    runs = tmp_path_factory.mktemp("runs")
    result = lab(
        *("train", "--data", photos, "--model", "lenet5", "--image-size", "12", "--epochs", "1"),
        *("--augment", "none", "--run-dir", runs, "--name", "사진"),
    )
    assert result.code == 0, result
    return runs / "classification/사진"


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    pair = torch.randn(2, 1, SIDE, SIDE, generator=generator)
    return pair[:1], pair[1:]


def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 3)).eval()


# The three ways to ask


def test_integrated_gradients_of_a_linear_model_are_its_terms(images):
    image, black = images
    model = linear()
    parts, difference, steps = explain.integrated_gradients(model, image, black, 1)
    expected = (model[1].weight[1].reshape(SIDE, SIDE) * (image - black)[0, 0]).detach().numpy()
    assert np.allclose(parts, expected, atol=1e-5)
    assert difference == pytest.approx(expected.sum(), abs=1e-5)
    assert steps == 64


def test_integrated_gradients_take_more_steps_until_they_add_up():
    image, black = torch.full((1, 1, 1, 1), 5.0), torch.zeros(1, 1, 1, 1)

    class Steep(nn.Module):
        def forward(self, images):  # almost all of its rise is in a thousandth of the way
            return 10 * torch.sigmoid(3000 * (images.flatten(1) - 1.02))

    parts, difference, steps = explain.integrated_gradients(Steep(), image, black, 0)
    assert difference == pytest.approx(10)
    assert steps > 64
    reading = Reading("x", None, parts, difference, steps, parts)
    assert reading.complete is (abs(reading.total - 10) <= 0.1)


def test_completeness_is_one_percent_or_little():
    def complete(total, difference):
        values = np.array([[total]])
        return Reading("x", None, values, difference, 64, values).complete

    assert complete(10.09, 10)
    assert not complete(10.11, 10)
    assert complete(0.104, 0.1)
    assert not complete(0.106, 0.1)


def test_occlusion_of_a_linear_model_is_what_the_patches_hold(images):
    image, _ = images
    model = linear()
    terms = (model[1].weight[2].reshape(SIDE, SIDE) * image[0, 0]).detach().numpy()
    window, step = explain.hidden(SIDE)
    assert (window, step) == (2, 1)
    falls, counts = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    for row in range(0, SIDE - window + 1, step):
        for column in range(0, SIDE - window + 1, step):
            patch = np.s_[row : row + window, column : column + window]
            falls[patch] += terms[patch].sum()
            counts[patch] += 1
    assert np.allclose(explain.occlusion(model, image, 2), falls / counts, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "expected"), [(1, (1, 1)), (8, (2, 1)), (28, (4, 2)), (224, (32, 16))]
)
def test_patches_go_with_the_image(size, expected):
    assert explain.hidden(size) == expected


def test_grad_cam_before_global_pooling_is_the_class_activation_map(images):
    """Selvaraju et al. 2017, section 3.1: it generalizes CAM (Zhou et al. 2016)."""
    torch.manual_seed(0)
    convolution, decide = nn.Conv2d(1, 5, 3, padding=1), nn.Linear(5, 3)
    model = nn.Sequential(convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), decide)
    image = images[0]
    maps = convolution(image).relu()[0]
    expected = functional.relu(torch.einsum("k,khw->hw", decide.weight[1], maps)) / SIDE**2
    found = explain.grad_cam(model.eval(), model[1], image, 1)
    assert np.allclose(found, expected.detach().numpy(), atol=1e-6)
    assert found.max() > 0


def test_grad_cam_is_stretched_over_the_image(images):
    model = nn.Sequential(nn.Conv2d(1, 2, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3)).eval()
    assert explain.grad_cam(model, model[0], images[0], 0).shape == (SIDE, SIDE)


def last(build, channels=3, size=224):
    with torch.device("meta"):
        found = layer_calls.last_convolution(layer_calls.trace(build(), channels, size))
    return found and (found.name, found.side)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (torchvision_models.resnet18, ("layer4", 7)),  # after the skip connection
        (torchvision_models.vgg16, ("features.29", 14)),  # after ReLU, before pooling
        (torchvision_models.alexnet, ("features.11", 13)),
        (torchvision_models.mobilenet_v2, ("features", 7)),
        (torchvision_models.vit_b_16, None),  # its only convolution cuts patches
    ],
)
def test_the_last_maps_of_a_convolution(build, expected):
    assert last(build) == expected


# What is explained of a run


def test_the_most_confident_mistakes_come_first(opened):
    job, splits = opened
    samples = explain.choose(job, splits, ())
    assert len(samples) == 3
    found = explain.explain(job, samples)
    chances = [each.chance for each in found]
    assert chances == sorted(chances, reverse=True)
    for each in found:
        assert each.true != each.guess
        guess, right = each.readings
        assert guess.title.startswith(f"its guess: {each.guess} ({each.chance:.2f}")
        assert right.title.startswith(f"the right class: {each.true} (")
        assert (each.layer, guess.complete, right.complete) == (("relu3", 4), True, True)
        assert each.picture.shape == guess.grad_cam.shape == guess.occlusion.shape == (16, 16)


def test_a_right_answer_has_one_reading_and_so_has_a_file(opened, tmp_path):
    job, splits = opened
    outputs = job.predict_splits(splits, ["test"])["test"]
    right = outputs["outputs"].argmax(1) == outputs["targets"]
    row = int(right.nonzero()[0])
    path = tmp_path / "12.png"
    Image.fromarray(splits["test"].images[row, 0].numpy()).save(path)
    of_row, of_file = explain.explain(job, explain.choose(job, splits, [str(row), str(path)]))
    assert (of_row.true, of_file.true) == (of_row.guess, "")
    assert len(of_row.readings) == len(of_file.readings) == 1
    assert np.array_equal(of_row.picture, of_file.picture)
    assert np.allclose(of_row.readings[0].gradients, of_file.readings[0].gradients)
    assert np.allclose(of_row.picture * 255, splits["test"].images[row, 0].numpy(), atol=1e-3)


def test_maps_and_filters_are_those_of_the_network(opened):
    job, splits = opened
    [found] = explain.explain(job, explain.choose(job, splits, ["0"]))
    assert [(maps.name, maps.count, maps.values.shape[1]) for maps in found.maps] == [
        *(("relu1", 6, 16), ("s2", 6, 8), ("relu3", 16, 4), ("s4", 16, 2))
    ]
    means = found.maps[2].values.mean((1, 2))
    assert len(means) == 8
    assert list(means) == sorted(means, reverse=True)
    image, weight = torch.from_numpy(found.picture), job.model.c1.weight
    norms = weight.flatten(1).norm(dim=1)
    rows = norms.argsort(descending=True)
    assert list(found.filters.names) == [f"filter {row}" for row in rows.tolist()]
    normal = (image - job.card.mean[0]) / job.card.std[0]
    expected = job.model.c1(normal[None, None])[0, rows]
    assert np.allclose(found.filters.responses, expected.detach().numpy(), atol=1e-4)


def test_the_classic_kernels_do_what_they_are_named_after():
    ramp = np.tile(np.arange(6) / 10, (6, 1)).astype(np.float32)  # it rises to the right
    found = explain._classic(ramp)
    blur, sharpen, across, down = found.responses[:, 2:4, 2:4]
    assert np.allclose(blur, ramp[2:4, 2:4])
    assert np.allclose(sharpen, ramp[2:4, 2:4])
    assert np.allclose(across, 0.8)
    assert np.allclose(down, 0, atol=1e-6)
    color = np.repeat(ramp[..., None], 3, axis=2)
    assert np.allclose(explain._classic(color).responses, found.responses, atol=1e-6)


def test_colors_say_for_and_against():
    picture, values = np.full((1, 3), 0.5), np.array([[2.0, 0.0, -1.0]])
    [[for_it, neither, against]] = explain_plots.blended(picture, values, 2.0)
    assert for_it[0] > 0.6 > 0.3 > for_it[2]
    assert np.allclose(neither, 0.75)
    assert against[2] > against[0]
    assert np.isfinite(explain_plots.blended(picture, np.zeros((1, 3)), 0.0)).all()


# The command


def test_mistakes_are_drawn_and_told(lab, run, monkeypatch):
    monkeypatch.setattr(explain, "_MISTAKES", 2)
    result = lab("explain", run, "--format", "json")
    assert result.code == 0, result
    rows = json.loads(result.out)
    assert len(rows) == 4, "two classes for each mistake"
    assert {row["they add up"] for row in rows} == {"yes"}
    for number in (1, 2):
        for what in ("", "-maps", "-filters"):
            path = run / f"figures/explain-{number}{what}.png"
            assert path.is_file()
            assert f"picture: {path}" in result.err


@pytest.mark.slow
def test_the_report_keeps_the_section_until_another_is_made(lab, run):
    assert lab("explain", run, "0", full=True).code == 0
    first = (run / "report.html").read_text()
    assert lab("report", run, full=True).code == 0
    assert (run / "report.html").read_text() == first
    assert lab("explain", run, "1", full=True).code == 0
    second = (run / "report.html").read_text()
    title = "What the network looks at"
    assert second.count(title) == first.count(title) > 0
    assert "row 0 (" in first
    assert "row 0 (" not in second


@pytest.mark.slow
def test_korean_names_and_color_are_drawn(lab, korean, photos):
    path = next(photos.rglob("*.png"))
    result = lab("explain", korean, path, "--layer", "c1", full=True, drawn=True)
    assert result.code == 0, result
    assert "its guess: " in result.out
    report = html.unescape((korean / "report.html").read_text())
    assert f"{path}: the network says " in report
    assert "the maps of c1 (12x12)" in report


@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_a_network_without_convolutions_has_no_grad_cam(model, train, lab):
    result, run = train("--model", model)
    assert result.code == 0, result
    result = lab("explain", run, "0")
    assert result.code == 0, result
    section = json.loads((run / "views/explain.json").read_text())
    assert "There is no Grad-CAM" in section["text"]
    assert len(section["pictures"]) == 2, "and no maps"
    result = lab("explain", run, "0", "--layer", "classifier")
    assert result.code == 2
    assert "it gives no maps; the stages of the model: none" in result.err


def test_numbers_are_explained(lab, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(explain, "_MISTAKES", 1)
    table = tmp_path / "표.csv"
    lines = [f'"{path}",{len(path.parent.name)}' for path in sorted(photos.rglob("*.png"))]
    table.write_text("\n".join(["path,label", *lines]), encoding="utf-8")
    result = lab(
        *("train", "--data", table, "--loss", "mse", "--model", "lenet5", "--image-size", "12"),
        *("--augment", "none", "--epochs", "1", "--run-dir", tmp_path / "runs", "--name", "수"),
    )
    assert result.code == 0, result
    result = lab("explain", tmp_path / "runs/classification/수", "--format", "json")
    assert result.code == 0, result
    rows = json.loads(result.out)
    assert len(rows) == 1, "the largest error"
    assert rows[0]["asked for"].startswith("its number: ")
    assert float(rows[0]["true"]) in {len("고양이 [cat]"), len("강아지, 흰")}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["9999"], "no image 9999: expected a row of the test split, 0 to 29, or a file"),
        (["없다.png"], "cannot read the image 없다.png: No such file"),
        (["0", "--layer", "relu9"], "--layer relu9: no such layer; did you mean relu"),
        (["0", "--layer", "f6"], "--layer f6: it gives no maps; the stages of the model: relu1, "),
        (["0", "--device", "abacus"], "abacus"),
    ],
)
def test_what_cannot_be_explained_is_refused(words, message, lab, run):
    result = lab("explain", run, *words)
    assert result.code == 2
    assert message in result.err
    assert result.err.count("Error: ") == 1


def test_a_damaged_file_is_refused(lab, run, tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    result = lab("explain", run, tmp_path / "bad.jpg")
    assert result.code == 2
    assert "not an image, or of an unknown format" in result.err


def test_a_run_without_weights_is_refused(lab, train):
    result, run = train("--model", "lenet5", "--image-size", "16")
    (run / "best.safetensors").unlink()
    for words in (("explain", run), ("receptive-field", "--run", run)):
        result = lab(*words)
        assert result.code == 2
        assert "best.safetensors" in result.err


def test_without_mistakes_images_are_asked_for(opened, lab, run, monkeypatch):
    monkeypatch.setattr(explain, "_worst", lambda *_: [])
    result = lab("explain", run)
    assert result.code == 2
    assert "no mistakes in the 30 images of the test split; name images: rows from 0 to 29" in (
        result.err
    )
