"""The map to be explored, used as a person uses it."""

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from common.maps import page as maps
from common.maps.page import Fact, Groups, Mark, Pictures, Shades
from common.maps.words import Words
from tests.browser.access import assert_accessible

CLASSES = np.arange(30) % 3
NAMES = ["고양이", "a <b>dog</b>", "새 & 말"]
WRONG = np.where(np.arange(30) < 12, 2, 9) == CLASSES  # rows 2, 5, 8, 11
PLACES = np.stack([np.arange(30) % 6, np.arange(30) // 6], 1).astype(float)  # rows from below
IMAGES = np.repeat(np.arange(30, dtype=np.uint8) * 8, 16).reshape(30, 1, 4, 4)


def write(folder, places=PLACES, **given):
    if "texts" not in given:
        given["pictures"] = [Pictures(Words("image", "이미지"), IMAGES)]
    ways = [
        Groups(Words("true class", "실제 클래스"), CLASSES, NAMES),
        Shades(Words("probability", "확률"), np.linspace(0, 1, 30)),
    ]
    facts = [
        Fact(Words("name", "이름"), [f"사진 {row}.png" for row in range(30)]),
        Fact(Words("said class", "답한 클래스"), [NAMES[each] for each in CLASSES]),
    ]
    mark = Mark(Words("mistake", "틀림"), Words("right", "맞음"), WRONG)
    title, about = "지도 <b>1</b>", Words("Keeps 62 %.", "62 %가 남았습니다.")
    path = folder / "map.html"
    given = {"title": title, "subtitle": "lenet5 <i>", "about": about, "mark": mark, **given}
    page = maps.render(places, ways, facts, **given)
    path.write_text(page, encoding="utf-8")
    return path


def opened(visit, path):
    page = visit(path)
    expect(page.locator("#count")).to_have_text("30 of 30 points shown", timeout=30_000)
    return page


@pytest.fixture
def page(visit, tmp_path):
    return opened(visit, write(tmp_path))


def shown(page):
    return page.locator("#facts dd").first.text_content()


def point(page, row):
    """Return the middle of a point on the screen."""
    return page.evaluate(
        """(row) => {
            const { xaxis: x, yaxis: y } = map._fullLayout, box = map.getBoundingClientRect();
            return [box.x + x._offset + x.l2p(xs[row]), box.y + y._offset + y.l2p(ys[row])];
        }""",
        row,
    )


def level(page):
    return page.evaluate("() => canvases[0].getContext('2d').getImageData(9, 9, 1, 1).data[0]")


def test_a_pointer_on_a_point_shows_its_picture_and_what_was_said(page):
    for row in (7, 20):
        page.mouse.move(*point(page, row))
        expect(page.locator("#facts dd").first).to_have_text(f"사진 {row}.png")
        expect(page.locator("#facts dd").nth(1)).to_have_text(NAMES[row % 3])
        page.wait_for_function(f"() => canvases[0].width && {row} === current")
        page.wait_for_timeout(100)
        assert level(page) == 8 * row


def test_a_click_keeps_a_point_until_another_one(page):
    page.mouse.click(*point(page, 7))
    expect(page.locator("#pinned")).to_be_visible()
    page.mouse.move(*point(page, 20))
    page.wait_for_timeout(200)
    assert shown(page) == "사진 7.png"
    page.mouse.click(*point(page, 20))
    page.mouse.click(*point(page, 20))
    expect(page.locator("#pinned")).to_be_hidden()
    assert shown(page) == "사진 20.png"


def test_the_keyboard_alone_goes_to_every_point(page):
    page.locator("#map").focus()
    page.keyboard.press("ArrowRight")
    assert shown(page) == "사진 0.png"
    for key, row in (("ArrowRight", 1), ("ArrowUp", 7), ("ArrowLeft", 6), ("ArrowDown", 0)):
        page.keyboard.press(key)
        assert shown(page) == f"사진 {row}.png"
    page.keyboard.press("ArrowDown")
    assert shown(page) == "사진 0.png", "nothing lies below"
    page.keyboard.press("Enter")
    expect(page.locator("#pinned")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#pinned")).to_be_hidden()


def test_mistakes_have_a_shape_of_their_own_and_can_be_shown_alone(page):
    symbols = page.evaluate(
        "() => map.data.filter((each) => each.customdata.length)"
        ".map((each) => [each.marker.symbol ?? 'circle', each.customdata])"
    )
    marked = [row for symbol, rows in symbols for row in rows if symbol == "x"]
    assert marked == [2, 5, 8, 11]
    assert sorted(row for _, rows in symbols for row in rows) == [*range(30)]
    before = point(page, 5)
    page.locator("#which").select_option(index=1)
    expect(page.locator("#count")).to_have_text("4 of 30 points shown")
    assert point(page, 5) == before, "points stay where they are"
    rows = []
    for _ in range(5):
        page.locator("#next").click()
        rows.append(shown(page))
    assert rows == [f"사진 {row}.png" for row in (2, 5, 8, 11, 2)]
    page.locator("#previous").click()
    assert shown(page) == "사진 11.png"
    page.locator("#which").select_option(index=2)
    expect(page.locator("#count")).to_have_text("26 of 30 points shown")


def test_a_class_can_be_shown_alone_and_colors_say_something_else(page):
    page.locator("#group").select_option(label="a <b>dog</b>")
    expect(page.locator("#count")).to_have_text("10 of 30 points shown")
    page.locator("#group").select_option(index=0)
    page.locator("#color").select_option(label="probability")
    expect(page.locator("#count")).to_have_text("30 of 30 points shown", timeout=30_000)
    assert page.evaluate("() => map.data[0].marker.color.length") == 26


def test_names_stay_text_in_the_legend(page):
    names = page.locator(".legendtext").all_text_contents()
    assert names == [*NAMES, "mistake"]


def test_it_speaks_korean(page):
    page.mouse.move(*point(page, 7))
    page.locator("#language").click()
    expect(page.locator("#about")).to_have_text("62 %가 남았습니다.")
    expect(page.locator("#count")).to_have_text("점 30개 중 30개 표시")
    expect(page.locator("#facts dt").first).to_have_text("이름")
    assert page.locator(".legendtext").last.text_content() == "틀림"
    assert page.evaluate("() => document.documentElement.lang") == "ko"
    page.locator("#language").click()
    expect(page.locator("#about")).to_have_text("Keeps 62 %.")


def test_texts_are_shown_as_they_are(visit, tmp_path):
    texts = [f"글 {row} <script>alert(1)</script>\n둘째 줄" for row in range(30)]
    page = opened(visit, write(tmp_path, texts=texts))
    page.mouse.move(*point(page, 7))
    assert page.locator("#text").text_content() == texts[7]
    expect(page.locator("#pictures")).to_be_hidden()
    assert_accessible(page)


def test_three_dimensions_are_gone_through_point_by_point(visit, tmp_path):
    page = opened(visit, write(tmp_path, places=np.column_stack([PLACES, PLACES[:, 0]])))
    assert page.evaluate("() => map.data[0].type") == "scatter3d"
    page.locator("#map").focus()
    for key, row in (("ArrowRight", 0), ("ArrowRight", 1), ("ArrowLeft", 0), ("ArrowLeft", 29)):
        page.keyboard.press(key)
        assert shown(page) == f"사진 {row}.png"


def test_it_has_no_serious_fault_of_access(page):
    assert_accessible(page)
    page.mouse.click(*point(page, 7))
    page.locator("#language").click()
    assert_accessible(page)


def test_many_points_are_seen_too(visit, tmp_path):
    count = 5001
    places = np.random.default_rng(0).uniform(size=(count, 2))
    ways = [Groups(Words("class", "클래스"), np.zeros(count, int), ["all"])]
    page = maps.render(
        places, ways, [], title="many", subtitle="", about=Words("", ""), texts=["x"] * count
    )
    path = tmp_path / "map.html"
    path.write_text(page, encoding="utf-8")
    page = visit(path)
    expect(page.locator("#count")).to_have_text("5,001 of 5,001 points shown", timeout=30_000)
    page.wait_for_timeout(500)
    picture = np.asarray(Image.open(io.BytesIO(page.locator("#map").screenshot())).convert("RGB"))
    middle = picture[100:-100, 100:400].reshape(-1, 3)
    assert (np.ptp(middle, axis=1) > 50).mean() > 0.05, "points have color, and paper has none"
