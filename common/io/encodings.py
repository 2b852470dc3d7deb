"""The encoding of a user's text: found where the bytes tell, asked for where they do not.

Bytes that are valid UTF-8 are UTF-8: no other text looks like it by chance. Most other bytes are
valid in several encodings at once, so each reading is scored by how ordinary what it gives is:
frequent syllables of Hangul, frequent Han characters, kana, or Latin words with a few accents and
curly quotes. The one that is clearly the best is taken, and said; else there is one error with a
sample of each, and the user chooses.
"""

import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from common.errors import DataError
from common.suggest import suggest

OPTION = "--file-encoding"  # by which users choose
UTF_8 = "UTF-8"
_NAMES = {  # as the error lists them: Python's codec, a superset of what is commonly called so
    UTF_8: "utf-8-sig",
    "UTF-16": "utf-16",
    "cp949": "cp949",
    "Windows-1252": "cp1252",
    "GB18030": "gb18030",
    "Big5": "big5hkscs",
    "Shift-JIS": "cp932",
    "EUC-JP": "euc_jp",
}
_SUPERSETS = {  # of a codec's name: what files that claim it hold in truth
    "utf-8": UTF_8,
    "euc_kr": "cp949",
    "iso8859-1": "Windows-1252",
    "gb2312": "GB18030",
    "gbk": "GB18030",
    "big5": "Big5",
    "shift_jis": "Shift-JIS",
}
_LATIN = ("Windows-1252",)
_MARKS = {  # at the beginning of a file
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # begins as the mark of UTF-16 does
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

_OF_ONE_BYTE = (
    *("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258"),
    *("iso8859_2", "iso8859_5", "iso8859_7", "iso8859_9", "koi8_r", "cp866", "cp437", "cp850"),
    *("mac_roman", "cp874"),
)

_MOST_DAMAGED = 0.1  # share of the lines that may hold bytes of no encoding
_MOST_CONTROLS = 0.1  # share of characters; more is no text
_SAMPLED = 400  # lines whose readings are scored
_CLEAR = 0.6  # score of a reading that is taken
_APART = 0.25  # how far the next best must be behind it
_APART_IF_FEW = 0.3  # likewise where few different letters tell
_FEW, _FEWEST = 12, 4  # of them; with less than the fewest, Chinese is no more likely than Korean
_POSSIBLE = 0.2  # score of a reading that is worth showing
_SYLLABLES = 3  # of Korean words that are known as cells
_SHOWN = 24  # characters of a sample
_PEEK = 1 << 16  # bytes in which UTF-16 without a mark is looked for

_CONTROL = re.compile("[\0-\x08\x0e-\x1f\x7f]")
_SURROGATE = re.compile("[\udc80-\udcff]")
_CELL = re.compile(r'[^,;|"\t\r\n]+')
_UNIT = re.compile(r"[(\[][^)\]]*[)\]]$")  # behind a column's name
_NOT_ASCII = re.compile("[^\0-\x7f]")
_USED = re.compile("[^\0-\x7f\u01e1-\u01ff\u0221-\u023f]")

# From films, conversations and interfaces: 96 % of the syllables in such texts.
_HANGUL = frozenset(
    "이다는고지가화영하어아에도나기은한을의보만리로서게라요그니들인있해시재스무데정없사미대를마말면내자네거진수음점주야우감전으연었너좋안장상것작여생오드했적까톰일제간부같짜봤더모"
    "과최동중건난구와않신소성려개할본랑러았런평때운밌되세각비히분배공치람잘실던유래용습걸알저남국터못토조르싶레독물심루명함겠느왜봐디애원바반볼입금임처듯두편쓰든프타많였막력역당문선노"
    "악트위예버좀살별준년단뭐줄웃번렇울현워냥름속완관망불코질린결포직설매추참끝억박긴극메션경체계발차품냐후출눈절학된식교잼방행날죽피길강잔님테합군넘호파답른크청릴액따회집깝누먹얼몰언"
    "엔머받빠허괜돈판초달친족럽티뭔근란김외민천찮올져슨증순멋낌키온짱즈움캐겨새렸또엄특필약갈목카씨슬복형양록존류열귀표맞등며돌색왔럼졸급충글녀닌맨웠산혼론끼통뻔희몇담꼭슴격쳐술케종"
    "태힘엇능뿐찍브혀흥법밋황림낮책될죠릭봉잡탄났훈욕늘높굿졌놀쁘놓줘씬쉬병딩싸떨쉽짓밖찾믿삼베솔투송싫떠랜범쟁석퍼클빨변큼확환패백써앞접손떻뜻껴갑창딱께엉승향팅잠즐뒤립둘블권업홍"
    "픈꺼랐갔맛침광폭즘철깨굴찬잊커끔겁킬돼링잇삶짐왕쾌큰깊괴벽월읽험채곤죄척놈꿈플빼얘꾸빈벌섭딴견객큐궁훨락떤먼휴짝봄팬욱텐긍닭곰꽃옷컵밥빵쌀흰검붉푸층"
)
# Whole cells of tables: a few words tell less by their syllables than by what they are.
_KOREAN_WORDS = (
    "날짜 일자 일시 기간 시간 시각 시점 날 월 년월 연월 연도 년도 분기 요일 거래일 거래일자 "
    "기준일 기준일자 측정일시 판매량 판매액 매출 매출액 수량 금액 가격 단가 건수 개수 지수 "
    "비율 합계 평균 방문자수 이용자수 승차인원 하차인원 인구 인구수 기온 평균기온 최고기온 "
    "최저기온 온도 습도 강수량 일강수량 풍속 풍향 기압 수위 유량 일사량 일조 적설 미세먼지 "
    "초미세먼지 전력사용량 전력수요 사용량 발전량 생산량 수출액 수입액 교통량 환율 금리 실업률 "
    "물가 소비자물가지수 코스피 코스닥 종가 시가 고가 저가 거래량 거래대금 등락률 지점 지점명 "
    "지역 시도 전국 서울 부산 대구 인천 광주 대전 울산 파일 파일명 이미지 경로 라벨 레이블 "
    "정답 분류 클래스 범주 종류 품종 이름 번호 순번 아이디 비고 내용 제목 본문 문장 리뷰 댓글 "
    "텍스트 질문 답변 감성 감정 평점 별점 원문 번역 번역문 단어 낱말 긍정 부정 중립 정상 불량 "
    "양품 불량품 비정상 이상 양호 균열 양성 음성 악성 합격 불합격 참 거짓 예 아니오 남 여 남자 "
    "여자 남성 여성 스팸 맑음 흐림 비 눈 개 고양이 강아지"
)
_KOREAN_CELLS = frozenset(_KOREAN_WORDS.split())
# In simplified, traditional and Japanese forms.
_HAN = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样"
    "理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内"
    "信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克"
    "许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运笑男爱电"
    "影片看喜欢吗吧谢服务质量很差买快棒推荐钱酒店房间吃味餐厅猫狗鸟车花树鱼红绿蓝黄黑早晚晴雨雪风火木土春夏秋冬"
    "這個們來為國說時會對過發後裡種經麼現沒動還進樣開從實軍無與長機關點業將兩間問並應戰頭體見產給門兒東聲員處義幾認條氣題爾別變總電數報結務場計資許統區隊決馬書則聽卻達強難權設記類"
    "據邊張該規萬覺術領確傳師觀讓識帶導爭運愛歡嗎謝買錢餐廳貓鳥車樹魚紅綠藍黃風片質服推薦"
    "時出会円見聞読駅気町校車犬猫鳥魚花木林森川山海空雨雪電話学生先週毎何今朝昼夜食飲買店高安新古白黒赤青"
)
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fc]")


class Decoded(NamedTuple):
    """A text, and the encoding that it was read in."""

    text: str  # bytes that are of no encoding are lone surrogates ("surrogateescape")
    encoding: str  # as people call it
    given: bool = False  # whether the user named it
    doubtful: bool = False  # whether it was named, and the bytes are UTF-8 all the same

    def note(self, path: Path) -> str | None:
        """Return a sentence that says how the file was read, None for UTF-8."""
        if self.doubtful:
            return (
                f"{path.name} is read as {self.encoding}, as {OPTION} says; it is valid UTF-8 too"
            )
        if self.given or self.encoding == UTF_8:
            return None
        return f"{path.name} is read as {self.encoding} ({OPTION} names another)"


@dataclass(frozen=True)
class _Reading:
    encoding: str
    score: float  # from 0 to 1: how ordinary it is
    letters: int = 0  # how many different ones are not ASCII


def decode(
    data: bytes, path: Path, encoding: str | None = None, *, option: str | None = OPTION
) -> Decoded:
    """Read bytes as text.

    Args:
        data: the bytes.
        path: where they are from, for the message.
        encoding: the user's word for it, such as cp949 or latin-1; found out when None.
        option: by which the user can give it, None where there is no such option.

    Raises:
        DataError: the encoding that was given is unknown, or the bytes are not in it; the bytes do
            not tell their encoding; or they are no text.
    """
    if encoding is not None:
        return _decode_given(data, path, encoding)
    found = decode_certain(data, path)
    if found is None:
        found = _most_ordinary(data, path, option)
        _check_text(found.text, path)
    return found


def decode_certain(data: bytes, path: Path) -> Decoded | None:
    """Read bytes that tell their encoding by themselves: a mark, UTF-8, UTF-16; None for others.

    Raises:
        DataError: the bytes are no text, or not what their mark says.
    """
    found = _marked(data, path) or _utf_16(data) or _utf_8(data)
    if found is not None:
        _check_text(found.text, path)
    return found


def encode_like(data: bytes, decoded: Decoded, text: str, path: Path) -> bytes:
    """Return a text in the encoding of other bytes, with the mark that they begin with.

    Args:
        data: the other bytes.
        decoded: how they were read.
        text: to encode.
        path: where they are from, for the message.

    Raises:
        DataError: the encoding lacks one of the letters.
    """
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    if decoded.encoding.startswith("UTF-"):
        codec = decoded.encoding.lower()
        if codec == "utf-16":
            codec += "-be" if data[:1] in (b"\0", b"\xfe") else "-le"
        elif codec == "utf-32":
            codec += "-be" if data[:1] == b"\0" else "-le"
    else:
        mark, codec = b"", _NAMES.get(decoded.encoding, decoded.encoding)
    try:
        return mark + text.encode(codec, "surrogateescape" if codec == "utf-8" else "strict")
    except UnicodeEncodeError as error:
        letter = text[error.start]
        raise DataError(
            f"{path} is in {decoded.encoding}, which has no {letter!r}; save it as UTF-8"
        ) from error


def widest(codec: str) -> str:
    """Return the codec to read what claims to be in another: its superset, if it has one."""
    return _NAMES.get(_SUPERSETS.get(codecs.lookup(codec).name, ""), codec)


def _decode_given(data: bytes, path: Path, encoding: str) -> Decoded:
    known = {name.casefold(): name for name in _NAMES}
    try:
        codec = codecs.lookup(encoding).name
    except LookupError as error:
        codec = _NAMES.get(known.get(encoding.casefold(), ""), "")
        if not codec:
            listed = ", ".join(_NAMES)
            hint = suggest(encoding, list(_NAMES))
            raise DataError(
                f"{OPTION} {encoding}: no such encoding{hint}; usual ones are {listed}"
            ) from error
    name = _SUPERSETS.get(codec, encoding)
    codec = _NAMES.get(name, codec)
    try:
        doubtful = codec not in ("utf-8", "utf-8-sig") and not data.isascii() and is_utf_8(data)
        return Decoded(data.decode(codec), name, given=True, doubtful=doubtful)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}:{line}: has bytes that are not {name}, which {OPTION} names; give another, or "
            "leave it away"
        ) from error
    except (LookupError, UnicodeError, AssertionError) as error:  # a codec that is not of text
        raise DataError(f"{path}: cannot be read as {OPTION} {encoding}: {error}") from error


def _marked(data: bytes, path: Path) -> Decoded | None:
    """Read what begins with a byte order mark."""
    for mark, codec in _MARKS.items():
        if data.startswith(mark):
            name = codec.removesuffix("-sig").upper()
            try:
                return Decoded(data.decode(codec), name)
            except UnicodeDecodeError as error:
                if name == UTF_8:
                    return _damaged_utf_8(data)
                if codec == "utf-32":  # the mark of UTF-16, and a NUL
                    continue
                raise DataError(
                    f"{path}: begins as {name}, but is not: {error.reason}; save it as UTF-8"
                ) from error
    return None


def _utf_16(data: bytes) -> Decoded | None:
    """Read UTF-16 without a mark: the high bytes of ASCII are NUL, at odd or at even places."""
    start = data[:_PEEK]
    low, high = start[::2].count(0), start[1::2].count(0)
    if len(data) % 2 or max(low, high) <= max(len(start) // 50, 9 * min(low, high)):
        return None
    try:
        text = data.decode("utf-16-le" if high > low else "utf-16-be")
    except UnicodeDecodeError:
        return None
    return Decoded(text, "UTF-16") if not _CONTROL.search(text[:_PEEK]) else None


def _utf_8(data: bytes) -> Decoded | None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return _damaged_utf_8(data)
    # Letters that no language uses alone, in the places of frequent Hangul: a word or two of it.
    rare = not text.isascii() and not _USED.search(text)
    return None if rare else Decoded(text, UTF_8)


def _damaged_utf_8(data: bytes) -> Decoded | None:
    """Read UTF-8 in which few bytes are none: what is no character stays so, for rows to say."""
    sample = _sampled(data)
    if sum(map(is_utf_8, sample)) < len(sample) / 2:
        return None
    text = data.decode("utf-8-sig", "surrogateescape")
    damaged = len(_SURROGATE.findall(text))
    sound = len(_NOT_ASCII.findall(text)) - damaged
    lines = text.count("\n") + 1
    hurt = sum(1 for line in text.split("\n") if _SURROGATE.search(line))
    few = hurt <= max(1, _MOST_DAMAGED * lines)
    return Decoded(text, UTF_8) if sound > damaged and few else None


def is_utf_8(data: bytes) -> bool:
    """Say whether bytes are valid UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _sampled(data: bytes) -> list[bytes]:
    """Return lines that are not ASCII, of many some from everywhere."""
    lines = [line for line in dict.fromkeys(data.split(b"\n")) if not line.isascii()]
    return lines[:: max(1, len(lines) // _SAMPLED)]


def _most_ordinary(data: bytes, path: Path, option: str | None) -> Decoded:
    """Read bytes that are not UTF-8 in the encoding that makes ordinary text of them."""
    lines = _sampled(data)
    readings = sorted(_readings(lines), key=lambda reading: -reading.score)
    korean = [reading for reading in readings if reading.encoding == "cp949" and _is_korean(lines)]
    if korean or _is_clear(readings):
        best = (korean or readings)[0]
        text = data.decode(_NAMES[best.encoding], "surrogateescape")
        damaged = sum(1 for line in text.split("\n") if _SURROGATE.search(line))
        if damaged <= max(1, _MOST_DAMAGED * (text.count("\n") + 1)):
            return Decoded(text, best.encoding)
    possible = [each for each in readings if each.score >= _POSSIBLE]
    raise _undecided(data, path, lines, possible, option)


def _is_korean(lines: Sequence[bytes]) -> bool:
    """Say whether at least half of the different cells are Korean words as tables have them.

    One word of two syllables may be one of another language by chance; two words are not.
    """
    text = b"\n".join(lines).decode("cp949", "surrogateescape")
    cells = {_UNIT.sub("", cell).strip() for cell in _CELL.findall(text)}
    cells = {cell for cell in cells if _NOT_ASCII.search(cell)}
    known = cells & _KOREAN_CELLS
    syllables = sum(map(len, known))
    return 2 * len(known) >= len(cells) and syllables >= _SYLLABLES


def _is_clear(readings: Sequence[_Reading]) -> bool:
    """Say whether the first of some readings is ordinary, and none beside it nearly so."""
    if not readings or readings[0].score < _CLEAR:
        return False
    best, *others = readings
    few = _FEWEST + 1 if best.encoding == "cp949" else _FEW
    apart = _APART if best.letters >= few or best.encoding in _LATIN else _APART_IF_FEW
    enough = best.letters >= _FEWEST or best.encoding in ("cp949", *_LATIN)
    return enough and all(best.score - other.score >= apart for other in others)


def _readings(lines: Sequence[bytes]) -> Iterator[_Reading]:
    """Yield the readings of lines that are possible, with their scores."""
    for name, score in _SCORES.items():
        decoded = [line.decode(_NAMES[name], "surrogateescape") for line in lines]
        sound = [text for text in decoded if not _SURROGATE.search(text)]
        share = len(sound) / len(lines)
        if share >= 1 - _MOST_DAMAGED:
            text = "\n".join(sound)
            letters = len(set(_NOT_ASCII.findall(text)))
            yield _Reading(name, share * score(text), letters)


def _undecided(
    data: bytes,
    path: Path,
    lines: Sequence[bytes],
    readings: Sequence[_Reading],
    option: str | None,
) -> DataError:
    """Say in which ways a file could be read, with a sample of each."""
    line = next(iter(lines), b"")
    samples = {reading.encoding: _sample(line, _NAMES[reading.encoding]) for reading in readings}
    for codec in _guesses(b"\n".join(lines)):
        samples.setdefault(codec, _sample(line, codec))
    number = data.count(b"\n", 0, data.find(line)) + 1
    shown = "; ".join(f"as {name} {sample!r}" for name, sample in samples.items() if sample)
    if not shown or _CONTROL.search(data[:_PEEK].decode("latin-1")):
        return DataError(
            f"{path}: expected text in UTF-8, or another encoding that its letters tell, and line "
            f"{number} is in none; save it as UTF-8"
        )
    choose = f"name the right one with {option}, or " if option else ""
    return DataError(
        f"{path}:{number}: the encoding is not certain: {shown}; {choose}save the file as UTF-8"
    )


def _sample(line: bytes, codec: str) -> str:
    """Return a reading of what stands around the first byte of a line that is not ASCII."""
    text = line.decode(codec, "replace").strip()
    first = _NOT_ASCII.search(text)
    start = max(0, first.start() - _SHOWN // 2) if first else 0
    return text[start : start + _SHOWN]


def _guesses(data: bytes) -> list[str]:
    """Return the codecs of one byte a letter that charset-normalizer holds for likely."""
    import charset_normalizer  # only where our own scores do not tell

    found = charset_normalizer.from_bytes(data, cp_isolation=list(_OF_ONE_BYTE))
    return [match.encoding for match in found][:4]


def _check_text(text: str, path: Path) -> None:
    """Refuse what decodes without being text, as archives do."""
    controls = len(_CONTROL.findall(text))
    if controls > max(10, _MOST_CONTROLS * len(text)):
        raise DataError(
            f"{path}: expected text, and it has {controls:,} control characters; save it as UTF-8"
        )


# --- how ordinary a reading is --------------------------------------------------------------------

_WORD = re.compile(r"[^\W\d_]+")
_LETTERS = re.compile("[A-Za-z]")
_INSIDE = re.compile(r"[a-z][^\0-\x7f]$|[a-z][^\0-\x7f][a-z]")


def _korean(text: str) -> float:
    return _mean(text, _ordinary_hangul)


@lru_cache(1 << 14)
def _ordinary_hangul(character: str) -> float:
    if character in _HANGUL:
        return 1.0
    return 0.5 if "ㄱ" <= character <= "힣" and _in(character, "euc_kr") else 0.0


def _chinese(text: str) -> float:
    return _mean(text, lambda character: _ordinary_han(character, "gb2312", 0xD7))


def _chinese_traditional(text: str) -> float:
    return _mean(text, lambda character: _ordinary_han(character, "big5", 0xC6))


def _japanese(text: str) -> float:
    """Score kana and frequent characters; without kana it is hardly Japanese."""

    def ordinary(character: str) -> float:
        return 1.0 if _KANA.match(character) else _ordinary_han(character, "euc_jp", 0xCF)

    score = _mean(text, ordinary)
    return score if _KANA.search(text) else score / 2


@lru_cache(1 << 14)
def _ordinary_han(character: str, codec: str, last: int) -> float:
    """Score a Han character: frequent, of the set's first level (lead bytes to `last`), or rare."""
    if character in _HAN:
        return 1.0
    return 0.5 if "一" <= character <= "鿿" and _in(character, codec, last) else 0.0


def _in(character: str, codec: str, last: int = 0xFF) -> bool:
    try:
        return character.encode(codec)[0] <= last
    except UnicodeEncodeError:
        return False


def _mean(text: str, ordinary: Callable[[str], float]) -> float:
    """Return the mean score of the letters that are not ASCII, each word counted once.

    Those inside of a Latin word count nothing: no script that fills two bytes stands there. Left
    out are words of one letter repeated, as Koreans laugh and cry.
    """
    words = {word for word in _WORD.findall(text) if len(word) == 1 or len(set(word)) > 1}
    scores: list[float] = []
    for word in words:
        inside = _INSIDE.search(word)
        scores += [0.0 if inside else ordinary(letter) for letter in _NOT_ASCII.findall(word)]
    return sum(scores) / len(scores) if scores else 0.0


_ACCENTED = "àáâãäåæçèéêëìíîïñòóôõöøùúûüÿßœšžÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜŒŠŽŸ"
_ODD = re.compile(
    # Letters of Turkish, Polish and others in their places; a capital or a sign inside of a word.
    "[þÞðÐýÝšžŠŽŸˆ˜]|[a-z][ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜŒŠŽŸ]|[ÂÃâ][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹Œ‘“”•–—˜™š›œžŸ]"
    "|[A-Za-z][‚ƒ„†‡ˆ“”˜›¡-§¨©ª«¬¯±²³µ¶¹º»¼½¾¿][A-Za-zà-ÿ]|[‚ƒ¢£¤¥¦§¨¬¯±²³¶¸¹¼½¾÷×][À-ÿ]"
    "|[¤¦¨¬¯²³¶¸¹][A-Za-z]|[A-Za-zà-ÿ][¹‚„]|œ(?![uietdcs])|õ(?!e)"
    f"|[{_ACCENTED}]{{4}}|[\x81\x8d\x8f\x90\x9d]"
    # Bullets and brackets inside of a word, as in Japanese; letters of Czech, Polish, Romanian and
    # Latvian where neither French, Italian, Spanish nor Portuguese has those in their places.
    "|•[À-ÿ‹›‘’“”–—…€]|[A-Za-zÀ-ÿ‘’“”–—…]•|[A-Za-zÀ-ÿ]‹[A-Za-zÀ-ÿ]|[—–][À-ÿ]+[•‹–—]"
    "|è[aeiouyhjkwxz]|[áíóúýìòùø]è|è[àáíìóòúùø]|[aou]ø(?!re)|[ìù][a-zà-ÿ]|ñ(?![aeiouyáéíóúü])"
    "|ê[bjkw]|[aeiouy]æ(?![a-zà-ÿ])|ã[b-df-hj-np-rtv-x]|ç[b-df-hj-np-tv-xz]|[aeiouy]ë[kz]|íi"
    r"|ø\w*[èìùòïí]|[èìùòïí]\w*ø|(?<![^\W\d_])ï|[aou]æ|eæ(?!r)|êæ|eè|iê(?![a-z])"
    "|[À-ÿ][¢¤-¨¬¯±²³¶¸¹¼½¾]|[‘“‹][¤¦¨-¾]"
    r"|[•–—‘“”][\\^@\[\]`{}~]|[‘’“”][†‡‰]|^’[a-lo-ru-z]$|^\xad"
)
_ALONE = re.compile(  # a run that no ASCII letter stands beside, as where two bytes are a letter
    f"(?<![A-Za-z])(?:[{_ACCENTED}ªº][{_ACCENTED}¡-¿]+|[¡-¿]{{2,}}[À-ÿ]?)(?![A-Za-z])"
)
_BEFORE = re.compile(r"[”‰±²][^\W\d_]")  # what no word begins with
_ENGLISH = {
    *("the", "and", "you", "to", "of", "is", "in", "it", "for", "that", "was", "not", "with"),
    *("this", "my", "have", "but"),
}
_FEW_HIGH = 0.05  # share of an English text's letters
_TOKEN = re.compile(r'[^\s,;|"]+')
_WEIGHT = 8  # of an odd word: with one in twenty, a text is hardly in that encoding


def _is_odd(token: str, english: bool) -> bool:
    """Say whether a word is none of Western Europe's, as when it is cut of another encoding."""
    if _ODD.search(token) or english:
        return bool(_ODD.search(token))
    alone = not re.search("[A-Za-z0-9]", token) and len(_NOT_ASCII.findall(token)) > 1
    return bool(
        _ALONE.search(token) or _BEFORE.search(token) or (alone and re.search("[¡-ÿ]", token))
    )


def _lacks_partners(text: str) -> bool:
    """Say whether a text has signs that open, and none that close."""
    pairs = {"“": "”„", "‹": "›", "¿": "?", "¡": "!"}
    return any(sign in text and not set(ends) & set(text) for sign, ends in pairs.items())


def _western(text: str) -> float:
    """Score Latin words: few letters have accents, and what stands beside them is usual."""
    tokens = [token for token in set(_TOKEN.findall(text)) if _NOT_ASCII.search(token)]
    letters, others = len(_LETTERS.findall(text)), len(_NOT_ASCII.findall(text))
    english = len(_ENGLISH & set(text.lower().split())) > 4 and others < _FEW_HIGH * letters
    odd = sum(_is_odd(token, english) for token in tokens)
    # In Hungarian, õ and û are in the places of its own letters, among others than French has.
    german, french = set("öü") & set(text), set("èêàçùîô") & set(text)
    hungarian = ("õ" in text and german) or ("û" in text and (german or not french))
    if not tokens or others > letters or hungarian or (_lacks_partners(text) and not english):
        return 0.0
    return max(0.0, 1 - _WEIGHT * odd / len(tokens))


_SCORES: dict[str, Callable[[str], float]] = {
    "cp949": _korean,
    "GB18030": _chinese,
    "Big5": _chinese_traditional,
    "Shift-JIS": _japanese,
    "EUC-JP": _japanese,
    "Windows-1252": _western,
}
