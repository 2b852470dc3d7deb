"""Sizes of the latents side by side: what is trained, measured and shown."""

import json

import numpy as np
import pytest

from common.errors import ConfigError
from common.options.config import build
from labs.autoencoder import baselines
from labs.autoencoder.compare import sizes as sweep
from labs.autoencoder.compare.config import SweepConfig
from labs.autoencoder.compare.sizes import Sweep, against_pca, table, verdict
from labs.autoencoder.config import AutoencoderConfig
from labs.autoencoder.data import load

SMALL = (
    *("--data", "digits", "--limit", "200", "--epochs", "2", "--warmup", "0", "--threads", "1"),
    *("--model", "linear", "--learning-rate", "0.01", "--batch-size", "16", "--name", "all"),
)


@pytest.fixture(scope="module")
def run(lab, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    result = lab("sweep", *SMALL, "--sizes", "8,2", "--seeds", "2", "--run-dir", folder, drawn=True)
    assert result.code == 0, result
    return result, folder / "autoencoder/all"


def config(**options):
    return build(SweepConfig, ("options", options))


def test_each_size_and_seed_has_its_own_light_run(run):
    _, path = run
    members = {each.name for each in (path / "members").iterdir()}
    assert members == {"2-0", "2-1", "8-0", "8-1"}
    for member in members:
        assert (path / "members" / member / "best.safetensors").is_file()
        assert not (path / "members" / member / "report.html").exists()
        assert not (path / "members" / member / "views").exists()


def test_sizes_are_held_against_pca_of_the_same_size(run):
    _, path = run
    found = json.loads((path / "metrics.json").read_text())
    assert list(found["sizes"]) == ["2", "8"]
    splits, _ = load(AutoencoderConfig(data="digits", limit=200))
    for size, entry in found["sizes"].items():
        pca = baselines.compression(splits, int(size))[baselines.PCA]["test"]
        assert entry["pca_mse"] == pytest.approx(pca.mean())
        assert entry["mse_ratio"] == pytest.approx(entry["mse"] / entry["pca_mse"])
        low, high = entry["mse_ratio_interval"]
        assert low < entry["mse_ratio"] < high
        seeds = [
            json.loads((path / f"members/{size}-{seed}/metrics.json").read_text())["test"]["mse"]
            for seed in (0, 1)
        ]
        assert entry["mse_of_seeds"] == pytest.approx(seeds)
        assert entry["mse"] == pytest.approx(np.mean(seeds))
        difference = entry["probe"] - entry["pca_probe"]
        assert entry["probe_difference"] == pytest.approx(difference)
        assert 0 < entry["probe"] < 1
    assert found["sizes"]["8"]["pca_mse"] < found["sizes"]["2"]["pca_mse"]
    assert found["sizes"]["8"]["pca_probe"] > found["sizes"]["2"]["pca_probe"]
    assert found["seconds"]["total"] >= found["seconds"]["train"] > 0


def test_report_and_screen_show_the_table_and_the_verdict(run):
    result, path = run
    html = (path / "report.html").read_text(encoding="utf-8")
    said = verdict(json.loads((path / "metrics.json").read_text()))
    assert said in result.out
    for part in ("Sizes", "test mse", "linear classifier on the latents", said.partition("'")[0]):
        assert part in html
    for name in ("sweep_error", "sweep_probe"):
        assert (path / f"figures/{name}.png").is_file()


def test_a_finished_sweep_is_shown_again_and_its_report_written_again(lab, run):
    _, path = run
    again = lab("sweep", "--resume", path)
    assert again.code == 0
    assert "nothing to do" in again.err
    html = (path / "report.html").read_bytes()
    (path / "report.html").unlink()
    assert lab("report", path, drawn=True).code == 0
    assert (path / "report.html").read_bytes() == html


def test_the_plan_gives_each_size_and_seed_the_same_options():
    plan = Sweep.plan(config(sizes="4,2", seed="5", seeds="2", model="dense", epochs="3"))
    assert list(plan) == ["4-5", "4-6", "2-5", "2-6"]
    assert [(each.latent_size, each.seed) for each in plan.values()] == [
        (4, 5),
        (4, 6),
        (2, 5),
        (2, 6),
    ]
    assert all((each.model, each.epochs) == ("dense", 3) for each in plan.values())
    assert all(type(each) is AutoencoderConfig for each in plan.values())


def test_every_problem_of_the_sizes_is_named():
    with pytest.raises(ConfigError) as caught:
        config(sizes="2,0,x,2,1.5,-3", latent_size="5", model="denoising")
    problems = "\n".join(caught.value.problems)
    for part in ("--sizes 0:", "--sizes x:", "--sizes 1.5:", "--sizes -3:", "--sizes 2: given"):
        assert part in problems
    assert "--latent-size 5: sweep takes several" in problems
    assert "--model denoising" in problems


@pytest.mark.parametrize("sizes", ["none", "02,2", "²"])
def test_sizes_that_are_none_or_the_same(sizes):
    with pytest.raises(ConfigError, match="--sizes"):
        config(sizes=sizes)


def test_wrong_sizes_leave_no_folder(lab, tmp_path):
    result = lab("sweep", *SMALL, "--sizes", "2,two", "--run-dir", tmp_path / "runs")
    assert result.code == 2
    assert "--sizes two" in result.err
    assert not (tmp_path / "runs").exists()


# --- verdicts -----------------------------------------------------------------------------------


def entry(network, pca, probe=None, pca_probe=None):
    rng = np.random.default_rng(0)
    noise = rng.normal(scale=0.1, size=200)
    errors = against_pca("mse", network + 0.1 * noise, pca + 0.1 * noise[::-1])
    found = {
        **errors,
        "mse_ratio": network / pca,
        "mse_ratio_interval": [network / pca - 0.1, network / pca + 0.1],
        "train_seconds": 1.0,
    }
    if probe is not None:
        found |= against_pca("probe", probe + noise, pca_probe + noise[::-1])
    return found


def test_the_verdict_says_where_the_network_beats_pca_and_where_it_does_not():
    sizes = {"2": entry(0.5, 1.0), "4": entry(0.6, 1.0), "8": entry(1, 1), "16": entry(1.2, 1.0)}
    said = verdict({"sizes": sizes, "model": "conv"})
    assert "smaller test error than PCA of the same size: 0.50 times PCA's at size 2" in said
    assert "0.60 at 4." in said
    assert "No difference is shown at size 8." in said
    assert "worse: 1.20 times PCA's at size 16." in said
    assert "probe" not in said
    columns, rows = table(sizes)
    assert {len(row) for row in rows} == {len(columns)}
    assert "probe" not in columns


def test_the_verdict_says_where_a_probe_is_better_on_the_latents():
    sizes = {"2": entry(0.5, 1, 0.9, 0.7), "4": entry(0.5, 1, 0.8, 0.8), "8": entry(1, 1, 0.7, 0.9)}
    said = verdict({"sizes": sizes, "model": "conv"})
    assert "one on the latents is better at size 2, worse at size 8, level at size 4." in said
    columns, rows = table(sizes)
    assert {len(row) for row in rows} == {len(columns)}


def test_a_difference_is_paired():
    rows = np.random.default_rng(0).normal(size=300)
    found = against_pca("mse", rows + 0.01, rows)
    assert found["mse_difference"] == pytest.approx(0.01)
    assert found["mse_difference_interval"] == pytest.approx([0.01, 0.01])
    low, high = found["mse_interval"]
    assert high - low > 0.1


def test_data_without_classes_has_no_probe(tmp_path, lab):
    from PIL import Image

    folder = tmp_path / "그림"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(30):
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(
            folder / f"{number} 번.png"
        )
    words = ("--data", folder, "--image-size", "8", "--limit", "30", "--epochs", "1")
    words += ("--warmup", "0", "--threads", "1", "--model", "linear", "--name", "plain")
    result = lab("sweep", *words, "--sizes", "2", "--run-dir", tmp_path / "runs")
    assert result.code == 0, result
    assert "probe" not in result.out
    path = tmp_path / "runs/autoencoder/plain"
    assert not sweep._probed(json.loads((path / "metrics.json").read_text())["sizes"])
    assert not (path / "figures/sweep_probe.png").exists()
