"""The receipt of a run: hashes of what it learned from, by which config, and what it came to.

Whoever changes a file of the run and not the receipt is found by a look. Whoever rewrites both is
found by computing again, which is `common.runs.proof.verify`.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

from common import files
from common.errors import RunError
from common.options.config import TrainingConfig, options_of, read_toml
from common.runs import folder
from common.runs.folder import Run
from common.training.checkpoint import hash_tensors

NAME = "receipt"
_MACHINE = (
    *("python", "torch", "torchvision", "numpy", "scikit-learn"),
    *("processor", "instructions", "threads", "device"),
)


def write(
    run: Run,
    config: TrainingConfig,
    fingerprint: str,
    device: str,
    answers: Mapping[str, Mapping[str, Tensor]],
    metrics: Mapping[str, Any],
) -> None:
    """Write the receipt of a run that is concluded.

    Args:
        run: with its history and its best weights.
        config: of it.
        fingerprint: of its data.
        device: that measured it.
        answers: what the task collected, by the split's name.
        metrics: what its metrics.json is to hold.
    """
    found = {
        "data": fingerprint,
        "config": hash_config(run, type(config)),
        "environment": describe_machine(folder.environment(device)),
        "training": describe_training(run),
        "history": files.sha256_of(run.path / "history.jsonl"),
        "weights": files.sha256_of(run.best),
        "answers": {name: hash_tensors(outputs) for name, outputs in answers.items()},
        "metrics": hash_value(metrics),
    }
    run.write(NAME, found)


def describe_machine(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return of an environment what bits depend on."""
    return {name: environment[name] for name in _MACHINE if name in environment}


def describe_training(run: Run) -> dict[str, Any]:
    """Return where a run was trained, as its environment.json says."""
    about = run.read("environment")
    resumed = [describe_machine(each) for each in about.get("resumed", [])]
    return {**describe_machine(about), "processes": about.get("processes", 1), "resumed": resumed}


def find_changed(run: Run, kind: type[TrainingConfig]) -> Iterator[str]:
    """Yield a sentence for each file of a run that is not what its receipt says.

    Args:
        run: with a receipt.
        kind: the class of its config.
    """
    known = read(run)
    now: dict[str, tuple[str, Callable[[], str]]] = {
        "data.json": ("data", lambda: run.read("data")["fingerprint"]),
        "config.toml": ("config", lambda: hash_config(run, kind)),
        "history.jsonl": ("history", lambda: files.sha256_of(run.path / "history.jsonl")),
        "best.safetensors": ("weights", lambda: files.sha256_of(run.best)),
        "metrics.json": ("metrics", lambda: hash_value(run.read("metrics"))),
    }
    for file, (name, hash_file) in now.items():
        if not (run.path / file).is_file():
            yield f"{file} is missing"
        elif hash_file() != known.get(name):
            yield f"{file} is not the one of the receipt"
    if "training" in known and describe_training(run) != known["training"]:  # of today's
        yield "environment.json is not the one of the receipt"


def read(run: Run) -> dict[str, Any]:
    """Return what the receipt of a run says.

    Raises:
        RunError: there is none, or it says nothing of the answers.
    """
    found = run.read(NAME)
    if not isinstance(found, dict) or not isinstance(found.get("answers"), dict):
        raise RunError(f"{run.path / NAME}.json is damaged: it has no hashes of answers")
    return found


def hash_config(run: Run, kind: type[TrainingConfig]) -> str:
    """Return a hash of what a run's config.toml says, but for paths and how it is computed."""
    machine = {field.name for field in options_of(kind) if field.metadata["machine"]}
    values = read_toml(run.config)
    return hash_value({n: v for n, v in values.items() if n not in machine and n not in kind.paths})


def hash_value(value: Any) -> str:
    """Return a hash of what JSON keeps, however it is laid out."""
    kept = json.loads(json.dumps(folder.plain(value)))  # whose keys are texts
    text = json.dumps(kept, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
