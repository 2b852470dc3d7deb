"""From a finished cross-validation to suspects, to a patch of them, to a training with it."""

import csv
import json
import re
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from common.experiments.crossval import listed_in, read_names
from common.options import commandline
from common.runs.commands import separated
from common.runs.folder import Run
from labs.__main__ import labs
from labs.classification.__main__ import lab as classification
from labs.rnn.__main__ import lab as rnn
from labs.rnn.sentiment.config import SentimentConfig
from labs.rnn.sentiment.data import load

LABS = SimpleNamespace(main=lambda: commandline.main(labs, "python -m labs"))
SMALL = (
    *("--model", "linear", "--augment", "none", "--epochs", "3", "--batch-size", "16"),
    *("--learning-rate", "0.02", "--warmup", "0", "--threads", "1"),
)
HEAD = "sample,given,label,action,fingerprint"


def read(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def card_of(run):
    return json.loads((run / "data.json").read_text("utf-8"))


WRONG = (40, 41, 42, 43)


def lies_in(number):
    """Return the folder of a picture; every other one is bright."""
    return ("dark", "밝은 것")[number % 2 ^ (number in WRONG)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return 90 small pictures, dark or bright, of which four lie in the wrong folder."""
    root, rng = tmp_path_factory.mktemp("own") / "사진", np.random.default_rng(0)
    for number in range(90):
        place, level = root / lies_in(number), 150 * (number % 2)
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(level, level + 100, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number:02} 번.png")
    return root


@pytest.fixture(scope="module")
def own(folder):
    """Return the options with which the pictures are learned."""
    run_dir = folder.parent / "runs"
    return ("--data", folder, "--image-size", "8", *SMALL, "--run-dir", run_dir)


@pytest.fixture(scope="module")
def crossval(command, folder, own):
    done = command(classification, "crossval", *own, "--folds", "3", "--name", "cv")
    assert done.code == 0, done.err
    return folder.parent / "runs" / "classification" / "cv"


@pytest.fixture(scope="module")
def patch(command, crossval):
    """Return the patch of all suspects, which nobody has looked at."""
    path = crossval.parent / "patch.csv"
    done = command(classification, "suspects", crossval, "--write", path)
    assert done.code == 0, done.err
    return path


def test_the_wrong_labels_are_found(patch):
    records = read(patch)
    found = {int(re.search(r"(\d\d) 번", each["sample"])[1]): each for each in records}
    assert found.keys() == set(WRONG)
    for number, each in found.items():
        assert each["sample"] == f"{lies_in(number)}/{number:02} 번.png"
        assert each["given"] == lies_in(number) != each["label"]
        assert each["action"] == "relabel"


def test_the_page_asks_nothing_of_the_network(command, crossval):
    done = command(classification, "suspects", crossval, "--top", "3")
    assert done.code == 0, done.err
    assert "4 of 90 images have a label that is likely wrong, by models that agree with" in done.out
    page = (crossval / "suspects.html").read_text("utf-8")
    assert page.count("<article") == page.count("data:image/jpeg;base64,") == 3
    assert "shown are the 3 likeliest of them" in page
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|src=\"(?!data:)", page)
    assert "font-face" in page  # the Korean class has its glyphs with it


def test_training_with_a_patch_changes_the_training_rows_alone(command, crossval, folder, patch):
    words = (
        "train",
        "--data",
        folder,
        "--image-size",
        "8",
        *SMALL,
        "--run-dir",
        crossval.parents[1],
    )
    plain = command(classification, *words, "--name", "plain")
    done = command(classification, *words, "--name", "patched", "--patch", patch)
    assert (plain.code, done.code) == (0, 0), done.err
    said = re.search(r"\((\d+) training samples relabelled and 0 dropped; (\d+) of", done.err)
    assert int(said[1]) + int(said[2]) == 4
    assert int(said[1]) > 0
    run = crossval.parent / "patched"
    assert f'patch = "{patch}"' in (run / "config.toml").read_text("utf-8")
    ours, theirs = card_of(run), card_of(crossval.parent / "plain")
    assert ours["counts"] == theirs["counts"]
    assert ours["fingerprint"] != theirs["fingerprint"]
    both = command(LABS, "compare", crossval.parent / "plain", run)
    assert "differs from plain in its data" in both.out
    assert "is not judged" not in both.out
    asked = command(classification, "evaluate", run)
    assert asked.code == 0, asked.err
    patch.with_name("patch.csv").replace(patch.with_name("moved.csv"))
    gone = command(classification, "evaluate", run)
    patch.with_name("moved.csv").replace(patch)
    assert (gone.code, gone.err.count("\n")) == (2, 1)
    assert "patch.csv" in gone.err


def test_names_may_be_as_long_as_texts_are(tmp_path):
    text = "긴 글\r\n" * 40_000
    records = separated([{"text": text, "truth": "good"}], ",")
    listed_in(Run(tmp_path)).write_bytes(records.encode())
    csv.field_size_limit(131_072)  # as in a program that has read no table yet
    assert read_names(Run(tmp_path)) == [text]


@pytest.mark.slow
def test_a_cross_validation_takes_a_patch_as_well(command, crossval, own, patch):
    dropped = patch.with_name("drop.csv")
    one = command(classification, "suspects", crossval, "--write", dropped, "--action", "drop")
    assert one.code == 0, one.err
    done = command(classification, "crossval", *own, "--patch", dropped, "--name", "patched-cv")
    assert done.code == 0, done.err
    metrics = json.loads((crossval.parent / "patched-cv" / "metrics.json").read_text("utf-8"))
    assert metrics["samples"] == 90  # all are answered, with the labels that they have
    assert metrics["source"].endswith(", patch drop.csv")


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("nowhere.png,dark,,drop,\n", "line 2, 'nowhere.png': these data have no such sample"),
        ("dark/02 번.png,밝은 것,,drop,\n", "line 2, 'dark/02 번.png': is labelled 'dark'"),
        (
            "".join(f"dark/{n:02} 번.png,dark,,drop,sha256:0\n" for n in range(0, 20, 2)),
            "has changed",
        ),
    ],
)
def test_a_patch_for_other_data_is_refused(command, own, tmp_path, rows, problem):
    path = tmp_path / "patch.csv"
    path.write_text(f"{HEAD}\n{rows}", "utf-8")
    done = command(classification, "train", *own, "--patch", path, "--run-dir", tmp_path / "runs")
    assert (done.code, done.err.count("\n")) == (2, 2), done.err  # the first names the recipe
    assert f"--patch {path}" in done.err
    assert problem in done.err
    assert not (tmp_path / "runs").exists()


def test_what_has_no_suspects_says_so(command, crossval, tmp_path):
    unwritten = tmp_path / "patch.csv"
    none = command(classification, "suspects", crossval, "--at-least", "1", "--write", unwritten)
    assert none.code == 0, none.err
    assert "4 of 90 images have a label that is likely wrong" in none.out
    assert "There is nothing to write." in none.out
    assert not unwritten.exists()
    member = command(classification, "suspects", crossval / "members" / "fold-1")
    assert member.code == 2
    assert "was trained by `train`, not by `crossval`" in member.err
    copy = tmp_path / "cv"
    shutil.copytree(crossval, copy)
    config = (copy / "config.toml").read_text("utf-8")
    (copy / "config.toml").write_text(config.replace('"cross-entropy"', '"mse"'), "utf-8")
    numbers = command(classification, "suspects", copy)
    assert numbers.code == 2
    assert "no single class each" in numbers.err
    (copy / "metrics.json").unlink()
    assert "crossval --resume" in command(classification, "suspects", copy).err
    unread = command(
        classification, "train", "--patch", "x.csv", "--loss", "mse", "--data", "digits"
    )
    assert unread.code == 2
    assert "--patch: numbers have no classes" in unread.err


@pytest.mark.slow
def test_texts_are_found_and_put_right_as_well(command, tmp_path):
    words = ("지루한 영화, =awful", "좋은 영화, 'great'")
    rows = [(f"{words[n % 2]}\n{n}", n % 2 ^ (n in WRONG)) for n in range(60)]
    words_apart = (words[1].replace(" ", "  ") + "\n41", rows[41][1])
    table, patch = tmp_path / "texts.csv", tmp_path / "patch.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows, rows[41], rows[41], words_apart])
    own = ("--data", table, "--encoding", "n-gram-bag", "--epochs", "4", "--batch-size", "8")
    own += ("--learning-rate", "0.05", "--folds", "2", "--threads", "1", "--run-dir", tmp_path)
    done = command(rnn, "crossval-sentiment", *own, "--name", "cv")
    assert done.code == 0, done.err
    done = command(rnn, "suspects", tmp_path / "rnn" / "cv", "--write", patch)
    assert done.code == 0, done.err
    records = read(patch)
    wrong = {*(rows[number][0] for number in WRONG), words_apart[0]}
    assert {each["sample"] for each in records} == wrong
    assert all(each["given"] != each["label"] for each in records)
    plain, card = load(SentimentConfig(data=str(table)))
    patched, now = load(SentimentConfig(data=str(table), patch=str(patch)))
    counts = re.search(r"\((\d+) training samples relabelled and 0 dropped; (\d+) of", now.source)
    assert sum(map(int, counts.groups())) == 7  # one of them stands there three times
    assert card.fingerprint != now.fingerprint
    assert plain["test"].targets.tolist() == patched["test"].targets.tolist()
    assert (plain["train"].targets != patched["train"].targets).sum() == int(counts[1])
    every, card = load(SentimentConfig(data=str(table), patch=str(patch), all_rows=True))
    assert len(every["train"]) == sum(map(len, plain.values()))
    said = "(7 training samples relabelled and 0 dropped; 0 of validation"
    assert said in card.source  # where all train, all are put right


KEYS = """<script>
const press = (key, code = "") => {
  document.dispatchEvent(new KeyboardEvent("keydown", {key, code, bubbles: true}));
};
if (!sessionStorage.getItem("again")) {
  sessionStorage.setItem("again", "yes");
  for (const key of ["c", "r", "d", "u", "k", "k", "d"]) press(key);
  press("ArrowDown");
  press("ㅇ", "KeyD");  // with a Korean input method on
  const select = document.querySelectorAll("select")[3];
  select.value = select.options[1].value;
  select.dispatchEvent(new Event("change"));
  location.reload();
} else {
  const counted = document.getElementById("counter").textContent;
  URL.createObjectURL = given => {
    given.text().then(text => { document.body.textContent = JSON.stringify([counted, text]); });
    return "#";
  };
  press("s");
}
</script></body>"""


@pytest.mark.slow
def test_the_keys_decide_and_a_reload_keeps_what_was_decided(command, crossval, tmp_path):
    if (chromium := shutil.which("chromium")) is None:
        pytest.skip("Chromium is not here")
    path = tmp_path / "page.html"
    assert command(classification, "suspects", crossval, "--output", path).code == 0
    path.write_text(path.read_text("utf-8").replace("</body>", KEYS), "utf-8")
    words = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000")
    words += (f"--user-data-dir={tmp_path / 'browser'}", "--dump-dom", f"file://{path}")
    done = subprocess.run([chromium, *words], capture_output=True, text=True, timeout=60)
    counted, saved = json.loads(re.search(r"<body>(\[.*\])</body>", done.stdout)[1])
    assert counted == "4 of 4 decided: 0 right, 2 relabelled, 2 dropped"
    (tmp_path / "patch.csv").write_text(saved, "utf-8")
    actions = [each["action"] for each in read(tmp_path / "patch.csv")]
    assert actions == ["drop", "relabel", "drop", "relabel"]
