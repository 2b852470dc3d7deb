"""A trained classifier as a page: what it needs of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import nn

from common.errors import RunError
from common.live import program
from common.live.page import write_page
from common.live.samples import describe_board
from common.training.checkpoint import Kept
from labs.classification import task
from labs.classification.job import ClassifyImages
from labs.classification.models import lenet


def write(job: ClassifyImages, path: Path) -> None:
    """Write the page of a run.

    Args:
        job: with its best weights.
        path: the HTML file.

    Raises:
        RunError: its network is too large for a page, or computes what a page cannot.
        SaveError: it cannot be written.
    """
    steps = trace(job)
    splits = job.load_splits()
    card, config = job.card, job.config
    data = {
        "program": program.dump(steps),
        "classes": list(card.classes),
        **describe_board(card, config.fit, splits["test"]),
        "mean": list(card.mean),
        "std": list(card.std),
        "kind": config.kind,
        "thresholds": job.thresholds.tolist() if config.several else [],
        "target": [card.target_mean, card.target_std],
        "kernels": read_kernels(job, steps),
    }
    subtitle = f"{config.title} on {card.source}"
    write_page(path, job.run.path.name, subtitle, Path(__file__).parent, data)


def trace(job: ClassifyImages) -> list[program.Step]:
    """Return the run's network, from normalized pixels to its outputs.

    Raises:
        RunError: see `write`.
    """
    count = sum(weight.numel() for weight in job.model.parameters())
    if count > program.MOST_WEIGHTS:
        raise RunError(
            f"{job.run.path}: {job.config.model} has {count:,} weights, and a page holds "
            f"{program.MOST_WEIGHTS:,} at most; a run of lenet5 or resnet20 can be opened"
        )
    if task.augmentation(job.config, job.card).output_size(job.card.image_size) != (
        job.card.image_size
    ):
        raise RunError(f"{job.run.path}: a network that sees crops of its images has no page")
    try:
        return program.trace(job.model.eval().cpu(), _OWN)
    except RunError as error:
        raise RunError(
            f"{job.run.path}: a page cannot run {job.config.model}: {error}; it runs linear, mlp, "
            "locally-connected, lenet5, lenet5-1998, alexnet, vgg and resnet, among others"
        ) from error


def read_kernels(job: ClassifyImages, steps: Sequence[program.Step]) -> list[dict[str, Any]]:
    """Return the first convolution's kernels at the positions of training that the run kept."""
    first = next((step for step in steps if step.operation == "conv2d"), None)
    key = "" if first is None else f"{first.name}.weight"
    found = []
    for path in Kept(job.run.path, 0).paths():
        with safe_open(path, "pt") as file:
            names = {f"average/{key}", f"model/{key}"} & {*file.keys()}
            if names:
                weight = file.get_tensor(min(names))  # the average, where there is one
                values = [round(value, 5) for value in weight.flatten().tolist()]
                epoch = int(path.stem.partition("-")[0])
                found.append({"epoch": epoch, "shape": list(weight.shape), "values": values})
    return found


def _describe_windows(module: lenet.LocallyConnected) -> program.Described:
    weight = module.weight.permute(1, 2, 0)  # (outputs, inputs x 5 x 5, places)
    bias = module.bias.view(weight.shape[0], -1)
    attributes = {"kernel": 5, "padding": module.padding}
    return "locally_connected", attributes, {"weight": weight, "bias": bias}


def _describe_partial(module: lenet.PartialConvolution) -> program.Described:
    attributes = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1}
    return "conv2d", attributes, {"weight": module.kernels(), "bias": module.bias}


def _describe_subsampling(module: lenet.Subsampling) -> program.Described:
    return "subsample", {}, {"weight": module.weight, "bias": module.bias}


def _describe_tanh(module: lenet.ScaledTanh) -> program.Described:
    attributes = {"kind": "scaled_tanh", "amplitude": 1.7159, "slope": 2 / 3}
    return "activation", attributes, {}


def _describe_codes(module: lenet.CodeDistances) -> program.Described:
    return "code_distances", {}, {"codes": module.codes}


_OWN: dict[type[nn.Module], program.Describe] = {
    lenet.LocallyConnected: _describe_windows,
    lenet.PartialConvolution: _describe_partial,
    lenet.Subsampling: _describe_subsampling,
    lenet.ScaledTanh: _describe_tanh,
    lenet.CodeDistances: _describe_codes,
}
