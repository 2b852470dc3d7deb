"""What is read of generated tables is what was written, or an error or a named row says else."""

import csv
import io
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import DataError
from common.io.tables import read_table

# Words of a language, and the encodings that people write it in.
WORDS = {
    "한국어": (
        "정말 재미있는 영화였다 최악이다 돈 아깝다 좋다 ㅋㅋㅋ ㅠㅠ 고양이 TV가 2번 긍정 부정",
        "cp949 euc_kr",
    ),
    "English": ("can’t it’s “good” bad – film café naïve £10 5€ the and was … neg pos", "cp1252"),
    "Deutsch": ("Ärger schön größer und Güte für die Straße war gut schlecht Öl", "cp1252 latin-1"),
    "français": ("très élève à l'école ça où bien bon mauvais là-bas être", "cp1252 latin-1"),
    "español": ("¿Qué tal? ¡Adiós! niño está mañana bueno malo", "cp1252 latin-1"),
    "中文": ("这个 酒店 服务 很好 房间 干净 太差了 不会再来 好 差 香蕉 苹果 猫 狗", "gbk gb18030"),
    "臺灣": ("這個 飯店 服務 很好 房間 乾淨 太差了 不會再來 好 差 貓 狗", "big5"),
    "日本語": ("この 映画は とても 面白かった です 良い 悪い つまらない 犬 猫", "cp932 euc_jp"),
    "русский": ("очень хороший фильм плохо скучно да нет кот", "cp1251 koi8-r cp866"),
    "polski": ("zażółć gęślą jaźń miło było świetny zły dobry łódź", "cp1250 iso8859-2"),
    "türkçe": ("çok güzel şöyle ışık değil iyi kötü ağaç", "cp1254"),
    "magyar": ("erős tűz erdőben öt ügy jó rossz szép fű", "cp1250"),
    "ελληνικά": ("πολύ καλή ταινία καλό κακό", "cp1253"),
    "Mac": ("can’t café schön it’s good bad", "mac_roman"),
    "DOS": ("schön größer für café good bad", "cp437 cp850"),
}
UNICODE = "utf-8 utf-8-sig utf-16 utf-16-le utf-16-be utf-32"
DELIMITERS = {".csv": ",;\t|", ".tsv": "\t,;", ".txt": "\t,;"}


@st.composite
def written(draw):
    """Return the name and the bytes of a table, with its rows by the line that they begin in."""
    words, encodings = WORDS[draw(st.sampled_from(sorted(WORDS)))]
    encoding = draw(st.sampled_from([*encodings.split(), *UNICODE.split()]))
    suffix = draw(st.sampled_from(sorted(DELIMITERS)))
    delimiter = draw(st.sampled_from(DELIMITERS[suffix]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    how = draw(st.sampled_from(["minimal", "all", "texts", "none"]))
    pieces = [*words.split(), ",", ";", "|", '"', "'", "1,5", ""]
    breaks = {"\n": ["\n"], "\r\n": ["\n", "a\r\nb"], "\r": []}[end]
    if how == "none":  # a quote and a delimiter in texts together can make any row of any other
        pieces.remove(draw(st.sampled_from(['"', delimiter])) if delimiter != "\t" else "")
    elif delimiter == "\t":  # with a tab and a line's end in its text, half a row may look whole
        pieces += ['""', *draw(st.sampled_from([["\t"], breaks]))]
    else:
        pieces += ['""', "\t", *breaks]
    texts = st.lists(st.sampled_from(pieces), max_size=6).map(" ".join)
    labels = draw(st.sampled_from([["0", "1"], words.split()[:3], ["neg", "pos"]]))
    rows = draw(st.lists(st.tuples(texts, st.sampled_from(labels)), min_size=1, max_size=12))
    order = draw(st.sampled_from([("text", "label"), ("id", "text", "label"), ("label", "text")]))

    out = io.StringIO()
    quoting = {"all": csv.QUOTE_ALL, "texts": csv.QUOTE_NONNUMERIC}.get(how, csv.QUOTE_MINIMAL)
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end)
    lines = {}
    line = 1 + draw(st.integers(0, 1)) * draw(st.integers(0, 3))
    out.write(end * (line - 1))
    for number, (text, label) in enumerate([("text", "label"), *rows]):
        cells = {"text": text, "label": label, "id": number or "id"}
        cells = [cells[name] for name in order]
        lines[line] = (text, label)
        begun = out.tell()
        if how == "none":
            out.write(delimiter.join(map(str, cells)) + end)
        else:
            writer.writerow(cells)
        record = out.getvalue()[begun:]
        line += len(record.replace("\r\n", "\n").replace("\r", "\n").split("\n")) - 1
    lines.pop(next(iter(lines)))
    try:
        data = out.getvalue().encode(encoding)
    except UnicodeEncodeError:
        data = out.getvalue().encode("utf-8")
    return f"table{suffix}", data, lines, how


def plain(text, how):
    text = unicodedata.normalize("NFC", text).strip()
    # Without quotes nobody can tell whether those, and delimiters at the end, are of the text.
    return text.replace('"', "").rstrip(" ,;|\t").strip() if how == "none" else text


def check(folder, table):
    """Read a table; what is not an error and not named is what was written."""
    name, data, lines, how = table
    path = folder / name
    path.write_bytes(data)
    try:
        found = read_table(path, ["text", "label"])
    except DataError:
        return
    if any("rows themselves" in note or "as well" in note for note in found.notes):
        return
    skipped = {int(place.rpartition(":")[2]) for place, _ in found.skipped}
    read = dict(zip(found.lines, zip(*found.columns, strict=True), strict=True))
    assert read.keys() <= lines.keys()
    for line, cells in read.items():
        assert [plain(cell, how) for cell in cells] == [plain(cell, how) for cell in lines[line]]
    if not any("over rows" in reason for _, reason in found.skipped):
        missing = lines.keys() - read.keys() - skipped
        assert not {line for line in missing if any(map(str.strip, lines[line]))}


@settings(max_examples=40, derandomize=True, deadline=None, database=None)
@given(written())
def test_tables_are_read_as_written_or_it_is_said(tmp_path_factory, table):
    check(tmp_path_factory.getbasetemp(), table)


@pytest.mark.slow
@settings(max_examples=4000, derandomize=True, deadline=None, database=None)
@given(written())
def test_thousands_of_tables_are_read_as_written_or_it_is_said(tmp_path_factory, table):
    check(tmp_path_factory.getbasetemp(), table)
