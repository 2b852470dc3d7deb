"""The table of the data sets that have a name: it holds all of them, and fetches."""

import hashlib
from pathlib import Path

import pytest

from common.errors import DataError
from common.images.known import DOWNLOADS, EMBEDDED
from common.io import fetch as fetching
from common.io.fetch import DownloadError
from labs import known_sets
from labs.known_sets import KNOWN, KnownSet
from labs.rnn.forecast.config import EMBEDDED as SERIES
from labs.rnn.sentiment.config import DOWNLOADS as REVIEWS
from labs.rnn.sentiment.config import EMBEDDED as TWEETS
from labs.rnn.translate.config import DATA as PAIRS


def nothing_shown(done, whole):
    pass


def test_the_table_has_every_set_that_an_option_names():
    named = {*DOWNLOADS, *EMBEDDED, *SERIES, *REVIEWS, *TWEETS, *PAIRS, "scenes", "glove"}
    assert set(KNOWN) == named


def test_sizes_are_those_of_the_files(monkeypatch, tmp_path):
    monkeypatch.setenv("LABS_CACHE", str(tmp_path))
    record = KNOWN["mnist"].record()
    assert record["download"] == "11.6 MB"
    assert record["here"] == "no"
    assert KNOWN["digits"].record()["here"] == "yes"
    folder = KNOWN["mnist"].place()
    folder.mkdir(parents=True)
    for remote in KNOWN["mnist"].files():
        with (folder / remote.name).open("wb") as file:
            file.truncate(remote.size)
    assert KNOWN["mnist"].is_here()


@pytest.mark.parametrize("name", ["aclImdb_v1", "aclImdb"])
def test_what_the_lab_or_its_user_unpacked_is_here(name, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not KNOWN["imdb"].is_here(Path("~/data"))
    (tmp_path / "data" / name).mkdir(parents=True)
    assert KNOWN["imdb"].is_here(Path("~/data"))
    said = known_sets.fetch(KNOWN["imdb"], Path("~/data"), nothing_shown)
    assert said == f"imdb is here already: {tmp_path}/data"


def test_a_set_is_fetched_once(monkeypatch, tmp_path):
    content = b"a small file"
    remote = fetching.Remote(
        "https://example.org/small.bin", hashlib.sha256(content).hexdigest(), len(content)
    )
    small = KnownSet("small", "", "", "", "", remotes="x:y", instead="do without")
    monkeypatch.setattr(KnownSet, "files", lambda self: [remote])
    asked = []

    def download(remote, path, show, timeout):
        asked.append(remote.url)
        path.write_bytes(content)

    monkeypatch.setattr(fetching, "_download", download)
    assert known_sets.fetch(small, tmp_path, nothing_shown) == f"small is in {tmp_path}"
    assert known_sets.fetch(small, tmp_path, nothing_shown) == f"small is here already: {tmp_path}"
    assert asked == ["https://example.org/small.bin"]


def test_without_a_network_the_error_names_another_way(monkeypatch, tmp_path):
    def refuse(*given):
        raise fetching._Final("no connection")

    monkeypatch.setattr(fetching, "_ask", refuse)
    with pytest.raises(DownloadError, match=r"no connection; --data tweets needs no download"):
        known_sets.fetch(KNOWN["imdb"], tmp_path, nothing_shown)


def test_a_wrong_name_is_answered_with_the_nearest():
    with pytest.raises(DataError, match="no data set 'mnst'.*did you mean mnist"):
        known_sets.find("mnst")


def test_a_missing_package_is_named():
    lost = KnownSet("lost", "", "", "", "", package="no_such_package")
    with pytest.raises(DataError, match="pip install no-such-package"):
        known_sets.fetch(lost, None, nothing_shown)
