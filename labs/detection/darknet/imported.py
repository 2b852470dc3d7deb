"""Networks that darknet has trained become runs, and runs become darknet's files."""

import sys
import time
from pathlib import Path

from common.errors import ConfigError, RunError
from common.files import sha256_of, write_text
from common.io.tables import read_text
from common.options.config import located
from common.runs.conclude import conclusion_of
from common.training.checkpoint import Checkpoints
from common.training.compute import Compute
from labs.detection.config import DetectionConfig
from labs.detection.darknet import cfg as cfgs
from labs.detection.darknet import weights
from labs.detection.darknet.job import DarknetCard, DarknetDetector
from labs.detection.darknet.network import Darknet
from labs.detection.job import Detector
from labs.detection.records import check_names

SCORE = 0.25
"""The score from which on darknet shows a detection; nothing has chosen another."""


def import_run(
    cfg: Path, numbers: Path, names: Path, run_dir: Path, name: str | None
) -> tuple[Path, str]:
    """Make a run of a network that darknet has trained; nothing measures it.

    Args:
        cfg: its layers.
        numbers: its weights, of all its layers.
        names: a text with the name of a class in each line.
        run_dir: the folder of all runs.
        name: the run's own; the network's and a number when None.

    Returns:
        The run's folder, and what was read.

    Raises:
        ConfigError: the layers or the names are wrong.
        RunError: the weights are of another network, or the name is taken.
    """
    begun = time.perf_counter()
    text = cfgs.read(cfg)
    network = cfgs.parse(text, str(cfg))
    classes = _read_names(names, network)
    card = DarknetCard(
        source=f"{numbers.name}, trained by darknet on data that is not here",
        counts={},
        skipped=(),
        fingerprint=sha256_of(numbers),
        classes=classes,
        image_size=network.size,
        most=0,
        anchors=network.heads[0][1].anchors,
        anchor_iou=0.0,
        cfg=text,
        imported=True,
    )
    config = DetectionConfig(
        data="imported", model=located(str(cfg)), image_size=network.size, device="cpu"
    )
    job = DarknetDetector(config, Compute("cpu", "32"), card)
    assert isinstance(job.model, Darknet)
    header = weights.load_whole(job.model, numbers)
    job.create(run_dir, name, cfg.stem, sys.argv)
    job.run.path.joinpath("checkpoints").mkdir()
    Checkpoints(job.run.path).keep_best(job.model, {})
    job.run.write("carried", {"validation": {"score_threshold": SCORE}})
    job.run.write_history([])
    conclusion_of(job).conclude_unmeasured(time.perf_counter() - begun)
    said = (
        f"{len(network.layers)} layers, {weights.count(network):,} floats, {len(classes)} classes, "
        f"{network.size} pixels; {header.seen:,} images seen. Photos are scaled by one factor "
        "into a square with grey bars (letterbox); nothing has measured it here, so boxes are "
        f"shown from darknet's score of {SCORE} on"
    )
    return job.run.path, said


def export_run(job: Detector, folder: Path) -> list[Path]:
    """Write a run as darknet's files: `.cfg`, `.weights` and `.names`.

    Args:
        job: with its weights.
        folder: where they go.

    Raises:
        RunError: it is no network of darknet's.
        SaveError: a file cannot be written.
    """
    if not (isinstance(job.card, DarknetCard) and isinstance(job.model, Darknet)):
        raise RunError(
            f"{job.run.path} is no network of a .cfg, which darknet could read; `export` writes "
            "any run as ONNX"
        )
    stem = job.config.title
    paths = [folder / f"{stem}{ending}" for ending in (".cfg", ".weights", ".names")]
    size = job.card.image_size
    same = job.model.cfg.size == size
    write_text(paths[0], job.card.cfg if same else cfgs.resize(job.card.cfg, size))
    weights.write(paths[1], job.model)
    write_text(paths[2], "\n".join(job.card.classes) + "\n")
    return paths


def _read_names(path: Path, network: cfgs.Cfg) -> tuple[str, ...]:
    """Return the names of the classes.

    Raises:
        ConfigError: there are more or fewer than the network tells apart.
    """
    if not path.is_file():
        raise ConfigError(f"--names {path}: no such file; it has the name of a class in each line")
    names = [line.strip() for line in read_text(path, None).splitlines() if line.strip()]
    if len(names) != network.classes:
        raise ConfigError(
            f"--names {path}: it has {len(names)} names, and the [yolo] of line "
            f"{network.heads[0][1].line} in {network.source} has classes={network.classes}"
        )
    return check_names(names, path)
