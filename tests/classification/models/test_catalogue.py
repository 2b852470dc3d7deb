"""The rows of the catalogue: what is in them, and that nothing else is needed for a model."""

import subprocess
import sys
from pkgutil import resolve_name

import pytest
import torchvision
from torch import nn
from torchvision.models import list_models

from common.errors import ConfigError
from common.report.plots import GREY
from labs.classification import data, task
from labs.classification.compare import architecture_plots
from labs.classification.compare.comparison import _own
from labs.classification.compare.config import CompareArchitecturesConfig
from labs.classification.config import RECIPES, ClassificationConfig, recipe_for
from labs.classification.models import build, sizes
from labs.classification.models.catalogue import (
    DESCRIPTIONS,
    FAMILIES,
    MODELS,
    PACKAGED,
    TORCHVISION,
    Family,
)


def toy(name, channels, image_size, classes):
    """Return a model that takes images of 20x20 pixels or more."""
    sizes.check(name, image_size, 20)
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size**2, classes))


ROW = Family({"toy": "a toy"}, f"{__name__}:toy", (1, 40, 5), 24, "#123456", recipe="mlp")


# --- names --------------------------------------------------------------------------------------


def test_the_committed_names_are_those_of_the_installed_torchvision():
    installed = list_models(module=torchvision.models)
    shared = [name for name in installed if name in DESCRIPTIONS]
    assert sorted([*shared, *TORCHVISION]) == sorted(installed)
    assert list(TORCHVISION) == sorted(TORCHVISION)
    assert len(shared) == 9


def test_every_own_model_is_described_in_one_line():
    assert not any("\n" in line for line in DESCRIPTIONS.values())


def test_names_do_not_clash_and_the_labs_own_take_grey_images():
    assert len(MODELS) == sum(len(family.models) for family in FAMILIES)
    assert len(MODELS) == len(DESCRIPTIONS) + len(TORCHVISION)
    assert list(MODELS)[: len(DESCRIPTIONS)] == list(DESCRIPTIONS)
    assert {name for name in MODELS if MODELS[name].needs_color} == {*PACKAGED, *TORCHVISION}


def test_names_are_known_without_torch():
    code = "import sys, labs.classification.models.catalogue; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- rows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: next(iter(family.models)))
def test_a_row_names_what_there_is(family):
    assert callable(resolve_name(family.builder))
    assert family.weights is None or callable(resolve_name(family.weights))
    assert family.recipe is None or family.recipe in RECIPES
    assert family.usual[1] >= family.smallest


def test_what_packages_weights_come_from_is_on_the_row():
    assert PACKAGED == ("efficientnet-lite0",)
    assert resolve_name(MODELS["efficientnet-lite0"].weights)().is_file()


def test_a_new_model_takes_a_row_and_nothing_else(monkeypatch):
    monkeypatch.setitem(MODELS, "toy", ROW)
    assert recipe_for("toy") == "mlp"
    assert architecture_plots._color("toy") == "#123456"
    config = ClassificationConfig(data="digits", limit=50, model="toy")
    card = data.load(config)[1]
    assert card.image_size == 24
    model = task.build_model(config, card)
    assert model[1].weight.shape == (10, card.channels * 24**2)
    wide = CompareArchitecturesConfig(image_size=9)
    assert _own("toy", wide) == {
        **{key: value for key, value in RECIPES["mlp"].items() if key != "epochs"},
        **{"model": "toy", "image_size": 24},
    }
    with pytest.raises(ConfigError, match=r"^toy needs at least 20x20 .* --image-size 24, or"):
        build.build("toy", 1, 19, 10)


def test_colors_are_those_of_families_and_grey_of_what_is_no_model():
    assert architecture_plots._color("nearest neighbors") == GREY
    assert architecture_plots._color("vgg16_bn") == architecture_plots._color("vgg11")
    assert architecture_plots._color("resnet20") != architecture_plots._color("resnet18")
    assert architecture_plots._color("swin_t") == architecture_plots._color(PACKAGED[0])
