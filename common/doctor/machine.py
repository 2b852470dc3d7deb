"""Whether this machine can run the labs: what is installed, what there is room for, what to mend.

Nothing here needs a run. Each check says what it found, and where something has to be mended, how.
"""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from common.files import cache_dir
from common.threads import usable_cores

PROJECT = "deep-learning-labs"
_MAIN = ["torch", "torchvision", "numpy", "scikit-learn"]  # of what it needs
OK, REMARK, MEND = "ok", "remark", "mend"

_GB = 1 << 30
_MEMORY, _DISK, _SHARED = 2 * _GB, 1 * _GB, _GB // 4  # least that is free
_SHM = Path("/dev/shm")
_CGROUP = Path("/sys/fs/cgroup")  # of a container: version 2, which all of today have


class Check(NamedTuple):
    """What was looked at."""

    name: str
    found: str
    verdict: str = OK  # ok, remark or mend
    fix: str = ""  # what to type or to do, where it is not ok


def examine(runs: Path) -> Iterator[Check]:
    """Yield the checks of this machine.

    Args:
        runs: the folder of all runs, which need not be there yet.
    """
    yield check_python()
    yield from check_packages(installed())
    yield check_device()
    yield check_threads(usable_cores(), os.environ, load())
    yield check_memory(free_memory())
    yield check_disk("runs", runs)
    yield check_disk("cache", cache_dir())
    if _SHM.is_dir():
        yield check_shared_memory(_SHM)


# --- what is installed --------------------------------------------------------------------------


def check_python() -> Check:
    """Say which Python this is; an older one is refused before anything is imported."""
    return Check("Python", f"{platform.python_version()}, {sys.executable}")


def installed() -> dict[str, str]:
    """Return the versions of all packages that can be imported here, by their normal names."""
    pairs = ((each.metadata["Name"], each.version) for each in metadata.distributions())
    return {_normal(name): version for name, version in pairs if name}


def check_packages(versions: Mapping[str, str]) -> Iterator[Check]:
    """Yield what the project needs and lacks, and the packages that are known to do harm.

    Args:
        versions: of what is installed.
    """
    lacking = list(_find_lacking(versions))
    if lacking:
        found = ", ".join(f"{name} is {versions.get(name, 'missing')}" for name, _ in lacking)
        wanted = " ".join(f'"{wanted}"' for _, wanted in lacking)
        yield Check("packages", found, MEND, f"pip install {wanted}")
    else:
        shown = ", ".join(f"{name} {versions[name]}" for name in _MAIN)
        yield Check("packages", f"all that is needed: {shown}")
    for known in _KNOWN_BAD:
        if check := known(versions):
            yield check


def _find_lacking(versions: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (name, requirement) of what is missing, or of another version than is needed."""
    from packaging.requirements import Requirement

    try:
        texts = metadata.requires(PROJECT) or _MAIN
    except metadata.PackageNotFoundError:  # run from its sources, which do not say what they need
        texts = _MAIN
    for requirement in map(Requirement, texts):
        name = _normal(requirement.name)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = versions.get(name)
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            yield name, f"{requirement.name}{requirement.specifier}"


def check_torchvision(versions: Mapping[str, str]) -> Check | None:
    """Find a torchvision of another torch: each release is compiled for one, 2.N for 0.(N + 15)."""
    try:
        torch, vision = (_release(versions[name]) for name in ("torch", "torchvision"))
    except KeyError:
        return None
    if torch[0] != 2 or vision[0] != 0 or vision[1] == torch[1] + 15:
        return None
    found = (
        f"torchvision {versions['torchvision']} is compiled for another torch than "
        f"{versions['torch']}: its operators will be missing"
    )
    return Check("torchvision", found, MEND, f'pip install "torchvision==0.{torch[1] + 15}.*"')


def check_torchtext(versions: Mapping[str, str]) -> Check | None:
    """Find a torchtext after 0.6.0, whose binary is that of an older torch."""
    version = versions.get("torchtext", "0.6.0")
    if _release(version) <= (0, 6, 0):
        return None
    found = f"torchtext {version} has a binary of torch 2.3 or older, and cannot be imported"
    return Check("torchtext", found, MEND, 'pip install "torchtext==0.6.0"')


def check_opencv(versions: Mapping[str, str]) -> Check | None:
    """Find OpenCVs of different versions in one folder, where the last one overwrote the others."""
    found = {name: versions[name] for name in versions if name.startswith("opencv-")}
    if len(set(found.values())) < 2:
        return None
    newest = max(found.values(), key=_release)
    names = ", ".join(f"{name} {version}" for name, version in sorted(found.items()))
    wanted = " ".join(f"{name}=={newest}" for name in sorted(found))
    return Check(
        "OpenCV",
        f"{names} share one folder, cv2, and overwrite one another's files",
        MEND,
        f"pip install --force-reinstall --no-deps {wanted}",
    )


def check_pillow(versions: Mapping[str, str]) -> Check | None:
    """Find Pillow-SIMD, which takes Pillow's folder and is years older."""
    if "pillow-simd" not in versions:
        return None
    found = f"pillow-simd {versions['pillow-simd']} overwrote Pillow's files, and is far older"
    fix = "pip uninstall -y pillow-simd && pip install --force-reinstall --no-deps pillow"
    return Check("Pillow", found, MEND, fix)


_KNOWN_BAD: tuple[Callable[[Mapping[str, str]], Check | None], ...] = (
    check_torchvision,
    check_torchtext,
    check_opencv,
    check_pillow,
)


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _release(version: str) -> tuple[int, ...]:
    """Return the numbers at the beginning of a version, as of 2.9.1+cpu."""
    from packaging.version import Version

    return Version(version).release


# --- what it computes with ----------------------------------------------------------------------


def check_device() -> Check:
    """Compute something on the device that --device auto takes."""
    compute: Any = "torch"
    try:
        import torch

        from common.training.compute import Compute

        compute = Compute("auto")
        square = compute.move(torch.eye(64))
        right = bool((square @ square == square).all())
    except (ImportError, OSError) as error:  # of a library that it loads, such as CUDA's
        found = f"torch cannot be imported: {error}".splitlines()[0]
        return Check("device", found, MEND, "pip install --force-reinstall torch torchvision")
    except RuntimeError as error:
        fix = "--device cpu in every command, until the driver is mended"
        return Check("device", f"{compute} fails: {error}".splitlines()[0], MEND, fix)
    if not right:
        return Check("device", f"{compute} multiplies wrongly", MEND, "--device cpu")
    has_driver = Path("/proc/driver/nvidia/version").is_file()
    if has_driver and compute.device.type == "cpu":
        built = torch.version.cuda
        why = f"its driver is older than CUDA {built}" if built else "torch here is for CPUs alone"
        fix = (
            "update the NVIDIA driver"
            if built
            else "install a torch for CUDA, as pytorch.org/get-started says"
        )
        return Check("device", f"there is an NVIDIA GPU that torch cannot use: {why}", MEND, fix)
    return Check("device", f"{compute}")


def load() -> float:
    """Return how many processes ran or waited in the last minute; 0 where it is not known."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return 0.0


def check_threads(cores: int, environment: Mapping[str, str], busy: float) -> Check:
    """Compare the threads that are asked for with the cores that there are.

    Args:
        cores: that this process may use.
        environment: its variables.
        busy: processes that ran or waited in the last minute.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        given = environment.get(name, "").strip()
        if given.isdecimal() and int(given) > cores:
            found = f"{name}={given}, but this process has {cores} core(s): threads will wait"
            return Check("threads", found, MEND, f"unset {name}, or give {cores}")
    found = f"{cores} core(s), load {busy:.1f}"
    if busy > cores + 0.5:
        fix = "--threads 1 is steady beside other programs"
        return Check("threads", f"{found}: other programs keep the cores busy", REMARK, fix)
    return Check("threads", found)


# --- what there is room for ---------------------------------------------------------------------


def free_memory() -> int | None:
    """Return the bytes of memory that can be had, by the system and the container; None unknown."""
    lines = dict(
        line.split(":", 1) for line in _read(Path("/proc/meminfo")).splitlines() if ":" in line
    )
    if "MemAvailable" not in lines:
        return None
    free = int(lines["MemAvailable"].split()[0]) * 1024
    limit, used = (_read(_CGROUP / f"memory.{name}").strip() for name in ("max", "current"))
    if limit.isdecimal() and used.isdecimal():
        kept = dict(map(str.split, _read(_CGROUP / "memory.stat").splitlines()))
        # Files that were read stay in memory until somebody needs it.
        free = min(free, int(limit) - int(used) + int(kept.get("inactive_file", 0)))
    return free


def check_memory(free: int | None) -> Check:
    """Look whether there is memory for a run."""
    if free is None:
        return Check("memory", "how much is free is not known on this system")
    found = f"{_size(free)} free"
    if free < _MEMORY:
        fix = "close other programs; --micro-batch 16 and --decoding stream need less"
        return Check("memory", f"{found}, less than {_size(_MEMORY)}", MEND, fix)
    return Check("memory", found)


def check_disk(name: str, folder: Path) -> Check:
    """Look whether a folder, which need not be there yet, can be written, and its disk has room."""
    what, option = f"disk of the {name}", "--run-dir FOLDER" if name == "runs" else "LABS_CACHE"
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        fix = f"name a folder of your own with {option}"
        return Check(what, f"{there} cannot be written: {error.strerror}", MEND, fix)
    free = shutil.disk_usage(there).free
    found = f"{_size(free)} free at {there}"
    if free < _DISK:
        fix = f"free some, or name another folder with {option}"
        return Check(what, f"{found}, less than {_size(_DISK)}", MEND, fix)
    return Check(what, found)


def check_shared_memory(place: Path) -> Check:
    """Look whether worker processes have room for the batches that they hand over."""
    free = shutil.disk_usage(place).free
    found = f"{_size(free)} free at {place}"
    if free < _SHARED:
        fix = "docker run --shm-size=1g ..., or --workers 0 in every command"
        return Check(
            "shared memory", f"{found}: workers would die of a bus error (SIGBUS)", MEND, fix
        )
    return Check("shared memory", found)


def _read(path: Path) -> str:
    """Return what a file of the system says, nothing where it has none."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _size(size: int) -> str:
    return f"{size / _GB:.1f} GB"
