"""The committed names are those of the installed libraries."""

import subprocess
import sys

import pytest

from labs.detection import names


def test_ultralytics_names_are_those_that_the_library_describes():
    networks = pytest.importorskip("labs.detection.models.ultralytics.build")
    assert set(names.ULTRALYTICS) == set(networks.descriptions())


def test_no_name_stands_twice():
    assert len(set(names.model_names())) == len(names.model_names())


def test_names_and_options_are_read_without_anything_heavy():
    code = (
        "import sys, labs.detection.config; "
        "print([name for name in ('torch', 'ultralytics', 'cv2', 'numpy') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
