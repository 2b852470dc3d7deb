"""timm's models: built by timm alone, with weights of a file, and nothing downloaded."""

import json
import socket
import sys

import pytest
import torch
from safetensors.torch import save_file

from common.errors import ConfigError, RunError
from common.options.config import build as build_config
from common.training import layers
from labs.classification.config import ClassificationConfig
from labs.classification.models import build, timm_models
from labs.classification.transfer import weights

SMALL = (
    *("--data", "digits", "--limit", "60", "--epochs", "1", "--batch-size", "16", "--ema", "none"),
    *("--augment", "none", "--image-size", "32", "--threads", "1", "--warmup", "0"),
)
RESNET, VIT = "timm:test_resnet", "timm:test_vit"  # tiny ones, which timm has for tests


@pytest.fixture
def timm():
    return pytest.importorskip("timm")


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Let nothing reach a network."""

    def refuse(*_):
        raise AssertionError("something is downloaded")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_without_the_package_it_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r"needs the package timm: pip install -e '\.\[timm\]'"):
        build.build(RESNET, 3, 64, 5)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("timm:resnet18x", "has no such model; did you mean timm:resnet18"),
        ("timm:", "has no such model"),
        (
            "timm:resnet18.a1_in2k",
            "no such weights of resnet18; did you mean timm:resnet18.a1_in1k",
        ),
        ("timm:hf-hub:timm/resnet18", "has no such model"),
        ("tim:resnet18", "unknown model"),
    ],
)
def test_a_wrong_name_is_answered_with_a_near_one(timm, name, said):
    with pytest.raises(ConfigError) as caught:
        build.build(name, 3, 64, 5)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [RESNET, VIT])
def test_outputs_are_those_of_timm(timm, name, tmp_path):
    """Weights of a file, with and without its classifier, give what timm gives."""
    torch.manual_seed(1)
    theirs = timm.create_model(name.removeprefix("timm:"), num_classes=7).eval()
    save_file(theirs.state_dict(), tmp_path / "weights.safetensors")
    torch.save({"state_dict": theirs.state_dict()}, tmp_path / "weights.pth")
    images = torch.rand(2, 3, 160, 160)
    for file, classes in (("weights.safetensors", 7), ("weights.pth", 4)):
        given = {"model": name, "weights": str(tmp_path / file)}
        config = build_config(ClassificationConfig, ("options", given))
        ours = build.build(name, 3, 160, classes).eval()
        said = weights.load(ours, config)
        assert f"tensors are from {tmp_path / file}" in said
        [head] = weights.heads(ours)
        assert head == theirs.pretrained_cfg["classifier"] == layers.head(ours)
        assert said.endswith(f"new: {head}") == (classes != 7)
        with torch.no_grad():
            if classes == 7:
                assert torch.equal(ours(images), theirs(images))
            assert torch.equal(ours.forward_features(images), theirs.forward_features(images))


def test_images_are_what_timm_says(timm):
    assert timm_models.find_usual(RESNET) == (3, 160, 1000)
    found = timm_models.find_inputs("timm:vit_tiny_patch16_224.augreg_in21k")
    assert found == (224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_position_embeddings_fit_another_size(timm, tmp_path):
    theirs = timm.create_model("test_vit", num_classes=3)
    ours = build.build(VIT, 3, 64, 3)
    given = timm_models.convert(ours, theirs.state_dict(), ["head"], "--weights a.pth")
    assert given["pos_embed"].shape == ours.pos_embed.shape != theirs.pos_embed.shape


@pytest.mark.parametrize("other", ["test_vit", "test_efficientnet"])
def test_weights_of_another_model_are_refused(timm, tmp_path, other):
    path = tmp_path / "weights.safetensors"
    save_file(timm.create_model(other, num_classes=3).state_dict(), path)
    given = {"model": RESNET, "weights": str(path)}
    config = build_config(ClassificationConfig, ("options", given))
    with pytest.raises(RunError, match="is of another model"):
        weights.load(build.build(RESNET, 3, 64, 3), config)


def test_no_weights_are_downloaded(timm):
    given = {"model": RESNET, "weights": "download"}
    config = build_config(ClassificationConfig, ("options", given))
    with pytest.raises(ConfigError, match="not downloaded; give a file"):
        weights.load(build.build(RESNET, 3, 64, 3), config)


@pytest.mark.parametrize(
    ("mode", "frozen"),
    [("fine-tune", []), ("feature-extraction", ["layer4", "conv1"]), ("freeze:5", ["conv1"])],
)
def test_modes_of_transfer_freeze_all_but_the_head(timm, mode, frozen):
    model = build.build(RESNET, 3, 64, 3)
    weights.freeze(model, mode)
    trains = {name for name, each in model.named_parameters() if each.requires_grad}
    assert {"fc.weight", "fc.bias"} <= trains
    assert not any(name.startswith(tuple(frozen)) for name in trains if frozen)


def test_both_heads_of_a_distilled_model_train(timm):
    model = timm.create_model("deit_tiny_distilled_patch16_224", depth=1, num_classes=3)
    weights.freeze(model, "feature-extraction")
    trains = {name.partition(".")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert trains == {"head", "head_dist"}


@pytest.fixture(scope="module")
def run(lab, tmp_path_factory):
    """Return a run of a model whose weights are of a file, for other classes."""
    timm, root = pytest.importorskip("timm"), tmp_path_factory.mktemp("timm")
    torch.manual_seed(2)
    path = root / "weights.safetensors"
    save_file(timm.create_model("test_resnet", num_classes=9).state_dict(), path)
    words = ("--model", RESNET, "--weights", path, "--transfer", "head-first", "--name", "run")
    done = lab("train", *SMALL, *words, "--run-dir", root)
    assert done.code == 0, done.err
    return root / "classification" / "run"


def test_a_run_is_of_images_as_timm_says(timm, run):
    card = json.loads((run / "data.json").read_text())
    config = timm.get_pretrained_cfg("test_resnet")
    assert (card["channels"], card["mean"], card["std"]) == (3, [*config.mean], [*config.std])


@pytest.mark.slow
def test_what_it_sees_is_shown(run, lab):
    for words in (("explain", run, "0"), ("receptive-field", "--run", run)):
        done = lab(*words, drawn=True)
        assert done.code == 0, done.err


@pytest.mark.slow
def test_the_commands_on_models_know_it(timm, lab, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    done = lab("summary", RESNET, "--classes", "5", "--transfer", "feature-extraction")
    assert done.code == 0, done.err
    assert f"{RESNET} on 3x160x160" in done.out
    done = lab("summary", "timm:test_resnett")
    assert (done.code, "did you mean timm:test_resnet" in done.err) == (2, True)
    done = lab("receptive-field", RESNET, "--image-size", "64", drawn=True)
    assert done.code == 0, done.err
    assert (tmp_path / "receptive-field-timm-test_resnet.png").is_file()
    done = lab("train", *SMALL, "--model", "timm:nothing_like_it", "--run-dir", tmp_path / "runs")
    assert (done.code, "has no such model" in done.err) == (2, True)
    assert not (tmp_path / "runs").exists()
