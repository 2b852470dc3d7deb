"""A run that was tampered with is found: by its receipt, and where that is forged, too, by itself.

Tampering is done to the files, with hashes that agree again, as one does who has the sources.
"""

import csv
import itertools
import json
import shutil
from pathlib import Path

import pytest
import torch

from common.options.config import build
from common.runs.conclude import conclusion_of
from common.runs.folder import Run
from common.runs.proof.judge import Verdict, judge_rows
from common.runs.proof.verify import Verifier
from common.training import checkpoint
from labs.classification.__main__ import lab
from labs.classification.config import ClassificationConfig
from labs.classification.job import ClassifyImages

SAME, NEAR, OTHER = Verdict
HALF = {"train": 16}


def disturb(path, by, only=""):
    """Change weights in a file, whose hash agrees afterwards."""
    loaded, chance = checkpoint.load(path), torch.Generator().manual_seed(0)
    changed = {
        name: tensor + by * torch.randn(tensor.shape, generator=chance)
        if only in f"{name}." and tensor.is_floating_point()
        else tensor
        for name, tensor in loaded.tensors.items()
    }
    checkpoint.save(path, changed, loaded.text)


def forge_rows(case, everywhere):
    """Make the first epoch better than it was: in the history, or wherever it is kept."""

    def change(rows):
        for row in rows:
            if row["epoch"] == 1:
                row["validation/accuracy"] += 0.001

    rows = case.run.history
    change(rows)
    case.run.write_history(rows)
    places = [*case.run.path.glob("kept/*-0*"), *case.run.path.glob("checkpoints/*")]
    for path in places if everywhere else ():
        loaded = checkpoint.load(path)
        text = json.loads(loaded.text)
        change(text["position"]["rows"])
        checkpoint.save(path, loaded.tensors, json.dumps(text))


def test_an_honest_run_has_the_same_bits(case):
    found = case.look()
    assert (found.verdict, found.difference, found.remarks) == (SAME, "", [])
    assert found.again == found.total > 0
    assert {each.what for each in found.checks} >= {
        *("receipt", "history", "data", "best epoch", "answers, validation", "answers, test"),
        *("epochs 1 to 2", "epochs 3 to 4", "epoch 5", "epoch 6"),
    }


@pytest.mark.slow
def test_what_is_computed_again_is_drawn_by_the_seed_and_holds_the_best_epoch(case):
    drawn = []
    for seed in (0, 0, 1, 2):
        found = case.look(updates=1, seed=seed)
        assert 0 < found.again < found.total
        drawn.append(tuple(each.what for each in found.checks if each.what.startswith("epoch")))
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 1
    assert len({each[0] for each in drawn}) == 1  # where the best epoch is
    assert all(len(each) == 2 for each in drawn)


@pytest.mark.parametrize("forged", [False, True])
def test_tampered_weights_are_found(case, forged):
    disturb(case.run.best, 0.1)
    if forged:
        case.write_receipt_again()
    found = case.look()
    assert found.verdict is OTHER
    expected = "answers" if forged else "receipt: best.safetensors is not the one of the receipt"
    assert found.difference.startswith(expected)


def test_weights_whose_answers_are_forged_are_found_by_training_again(case):
    disturb(case.run.best, 0.03)
    job = ClassifyImages.open_trained(case.run.path)
    outputs = job.predict_splits(job.load_splits())
    case.change("receipt", lambda known: known.update(answers=hashes(outputs)))
    case.change(
        "metrics", lambda known: [known[n].update(measure(job, outputs, n)) for n in outputs]
    )
    case.write_receipt_again()
    found = case.look()
    assert found.verdict is OTHER
    assert "the best weights" in found.difference


@pytest.mark.parametrize("forged", [False, True])
def test_tampered_metrics_are_found(case, forged):
    case.change("metrics", lambda known: known["test"].update(accuracy=0.999))
    if forged:
        case.write_receipt_again()
    found = case.look()
    assert found.verdict is OTHER
    assert ("accuracy is" if forged else "metrics.json is not") in found.difference


@pytest.mark.parametrize("change", [{"device": "mps"}, {"processes": 2}, {"resumed": [{}]}])
def test_where_it_was_trained_cannot_be_changed_unseen(case, change):
    case.change("environment", lambda about: about.update(change))
    found = case.look()
    assert found.verdict is OTHER
    assert found.difference == "receipt: environment.json is not the one of the receipt"


@pytest.mark.parametrize("forged", ["no", "receipt", "all"])
def test_a_tampered_history_is_found(case, forged):
    forge_rows(case, everywhere=forged == "all")
    if forged != "no":
        case.write_receipt_again()
    found = case.look()
    assert found.verdict is OTHER
    expected = {
        "no": "receipt: history.jsonl is not",
        "receipt": "history, epoch 1: validation/accuracy",
        "all": "epochs 1 to 2: epoch 1: validation/accuracy",
    }
    assert found.difference.startswith(expected[forged])


def test_a_row_may_lack_a_time_and_nothing_else():
    row = {"epoch": 1, "train/loss": 0.5}
    timed, other = {**row, "samples_per_second": 9.0}, {**row, "train/kl": 0.1}
    assert [check.verdict for check in judge_rows([row], [timed], None)] == [SAME]
    assert OTHER in [check.verdict for check in judge_rows([row], [other], None)]


@pytest.mark.parametrize("forged", [False, True])
def test_tampered_data_are_found(case, digits, forged):
    targets = digits.targets[:200].clone()
    targets[::20] = (targets[::20] + 1) % 10
    case.relabel(targets)
    if forged:
        _, card = ClassifyImages.load(ClassifyImages.reopen(case.run.path).config)
        case.change("data", lambda known: known.update(fingerprint=card.fingerprint))
        case.write_receipt_again()
    found = case.look()
    assert found.verdict is OTHER
    assert found.difference.startswith("answers" if forged else "data: they are not those")


@pytest.mark.parametrize("forged", [False, True])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("learning_rate = 0.01", "learning_rate = 0.012"),
        ("weight_decay = 0.0", "weight_decay = 0.1"),
        ("seed = 0", "seed = 1"),
        ("epochs = 6", "epochs = 5"),
    ],
)
def test_a_tampered_config_is_found(case, old, new, forged):
    case.change_config(old, new)
    if forged:
        case.write_receipt_again()
    found = case.look()
    assert found.verdict is OTHER
    expected = ("epoch", "files: config.toml asks for another optimizer")
    assert found.difference.startswith(expected if forged else "receipt: config.toml")


def test_what_changes_no_result_may_change(case):
    case.change_config("workers = 2", "workers = 0")
    assert case.look(updates=0).verdict is SAME


@pytest.mark.slow
def test_a_forged_stretch_is_found_only_where_it_is_computed_again(case):
    """Whoever forges a part of a run is found with the chance that this part is drawn."""
    forge_rows(case, everywhere=True)
    case.write_receipt_again()
    verdicts = {seed: case.look(updates=1, seed=seed).verdict for seed in range(4)}
    assert set(verdicts.values()) == {SAME, OTHER}


@pytest.mark.parametrize("device", ["cpu (32-bit)", "cuda:0 NVIDIA H200 (32-bit)"])
def test_other_bits_are_remarked_on_the_machine_and_the_device_of_the_run_alone(case, device):
    case.change("environment", lambda about: about.update(device=device))
    (case.run.path / "receipt.json").unlink()
    for path in case.run.path.glob("kept/*-0*"):
        disturb(path, 1e-6, only="model/")
    found = case.look()
    assert found.verdict is NEAR
    same = any("the run names this very machine" in remark for remark in found.remarks)
    assert same == device.startswith("cpu")


def test_rounding_of_another_machine_is_told_from_another_run(case):
    for path in case.run.path.glob("kept/*-0*"):
        disturb(path, 1e-6, only="model/")
    found = case.look()
    assert found.verdict is NEAR
    assert str(found.verdict) == "same within tolerance (another machine)"
    for path in case.run.path.glob("kept/*-0*"):
        disturb(path, 0.3, only="model/")
    assert case.look().verdict is OTHER


def test_a_position_of_another_model_is_not_of_this_run(case):
    for path in case.run.path.glob("kept/000004-0*"):
        loaded = checkpoint.load(path)
        renamed = {name.replace("model/", "model/x."): x for name, x in loaded.tensors.items()}
        checkpoint.save(path, renamed, loaded.text.replace('"model/', '"model/x.'))
    found = case.look()
    assert found.verdict is OTHER
    assert "inf of the way apart" in found.difference
    for path in case.run.path.glob("kept/*-0*"):
        checkpoint.save(path, {}, checkpoint.load(path).text)
    assert "is damaged: it has no tensor" in case.look().difference


def test_what_the_optimizer_remembers_is_compared_too(case):
    for path in case.run.path.glob("kept/000004-0*"):
        disturb(path, 1e-7, only="exp_avg.")
    found = case.look()
    assert found.verdict is OTHER
    assert "the weights at its end are inf" in found.difference


def test_a_run_of_before_is_verified_from_its_last_positions(case):
    (case.run.path / "receipt.json").unlink()
    for path in case.run.path.glob("kept/*"):
        path.unlink()
    found = case.look()
    assert found.verdict is SAME
    assert [each.what for each in found.checks][-2:] != []
    assert any("no receipt" in remark for remark in found.remarks)
    assert any("kept no positions" in remark for remark in found.remarks)
    assert found.again == found.total


def test_another_device_computes_in_the_precision_of_the_run(case):
    assert ClassifyImages.reopen(case.run.path, "cpu").config.precision == "32"


def test_a_run_that_is_made_longer_is_itself_before_it_goes_on(case):
    case.run.lengthen(8)
    found = case.look()
    assert found.verdict is SAME, found.difference
    assert "the run has no receipt: it is not finished" in found.remarks


def test_the_data_may_have_moved(case, tmp_path):
    moved = tmp_path / "elsewhere.npz"
    (case.run.path.parents[1] / "digits.npz").rename(moved)
    found = Verifier(ClassifyImages, case.run, data=str(moved)).look(0, 0)
    assert found.verdict is SAME


def test_a_run_of_two_processes_is_computed_in_their_parts(case):
    assert case.run.read("environment")["processes"] == 1
    case.change("environment", lambda about: about.update(processes=2))
    case.write_receipt_again()
    found = case.look()
    assert found.verdict is NEAR
    assert any("trained in 2 processes" in remark for remark in found.remarks)


def test_an_epoch_that_was_cut_short_is_left_out_and_said(case):
    rows = case.run.history
    case.run.write_history([*rows[:-1], {**rows[-1], "updates": 2}])
    for path in [*case.run.path.glob("kept/000006*"), *case.run.path.glob("checkpoints/000006*")]:
        path.unlink()
    case.write_receipt_again()
    assert case.look().difference.startswith("epoch 6: it has fewer updates than an epoch")
    case.run.write("time", {})
    found = case.look()
    assert found.verdict is SAME
    assert any("ended inside of epoch 6" in remark for remark in found.remarks)
    assert found.again < found.total


def test_of_what_nothing_was_trained_again_there_is_no_verdict(case, command):
    """A run that time ended inside of its second epoch, before it kept a position."""
    run = case.run
    first, second, *_ = run.history
    shutil.copyfile(run.path / "kept" / "000002-best.safetensors", run.best)
    for name in ("kept", "checkpoints"):
        shutil.rmtree(run.path / name)
    for name in ("receipt", "metrics"):
        (run.path / f"{name}.json").unlink()
    run.write_history([first, {**second, "updates": 2}])
    run.write("time", {})
    done = command(lab, "verify", run.path)
    assert done.code == 0, done.err
    assert "Verdict: not verified." in done.out
    assert "0 of 10 updates were computed again." in done.out


def test_epochs_that_say_to_be_cut_hide_nothing(case):
    case.run.write("time", {})
    rows = [{**row, "updates": 2} for row in case.run.history]
    case.run.write_history(rows)
    case.write_receipt_again()
    found = case.look()
    assert (found.verdict, found.again) == (OTHER, 0)
    assert found.difference.startswith("epoch 1: it has fewer updates than an epoch")


def test_parts_that_the_memory_had_room_for_make_no_other_run(case):
    """A position says that half a batch fitted, and the rows do not: here it is cut, there not."""
    for path in case.run.path.glob("kept/*-0*"):
        checkpoint.change(path, lambda states, position: position.update(micro_batches=HALF))
    found = case.look()
    assert found.verdict is NEAR, found.difference
    assert found.again == found.total


@pytest.mark.parametrize(("mixup", "first", "expected"), [(0.0, 12, NEAR), (1.0, 1, None)])
def test_memory_that_was_full_on_another_machine_makes_no_other_run(
    original, silent, tmp_path, mixup, first, expected
):
    """Nor does mixup, whose pairs are those of a part: then there is no verdict."""
    given = {**original.given, "run_dir": str(tmp_path), "mixup": mixup, "epochs": 4}
    job, splits = ClassifyImages.start(build(ClassificationConfig, ("test", given)), ["run"])
    passes = itertools.count()

    def fill(module, inputs):
        if len(inputs[0]) > 16 and next(passes) > first:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    hook = job.model.register_forward_pre_hook(fill)
    job.train(splits, silent, print)
    hook.remove()
    conclusion_of(job).conclude_member(splits)
    assert job.run.history[2]["micro_batch"] == 16
    found = Verifier(ClassifyImages, job.run).look(1000, 0)
    assert found.verdict is expected, found.difference
    said = any("the memory was full in epochs" in each for each in found.remarks)
    assert said == (expected is None)


def test_runs_of_a_folder_have_a_line_each_and_one_that_is_not_itself_an_exit_code(
    case, command, tmp_path
):
    folder = case.run.path.parent
    shutil.copytree(case.run.path, folder / "two")
    disturb(folder / "two" / "best.safetensors", 0.1)
    shutil.copytree(case.run.path, folder / "three")
    (folder / "three" / "data.json").write_text("{", "utf-8")
    out = tmp_path / "verdicts.csv"
    words = ("verify", folder, "--updates", 0, "--seed", 1, "--format", "csv", "--output", out)
    done = command(lab, *words)
    assert done.code == 1, done.err
    assert "the same again: --seed 1" in done.err
    rows = csv.DictReader(out.read_text("utf-8").splitlines())
    verdicts = {Path(row["run"]).name: row for row in rows}
    assert verdicts["one"]["verdict"] == "same bits"
    assert verdicts["two"]["verdict"] == "not this run"
    assert "best.safetensors is not the one of the receipt" in verdicts["two"]["first difference"]
    assert verdicts["three"]["verdict"] == "not this run"
    assert "data.json is damaged" in verdicts["three"]["first difference"]
    assert command(lab, "verify", tmp_path / "nothing").code == 2


BROKEN = {  # what is done to a hand-in, and what is said of it
    "no history": (lambda run: (run.path / "history.jsonl").unlink(), "history.jsonl is missing"),
    "no weights": (lambda run: run.best.unlink(), "best.safetensors is missing"),
    "no answers": (lambda run: run.write("receipt", {}), "receipt.json is damaged"),
    "a list": (lambda run: run.write("receipt", []), "receipt.json is damaged"),
    "another lab": (
        lambda run: run.write("environment", {**run.read("environment"), "lab": "x"}),
        "a run of labs.x, which is not here",
    ),
    "no card": (lambda run: run.write("data", []), "cannot be read: TypeError"),
    "no config": (lambda run: run.config.write_text("=", "utf-8"), "config.toml"),
}


def test_a_broken_hand_in_has_its_line_and_stops_nothing(case, command, tmp_path):
    folder = case.run.path.parent
    for name, (damage, _) in BROKEN.items():
        damage(Run(shutil.copytree(case.run.path, folder / name)))
    out = tmp_path / "verdicts.csv"
    done = command(lab, "verify", folder, "--updates", 0, "--format", "csv", "--output", out)
    assert done.code == 1, done.err
    lines = csv.DictReader(out.read_text("utf-8").splitlines())
    rows = {Path(row["run"]).name: row for row in lines}
    assert rows.keys() == {"one", *BROKEN}
    assert rows["one"]["verdict"] == "same bits"
    for name, (_, said) in BROKEN.items():
        assert rows[name]["verdict"] != "same bits"
        assert said in rows[name]["first difference"] + rows[name]["remarks"]


def hashes(outputs):
    return {name: checkpoint.hash_tensors(each) for name, each in outputs.items()}


def measure(job, outputs, name):
    return conclusion_of(job).figures(outputs[name], job.load_splits()[name])
