"""A run's network as ONNX and TorchScript: the same, described, and timed; and what is refused."""

import json
import math
import socket
import subprocess

import onnx
import pytest
import torch
import torchvision
from rich.console import Console

from common.errors import RunFailed
from common.export import exporter, formats
from common.options.terminal import Display
from common.training import checkpoint
from labs.detection.config import DetectionConfig
from labs.detection.inspect import export
from labs.detection.inspect.export import BoxExporter, Detections
from labs.detection.job import Detector
from labs.detection.models.tiny_yolo import CANDIDATES, SAME_OBJECT
from labs.detection.task import MOST

BOTH = ("onnx", "torchscript")


def untrained(model, folder):
    """Return the folder of a run whose weights are random, but tell places apart."""
    config = DetectionConfig(model=model, limit=60, run_dir=str(folder), name="run", ema=None)
    job, _ = Detector.start(config, [])
    return finished(job)


def finished(job):
    checkpoint.save(job.run.best, dict(job.model.state_dict()), json.dumps({"row": {}}))
    job.run.write("metrics", {"validation": {"score_threshold": 0.25}})
    return job.run.path


def opened(path):
    job = Detector.reopen(path, "cpu")
    job.load_best()
    job.model.eval()
    return job


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    torch.manual_seed(0)
    path = untrained("tiny-yolo", tmp_path_factory.mktemp("runs"))
    job = opened(path)
    torch.nn.init.normal_(job.model.head.weight.data[4::5], std=8)  # surer of some than of others
    return finished(job)


@pytest.fixture(scope="module")
def made(run, tmp_path_factory):
    """Return a folder with both files of tiny-yolo, and their report."""
    folder = tmp_path_factory.mktemp("한글 폴더")
    return folder, BoxExporter(opened(run)).export(folder, BOTH)


@pytest.fixture
def job(run):
    return opened(run)


def check(job, folder, report):
    """Check files against a network, by other means than those that they were written by."""
    images = torch.rand(5, 3, 128, 128)
    original = export.network(job)
    for row in report["exported"]:
        assert row["largest_difference"]["pixels"] / 128 <= exporter.TOLERANCE
        assert row["largest_difference"]["scores"] <= exporter.TOLERANCE
        assert row["seconds"] > 0
        form = row["file"].rpartition(".")[2]
        data = (folder / row["file"]).read_bytes()
        assert len(data) == row["bytes"]
        copy = formats.FORMATS[form][1](data)
        for number in (1, 3, 5) if original.batched else (1,):
            with torch.inference_mode():
                expected, given = original(images[:number]), copy(images[:number])
            for one, other in zip(expected, given, strict=True):
                torch.testing.assert_close(one, other, atol=1e-2, rtol=1e-4)
    assert json.loads((folder / f"{job.config.title}.json").read_text("utf-8")) == report


@pytest.mark.slow
def test_tiny_yolo_says_the_same_in_every_format(job, made):
    check(job, *made)
    assert sorted(entry.name for entry in made[0].iterdir()) == [
        "tiny-yolo.json",
        "tiny-yolo.md",
        "tiny-yolo.onnx",
        "tiny-yolo.torchscript",
    ]


def test_with_suppression_a_file_finds_what_the_run_finds(job, made):
    images = export.real_images(job, job.load_splits()["test"])
    run = formats.load_onnx((made[0] / "tiny-yolo.onnx").read_bytes())
    with torch.inference_mode():
        expected = job.detection.detect(job.model, images)
        boxes, scores = run(images)
    for corners, chances, rows in zip(boxes, scores, expected, strict=True):
        surest, places = chances.flatten().topk(CANDIDATES)
        row, label = places // 10, places % 10
        kept = torchvision.ops.batched_nms(corners[row], surest, label, SAME_OBJECT)[:MOST]
        found = torch.cat([corners[row], surest[:, None], label[:, None]], 1)[kept]
        # Chance orders those of which the network is less sure: it has learned nothing.
        torch.testing.assert_close(found[:10], rows[:10], atol=1e-3, rtol=1e-4)


def test_a_file_says_how_it_is_used(made):
    folder, report = made
    model = onnx.load(folder / "tiny-yolo.onnx")
    onnx.checker.check_model(model, full_check=True)
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(told["classes"]) == report["classes"] == list("0123456789")
    assert told["image_size"] == "128"
    assert told["score_threshold"] == "0.25"
    assert json.loads(told["outputs"]).keys() == {"boxes", "scores"}
    assert "(batch, 3, 128, 128): RGB from 0 to 1" in json.loads(told["inputs"])["images"]
    assert [output.name for output in model.graph.output] == ["boxes", "scores"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    inside = {"about.json": ""}
    with pytest.warns(FutureWarning, match="torch.jit.load"):
        torch.jit.load(folder / "tiny-yolo.torchscript", _extra_files=inside)
    assert json.loads(inside["about.json"])["classes"] == report["classes"]


def test_the_table_has_a_line_for_each_file(made):
    title, columns, rows = exporter.table(made[1])
    assert title == "tiny-yolo on 6 samples of the test split, 1 thread(s)"
    assert [row[0] for row in rows] == ["tiny-yolo.onnx", "tiny-yolo.torchscript"]
    assert {len(row) for row in rows} == {len(columns)}


def test_one_format_alone(job, tmp_path):
    BoxExporter(job).export(tmp_path, ["torchscript"])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "tiny-yolo.json",
        "tiny-yolo.md",
        "tiny-yolo.torchscript",
    ]


def test_nothing_is_said_started_or_asked_for(job, tmp_path, monkeypatch, capfd):
    def refuse(*args, **kwargs):
        raise AssertionError("a process or a connection")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(socket, "socket", refuse)
    BoxExporter(job).export(tmp_path, BOTH)
    assert capfd.readouterr() == ("", "")


def test_the_job_is_left_as_it_was(job, tmp_path, same):
    before = {name: tensor.clone() for name, tensor in job.model.state_dict().items()}
    BoxExporter(job).export(tmp_path, ["onnx"])
    assert same(before, dict(job.model.state_dict()))


@pytest.mark.slow
@pytest.mark.parametrize(("place", "change"), [(0, 0.02), (1, 2e-4), (1, math.nan)])
def test_a_copy_that_says_something_else_is_refused(place, change, job, tmp_path, monkeypatch):
    def load(data):
        run = formats.load_onnx(data)

        def wrong(images):
            outputs = run(images)
            outputs[place][..., 0] += change
            return outputs

        return wrong

    monkeypatch.setitem(formats.FORMATS, "onnx", (formats.to_onnx, load))
    with pytest.raises(RunFailed, match="the onnx file does not say what the network says"):
        BoxExporter(job).export(tmp_path / "out", BOTH)
    assert not (tmp_path / "out").exists()


def test_medians_take_turns():
    order = []
    runners = {name: lambda image, name=name: order.append((name, image.shape)) for name in "ab"}
    found = exporter.medians(runners, [(torch.zeros(1, 3, 8, 8),)] * 3)
    assert found.keys() == {"a", "b"}
    assert order[:4] == [(name, (1, 3, 8, 8)) for name in "abab"]


# Two stages


@pytest.fixture
def detections():
    boxes = torch.tensor([[0.0, 0, 10, 10], [5, 5, 30, 30], [0, 0, 10, 10]])
    return boxes, torch.tensor([0.9, 0.9, 0.3]), torch.tensor([1, 2, 2])


def difference(expected, given):
    return Detections(torch.nn.Identity()).difference(expected, given)


def test_the_order_of_detections_tells_nothing(detections):
    turned = [column[[2, 0, 1]] for column in detections]
    assert difference(detections, turned) == (0, 0)


def test_each_detection_is_held_against_the_nearest_of_its_class(detections):
    boxes, scores, classes = detections
    assert difference(detections, (boxes + 0.5, scores - 0.125, classes)) == (0.5, 0.125)
    assert difference(detections, (boxes, scores, torch.tensor([0, 2, 2]))).pixels == math.inf


def test_what_is_missing_or_too_much_is_seen(detections):
    fewer = [column[:2] for column in detections]
    for pair in ((detections, fewer), (fewer, detections)):
        assert difference(*pair).pixels == pytest.approx(20)
    nothing = [column[:0] for column in detections]
    for pair in ((detections, nothing), (nothing, detections)):
        assert difference(*pair) == (math.inf, math.inf)
    assert difference(nothing, nothing) == (0, 0)


# The other detectors


@pytest.mark.parametrize(
    "model",
    [
        pytest.param("yolo11n", marks=pytest.mark.slow),
        pytest.param("yolo26n", marks=pytest.mark.slow),
        pytest.param("ssdlite", marks=pytest.mark.slow),
    ],
)
def test_candidates_of_every_one_stage_detector_are_the_same(model, tmp_path):
    if model.startswith("yolo"):
        pytest.importorskip("ultralytics")
    job = opened(untrained(model, tmp_path))
    for parameter in job.model.parameters():  # so that places and classes differ
        parameter.data += 0.02 * torch.randn_like(parameter)
    check(job, tmp_path / "out", BoxExporter(job).export(tmp_path / "out", BOTH))


@pytest.mark.slow
def test_ssdlite_finds_among_its_candidates_what_torchvision_finds(tmp_path):
    job = opened(untrained("ssdlite", tmp_path))
    for parameter in job.model.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    images = export.real_images(job, job.load_splits()["test"])
    with torch.inference_mode():
        boxes, scores = export.network(job)(images)
        found = job.detection.detect(export.network(job).model, images)
    for corners, chances, rows in zip(boxes, scores, found, strict=True):
        for *box, score, label in rows[rows[:, 5] >= 0].tolist():
            apart = (corners - torch.tensor(box)).abs().amax(1)
            same_score = (chances[:, int(label)] - score).abs()
            assert (apart + 100 * same_score).min() < 1e-2


@pytest.mark.slow
def test_a_trained_faster_rcnn_finds_the_same(tmp_path):
    config = DetectionConfig(
        model="faster-rcnn",
        limit=60,
        epochs=2,
        batch_size=8,
        learning_rate=1e-3,
        ema=None,
        run_dir=str(tmp_path),
        name="run",
    )
    job, splits = Detector.start(config, [])
    job.train(splits, Display(2, [], Console(quiet=True), None), print)
    job = opened(finished(job))
    report = BoxExporter(job).export(tmp_path / "out", BOTH)
    assert json.loads((tmp_path / "out/faster-rcnn.json").read_text()) == report
    model = onnx.load(tmp_path / "out/faster-rcnn.onnx")
    assert [output.name for output in model.graph.output] == ["boxes", "scores", "classes"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1


@pytest.mark.slow
def test_a_compiled_network_is_exported_as_it_was_written(job):
    job.model.compile()
    assert job.model._compiled_call_impl is not None
    assert export.network(job).model._compiled_call_impl is None


def test_the_command_writes_into_the_run_and_shows_a_table(run, lab):
    result = lab("export", run)
    assert (result.code, result.err.count("\n")) == (0, 1)
    assert "tiny-yolo on 6 samples of the test split, 1 thread(s)" in result.out
    assert result.out.endswith(f"Output: {run / 'export'}\n")
    assert sorted(x.name for x in (run / "export").iterdir()) == [
        "tiny-yolo.json",
        "tiny-yolo.md",
        "tiny-yolo.onnx",
    ]
    assert lab("export", run, "--format", "onxx").code == 2
