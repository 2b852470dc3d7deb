"""A classifier as a file: what it says, without torch, is what its run says."""

import json
import sys
from importlib import import_module

import numpy as np
import onnx
import pytest
import torch

from common.export import exporter, file, formats
from labs.classification.config import ClassificationConfig
from labs.classification.export.exporter import Network
from labs.classification.job import ClassifyImages

DIGITS = {"data": "digits", "limit": 60, "model": "lenet5", "augment": "none"}  # made 28 pixels


@pytest.fixture(scope="module")
def digits_run(untrained, tmp_path_factory):
    return untrained(ClassifyImages, tmp_path_factory.mktemp("runs"), **DIGITS)


@pytest.fixture(scope="module")
def made(digits_run, lab):
    """Return the folder of a run, and the file that was exported from it."""
    result = lab("export", digits_run)
    assert result.code == 0, result
    assert result.out.endswith(f"Output: {digits_run / 'export'}\n")
    return digits_run, digits_run / "export/lenet5.onnx"


def test_a_file_says_what_its_run_says_without_torch(made, lab, without_torch, photos):
    run, path = made
    (photos / "zz.png").write_text("nothing")
    asked = without_torch("classification", "predict", "--onnx", path, photos)
    expected = lab("predict", run, photos)
    (photos / "zz.png").unlink()
    assert asked.code == 0, asked
    assert asked == expected
    assert "zz.png" in asked.err


@pytest.mark.parametrize("number", [1, 3, 70])
def test_batches_may_be_of_any_size(made, number):
    run, path = made
    images = np.random.default_rng(0).integers(0, 256, (number, 1, 28, 28), dtype=np.uint8)
    [given] = file.Exported(path, "classification").run_rows(images=images).values()
    job = ClassifyImages.open_trained(run, "cpu")
    with torch.inference_mode():
        expected = Network(job).eval()(torch.from_numpy(images))
    torch.testing.assert_close(torch.from_numpy(given), expected, atol=1e-5, rtol=1e-3)
    assert given.std(0).max() > 0 or number == 1  # images are told apart


@pytest.fixture
def check(lab, photos, same_table):
    """Return a function that compares what a file and its run say of photos."""

    def compare(run, path):
        words = (photos, "--format", "csv")
        asked, expected = lab("predict", "--onnx", path, *words), lab("predict", run, *words)
        same_table(asked, expected, rel=1e-3, abs=1e-4)

    return compare


def test_a_file_is_asked_with_the_threads_that_the_user_gives(made, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    session, _ = file.Exported._open(made[1])
    assert session.get_session_options().intra_op_num_threads == 3


def test_a_missing_onnxruntime_is_no_fault_of_the_file(made, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "common.export.file")
    with pytest.raises(ImportError, match="onnxruntime"):
        import_module("common.export.file").Exported(made[1], "classification")


def test_a_file_may_have_any_name(made, lab, photos, tmp_path):
    run, path = made
    (tmp_path / "사진.onnx").write_bytes(path.read_bytes())
    asked = lab("predict", "--onnx", tmp_path / "사진.onnx", photos, "--top", "1")
    assert asked == lab("predict", run, photos, "--top", "1")


def test_a_file_says_how_it_is_used(made):
    _, path = made
    model = onnx.load(path)
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert (told["lab"], told["job"], told["model"]) == ("classification", "train", "lenet5")
    assert json.loads(told["classes"]) == list("0123456789")
    assert json.loads(told["image_size"]) == 28
    assert len(json.loads(told["mean"])) == len(json.loads(told["std"])) == 1
    assert "uint8 (batch, 1, 28, 28)" in json.loads(told["inputs"])["images"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    report = json.loads(path.with_suffix(".json").read_text("utf-8"))
    [row] = report["exported"]
    assert row["times_as_fast"] == pytest.approx(row["torch_seconds"] / row["seconds"])
    assert row["largest_difference"]["probabilities"] <= exporter.TOLERANCE
    assert row["bytes"] == path.stat().st_size


def test_a_card_says_what_is_known(run, lab, tmp_path):
    assert lab("export", run, "--output", tmp_path).code == 0
    card = (tmp_path / "linear.md").read_text("utf-8")
    metrics = json.loads((run / "metrics.json").read_text("utf-8"))
    low, high = metrics["test"]["accuracy_interval"]
    assert f"| {low:.4f} to {high:.4f} |" in card
    assert "majority class" in card
    assert "고양이 [cat]" in card
    assert "| `--image-size` | `8` |" in card
    assert "predict --onnx linear.onnx INPUT..." in card
    assert "it was trained for" in card.lower()  # the doubts
    for title in ("Result", "Data", "Files", "Training", "Limits"):
        assert f"\n## {title}\n" in card


def test_a_card_says_the_licence_of_known_data_and_whose_they_are(made):
    card = made[1].with_suffix(".md").read_text("utf-8")
    assert "\n- Licence: CC BY 4.0 (UCI (Alpaydin and Kaynak 1998), in scikit-learn).\n" in card


def test_a_card_names_files_and_not_where_they_are(untrained, photos, lab, tmp_path):
    options = {"model": "linear", "image_size": 8, "augment": "none"}
    run = untrained(ClassifyImages, tmp_path, data=str(photos), **options)
    assert lab("export", run).code == 0
    card = (run / "export/linear.md").read_text("utf-8")
    assert f"| `--data` | `{photos.name}` |" in card
    assert str(photos.parent) not in card


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("augment", ("policy:/home/me/mine.json", "hflip")),
        ("weights", "run:/home/me/run"),
        ("patch", "placebo:/home/me/patch.csv"),
        ("pseudo", "/home/me/pseudo.csv"),
    ],
)
def test_a_config_in_a_file_has_no_path_of_any_option(name, value):
    config = ClassificationConfig(**{name: value})
    assert name not in exporter.known_config(config)
    assert name in exporter.known_config(ClassificationConfig())


def test_a_copy_that_says_something_else_is_refused(digits_run, lab, tmp_path, monkeypatch):
    def load(data):
        run = formats.load_onnx(data)
        return lambda *inputs: [output + 2e-4 for output in run(*inputs)]

    monkeypatch.setitem(formats.FORMATS, "onnx", (formats.to_onnx, load))
    result = lab("export", digits_run, "--output", tmp_path / "out")
    assert result.code == 1
    assert "does not say what the network says" in result.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--onnx", "RUN", "PHOTOS"), "is a folder; --onnx takes a file"),
        (("--onnx", "nowhere.onnx", "PHOTOS"), "nowhere.onnx: no such file"),
        (("--onnx", "TABLE", "PHOTOS"), "is no ONNX file that can be run"),
        (("--onnx", "FILE", "nowhere"), "no such file or folder: nowhere"),
        (("--onnx", "FILE", "TABLE"), "a table goes with a run"),
        (("--onnx", "FILE", "PHOTOS", "--tta", "auto"), "--tta goes with a run, not with --onnx"),
        (("--onnx", "FILE", "PHOTOS", "--device", "cpu"), "--device goes with a run"),
        (("FILE", "PHOTOS"), "is not a run folder"),
    ],
)
def test_wrong_input_is_refused_in_a_sentence(words, said, made, lab, photos, tmp_path):
    run, path = made
    table = tmp_path / "table.csv"
    table.write_text("path\n1.png\n")
    names = {"RUN": run, "FILE": path, "PHOTOS": photos, "TABLE": table}
    result = lab("predict", *(names.get(word, word) for word in words))
    assert result.code == 2
    assert said in result.err
    assert "Traceback" not in result.err


def test_a_file_of_another_lab_or_program_is_refused(made, lab, photos, tmp_path):
    model = onnx.load(made[1])
    for key, value, said in (
        ("lab", "rnn", "is of labs.rnn"),
        ("made_by", "somebody", "of another program"),
        ("classes", "[", "metadata are damaged"),
    ):
        texts = {entry.key: entry.value for entry in model.metadata_props}
        other = onnx.ModelProto.FromString(model.SerializeToString())
        del other.metadata_props[:]
        onnx.helper.set_model_props(other, {**texts, key: value})
        onnx.save(other, tmp_path / "other.onnx")
        result = lab("predict", "--onnx", tmp_path / "other.onnx", photos)
        assert result.code == 2
        assert said in result.err


def test_what_stands_in_no_file_is_refused(digits_run, lab, monkeypatch):
    import dataclasses

    opened = ClassifyImages.open_trained.__func__

    def with_boxes(kind, *given):
        job = opened(kind, *given)
        object.__setattr__(job.config, "crop_boxes", "boxes.json")
        return job

    monkeypatch.setattr(ClassifyImages, "open_trained", classmethod(with_boxes))
    result = lab("export", digits_run)
    assert result.code == 2
    assert "runs on whole images can be exported" in result.err
    assert dataclasses.is_dataclass(ClassifyImages.config_type)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"model": "resnet18", "data": "digits", "image_size": 32},
        {"model": "vgg11", "data": "digits", "image_size": 32},
        {"model": "mobilenet_v3_small", "data": "digits", "image_size": 64},
        {"model": "lenet5", "data": "digits", "image_size": 32, "augment": ("crop:28", "hflip")},
        {"model": "small-vit", "data": "digits", "image_size": 30},
        {"model": "small-vit-conv", "data": "digits"},
    ],
    ids=lambda options: options["model"] + "".join(options.get("augment", ())),
)
def test_every_family_says_the_same(options, untrained, lab, check, tmp_path):
    run = untrained(ClassifyImages, tmp_path, limit=60, **options)
    assert lab("export", run).code == 0
    [path] = (run / "export").glob("*.onnx")
    check(run, path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["number", "labels", "columns"])
def test_numbers_several_labels_and_columns_say_the_same(
    kind, untrained, lab, check, photos, tmp_path
):
    files = sorted(photos.rglob("*.png"))
    cells = {
        "number": lambda row: [row * 1.5],
        "labels": lambda row: [["dark", "bright", "dark bright"][row % 3]],
        "columns": lambda row: ["ab"[row % 2], "xy"[row // 2 % 2]],
    }[kind]
    names = ["one", "two"][: len(cells(0))]
    lines = [",".join(["path", *names])]
    lines += [",".join(map(str, [f, *cells(row)])) for row, f in enumerate(files)]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(lines) + "\n", "utf-8")
    options = {
        "number": {"loss": "mse"},
        "labels": {"loss": "binary-cross-entropy"},
        "columns": {},
    }[kind]
    run = untrained(
        ClassifyImages,
        tmp_path,
        data=str(table),
        label_column=tuple(names),
        model="linear",
        image_size=8,
        augment="none",
        **options,
    )
    assert lab("export", run).code == 0
    [path] = (run / "export").glob("*.onnx")
    check(run, path)
