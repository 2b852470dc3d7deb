"""Files of weights: bit for bit there and back, and of the length that the layers need."""

import struct

import numpy as np
import pytest
import torch

from common.errors import ConfigError, RunError
from labs.detection.darknet import cfg, published, weights
from labs.detection.darknet.network import Darknet

TINY = "darknet-yolov3-tiny"
# Bytes of the published files of 80 classes.
PUBLISHED = {
    "darknet-yolov3-tiny": 35434956,
    "darknet-yolov3": 248007048,
    "darknet-yolov4-tiny": 24251276,
}


def small(classes=2, seed=0):
    text = (
        "[net]\nwidth=64\nheight=64\n"
        "[conv]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
        "[conv]\nbatch_normalize=1\nfilters=6\ngroups=2\nsize=3\npad=1\nactivation=leaky\n"
        f"[conv]\nfilters={3 * (5 + classes)}\nsize=1\nactivation=linear\n"
        f"[yolo]\nanchors=10,14,23,27,37,58\nnum=3\nclasses={classes}\n"
    )
    torch.manual_seed(seed)
    model = Darknet(cfg.parse(text, "own.cfg"), 64)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.1, 1)
    return model


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "own.weights"
    weights.write(path, small())
    return path


def same(one, other, *layers):
    return all(
        torch.equal(value, other.state_dict()[name])
        for name, value in one.state_dict().items()
        if name.startswith(tuple(f"layers.{at}." for at in layers)) and "batches" not in name
    )


@pytest.mark.parametrize(("name", "size"), PUBLISHED.items())
def test_published_files_have_as_many_floats_as_their_networks(name, size):
    network = cfg.parse(published.write(name, 80), name)
    assert 20 + 4 * weights.count(network) == size


def test_what_is_written_is_read_again_bit_for_bit(file, tmp_path):
    other = small(seed=1)
    assert not same(other, small(), 0, 1, 2)
    header = weights.load_whole(other, file)
    assert header == (0, 2, 5, 0)
    assert same(other, small(), 0, 1, 2)
    weights.write(tmp_path / "again.weights", other, header)
    assert (tmp_path / "again.weights").read_bytes() == file.read_bytes()


def test_numbers_stand_in_darknets_order(file):
    layer = small().layers[0]
    content = np.frombuffer(file.read_bytes(), "<f4", offset=20)
    parts = [layer.norm.bias, layer.norm.weight, layer.norm.running_mean, layer.norm.running_var]
    for at, part in enumerate([*parts, *layer.conv.weight.view(-1, 8)]):
        assert np.array_equal(content[8 * at : 8 * at + 8], part.detach().numpy())


def test_old_headers_count_images_in_four_bytes(file):
    content = file.read_bytes()
    file.write_bytes(struct.pack("<4i", 0, 1, 0, 77) + content[20:])
    other = small(seed=1)
    header = weights.load_whole(other, file)
    assert header.seen == 77
    assert same(other, small(), 0, 1, 2)
    weights.write(file.with_name("again"), other, header)
    assert file.with_name("again").read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content[:10], "10 bytes are no .weights"),
        (lambda content: content[:-2], "no whole number of floats"),
        (lambda content: content[:-4], "ends within layer 2, the \\[convolutional\\] of line 18"),
        (lambda content: content[:200], "ends within layer 0"),
        (lambda content: content + content[20:24], "1 more; it is of another network"),
        (lambda content: b"PK\3\4" + content[4:], "it begins with"),
        (lambda content: content[:40] + b"\0\0\xc0\x7f" + content[44:], "float 5 is nan"),
        (lambda content: content[:120] + b"\0\0\x80\xbf" + content[124:], "a variance of layer 0"),
    ],
)
def test_a_damaged_file_is_refused(file, change, said):
    file.write_bytes(change(file.read_bytes()))
    for load in (weights.load_whole, weights.start):
        with pytest.raises(RunError, match=said):
            load(small(seed=1), file)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        weights.read(tmp_path / "none.weights")


def test_a_file_that_ends_after_a_layer_begins_a_network_and_makes_no_whole_one(file):
    end = next(iter(weights.places(small().cfg))).end
    file.write_bytes(file.read_bytes()[: 20 + 4 * end])
    other = small(seed=1)
    assert "ends after layer 0: 1 of 3 convolutions" in weights.start(other, file)
    assert same(other, small(), 0)
    assert same(other, small(seed=1), 1, 2)
    with pytest.raises(RunError, match="ends before layer 1"):
        weights.load_whole(other, file)


def test_a_file_of_other_classes_begins_all_but_the_heads(tmp_path):
    path = tmp_path / "other.weights"
    weights.write(path, small(classes=9))
    other = small(seed=1)
    assert "is of 9 classes: 2 of 3 convolutions" in weights.start(other, path)
    assert same(other, small(classes=9), 0, 1)
    assert same(other, small(seed=1), 2)
    with pytest.raises(RunError, match="as many as it had with 9 classes, not 2"):
        weights.load_whole(other, path)
