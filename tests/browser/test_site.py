"""The pages as a site, read from a folder."""

import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.access import assert_accessible

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built without a warning: no link leads nowhere."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs/site"]
    subprocess.run([*build, "docs", str(folder)], cwd=ROOT, check=True)
    return folder


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("구간", "딥러닝 실습실"),  # there with a particle alone: 구간까지
        ("학습률", "수업 3"),
        ("suppression", "Detection"),
    ],
)
def test_the_search_finds_in_both_languages(site, visit, asked, found):
    page = visit(site / "search.html")
    page.fill("input[name=q] >> nth=-1", asked)
    page.keyboard.press("Enter")
    expect(page.locator("#search-results li").filter(has_text=found).first).to_be_visible()


@pytest.mark.parametrize(
    ("page", "language", "other"),
    [("lessons/01-the-step", "en", "한국어"), ("ko/lessons/01-the-step", "ko", "English")],
)
def test_a_page_says_its_language_and_leads_to_the_other(site, visit, page, language, other):
    opened = visit(site / f"{page}.html")
    assert opened.locator("html").get_attribute("lang") == language
    opened.locator("article").get_by_role("link", name=other, exact=True).click()
    expect(opened.locator("html")).to_have_attribute("lang", "ko" if language == "en" else "en")


@pytest.mark.parametrize(
    "name",
    [
        *("index.html", "start.html", "ko/index.html", "ko/lessons/01-the-step.html"),
        *("detection.html", "gallery.html", "ko/which-lab.html", "reference/training.html"),
    ],
)
def test_a_page_has_no_serious_fault_of_access_and_asks_for_nothing(site, visit, name):
    page = visit(site / name)
    assert_accessible(page)
