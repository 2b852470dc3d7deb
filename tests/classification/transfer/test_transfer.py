"""Transfer learning: weights from elsewhere, what trains of a model, and kept features."""

import copy
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch import nn
from torchvision.models import get_model, resnet50

from common.errors import ConfigError, DataError, RunError
from common.images import efficientnet_lite
from common.options.config import build
from common.training import compute, layers, optim
from common.training.task import Classification
from labs.classification import task
from labs.classification.config import RECIPES, ClassificationConfig
from labs.classification.job import ClassifyImages
from labs.classification.models import build as models
from labs.classification.models.catalogue import MODELS, PACKAGED, TORCHVISION
from labs.classification.transfer import frozen_features
from labs.classification.transfer import weights as transfer

TINY = {
    **{"data": "digits", "limit": 100, "model": "lenet5", "image_size": 12, "augment": "none"},
    **{"epochs": 3, "warmup": 0, "batch_size": 16, "learning_rate": 4e-3, "threads": 1},
}
[LITE] = PACKAGED
ODD = torch.arange(300) % 2 == 1
SILENT = SimpleNamespace(epoch=lambda *_, **__: None, progress=lambda *_: None)


def configured(**given):
    return build(ClassificationConfig, ("options", {**TINY, **given}))


@pytest.fixture
def start(tmp_path):
    """Return a function that makes a run, which is not trained yet."""

    def call(**given):
        return ClassifyImages.start(configured(run_dir=str(tmp_path / "runs"), **given), [])

    return call


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Return a finished run of lenet5 on digits."""
    folder = tmp_path_factory.mktemp("source")
    job, splits = ClassifyImages.start(configured(run_dir=str(folder), epochs=1, name="원본"), [])
    job.train(splits, SILENT, lambda text: None)
    job.run.write("metrics", {})
    return job.run


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(before, model):
    return {name for name, value in model.state_dict().items() if not value.equal(before[name])}


def training(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


# What trains


def test_every_mode_says_what_trains(source):
    model = models.build("lenet5", 1, 12, 10)
    every = [f"{name}.{kind}" for name in ("c1", "c3", "c5", "f6", "output") for kind in "wb"]
    every = [name.replace(".w", ".weight").replace(".b", ".bias") for name in every]
    for mode, frozen in {
        "scratch": (),
        "fine-tune": (),
        "gradual": (),
        "feature-extraction": ("c1", "c3", "c5", "f6"),
        "freeze:1": ("c1",),
        "freeze:4": ("c1", "c3"),
        "freeze:50%": ("c1", "c3"),
        "freeze:80%": ("c1", "c3", "c5", "f6"),
        "freeze:c3": ("c3",),
        "freeze:c3.bias": ("c3.bias",),
    }.items():
        twin = copy.deepcopy(model)
        transfer.freeze(twin, mode)
        assert training(twin) == {name for name in every if not name.startswith(frozen or "-")}


def test_vgg_freezes_its_features_by_name():
    with torch.device("meta"):
        model = models.build("vgg11", 3, 224, 10)
    transfer.freeze(model, "freeze:features")
    assert {name.partition(".")[0] for name in training(model)} == {"classifier"}
    assert model.classifier[-1].weight.shape == (10, 4096)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("feature", r"no parameters of that name; did you mean features\?; its children: features"),
        (
            "layer9",
            "no parameters of that name.*its children: features, avgpool, flatten, classifier",
        ),
        ("0", "expected 1 to 3, since the model has 4 children: features, avgpool, flatten"),
        ("4", "expected 1 to 3"),
        ("12%", "expected a share of the 8 layers of the model, of which one is 12 %"),
        ("101%", "expected a share of the 8 layers"),
    ],
)
def test_what_cannot_be_frozen_is_named_with_what_can(what, message):
    with torch.device("meta"):
        model = models.build("alexnet", 3, 224, 10)
    with pytest.raises(ConfigError, match=f"--transfer freeze:{what}: .*{message}"):
        transfer.freeze(model, f"freeze:{what}")


@pytest.mark.parametrize("what", ["classifier", "100%"])
def test_something_must_be_left_to_train(what):
    with pytest.raises(ConfigError, match="nothing is left to train"):
        transfer.freeze(models.build("linear", 1, 8, 10), f"freeze:{what}")


@pytest.mark.parametrize("name", ["densenet121", "vgg11", "resnet50", "efficientnet-lite0"])
def test_half_of_the_layers_is_not_the_whole_backbone(name):
    with torch.device("meta"):
        model = models.build(name, 3, 224, 10)
    transfer.freeze(model, "freeze:50%")
    frozen = [not parameter.requires_grad for parameter in model.parameters()]
    assert frozen == sorted(frozen, reverse=True)
    assert 0.3 < sum(frozen) / len(frozen) < 0.7


def test_auxiliary_classifiers_always_train():
    with torch.device("meta"):
        model = models.build("googlenet", 3, 224, 10)
    assert transfer.heads(model) == ["aux1", "aux2", "fc"]
    transfer.freeze(model, "freeze:18")
    assert {name.partition(".")[0] for name in training(model)} == {"aux1", "aux2", "fc"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"transfer": "feature-extraction"}, "needs --weights"),
        ({"transfer": "scratch", "weights": "x.pth"}, "begins with random weights"),
        ({"transfer": "freez:3", "weights": "x.pth"}, "--transfer freez:3: expected scratch"),
        ({"transfer": "freeze:", "weights": "x.pth"}, "--transfer freeze:: expected scratch"),
        ({"transfer": "finetune", "weights": "x.pth"}, "did you mean fine-tune?"),
        ({"weights": LITE}, f"--model {LITE}, not of lenet5"),
        ({"layer_decay": 0.5, "optimizer": "muon"}, "muon has one rate"),
        ({"layer_decay": 1.5}, "at most 1"),
    ],
)
def test_contradictions_are_refused(given, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        configured(**given)


def test_a_frozen_backbone_is_bitwise_unchanged_buffers_too(start, tmp_path):
    given = {"model": "resnet20", "image_size": 16, "limit": 60, "weight_decay": 0.1, "epochs": 2}
    job, _ = start(**given)
    save_file(job.model.state_dict(), tmp_path / "backbone.safetensors")
    for augment in ("none", "hflip"):  # with features that are kept, and without
        weights = {"weights": str(tmp_path / "backbone.safetensors"), "augment": augment}
        job, splits = start(**given, **weights, transfer="feature-extraction")
        before = state(job.model)
        head = layers.head(job.model)
        assert job.keepable(60) == (head if augment == "none" else None)
        job.train(splits, SILENT, lambda text: None)
        assert changed(before, job.model) == {f"{head}.weight", f"{head}.bias"}
        average = load_file(job.run.best)
        assert all(average[k].equal(v) for k, v in before.items() if not k.startswith(head))
        assert any("running_mean" in name for name in before)


def test_batch_norm_that_is_not_frozen_moves(start, tmp_path):
    given = {"model": "resnet20", "image_size": 16, "limit": 60, "epochs": 1, "ema": "none"}
    job, _ = start(**given)
    save_file(job.model.state_dict(), tmp_path / "all.safetensors")
    first = next(name for name, _ in job.model.named_children())
    weights = {"weights": str(tmp_path / "all.safetensors"), "transfer": f"freeze:{first}"}
    job, splits = start(**given, **weights)
    before = state(job.model)
    job.train(splits, SILENT, lambda text: None)
    moved = changed(before, job.model)
    assert not any(name.startswith(f"{first}.") for name in moved)
    assert any("running_mean" in name for name in moved)


# Gradual


def test_one_more_layer_trains_in_each_epoch():
    model = models.build("lenet5", 1, 12, 10)
    seen = []
    for epoch in range(6):
        transfer.thaw(model, epoch)
        seen.append(sorted({name.partition(".")[0] for name in training(model)}))
    assert seen == [
        ["output"],
        ["f6", "output"],
        ["c5", "f6", "output"],
        ["c3", "c5", "f6", "output"],
        *[["c1", "c3", "c5", "f6", "output"]] * 2,
    ]
    transfer.thaw(model, 0)  # what trains is a function of the epoch, not of what was before
    assert training(model) == {"output.weight", "output.bias"}


def test_a_gradual_run_leaves_what_is_not_its_turn(start, source):
    job, splits = start(weights=f"run:{source.path}", transfer="gradual", epochs=2, ema="none")
    before = state(job.model)
    job.warm_start(splits, lambda text: None)
    before |= {name: value for name, value in state(job.model).items() if "output" not in name}
    job.train(splits, SILENT, lambda text: None)
    assert {name.partition(".")[0] for name in changed(before, job.model)} <= {"f6", "output"}


@pytest.mark.parametrize("mode", ["gradual", "feature-extraction", "head-first"])
def test_a_run_that_was_stopped_goes_on_bitwise(start, source, mode):
    def stop(row, best):
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    given = {"weights": f"run:{source.path}", "transfer": mode, "epochs": 4, "layer_decay": 0.5}
    whole, splits = start(**given)
    whole.train(splits, SILENT, lambda text: None)
    broken, splits = start(**given)
    with pytest.raises(KeyboardInterrupt):
        broken.train(splits, SimpleNamespace(epoch=stop, progress=SILENT.progress), lambda _: None)
    resumed = ClassifyImages.reopen(broken.run.path)
    resumed.train(resumed.load_splits(), SILENT, lambda text: None)
    assert whole.run.best.read_bytes() != b""
    one, other = load_file(whole.run.best), load_file(resumed.run.best)
    assert all(value.equal(other[name]) for name, value in one.items())
    assert [row["train/loss"] for row in whole.run.history] == [
        row["train/loss"] for row in resumed.run.history
    ]


# Rates by layer


def test_earlier_layers_have_lower_rates(start, source):
    job, _ = start(weights=f"run:{source.path}", layer_decay=0.5)
    rates = {p: group["lr"] for group in job.optimizer().param_groups for p in group["params"]}
    found = [rates[parameter] / 4e-3 for name, parameter in job.model.named_parameters()]
    assert found == pytest.approx([1 / 16] * 2 + [1 / 8] * 2 + [1 / 4] * 2 + [1 / 2] * 2 + [1] * 2)


# Kept features


@pytest.mark.parametrize(
    ("name", "size", "mode", "expected"),
    [
        ("lenet5", 12, "feature-extraction", ("output", 84)),
        ("lenet5", 12, "freeze:8", None),  # c5 and what follows are no module of their own
        ("lenet5", 12, "fine-tune", None),
        ("vgg11", 32, "freeze:features", "classifier"),
        ("resnet20", 16, "freeze:1", None),
        ("squeezenet1_1", 32, "feature-extraction", None),  # the classifier is not the end
        ("densenet121", 32, "feature-extraction", ("classifier", 1024)),
        ("efficientnet-lite0", 32, "feature-extraction", ("_fc", 1280)),
        ("linear", 8, "feature-extraction", None),  # there is no backbone
    ],
)
def test_where_a_model_can_be_cut(name, size, mode, expected):
    channels = 3 if MODELS[name].needs_color else 1
    model = models.build(name, channels, size, 10)
    transfer.freeze(model, mode)
    found = frozen_features.cut(model, (channels, size, size))
    assert (found[0] if isinstance(expected, str) else found) == expected


def test_a_cut_model_copies_and_saves_as_the_whole(start, source):
    model = models.build("lenet5", 1, 12, 10).eval()
    images = torch.rand(2, 1, 12, 12)
    whole, keys = model(images), list(model.state_dict())
    with frozen_features.only(model, "output"):
        twin = optim.Average(model, 0.5).model
        nn.init.zeros_(twin.output.weight)
        given = torch.rand(2, 84)
        assert model(given).equal(model.output(given))
        assert twin(given).equal(twin.output(given))
        assert list(model.state_dict()) == keys == list(twin.state_dict())
    assert model(images).equal(whole)


def test_a_head_is_fitted_to_where_scikit_learn_finds_it():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(300, 5, generator=generator)
    noisy = features[:, 0] + torch.randn(300, generator=generator)
    train, validation = ((features[rows], (noisy[rows] > 0).long()) for rows in (ODD, ~ODD))
    model = nn.Sequential(nn.Linear(5, 2, bias=False))
    frozen_features.fit_head(model, "0", Classification(nn.CrossEntropyLoss()), train, validation)
    losses, weights = {}, {}
    for penalty in frozen_features._PENALTIES:
        strength = 1 / (2 * (penalty or 1e-9) * len(train[1]))  # of a sum, not of a mean
        known = LogisticRegression(C=strength * 2, fit_intercept=False, max_iter=1000, tol=1e-8)
        known.fit(train[0].numpy(), train[1].numpy())
        losses[penalty] = log_loss(validation[1], known.predict_proba(validation[0].numpy()))
        weights[penalty] = known.coef_[0]
    best = weights[min(losses, key=losses.get)]
    own = (model[0].weight[1] - model[0].weight[0]).detach().numpy()
    assert own == pytest.approx(best, rel=0.01, abs=0.005)


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_the_head_comes_first_and_all_of_it_trains_from_there(
    start, source, monkeypatch, precision
):
    monkeypatch.setattr(compute, "has_bf16", lambda device: True)
    given = {"weights": f"run:{source.path}", "epochs": 1, "learning_rate": 1e-3}
    given["precision"] = precision
    first, splits = start(transfer="head-first", **given)
    said = []
    first.train(splits, SILENT, said.append)
    [loss] = [line for line in said if line.startswith("the fitted head has")]
    assert float(loss.split()[-1]) < 1.5  # of ten classes at random 2.3
    assert training(first.model) == {name for name, _ in first.model.named_parameters()}
    plain, splits = start(**given)
    plain.train(splits, SILENT, lambda text: None)
    assert first.run.history[0]["validation/loss"] < plain.run.history[0]["validation/loss"]


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_kept_features_give_the_figures_of_recomputed_ones(start, source, monkeypatch, precision):
    """Bfloat16 also where the processor lacks it: torch then computes the same slowly."""
    monkeypatch.setattr(compute, "has_bf16", lambda device: True)
    given = {
        **{"weights": f"run:{source.path}", "transfer": "feature-extraction", "epochs": 4},
        **{"micro_batch": 5, "precision": precision},
    }
    kept, splits = start(**given)
    first = kept.model.output.weight.detach().clone()
    lines = []
    kept.train(splits, SILENT, lines.append)
    assert any("features are kept" in line for line in lines)
    monkeypatch.setattr(ClassifyImages, "keepable", lambda job, samples: None)
    plain, splits = start(**given)
    plain.train(splits, SILENT, lambda text: None)
    # A bfloat16 has 8 bits, and a sum in another order may round to its neighbor, 2^-7 of it away
    # at most. An image whose two best classes are that near may then change its class, and one of
    # ten images is more than any rounding: figures that count images are compared in 32 bits.
    exact = precision == "32"
    tolerance = 1e-5 if exact else 2**-7
    for one, other in zip(kept.run.history, plain.run.history, strict=True):
        for name in one:
            counts = name.startswith("validation/") and name != "validation/loss"
            if "seconds" not in name and "samples" not in name and (exact or not counts):
                assert one[name] == pytest.approx(other[name], rel=tolerance, abs=tolerance), name
    outputs = [job.predict_splits(splits, ["test"])["test"]["outputs"] for job in (kept, plain)]
    near = 1e-4 if exact else 2**-7
    torch.testing.assert_close(*outputs, rtol=near, atol=near)
    # AdamW moves each weight by about as much however small its gradient, so that a single one
    # whose gradient is lost in the rounding may go either way: the weights are compared as a whole.
    mine, theirs = kept.model.output.weight, plain.model.output.weight
    assert (mine - theirs).norm() <= (1e-4 if exact else 1 / 8) * (theirs - first).norm()


def test_dropout_before_what_trains_is_off(tmp_path):
    """So that what a frozen backbone says of an image is the same in each epoch."""
    model = models.build("alexnet", 3, 64, 10)
    transfer.freeze(model, "feature-extraction")
    layers.train(model)
    drops = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    assert drops
    assert not any(module.training for module in drops)
    transfer.freeze(model, "freeze:features")
    layers.train(model)
    assert any(module.training for module in drops)


# Sources: files


def test_weights_of_other_classes_fit_but_for_the_classifier(tmp_path):
    given = models.build("lenet5", 1, 12, 7)
    torch.save({"state_dict": given.state_dict()}, tmp_path / "일곱.pth")
    model = models.build("lenet5", 1, 12, 10)
    before = state(model)
    said = transfer.load(model, configured(weights=str(tmp_path / "일곱.pth")))
    assert said == f"8 of 10 tensors are from {tmp_path}/일곱.pth; new: output"
    assert model.c1.weight.equal(given.c1.weight)
    assert {name for name in changed(before, model) if "output" in name} == set()


def test_a_file_of_as_many_classes_is_taken_whole(tmp_path):
    given = models.build("lenet5", 1, 12, 10)
    torch.save(given.state_dict(), tmp_path / "ten.pth")
    model = models.build("lenet5", 1, 12, 10)
    assert transfer.load(model, configured(weights=str(tmp_path / "ten.pth"))).startswith("10 of")
    assert not changed(state(given), model)


def test_a_file_without_a_classifier_will_do(tmp_path):
    given = models.build("lenet5", 1, 12, 10).state_dict()
    save_file({k: v for k, v in given.items() if "output" not in k}, tmp_path / "x.safetensors")
    model = models.build("lenet5", 1, 12, 10)
    said = transfer.load(model, configured(weights=str(tmp_path / "x.safetensors")))
    assert said.startswith("8 of 10")


def test_weights_of_another_architecture_are_refused_before_there_is_a_run(start, tmp_path):
    torch.save(models.build("mlp", 1, 12, 10).state_dict(), tmp_path / "mlp.pth")
    with pytest.raises(RunError, match=r"mlp.pth is of another model.*missing: c1.*unexpected: hi"):
        start(weights=str(tmp_path / "mlp.pth"))
    assert not list((tmp_path / "runs").glob("*/*"))


def test_weights_for_another_image_size_are_refused(start, tmp_path):
    torch.save(models.build("lenet5", 1, 28, 10).state_dict(), tmp_path / "large.pth")
    with pytest.raises(RunError, match=r"c5.weight \(120x400 for 120x16\).*--image-size"):
        start(weights=str(tmp_path / "large.pth"))


def test_old_and_auxiliary_names_of_torchvision_s_files(tmp_path):
    model = models.build("densenet121", 3, 32, 10)
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12]\.)", r"\1.\2", name): value
        for name, value in model.state_dict().items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "densenet.pth")
    config = configured(model="densenet121", weights=str(tmp_path / "densenet.pth"))
    assert transfer.load(models.build("densenet121", 3, 32, 10), config).startswith("727 of 727")

    with torch.device("meta"):
        small = models.build("inception_v3", 3, 96, 10)
    assert transfer.heads(small) == ["fc"]
    assert "AuxLogits" in transfer._absent(small)


@pytest.mark.slow
def test_a_vision_transformer_takes_weights_of_another_image_size(tmp_path):
    config = configured(model="vit_b_32", weights=str(tmp_path / "vit.safetensors"))
    given = models.build("vit_b_32", 3, 96, 2).state_dict()
    given = {name: value.half() for name, value in given.items()}
    save_file(given, tmp_path / "vit.safetensors")
    model = models.build("vit_b_32", 3, 64, 10)
    assert transfer.load(model, config).endswith("new: heads.head")
    save_file(given | {"encoder.pos_embedding": torch.ones(3)}, tmp_path / "vit.safetensors")
    with pytest.raises(RunError, match="no fitting position embeddings"):
        transfer.load(model, config)


# Sources: runs


def test_a_run_gives_all_but_its_classifier_and_its_inputs(start, source):
    job, splits = start(weights=f"run:{source.path}", image_size=None, data="digits")
    theirs = ClassifyImages.reopen(source.path)
    assert job.card.image_size == theirs.card.image_size == 12
    assert (job.card.mean, job.card.std) == (theirs.card.mean, theirs.card.std)
    before = state(job.model)
    theirs.load_best()
    job.warm_start(splits, lambda text: None)
    assert job.model.c1.weight.equal(theirs.model.c1.weight)
    assert job.model.output.weight.equal(before["output.weight"])


def test_a_run_stands_without_the_run_it_started_from(start, source):
    job, splits = start(weights=f"run:{source.path}", epochs=1)
    job.train(splits, SILENT, lambda text: None)
    moved = source.path.rename(source.path.with_name("moved"))
    try:
        again = ClassifyImages.reopen(job.run.path)
        again.load_best()
        again.predict_splits(again.load_splits(), ["test"])
    finally:
        moved.rename(source.path)


def test_paths_are_kept_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert configured(weights="run:나/b").located().weights == f"run:{tmp_path}/나/b"
    assert configured(weights="b.pth").located().weights == f"{tmp_path}/b.pth"
    assert configured(weights="download").located().weights == "download"
    assert configured().located().weights is None


def test_a_run_of_another_model_or_lab_or_none_is_refused(start, source, tmp_path):
    with pytest.raises(RunError, match=r"a run of lenet5, not of mlp; give --model lenet5"):
        start(weights=f"run:{source.path}", model="mlp")
    with pytest.raises(RunError, match=r"--weights run:.*not a run folder"):
        start(weights=f"run:{tmp_path}/없음")
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.toml").write_text("")
    (other / "environment.json").write_text('{"lab": "detection", "job": "train"}')
    with pytest.raises(RunError, match=r"a run of labs.detection, not of labs.classification"):
        start(weights=f"run:{other}")


def test_a_run_that_is_not_finished_is_refused(start):
    job, _ = start(name="unfinished")
    with pytest.raises(RunError, match=r"is not finished; go on with --resume"):
        start(weights=f"run:{job.run.path}")


# Sources: torchvision


@pytest.mark.parametrize("name", ["resnet50", "vgg11", "inception_v3", "vit_h_14"])
def test_every_download_has_a_checksum(name):
    remote = transfer.remote(name)
    assert remote.url.startswith("https://download.pytorch.org/")
    assert re.fullmatch("[0-9a-f]{8}", remote.sha256)
    assert remote.size > 10**7


def test_models_of_torchvision_have_weights_and_own_ones_none():
    for name in TORCHVISION:
        assert transfer.remote(name) is not None
    assert transfer.remote("alexnet") is not None
    with pytest.raises(ConfigError, match=r"nobody publishes weights of lenet5; give a file"):
        transfer.load(nn.Linear(1, 1), configured(weights="download"))
    with pytest.raises(ConfigError, match=rf"give --weights {LITE}"):
        transfer.load(nn.Linear(1, 1), configured(weights="download", model=LITE))


def test_a_download_without_a_connection_names_the_alternatives(monkeypatch, tmp_path):
    def offline(*_, **__):
        raise transfer.download._Final("no connection")

    monkeypatch.setenv("LABS_CACHE", str(tmp_path))
    monkeypatch.setattr(transfer.download, "_ask", offline)
    with pytest.raises(DataError, match=r"--weights FILE.*efficientnet-lite0"):
        transfer.load(nn.Linear(1, 1), configured(weights="download", model="resnet18"))


def test_imagenet_s_weights_want_its_inputs():
    wanted = transfer.inputs(configured(weights="download", model="resnet18"))
    assert wanted.color
    assert wanted.mean == (0.485, 0.456, 0.406)
    assert transfer.inputs(configured(weights="x.pth", model="googlenet")).mean == (0.5,) * 3
    assert transfer.inputs(configured(weights="x.pth")) is None
    assert transfer.inputs(configured()) is None


def test_weights_of_torchvision_s_own_model_are_taken(tmp_path):
    theirs = get_model("shufflenet_v2_x0_5", num_classes=1000)
    torch.save(theirs.state_dict(), tmp_path / "shufflenet.pth")
    model = models.build("shufflenet_v2_x0_5", 3, 64, 10)
    config = configured(model="shufflenet_v2_x0_5", weights=str(tmp_path / "shufflenet.pth"))
    transfer.load(model, config)
    assert {name for name in changed(theirs.state_dict(), model) if "fc" not in name} == set()


# Sources: EfficientNet-Lite0, from its package


def test_efficientnet_lite0_knows_imagenet_without_a_network():
    """Of the two photographs of scikit-learn, it calls one a daisy and the other a palace."""
    from sklearn.datasets import load_sample_images

    palace, flower = load_sample_images().images
    model = models.build(LITE, 3, 224, 1000)
    assert sum(parameter.numel() for parameter in model.parameters()) == 4_652_008
    config = configured(model=LITE, weights=LITE)
    kept = transfer.load(model, config)
    assert kept.endswith("new: _fc")
    given = transfer.weights.read(efficientnet_lite.weights_file())
    transfer.weights.put(model, given)
    pixels = torch.stack([torch.tensor(image[100:427, 150:477]) for image in (palace, flower)])
    images = pixels.permute(0, 3, 1, 2).float() / 255
    images = nn.functional.interpolate(images, 224, mode="bilinear", antialias=True)
    wanted = transfer.inputs(config)
    mean, std = (torch.tensor(values)[:, None, None] for values in (wanted.mean, wanted.std))
    with torch.no_grad():
        assert model.eval()((images - mean) / std).argmax(1).tolist() == [698, 985]


def test_efficientnet_lite0_trains_its_head_on_grey_digits(start):
    given = {"model": LITE, "weights": LITE, "transfer": "feature-extraction"}
    job, splits = start(**given, image_size=32, limit=40, epochs=1)
    assert (job.card.channels, job.card.mean) == (3, MODELS[LITE].normalization[0])
    assert job.keepable(40) == "_fc"
    assert transfer.say_what_trains(job.model) == "12,810 of 3,383,818 parameters train"
    job.train(splits, SILENT, lambda text: None)


def test_without_its_packages_there_is_one_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(ConfigError, match=r"pip install efficientnet-lite-pytorch"):
        models.build(LITE, 3, 32, 10)


# The classic recipes


def test_resnet50_with_its_first_five_children_frozen():
    config = configured(**RECIPES["resnet50-first5"], data="x")
    with torch.device("meta"):
        model = models.build(config.model, 3, config.image_size, 33)
        reference = resnet50()
    transfer.freeze(model, config.transfer_mode)
    first = [name for name, _ in list(reference.named_children())[:5]]
    assert first == ["conv1", "bn1", "relu", "maxpool", "layer1"]
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert {name.partition(".")[0] for name in frozen} == {"conv1", "bn1", "layer1"}
    assert model.fc.weight.shape == (33, 2048)
    [group] = optim.build(config.optimizer, model, config.learning_rate).param_groups
    assert len(group["params"]) == len(training(model))
    schedule = optim.schedule(
        *(config.schedule,),
        **{"steps_per_epoch": 4, "epochs": config.epochs, "warmup": config.warmup},
        **{"period": config.schedule_period, "factor": config.schedule_factor},
        every=config.schedule_every,
    )
    assert [schedule(4 * epoch, []) for epoch in (0, 6, 7, 14)] == pytest.approx([1, 1, 0.1, 0.01])


def test_vgg11_with_frozen_features_and_a_new_last_layer():
    config = configured(**RECIPES["vgg11-features"], data="x")
    with torch.device("meta"):
        model = models.build(config.model, 3, config.image_size, 10)
    transfer.freeze(model, config.transfer_mode)
    assert [tuple(m.weight.shape) for m in model.classifier if isinstance(m, nn.Linear)] == [
        (4096, 25088),
        (4096, 4096),
        (10, 4096),
    ]
    assert transfer.heads(model) == ["classifier.6"]
    assert all(name.startswith("classifier.") for name in training(model))


def test_help_knows_the_options_without_torch():
    code = "import sys, labs.classification.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_task_thaws_by_the_epoch(source):
    config = configured(weights=f"run:{source.path}", transfer="gradual")
    card = ClassifyImages.reopen(source.path).card
    made = task.build_task(config, torch.zeros(4, dtype=torch.int64), card, None)
    model = models.build("lenet5", 1, 12, 10)
    made.training_mode(model, 1)
    assert {name.partition(".")[0] for name in training(model)} == {"f6", "output"}
    assert not model.c1.training
    assert model.f6.training


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--split-seed", "1"), "--split-seed was 0, and is 1 here"),
        (("--per-class", "5"), None),
    ],
)
def test_a_run_says_when_its_weights_may_know_its_test_images(words, said, lab, tmp_path):
    base = ("train", "--data", "digits", "--limit", "100", "--model", "linear", "--epochs", "1")
    first = (*base, "--run-dir", tmp_path, "--name", "first")
    assert lab(*first).code == 0
    weights = ("--weights", f"run:{tmp_path / 'classification/first'}")
    result = lab(*base, *words, *weights, "--run-dir", tmp_path, "--name", "second")
    assert result.code == 0, result
    text = " ".join(result.err.split()), " ".join(result.out.split())
    for each in text:
        assert (said in each) if said else "may have learned" not in each
