"""What `--augment` asks of Ultralytics' random changes, readable without the library.

They are those of its trainer, mosaic among them (Bochkovskiy et al. 2020, "YOLOv4", section 3.4).
"""

from collections.abc import Mapping, Sequence

from common.errors import ConfigError

# The values of each change in their order: the library's name, and the default.
_CHANGES = {
    "affine": {"translate": 0.1, "scale": 0.5},
    "cutmix": {"cutmix": 0.5},
    "hflip": {"fliplr": 0.5},
    "hsv": {"hsv_h": 0.015, "hsv_s": 0.7, "hsv_v": 0.4},
    "mixup": {"mixup": 0.5},
    "mosaic": {"mosaic": 1.0},
    "vflip": {"flipud": 0.5},
}
_MIXING = ("mosaic", "mixup", "cutmix")
_HIGHEST = {"scale": 0.9}  # or an image could shrink to nothing; 1 for the others


def parse(specs: Sequence[str]) -> dict[str, float]:
    """Return how strong the changes are, by the library's names; specs of others do not count.

    A spec is a name and, after colons, its values in order: "mosaic", "affine:0.1:0.5".

    Raises:
        ConfigError: with every problem of every spec.
    """
    strengths: dict[str, float | str] = {}
    problems: list[str] = []
    for spec in specs:
        name, *texts = spec.split(":")
        defaults = _CHANGES.get(name, {})
        found = dict(zip(defaults, texts, strict=False))
        if defaults and len(texts) > len(defaults):
            problems.append(f"{spec}: expected at most {len(defaults)} ({', '.join(defaults)})")
        problems += [
            f"{spec}: {key} must be a number from 0 to {_HIGHEST.get(key, 1)}, not {text!r}"
            for key, text in found.items()
            if not _is_between(text, _HIGHEST.get(key, 1))
        ]
        strengths.update({**defaults, **found})
    if problems:
        raise ConfigError([f"--augment {problem}" for problem in problems])
    return {key: float(value) for key, value in strengths.items()}


def without_mixing(strengths: Mapping[str, float]) -> dict[str, float]:
    """Return the strengths of the changes that need no other image."""
    return {name: value for name, value in strengths.items() if name not in _MIXING}


def _is_between(text: str, high: float) -> bool:
    try:
        return 0 <= float(text) <= high
    except ValueError:
        return False
