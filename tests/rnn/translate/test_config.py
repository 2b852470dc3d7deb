"""The options: names that the registries know, and what does not go together."""

import subprocess
import sys

import pytest

from common.errors import ConfigError
from common.options.config import build
from labs.rnn import cells, words
from labs.rnn.translate import config, data, models
from labs.rnn.translate.config import RECIPES, TranslateConfig


def test_the_choices_are_what_there_is():
    assert set(config.CELLS) == set(cells.CELLS)
    assert set(config.ATTENTIONS) == set(models.DECODERS)
    assert set(config.TOKENIZERS) == set(words.TOKENIZERS)
    assert tuple(data._SETS) == config.DATA


def test_special_tokens_stand_where_the_model_expects_them():
    learned, _ = words.learn(["a"], "characters", specials=data._SPECIALS)
    assert learned.vocabulary[words.PAD] == "<pad>"
    assert learned.vocabulary[words.UNKNOWN] == "<unk>"
    assert learned.vocabulary[words.BOS] == "<bos>"
    assert learned.vocabulary[words.EOS] == "<eos>"


@pytest.mark.parametrize(("name", "value"), [("folds", 3), ("fold", 1), ("share", 0.5)])
def test_what_splits_other_data_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"--{name}: pairs are split once"):
        build(TranslateConfig, ("options", {"folds": 3, name: value}))


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_configs(name):
    assert build(TranslateConfig, (name, RECIPES[name])) != TranslateConfig()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("english", "english"), "two columns"),
        (("1", "korean"), "two names, or two numbers"),
        (("0", "1"), "from 1 on"),
    ],
)
def test_columns_that_cannot_be(columns, message):
    values = dict(zip(("source_column", "target_column"), columns, strict=True))
    with pytest.raises(ConfigError, match=message):
        build(TranslateConfig, ("options", values))


def test_all_problems_are_said_at_once():
    values = {"attention": "luon", "beam": "0", "teacher_forcing": "1.5", "atention": "none"}
    with pytest.raises(ConfigError) as caught:
        build(TranslateConfig, ("options", values))
    assert len(caught.value.problems) == 4
    assert "did you mean luong?" in str(caught.value)


def test_options_need_nothing_heavy():
    heavy = ("torch", "sklearn", "sacrebleu", "matplotlib", "tokenizers")
    code = f"import sys, labs.rnn.translate.config; assert not set({heavy}) & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
