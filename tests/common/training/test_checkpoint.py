import errno
import json
import os
import pickle
import random
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from common import files
from common.errors import RunError, SaveError
from common.training import checkpoint, optim
from common.training.checkpoint import (
    Checkpoints,
    Kept,
    Memory,
    Position,
    best_beside,
    load,
    load_weights,
    save,
)
from common.training.compute import Compute

TENSORS = {
    "weight": torch.randn(5, 3, generator=torch.Generator().manual_seed(0)),
    "rows": torch.arange(7),
    "empty": torch.zeros(0, 2),
    "scalar": torch.tensor(1.5),
    "mask": torch.tensor([True, False, True]),
    "half": torch.tensor([0.5, -2.0], dtype=torch.bfloat16),
    "transposed": torch.arange(6.0).reshape(2, 3).T,
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file.safetensors"
    save(path, TENSORS, '{"epoch": 3, "name": "고양이"}')
    return path


# Files


def test_what_is_saved_comes_back(path, same):
    loaded = load(path)
    assert same(loaded.tensors, TENSORS)
    assert json.loads(loaded.text) == {"epoch": 3, "name": "고양이"}


def test_the_hash_is_returned_and_depends_on_everything(tmp_path):
    def digest(tensors, text=""):
        found = save(tmp_path / "file", tensors, text)
        assert load(tmp_path / "file").sha256 == found
        return found

    one = torch.zeros(4)
    variants = [
        digest({"a": one}),
        digest({"b": one}),
        digest({"a": one}, "text"),
        digest({"a": one.reshape(2, 2)}),
        digest({"a": one.int()}),
        digest({"a": one + 1}),
        digest({}),
    ]
    assert len(set(variants)) == len(variants)
    assert digest({"a": one, "b": one}) == digest({"b": one, "a": one})


def test_a_file_is_plain_safetensors(path, same):
    assert same(safetensors.torch.load_file(path), TENSORS)


def test_what_was_loaded_does_not_hang_on_the_file(path, same):
    loaded = load(path)
    path.write_bytes(bytes(path.stat().st_size))
    assert same(loaded.tensors, TENSORS)


def test_shared_memory_is_no_obstacle(tmp_path):
    whole = torch.arange(6.0)
    save(tmp_path / "file", {"whole": whole, "part": whole[2:]}, "")
    assert load(tmp_path / "file").tensors["part"].tolist() == [2, 3, 4, 5]


def test_a_flipped_bit_is_found_wherever_it_is(path):
    data = path.read_bytes()
    places = [(byte, random.Random(byte).randrange(8)) for byte in range(0, len(data), 3)]
    for byte, bit in [*places, *((0, bit) for bit in range(8))]:
        changed = bytearray(data)
        changed[byte] ^= 1 << bit
        path.write_bytes(changed)
        with pytest.raises(RunError, match="is damaged"):
            load(path)


def test_a_file_that_is_cut_short_or_too_long_is_found(path):
    data = path.read_bytes()
    for changed in [data[:length] for length in range(0, len(data), 9)] + [data[:-1], data + b"\0"]:
        path.write_bytes(changed)
        with pytest.raises(RunError, match="is damaged"):
            load(path)


def test_a_file_that_is_missing_or_not_ours(tmp_path):
    path = tmp_path / "file.safetensors"
    with pytest.raises(RunError, match=r"file\.safetensors is missing"):
        load(path)
    safetensors.torch.save_file(TENSORS | {"transposed": torch.zeros(1)}, path)
    with pytest.raises(RunError, match="its hash does not agree"):
        load(path)


class Hostile:
    """Its pickle would make a folder when it is loaded."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("write", [lambda o, file: pickle.dump(o, file), torch.save])
def test_a_pickle_under_the_name_of_weights_is_not_executed(tmp_path, write):
    path, trap = tmp_path / "best.safetensors", tmp_path / "trap"
    with path.open("wb") as file:
        write(Hostile(trap), file)
    with pytest.raises(RunError, match="is damaged"):
        load_weights(path, nn.Linear(2, 2))
    with pytest.raises(RunError):
        Checkpoints(tmp_path).load_best(nn.Linear(2, 2))
    assert not trap.exists()
    with path.open("rb") as file:  # the trap is a real one
        pickle.load(file) if write is not torch.save else torch.load(file, weights_only=False)
    assert trap.exists()


def test_weights_of_another_model(tmp_path):
    save(tmp_path / "file", nn.Linear(3, 2).state_dict(), "")
    with pytest.raises(RunError, match=r"(?s)the weights of another model: .*size mismatch"):
        load_weights(tmp_path / "file", nn.Linear(2, 2))


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_full_disk_leaves_what_there_was(path, monkeypatch, same, call):
    monkeypatch.setattr(files.os, call, full_disk)
    with pytest.raises(SaveError, match="No space left on device; what was saved before is intact"):
        save(path, {"other": torch.zeros(3)}, "")
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    assert same(load(path).tensors, TENSORS)


def test_a_run_that_may_not_write_large_files_keeps_its_last_checkpoint(tmp_path, small_files):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save({"model": nn.Linear(2, 2)}, Position(epoch=1))
    large = nn.Linear(100, 100)
    with (
        small_files(),
        pytest.raises(SaveError, match="File too large; what was saved before is intact"),
    ):
        checkpoints.save({"model": large}, Position(epoch=2))
    [path] = (tmp_path / "checkpoints").iterdir()
    assert path.name == "000001-00000000.safetensors"
    assert checkpoints.restore({"model": nn.Linear(2, 2)}).epoch == 1


# Runs


def parts(seed=0, name="adamw"):
    """A model whose optimizer has already stepped, and the rest of what is saved."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4), nn.Linear(4, 2))
    optimizer = optim.build(name, model)
    for _ in range(seed + 1):
        optimizer.zero_grad()
        model(torch.randn(6, 4)).square().mean().backward()
        optim.step(optimizer, torch.tensor(0.0))
    return {"model": model, "optimizer": optimizer, "compute": Compute(precision="16")}


def states(of):
    return {name: part.state_dict() for name, part in of.items()}


def position(epoch, update=0, **values):
    return Position(epoch, update, **values)


@pytest.mark.parametrize("name", ["sgd", "adamw", "rmsprop", "muon"])
def test_a_run_comes_back_bitwise(tmp_path, same, name):
    saved, fresh = parts(2, name), parts(0, name)
    saved["compute"].adjust(torch.tensor(1.0))
    stand = position(
        3,
        7,
        sums={"loss": [0.1, 3.0]},
        rows=[{"epoch": 1, "train/loss": 0.1 + 0.2, "validation/loss": float("inf")}],
    )
    Checkpoints(tmp_path).save(saved, stand)
    assert not same(states(fresh), states(saved))
    assert Checkpoints(tmp_path).restore(fresh) == stand
    assert same(states(fresh), states(saved))


def test_figures_that_are_not_numbers_come_back(tmp_path):
    Checkpoints(tmp_path).save({}, position(1, rows=[{"validation/loss": float("nan")}]))
    [row] = Checkpoints(tmp_path).restore({}).rows
    assert row["validation/loss"] != row["validation/loss"]


def test_state_lies_in_memory_as_the_weights_do(tmp_path):
    """Fused optimizers go through both number by number, whatever the shapes say."""
    model = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    images = torch.rand(2, 3, 8, 8).to(memory_format=torch.channels_last)
    optimizer = optim.build("adamw", model)
    model(images).sum().backward()
    optim.step(optimizer, torch.tensor(0.0))
    Checkpoints(tmp_path).save({"optimizer": optimizer}, position(1))
    other = optim.build("adamw", model)
    Checkpoints(tmp_path).restore({"optimizer": other})
    for value in ("exp_avg", "exp_avg_sq"):
        one, two = (o.state[model.weight][value] for o in (optimizer, other))
        assert two.stride() == one.stride() == model.weight.stride()
        assert torch.equal(one, two)


def test_without_a_checkpoint_a_run_begins_at_the_beginning(tmp_path):
    assert Checkpoints(tmp_path).restore({}) == Position()
    assert Memory().restore({}) == Position()


def test_only_the_two_newest_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for epoch, update in [(0, 5), (0, 12), (1, 0), (1, 2), (10, 0)]:
        checkpoints.save({}, position(epoch, update))
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == [
        "000001-00000002.safetensors",
        "000010-00000000.safetensors",
    ]
    assert Checkpoints(tmp_path).restore({}) == position(10)


def test_a_file_that_a_crash_left_half_written_is_passed_over(tmp_path):
    Checkpoints(tmp_path).save({}, position(1))
    (tmp_path / "checkpoints" / f"{files.PREFIX}abc").write_bytes(b"half")
    assert Checkpoints(tmp_path).restore({}) == position(1)


@pytest.fixture
def run(tmp_path):
    """A folder with the checkpoints of two epochs, and the paths of both."""
    checkpoints = Checkpoints(tmp_path)
    for epoch in (1, 2):
        checkpoints.save(parts(epoch), position(epoch))
    return tmp_path, sorted((tmp_path / "checkpoints").iterdir())


def damage(path):
    data = bytearray(path.read_bytes())
    data[-9] ^= 4
    path.write_bytes(data)


def test_a_damaged_checkpoint_is_told_and_the_one_before_is_used(run, same):
    folder, [_, newest] = run
    damage(newest)
    fresh, said = parts(), []
    assert Checkpoints(folder, said.append).restore(fresh) == position(1)
    assert same(states(fresh), states(parts(1)))
    assert said == [
        f"{newest} is damaged (its hash does not agree); going back to the checkpoint before it"
    ]


def test_the_run_goes_on_beside_a_damaged_checkpoint(run):
    folder, [_, newest] = run
    damage(newest)
    checkpoints = Checkpoints(folder, lambda line: None)
    for update in (3, 6, 9):
        checkpoints.save({}, position(1, update))
        assert checkpoints.restore({}) == position(1, update)
    checkpoints.save({}, position(2))
    assert Checkpoints(folder, pytest.fail).restore({}) == position(2)


def test_when_all_are_damaged_the_run_cannot_go_on(run, same):
    folder, paths = run
    for path in paths:
        damage(path)
    fresh, said = parts(), []
    with pytest.raises(RunError, match=r"no checkpoint in .* is whole; start again with --config"):
        Checkpoints(folder, said.append).restore(fresh)
    assert len(said) == 2
    assert same(states(fresh), states(parts()))


@pytest.mark.parametrize(
    "other",
    [
        {"model": nn.Linear(3, 3)},
        {"average": nn.Linear(4, 4)},
        {"optimizer": optim.build("sgd", nn.Linear(4, 4))},
    ],
)
def test_checkpoints_of_another_model(run, other):
    folder, _ = run
    with pytest.raises(
        RunError, match=r"(?s)is of another model or optimizer: .*put config.toml back"
    ):
        Checkpoints(folder, pytest.fail).restore(other)


# The best weights


def with_best(folder, epoch=1, model=None):
    checkpoints = Checkpoints(folder)
    best = checkpoints.keep_best(model or nn.Linear(2, 2), {"epoch": epoch})
    checkpoints.save({}, position(epoch, best=best))
    return folder / "best.safetensors"


def test_the_best_weights_come_back_whatever_became_of_the_model(tmp_path, same):
    for keeper in (Memory(), Checkpoints(tmp_path)):
        model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        keeper.keep_best(model, {"epoch": 1})
        model(torch.rand(5, 3))
        with torch.no_grad():
            model[0].weight.add_(1)
        assert not same(dict(model.state_dict()), before)
        keeper.load_best(model)
        assert same(dict(model.state_dict()), before)


def test_memory_without_a_best_epoch_leaves_the_model_as_it_is(same):
    model = nn.Linear(2, 2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    Memory().load_best(model)
    assert same(dict(model.state_dict()), before)


@pytest.mark.parametrize("harm", [damage, Path.unlink])
def test_a_run_whose_best_weights_are_lost_cannot_go_on(tmp_path, harm):
    harm(with_best(tmp_path))
    with pytest.raises(RunError, match=r"best\.safetensors is .*repeat it with --config .*toml$"):
        Checkpoints(tmp_path).restore({})


def test_the_best_weights_of_another_run_are_found(tmp_path):
    with_best(tmp_path)
    save(tmp_path / "best.safetensors", nn.Linear(2, 2).state_dict(), '{"row": {"epoch": 1}}')
    with pytest.raises(RunError, match="does not hold the best weights of this run"):
        Checkpoints(tmp_path).restore({})


def test_a_crash_between_the_best_weights_and_the_checkpoint_is_harmless(tmp_path):
    """The epoch after the checkpoint comes again and writes the same weights again."""
    with_best(tmp_path, epoch=1)
    Checkpoints(tmp_path).keep_best(nn.Linear(2, 2), {"epoch": 2})
    assert Checkpoints(tmp_path).restore({}).epoch == 1


def test_a_failed_save_keeps_the_old_checkpoints(run, monkeypatch):
    folder, paths = run
    monkeypatch.setattr(checkpoint, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space"):
        Checkpoints(folder).save({}, position(3))
    assert sorted((folder / "checkpoints").iterdir()) == paths


class Versioned(nn.Linear):
    """A module that takes no state without its version, as those of MNASNet."""

    _version = 2

    def _load_from_state_dict(self, state, prefix, metadata, *others):
        if metadata.get("version") is None:
            raise ValueError("version should be set")
        super()._load_from_state_dict(state, prefix, metadata, *others)


def test_modules_that_ask_for_their_version_get_it(tmp_path):
    model, other = nn.Sequential(Versioned(2, 2)), nn.Sequential(Versioned(2, 2))
    save(tmp_path / "best.safetensors", model.state_dict(), "")
    load_weights(tmp_path / "best.safetensors", other)
    assert torch.equal(other[0].weight, model[0].weight)


# Positions that are kept


def kept(folder):
    """Return the epochs that are kept, each with its best weights."""
    paths = Kept(folder, 0).paths()
    assert all(best_beside(path).is_file() for path in paths)
    assert len(list((folder / "kept").glob("*"))) == 2 * len(paths)
    return [int(path.name[:6]) for path in paths]


def walk(folder, epochs, most, begin=0):
    """Save as a run does, an epoch after the other, with a save inside each."""
    model = nn.Linear(2, 2)
    checkpoints = Checkpoints(folder, keep=most)
    position = checkpoints.restore({"model": model})
    for epoch in range(begin, epochs):
        checkpoints.save({"model": model}, Position(epoch, 3, best=position.best))
        position.best = checkpoints.keep_best(model, {"epoch": epoch + 1})
        checkpoints.save({"model": model}, Position(epoch + 1, best=position.best))


@pytest.mark.parametrize("most", [1, 3, 8])
def test_positions_are_kept_evenly_however_long_a_run_becomes(tmp_path, most):
    for epochs in range(1, 5 * most + 2):
        walk(tmp_path, epochs, most, begin=epochs - 1)  # each time, it goes on from before
        found = kept(tmp_path)
        assert found == list(range(found[0], epochs + 1, found[0]))  # evenly, from the beginning
        assert most / 2 <= len(found) <= most or epochs < most
    walk(tmp_path / "at once", epochs, most)
    assert kept(tmp_path / "at once") == found  # a run that was stopped keeps the same


def test_what_is_kept_costs_no_room_while_it_is_the_newest_and_survives_it(tmp_path, same):
    walk(tmp_path, 3, 8)
    newest = tmp_path / "checkpoints" / "000003-00000000.safetensors"
    assert (tmp_path / "kept" / newest.name).samefile(newest)
    assert (tmp_path / "kept" / "000003-best.safetensors").samefile(tmp_path / "best.safetensors")
    assert kept(tmp_path) == [1, 2, 3]
    assert {path.name[:6] for path in (tmp_path / "checkpoints").iterdir()} == {"000002", "000003"}


def test_none_or_fewer_are_kept_where_they_are_large(tmp_path, monkeypatch):
    walk(tmp_path / "none", 3, 0)
    assert not (tmp_path / "none" / "kept").exists()
    walk(tmp_path / "all", 5, 8)
    size = sum(path.stat().st_size for path in (tmp_path / "all" / "kept").glob("000005*"))
    monkeypatch.setattr(checkpoint, "_ROOM", 3 * size + 20)
    walk(tmp_path / "fewer", 5, 8)
    assert kept(tmp_path / "fewer") == [2, 4]
    for name in ("a", "b"):  # members share the room
        walk(tmp_path / "members" / name, 5, 8)
    assert [kept(tmp_path / "members" / name) for name in ("a", "b")] == [[2, 4], [4]]
    monkeypatch.setattr(checkpoint, "_ROOM", size // 2)
    walk(tmp_path / "too large", 3, 8)
    assert kept(tmp_path / "too large") == []


def test_what_cannot_be_kept_stops_no_training(tmp_path, capsys):
    """Its checkpoint is safe: a position to compute again from is one thing more."""
    (tmp_path / "kept").write_text("a file where the folder would be")
    walk(tmp_path, 3, 8)
    assert (tmp_path / "checkpoints" / "000003-00000000.safetensors").is_file()
    assert capsys.readouterr().out.count("no more positions are kept: could not write") == 1


def test_what_a_kill_kept_from_being_kept_is_kept_by_the_resume(tmp_path):
    walk(tmp_path, 2, 8)
    for path in (tmp_path / "kept").glob("000002*"):
        path.unlink()
    Checkpoints(tmp_path, keep=8).restore({"model": nn.Linear(2, 2)})
    assert kept(tmp_path) == [1, 2]


def test_what_a_kill_kept_from_being_deleted_is_deleted_by_the_resume(tmp_path, monkeypatch):
    real, kills = Path.unlink, []

    def kill(path, **options):
        kills.append(path.name)
        real(path, **options)
        raise KeyboardInterrupt

    walk(tmp_path, 3, 3)
    with monkeypatch.context() as patch:
        patch.setattr(
            checkpoint.Path,
            "unlink",
            lambda path, **options: (
                kill(path, **options)
                if path.parent.name == "kept" and path.name[5] == "1"
                else real(path, **options)
            ),
        )
        with pytest.raises(KeyboardInterrupt):
            walk(tmp_path, 4, 3, begin=3)
    assert len(kills) == 1
    Checkpoints(tmp_path, keep=3).restore({"model": nn.Linear(2, 2)})
    assert {path.name[:6] for path in (tmp_path / "kept").iterdir()} == {"000002", "000004"}


def test_where_the_disk_knows_no_links_positions_are_copied(tmp_path, monkeypatch):
    def refuse(*paths):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    walk(tmp_path, 3, 2)
    assert kept(tmp_path) == [2]
    assert load(tmp_path / "kept" / "000002-00000000.safetensors")
