"""A Chromium for tests of pages, in which every request and every error is a failure."""

import shutil

import pytest


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker("browser")


@pytest.fixture(scope="session")
def chromium():
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "these tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Opens a page of a file; what it asks of a network, and its errors, fail the test."""
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    wrong = []

    def visit(path):
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
        page.on(
            "request",
            lambda asked: (
                asked.url.startswith(("file:", "data:", "blob:")) or wrong.append(asked.url)
            ),
        )
        page.goto(path.as_uri())
        return page

    yield visit
    context.close()
    assert not wrong
