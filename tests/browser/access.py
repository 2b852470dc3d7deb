"""Faults of access on a page, found by axe-core."""

import json

from axe_playwright_python.sync_playwright import Axe


def assert_accessible(page):
    """Fail if there is a serious fault; styles are not asked for again, which no folder answers."""
    found = Axe().run(page, options={"preload": False}).response["violations"]
    grave = [each for each in found if each["impact"] in ("serious", "critical")]
    assert not grave, json.dumps(grave, indent=1)[:3000]
