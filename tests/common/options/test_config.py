import dataclasses
import inspect
import re
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from common.errors import ConfigError
from common.options import config as configs
from common.options.config import (
    OPTIMIZERS,
    SCHEDULES,
    TrainingConfig,
    build,
    option,
    options_of,
    read_toml,
    to_toml,
)
from common.training import optim

COLORS = ("red", "green", "blue")


@dataclass(frozen=True)
class Toy(TrainingConfig):
    """A config with a field of every type."""

    color: str = option("red", "of the toy", choices=COLORS)
    colors: tuple[str, ...] = option(("red", "blue"), "of its parts", choices=COLORS)
    words: tuple[str, ...] = option((), "on it")
    path: str = option("", "a folder")
    size: int | None = option(None, "in pixels", at_least=1, at_most=10)
    share: float | None = option(0.5, "of all", at_least=0, below=1)
    loud: bool = option(False, "whether it makes a noise")

    def _problems(self):
        yield from super()._problems()
        if self.loud and self._red:
            yield "--loud: not in red"

    @property
    def _red(self):
        return self.color == "red"


def toy(**options):
    return build(Toy, ("options", options))


def problems_of(*layers):
    with pytest.raises(ConfigError) as caught:
        build(Toy, *layers)
    return caught.value.problems


# Types


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("epochs", "7", 7),
        ("epochs", " 7 ", 7),
        ("seed", "123456789012345678901234567890", 123456789012345678901234567890),
        ("learning_rate", "1e-3", 0.001),
        ("learning_rate", "2", 2.0),
        ("loud", "true", True),
        ("loud", "No", False),
        ("color", "blue", "blue"),
        ("colors", "green,red", ("green", "red")),
        ("colors", " green , red ,", ("green", "red")),
        ("colors", "none", ()),
        ("colors", "", ()),
        ("size", "3", 3),
        ("size", "none", None),
        ("share", "none", None),
        ("share", "0", 0.0),
        ("monitor", "none", None),
        ("schedule", "none", "none"),
        ("path", "none", "none"),
        ("path", "사진/a 'b' \"c\"", "사진/a 'b' \"c\""),
    ],
)
def test_text_is_read_as_the_type_of_its_field(field, text, value):
    given = dataclasses.asdict(build(Toy, ("options", {field: text, "color": "blue"})))
    if field == "color":
        given = dataclasses.asdict(toy(color=text))
    assert given[field] == value
    assert type(given[field]) is type(value)


def test_numbers_lists_and_truths_from_a_file_keep_their_type():
    layer = {"learning_rate": 1, "loud": True, "color": "blue", "colors": ["blue"], "size": 4}
    config = build(Toy, ("file", layer))
    assert config.learning_rate == 1.0
    assert type(config.learning_rate) is float
    assert (config.loud, config.colors, config.size) == (True, ("blue",), 4)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("epochs", "many", "expected a whole number"),
        ("epochs", "1.5", "expected a whole number"),
        ("epochs", 1.5, "expected a whole number"),
        ("epochs", True, "expected a whole number"),
        ("epochs", "none", "expected a whole number"),
        ("epochs", None, "expected a whole number"),
        ("epochs", [3], "expected a whole number"),
        ("epochs", {"a": 1}, "expected a whole number"),
        ("epochs", "0", "expected a whole number at least 1"),
        ("learning_rate", "fast", "expected a number"),
        ("learning_rate", False, "expected a number"),
        ("learning_rate", "0", "expected a number above 0"),
        ("learning_rate", "-1", "expected a number above 0"),
        ("learning_rate", "nan", "expected a finite number"),
        ("learning_rate", "inf", "expected a finite number"),
        ("learning_rate", "1e999", "expected a finite number"),
        ("learning_rate", 10**400, "expected a finite number"),
        ("momentum", "1", "expected a number at least 0 and below 1"),
        ("size", "11", "expected a whole number at least 1 and at most 10"),
        ("loud", "perhaps", "expected true or false"),
        ("loud", 1, "expected true or false"),
        ("path", 3, "expected text"),
        ("words", 3, "expected a list of texts"),
        ("words", [1, 2], "expected a list of texts"),
        ("color", "redd", "expected one of red, green, blue; did you mean red?"),
        ("color", "zzz", "expected one of red, green, blue"),
        ("colors", "red,grin", "expected one of red, green, blue; did you mean green?"),
    ],
)
def test_what_a_field_cannot_be_is_refused_with_what_it_can(field, value, expected):
    [problem] = problems_of(("options", {field: value}))
    assert problem.startswith(configs.flag(field) + " ")
    assert problem.endswith(": " + expected)


def test_many_choices_are_not_listed_but_the_nearest_is():
    names = tuple(f"model{number}" for number in range(50))

    @dataclass(frozen=True)
    class Many(TrainingConfig):
        model: str = option("model1", "which", choices=names)

    with pytest.raises(ConfigError) as caught:
        build(Many, ("options", {"model": "modell7"}))
    [problem] = caught.value.problems
    assert problem == "--model modell7: expected one of 50 names; did you mean model7?"


# Layers and problems


def test_later_layers_win_and_defaults_fill_the_rest():
    layers = [
        ("recipe", {"epochs": 5, "seed": 1, "color": "green"}),
        ("file", {"seed": 2, "color": "blue"}),
        ("options", {"color": "red"}),
    ]
    config = build(Toy, *layers)
    assert (config.epochs, config.seed, config.color) == (5, 2, "red")
    assert config.batch_size == Toy().batch_size


def test_no_layers_give_the_defaults():
    assert build(Toy) == Toy()


def test_an_option_given_as_none_overrides_a_file():
    assert build(Toy, ("file", {"size": 3}), ("options", {"size": "none"})).size is None


def test_every_problem_of_every_layer_is_told_at_once_with_its_place():
    found = problems_of(
        ("recipe fast", {"epochs": -1}),
        ("run/config.toml", {"learning_rat": 1, "seed": "x"}),
        ("options", {"color": "gren", "loud": "x"}),
    )
    assert found == [
        "recipe fast: epochs -1: expected a whole number at least 1",
        "run/config.toml: learning_rat: no such key; did you mean learning_rate?",
        "run/config.toml: seed x: expected a whole number",
        "--color gren: expected one of red, green, blue; did you mean green?",
        "--loud x: expected true or false",
    ]


def test_problems_between_fields_are_told_with_those_of_single_fields():
    found = problems_of(("options", {"loud": "yes", "size": "x"}))
    assert found == ["--size x: expected a whole number", "--loud: not in red"]


def test_what_depends_on_a_wrong_field_waits_until_it_is_right():
    [problem] = problems_of(("options", {"optimizer": "sdg", "nesterov": "on"}))
    assert problem.startswith("--optimizer sdg:")


def test_a_config_error_shows_its_problems_as_lines():
    assert str(ConfigError(["a", "b"])) == "a\nb"
    assert ConfigError("a").problems == ["a"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"nesterov": "on"}, "--nesterov"),
        ({"nesterov": "on", "optimizer": "sgd", "momentum": "0"}, "--nesterov"),
    ],
)
def test_fields_that_do_not_go_together_are_refused(options, word):
    [problem] = problems_of(("options", options))
    assert word in problem


def test_fields_that_do_go_together_are_taken():
    assert toy(nesterov="on", optimizer="sgd").nesterov
    assert toy(warmup="0", epochs="1").epochs == 1


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Toy().epochs = 3


# TOML


CHANGED = {
    "epochs": 3,
    "batch_size": 7,
    "micro_batch": 2,
    "optimizer": "sgd",
    "learning_rate": 1.23456789012345e-7,
    "momentum": 0.5,
    "nesterov": True,
    "weight_decay": 0.1,
    "schedule": "step",
    "schedule_every": "epoch",
    "schedule_period": 4,
    "schedule_factor": 0.25,
    "warmup": 0.5,
    "clip": 1.0,
    "ema": 0.999,
    "patience": 5,
    "monitor": "validation/f1",
    "mode": "max",
    "seed": 2**70,
    "split_seed": 9,
    "device": "cuda:1",
    "precision": "bf16",
    "threads": 2,
    "track": ("tensorboard", "wandb"),
    "compile": True,
    "channels_last": True,
    "deterministic": False,
    "workers": 0,
    "save_every": 0.05,
    "keep": 3,
    "color": "blue",
    "colors": (),
    "words": ("가", "a\"b'c", "back\\slash", "two\nlines", "#no comment", ""),
    "path": "C:\\사진 모음\\\"인용\" 'x' # = [a]\t\u2028",
    "size": 10,
    "share": None,
    "loud": True,
}


def round_trip(config, folder):
    path = folder / "설정 config.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    return build(type(config), (str(path), read_toml(path)))


def test_what_is_given_is_known_but_not_how_long_a_recipe_trains():
    recipe = ("recipe short", {"epochs": 3, "batch_size": 4, "optimizer": "sgd"})
    assert build(Toy).given == frozenset()
    assert build(Toy, recipe).given == {"optimizer"}
    assert build(Toy, recipe, ("options", {"epochs": "5"})).given == {"optimizer", "epochs"}
    assert build(Toy, ("recipe quick", recipe[1])).given == frozenset()


def test_every_saved_field_survives_a_file(tmp_path):
    saved = {field.name for field in options_of(Toy) if field.metadata["saved"]}
    assert saved == set(CHANGED), "a new field needs a value here"
    changed = Toy(**CHANGED)
    assert changed.problems() == []
    assert all(getattr(changed, name) == value for name, value in CHANGED.items())
    assert round_trip(changed, tmp_path) == changed
    assert round_trip(Toy(), tmp_path) == Toy()


@pytest.mark.parametrize("text", ["none", "None", "nan", "true", "1", " ", "a, b", "é"])
def test_text_that_looks_like_something_else_stays_text(text, tmp_path):
    assert round_trip(Toy(path=text), tmp_path).path == text


@pytest.mark.parametrize("value", [1e-300, 1 / 3, 1e22, 5e-324, 123456.0])
def test_floats_survive_bit_for_bit(value, tmp_path):
    again = round_trip(Toy(learning_rate=value), tmp_path).learning_rate
    assert again.hex() == value.hex()


def test_the_file_explains_each_value_and_leaves_out_where_the_run_is():
    text = to_toml(Toy(run_dir="/somewhere", name="mine"))
    assert "run_dir" not in text
    assert "mine" not in text
    assert 'size = "none"  # in pixels\n' in text


def test_files_from_windows_editors_are_read(tmp_path):
    path = tmp_path / "config.toml"
    path.write_bytes('\ufeffpath = "사진"\r\nepochs = 3\r\n'.encode())
    assert read_toml(path) == {"path": "사진", "epochs": 3}


@pytest.mark.parametrize(
    "data",
    [
        b"epochs = ",
        b"epochs = 3\nepochs = 4",
        b"\xff\xfe\x00",
        b"\xb0\xa1 = 1",
        b"a = 1" + b"0" * 9999,
    ],
    ids=["cut", "twice", "binary", "cp949", "huge"],
)
def test_what_is_not_toml_is_said_to_be_none(data, tmp_path):
    path = tmp_path / "config.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"config\.toml: not a TOML file: "):
        read_toml(path)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no such file.*RUN/config\.toml"):
        read_toml(tmp_path / "nothing.toml")
    with pytest.raises(ConfigError, match="not a TOML file"):
        read_toml(tmp_path)


# Names


def test_optimizers_are_those_that_can_be_built():
    for name in OPTIMIZERS:
        model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 2))
        optimizer = optim.build(name, model)
        model(torch.ones(1, 2)).sum().backward()
        before = [parameter.clone() for parameter in model.parameters()]
        optim.step(optimizer, torch.zeros(()))
        after = list(model.parameters())
        assert all(not torch.equal(*pair) for pair in zip(before, after, strict=True)), name
    known = re.findall(r'name == "(\w+)"', inspect.getsource(optim.build))
    assert sorted(known) == sorted(OPTIMIZERS)


def test_schedules_are_those_that_can_be_built():
    for name in SCHEDULES:
        schedule = optim.schedule(name, steps_per_epoch=5, epochs=4)
        assert all(0 <= schedule(step, []) <= 1 for step in range(20)), name
    source = inspect.getsource(optim.schedule) + inspect.getsource(optim._curve)
    known = set(re.findall(r'name == "([\w-]+)"|^ +"([\w-]+)": ', source, re.MULTILINE))
    assert sorted("".join(pair) for pair in known) == sorted(SCHEDULES)
