"""The lab's command line in this process, and a small run of each kind."""

import pytest

from common.maps import tsne
from labs.autoencoder import __main__ as program
from labs.autoencoder.job import Compression
from labs.autoencoder.views import material as views
from labs.autoencoder.views.material import Material

SMALL = (
    *("--data", "digits", "--limit", "200", "--epochs", "2", "--warmup", "0", "--threads", "1"),
    *("--latent-size", "4", "--width", "4", "--batch-size", "16"),
)


@pytest.fixture(scope="session")
def lab(command):
    """Return a function that runs a command of the lab in this process.

    Maps are made in fewer steps. Most tests need no views in the report; with full=True it has all.
    """

    def run(*words, full=False, **options):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tsne, "_ITERATIONS", (20, 30))
            if not full:
                patch.setattr(views, "sections", lambda material: [])
            return command(program.lab, *words, **options)

    return run


@pytest.fixture(scope="session")
def small_run(lab, tmp_path_factory):
    """Return a function that trains a small run with options, once, and gives its folder."""
    made = {}

    def call(*words):
        if words not in made:
            folder = tmp_path_factory.mktemp("runs")
            result = lab("train", *SMALL, "--run-dir", folder, "--name", "run", *words)
            assert result.code == 0, result
            made[words] = folder / "autoencoder" / "run"
        return made[words]

    return call


@pytest.fixture(scope="session")
def opened():
    """Return a function that gives what the views of a run are made from."""

    def material(run):
        job = Compression.reopen(run, None)
        job.load_best()
        return Material(job, job.load_splits())

    return material


@pytest.fixture(scope="session")
def material(opened, small_run):
    """Return what the views of the small run without further options are made from."""
    return opened(small_run())
