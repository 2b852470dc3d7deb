"""The reference of the site: its examples run, and what programs import stands in it."""

import doctest
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

import common.training

ROOT = Path(__file__).parents[1]
PAGES = "\n".join(page.read_text("utf-8") for page in ROOT.glob("docs/reference/*.md"))
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in ("common", "labs")
    for path in ROOT.glob(f"{folder}/**/*.py")
    if re.search(r"^ +>>> ", path.read_text("utf-8"), re.MULTILINE)
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_give_what_they_say(name):
    usual = {"np": np, "nn": torch.nn, "torch": torch}
    found = doctest.testmod(import_module(name), extraglobs=usual)
    assert found.attempted
    assert not found.failed


def test_the_front_of_training_stands_in_the_reference():
    listed = {*re.findall(r"^\.\. auto\w+:: (?:[\w.]+\.)?(\w+)$", PAGES, re.MULTILINE)}
    assert {*common.training.__all__} - {"monitored"} <= listed
