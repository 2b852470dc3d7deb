"""A `.cfg` of darknet is read whole, or refused by the lines that are not understood."""

import pytest

from common.errors import ConfigError
from labs.detection.darknet import cfg, published
from labs.detection.names import DARKNET

SMALL = """
[net]
width=64
height=64
batch=16
learning_rate=0.001   # of darknet's trainer

[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky

[maxpool]
size=2
stride=2

[conv]
filters=21
size=1
activation=linear

[yolo]
mask = 0,1,2
anchors = 10,14,  23,27,  37,58
classes=2
num=3
jitter=.3
"""


def line_of(text, part):
    return next(at for at, line in enumerate(text.splitlines(), 1) if part in line)


def test_names_are_those_of_the_tables():
    assert set(DARKNET) == set(published.NAMES)


# The floats of the published files: (bytes - 20 of the header) / 4.
@pytest.mark.parametrize(
    ("name", "layers", "heads"),
    [
        ("darknet-yolov3-tiny", 24, [16, 23]),
        ("darknet-yolov3", 107, [82, 94, 106]),
        ("darknet-yolov4-tiny", 38, [30, 37]),
    ],
)
def test_published_networks_have_the_published_layers(name, layers, heads):
    found = cfg.parse(published.write(name, 80), name)
    assert len(found.layers) == layers
    assert [at for at, _ in found.heads] == heads
    assert found.strides(416) == [32, 16, 8][: len(heads)]
    assert found.size == 416


def test_a_file_is_read_as_darknet_reads_it():
    found = cfg.parse(SMALL, "own.cfg")
    first, pool, last, head = found.layers
    assert (first.padding, first.normalize, first.activation) == (1, True, "leaky")
    assert (pool.padding, last.padding) == (1, 0)
    assert head.anchors == ((10, 14), (23, 27), (37, 58))
    assert found.shapes() == [(8, 32, 32), (8, 16, 16), (21, 16, 16), (21, 16, 16)]
    assert found.unused == ("batch of [net]", "learning_rate of [net]", "jitter of [yolo]")


def test_what_darknet_writes_by_default_is_taken_by_default():
    text = "[net]\nwidth=32\nheight=32\n[convolutional]\nfilters=25\nactivation=linear\n[yolo]\n"
    text += "anchors=5,5\n"
    _, head = cfg.parse(text, "own.cfg").layers
    assert (head.classes, head.mask, head.scale_xy, head.ignore) == (20, (0,), 1.0, 0.5)
    bare = text.replace("activation=linear\n", "")  # darknet's default is logistic
    with pytest.raises(ConfigError, match="line 4: before \\[yolo\\] a convolution is read with"):
        cfg.parse(bare, "own.cfg")


@pytest.mark.parametrize(
    ("old", "new", "at", "said"),
    [
        ("[maxpool]", "[maxpol]", "[maxpol]", "did you mean maxpool"),
        ("[maxpool]", "[region]", "[region]", "no layer that is read here"),
        ("[maxpool]", "[net] # again", "again", "stands after the first section"),
        ("activation=leaky", "activation=leeky", "leeky", "did you mean leaky"),
        ("batch_normalize=1", "batch_normalise=1", "normalise", "did you mean batch_normalize"),
        ("filters=8", "filters=eight", "filters=eight", "a whole number from 1 on"),
        ("filters=8", "filters=8.5", "8.5", "a whole number from 1 on"),
        ("filters=8", "filters 8", "filters 8", "expected [a section] or NAME=VALUE"),
        ("filters=8", "filters=8\nfilters=9", "filters=9", "filters is in line"),
        ("filters=8", "filters=8\ndilation=2", "dilation", "read here is dilation=1 alone"),
        ("filters=8", "filters=8\nstride_x=1", "stride_x", "expected the stride, 2"),
        ("filters=8", "filters=8\ngroups=2", "[convolutional]", "parts neither 3 channels nor"),
        ("size=2", "size=200\npadding=0", "[maxpool]", "nothing is left"),
        ("filters=21", "filters=24", "[conv]", "needs 21: 3 anchors x (5 + 2 classes)"),
        ("width=64", "width=96", "height=64", "expected the width, 96"),
        ("width=64\nheight=64", "width=60\nheight=60", "width=60", "expected a multiple of 32"),
        ("37,58", "37", "anchors", "num=3 pairs of a width and a height"),
        ("mask = 0,1,2", "mask = 0,1,3", "mask", "different numbers of anchors, from 0 to 2"),
        ("classes=2", "classes=2\nnew_coords=1", "new_coords", "read here is new_coords=0 alone"),
        ("[yolo]", "[route]\nlayers=-4\n[yolo]", "layers=-4", "layers before this one"),
        ("[yolo]", "[route]\nlayers=-1\n[yolo]", "[yolo]", "expected a [convolutional] before it"),
        ("[yolo]", "[route]\nlayers=0,1\n[yolo]", "[yolo]", "expected a [convolutional]"),
        ("[net]", "width=3\n[net]", "width=3", "stands before the first section"),
        ("[net]", "[maxpool]\n[net]", "[maxpool]", "expected [net] as the first section"),
    ],
)
def test_what_is_not_understood_is_refused_by_its_line(old, new, at, said):
    text = SMALL.replace(old, new, 1)
    with pytest.raises(ConfigError) as caught:
        cfg.parse(text, "own.cfg")
    found = [problem for problem in caught.value.problems if said in problem]
    assert found
    assert found[0].startswith(f"own.cfg line {line_of(text, at)}: ")


def test_layers_of_other_sizes_are_not_put_together():
    own = "[shortcut]\nfrom=-3\nactivation=linear\n\n[conv]"
    with pytest.raises(ConfigError, match="adds 8 x 32 x 32 of layer 0 to 8 x 16 x 16"):
        cfg.parse(SMALL.replace("[conv]", own.replace("-3", "0")), "own.cfg")
    with pytest.raises(ConfigError, match="puts 32 x 32 of layer 0 beside 16 x 16 of layer 1"):
        cfg.parse(SMALL.replace("[conv]", "[route]\nlayers=0,1\n\n[conv]"), "own.cfg")


def test_all_problems_are_told_at_once_in_the_order_of_the_lines():
    text = SMALL.replace("filters=8", "filters=x").replace("classes=2", "klasses=2")
    with pytest.raises(ConfigError) as caught:
        cfg.parse(text, "own.cfg")
    assert len(caught.value.problems) == 2
    many = SMALL + "\n".join(f"option{number}=1" for number in range(30))
    with pytest.raises(ConfigError, match="and 20 more"):
        cfg.parse(many, "own.cfg")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it has no sections"),
        ("# nothing\n", "it has no sections"),
        ("[net]\nwidth=32\nheight=32\n[maxpool]\nsize=2\n", "it has no \\[yolo\\]"),
    ],
)
def test_a_text_that_is_no_detector_is_refused(text, said):
    with pytest.raises(ConfigError, match=said):
        cfg.parse(text, "own.cfg")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "own.cfg"
    path.write_bytes(b"\0\0\0\0\2\0\0\0")
    with pytest.raises(ConfigError, match="no plain text"):
        cfg.read(path)
    with pytest.raises(ConfigError, match="No such file"):
        cfg.read(tmp_path / "none.cfg")
    path.write_text("\ufeff[net]\n# 주석\n", encoding="cp949", errors="replace")
    assert "[net]" in cfg.read(path)


def test_another_number_of_classes_changes_the_heads_alone():
    ours, theirs = (cfg.parse(published.write(DARKNET[0], number), "") for number in (3, 80))
    changed = theirs.with_classes(3)
    assert [layer for layer in changed.layers] == list(ours.layers)
