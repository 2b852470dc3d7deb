"""The layers of a `.cfg` are those of torch; what heads say, and what they learn from."""

import math

import pytest
import torch
from torch.nn import functional

from common.training import When
from common.training.sequences import Padded
from labs.detection.boxes import iou
from labs.detection.darknet import cfg, network, published
from labs.detection.darknet.network import Darknet, boxes_and_scores, decode
from labs.detection.darknet.task import DarknetTask, assign
from labs.detection.names import DARKNET

NET = "[net]\nwidth=64\nheight=64\n"
HEAD = "[yolo]\nmask=0,1\nanchors=8,8,30,20\nclasses=3\nnum=2\n"
LAST = "[conv]\nfilters=16\nsize=1\nactivation=linear\n"


def built(*sections, size=64):
    torch.manual_seed(0)
    return Darknet(cfg.parse(NET + "\n".join([*sections, LAST, HEAD]), "own.cfg"), size).eval()


def images(size=64, count=2):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [2, 3, 5])
def test_a_pool_of_stride_1_keeps_the_size_and_looks_right_and_down(size):
    found = built(f"[maxpool]\nsize={size}\nstride=1").trace(images())[0]
    assert found.shape == images().shape
    before = (size - 1) // 2
    for y, x in ((0, 0), (63, 63), (10, 20)):
        window = images()[
            :,
            :,
            max(0, y - before) : y - before + size,
            max(0, x - before) : x - before + size,
        ]
        assert torch.equal(found[:, :, y, x], window.amax((2, 3)))


def test_a_pool_of_stride_2_is_torchs_where_the_sides_are_even():
    found = built("[maxpool]\nsize=2\nstride=2").trace(images())[0]
    assert torch.equal(found, functional.max_pool2d(images(), 2))


def test_a_route_takes_its_part_of_each_layers_channels():
    eight = "[conv]\nfilters=8\nsize=3\npad=1\nactivation=mish"
    first, second, found, *_ = built(
        eight, eight, "[route]\nlayers=-1,0\ngroups=2\ngroup_id=1"
    ).trace(images())
    assert torch.equal(found, torch.cat([second[:, 4:], first[:, 4:]], 1))


def test_a_shortcut_is_a_sum_and_upsampling_repeats():
    eight = "[conv]\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=leaky"
    same = eight.replace("stride=2", "stride=1")
    first, second, both, up, *_ = built(
        eight, same, "[shortcut]\nfrom=-2\nactivation=relu", "[upsample]\nstride=2"
    ).trace(images())
    assert torch.equal(both, (first + second).relu())
    assert torch.equal(up, both.repeat_interleave(2, 2).repeat_interleave(2, 3))


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("leaky", lambda x: torch.where(x > 0, x, 0.1 * x)),
        ("linear", lambda x: x),
        ("logistic", torch.sigmoid),
        ("mish", lambda x: x * torch.tanh(functional.softplus(x))),
        ("relu", lambda x: x.clamp(min=0)),
        ("swish", lambda x: x * torch.sigmoid(x)),
    ],
)
def test_activations_are_darknets(name, function):
    x = torch.linspace(-4, 4, 50)
    torch.testing.assert_close(network.activation(name)(x), function(x))
    assert name in cfg.ACTIVATIONS


@pytest.mark.parametrize("name", DARKNET)
def test_published_networks_find_boxes_and_learn_from_them(name):
    model = Darknet(cfg.parse(published.write(name, 4), name), 64)
    batch = images(), Padded.of([torch.tensor([[4.0, 4, 20, 28, 2, 0]]), torch.zeros(0, 6)])
    parts = DarknetTask(4, 1).loss(model, batch, When(0, 0, torch.Generator()))
    sum(parts.values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    with torch.no_grad():
        boxes, scores = boxes_and_scores(model.eval(), images())
    assert boxes.shape[1] == scores.shape[1] == sum(3 * (64 // s.stride) ** 2 for s in model.heads)
    assert float(scores.max()) < 0.1  # it expects nothing yet


def test_a_head_says_where_a_box_is_by_the_formulas_of_the_papers():
    text = HEAD.replace("num=2", "num=2\nscale_x_y=1.2")
    model = Darknet(cfg.parse(NET + LAST + text, "own.cfg"), 64)
    raw = torch.zeros(1, 16, 64, 64)
    raw[0, 8:12, 5, 7] = torch.tensor([0.3, -0.4, 0.5, -0.6])  # of the second anchor
    found = decode(model.heads[0], raw).boxes.view(2, 64, 64, 4)[1, 5, 7]
    x, y = (cell + 1.2 / (1 + math.exp(-value)) - 0.1 for cell, value in ((7, 0.3), (5, -0.4)))
    width, height = 30 * math.exp(0.5), 20 * math.exp(-0.6)
    expected = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_the_anchor_most_like_a_box_answers_in_the_cell_of_its_middle():
    model = built()
    boxes = torch.tensor([[10.0, 10, 40, 30], [50.0, 50, 58, 58]])
    columns, rows, answers = assign(model.heads[0], boxes, 64, 64)
    assert answers.tolist() == [[False, True], [True, False]]
    assert columns.tolist() == [25, 54]
    assert rows.tolist() == [20, 54]


@pytest.mark.parametrize("kind", cfg.BOX_LOSSES)
def test_a_network_that_says_the_truth_has_no_loss_of_boxes(kind):
    text = HEAD.replace("num=2", f"num=2\niou_loss={kind}")
    model = Darknet(cfg.parse(NET + LAST + text, "own.cfg"), 64)
    truth = torch.tensor([[10.0, 10, 40, 30, 1, 0]])
    raw = torch.full((1, 16, 64, 64), -20.0)  # nothing anywhere
    raw[0, 8:10, 20, 25], raw[0, 10:12, 20, 25] = torch.tensor(-20.0), torch.tensor(0.0)
    raw[0, 12, 20, 25] = raw[0, 14, 20, 25] = 20.0
    model.forward = lambda images: [raw]
    parts = DarknetTask(3, 1).loss(
        model, (images(count=1), Padded.of([truth])), When(0, 0, torch.Generator())
    )
    assert all(float(value) < 1e-4 for value in parts.values())
    raw[0, 10, 20, 25] = 1.0  # too wide
    loss = DarknetTask(3, 1).loss(
        model, (images(count=1), Padded.of([truth])), When(0, 0, torch.Generator())
    )
    assert float(loss["box"]) > 0.1


def test_a_near_miss_and_a_crowd_cost_nothing_but_an_empty_place_does():
    model = built()
    raw = torch.full((1, 16, 64, 64), -20.0)
    model.forward = lambda images: [raw]
    task, when = DarknetTask(3, 1), When(0, 0, torch.Generator())

    def objectness(*boxes):
        batch = images(count=1), Padded.of([torch.tensor(boxes).view(-1, 6)])
        return float(task.loss(model, batch, when)["objectness"])

    raw[0, 8:12, 20, 26] = 0.0  # the second anchor, a cell beside the one that answers
    raw[0, 12, 20, 26] = 10.0
    box = [10.0, 10.0, 40.0, 30.0, 1.0]
    near = decode(model.heads[0], raw).boxes.view(2, 64, 64, 4)[1, 20, 26]
    assert float(iou(near[None], torch.tensor([box[:4]]))) > 0.5
    assert objectness(*[]) == pytest.approx(10, rel=1e-3)
    assert objectness([*box, 1.0]) == pytest.approx(0, abs=1e-3)  # a crowd
    assert objectness([*box, 0.0]) == pytest.approx(20, rel=1e-3)  # who is to answer says nothing


def test_micro_batches_add_up_to_the_batch():
    model = built()
    boxes = [torch.tensor([[4.0, 4, 20, 28, 2, 0]]), torch.zeros(0, 6)]
    task, when = DarknetTask(3, 1), When(0, 0, torch.Generator())
    whole = task.loss(model, (images(), Padded.of(boxes)), when)
    each = [
        task.loss(model, (images()[row : row + 1], Padded.of(boxes[row : row + 1])), when)
        for row in (0, 1)
    ]
    for name, value in whole.items():
        torch.testing.assert_close(value, (each[0][name] + each[1][name]) / 2)


def test_detections_are_suppressed_within_their_class():
    model = built()
    raw = torch.full((1, 16, 64, 64), -20.0)
    for column, score in ((25, 5.0), (26, 4.0)):
        raw[0, 8:12, 20, column] = 0.0
        raw[0, 12, 20, column], raw[0, 14, 20, column] = score, 5.0
    model.forward = lambda images: [raw]
    found = DarknetTask(3, 1).detect(model, images(count=1))[0]
    shown = found[(found[:, 5] >= 0) & (found[:, 4] > 0.25)]
    assert len(shown) == 1
    assert shown[0, 5] == 1
