"""A search: trials that repeat exactly, alone or by several processes, and what is said of them."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from common.experiments.out_of_fold import OutOfFold
from common.experiments.search import leases, noise, study
from common.experiments.search import plots as pictures
from common.experiments.search.judge import Main
from common.experiments.search.leases import Leases
from common.metrics.main_metric import ACCURACY, MAE
from common.report import plots
from common.runs.folder import Run
from labs.autoencoder.__main__ import lab as autoencoder
from labs.classification.__main__ import lab as classification
from labs.rnn.__main__ import lab as rnn

SMALL = (
    *("--data", "digits", "--limit", "120", "--model", "linear", "--epochs", "3"),
    *("--batch-size", "16", "--image-size", "none", "--threads", "1"),
)
SPACE = ("--space", "learning_rate=log:1e-4:1", "--space", "optimizer=adamw|sgd")
SEARCH = ("search", *SMALL, *SPACE, "--trials", "8", "--again", "2")


def without_times(value):
    """Leave out times, and what bootstraps say: in this process they draw fewer times."""
    if isinstance(value, dict):
        return {
            name: without_times(x)
            for name, x in value.items()
            if name not in ("seconds", "verdict") and not name.endswith("_interval")
        }
    return [without_times(each) for each in value] if isinstance(value, list) else value


def metrics_of(run):
    return without_times(json.loads((run / "metrics.json").read_text()))


def chosen_of(run):
    """Return the lines of what was chosen, but for how often it is saved."""
    lines = (run / "chosen.toml").read_text().splitlines()
    return [line for line in lines if not line.startswith("save_every")]


def assert_same_search(run, other):
    assert metrics_of(run) == metrics_of(other)
    assert chosen_of(run) == chosen_of(other)
    names = sorted(path.name for path in (run / "members").iterdir())
    assert names == sorted(path.name for path in (other / "members").iterdir())
    for name in names:
        ours, theirs = (
            load_file(each / "members" / name / "best.safetensors") for each in (run, other)
        )
        assert all(torch.equal(ours[key], theirs[key]) for key in ours | theirs)


@pytest.fixture(scope="module")
def search(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    done = command(classification, *SEARCH, "--run-dir", folder, "--name", "whole")
    assert done.code == 0, done.err
    return folder / "classification" / "whole", done


def test_a_search_says_what_came_of_each_trial(search):
    run, done = search
    metrics = metrics_of(run)
    trials = metrics["trials"]
    assert [each["number"] for each in trials] == list(range(8))
    complete = [each for each in trials if each["state"] == "complete"]
    pruned = [each for each in trials if each["state"] == "pruned"]
    assert len(complete) >= 5
    assert pruned
    assert all(each["reason"].startswith("behind the median") for each in pruned)
    best = max(complete, key=lambda each: each["value"])
    assert metrics["best"] == best["number"]
    level = [each["number"] for each in complete if each["behind"] <= each["margin"]]
    assert metrics["level"] == level
    assert metrics["chosen"] in level
    again = [each for each in trials if "again" in each]
    assert len(again) == 2
    assert metrics["luck"]["freedom"] == 2
    assert "cannot be told apart" in done.out or "better than every other" in done.out
    assert "The best of many looks better than it is" in done.out
    assert {path.stem for path in (run / "figures").iterdir()} >= {"trials", "parallel"}


def test_the_pictures_are_drawn(search):
    trials = metrics_of(search[0])["trials"]
    complete = [each for each in trials if each["state"] == "complete"]
    for larger_is_better in (True, False):
        drawn = pictures.draw_trials(trials, [0, 1], 0, "정확도", larger_is_better)
        lines = pictures.draw_parallel(complete, [0], "정확도", larger_is_better, SPACE)
        assert plots.png(drawn).startswith(b"\x89PNG")
        assert plots.png(lines).startswith(b"\x89PNG")
    texts = {text.get_text() for text in lines.axes[0].texts}
    assert {"learning_rate", "optimizer", "adamw", "sgd", "정확도"} <= texts


def test_only_what_is_chosen_looks_at_the_test_split(search):
    run, _ = search
    finished = [path.name for path in (run / "members").iterdir() if Run(path).finished]
    assert finished == [f"trial-{metrics_of(run)['chosen']:03}"]


def test_the_chosen_config_trains_what_was_chosen(search, command, tmp_path):
    run, _ = search
    chosen = f"trial-{metrics_of(run)['chosen']:03}"
    done = command(
        *(classification, "train", "--config", run / "chosen.toml"),
        *("--run-dir", tmp_path, "--name", "alone"),
    )
    assert done.code == 0, done.err
    paths = (tmp_path / "classification" / "alone", run / "members" / chosen)
    ours, theirs = (load_file(each / "best.safetensors") for each in paths)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours | theirs)
    measured = [Run(each).read("metrics")["test"] for each in paths]
    assert measured[0] == measured[1]


def test_what_was_stopped_goes_on_alone_or_with_help(search, command, monkeypatch, tmp_path):
    """A helper finds the third trial half trained; the one that leads finds the sixth."""
    report, left = study.Study.report, [(2, 2), (5, 1)]

    def stop(self, claimed, step, value):
        if left and (claimed.number, step) == left[0]:
            left.pop(0)
            raise KeyboardInterrupt
        return report(self, claimed, step, value)

    monkeypatch.setattr(study.Study, "report", stop)
    stopped, firsts = tmp_path / "classification" / "a", []
    begin = (*SEARCH, "--run-dir", tmp_path, "--name", "a")
    for words, trials in ((begin, 3), (("search", "--join", stopped), 6)):
        with pytest.raises(BaseException):  # noqa: B017, PT011 - click turns it into an Abort
            command(classification, *words)
        assert len(list((stopped / "members").iterdir())) == trials
        firsts.append((stopped / "members/trial-000/best.safetensors").stat().st_mtime_ns)
    done = command(classification, "search", "--join", stopped)
    assert done.code == 0, done.err
    assert "no trial is left to begin" in done.err
    assert not Run(stopped).finished
    done = command(classification, "search", "--resume", stopped)
    assert done.code == 0, done.err
    assert_same_search(stopped, search[0])
    firsts.append((stopped / "members/trial-000/best.safetensors").stat().st_mtime_ns)
    assert len(set(firsts)) == 1


def test_a_trial_that_fails_is_named_and_the_search_goes_on(command, tmp_path):
    done = command(
        *(classification, "search", *SMALL, "--optimizer", "sgd", "--trials", "6", "--again", "0"),
        *("--space", "learning_rate=0.1|3e38", "--space", "schedule=none|cosine"),
        *("--run-dir", tmp_path, "--name", "a"),
    )
    assert done.code == 0, done.err
    trials = metrics_of(tmp_path / "classification" / "a")["trials"]
    failed = [each for each in trials if each["state"] == "failed"]
    assert failed
    assert {each["parameters"]["learning_rate"] for each in failed} == {"3e38"}
    assert all(each["reason"].startswith("loss is") for each in failed)
    assert f"{len(failed)} failed" in done.out
    assert "How much luck there is in training" in done.out or "With other seeds" in done.out


def test_trials_are_judged_by_a_metric_of_ones_own(command, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code = "def score(truth, probabilities):\n    return {}\n"
    score = "float(probabilities[range(len(truth)), truth].mean())"
    (tmp_path / "mine.py").write_text(code.format(score))
    words = ("search", *SMALL, "--space", "learning_rate=log:1e-3:1e-1", "--trials", "3")
    more = ("--metric", "mine.py:score", "--again", "1", "--run-dir", "runs", "--name")
    done = command(classification, *words, *more, "a")
    assert done.code == 0, done.err
    assert "has the best score" in done.out
    assert "Its test score is" in done.out
    run = tmp_path / "runs" / "classification" / "a"
    best = metrics_of(run)["trials"][metrics_of(run)["best"]]
    shares = load_file(run / f"members/trial-{best['number']:03}/out_of_fold.safetensors")
    chances = shares["outputs"].softmax(1)[range(len(shares["targets"])), shares["targets"]]
    assert best["value"] == pytest.approx(float(chances.mean()))

    (tmp_path / "mine.py").write_text(code.format("1 / 0"))
    done = command(classification, *words, *more, "b")
    assert done.code == 2
    assert "ZeroDivisionError" in done.err
    (tmp_path / "mine.py").write_text(code.format(score))
    other = run.with_name("b")
    first = other / "members" / "trial-000" / "best.safetensors"
    before = first.stat().st_mtime_ns
    done = command(classification, "search", "--resume", other)
    assert done.code == 0, done.err
    assert first.stat().st_mtime_ns == before
    assert metrics_of(run) == metrics_of(other)


def test_where_all_trials_fail_the_reason_is_said(command, tmp_path):
    done = command(
        *(classification, "search", *SMALL, "--optimizer", "sgd", "--trials", "2"),
        *("--space", "learning_rate=3e38", "--run-dir", tmp_path, "--name", "a"),
    )
    assert done.code == 1
    assert "no trial came to its end" in done.err


@pytest.mark.parametrize(
    ("lab", "words"),
    [
        (
            autoencoder,
            [
                *("search", "--data", "digits", "--limit", "90", "--model", "linear"),
                *("--space", "latent_size=int:2:4"),
            ],
        ),
        (
            rnn,
            [
                *("search-sentiment", "--limit", "150", "--embedding-size", "4"),
                *(
                    "--hidden-size",
                    "4",
                    "--members",
                    "1",
                    "--no-n-grams",
                    "--space",
                    "cell=gru|lstm",
                ),
                *("--folds", "3"),
            ],
        ),
        (
            rnn,
            [
                *("search-forecast", "--limit", "200", "--window", "8", "--horizon", "3"),
                *("--period", "2", "--no-linear", "--space", "hidden-size=int:2:4"),
            ],
        ),
    ],
)
def test_every_lab_has_it(command, tmp_path, lab, words):
    done = command(
        *(lab, *words, "--epochs", "1", "--trials", "2", "--again", "1", "--threads", "1"),
        *("--run-dir", tmp_path, "--name", "a"),
    )
    assert done.code == 0, done.err
    assert "Of 2 trials" in done.out
    folds = "--folds" in words
    assert ("out of 3 folds" in done.out) == folds
    assert ("On the test split, looked at by it alone" in done.out) != folds


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], ["--space: nothing to search"]),
        (
            ["--space", "learning_rat=log:1e-4:1e-1", "--epochs", "x"],
            ["no such key; did you mean learning_rate?", "--epochs x: expected a whole number"],
        ),
        (["--space", "epochs=int:5:2"], ["the range is empty"]),
        (["--space", "epochs=float:1:5"], ["epochs is a whole number; give int:LOW:HIGH"]),
        (["--space", "learning_rate=log:0:1"], ["a logarithmic range begins above 0"]),
        (["--space", "learning_rate=log:1"], ["expected log:LOW:HIGH with numbers"]),
        (["--space", "momentum=float:0:1"], ["1.0: expected a number at least 0 and below 1"]),
        (["--space", "model=lenet5|lenet6"], ["lenet6: expected one of"]),
        (["--space", "model=lenet5|lenet5"], ["expected different choices"]),
        (["--space", "model"], ["expected NAME="]),
        (["--space", "name=a|b"], ["name is nothing that a run is trained with"]),
        (["--space", "nesterov=true"], ["--nesterov: needs --optimizer sgd"]),
        (["--space", "epochs=2|3", "--space", "epochs=4|5"], ["epochs is there twice"]),
        (["--space", "epochs=2|3", "--metric", "f2"], ["metric f2: no such metric"]),
        (["--space", "epochs=2|3", "--metric", "rmse"], ["is of numbers, which are not here"]),
        (["--space", "split_seed=int:0:5"], ["would be judged on different samples"]),
        (["--space", "loss=cross-entropy|mse"], ["judged by accuracy and by mean absolute error"]),
        (["--resume", "x", "--join", "y"], ["give one of them"]),
        (["--join", "nowhere"], ["is not a run folder"]),
    ],
)
def test_what_cannot_be_searched_is_a_sentence_each(command, tmp_path, words, said):
    given = [] if "--join" in words else [*SMALL[:-2], "--run-dir", tmp_path]
    done = command(classification, "search", *given, *words)
    assert done.code == 2
    assert all(each in done.err for each in said), done.err
    assert not list(tmp_path.iterdir())


def test_a_value_may_need_another_one(command, tmp_path):
    """Where no combination of values contradicts itself there is nothing to refuse."""
    done = command(
        *(classification, "search", *SMALL, "--trials", "5", "--epochs", "1", "--again", "0"),
        *("--space", "optimizer=adamw|sgd", "--space", "nesterov=true|false"),
        *("--run-dir", tmp_path, "--name", "a"),
    )
    assert done.code == 0, done.err
    for trial in metrics_of(tmp_path / "classification" / "a")["trials"]:
        contradicts = trial["parameters"] == {"optimizer": "adamw", "nesterov": "true"}
        assert (trial["state"] == "failed") == contradicts
        assert not contradicts or "--nesterov: needs --optimizer sgd" in trial["reason"]


def test_the_trials_of_another_space_are_refused(search, command, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(search[0], other)
    (other / "metrics.json").unlink()
    config = other / "config.toml"
    config.write_text(config.read_text().replace("log:1e-4:1", "log:1e-5:1"))
    for said in ("was edited since the run began: space", "another space"):
        done = command(classification, "search", "--resume", other)
        assert done.code == 2
        assert said in done.err
        (other / ".began.toml").unlink(missing_ok=True)  # a run of an older version has no copy
    assert len(list((other / "members").iterdir())) == len(list((search[0] / "members").iterdir()))


def test_help_and_a_wrong_space_load_nothing_heavy():
    code = (
        "import sys\n"
        "from labs.classification.__main__ import lab\n"
        "sys.argv = ['lab', 'search', *sys.argv[1:]]\n"
        "try:\n    lab.main()\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'torch', 'optuna', 'matplotlib', 'pandas', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code, "--help"], check=True, stdout=subprocess.DEVNULL)


# --- leases ---------------------------------------------------------------------------------------


def test_a_lease_is_held_until_it_is_released(tmp_path):
    mine = Leases(tmp_path / "leases")
    with mine.locked():
        assert not mine.is_held("trial")
        lease = mine.take("trial")
    assert mine.is_held("trial")
    assert lease.is_mine
    lease.release()
    assert not mine.is_held("trial")
    assert not lease.is_mine


def test_a_lease_of_a_process_that_has_ended_is_free_at_once_and_others_expire(tmp_path):
    mine = Leases(tmp_path / "leases")
    lease = mine.take("trial")
    path = tmp_path / "leases" / "trial"
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    ended = {**lease._holder, "pid": child.pid, "token": "another"}
    path.write_text(json.dumps(ended))
    assert not mine.is_held("trial")
    assert not lease.is_mine
    path.write_text(json.dumps({**ended, "machine": ["elsewhere"]}))
    assert mine.is_held("trial")
    old = time.time() - leases.EXPIRES - 1
    os.utime(path, (old, old))
    assert not mine.is_held("trial")
    lease.release()
    assert path.exists()  # it is another's


# --- noise ----------------------------------------------------------------------------------------


RIGHT = dataclasses.replace(ACCURACY, statistics=lambda decided, targets: decided)
ERROR = dataclasses.replace(MAE, statistics=lambda decided, targets: decided)


def runs_of(generator, number, samples, deviation, worse=0.0):
    """Return whether runs are right on samples of their own difficulty; the last may be worse."""
    easy = generator.normal(2, 1.5, samples)
    skills = generator.normal(0, deviation, number) - worse * (np.arange(number) == number - 1)
    shares = 1 / (1 + np.exp(-easy - skills[:, None]))
    return (generator.random((number, samples)) < shares).astype(float)


def ranked(generator, worse=0.0, deviation=0.2):
    """Rank ten runs and repetitions of the best five."""
    runs = runs_of(generator, 15, 300, deviation)
    first = runs_of(generator, 10, 300, deviation, worse) if worse else runs[:10]
    figures = np.sort(first.mean(1))[::-1][:5]
    luck = noise.luck_of_repeats(zip(figures, runs[10:].mean(1), strict=True))
    return rank(RIGHT, first, luck=luck, resamples=300)


def rank(metric, runs, **options):
    judge, nothing = Main(metric), np.zeros(len(runs[0]))
    figures = [judge.resampled(OutOfFold({}, run, nothing, None)) for run in runs]
    larger = metric.larger_is_better
    return noise.rank(figures, len(nothing), larger_is_better=larger, **options)


def test_copies_are_not_told_apart_and_the_worse_is():
    generator = np.random.default_rng(0)
    copies = [ranked(generator) for _ in range(20)]
    assert sum(len(each.level) == 10 for each in copies) >= 19
    worse = [ranked(generator, worse=2.5) for _ in range(10)]
    assert sum(9 not in each.level for each in worse) >= 8
    assert all(each.best in each.level for each in copies + worse)


def test_the_figure_of_the_best_is_corrected():
    """Of twenty runs that are right half of the time, the best looks better, and is not."""
    generator = np.random.default_rng(0)
    found = [
        rank(RIGHT, generator.integers(2, size=(20, 100)).astype(float), resamples=300)
        for _ in range(5)
    ]
    assert np.mean([each.chosen for each in found]) == pytest.approx(0.5, abs=0.03)
    assert all(each.chosen_interval[0] < 0.5 < each.chosen_interval[1] for each in found)


def test_where_less_is_better_the_smallest_is_the_best():
    generator = np.random.default_rng(0)
    errors = [generator.random(200) * scale for scale in (1.2, 1.0, 3.0)]
    found = rank(ERROR, errors)
    assert found.best == 1
    assert found.behind[0] == pytest.approx(errors[0].mean() - errors[1].mean())
    assert 2 not in found.level


def test_of_a_single_sample_nothing_can_be_said():
    found = rank(RIGHT, [np.ones(1), np.zeros(1)])
    assert found.level == [0, 1]
    assert np.isnan(found.chosen)


def test_luck_is_the_deviation_of_what_differs_in_nothing_else():
    luck = noise.luck_of_repeats([[0.9, 0.8], [0.5], [0.3, 0.3, 0.6]])
    assert luck.freedom == 3
    assert luck.deviation == pytest.approx(np.sqrt((0.005 + 0.06) / 3))
    assert noise.luck_of_repeats([[0.9], [0.5]]) is None
    generator = np.random.default_rng(0)
    folds = 1 + generator.normal(0, 0.1, (6, 5))  # of each run on each fold
    runs = [np.repeat(row, 50) for row in folds]
    found = rank(ERROR, runs, folds=folds, resamples=300).luck
    assert found.freedom == 20
    assert found.deviation == pytest.approx(0.1 / np.sqrt(5), rel=0.4)
    assert rank(ERROR, runs[:1], folds=folds[:1], resamples=10).luck is None


# --- kills ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ten_kills_change_no_bit_and_no_trial_is_done_again(kill_often, command, search, tmp_path):
    words, folder = (*SEARCH, "--save-every", "0.01"), tmp_path / "classification" / "a"
    kill_often(
        (*words, "--run-dir", tmp_path, "--name", "a"),
        folder,
        (0.05, 1.0),
        finished="members/*/out_of_fold.safetensors",
        kept="best.safetensors",
        began="members",
    )
    done = command(classification, "search", "--resume", folder)
    assert done.code == 0, done.err
    assert_same_search(folder, search[0])
