import base64
import io
import math
import re
import unicodedata
from html.parser import HTMLParser

import numpy as np
import pytest
from fontTools.ttLib import TTFont

from common.errors import SaveError
from common.files import write_text
from common.report import html as report
from common.report import plots
from common.report.html import Section, Table


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, text, and tags left open."""

    VOID = ("meta", "img", "br", "link", "input")

    def __init__(self, html):
        super().__init__()
        self.elements, self.open, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def picture():
    return plots.png(plots.message("picture"))


def render(*sections, title="lenet5-1", subtitle="", verdict=""):
    return report.render(title, subtitle, verdict, sections)


def font(html):
    found = re.search(r"url\(data:font/woff;base64,([^)]*)\)", html)
    return found and base64.b64decode(found[1], validate=True)


def test_records_become_a_table_of_texts():
    records = [{"class": "cat", "f1": 0.5, "n": 1200}, {"class": "dog", "f1": math.nan, "n": 0}]
    rows = [["cat", "0.5000", "1,200"], ["dog", "-", "0"]]
    assert Table.of(records) == Table(["class", "f1", "n"], rows)
    chosen = Table.of(records, {"n": "images", "class": ""}, str)
    assert chosen == Table(["images", ""], [["1200", "cat"], ["0", "dog"]])
    assert Table.of([]) == Table([], [])


def test_everything_is_shown_in_order(picture):
    section = Section(
        "Result",
        "First paragraph.\n\nSecond one.",
        Table(["model", "accuracy"], [["lenet5", "0.98"], ["nearest neighbors", "0.93"]]),
        [("A picture.", picture)],
        "python -m labs.classification train",
    )
    html = render(section, Section("Data"), subtitle="MNIST", verdict="It wins.")
    page = Page(html)
    assert not page.open
    words = ["lenet5-1", "MNIST", "It wins.", "Result", "Data", "First paragraph.", "Second one.",
             "model", "accuracy", "lenet5", "0.98", "nearest neighbors", "0.93", "A picture.",
             "python -m labs.classification train", "Data"]  # fmt: skip
    place = page.text.index("lenet5-1") + len("lenet5-1")  # the title of the window stands first
    for word in words:
        place = page.text.index(word, place) + len(word)
    assert page.elements[0] == ("html", {"lang": "en"})
    assert len(page.all("td")) == 2
    assert [cell.get("scope") for cell in page.all("th")] == ["col", "col", "row", "row"]


def test_what_is_empty_is_left_out():
    page = Page(render(Section("Data")))
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"p", "table", "figure", "img", "pre", "details"}


def test_the_contents_lead_to_the_sections():
    page = Page(render(*(Section(title) for title in ("One", "둘", "One"))))
    anchors = [link["href"] for link in page.all("a")]
    assert anchors == [f"#{section['id']}" for section in page.all("section")]
    assert len(set(anchors)) == 3


def test_pictures_are_embedded_from_bytes_and_files(picture, tmp_path):
    (tmp_path / "a.png").write_bytes(picture)
    pictures = [('a "quoted" <caption>', tmp_path / "a.png"), ("b", picture)]
    images = Page(render(Section("Pictures", pictures=pictures))).all("img")
    assert [image["alt"] for image in images] == ['a "quoted" <caption>', "b"]
    for image in images:
        head, _, data = image["src"].partition(",")
        assert head == "data:image/png;base64"
        assert base64.b64decode(data, validate=True) == picture


EVIL = "<script>alert('1')</script>&amp;\"'"


def test_everything_is_escaped(picture):
    table = Table([EVIL, EVIL], [[EVIL, EVIL]])
    section = Section(EVIL, EVIL, table, [(EVIL, picture)], EVIL)
    html = render(section, title=EVIL, subtitle=EVIL, verdict=EVIL)
    page = Page(html)
    assert "script" not in {tag for tag, _ in page.elements}
    assert "<script" not in html
    header, contents, section_text, cells = 4, 1, 4, 4
    assert page.text.count(EVIL) == header + contents + section_text + cells
    assert page.all("img")[0]["alt"] == EVIL


def test_nothing_is_asked_of_the_network(picture):
    section = Section("고양이", "See https://example.org", None, [("a", picture)], "http://x")
    page = Page(render(section))
    assert not {"script", "link", "iframe", "base"} & {tag for tag, _ in page.elements}
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "poster", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    style = re.search(r"<style>(.*?)</style>", render(section), re.S)[1]
    assert "@import" not in style
    assert all(url.startswith("data:") for url in re.findall(r"url\(([^)]*)", style))
    policy = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert policy[0].startswith("default-src 'none';")


def test_equal_input_gives_equal_text(picture):
    section = Section("강아지", pictures=[("a", picture)])
    assert render(section) == render(section)


# --- folding ------------------------------------------------------------------------------------


def test_long_cells_may_break():
    rows = [["command", "train " * 11], ["python", "3.11"]]
    html = render(Section("Environment", table=Table(["", "value"], rows)))
    assert html.count('<td class="long">') == 1


def test_long_code_and_tables_are_folded():
    code = "option = 1\n" * 41
    rows = [[str(i), "1"] for i in range(41)]
    long = Page(render(Section("Config", table=Table(["i", "n"], rows), code=code)))
    short = Page(render(Section("Config", table=Table(["i", "n"], rows[1:]), code=code[:-11])))
    assert len(long.all("details")) == 2
    assert "Show all 41 rows" in long.text
    assert "Show all 41 lines" in long.text
    assert not short.all("details")


def test_code_keeps_its_spaces():
    code = "[a]\n    b = 1\n\n\tc = 2"
    assert f'<pre tabindex="0">{code}</pre>' in render(Section("Config", code=code + "\n"))


# --- Korean -------------------------------------------------------------------------------------


def test_no_font_without_korean():
    html = render(Section("Résumé → α ≥ 1 – “x” … Ж"), verdict="±0.01 × 2")
    assert font(html) is None
    assert "Report Korean" not in html


def test_no_font_for_what_the_font_lacks():
    assert font(render(Section("🐈"))) is None


TEXT = (
    "다람쥐 헌 쳇바퀴에 타고파 고양이 강아지 딥러닝 "
    "실험 보고서 정확도 손실 학습률 검증 시험 그림 표 수업"
)


@pytest.mark.parametrize(
    "section",
    [
        Section(TEXT),
        Section("t", TEXT),
        Section("t", table=Table(["a"], [[TEXT]])),
        Section("t", code=TEXT),
    ],
)
def test_korean_brings_its_glyphs_and_no_others(section):
    letters = set(TEXT) - {" "}
    assert len(letters) >= 35
    data = font(render(section))
    assert len(data) < 100_000
    embedded, whole = TTFont(io.BytesIO(data)), TTFont(plots.korean_font())
    assert embedded.flavor == "woff"
    assert {chr(code) for code in embedded.getBestCmap()} == letters
    for letter in "다쥐":
        name = whole.getBestCmap()[ord(letter)]
        points = [ttf["glyf"][name].getCoordinates(ttf["glyf"])[0] for ttf in (embedded, whole)]
        assert len(points[0])
        assert np.array_equal(*points)
    whole.close()


def test_decomposed_korean_brings_composed_glyphs():
    data = font(render(Section(unicodedata.normalize("NFD", "고양이"))))
    assert {ord(letter) for letter in "고양이"} <= set(TTFont(io.BytesIO(data)).getBestCmap())


def test_the_font_is_made_without_a_word(caplog):
    assert font(render(Section("고양이")))
    assert not caplog.records


# --- writing ------------------------------------------------------------------------------------


def test_names_that_are_no_text_do_not_stop_the_report(tmp_path):
    name = b"\xb0\xed.png".decode("utf-8", "surrogateescape")
    write_text(tmp_path / "report.html", render(Section("Data", code=name)))
    assert "??.png" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_write_is_utf_8_and_whole(tmp_path):
    html = render(Section("고양이"))
    write_text(tmp_path / "report.html", html)
    assert (tmp_path / "report.html").read_bytes() == html.encode()
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(SaveError):
        write_text(tmp_path / "report.html" / "below", html)
