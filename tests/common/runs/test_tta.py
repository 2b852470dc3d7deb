"""Which copies of an image there are, how they are changed, and what their mean is."""

import pytest
import torch

from common.errors import ConfigError
from common.images import augment
from common.runs.tta import copies as tta

PIXELS = torch.arange(2 * 6 * 6, dtype=torch.uint8).reshape(2, 1, 6, 6)


def names(spec, *trained, size=28):
    return [copy.name for copy in tta.parse(spec, augment.parse(trained), size)]


def changed(spec, images=PIXELS, *trained):
    return {
        copy.name: copy.change(images)
        for copy in tta.parse(spec, augment.parse(trained), images.shape[-1])
    }


def test_copies_suit_what_a_run_was_trained_with():
    of = {
        (): ["shift:1"],
        ("color", "erase"): ["shift:1"],
        ("hflip",): ["hflip"],
        ("hflip:0", "vflip"): ["vflip"],
        ("hflip", "pad-crop:4"): ["hflip", "shift:2"],
        ("affine:10:0.15:0.2",): ["shift:2", "scale:1.1", "scale:0.9"],
        ("crop:24",): ["crop"],
        ("crop:28",): ["shift:1"],
    }
    assert {each: tta.suit(augment.parse(each), 28) for each in of} == of
    assert tta.suit((), 224) == ["shift:4"]
    mirrored = ("hflip", "crop:24")
    assert names("auto", *mirrored) == names("hflip,crop", *mirrored)
    assert len(names("auto", *mirrored)) == 5
    assert names("auto, vflip,hflip", "hflip") == ["hflip", "vflip"]


def test_copies_are_changed_as_they_are_called():
    first = PIXELS[0, 0]
    found = changed("hflip,vflip,shift:2")
    assert torch.equal(found["hflip"][0, 0], first.flip(1))
    assert torch.equal(found["vflip"][0, 0], first.flip(0))
    down, left = found["shift:2 down"][0, 0], found["shift:2 left"][0, 0]
    assert torch.equal(down[2:], first[:-2])
    assert torch.equal(down[:2], first[:1].expand(2, 6))  # the edge again
    assert torch.equal(left[:, :-2], first[:, 2:])
    corners = changed("crop", PIXELS, "crop:4")
    assert torch.equal(corners["crop low-high"][0, 0], first[:4, 2:])
    assert torch.equal(corners["crop high-low"][1, 0], PIXELS[1, 0, 2:, :4])


def test_a_copy_is_scaled_about_its_center():
    images = torch.zeros(1, 3, 40, 40, dtype=torch.uint8)
    images[:, :, 14:26, 14:26] = 200  # 12 pixels wide
    [larger], [smaller] = (list(changed(spec, images).values()) for spec in ("scale:2", "scale:.5"))
    assert larger.dtype == torch.uint8
    assert larger.shape == images.shape
    assert (larger[0, 0, 20] > 100).sum() == 24
    assert (smaller[0, 0, 20] > 100).sum() == 6
    assert torch.equal(larger, larger.flip(2, 3))  # the center stays


def test_what_is_averaged_are_probabilities():
    logits = torch.tensor([[[2.0, 0, -40]], [[-1.0, 3, 200]]])
    answers = [{"outputs": each} for each in logits]
    mean = tta.average("class", answers)["outputs"]
    torch.testing.assert_close(mean.softmax(-1), logits.softmax(-1).mean(0))
    labels = tta.average("labels", answers)["outputs"]
    torch.testing.assert_close(labels.sigmoid(), logits.sigmoid().mean(0))
    numbers = [{"outputs": torch.tensor([each])} for each in (1.0, 4.0)]
    assert tta.average("number", numbers)["outputs"].tolist() == [2.5]


def test_without_copies_the_answers_are_the_networks_own():
    own = {"outputs": torch.zeros(2, 3)}
    assert tta.answer(lambda images: own, PIXELS, (), None) is own


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("hflp", "did you mean hflip"),
        ("", "expected some of auto, hflip"),
        ("hflip:1", "expected it as hflip"),
        ("shift", "expected it as shift:1"),
        ("shift:0", "from 1 to 13"),
        ("shift:14", "from 1 to 13"),
        ("shift:1.5", "whole number"),
        ("scale:3", "from 0.5 to 2"),
        ("scale:1", "not 1"),
        ("scale:nan", "from 0.5 to 2"),
        ("crop", "trained without crops"),
    ],
)
def test_other_copies_are_refused(spec, said):
    with pytest.raises(ConfigError, match=said):
        names(spec)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ConfigError) as caught:
        names("hflip,shift:0,skale:1.1")
    assert len(caught.value.problems) == 2
