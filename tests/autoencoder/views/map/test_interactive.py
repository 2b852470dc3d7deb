import base64
import html
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from labs.autoencoder.views.map import interactive
from labs.autoencoder.views.map.plots import colors

HOSTILE = ["고양이", "</script><script>alert(1)</script>", "a 'b' \"c\" & <b>d</b>", "$x$ \udcff"]
RNG = np.random.default_rng(0)
CLASSES = np.arange(12) % 4
ERRORS = np.linspace(0.01, 0.12, 12)
IMAGES = RNG.integers(0, 256, (12, 1, 5, 5), dtype=np.uint8)


def render(coordinates=None, images=IMAGES, **changed):
    given = {
        "classes": CLASSES,
        "class_names": HOSTILE,
        "errors": ERRORS,
        "names": [f"사진/{row}</script>.png" for row in range(12)],
        "title": "지도 <b>1</b>",
        "trust_text": "Trustworthiness 0.97 & <i>more</i>",
        "clusters": CLASSES // 2,
        **changed,
    }
    places = RNG.normal(size=(len(images), 2)) if coordinates is None else coordinates
    return interactive.render(places, images, 255 - images, **given)


@pytest.fixture(scope="module")
def page():
    return render(np.arange(24.0).reshape(12, 2))


def part(page, name):
    """Return what a constant of the page's script holds."""
    return json.loads(re.search(rf"^const {name} = (.*);$", page, re.MULTILINE)[1])


def values(array):
    """Return what plotly wrote in base64."""
    flat = np.frombuffer(base64.b64decode(array["bdata"]), array["dtype"])
    return flat.tolist()


def sheet(page, name):
    data = part(page, "sheets")[name].removeprefix("data:image/png;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_points_stand_in_their_places_by_class_error_and_cluster(page):
    traces = part(page, "figure")["data"]
    assert [trace.get("name") for trace in traces[5:]] == ["cluster 0", "cluster 1"]
    assert [trace["type"] for trace in traces] == ["scatter"] * 7
    ways = traces[:4], traces[4:5], traces[5:]
    for way in ways:
        found = {}
        for trace in way:
            rows = values(trace["customdata"])
            found |= dict(
                zip(rows, zip(values(trace["x"]), values(trace["y"]), strict=True), strict=True)
            )
        assert found == {row: (2 * row, 2 * row + 1) for row in range(12)}
    assert values(traces[2]["customdata"]) == [2, 6, 10]
    assert [trace["marker"]["color"] for trace in traces[:4]] == colors(4)
    assert values(traces[4]["marker"]["color"]) == ERRORS.tolist()
    assert traces[4]["marker"]["cmax"] == pytest.approx(np.percentile(ERRORS, 98))
    assert [trace.get("visible", True) for trace in traces] == [True] * 4 + [False] * 3


def test_a_button_shows_one_way_to_color(page):
    [menu] = part(page, "figure")["layout"]["updatemenus"]
    found = {button["label"]: button["args"][0]["visible"] for button in menu["buttons"]}
    assert found == {
        "color by class": [True] * 4 + [False] * 3,
        "color by reconstruction error": [False] * 4 + [True] + [False] * 2,
        "color by cluster": [False] * 5 + [True] * 2,
    }


def test_without_clusters_there_is_no_button_for_them():
    page = render(clusters=None)
    assert part(page, "points")["clusters"] is None
    [menu] = part(page, "figure")["layout"]["updatemenus"]
    assert len(menu["buttons"]) == 2


def test_hostile_names_stay_text(page):
    assert "alert(1)</script>" not in page
    assert page.count("</script>") == 2, "the scripts' own ends"
    assert "<b>1</b>" not in page
    assert "Trustworthiness 0.97 &amp; &lt;i&gt;more&lt;/i&gt;" in page
    assert part(page, "points")["class_names"][:3] == HOSTILE[:3]
    assert part(page, "points")["names"][3] == "사진/3</script>.png"
    names = [trace["name"] for trace in part(page, "figure")["data"][:4]]
    assert html.unescape(names[2]) == HOSTILE[2]
    assert "<" not in "".join(names)
    page.encode("utf-8")


def test_the_page_forbids_every_request(page):
    own = page.replace(re.search(r"<script>(.*?)</script>", page, re.DOTALL)[0], "")
    assert not re.search(r"https?:|//[a-z]|<link|@import|src=", own)
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules.pop("default-src") == rules.pop("base-uri") == rules.pop("form-action") == "'none'"
    allowed = {source for sources in rules.values() for source in sources.split()}
    assert allowed == {"data:", "blob:", "'unsafe-inline'", "'unsafe-eval'"}


def test_no_button_uploads_the_map(page):
    settings = part(page, "figure")["config"]
    assert settings["displaylogo"] is False
    assert settings["plotlyServerURL"] == ""
    assert not [name for name in settings["modeBarButtons"][0] if "loud" in name]


@pytest.mark.parametrize(("count", "kind"), [(5000, "scatter"), (5001, "scattergl")])
def test_many_points_are_drawn_by_webgl(count, kind):
    classes, images = np.arange(count) % 3, np.zeros((count, 1, 2, 2), np.uint8)
    page = render(
        images=images, classes=classes, clusters=None, errors=classes / 3, names=["n"] * count
    )
    assert part(page, "figure")["data"][0]["type"] == kind


def test_three_dimensions_are_drawn_as_such():
    figure = part(render(RNG.normal(size=(12, 3))), "figure")
    assert {trace["type"] for trace in figure["data"]} == {"scatter3d"}
    assert "orbitRotation" in figure["config"]["modeBarButtons"][0]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_has_each_image_in_its_place(channels):
    images = RNG.integers(0, 256, (12, channels, 5, 5), dtype=np.uint8)
    page = render(images=images)
    points = part(page, "points")
    assert (points["side"], points["columns"]) == (5, 4)
    for name, expected in (("input", images), ("output", 255 - images)):
        pixels = sheet(page, name)
        assert pixels.shape == ((15, 20) if channels == 1 else (15, 20, 3))
        for row in range(12):
            y, x = row // 4 * 5, row % 4 * 5
            tile = pixels[y : y + 5, x : x + 5].reshape(5, 5, channels)
            assert np.array_equal(tile, expected[row].transpose(1, 2, 0))


def test_large_images_are_made_smaller():
    assert interactive.sprite_side(5000, 1, 28) == 28
    assert interactive.sprite_side(5000, 1, 224) == 34
    assert interactive.sprite_side(5000, 3, 32) == 20
    assert interactive.sprite_side(1_000_000, 3, 32) == 8
    images = np.full((3, 3, 64, 64), 100, np.uint8)
    pixels = interactive.sheet(images, 16, 2)
    assert pixels.shape == (32, 32, 3)
    assert (pixels[:16] == 100).all()
    assert (pixels[16:, 16:] == 0).all(), "no fourth image"


def test_equal_input_gives_equal_text(page):
    assert render(np.arange(24.0).reshape(12, 2)) == page


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOVER = """<script>
window.addEventListener("load", () => setTimeout(() => {
  const trace = document.querySelectorAll(".scatterlayer .trace")[1];
  const box = trace.querySelectorAll("path.point")[2].getBoundingClientRect();
  const layer = document.querySelector(".nsewdrag");
  const place = {clientX: box.x + box.width / 2, clientY: box.y + box.height / 2, bubbles: true};
  const told = setInterval(() => {
    for (const kind of ["mouseover", "mousemove"]) layer.dispatchEvent(new MouseEvent(kind, place));
    const canvas = document.getElementById("output").getContext("2d");
    const [level, , , opacity] = canvas.getImageData(0, 0, 1, 1).data;
    if (!opacity) return;
    document.title = "top left: " + level;
    clearInterval(told);
  }, 200);
}, 1500));
</script></body>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_hovering_shows_the_image_and_its_reconstruction(page, tmp_path):
    path = tmp_path / "map.html"
    path.write_text(page.replace("</body>", HOVER), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
    options += ["--disable-background-networking", "--disable-component-update", "--disable-quic"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=20000"]
    options += ["--dump-dom", path.as_uri()]
    shown = subprocess.run([CHROMIUM, *options], capture_output=True, check=True, timeout=120)
    dom = shown.stdout.decode("utf-8")
    facts = re.search(r'<dl id="facts">(.*?)</dl>', dom, re.DOTALL)[1]
    told = [html.unescape(text) for text in re.findall(r"<dd>(.*?)</dd>", facts)]
    assert told == ["사진/9</script>.png", HOSTILE[1], "0.100", "0"]
    assert re.search(r"<title>(.*?)</title>", dom)[1] == f"top left: {255 - IMAGES[9, 0, 0, 0]}"
    buttons = re.findall(r'data-title="([^"]*)"', dom)
    assert buttons[0] == "Download plot as a PNG"
    assert not [title for title in buttons if "hare" in title]
