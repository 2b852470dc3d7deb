"""A user's images, with classes or without, as a run sees them."""

import numpy as np
import pytest
import torch

from common.errors import DataError
from common.options.config import build
from common.runs.conclude import conclusion_of
from labs.autoencoder.config import AutoencoderConfig
from labs.autoencoder.job import Compression


def started(model):
    values = {"model": model, "data": "digits", "limit": "60", "latent_size": "4", "device": "cpu"}
    return Compression.check(build(AutoencoderConfig, ("options", values)))


def test_images_are_measured_with_the_classes_that_they_have(tmp_path):
    job, splits = started("vae")
    test, said = splits["test"], []
    pixels, labels = test.images[:, 0].numpy(), test.targets.numpy()
    np.savez(tmp_path / "own.npz", x_train=pixels, y_train=labels)
    own = job.labelled(tmp_path / "own.npz", said.append)
    assert torch.equal(own.images, test.images)
    assert torch.equal(own.targets, test.targets)
    every = dict.fromkeys(splits, own)
    measured = conclusion_of(job).figures(job.predict_splits(every, ["test"])["test"], own)
    own_figures = conclusion_of(job).figures(job.predict_splits(splits, ["test"])["test"], test)
    assert measured == own_figures
    np.save(tmp_path / "bare.npy", pixels)
    assert not job.labelled(tmp_path / "bare.npy", said.append).targets.any()
    assert said == []
    np.savez(tmp_path / "other.npz", x_train=pixels, y_train=labels + 100)
    assert not job.labelled(tmp_path / "other.npz", said.append).targets.any()
    assert "not all the run's" in said[0]
    job, _ = started("conditional-vae")
    assert torch.equal(job.labelled(tmp_path / "own.npz", print).targets, test.targets)
    with pytest.raises(DataError, match="there are no labels"):
        job.labelled(tmp_path / "bare.npy", print)
    with pytest.raises(DataError, match="does not know the classes 100, 101"):
        job.labelled(tmp_path / "other.npz", print)
