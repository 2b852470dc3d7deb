"""What docs/inside.md says of the code is so: its paths are there, and the names beside them."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "inside.md").read_text(encoding="utf-8")
PATHS = sorted(set(re.findall(r"`((?:common|labs|tests)/[\w/.*]+|pyproject\.toml)`", PAGE)))
NAMED = re.findall(r"`((?:common|labs)/[\w/]+\.py)` `(\w+)`", PAGE)


def names_of(path):
    """Return what a file defines or assigns at its top."""
    found = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


@pytest.mark.parametrize("path", PATHS)
def test_a_path_on_the_page_is_there(path):
    assert list(ROOT.glob(path.rstrip("/")))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_name_on_the_page_is_in_its_file(path, name):
    assert name in names_of(path)


def test_the_page_names_enough():
    assert len(PATHS) > 30
    assert len(NAMED) > 20
    words = PAGE.partition("## Twenty words")[2].partition("## Three trips")[0]
    assert 18 <= len(re.findall(r"\*\*[\w ]+\*\*:", words, re.IGNORECASE)) <= 26


@pytest.mark.parametrize("room", ["common", "labs/classification", "labs/autoencoder", "labs/rnn"])
def test_every_folder_is_on_the_map(room):
    folders = [path.parent for path in (ROOT / room).glob("*/__init__.py")]
    missing = [folder.name for folder in folders if f"{folder.name}/`" not in PAGE]
    assert missing == []
