"""`open`: a run becomes a page; what the page does is tested in a browser."""

import base64
import json
import re

import numpy as np
import pytest
import torch

from common.errors import RunError
from common.live import program
from labs.autoencoder.job import Compression
from labs.autoencoder.live import view


def open_run(run):
    job = Compression.reopen(run, None)
    job.load_best()
    return job


def data_of(path):
    page = path.read_text("utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def write(run, tmp_path):
    path = tmp_path / "page.html"
    view.write(open_run(run), path)
    return data_of(path)


def test_the_command_writes_one_page_with_encoder_and_decoder(lab, small_run, tmp_path):
    path = tmp_path / "page.html"
    result = lab("open", small_run(), "--output", path)
    assert result.code == 0, result.err
    assert f"Page: {path}" in result.out
    page, found = path.read_text("utf-8"), data_of(path)
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    operations = [step["operation"] for step in found["encoder"]["steps"]]
    assert operations[:2] == ["conv2d", "group_norm"]
    assert found["decoder"]["steps"][-1]["attributes"] == {"kind": "sigmoid"}
    assert len(found["order"]) == len(found["low"]) == 4
    assert not found["variational"]
    assert found["noise"] is None


def test_both_languages_have_each_text(small_run, tmp_path):
    view.write(open_run(small_run()), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    texts = json.loads(re.search(r"const texts = (\{.*\});", page)[1])
    assert all(each["en"] and each["ko"] for each in texts.values())
    used = {*re.findall(r'data-(?:t|label)="([^"]+)"', page), *re.findall(r'say\("([\w-]+)"', page)}
    assert used <= texts.keys()


def test_the_map_has_the_codes_of_test_images_and_their_errors(small_run, opened, tmp_path):
    found, encoded = write(small_run(), tmp_path)["map"], opened(small_run())["test"]
    codes = np.frombuffer(base64.b64decode(found["codes"]), "<f4").reshape(-1, 4)
    np.testing.assert_array_equal(codes, encoded.latents)
    np.testing.assert_allclose(found["errors"], encoded.errors, rtol=1e-3)
    assert found["targets"] == encoded.classes.tolist()
    assert found["places"] is None  # there is no map yet


def test_a_map_that_the_run_keeps_is_there_unless_it_is_of_other_weights(lab, small_run, tmp_path):
    run = small_run("--seed", "1")
    assert lab("latents", run).code == 0
    found = write(run, tmp_path)["map"]
    assert len(found["places"]) == len(found["targets"])
    settings = run / "maps" / "latents.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "epochs": 9}))
    assert write(run, tmp_path)["map"]["places"] is None


@pytest.mark.parametrize("latents", [1, 2])
def test_one_latent_has_no_plane_and_two_are_one(small_run, tmp_path, latents):
    found = write(small_run("--latent-size", str(latents)), tmp_path)
    assert found["directions"] == [[], [[1, 0], [0, 1]]][latents - 1]
    assert found["origin"] == [0] * latents


def test_a_plane_of_more_latents_is_that_of_the_principal_components(small_run, tmp_path):
    directions = torch.tensor(write(small_run(), tmp_path)["directions"])
    torch.testing.assert_close(directions @ directions.T, torch.eye(2), atol=1e-3, rtol=0)


def test_what_is_told_a_class_takes_it_beside_pixels_and_latents(small_run):
    job = open_run(small_run("--model", "conditional-vae", "--loss", "bce"))
    encoder, decoder = view.trace(job)
    assert [step.operation for step in encoder][:2] == ["slice", "reshape"]
    assert "concatenate" in [step.operation for step in encoder]
    first = next(step for step in decoder if step.operation == "linear")
    assert first.weights["weight"].shape[1] == 4 + 10


def test_a_network_that_is_too_large_is_refused_with_what_can_be_opened(small_run, monkeypatch):
    monkeypatch.setattr(program, "MOST_WEIGHTS", 1000)
    with pytest.raises(RunError, match=r"weights are more than the 1,000.*--width below 4"):
        view.trace(open_run(small_run()))


@pytest.mark.parametrize("model", ["linear", "dense", "denoising", "sparse", "contractive", "vae"])
def test_every_model_becomes_operations(small_run, model):
    job = open_run(small_run("--model", model))
    encoder, decoder = view.trace(job)
    assert program.dump(encoder)["steps"]
    assert program.dump(decoder)["steps"]
