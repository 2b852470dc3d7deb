"""A run with all that answers test data, for a machine without a network: a folder, or a zip of it.

It holds the run (weights, config, card), the sources of `common` and of the run's lab, a script
that writes the submission, and the versions of the packages that these sources need.
"""

import contextlib
import importlib.metadata
import io
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import DataError
from common.files import new_folder, write_bytes, write_text
from common.options.config import flag, read_toml
from common.submission.runs import Opened

_OURS = ("common", "labs")
_ROOT = Path(__file__).parents[2]  # of our packages
_OF_RUN = ("*.json", "config.toml", "best.safetensors", "boosting.safetensors")  # files that answer
_OF_THIS_MACHINE = ("image_dir",)  # options that are paths
_IMPORT = re.compile(r"^\s*(?:import|from) (\w+)", re.MULTILINE)
_ENGINES = {"openpyxl", "pyarrow"}  # pandas imports them by name, for .xlsx and .parquet
_WHEN = (1980, 1, 1, 0, 0, 0)  # in a zip, which is then the same each time
_SCRIPT = '''"""Writes a submission without a network. Install requirements.txt first; then

    {usage}

It takes the options of `python -m labs.{lab} submit`; those in GIVEN are given already.
"""

import sys
from pathlib import Path

GIVEN = {words!r}
HERE = Path(__file__).resolve().parent

sys.path.insert(0, str(HERE))
sys.argv[1:1] = ["submit", str(HERE / "run"), *GIVEN]

from labs.{lab}.__main__ import lab

lab.main()
'''


def check_place(path: Path) -> None:
    """Refuse to write a bundle over something.

    Raises:
        DataError: there is a file, or a folder with something in it.
    """
    if path.suffix.lower() == ".zip":
        taken = path.is_dir()
    else:
        taken = path.is_file() or (path.is_dir() and any(path.iterdir()))
    if taken:
        raise DataError(f"--bundle {path}: is there already; name a new folder, or a .zip")


def write_bundle(path: Path, lab: str, opened: Opened, words: Sequence[str], *, test: bool) -> None:
    """Write a bundle as a whole, or not at all.

    Args:
        path: a new folder, or a .zip.
        lab: the lab's name.
        opened: what answers.
        words: options of `submit` that the script begins with.
        test: whether the script needs test data beside the sample.

    Raises:
        SaveError: it cannot be written.
    """
    if path.suffix.lower() != ".zip":
        with new_folder(path) as folder:
            _fill(folder, lab, opened, words, test)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / path.stem
        folder.mkdir()
        _fill(folder, lab, opened, words, test)
        write_bytes(path, _pack(folder))


def options_as_words(
    given: Mapping[str, Any], answer_columns: Sequence[str], form: str | None
) -> list[str]:
    """Return options of `submit` as they are typed, but for paths, which are others elsewhere.

    Args:
        given: values by the names of options; those that are None are left out.
        answer_columns: columns of the sample.
        form: what is written of classes.
    """
    values = {name: value for name, value in given.items() if name not in _OF_THIS_MACHINE}
    pairs = [(flag(name), str(value)) for name, value in values.items() if value is not None]
    pairs += [("--answer-column", name) for name in answer_columns]
    pairs += [] if form is None else [("--answers", form)]
    return [word for pair in pairs for word in pair]


def _fill(folder: Path, lab: str, opened: Opened, words: Sequence[str], test: bool) -> None:
    """Put all of a bundle into a folder."""
    _copy_run(opened, folder / "run")
    for source in (_ROOT / "common", _ROOT / "labs" / lab):
        target = folder / source.relative_to(_ROOT)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    shutil.copy(_ROOT / "labs/__init__.py", folder / "labs/__init__.py")
    if (license := _ROOT / "LICENSE").is_file():
        shutil.copy(license, folder)
    usage = f"python predict.py {'TEST ' if test else ''}SAMPLE [--out submission.csv]"
    script = _SCRIPT.format(usage=usage, lab=lab, words=list(words))
    write_text(folder / "predict.py", script)
    write_text(folder / "requirements.txt", "".join(f"{line}\n" for line in list_requirements()))


def _copy_run(opened: Opened, target: Path) -> None:
    """Copy what answers of a run, of its folds, and of the members of an ensemble."""
    source = opened.run.path
    for each in {source, *(job.run.path for job in opened.jobs)}:
        _copy_files(each, target / each.relative_to(source))
    if opened.is_ensemble:
        [together] = opened.jobs
        _copy_members(together, target)


def _copy_files(source: Path, place: Path) -> None:
    """Copy the files of a run that answer."""
    place.mkdir(parents=True, exist_ok=True)
    for pattern in _OF_RUN:
        for file in sorted(source.glob(pattern)):
            shutil.copy(file, place)


def _copy_members(together: Any, target: Path) -> None:
    """Copy the networks of an ensemble into its copy, whose config then says where they are."""
    import tomli_w

    listed = []
    for number, member in enumerate((each for each in together.members if not each.own), 1):
        places = [f"members/{number}-{network}" for network in range(1, 1 + len(member.jobs))]
        for place, job in zip(places, member.jobs, strict=True):
            _copy_files(job.run.path, target / place)
        listed.append({**member.as_dict(), "run": places[0], "networks": places})
    config = {**read_toml(target / "config.toml"), "members": listed}
    config["runs"] = [each["run"] for each in listed]
    write_text(target / "config.toml", tomli_w.dumps(config))


def list_requirements() -> list[str]:
    """Return the packages that our loaded modules need, wherever in them, as pip takes them."""
    names = {name for path in _loaded() for name in _imported(path)} | _ENGINES
    known = importlib.metadata.packages_distributions()
    packages = {package for name in names for package in known.get(name, ())}
    versions = {each: importlib.metadata.version(each).partition("+")[0] for each in packages}
    return [f"{each}=={versions[each]}" for each in sorted(versions, key=str.casefold)]


def _loaded() -> Iterator[Path]:
    """Yield the files of our modules that are loaded: what it took to write the submission."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.partition(".")[0] in _OURS and file is not None:
            yield Path(file)


def _imported(path: Path) -> Iterator[str]:
    """Yield the names of packages that a file imports and are none of ours or of Python's."""
    for name in _IMPORT.findall(path.read_text(encoding="utf-8")):
        if name not in _OURS and name not in sys.stdlib_module_names:
            yield name


def _pack(folder: Path) -> bytes:
    """Return a folder as a zip; weights are not packed, which hardly makes them smaller."""
    data = io.BytesIO()
    with contextlib.closing(zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED)) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder.parent).as_posix(), _WHEN)
            entry.external_attr = 0o644 << 16
            stored = file.suffix == ".safetensors"
            entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())
    return data.getvalue()
