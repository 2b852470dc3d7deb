"""What a user may do wrong: exit 2, one clear message, and nothing left behind."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

SMALL = ("--data", "digits", "--limit", "60", "--model", "linear", "--augment", "none")
HEAVY = ("torch", "numpy", "matplotlib", "sklearn", "scipy", "PIL", "ultralytics")


@pytest.fixture
def refused(lab, tmp_path):
    """Return a function that gives what a refused training says; no run folder may be left."""

    def call(*words, code=2):
        runs = tmp_path / "runs"
        before = sorted(runs.rglob("*"))
        result = lab("train", *SMALL, "--run-dir", runs, *words)
        assert result.code == code, result
        assert result.out == ""
        assert "Traceback" not in result.err
        assert sorted(runs.rglob("*")) == before
        return result.err

    return call


@pytest.fixture(scope="module")
def finished(lab, tmp_path_factory):
    """Return the folder of a finished run of one epoch; tests leave it as it is."""
    runs = tmp_path_factory.mktemp("finished")
    words = ("--run-dir", runs, "--name", "done", "--epochs", "1", "--warmup", "0")
    result = lab("train", *SMALL, *words)
    assert result.code == 0, result
    return runs / "classification/done"


def digest(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


# Nothing heavy before it is needed


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["--help"], 0, "train"),
        ([], 2, "train"),
        (["train", "--help"], 0, "--learning-rate"),
        (["evaluate", "--help"], 0, "--split"),
        (["predict", "--help"], 0, "--top"),
        (["report", "--help"], 0, "RUN"),
        (["augment", "--help"], 0, "--write"),
        (["augment", "digits", "--augment", "afine"], 2, "did you mean affine?"),
        (["summary", "--help"], 0, "--depth"),
        (["summary"], 0, "resnet18"),
        (["trian"], 2, "did you mean train?"),
        (["train", "--epcohs", "3"], 2, "did you mean --epochs?"),
        (["train", "--model", "lenet"], 2, "did you mean lenet5?"),
        (["train", "--config", "/nothing/config.toml"], 2, "no such file"),
        (["train", "--resume", "x", "--batch-size", "3"], 2, "only --device goes with"),
        (["summary", "resnet81"], 2, "did you mean resnet18?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_help_and_typos_are_answered_without_anything_heavy(words, code, expected):
    script = (
        "import atexit, sys\n"
        f"heavy = lambda: [name for name in {HEAVY} if name in sys.modules]\n"
        "atexit.register(lambda: print('HEAVY', heavy()))\n"
        f"sys.argv = ['lab', *{words!r}]\n"
        "from labs.classification.__main__ import lab\n"
        "lab.main()\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == code
    assert "HEAVY []" in result.stdout
    assert expected in result.stdout + result.stderr


def test_the_module_itself_answers_as_the_group_does():
    words = [sys.executable, "-m", "labs.classification", "trian"]
    result = subprocess.run(words, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.startswith("Usage: python -m labs.classification ")


# Options


def test_everything_that_is_wrong_is_told_at_once(lab, tmp_path):
    path = tmp_path / "my.toml"
    path.write_text('epohcs = 3\nbatch_size = "many"\nseed = 1.5\n')
    result = lab(
        *("train", "--config", path, "--modle", "linear", "--model", "resnet19"),
        *("--learning-rate", "0", "--augment", "afine,zzz,hflip", "--schedule", "cosin"),
        *("--precision", "8", "--epochs", "x", "--recipe", "fast", "extra"),
    )
    assert result.code == 2
    lines = result.err.splitlines()
    assert len(lines) == 13
    for number, start in enumerate(
        (
            "no option --modle; did you mean --mode?",
            "unexpected argument 'extra'",
            "--recipe fast: no such recipe; there are: ",
            f"{path}: epohcs: no such key; did you mean epochs?",
            f"{path}: batch_size many: expected a whole number",
            f"{path}: seed 1.5: expected a whole number",
        )
    ):
        assert lines[number].startswith(f"Error: {start}"), lines[number]
    rest = "\n".join(lines[6:])
    for problem in (
        "--model resnet19: expected one of 98 names; did you mean resnet18?",
        "--learning-rate 0: expected a number above 0",
        "--schedule cosin: expected one of none, step, cosine",
        "--precision 8: expected one of auto, 32, bf16, 16",
        "--epochs x: expected a whole number",
        "--augment afine: expected some of affine, color",
        "--augment zzz: expected some of affine, color",
    ):
        assert f"Error: {problem}" in rest


def test_a_file_that_is_no_config_is_refused(refused, tmp_path):
    (tmp_path / "bad.toml").write_text("epochs 3")
    assert "not a TOML file" in refused("--config", tmp_path / "bad.toml")
    assert "not a TOML file" in refused("--config", tmp_path)
    assert "RUN/config.toml" in refused("--config", tmp_path / "nothing.toml")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--device", "gpu"], "expected auto, cpu, cuda, cuda:N or mps"),
        (["--device", "cuda:77"], "--device cuda:77: "),
        (["--limit", "9"], "expected a whole number at least 10"),
        (["--image-size", "0"], "at least 1"),
        (["--optimizer", "muon"], "needs a linear layer between the first and the last"),
        (["--monitor", "validation/acc"], "did you mean validation/accuracy? reported: train/loss"),
        (["--monitor", "accuracy"], "reported: train/loss, validation/loss, validation/accuracy"),
        (["--monitor", "validation/mae"], "no epoch reports that figure"),
        (["--loss", "mse", "--monitor", "validation/f1"], "no epoch reports that figure"),
        (["--loss", "mse", "--imbalance", "class-weights"], "--imbalance: numbers have no classes"),
        (["--loss", "mae", "--mixup", "0.2"], "--mixup: blends classes; drop it or --loss mae"),
        (["--loss", "mse", "--per-class", "5"], "--per-class: numbers have no classes"),
        (["--mixup", "-1"], "--mixup -1: expected a number at least 0"),
        (["--imbalanced", "0.5"], "--imbalanced 0.5: expected a number at least 1"),
        (["--per-class", "0"], "--per-class 0: expected a whole number at least 1"),
        (["--cutmix", "1", "--micro-batch", "1"], "--micro-batch 1: --mixup and --cutmix blend"),
        (["--mixup", "1", "--batch-size", "1"], "--batch-size 1: --mixup and --cutmix blend"),
        (["--imbalance", "augment-rare"], "--imbalance augment-rare: needs --augment"),
        (["--imbalance", "class-weigths"], "did you mean class-weights?"),
        (["--model", "lenet5", "--image-size", "8"], "lenet5 needs at least 12x12 pixels"),
        (["--model", "lenet5", "--image-size", "11"], "give --image-size 28, or --model mlp"),
        (["--model", "lenet5", "--image-size", "16", "--augment", "crop:11"], "11x11"),
        (["--model", "vgg11", "--image-size", "16"], "vgg11 needs at least 32x32 pixels"),
        (["--augment", "crop:9"], "crop:9 needs images of at least 9 pixels a side, given 8"),
        (["--augment", "crop"], "expected 1 value(s) (size), not 0; example: crop:52"),
        (["--augment", "affine:x"], "degrees must be a number"),
        (["--augment", "erase:2", "--seed", "x"], "--seed x"),
        (["--name", "../x"], "--name ../x: expected letters, digits"),
        (["--name", "a/b"], "--name a/b: expected letters, digits"),
        (
            ["--data", "dgits"],
            "fashion-mnist, cifar10; did you mean digits?",
        ),
        (["--data", "no/such/place"], "no such folder or file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_option_is_refused_and_leaves_no_run(words, expected, refused):
    assert expected in refused(*words)


def test_the_smallest_limit_trains(train):
    result, run = train("--limit", "10", "--epochs", "1")
    assert result.code == 0
    counts = json.loads((run / "data.json").read_text())["counts"]
    assert counts == {"train": 10, "validation": 10, "test": 10}  # one of each class


# Run folders


def test_a_name_that_is_taken_is_refused_and_left_alone(refused, lab, finished):
    before = digest(finished)
    result = lab("train", *SMALL, "--run-dir", finished.parents[1], "--name", "done")
    assert result.code == 2
    assert f"go on with --resume {finished}" in result.err
    assert digest(finished) == before


def test_a_run_dir_below_a_file_is_refused(lab, tmp_path):
    (tmp_path / "file").write_text("")
    for run_dir in (tmp_path / "file", tmp_path / "file/below"):
        result = lab("train", *SMALL, "--run-dir", run_dir)
        assert result.code == 2
        assert "Not a directory; choose another --run-dir" in result.err


@pytest.mark.slow
def test_korean_names_are_read_in_any_locale():
    words = [sys.executable, "-m", "labs.classification", "train", "--config", "없는/설정.toml"]
    environment = {**os.environ, "PYTHONUTF8": "0", "LC_ALL": "C"}
    result = subprocess.run(words, capture_output=True, env=environment)
    assert "Error: --config 없는/설정.toml: no such file" in result.stderr.decode("utf-8")


@pytest.mark.parametrize("words", [["train", "--resume"], ["evaluate"], ["report"]])
def test_what_is_no_run_is_refused(words, lab, finished, tmp_path):
    for path in (tmp_path / "nothing", tmp_path, finished.parent):
        result = lab(*words, path)
        assert result.code == 2
        assert f"{path} is not a run folder (no config.toml in it)" in result.err
    assert str(finished) in result.err  # a run nearby


@pytest.mark.parametrize(
    "words",
    [["--batch-size", "9"], ["--recipe", "x"], ["--config", "x"], ["--epcohs", "9"], ["extra"]],
)
def test_resume_takes_nothing_else(words, lab, finished):
    before = digest(finished)
    result = lab("train", "--resume", finished, *words)
    assert result.code == 2
    assert "only --device goes with" in result.err
    assert digest(finished) == before


def test_a_finished_run_has_nothing_to_resume(lab, finished):
    before = digest(finished)
    result = lab("train", "--resume", finished)
    assert result.code == 0
    assert f"{finished} is finished: nothing to do" in result.err
    assert "Best epoch 1;" in result.out
    assert digest(finished) == before


def test_a_run_is_made_longer_not_shorter(lab, finished, tmp_path):
    before = digest(finished)
    result = lab("train", "--resume", finished, "--epochs", "1")
    assert result.code == 2
    assert "--epochs 1: " in result.err
    assert "has 1 epochs already; give more than that" in result.err
    assert digest(finished) == before


def test_an_unfinished_run_has_no_weights_and_no_report_yet(lab, finished, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    for name in ("config.toml", "environment.json", "data.json"):
        shutil.copy(finished / name, run)
    result = lab("evaluate", run)
    assert result.code == 2
    assert "best.safetensors is missing" in result.err
    result = lab("report", run)
    assert result.code == 2
    assert f"metrics.json is missing; go on with the run: train --resume {run}" in result.err


@pytest.mark.parametrize(
    ("name", "damage", "expected"),
    [
        ("config.toml", b"epochs = ", "not a TOML file"),
        ("config.toml", b"modell = 'linear'\n", "did you mean model?"),
        (
            "config.toml",
            b"model = 'mlp'\ndata = 'digits'\naugment = []",
            "weights of another model",
        ),
        ("data.json", b"{", "data.json is damaged"),
        ("environment.json", b"", "environment.json is damaged"),
        ("environment.json", b'{"lab": "rnn"}', "a run of labs.rnn, not of labs.classification"),
        ("best.safetensors", b"abc", "best.safetensors is damaged"),
    ],
)
def test_a_damaged_run_is_refused(name, damage, expected, lab, finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (run / name).write_bytes(damage)
    result = lab("evaluate", run)
    assert result.code == 2
    assert expected in result.err


def test_weights_cut_short_or_changed_by_a_bit_are_refused(lab, finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    whole = (run / "best.safetensors").read_bytes()
    flipped = bytearray(whole)
    flipped[-100] ^= 1
    for data in (whole[:-1], whole[: len(whole) // 2], bytes(flipped), b""):
        (run / "best.safetensors").write_bytes(data)
        result = lab("evaluate", run)
        assert result.code == 2
        assert "best.safetensors is damaged" in result.err


# Data


@pytest.fixture
def folder(paint, tmp_path):
    """Return a folder of two classes with 4 pictures each."""
    for name, level in (("개", 0), ("고양이", 180)):
        for number in range(4):
            paint(tmp_path / "사진" / name / f"{number}.png", level)
    return tmp_path / "사진"


def test_odd_pictures_are_left_out_by_name_or_converted_and_never_touched(train, paint, folder):
    odd = folder / "개"
    (odd / "empty.jpg").write_bytes(b"")
    (odd / "text.jpg").write_text("this is no picture")
    data = paint(odd / "cut.jpg", 0, size=(64, 64)).read_bytes()
    (odd / "cut.jpg").write_bytes(data[: len(data) // 2])
    paint(odd / "cmyk.jpg", 0, mode="CMYK")
    deep = np.arange(144, dtype=np.uint16).reshape(12, 12) * 400
    Image.fromarray(deep).save(odd / "deep.png")
    paint(odd / "one.png", 0, size=(1, 1))
    (odd / "notes.txt").write_text("ignored")
    before = digest(folder)

    result, run = train("--data", folder, "--image-size", "8")
    assert result.code == 0, result
    card = json.loads((run / "data.json").read_text())
    assert sum(card["counts"].values()) == 11
    assert card["classes"] == ["개", "고양이"]
    skipped = dict(card["skipped"])
    assert set(skipped) == {"개/cut.jpg", "개/empty.jpg", "개/text.jpg"}
    for name, reason in skipped.items():
        assert f"skipped {name}: {reason}\n" in result.err
    assert digest(folder) == before


def test_many_skipped_files_are_counted_not_listed(train, folder):
    for number in range(14):
        (folder / "개" / f"bad{number:02}.jpg").write_bytes(b"")
    result, run = train("--data", folder, "--image-size", "8", "--epochs", "1")
    assert result.err.count("empty file") == 10
    assert f"skipped 4 more; all are listed in {run}/data.json" in result.err
    assert len(json.loads((run / "data.json").read_text())["skipped"]) == 14


def test_three_pictures_a_class_are_enough(train, lab, folder):
    for path in folder.glob("*/3.png"):
        path.unlink()
    result, run = train("--data", folder, "--image-size", "8", full=True)
    assert result.code == 0
    assert json.loads((run / "data.json").read_text())["counts"]["train"] == 2


@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_class_with_too_few_pictures_is_named(left, refused, folder):
    for path in sorted((folder / "개").iterdir())[left:]:
        path.unlink()
    err = refused("--data", folder, "--image-size", "8")
    assert f"개: {left or 'no'} images, at least 3 needed" in err


def test_a_class_with_too_few_readable_pictures_is_named(refused, folder):
    for path in sorted((folder / "개").iterdir())[2:]:
        path.write_bytes(b"")
    err = refused("--data", folder, "--image-size", "8")
    assert "개: 2 readable images, at least 3 needed" in err
    assert "left out: 개/2.png: empty file" in err


def test_one_class_is_not_enough(refused, folder):
    shutil.rmtree(folder / "고양이")
    assert "only one class, '개'; a classifier needs two" in refused("--data", folder)


def test_a_folder_without_classes_is_told_how_they_are_laid_out(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "expected one folder per class" in refused("--data", tmp_path / "empty")


def test_numbers_need_a_table(refused, folder):
    assert "--loss mse predicts numbers; give a CSV" in refused("--data", folder, "--loss", "mse")


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("file,label\n개/0.png,a\n", [], "images from column 'file', labels from 'label'"),
        ("path,lable,x\n개/0.png,a,b\n", [], "none is called as labels are"),
        ("path,label\n개/0.png,a\n", ["--label-column", "y"], "no column 'y'"),
        ("path,label\n개/0.png,\n개/1.png,a\n", [], "left out: 표.csv:2: no label"),
        ("path,label\n개/9.png,a\n", [], "1 x no such image file: line 2 (개/9.png)"),
        (
            "path,label\n개/0.png,a\n개/0.png,b\n",
            [],
            "another label elsewhere: line 2 (개/0.png, see line 3)",
        ),
        ("path,label\n개/0.png,tall\n", ["--loss", "mse"], "not a finite number: line 2 (tall)"),
        ("path,label\n개/0.png,nan\n", ["--loss", "mae"], "not a finite number: line 2 (nan)"),
        ("path,label\n개/0.png,1\n개/1.png,2\n", ["--loss", "mse"], "at least 3 needed"),
        ("path,label\n개/0.png,a\n개/1.png,a\n", [], "a: 2 readable images, at least 3 needed"),
        ("", [], "none, it is empty"),
        ("path,label\n", [], "no row that can be used"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(text, words, expected, refused, folder):
    (folder / "표.csv").write_text(text, encoding="utf-8")
    assert expected in refused("--data", folder / "표.csv", *words)


def test_a_table_with_one_class_is_refused(refused, folder):
    rows = "".join(f"개/{number}.png,a\n" for number in range(4))
    (folder / "표.csv").write_text("path,label\n" + rows, encoding="utf-8")
    assert "only one class, 'a'" in refused("--data", folder / "표.csv")


def test_data_that_has_changed_is_refused(train, lab, paint, folder):
    _, run = train("--data", folder, "--image-size", "8", "--epochs", "1")
    assert lab("evaluate", run).code == 0
    paint(folder / "개" / "new.png", 0)
    for command in (["evaluate"], ["report"]):
        result = lab(*command, run)
        assert result.code == 2
        assert f"the data of {run} has changed since it was trained" in result.err
        assert "4 train, 2 validation, 2 test then, 5 train, 2 validation, 2 test now" in result.err
    (folder / "개" / "new.png").unlink()
    assert lab("evaluate", run).code == 0
    shutil.rmtree(folder)
    result = lab("evaluate", run)
    assert result.code == 2
    assert f"{folder}: no such folder or file" in result.err


def test_pixels_that_have_changed_are_noticed(train, lab, paint, folder):
    _, run = train("--data", folder, "--image-size", "8", "--epochs", "1")
    paint(folder / "개" / "0.png", 90)
    assert "has changed since it was trained" in lab("evaluate", run).err


# Runs that cannot go on


@pytest.mark.parametrize(
    "words",
    [
        ["--model", "mlp", "--batch-size", "8"],  # the loss becomes NaN
        ["--model", "mlp", "--batch-size", "8", "--loss", "mse"],
        ["--model", "mlp", "--batch-size", "8", "--save-every", "0.001"],
    ],
)
def test_a_loss_that_is_not_finite_ends_the_run_with_its_place(words, train):
    result, run = train(*words, "--learning-rate", "1e30")
    assert result.code == 1
    assert "in epoch 1, batch 2; that step was not applied. Try a lower --learning-r" in result.err
    assert not (run / "metrics.json").exists()


@pytest.mark.parametrize("loss", ["cross-entropy", "mse"])
def test_outputs_that_are_not_finite_end_the_run(loss, train):
    """With one update an epoch the loss is still fine; the weights after it are not."""
    words = ("--model", "mlp", "--batch-size", "100", "--learning-rate", "1e38", "--loss", loss)
    result, _ = train(*words)
    assert result.code == 1
    assert "outputs became NaN or infinite. Try a lower --learning-rate" in result.err


def test_a_resume_takes_another_device(lab, finished):
    result = lab("train", "--resume", finished, "--device", "cpu")
    assert result.code == 0
    assert "nothing to do" in result.err


def test_damaged_data_of_a_run_is_one_error(lab, finished):
    path = finished / "data.json"
    kept = path.read_text()
    path.write_text("{}")
    result = lab("evaluate", finished)
    path.write_text(kept)
    assert result.code == 2
    assert "data.json of this run is damaged" in result.err
