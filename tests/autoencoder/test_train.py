"""Training from the command line to the end: what a run folder holds, and what options do."""

import json

import pytest
import torch

from common.errors import Stopped
from common.maps import tsne
from common.options import terminal
from common.options.config import build
from common.training import checkpoint, loop
from labs.autoencoder.compare.config import SWEPT, SweepConfig
from labs.autoencoder.config import RECIPES, AutoencoderConfig
from labs.autoencoder.job import Compression
from labs.autoencoder.names import MODELS, VIEWS

SMALL = (
    *("--data", "digits", "--limit", "200", "--epochs", "2", "--warmup", "0", "--threads", "1"),
    *("--latent-size", "4", "--width", "4", "--batch-size", "16"),
)
TIMES = ("seconds", "samples_per_second")


def metrics(run):
    return json.loads((run / "metrics.json").read_text())


def history(run):
    """Return the rows of a run without what the clock says."""
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def weights(run):
    return checkpoint.load(run / "best.safetensors").tensors


@pytest.fixture(scope="module")
def whole(lab, tmp_path_factory):
    """Return the result and the folder of a run with a Korean name and a whole report."""
    folder = tmp_path_factory.mktemp("runs")
    words = ("--run-dir", folder, "--name", "처음", "--model", "vae", "--loss", "bce")
    result = lab("train", *SMALL, *words, full=True, drawn=True)
    assert result.code == 0, result
    return result, folder / "autoencoder/처음"


def test_a_run_ends_with_its_error_beside_pcas_and_its_report(whole):
    result, run = whole
    found = metrics(run)
    test, pca = found["test"], found["baselines"]["PCA"]
    low, high = test["mse_interval"]
    assert low < test["mse"] < high
    assert pca["ratio"] == pytest.approx(test["mse"] / pca["mse"])
    assert found["baselines"]["clipped PCA"]["mse"] <= pca["mse"] < test["mse_interval"][1]
    assert f"{pca['mse']:.5f}" in result.out
    assert f"{pca['ratio']:.2f} times that of PCA" in result.out
    assert str(run / "report.html") in result.out


def test_the_report_has_every_view_of_such_a_run(whole):
    _, run = whole
    html = (run / "report.html").read_text(encoding="utf-8")
    kept = {path.stem: json.loads(path.read_text()) for path in (run / "views").iterdir()}
    assert set(kept) == {
        name for name, view in VIEWS.items() if view.unasked and "anomalies" not in view.needs
    }
    for view in kept.values():
        assert view["title"] in html
        assert all((run / "figures" / file).is_file() for _, file in view["pictures"])


def test_the_report_is_written_again_from_what_was_kept(lab, whole):
    _, run = whole
    before = (run / "report.html").read_bytes()
    (run / "report.html").unlink()
    assert lab("report", run, full=True, drawn=True).code == 0
    assert (run / "report.html").read_bytes() == before


def test_a_view_with_other_options_takes_the_place_of_the_kept_one(lab, whole):
    _, run = whole
    assert lab("reconstruct", run, "--split", "validation", "--count", "3", full=True).code == 0
    assert "Images of the validation split" in (run / "report.html").read_text(encoding="utf-8")
    assert lab("reconstruct", run, full=True).code == 0
    assert "Images of the test split" in (run / "report.html").read_text(encoding="utf-8")


def test_a_view_whose_picture_is_gone_is_made_again(lab, whole):
    _, run = whole
    (run / "figures/reconstructions_worst.png").unlink()
    assert lab("report", run, full=True).code == 0
    assert (run / "figures/reconstructions_worst.png").is_file()


@pytest.mark.slow
def test_a_view_of_an_unfinished_run_is_made_again_when_it_is_finished(lab, tmp_path):
    def stop(self, row, best):
        raise Stopped(15)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(terminal.Display, "epoch", stop)
        words = ("--run-dir", tmp_path, "--name", "stopped")
        assert lab("train", *SMALL, *words).code == 128 + 15
    run = tmp_path / "autoencoder/stopped"
    assert lab("reconstruct", run, "--split", "validation", "--count", "3").code == 0
    assert lab("train", "--resume", run, full=True).code == 0
    assert "Images of the test split" in (run / "report.html").read_text(encoding="utf-8")


def test_evaluate_says_what_metrics_say(lab, whole):
    _, run = whole
    result = lab("evaluate", run, "--split", "validation")
    assert result.code == 0
    assert terminal.figure_text(metrics(run)["validation"]["mse"]) in result.out


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_a_stopped_run_of_any_model_goes_on_bit_for_bit(lab, small_run, tmp_path, model):
    never = small_run("--model", model)

    def stop(self, row, best):
        raise Stopped(15)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(terminal.Display, "epoch", stop)
        words = ("--run-dir", tmp_path, "--name", "stopped", "--model", model)
        stopped = lab("train", *SMALL, *words)
    assert stopped.code == 128 + 15
    run = tmp_path / "autoencoder/stopped"
    assert len(history(run)) == 1
    assert lab("train", "--resume", run).code == 0
    assert history(run) == history(never)
    one, other = weights(run), weights(never)
    assert all(torch.equal(one[name], other[name]) for name in other)


@pytest.mark.parametrize("model", ["conv", "sparse", "vae"])
def test_the_loss_of_the_best_epoch_is_measured_again_as_it_was(small_run, model):
    """So training's validation and the final figures weigh the parts of the loss alike."""
    run = small_run("--model", model)
    found = metrics(run)
    row = history(run)[found["best_epoch"] - 1]
    assert found["validation"]["loss"] == pytest.approx(row["validation/loss"], rel=1e-5)
    parts = [name for name in found["validation"] if name in ("reconstruction", "kl", "sparsity")]
    assert found["validation"]["loss"] == pytest.approx(
        sum(found["validation"][name] for name in parts)
    )


def test_a_denoising_run_is_held_against_filters_by_psnr(small_run):
    found = metrics(small_run("--model", "denoising"))
    names = " ".join(found["baselines"])
    assert all(name in names for name in ("noisy image", "median filter", "non-local means", "PCA"))
    assert found["test"]["psnr"] > 0


@pytest.mark.slow
def test_a_run_stopped_while_it_makes_a_map_keeps_what_it_trained(lab, tmp_path, monkeypatch):
    words = ("--run-dir", tmp_path, "--name", "run")

    def stop(*args, **options):
        raise Stopped(15)

    with monkeypatch.context() as patch:
        patch.setattr(tsne, "embed", stop)
        stopped = lab("train", *SMALL, *words, full=True)
    run = tmp_path / "autoencoder/run"
    assert stopped.code == 128 + 15
    assert f"--resume {run}" in stopped.err
    before, rows = weights(run), history(run)
    assert len(rows) == 2

    def train(*args, **options):
        raise AssertionError("nothing is left to train")

    monkeypatch.setattr(loop, "train_step", train)
    assert lab("train", "--resume", run, full=True).code == 0
    assert history(run) == rows
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(run).items())
    assert "Map of the latent space" in (run / "report.html").read_text(encoding="utf-8")


def test_the_classes_left_out_are_seen_by_the_anomalies_alone(small_run):
    run = small_run("--without", "9,3")
    job = Compression.reopen(run, "cpu")
    splits = job.load_splits()
    for name in ("train", "validation", "test"):
        assert not {3, 9} & set(splits[name].targets.tolist())
    assert set(splits["anomalies"].targets.tolist()) == {3, 9}
    assert job.card.counts == {name: len(part) for name, part in splits.items()}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--latent-size", "0"), "--latent-size 0: expected a whole number at least 1"),
        (("--model", "convv"), "did you mean conv?"),
        (("--noise", "snow:0.3"), "--noise snow:0.3: expected one of gaussian"),
        (("--noise", "gaussian:2"), "above 0 and at most 1"),
        (("--beta", "2"), "--beta: conv has no divergence"),
        (("--model", "linear", "--loss", "bce"), "--loss bce"),
        (("--without", "ten"), "--without ten: no such class"),
        (("--without", "0,1,2,3,4,5,6,7,8,9"), "nothing left to train on"),
        (("--depth", "9"), "depth"),
        (("--data", "nowhere"), "no such"),
        (("--augment", "afine"), "did you mean affine?"),
        (("--augment", "policy:augmix"), "--augment policy: expected some of affine"),
        (("--monitor", "validation/accuracy"), "validation/accuracy"),
    ],
)
def test_what_cannot_be_trained_is_one_error_and_leaves_nothing(lab, tmp_path, words, message):
    result = lab("train", *SMALL[:4], *words, "--run-dir", tmp_path / "runs")
    assert result.code == 2, result
    assert message in result.err
    assert "Traceback" not in result.err
    assert not (tmp_path / "runs").exists()


def test_all_problems_of_the_options_come_at_once(lab):
    result = lab("train", "--latent-size", "0", "--noise", "snow", "--epochs", "0", "--beta", "1")
    assert result.code == 2
    assert all(name in result.err for name in ("--latent-size", "--noise", "--epochs", "--beta"))


def test_recipes_are_configs():
    for name, values in RECIPES.items():
        assert build(AutoencoderConfig, (name, values))


def test_every_model_but_denoising_can_be_swept_with_its_recipe():
    for name, values in SWEPT.items():
        assert build(SweepConfig, (name, values)).latent_size == AutoencoderConfig.latent_size
