import base64
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from common.maps import page as maps
from common.maps.page import Fact, Groups, Mark, Pictures, Shades
from common.maps.plots import colors
from common.maps.words import Words

HOSTILE = ["고양이", "</script><script>alert(1)</script>", "a 'b' \"c\" & <b>d</b>", "$x$ \udcff"]
RNG = np.random.default_rng(0)
CLASSES = np.arange(12) % 4
ERRORS = np.linspace(0.01, 0.12, 12)
IMAGES = RNG.integers(0, 256, (12, 1, 5, 5), dtype=np.uint8)
CLASS, ERROR, NAME = Words("class", "클래스"), Words("error", "오차"), Words("name", "이름")
MARK = Mark(Words("mistake", "틀림"), Words("right", "맞음"), CLASSES == 3)


def render(coordinates=None, images=IMAGES, **changed):
    count = len(images)
    classes = changed.pop("classes", CLASSES)
    given = {
        "ways": [Groups(CLASS, classes, HOSTILE), Shades(ERROR, changed.pop("errors", ERRORS))],
        "facts": [Fact(NAME, [f"사진/{row}</script>.png" for row in range(count)])],
        "title": "지도 <b>1</b>",
        "subtitle": "<i>lenet5</i>",
        "about": Words("Trustworthiness 0.97 & <i>more</i>", "신뢰도"),
        "pictures": [Pictures(Words("image", "이미지"), images)],
        **changed,
    }
    places = RNG.normal(size=(count, 2)) if coordinates is None else coordinates
    return maps.render(places, given.pop("ways"), given.pop("facts"), **given)


@pytest.fixture(scope="module")
def page():
    return render(np.arange(24.0).reshape(12, 2), mark=MARK)


def part(page, name):
    """Return what a constant of the page's script holds."""
    return json.loads(re.search(rf"^const {name} = (.*);$", page, re.MULTILINE)[1])


def sheet(page, number=0):
    data = part(page, "points")["pictures"][number]["source"].removeprefix("data:image/png;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_points_stand_in_their_places_with_what_colors_and_shapes_say(page):
    points = part(page, "points")
    assert points["places"] == [[*range(0, 24, 2)], [*range(1, 24, 2)]]
    by_class, by_error = points["ways"]
    assert by_class["groups"] == CLASSES.tolist()
    assert by_class["colors"] == colors(4)
    assert by_class["label"] == {"en": "class", "ko": "클래스"}
    assert by_error["values"] == pytest.approx(ERRORS, rel=1e-3)
    assert by_error["highest"] == pytest.approx(np.percentile(ERRORS, 98))
    assert points["mark"]["rows"] == [0, 0, 0, 1] * 3
    assert part(render(), "points")["mark"] is None


def test_hostile_names_stay_text(page):
    assert "alert(1)</script>" not in page
    assert page.count("</script>") == 2, "the scripts' own ends"
    assert "<b>1</b>" not in page
    assert "&lt;i&gt;lenet5&lt;/i&gt;" in page
    points = part(page, "points")
    assert points["about"]["en"] == "Trustworthiness 0.97 & <i>more</i>"
    assert points["ways"][0]["names"][2] == HOSTILE[2]
    assert points["facts"][0]["values"][3] == "사진/3</script>.png"
    page.encode("utf-8")


def test_the_page_forbids_every_request(page):
    own = page.replace(re.search(r"<script>(.*?)</script>", page, re.DOTALL)[0], "")
    assert not re.search(r"https?:|\"//[a-z]|<link|@import|src=\"", own)
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules.pop("default-src") == rules.pop("base-uri") == rules.pop("form-action") == "'none'"
    allowed = {source for sources in rules.values() for source in sources.split()}
    assert allowed == {"data:", "blob:", "'unsafe-inline'", "'unsafe-eval'"}


def test_no_button_uploads_the_map(page):
    settings = part(page, "settings")
    assert settings["displaylogo"] is False
    assert settings["plotlyServerURL"] == ""
    assert not [name for name in settings["modeBarButtons"][0] if "loud" in name]


def test_both_languages_have_each_text(page):
    texts = part(page, "texts")
    assert all(each["en"] and each["ko"] for each in texts.values())
    used = {*re.findall(r'data-(?:t|label)="([^"]+)"', page), *re.findall(r'say\("([\w-]+)"', page)}
    assert used == texts.keys()


@pytest.mark.parametrize(("count", "webgl"), [(5000, False), (5001, True)])
def test_many_points_are_drawn_by_webgl(count, webgl):
    classes, images = np.arange(count) % 3, np.zeros((count, 1, 2, 2), np.uint8)
    page = render(images=images, classes=classes, errors=classes / 3)
    assert part(page, "points")["webgl"] is webgl


def test_three_dimensions_have_buttons_of_their_own():
    page = render(RNG.normal(size=(12, 3)))
    assert len(part(page, "points")["places"]) == 3
    assert "orbitRotation" in part(page, "settings")["modeBarButtons"][0]


def test_texts_take_the_place_of_pictures_and_long_ones_are_cut():
    page = render(pictures=[], texts=["좋아요", "a" * 5000, *[""] * 10])
    points = part(page, "points")
    assert points["texts"][0] == "좋아요"
    assert points["texts"][1] == "a" * 1200 + "…"
    assert points["pictures"] == []


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_a_sheet_has_each_image_in_its_place(channels, kind):
    images = RNG.integers(0, 256, (12, channels, 5, 5), dtype=np.uint8)
    page = render(images=kind(images))
    [picture] = part(page, "points")["pictures"]
    assert (picture["side"], picture["columns"]) == (5, 4)
    pixels = sheet(page)
    assert pixels.shape == ((15, 20) if channels == 1 else (15, 20, 3))
    for row in range(12):
        y, x = row // 4 * 5, row % 4 * 5
        tile = pixels[y : y + 5, x : x + 5].reshape(5, 5, channels)
        assert np.array_equal(tile, images[row].transpose(1, 2, 0))


def test_large_images_are_made_smaller():
    assert maps.sprite_side(5000, 1, 28) == 28
    assert maps.sprite_side(5000, 1, 224) == 34
    assert maps.sprite_side(5000, 3, 224) == 34
    assert maps.sprite_side(1_000_000, 3, 32) == 8
    images = np.full((3, 3, 64, 64), 100, np.uint8)
    pixels = maps.sheet(images, 16, 2)
    assert pixels.shape == (32, 32, 3)
    assert (pixels[:16] == 100).all()
    assert (pixels[16:, 16:] == 0).all(), "no fourth image"


def test_equal_input_gives_equal_text(page):
    assert render(np.arange(24.0).reshape(12, 2), mark=MARK) == page


def test_many_pictures_in_color_are_kept_small():
    side = 240
    images = np.repeat(RNG.integers(0, 256, (12, 3, side, 1), dtype=np.uint8), side, 3)
    [picture] = part(render(images=images), "points")["pictures"]
    kind, data = picture["source"].split(";base64,")
    assert kind == "data:image/jpeg"
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))).astype(int)
    assert pixels.shape == (3 * side, 4 * side, 3)
    assert np.abs(pixels[side : 2 * side, :side] - images[4].transpose(1, 2, 0)).mean() < 12
