"""Who may import whom: no circles, small folders, and the layers that pyproject.toml names.

The arrows are read from the files, so those inside functions and for type checkers count as well.
Left out are modules named in strings, by which a lower room reaches a higher one (a job its report,
a command its job), and that importing a.b runs the `__init__` of a as well: but for the front of
`common.training`, which imports from its own folder alone, these are empty.
"""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = [path for top in ("common", "labs") for path in sorted((ROOT / top).rglob("*.py"))]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in FILES
}
MOST_IN_A_FOLDER = 14


def imported(source: str) -> Iterator[str]:
    """Yield the modules of ours that a source imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in inner)


ARROWS = {
    name: {other for other in imported(path.read_text("utf-8")) if other in MODULES}
    for name, path in MODULES.items()
}


def reached(start: str) -> set[str]:
    """Return the modules that one imports, and those that they import, and so on."""
    found, waiting = set(), [start]
    while waiting:
        new = ARROWS[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def test_no_modules_import_each_other_in_a_circle():
    below = {name: reached(name) for name in MODULES}
    circles = {
        frozenset(other for other in below[name] if name in below[other])
        for name in MODULES
        if name in below[name]
    }
    assert [sorted(circle) for circle in circles] == []


def test_a_folder_holds_few_modules():
    counts = Counter(path.parent.relative_to(ROOT) for path in FILES if path.stem[:2] != "__")
    assert {str(room): n for room, n in counts.items() if n > MOST_IN_A_FOLDER} == {}


def test_the_layers_of_common_hold():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    [layers] = [each["layers"] for each in settings["contracts"] if each["type"] == "layers"]
    allowed = {"common": set()}
    below = set()
    for layer in reversed(layers):
        names = set(re.findall(r"\w+", layer))
        for name in names:
            allowed[name] = below | ({name} if "|" in layer else names)
        below |= names
    rooms = [(name, name.split(".")[:2][-1]) for name in MODULES if name.startswith("common")]
    wrong = [
        f"{name} imports {other}"
        for name, room in rooms
        for other in ARROWS[name]
        if not other.startswith("common.") or other.split(".")[1] not in allowed[room]
    ]
    assert wrong == []
