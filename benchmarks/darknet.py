"""Darknet's files read by the lab and by OpenCV, which knows nothing of it: layer for layer.

    python benchmarks/darknet.py [--opencv FOLDER] [--size PIXELS]

yolov3-tiny, yolov3 and yolov4-tiny of 80 classes get random weights, are written as `.cfg` and
`.weights`, and are read again: by the lab, and by OpenCV's `readNetFromDarknet`. Both see the same
random image. Told is how far the numbers of layers are apart at most, those of the convolutions
before the heads, and the boxes and scores that follow from them; and the same where batch
normalization adds 1e-6 to variances, as OpenCV does, in place of darknet's 1e-5.

OpenCV 5 has lost the reader. Without --opencv, the last 4.x is installed into a folder that is
deleted at the end, by pip, which needs the network.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe
from torch import nn

from labs.detection.darknet import cfg, published, weights
from labs.detection.darknet.network import Convolution, Darknet, decode

OPENCV = "opencv-python-headless<5"
THEIRS = 1e-6  # what OpenCV adds to variances
ACTIVATIONS = ("leaky", "mish", "relu", "swish")  # in OpenCV, numbered as the layer after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--opencv", type=Path, help="a folder in which OpenCV 4 is installed")
    parser.add_argument("--size", type=int, default=416, help="pixels of a side of the image")
    parser.add_argument("--compare", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.compare:
        compare(arguments.size)
        return
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        place = arguments.opencv or Path(folder)
        if arguments.opencv is None:
            install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target"]
            if subprocess.run([*install, folder, OPENCV]).returncode:
                print(f"{OPENCV} cannot be had here; give a folder that has it with --opencv")
                return
        paths = [str(place), os.environ.get("PYTHONPATH", ""), str(Path(__file__).parents[1])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        command = [sys.executable, __file__, "--compare", "--size", str(arguments.size)]
        subprocess.run(command, env=environment, check=True)


def compare(size: int) -> None:
    """Compare all networks; OpenCV 4 is what is imported."""
    import cv2

    print(f"OpenCV {cv2.__version__}, images of {size} x {size} pixels")
    print("| network | floats | layers | any layer | of its size | heads | boxes (px) | scores |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name in published.NAMES:
            description, numbers = (Path(folder, f"{name}.{end}") for end in ("cfg", "weights"))
            description.write_text(published.write(name, 80, size))
            network = cfg.parse(cfg.read(description), name)
            weights.write(numbers, random_network(network, size))
            model = Darknet(network, size).eval()
            weights.load_whole(model, numbers)
            theirs = cv2.dnn.readNetFromDarknet(str(description), str(numbers))
            for title, epsilon in ((name, None), (f"{name}, eps 1e-6", THEIRS)):
                for layer in model.modules():
                    if isinstance(layer, nn.BatchNorm2d) and epsilon is not None:
                        layer.eps = epsilon
                found = differences(model, theirs, size)
                cells = [f"{weights.count(network):,}", str(len(model.layers))]
                print(f"| {title} | {' | '.join(cells + [f'{each:.1e}' for each in found])} |")


def random_network(network: cfg.Cfg, size: int) -> Darknet:
    """Return a network whose batch normalization has seen something, too."""
    torch.manual_seed(0)
    model = Darknet(network, size)
    with torch.no_grad():
        for layer in model.layers:
            if isinstance(layer, Convolution) and layer.norm is not None:
                layer.norm.weight.uniform_(0.5, 1.5)
                layer.norm.bias.normal_(0, 0.2)
                layer.norm.running_mean.normal_(0, 0.2)
                layer.norm.running_var.uniform_(0.2, 1.5)
            elif isinstance(layer, Convolution):
                layer.conv.bias.normal_(0, 1)  # so that some scores are high
    return model


def differences(model: Darknet, theirs: Any, size: int) -> tuple[float, ...]:
    """Return how far numbers are apart at most.

    Of any layer; of any layer, as a share of its largest number; of the last convolutions; of boxes
    in pixels; of scores.
    """
    image = np.random.default_rng(0).random((1, 3, size, size), dtype=np.float32)
    theirs.enableFusion(False)  # or some layers would not be there to be asked for
    theirs.setInput(image)
    last = names_of_layers(theirs)
    ours = model.trace(torch.from_numpy(image))
    given = theirs.forward([last[at] for at in range(len(ours))])
    heads = [at for at, _ in model.cfg.heads]
    apart, shares, boxes, scores = {}, [], [], []
    for at, (own, other) in enumerate(zip(ours, given, strict=True)):
        if at not in heads:
            apart[at] = np.abs(own.numpy() - other).max()
            shares.append(apart[at] / np.abs(other).max())
    for at, head in zip(heads, model.heads, strict=True):
        box, score = one_head(head, ours[at], given[at], size)
        boxes.append(box)
        scores.append(score)
    ends = max(apart[at - 1] for at in heads)
    return max(apart.values()), max(shares), ends, max(boxes), max(scores)


def one_head(head: Any, raw: torch.Tensor, rows: Any, size: int) -> tuple[float, float]:
    """Return how far boxes (pixels) and scores of a head are apart; theirs go cell by cell."""
    said = decode(head, raw)
    _, _, height, width = raw.shape
    order = (len(head.row.mask), height * width)
    corners, numbers = (
        each[0].unflatten(0, order).transpose(0, 1) for each in (said.boxes, said.raw)
    )
    center, sides = (corners[..., :2] + corners[..., 2:]) / 2, corners[..., 2:] - corners[..., :2]
    own = torch.cat([center, sides], -1).flatten(0, 1).numpy()
    scores = numbers[..., 4:5].sigmoid() * numbers[..., 5:].sigmoid()
    shown = rows[:, 5:] > 0  # OpenCV sets low ones to 0
    assert shown.any(), "no score is shown, so none is compared"
    apart = np.abs(scores.flatten(0, 1).numpy() - rows[:, 5:])[shown].max()
    return float(np.abs(own - rows[:, :4] * size).max()), float(apart)


def names_of_layers(theirs: Any) -> dict[int, str]:
    """Return the last of OpenCV's layers of each of darknet's, by its number."""
    last = {}
    for name in theirs.getLayerNames():
        kind, _, number = name.rpartition("_")
        last[int(number) - (kind in ACTIVATIONS)] = name
    return last


if __name__ == "__main__":
    main()
