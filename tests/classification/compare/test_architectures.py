"""The ladder of architectures: what is planned, trained, measured, drawn and said."""

import dataclasses
import json

import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from common.errors import ConfigError, NonFiniteError
from common.images.load import pixel_rows
from common.options.config import build, to_toml
from labs.classification import data
from labs.classification.compare import architecture_plots, architectures
from labs.classification.compare.architectures import NEIGHBORS, Comparison, verdicts
from labs.classification.compare.config import CompareArchitecturesConfig
from labs.classification.config import RECIPES, ClassificationConfig, recipe_for
from labs.classification.job import ClassifyImages
from labs.classification.models import build as models
from labs.classification.models.catalogue import DESCRIPTIONS, MODELS, TORCHVISION

SMALL = (
    *("--data", "digits", "--limit", "100", "--epochs", "1", "--warmup", "0", "--threads", "1"),
    *("--batch-size", "16", "--name", "all"),
)
SHARING = "locally-connected,lenet5"


@pytest.fixture(scope="module")
def run(lab, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    words = ("--models", f"linear,{SHARING}", "--seeds", "2", "--run-dir", folder)
    result = lab("compare-architectures", *SMALL, *words, full=True, drawn=True)
    assert result.code == 0, result
    path = folder / "classification/all"
    return result, path, json.loads((path / "metrics.json").read_text())


def config(**options):
    return build(CompareArchitecturesConfig, ("options", options))


# --- recipes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_the_recipe_of_a_model_is_one_of_its_family(model):
    recipe = recipe_for(model)
    if recipe is None:
        assert model.startswith(("lenet5", "locally-connected", "resnet"))
        return
    values = RECIPES[recipe]
    built = build(ClassificationConfig, ("recipe", values), ("options", {"model": model}))
    assert built.model == model
    assert built.weights is None
    assert built.image_size is None
    family = values["model"]
    assert model[:3] == family[:3] or model in (*TORCHVISION, "efficientnet-lite0")


def test_other_models_than_the_default_learn_with_a_lower_rate():
    default = ClassificationConfig().learning_rate
    for model in ("vgg11", "vgg19", "alexnet", "vit_b_16", "mlp"):
        assert RECIPES[recipe_for(model)]["learning_rate"] < default
    assert recipe_for(None) is None
    assert recipe_for("lenet5") is None


def test_weights_to_start_from_take_no_recipe():
    assert recipe_for("resnet50") == "torchvision"
    assert recipe_for("resnet50", "download") is None


def test_train_says_whose_values_it_takes_and_a_named_recipe_goes_over_them(train):
    said = "with the values of --recipe linear"
    assert said in train("--model", "linear")[0].err
    assert said not in train("--model", "lenet5", "--image-size", "12")[0].err
    assert said not in train("--model", "linear", "--recipe", "quick")[0].err


@pytest.mark.parametrize(
    ("model", "size"), [("vgg11", 32), ("alexnet", 64), ("lenet5", 28), ("resnet20", 8)]
)
def test_small_sets_are_scaled_to_what_a_model_needs(model, size):
    config = ClassificationConfig(data="digits", limit=50, model=model)
    assert data.load(config)[1].image_size == size
    assert data.load(dataclasses.replace(config, image_size=9))[1].image_size == 9


@pytest.mark.slow
def test_every_model_of_the_registry_takes_its_smallest_input():
    for model in (*DESCRIPTIONS, "inception_v3", "maxvit_t", "vit_h_14", "resnet18"):
        with torch.device("meta"):
            models.build(model, 3, max(8, MODELS[model].smallest), 10)


# --- the plan -----------------------------------------------------------------------------------


def test_each_model_has_its_own_recipe_but_for_the_budget():
    plan = Comparison.plan(config(models="linear,lenet5,vgg16", seeds="2", seed="3"))
    assert list(plan) == [f"{m}-{s}" for m in ("linear", "lenet5", "vgg16") for s in (3, 4)]
    assert plan["linear-3"].learning_rate == RECIPES["linear"]["learning_rate"]
    assert plan["vgg16-4"].learning_rate == RECIPES["vgg"]["learning_rate"]
    assert plan["lenet5-3"].learning_rate == ClassificationConfig().learning_rate
    for name in ("epochs", "batch_size", "augment"):
        assert len({getattr(each, name) for each in plan.values()}) == 1
    assert plan["linear-3"].augment == ClassificationConfig().augment
    assert plan["linear-3"].epochs == CompareArchitecturesConfig().epochs
    assert [each.seed for each in plan.values()] == [3, 4] * 3


def test_an_option_that_is_given_goes_over_every_recipe():
    given = config(models="linear,vgg11", learning_rate="0.004", chosen="models,learning_rate")
    assert {each.learning_rate for each in Comparison.plan(given).values()} == {0.004}


def test_values_of_a_file_go_over_every_recipe_too(lab, tmp_path, monkeypatch):
    found = []
    monkeypatch.setattr(Comparison, "start", lambda config, words: found.append(config) or 1 / 0)

    def chosen(text, *words):
        (tmp_path / "a.toml").write_text(text)
        with pytest.raises(ZeroDivisionError):
            lab("compare-architectures", "--config", tmp_path / "a.toml", *words)
        return found[-1].chosen

    assert chosen("learning_rate = 0.02", "--seeds", "2") == ("learning_rate", "seeds")
    assert chosen("", "--seeds", "2") == ("seeds",)
    assert chosen("") == ()
    repeated = to_toml(config(models="linear,mlp", optimizer="sgd", chosen="models,optimizer"))
    assert chosen(repeated, "--epochs", "3") == ("models", "optimizer", "epochs")


def test_a_size_is_raised_where_a_model_needs_more():
    plan = Comparison.plan(config(models="linear,vgg11,alexnet", image_size="20", seeds="1"))
    assert [each.image_size for each in plan.values()] == [20, 32, 64]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"models": "linear,lenett5"}, "--models lenett5: no such model; did you mean lenet5?"),
        ({"models": "mlp,linear,mlp"}, "--models mlp: given twice"),
        ({"models": "none"}, "--models: expected at least one"),
        ({"model": "mlp"}, "--model mlp: several are compared; name them with --models"),
        ({"weights": "download"}, "trains from random weights"),
    ],
)
def test_what_cannot_be_compared_is_told(options, said):
    with pytest.raises(ConfigError) as caught:
        config(**options)
    assert said in "\n".join(caught.value.problems)


def test_an_unknown_model_leaves_no_folder(lab, tmp_path):
    words = ("--models", "linear,nothing", "--run-dir", tmp_path / "runs")
    result = lab("compare-architectures", *SMALL, *words)
    assert result.code == 2
    assert "--models nothing" in result.err
    assert not (tmp_path / "runs").exists()


# --- a run --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_options_go_to_every_member(run):
    _, path, _ = run
    members = sorted(each.name for each in (path / "members").iterdir())
    assert len(members) == 6
    assert "locally-connected-1" in members
    for name in members:
        assert len((path / "members" / name / "history.jsonl").read_text().splitlines()) == 1


def test_accuracy_parameters_pixels_and_changed_images_are_kept(run):
    _, path, found = run
    compared = found["compared"]
    assert list(compared) == ["linear", "locally-connected", "lenet5", NEIGHBORS]
    assert found["diverged"] == []
    for name, entry in compared.items():
        assert entry["pixels"] == (28 if name in SHARING.split(",") else 8)
        for kind, unchanged in (("shift", 0), ("scale", 2), ("rotation", 0)):
            changed = entry["robustness"][kind]
            assert changed["accuracy"][unchanged] == pytest.approx(entry["accuracy"])
            assert changed["interval"][unchanged] == pytest.approx(entry["accuracy_interval"])
            assert len(changed["amounts"]) == len(changed["accuracy"]) == len(changed["interval"])
        if name != NEIGHBORS:
            seeds = [
                json.loads((path / f"members/{name}-{seed}/metrics.json").read_text())["test"]
                for seed in (0, 1)
            ]
            assert entry["accuracy_of_seeds"] == pytest.approx([each["accuracy"] for each in seeds])
    assert compared["linear"]["parameters"] == 8 * 8 * 10 + 10
    assert set(compared["lenet5"]["over_unshared"]) == {"shift", "scale", "rotation"}


def test_nearest_neighbors_are_those_of_scikit_learn(run):
    _, _, found = run
    splits, _ = data.load(ClassificationConfig(data="digits", limit=100, model="linear"))
    inputs = {name: pixel_rows(part) for name, part in splits.items()}
    right = {}
    for k in (1, 3, 5):
        model = KNeighborsClassifier(k).fit(inputs["train"], splits["train"].targets)
        right[k] = [
            (model.predict(inputs[name]) == splits[name].targets.numpy()).mean()
            for name in ("validation", "test")
        ]
    best = max(right, key=lambda k: right[k][0])
    entry = found["compared"][NEIGHBORS]
    assert entry["neighbors"] == best
    assert [entry["validation_accuracy"], entry["accuracy"]] == pytest.approx(right[best])
    assert entry["parameters"] == 0


def test_report_and_screen_show_the_table_and_the_verdict(run):
    result, path, found = run
    said = " ".join(verdicts(found["compared"]))
    assert said in result.out
    html = (path / "report.html").read_text(encoding="utf-8")
    for part in ("What accuracy costs", "Changed images", "Side by side", "parameters", NEIGHBORS):
        assert part in html
    for name in ("parameters", "seconds", "robustness", "compared", "curves"):
        assert (path / f"figures/{name}.png").is_file()


@pytest.mark.slow
def test_a_finished_run_is_shown_again_and_its_report_written_again(lab, run):
    _, path, _ = run
    again = lab("compare-architectures", "--resume", path, "--device", "cpu")
    assert again.code == 0
    assert "nothing to do" in again.err
    html = (path / "report.html").read_bytes()
    (path / "report.html").unlink()
    assert lab("report", path, drawn=True).code == 0
    assert (path / "report.html").read_bytes() == html


@pytest.mark.slow
def test_a_model_that_diverges_is_told_and_the_others_go_on(lab, tmp_path, monkeypatch):
    train = ClassifyImages.train

    def diverging(job, *args):
        if job.config.model == "mlp" and job.config.seed == 1:
            raise NonFiniteError("the loss became NaN")
        train(job, *args)

    monkeypatch.setattr(ClassifyImages, "train", diverging)
    words = ("--models", "linear,mlp", "--seeds", "2", "--run-dir", tmp_path)
    result = lab("compare-architectures", *SMALL, *words, full=True)
    assert result.code == 0, result
    assert "mlp-1 diverged: the loss became NaN" in result.err
    assert "Diverged, and left out: mlp." in result.out
    path = tmp_path / "classification/all"
    found = json.loads((path / "metrics.json").read_text())
    assert found["diverged"] == ["mlp"]
    assert list(found["compared"]) == ["linear", NEIGHBORS]
    assert lab("report", path).code == 0


def test_when_all_models_diverge_nothing_is_compared(lab, tmp_path, monkeypatch):
    def diverging(job, *args):
        raise NonFiniteError("the loss became NaN")

    monkeypatch.setattr(ClassifyImages, "train", diverging)
    words = ("--models", "linear", "--seeds", "1", "--run-dir", tmp_path)
    result = lab("compare-architectures", *SMALL, *words)
    assert result.code == 1
    assert "diverged; try a lower --learning-rate" in result.err


# --- what is said and drawn ---------------------------------------------------------------------


def entry(accuracy, parameters, difference=None):
    changed = {"amounts": [0.0, 1.0], "accuracy": [accuracy, 0.1], "interval": [[0.1, 1.0]] * 2}
    found = {
        "accuracy": accuracy,
        "accuracy_interval": [accuracy - 0.01, min(1, accuracy + 0.01)],
        "validation_accuracy": accuracy,
        "parameters": parameters,
        "seconds": 1.0 + parameters,
        "robustness": dict.fromkeys(("shift", "scale", "rotation"), changed),
    }
    if difference is not None:
        found |= {"difference": difference[0], "difference_interval": difference[1:]}
    return found


def test_the_verdict_names_the_best_the_smallest_of_its_equals_and_those_that_are_worse():
    compared = {
        "linear": entry(0.8, 100, (-0.19, -0.2, -0.18)),
        "lenet5": entry(0.98, 500, (-0.01, -0.02, 0.01)),
        "resnet20": entry(0.99, 900),
        NEIGHBORS: entry(0.985, 0, (-0.005, -0.02, 0.01)),
    }
    said = " ".join(verdicts(compared))
    assert "The best on validation is resnet20: 0.9900 of the test images." in said
    assert f"cannot be told apart from lenet5, {NEIGHBORS}." in said
    assert "Of these, lenet5 has the fewest parameters, 500." in said
    assert "Worse (the table has the intervals): linear -0.1900." in said


def test_what_sharing_weights_does_is_said_with_what_cannot_be_told_apart():
    found = {
        "shift": {"difference": 0.1, "interval": [0.05, 0.15]},
        "scale": {"difference": 0.0, "interval": [-0.01, 0.01]},
    }
    said = " ".join(architectures._sharing({"lenet5": {"over_unshared": found}}))
    assert "shift +0.1000 (+0.0500 to +0.1500)" in said
    assert "By scale they cannot be told apart." in said
    assert not list(architectures._sharing({"linear": {}}))


@pytest.mark.slow
def test_pictures_take_many_models_perfect_ones_and_one():
    compared = {name: entry(0.99, 50_000 + 10 * i) for i, name in enumerate(MODELS)}
    compared |= {"mlp": entry(1.0, 10), NEIGHBORS: entry(0.0, 0)}
    for some in (compared, {"mlp": entry(1.0, 10)}):
        drawn = architecture_plots.against(some, "parameters", "parameters", 0.9995, NEIGHBORS)
        names = {text.get_text() for text in drawn.axes[0].texts}
        assert set(some) - {NEIGHBORS} <= names
        figure = architecture_plots.robustness(some, {"shift": (0.0, 0.12)})
        assert [len(axes.lines) for axes in figure.axes] == [len(some)] * 3


def test_names_of_near_points_do_not_meet():
    compared = {name: entry(0.95, 50_000) for name in list(MODELS)[:8]}
    figure = architecture_plots.against(compared, "parameters", "parameters", 0.9995)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    assert len(boxes) == 8
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[place + 1 :])
