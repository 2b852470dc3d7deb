"""Translation memories, and Parquet whose cells are objects of texts."""

import gzip

import pandas as pd
import pytest

from common.errors import DataError
from common.io.tables import read_cells, read_table

HEAD = '<?xml version="1.0" encoding="{}"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx version="1.4">'
UNIT = (
    '<tu><prop>1.1</prop><tuv xml:lang="en-US"><seg>{}</seg></tuv><tuv {}><seg>{}</seg></tuv></tu>'
)


def memory(*units, encoding="UTF-8"):
    body = "".join(UNIT.format(en, lang, ko) for en, lang, ko in units)
    text = f'{HEAD.format(encoding)}<header srclang="en"/><body>{body}</body></tmx>'
    return text.encode(encoding)


UNITS = [
    ("Ben &amp; Jerry", 'xml:lang="ko"', "벤과 제리"),
    (
        'Press <bpt i="1">&lt;b&gt;</bpt>Save<ept i="1">&lt;/b&gt;</ept> <hi>now</hi>.',
        'lang="KO-KR"',
        "저장",
    ),
    ("Alone", 'xml:lang="fr"', "Seul"),
]


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16"])
@pytest.mark.parametrize("name", ["en-ko.tmx", "en-ko.tmx.gz"])
def test_a_memory_is_a_table_of_languages(tmp_path, encoding, name):
    path = tmp_path / name
    data = memory(*UNITS, encoding=encoding)
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert read_cells(path) == [
        ["en", "ko", "fr"],
        ["Ben & Jerry", "벤과 제리", ""],
        ["Press Save now.", "저장", ""],
        ["Alone", "", "Seul"],
    ]
    table = read_table(path, ["en", "ko"])
    assert table.lines == [1, 2]
    assert table.skipped == ((f"{name}:3", "'ko' is empty"),)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused_unread(tmp_path, encoding):
    path = tmp_path / "bomb.tmx"
    bomb = '<!DOCTYPE tmx [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><tmx><body>&b;</body></tmx>'
    path.write_text(bomb, encoding)
    with pytest.raises(DataError, match="declares entities"):
        read_cells(path)


def test_an_encoding_that_no_parser_reads_is_said(tmp_path):
    (tmp_path / "a.tmx").write_bytes(memory(*UNITS, encoding="EUC-KR"))
    with pytest.raises(DataError, match="not a TMX file that can be read .*; save it as UTF-8"):
        read_cells(tmp_path / "a.tmx")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<tmx><body><tu>", "not a TMX file that can be read"),
        ("<tmx><body/></tmx>", "has no units"),
    ],
)
def test_what_is_no_memory_is_refused(tmp_path, content, message):
    (tmp_path / "a.tmx").write_text(content)
    with pytest.raises(DataError, match=message):
        read_cells(tmp_path / "a.tmx")


def test_objects_of_texts_in_parquet_are_columns(tmp_path):
    pairs = [{"en": f"hi {n}", "ko": f"안녕 {n}"} for n in range(3)]
    images = [{"bytes": b"x", "path": None}] * 3
    frame = pd.DataFrame({"id": [1, 2, 3], "translation": [*pairs[:2], None], "image": images})
    frame.to_parquet(tmp_path / "a.parquet")
    header, *rows = read_cells(tmp_path / "a.parquet")
    assert header == ["id", "translation.en", "translation.ko", "image"]
    assert rows[1] == ["2", "hi 1", "안녕 1", ""]
