"""An autoencoder as two files: what they say, without torch, is what the run says."""

import numpy as np
import onnx
import pytest
from PIL import Image

from labs.autoencoder.job import Compression
from labs.autoencoder.names import MODELS

SMALL = {"data": "digits", "limit": 60, "latent_size": 3, "width": 4}


@pytest.fixture(scope="module")
def made(untrained, lab, tmp_path_factory):
    """Return the folder of a VAE, and that of its files."""
    run = untrained(Compression, tmp_path_factory.mktemp("runs"), model="vae", **SMALL)
    result = lab("export", run)
    assert result.code == 0, result
    return run, run / "export"


@pytest.fixture
def check(same_table):
    """Return a function that compares what a file says with what its run says."""

    def compare(asked, expected):
        header, *rows = same_table(asked, expected, rel=1e-4, abs=1e-5)
        assert len({row[header.index("z1")] for row in rows}) > 1  # images are told apart

    return compare


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_file_says_what_its_run_says(part, made, lab, photos, tmp_path, check):
    run, folder = made
    words = (photos, "--format", "csv")
    check(
        lab("predict", "--onnx", folder / f"vae.{part}.onnx", *words), lab("predict", run, *words)
    )


def test_images_that_are_given_back_are_the_same(made, lab, photos, tmp_path):
    run, folder = made
    for name, words in (("one", ("--onnx", folder / "vae.encoder.onnx")), ("other", (run,))):
        assert lab("predict", *words, photos, "--images", tmp_path / name).code == 0
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "other").iterdir())
    for name in files:
        one, other = (np.asarray(Image.open(tmp_path / d / name), int) for d in ("one", "other"))
        assert np.abs(one - other).max() <= 1


def test_a_vae_has_the_spread_of_its_latents(made):
    model = onnx.load(made[1] / "vae.encoder.onnx")
    assert [each.name for each in model.graph.output] == ["latents", "log_variances", "seen"]


def test_a_part_that_is_missing_or_another_is_named(made, lab, photos, tmp_path):
    encoder, decoder = (made[1] / f"vae.{part}.onnx" for part in ("encoder", "decoder"))
    (tmp_path / encoder.name).write_bytes(encoder.read_bytes())
    result = lab("predict", "--onnx", tmp_path / encoder.name, photos)
    assert result.code == 2
    assert "its other part, vae.decoder.onnx, must lie beside it" in result.err
    other = onnx.load(decoder)
    for entry in other.metadata_props:
        entry.value = "0" if entry.key == "weights" else entry.value
    onnx.save(other, tmp_path / decoder.name)
    result = lab("predict", "--onnx", tmp_path / encoder.name, photos)
    assert result.code == 2
    assert "are of different networks" in result.err


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_every_model_says_the_same_without_torch(
    model, untrained, lab, photos, tmp_path, without_torch, check
):
    run = untrained(Compression, tmp_path, model=model, **SMALL)
    assert lab("export", run).code == 0
    [path] = (run / "export").glob("*.encoder.onnx")
    words = (photos, "--format", "csv", *(("--class", "3") if "conditional" in model else ()))
    asked = without_torch("autoencoder", "predict", "--onnx", path, *words)
    check(asked, lab("predict", run, *words))
