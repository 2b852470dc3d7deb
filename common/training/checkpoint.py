"""Saving and loading, atomic and verified; nothing is ever unpickled.

A file is a safetensors file whose metadata holds a JSON text and a SHA-256 over the text and the
tensors. It takes its name only when it is whole, and is used only when the hash agrees.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from common.errors import RunError, SaveError
from common.files import check_run_folder, link, write_bytes
from common.history import Row

# How numbers lie in memory: fused optimizers need a state that lies as its weights do.
_LAYOUTS = {"tensor": torch.contiguous_format, "channels_last": torch.channels_last}

_KEPT = 2  # checkpoints: the newest, and the one before in case the newest is damaged
_ROOM = 200 * 10**6  # bytes that the kept positions of a run may take, with those of its members


class Stateful(Protocol):
    """Whatever can give its state and take it back: modules, optimizers, the loss scale."""

    def state_dict(self) -> Any:
        """Return the state."""

    def load_state_dict(self, state: Any) -> Any:
        """Take back a state."""


@dataclass
class Position:
    """Where a run stands; with the tensors of its parts this is all that a resume needs."""

    epoch: int = 0  # epochs that are finished
    update: int = 0  # updates applied in the epoch that is not
    seconds: float = 0.0  # that epoch has taken so far
    sums: dict[str, list[float]] = field(default_factory=dict)
    """For each part of the loss, the sum of weighted means and the sum of weights in that epoch."""
    rows: list[Row] = field(default_factory=list)  # the history, a row per finished epoch
    best: str = ""  # SHA-256 of the best weights, "" while there are none
    micro_batches: dict[str, int] = field(default_factory=dict)
    """Samples that fit the memory at a time, by the name of the split, where not all did."""


class Memory:
    """Keeps the best weights in memory and saves nothing: for notebooks, folds and trials."""

    def __init__(self) -> None:
        self._best: dict[str, Tensor] = {}

    def restore(self, parts: Mapping[str, Stateful]) -> Position:
        """Begin at the beginning."""
        return Position()

    def save(self, parts: Mapping[str, Stateful], position: Position) -> None:
        """Save nothing."""

    def keep_best(self, model: nn.Module, row: Row) -> str:
        """Keep a copy of the weights."""
        self._best = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        return ""

    def load_best(self, model: nn.Module) -> None:
        """Put the best weights into the model; without any, leave it as it is."""
        if self._best:
            model.load_state_dict(self._best)


class Checkpoints(Memory):
    """The checkpoints and the best weights of a run, in its folder.

    Args:
        folder: the run folder; `checkpoints/` and `best.safetensors` are kept in it.
        say: called with a line for the user when a damaged checkpoint is passed over.
        keep: positions to keep of the whole run, see `Kept`.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = print, keep: int = 0):
        self._folder = folder / "checkpoints"
        self._best_path = folder / "best.safetensors"
        self._say = say
        self._kept = Kept(folder, keep, say)

    def restore(self, parts: Mapping[str, Stateful]) -> Position:
        """Put the newest whole checkpoint into the parts; returns where it stands.

        Raises:
            RunError: there are checkpoints, but none is whole; they are another model's; or the
                best weights are damaged.
        """
        paths, damaged = self._paths(), list[Path]()
        for path in reversed(paths):
            try:
                loaded = load(path)
            except RunError as error:
                self._say(f"{error}; going back to the checkpoint before it")
                damaged.append(path)
                continue
            saved = json.loads(loaded.text)
            _hand_out(saved["parts"], loaded.tensors, parts, path)
            position = Position(**saved["position"])
            if self._check_best(position):  # a kill may have come before it was kept
                self._kept.add(path)
            for broken in damaged:  # it would count as one of those that are kept
                broken.unlink(missing_ok=True)
            return position
        if paths:
            raise RunError(f"no checkpoint in {self._folder} is whole; start again with --config")
        self._folder.mkdir(parents=True, exist_ok=True)  # from now on it is to be there
        return Position()

    def save(self, parts: Mapping[str, Stateful], position: Position) -> None:
        """Write a checkpoint and delete all but the two newest, and those that are kept.

        Raises:
            SaveError: it could not be written, or somebody moved or deleted the run's folder.
        """
        check_run_folder(self._folder.parent)
        tensors: dict[str, Tensor] = {}
        states = {name: part.state_dict() for name, part in parts.items()}
        apart = {name: _take_apart(state, name, tensors) for name, state in states.items()}
        path = self._folder / f"{position.epoch:06}-{position.update:08}.safetensors"
        save(path, tensors, json.dumps({"parts": apart, "position": asdict(position)}))
        self._kept.add(path)
        for old in self._paths()[:-_KEPT]:
            old.unlink()

    def keep_best(self, model: nn.Module, row: Row) -> str:
        """Write the best weights; returns their hash.

        Raises:
            SaveError: as `save` does.
        """
        check_run_folder(self._folder.parent)
        return save(self._best_path, dict(model.state_dict()), json.dumps({"row": row}))

    def load_best(self, model: nn.Module) -> None:
        """Put the best weights into the model.

        Raises:
            RunError: there are none, they are damaged, or they are another model's.
        """
        load_weights(self._best_path, model)

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("[0-9]*.safetensors"))

    def _check_best(self, position: Position) -> bool:
        """Make sure that the best weights are whole, and those of this run's best epoch.

        Weights of a later epoch than the checkpoint's are fine: that epoch comes again, and writes
        them again. Returns whether they are the checkpoint's.
        """
        if not position.best:
            return True
        try:
            best = load(self._best_path)
            other = best.sha256 != position.best
            if other and json.loads(best.text)["row"]["epoch"] <= position.epoch:
                raise RunError(f"{self._best_path} does not hold the best weights of this run")
        except RunError as error:
            again = self._best_path.with_name("config.toml")
            raise RunError(
                f"{error}; the run cannot go on: repeat it with --config {again}"
            ) from error
        return not other


class Kept:
    """Positions of a run at the ends of epochs, evenly spaced, in `kept/` of its folder.

    How long a run becomes is not known while it trains (patience may end it), so at first every
    epoch is kept; when there are more than `most`, every second, then every fourth, and so on. A
    checkpoint and the best weights of then get a second name, which takes neither time nor, while
    they are the newest, room. All together take at most 200 MB: of large ones there are fewer.
    Training can do without them: where one cannot be written, none is any more.

    Args:
        folder: the run folder.
        most: positions to keep.
        say: called with a line for the user where one cannot be written.
    """

    def __init__(self, folder: Path, most: int, say: Callable[[str], None] = print):
        self.folder = folder / "kept"
        self._run, self._most, self._say = folder, most, say

    def add(self, checkpoint: Path) -> None:
        """Keep a checkpoint with the best weights so far, if it is due, and let go of others."""
        epoch, update = _place(checkpoint)
        if update or not self._most:
            return
        best = self._run / "best.safetensors"
        size = sum(path.stat().st_size for path in (checkpoint, best) if path.exists())
        most = min(self._most, self._room() // size)
        try:
            if is_kept(epoch, epoch, most):
                if best.exists():
                    link(best, best_beside(self.folder / checkpoint.name))
                link(checkpoint, self.folder / checkpoint.name)
        except SaveError as error:
            self._say(f"no more positions are kept: {error}")
            self._most = 0
            return
        for path in self.paths():
            if _place(path)[0] < epoch and not is_kept(_place(path)[0], epoch, most):
                best_beside(path).unlink(missing_ok=True)  # first, or a kill would leave it
                path.unlink()

    def paths(self) -> list[Path]:
        """Return the checkpoints that are kept, the earliest first."""
        return sorted(self.folder.glob("[0-9]*-[0-9]*.safetensors"))

    def _room(self) -> int:
        """Return the bytes that may be used, of which the members of a run use some each."""
        if self._run.parent.name != "members":
            return _ROOM
        others = (path for path in self._run.parent.glob("*/kept/*") if path.parent != self.folder)
        return max(0, _ROOM - sum(path.stat().st_size for path in others))


def is_kept(epoch: int, done: int, most: int) -> bool:
    """Say whether the end of an epoch is kept when `done` epochs are, of which `most` may be."""
    stride = 1
    while most and done // stride > most:
        stride *= 2
    return most > 0 and epoch % stride == 0


def best_beside(kept: Path) -> Path:
    """Return the best weights of then beside a position that is kept."""
    return kept.with_name(f"{_place(kept)[0]:06}-best.safetensors")


def _place(checkpoint: Path) -> tuple[int, int]:
    """Return the finished epochs, and the updates after them, that a checkpoint's name tells."""
    epoch, _, update = checkpoint.stem.partition("-")
    return int(epoch), int(update)


class Followed(Memory):
    """The checkpoints of a run that another process writes: this one only begins from them.

    The best weights, too, are those that the other process keeps.
    """

    def __init__(self, folder: Path):
        super().__init__()
        self._checkpoints = Checkpoints(folder, say=lambda line: None)

    def restore(self, parts: Mapping[str, Stateful]) -> Position:
        """Put the newest whole checkpoint into the parts; see `Checkpoints.restore`."""
        return self._checkpoints.restore(parts)

    def keep_best(self, model: nn.Module, row: Row) -> str:
        """Keep nothing."""
        return ""


def save(path: Path, tensors: Mapping[str, Tensor], text: str) -> str:
    """Write tensors and a text as one file, whole or not at all; returns its hash.

    Raises:
        SaveError: the file could not be written.
    """
    copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    digest = _digest(copies, text)
    write_bytes(path, safetensors.torch.save(copies, {"text": text, "sha256": digest}))
    return digest


class Loaded(NamedTuple):
    """What a file held: tensors on the CPU, a JSON text, and the hash over both."""

    tensors: dict[str, Tensor]
    text: str
    sha256: str


def load(path: Path) -> Loaded:
    """Read what `save` wrote.

    Raises:
        RunError: the file is missing, cut short, or changed.
    """
    if not path.is_file():
        raise RunError(f"{path} is missing")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            views = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, ValueError, OSError) as error:
        raise RunError(f"{path} is damaged ({error})") from error
    text, sha256 = metadata.get("text", ""), metadata.get("sha256", "")
    if sha256 != _digest(views, text):
        raise RunError(f"{path} is damaged (its hash does not agree)")
    # The views are of the file on the disk, which must be free to go or to change.
    return Loaded({name: view.clone() for name, view in views.items()}, text, sha256)


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return a hash of tensors on the CPU, with their names, types and shapes."""
    return _digest({name: tensor.contiguous() for name, tensor in tensors.items()}, "")


def change(path: Path, how: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Write a checkpoint again, with changes.

    Args:
        path: the checkpoint.
        how: is handed the states of its parts and the fields of its position, to change in place.

    Raises:
        RunError: it is missing or damaged.
        SaveError: it could not be written.
    """
    loaded, tensors = load(path), dict[str, Tensor]()
    saved = json.loads(loaded.text)
    try:
        states = {name: _assemble(state, loaded.tensors) for name, state in saved["parts"].items()}
    except KeyError as error:
        raise RunError(f"{path} is damaged: it has no tensor {error}") from error
    how(states, saved["position"])
    saved["parts"] = {name: _take_apart(state, name, tensors) for name, state in states.items()}
    save(path, tensors, json.dumps(saved))


def load_weights(path: Path, model: nn.Module) -> None:
    """Put the weights of a verified file into a model.

    Raises:
        RunError: the file is missing or damaged, or its weights are another model's.
    """
    try:
        model.load_state_dict(_versioned(load(path).tensors, model))
    except RuntimeError as error:
        raise RunError(f"{path} holds the weights of another model: {error}") from error


def _hand_out(
    saved: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    parts: Mapping[str, Stateful],
    path: Path,
) -> None:
    try:
        for name, part in parts.items():
            state = _assemble(saved[name], tensors)
            part.load_state_dict(_versioned(state, part) if isinstance(part, nn.Module) else state)
    except (KeyError, RuntimeError, ValueError) as error:
        raise RunError(
            f"{path} is of another model or optimizer: {error}; put config.toml back as it was, or "
            "begin another run"
        ) from error


def _versioned(tensors: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, Tensor]:
    """Give a state dict the versions of the model's modules, without which some take none."""
    state = OrderedDict(tensors)
    state._metadata = model.state_dict()._metadata  # type: ignore[attr-defined]
    return state


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _take_apart(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Turn a nested state into JSON; its tensors go into `tensors` under their path."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {_layout(value): name}
    if isinstance(value, Mapping):
        items = [[key, _take_apart(v, f"{name}/{key}", tensors)] for key, v in value.items()]
        return {"items": items}
    if isinstance(value, list | tuple):
        parts = [_take_apart(v, f"{name}/{index}", tensors) for index, v in enumerate(value)]
        return {"list" if isinstance(value, list) else "tuple": parts}
    return value


def _layout(tensor: Tensor) -> str:
    channels_last = tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    return "channels_last" if channels_last and not tensor.is_contiguous() else "tensor"


def _assemble(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Undo `_take_apart`."""
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    if kind in _LAYOUTS:
        return tensors[content].contiguous(memory_format=_LAYOUTS[kind])
    if kind == "items":
        return {key: _assemble(v, tensors) for key, v in content}
    parts = [_assemble(v, tensors) for v in content]
    return parts if kind == "list" else tuple(parts)
