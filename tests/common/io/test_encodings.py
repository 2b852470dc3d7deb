from pathlib import Path

import pytest

from common.errors import DataError
from common.io.encodings import decode

KOREAN = "text,label\n정말 재미있는 영화였다 ㅋㅋㅋ,긍정\nLG TV 광고, 돈 아깝다 ㅠㅠ,부정\n"
KOREAN_NAMES = "path,label\na.jpg,고양이\nb.jpg,개\nc.jpg,토끼\nd.jpg,펭귄\n"
CHINESE = "text,label\n这个酒店的服务很好，房间也很干净,好\n太差了，不会再来,差\n"
TAIWAN = "text,label\n這個飯店的服務很好，房間也很乾淨,好\n太差了，不會再來,差\n"
JAPANESE = "text,label\nこの映画はとても面白かったです,良い\nつまらない映画だった,悪い\n"
ENGLISH = "text,label\nI can’t say “hello” – it’s fine…,pos\nThe café cost £10 or 5€,neg\n"
LATIN = [
    "text,label\nÄrger und Übel: schön,gut\nGrüße und Güte,schlecht\n",
    "text,label\nC'était très bien là-bas où ça,bon\nélève à l'école,mauvais\n",
    "text,label\n¿Qué tal? ¡Adiós! El niño,bueno\nNo está mal,malo\n",
    "text,label\nNão é bom, informações,ruim\nação,boa\n",
    "text,label\nÅka på ön är så kul,bra\nfår,dålig\n",
    "text,label\nWin £1000 now at 25°C,spam\nok,ham\n",
    "v1,v2\nspam,The offer is for you and this week to be won with it: claim å£100 in the shop\n"
    "ham,That was not the only thing that Ìï had to do but my friend and I laughed at it\n",
]
OTHERS = [
    ("Это очень хороший фильм,да", "cp1251 koi8-r cp866 iso8859-5"),
    ("Zażółć gęślą jaźń miło było,dobry", "cp1250 iso8859-2"),
    ("Příliš žluťoučký kůň úpěl,dobrý", "cp1250"),
    ("Erős tűz volt az erdőben öt ügy,jó", "cp1250"),
    ("Çok güzel bir film şöyle ışık değil,iyi", "cp1254"),
    ("Πολύ καλή ταινία,καλό", "cp1253 iso8859-7"),
    ("หนังดีมาก,ดี", "tis-620"),
    ("סרט טוב מאוד,טוב", "cp1255"),
    ("schön und größer für,gut", "cp437 cp850"),
    ("I can’t say café,gut", "mac_roman"),
    ("a.jpg,犬\nb.jpg,猫", "cp932 euc_jp"),
    ("a.jpg,飞机\nb.jpg,猫", "gbk"),
]


def both(texts, *encodings):
    return [(text, encoding) for text in texts for encoding in encodings]


@pytest.mark.parametrize(
    ("text", "encoding", "said"),
    [
        *(
            (text, encoding, "UTF-8")
            for text, encoding in both([KOREAN, CHINESE, ENGLISH], "utf-8", "utf-8-sig")
        ),
        *(
            (text, encoding, "UTF-16")
            for text, encoding in both([KOREAN, ENGLISH], "utf-16", "utf-16-le", "utf-16-be")
        ),
        (KOREAN, "utf-32", "UTF-32"),
        *((KOREAN, encoding, "cp949") for encoding in ("cp949", "euc_kr")),
        (KOREAN_NAMES, "cp949", "cp949"),
        *((CHINESE, encoding, "GB18030") for encoding in ("gb2312", "gbk", "gb18030")),
        (TAIWAN, "big5", "Big5"),
        (JAPANESE, "cp932", "Shift-JIS"),
        (JAPANESE, "euc_jp", "EUC-JP"),
        *((text, "cp1252", "Windows-1252") for text in [ENGLISH, *LATIN]),
        *((text, "latin-1", "Windows-1252") for text in LATIN),
    ],
)
def test_what_the_letters_tell_is_read_and_said(text, encoding, said):
    found = decode(text.encode(encoding), Path("a.csv"))
    assert (found.text, found.encoding) == (text, said)
    note = found.note(Path("a.csv"))
    assert note is None if said == "UTF-8" else f"a.csv is read as {said}" in note


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(text, encoding) for text, encodings in OTHERS for encoding in encodings.split()],
)
def test_what_the_letters_do_not_tell_is_asked_and_can_be_given(text, encoding):
    text = f"text,label\n{text}\n"
    data = text.encode(encoding, "ignore")
    with pytest.raises(DataError, match=r"a\.csv:2: the encoding is not certain: .*") as error:
        decode(data, Path("a.csv"))
    message = str(error.value)
    first = data.decode(encoding).split("\n")[1]
    assert first[:9] in message  # the right reading is among those shown
    assert "--file-encoding" in message
    assert decode(data, Path("a.csv"), encoding).text == data.decode(encoding)


def labelled(words):
    rows = [f"{number}.jpg,{words[number % len(words)]}\n" for number in range(30)]
    return "".join(["file,label\n", *rows])


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("cp932", "良品 不良品 藍 度 部北 電得 合格 正常 犬 男 東京 表 予 能"),
        ("cp1250", "żaba łoś koń gołąb żółw książka dziękuję się być ręka góra zięć jeż"),
        ("cp1250", "kočka kůň moře dům čtyři oči klíč míč město něco děti květ řidič měď"),
        ("cp1250", "őz tűz erdő hűvös čovjek voće cvijeće sreća riječ pădure mărime"),
        ("cp1254", "kuş balık doğru yanlış güneş ağaç şeker çiçek ışık"),
        ("cp1257", "kaķis zaļš ēka ļoti ģimene četri žąsis"),
    ],
)
def test_a_few_words_of_others_are_never_taken_as_western(encoding, words):
    for word in words.split():
        text = labelled([word, "other"])
        try:
            assert decode(text.encode(encoding), Path("a.csv")).text == text
        except DataError as error:
            assert "the encoding is not certain" in str(error)  # noqa: PT017 - either is right


@pytest.mark.parametrize(
    "words",
    [
        "été élève père forêt crème thé café Noël garçon où là hôtel bête après modèle cœur œuf",
        "niño año señor mañana acción está pingüino cigüeña",
        "não ação coração irmã limões avô português bebê ônibus pêssego gêmeo experiência",
        "caffè perché città più così lunedì è libertà gioventù",
        "Äpfel Müll Straße größer Mädchen für Tür Übung süß Käse Öl",
        "får räka øl smørrebrød æble træ knæ rød miljø høj sjö över älg",
        "història això què feliç plaça één België ideeën",
    ],
)
def test_a_few_western_words_are_read(words):
    for word in words.split():
        text = labelled([word, "other"])
        assert decode(text.encode("cp1252"), Path("a.csv")).text == text


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("cp94", "no such encoding; did you mean cp949"),
        ("utf-8", r"a\.csv:2: has bytes that are not UTF-8"),
        ("ascii", r"a\.csv:2: has bytes that are not ascii"),
        ("zlib", "cannot be read as"),
    ],
)
def test_an_encoding_that_was_given_and_is_not_the_file_s(encoding, message):
    with pytest.raises(DataError, match=message):
        decode(KOREAN.encode("cp949"), Path("a.csv"), encoding)


@pytest.mark.parametrize(
    ("given", "right"),
    [("euc-kr", "cp949"), ("KS_C_5601-1987", "cp949"), ("latin-1", "cp1252"), ("GBK", "gb18030")],
)
def test_names_of_smaller_sets_are_read_as_what_such_files_hold(given, right):
    text = {"cp949": "뷁 햏", "cp1252": "can’t", "gb18030": "镕"}[right]
    assert decode(text.encode(right), Path("a"), given).text == text


@pytest.mark.parametrize("word", ["효과", "퓨", "표"])
def test_a_word_whose_cp949_is_valid_utf_8_by_chance(word):
    data = f"path,label\n1.jpg,{word}\n".encode("cp949")
    try:
        assert word in decode(data, Path("a.csv")).text
    except DataError as error:
        assert word in str(error)  # noqa: PT017 - either is right


def test_what_is_given_goes_over_utf_8_and_that_is_said():
    found = decode("caf\u00e9".encode(), Path("a.csv"), "latin-1")
    assert found.text == "caf\u00c3\u00a9"
    assert "is read as Windows-1252, as --file-encoding says" in found.note(Path("a.csv"))
    assert decode("caf\u00e9".encode("latin-1"), Path("a"), "latin-1").note(Path("a")) is None


def test_a_few_bytes_of_no_encoding_do_not_hide_what_the_others_are():
    for encoding in ("utf-8", "cp949"):
        lines = [f"{number} 참 좋은 영화".encode(encoding) for number in range(30)]
        found = decode(b"\n".join([*lines, b"broken \xff\xff here"]), Path("a"))
        assert found.text.split("\n")[:30] == [line.decode(encoding) for line in lines]
        assert found.text.endswith("broken \udcff\udcff here")


@pytest.mark.parametrize("data", [bytes(range(256)) * 40, b"\x89PNG\r\n\x1a\n" + bytes(99)])
def test_what_is_no_text(data):
    with pytest.raises(DataError, match="expected text"):
        decode(data, Path("a.csv"))


@pytest.mark.parametrize(
    "header",
    ["날짜,판매량", "일시,기온(°C),강수량(mm)", "거래일,환율", "일시,수위(m)", "날짜,지수"],
)
def test_korean_columns_of_numbers_are_read(header):
    text = f"{header}\n" + "".join(f"2020-01-{day:02},{day},7\n" for day in range(1, 29))
    assert decode(text.encode("cp949"), Path("a.csv")).text == text


@pytest.mark.parametrize("header", ["파일명,라벨", "file,label"])
@pytest.mark.parametrize(
    "labels", ["긍정 부정", "정상 불량", "양성 음성", "양품 불량품", "맑음 비"]
)
def test_korean_labels_are_read(header, labels):
    text = labelled(labels.split()).replace("file,label", header)
    assert decode(text.encode("cp949"), Path("a.csv")).text == text


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("gbk", "正常 异常 合格 不合格 男 女 苹果 香蕉 正面 负面 好 差 日期 销量"),
        ("big5", "正常 異常 合格 不合格 男 女 蘋果 香蕉 正面 負面 日期"),
        ("cp932", "正常 異常 合格 不合格 男 女 犬 猫 晴れ 雨 陽性 陰性 日付"),
    ],
)
def test_pairs_of_chinese_and_japanese_labels_are_never_korean(encoding, words):
    for first in words.split():
        for second in set(words.split()) - {first}:
            text = labelled([first, second])
            try:
                assert decode(text.encode(encoding), Path("a.csv")).text == text
            except DataError as error:
                assert "the encoding is not certain" in str(error)  # noqa: PT017 - either is right
