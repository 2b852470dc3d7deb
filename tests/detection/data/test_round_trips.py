"""Boxes through every pair of formats and back: what is read is what was written, or it is said.

Nothing may be wrong in silence: a box that is not found has a row among the problems, or a line of
what was lost; one that is found is where it was, up to the format's rounding.
"""

import itertools
import os
import shutil
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from common.errors import DataError
from labs.detection.data import formats
from labs.detection.data.convert import convert
from labs.detection.records import Annotated, Box, Picture, bounds

SIZES = ((8, 8), (30, 20), (17, 40), (64, 64))
WORDS = ("cat", "no", "0123", "12:30", "고양이", "a & <b>", "null", "~", "a: b", "[x]", "{y}", "#c")
SETTINGS = {"derandomize": True, "deadline": None, "database": None}
# What a format's rounding may move an edge, in pixels.
ROUNDING = {"voc": 1.0, "coco": 1e-6, "yolo": 1e-5}


@pytest.fixture(scope="module")
def photos():
    """Return a small image of each size, in a folder whose files need not reach the disk."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        paths = []
        for value, (width, height) in enumerate(SIZES):
            noise = np.random.default_rng(value).integers(0, 256, (height, width, 3), np.uint8)
            paths.append(Path(folder, f"photo{value}.png"))
            Image.fromarray(noise).save(paths[-1])
        yield paths


@st.composite
def boxes(draw, width, height, classes):
    """Draw a box in an image, with or without outlines in it, some of them as large as it is."""
    xs, ys = (
        sorted(draw(st.lists(st.floats(0, side), min_size=2, max_size=2, unique=True)))
        for side in (width, height)
    )
    box = Box(xs[0], ys[0], xs[1], ys[1], draw(st.integers(0, classes - 1)), draw(st.booleans()))
    pieces = draw(st.integers(0, 2))
    outlines = []
    for _ in range(pieces):
        points = draw(
            st.lists(
                st.tuples(st.floats(xs[0], xs[1]), st.floats(ys[0], ys[1])), min_size=3, max_size=5
            )
        )
        outlines.append(tuple(itertools.chain(*points)))
    if draw(st.booleans()) and pieces:
        outlines[0] += (box.x1, box.y1, box.x2, box.y2)
    return box._replace(polygons=tuple(outlines))


def clean(name):
    """Return a name as all readers give it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).strip())


@st.composite
def sets(draw):
    """Draw names of classes, splits, and for each image of a split its size and boxes."""
    letters = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Zs"])
    texts = st.text(letters, min_size=1, max_size=8)
    words = st.sampled_from(WORDS)
    names = words | words | words | texts.map(clean).filter(len)
    classes = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    splits = draw(st.sampled_from([("all",), ("train", "validation"), ("train", "test")]))
    parts = {}
    for part, sizes in zip(splits, draw(st.permutations([(0, 1), (2, 3)])), strict=False):
        chosen = sizes[: draw(st.integers(1, 2))]
        parts[part] = {
            at: draw(st.lists(boxes(*SIZES[at], len(classes)), min_size=not parts, max_size=2))
            for at in chosen
        }
    return classes, parts


def annotate(photos, classes, parts, form):
    """Return the records of a drawn set."""
    made = {
        part: tuple(
            Picture(photos[at], photos[at].name, SIZES[at][1], SIZES[at][0], tuple(some))
            for at, some in images.items()
        )
        for part, images in parts.items()
    }
    return Annotated(form, photos[0].parent, tuple(classes), made, ())


def expect(box, form):
    """Return the box that a format can hold at best, None for none."""
    if form == "yolo" and box.crowd:
        return None
    if form == "yolo" and len(box.polygons) == 1:
        around = bounds(box.polygons[0])
        if all(abs(a - b) <= 0.5 for a, b in zip(around, box[:4], strict=True)):
            return box._replace(x1=around[0], y1=around[1], x2=around[2], y2=around[3])
        return box._replace(polygons=())
    kept = {"voc": (), "yolo": (), "coco": box.polygons}[form]
    return box._replace(polygons=kept)


def compare(before, after, form, said):
    """Check what was read against what was written; `said` tells what is missing."""
    said = " ".join((said, *after.notes))
    words = ("crowds", "outlines", "key points", "iscrowd 1", "four corners")
    lost = {word: word in said for word in words}
    named = len(after.problems) - len(before.problems)
    pictures = {each.path.name: each for each in after.pictures}
    if "all" not in before.parts:
        assert {part: len(some) for part, some in after.parts.items()} == {
            part: len(some) for part, some in before.parts.items()
        }
    allowed = ROUNDING[form]
    for some in before.parts.values():
        for picture in some:
            found = list(pictures[picture.path.name].boxes)
            for box in picture.boxes:
                best = expect(box, form)
                if best is None:
                    assert lost["crowds"]
                    continue
                where = [
                    each
                    for each in found
                    if all(abs(a - b) <= allowed for a, b in zip(each[:4], best[:4], strict=True))
                    and after.classes[each.label] == before.classes[box.label]
                    and (each.crowd == best.crowd or lost["iscrowd 1"])
                ]
                if not where:
                    assert after.problems or lost["key points"], (box, found, form)
                    continue
                same = [
                    each
                    for each in where
                    if len(each.polygons) == len(best.polygons)
                    or (lost["four corners"] and len(each.polygons[0]) == 8)
                ]
                assert same or after.problems, (best, where)
                found.remove((same or where)[0])
                if len(best.polygons) < len(box.polygons):
                    assert lost["outlines"] or named
            if not lost["key points"]:
                assert not found, (found, form)


def trip(photos, drawn, one, two):
    """Write a set as one format, convert it to another and back; check each step."""
    classes, parts = drawn
    source = annotate(photos, classes, parts, one)
    with tempfile.TemporaryDirectory(dir=photos[0].parent) as folder:
        root = Path(folder)
        names = {path: path.name for path in photos}
        try:
            formats.FORMS[one].write(root / "one", source, names)
            for part, some in source.parts.items():
                target = root / "one" / formats.FORMS[one].image_folder(part)
                target.mkdir(parents=True, exist_ok=True)
                for picture in some:
                    shutil.copyfile(picture.path, target / picture.path.name)
            first = formats.read(root / "one")
            compare(source, first, one, "crowds outlines")
            said = convert(root / "one", root / "two", two)
            second = formats.read(root / "two")
            compare(first, second, two, said)
            said = convert(root / "two", root / "back", one)
            compare(second, formats.read(root / "back"), one, said)
        except DataError:
            return  # said


PAIRS = [*itertools.product(formats.FORMS, repeat=2)]


@settings(max_examples=25, **SETTINGS)
@given(drawn=sets(), pair=st.sampled_from(PAIRS))
def test_boxes_through_pairs_of_formats(photos, drawn, pair):
    trip(photos, drawn, *pair)


@pytest.mark.slow
@pytest.mark.parametrize(("one", "two"), PAIRS)
def test_boxes_through_every_pair_of_formats(photos, one, two):
    @settings(max_examples=280, **SETTINGS)
    @given(drawn=sets())
    def run(drawn):
        trip(photos, drawn, one, two)

    run()
