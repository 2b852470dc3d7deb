import pytest

from common.errors import DataError
from labs.rnn.columns import find_pieces, guess_labelled, guess_pairs
from labs.rnn.inputs import read_texts
from labs.rnn.sentiment.config import SentimentConfig
from labs.rnn.sentiment.data import load
from labs.rnn.sentiment.suit import suit_texts
from labs.rnn.texts import read_corpus


def write(path, *rows, between=","):
    path.write_text("".join(f"{between.join(row)}\n" for row in rows), encoding="utf-8")
    return path


BODY = [
    [str(7 * row), f"what a film number {row}", "yes" if row % 2 else "no", f"m{row // 2}"]
    for row in range(20)
]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("id,text,label,movie", ("text", "label")),
        ("id,document,class,movie", ("document", "class")),
        ("id,review_text,Sentiment,movie", ("review_text", "Sentiment")),
        ("id,reviewText,sentimentLabel,movie", ("reviewText", "sentimentLabel")),
        ("번호,내용,감성,영화", ("내용", "감성")),
        ("a,b,c,d", ("b", "c")),  # by what is in them
    ],
)
def test_columns_are_known_by_name_and_else_by_what_is_in_them(tmp_path, header, found):
    path = write(tmp_path / "a.csv", header.split(","), *BODY)
    assert guess_labelled(path, None, None)[:2] == found


def test_what_was_guessed_is_said_and_what_is_usual_is_not(tmp_path):
    path = write(tmp_path / "a.csv", ["text", "b", "c", "d"], *[[r[1], *r[1:]] for r in BODY])
    text, label, said = guess_labelled(path, None, None)
    assert (text, label) == ("text", "c")
    assert [line.split(":")[0] for line in said] == ["column 'c' of a.csv holds the labels"]


def test_a_table_without_names_is_read_by_numbers(tmp_path):
    path = write(tmp_path / "a.tsv", *[[row[2], row[1]] for row in BODY], between="\t")
    text, label, said = guess_labelled(path, None, None)
    assert (text, label) == ("2", "1")
    assert any("first row" in line for line in said)


def test_two_columns_that_could_be_labels_are_not_guessed_between(tmp_path):
    rows = [[*row[1:3], str(number % 3)] for number, row in enumerate(BODY)]
    path = write(tmp_path / "a.csv", ["said", "yesno", "third"], *rows)
    with pytest.raises(
        DataError, match=r"2 \(yesno, such as no or yes; third, such as .*--label-column;"
    ):
        guess_labelled(path, None, None)
    assert guess_labelled(path, None, "third")[:2] == ("said", "third")


def test_pairs_are_known_by_name_or_are_the_first_two_columns(tmp_path):
    named = write(tmp_path / "a.csv", ["no", "ko", "en"], ["1", "안녕", "hello"])
    assert guess_pairs(named)[:2] == ("en", "ko")
    bare = write(tmp_path / "b.txt", ["Go.", "가.", "by somebody"], between="\t")
    source, target, [said] = guess_pairs(bare)
    assert (source, target) == ("1", "2")
    assert "first row" in said
    with pytest.raises(DataError, match="two columns"):
        guess_pairs(write(tmp_path / "c.txt", ["alone"]))


TABLES = [  # as they are handed out: the header, a row by its number, columns of texts and labels
    ("id,document,label", lambda n: [9000 + n, f"좋은 영화 {n}", n % 2], ("document", "label")),
    (",text,label", lambda n: [n, f"a film {n}", n % 2], ("text", "label")),
    ("v1,v2,,,", lambda n: ["ham" if n % 3 else "spam", f"a text {n}", "", "", ""], ("v2", "v1")),
    ("review_id,comment_body,stars", lambda n: [f"r{n:05}", f"a b {n}", n % 5], None),
    ("label_id,text_id,contents", lambda n: [n % 3, n, f"a film {n}"], ("contents", "label_id")),
    ("app_id,app_name,review_text,score", lambda n: [n % 3, "A", f"a {n}", n % 2], None),
    ("url,headline,is_odd", lambda n: [f"https://x/{n}", f"the news {n}", n % 2], None),
    ("label,text,cls", lambda n: [n, f"a film {n}", n % 2], ("text", "cls")),
    ("번호,문장,감정_대분류", lambda n: [n, f"오늘은 {n}", "기쁨" if n % 2 else "슬픔"], None),
]


@pytest.mark.parametrize(("header", "row", "found"), TABLES)
def test_ids_are_neither_texts_nor_labels(tmp_path, header, row, found):
    rows = [list(map(str, row(number))) for number in range(30)]
    names = header.split(",")
    path = write(tmp_path / "a.csv", names, *rows)
    assert guess_labelled(path, None, None)[:2] == (found or tuple(names[-2:]))


def test_a_table_of_tweets_without_names(tmp_path):
    rows = [
        [str(4 * (n % 2)), str(1467810369 + n), "Mon Apr 06", "NO_QUERY", f"user{n}", f"so {n} bad"]
        for n in range(30)
    ]
    assert guess_labelled(write(tmp_path / "a.csv", *rows), None, None)[:2] == ("6", "1")


@pytest.mark.parametrize(
    ("header", "row", "found"),
    [
        (None, lambda n: [n, f"hello you {n}", f"안녕 여러분 {n}"], ("2", "3")),
        ("SID,Sentence,Korean_s", lambda n: [n, f"hello {n} x", f"안녕 {n} 님"], None),
        ("분류,ID,한국어,영어", lambda n: ["여행", n, f"안녕 {n}", f"hi {n}"], ("영어", "한국어")),
        ("Q,A,label", lambda n: [f"12시 땡! {n}", f"하루가 또 가네요 {n}", n % 3], ("Q", "A")),
        ("foo,bar", lambda n: [f"hello {n} x", f"안녕 {n} 님"], ("foo", "bar")),
    ],
)
def test_pairs_are_the_columns_with_texts(tmp_path, header, row, found):
    rows = [list(map(str, row(number))) for number in range(30)]
    names = header.split(",") if header else []
    path = write(tmp_path / "a.csv", *([names] if names else []), *rows)
    assert guess_pairs(path)[:2] == (found or tuple(names[-2:]))


def test_an_empty_table_is_called_empty(tmp_path):
    with pytest.raises(DataError, match=r"a\.csv is empty"):
        guess_labelled(write(tmp_path / "a.csv"), None, None)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("text,label", "good, film {},{label}"),
        ("label,text", "{label},good, film {}"),
        ("id,text,label", "{},good, film {},{label}"),
        ("text;label", "good; film {};{label}"),
        ("good film,pos", "good, film {},{label}"),  # without names
    ],
)
@pytest.mark.parametrize("wide", [20, 13, 7])
def test_most_texts_with_a_comma_and_no_quotes_are_refused(tmp_path, header, row, wide):
    filled = [row.format(n, n, label="np"[n % 2]) for n in range(20)]
    narrow = [line.replace("good, ", "").replace("good; ", "") for line in filled]
    path = tmp_path / "a.csv"
    path.write_text("\n".join([header, *filled[:wide], *narrow[wide:]]) + "\n", encoding="utf-8")
    if wide < 10:  # those rows alone are left out, by name
        guess_labelled(path, None, None)
        return
    for given in [(None, None), ("text", "label"), ("1", "2")]:
        with pytest.raises(DataError, match="rows have more cells than the first.*put quotes"):
            guess_labelled(path, *given)


@pytest.mark.parametrize("end", [",", ",,"])
def test_delimiters_at_the_end_of_rows_are_no_cells(tmp_path, end):
    path = tmp_path / "a.csv"
    rows = [f"good film {number},{'np'[number % 2]}{end}" for number in range(20)]
    path.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    corpus = read_corpus(path, *guess_labelled(path, None, None)[:2])
    assert corpus.parts["all"].texts[0] == "good film 0"
    assert len(corpus.parts["all"]) == 20
    assert corpus.classes == ("n", "p")


@pytest.mark.parametrize(
    "text",
    [
        "@foo that is tweet {}",
        "a longer description {} of it",
        "What is the title?",
        "Nice review {}",
        "comment {}",
    ],
)
def test_a_first_text_with_the_word_of_a_name_stays_a_text(tmp_path, text):
    rows = [[text.format(number), "yes" if number % 2 else "no"] for number in range(20)]
    path = write(tmp_path / "a.csv", *rows)
    text_column, label_column, said = guess_labelled(path, None, None)
    assert (text_column, label_column) == ("1", "2")
    assert any("first row" in line for line in said)


def test_ratings_that_are_all_different_are_labels_where_their_name_says_so(tmp_path):
    rows = [[f"what a film {row}", f"{row / 7:.2f}"] for row in range(40)]
    path = write(tmp_path / "a.csv", ["text", "rating"], *rows)
    assert guess_labelled(path, None, None, numeric=True)[:2] == ("text", "rating")
    with pytest.raises(DataError, match="which column holds the labels"):
        guess_labelled(path, None, None)


WORDS = ["the", "film", "was", "long", "and", "its", "music", "quite", "good"]


def say(n, more=""):
    return f"{WORDS[n % 9]} {WORDS[n % 7]} {WORDS[n % 5]} number {n} {more}".strip()


SETS = [  # as they are handed out: the header, a row by its number, columns of texts and labels
    (
        "review_id,product_category,star_rating,review_headline,review_body,review_date",
        lambda n: [f"R{n}", "Watches", n % 5, "Five Stars", say(n), f"2015-08-{n % 9 + 1:02}"],
        ("review_body", "star_rating"),
    ),
    (
        "reviewerID,asin,reviewText,overall,summary",
        lambda n: [f"A{n}", f"B{n % 9}", say(n), f"{n % 5}.0", "Five Stars"],
        ("reviewText", "overall"),
    ),
    (
        "Clothing ID,Title,Review Text,Rating,Class Name",
        lambda n: [n % 9, "" if n % 3 else "Nice", say(n), n % 5, "a" if n % 2 else "b"],
        ("Review Text", "Rating"),
    ),
    (
        "link,headline,category,short_description",
        lambda n: [f"https://a/{n}", f"News {n}", "ab"[n % 2], say(n)],
        ("short_description", "category"),
    ),
    (
        "article_link,headline,is_odd",
        lambda n: [f"https://a/{n}", say(n), n % 2],
        ("headline", "is_odd"),
    ),
    (
        "id,qid1,qid2,question1,question2,is_duplicate",
        lambda n: [n, 2 * n, 2 * n + 1, say(n), say(n, "too"), n % 2],
        ("question1 + question2", "is_duplicate"),
    ),
    (
        "premise,hypothesis,label",
        lambda n: [say(n), say(n, "too"), n % 3],
        ("premise + hypothesis", "label"),
    ),
    (
        "감정_대분류,감정_소분류,사람문장1,시스템문장1,사람문장2",
        lambda n: ["가나"[n % 2], "다라"[n % 2], say(n), say(n, "what do you feel"), say(n, "yes")],
        ("사람문장1 + 사람문장2", "감정_대분류"),
    ),
    ("text,label", lambda n: [say(n), n % 150], ("text", "label")),
    (
        "title,selftext,subreddit,score",
        lambda n: [f"News {n}", say(n), "ab"[n % 2], n * n % 251],
        ("selftext", "subreddit"),
    ),
    (
        "profile.emotion.type,talk.content.HS01,talk.content.SS01,talk.content.HS02",
        lambda n: [f"E{n % 3}", say(n), say(n, "and what do you feel"), say(n, "no")],
        ("talk.content.HS01 + talk.content.HS02", "profile.emotion.type"),
    ),
    (
        "text,sentiment_confidence,airline_sentiment,sentiment_gold",
        lambda n: [say(n), ["1.0", "0.5"][n % 2], "np"[n % 2], ""],
        ("text", "airline_sentiment"),
    ),
]


@pytest.mark.parametrize(("header", "row", "found"), SETS)
def test_a_heading_a_confidence_or_half_of_a_text_is_not_the_text(tmp_path, header, row, found):
    rows = [list(map(str, row(number))) for number in range(600)]
    path = write(tmp_path / "a.csv", header.split(","), *rows)
    assert guess_labelled(path, None, None)[:2] == found


def test_dates_and_addresses_are_no_other_texts(tmp_path):
    date = "Mon Apr 06 22:19:{:02} PDT 2009"
    rows = [[str(4 * (n % 2)), date.format(n), f"http://a.b/{n}", say(n)] for n in range(30)]
    text, *_ = guess_labelled(write(tmp_path / "a.csv", *rows), None, None)[2]
    assert text == "column '4' of a.csv holds the texts: its texts are the longest"


def test_other_columns_with_texts_or_labels_are_said(tmp_path):
    rows = [[say(n, "in short"), say(n, "at length and more"), n % 2, n % 3] for n in range(30)]
    header = ["title", "text", "sentiment", "category"]
    path = write(tmp_path / "a.csv", header, *[list(map(str, row)) for row in rows])
    text, label = guess_labelled(path, None, None)[2]
    assert text.endswith("""; 'title' has texts, too: --text-column "title + text" reads both""")
    assert label.endswith("; 'category' could, too (--label-column)")


def test_columns_that_are_one_text_are_read_together(tmp_path):
    rows = [[f"a title {n}" * (n % 3 > 0), say(n) * (n % 5 > 0), "np"[n % 2]] for n in range(30)]
    path = write(tmp_path / "a.csv", ["title", "text", "label"], *rows)
    found = read_corpus(path, "title + text")
    texts = ["\n".join(filter(None, row[:2])) for row in rows]
    assert found.parts["all"].texts == list(filter(None, texts))
    empty = [(f"a.csv:{n + 2}", "'title' and 'text' are empty") for n in (0, 15)]
    assert list(found.skipped) == empty
    assert read_texts([], path, "title + text")[1:3] == texts[1:3]
    by_number = write(tmp_path / "b.csv", *rows[1:3] * 5)
    assert read_corpus(by_number, "1 + 2", "3").parts["all"].texts == texts[1:3] * 5


@pytest.mark.parametrize(
    ("header", "row", "found"),
    [  # as they are handed out
        (
            "sn,source,ko,mt,en",
            lambda n: [f"E{n}", "크라우드", f"안녕 {n}", f"hi {n}", f"hey {n}"],
            None,
        ),
        (
            "source_lang,target_lang,source_text,target_text",
            lambda n: ["ko", "en", f"안녕 {n}", f"hi {n}"],
            ("source_text", "target_text"),
        ),
        (
            "source,mt,reference",
            lambda n: [f"hi {n}", f"안녕요 {n}", f"안녕 {n}"],
            ("source", "reference"),
        ),
        (
            "SID,원문,기계번역문,최종번역문",
            lambda n: [n, f"안녕 {n}", f"hi {n}", f"hello {n}"],
            ("원문", "최종번역문"),
        ),
        ("번호,한글,영문", lambda n: [n, f"안녕 {n}", f"hi {n}"], ("영문", "한글")),
        (
            "English words/sentences,French words/sentences",
            lambda n: [f"hi {n}", f"salut {n}"],
            ("English words/sentences", "French words/sentences"),
        ),
        (None, lambda n: [f"www.a{n}.com", f"http://b.de/{n}", f"hi {n}", f"안녕 {n}"], ("3", "4")),
        (None, lambda n: [f"1.{n:03}", f"hi you {n}", f"안녕 여러분 {n}", "en", "ko"], ("2", "3")),
        (None, lambda n: [n, f"안녕 여러분 {n}", 9 * n, f"hi you {n}"], ("2", "4")),
    ],
)
def test_names_of_languages_addresses_and_other_translations_are_no_pairs(
    tmp_path, header, row, found
):
    rows = [list(map(str, row(number))) for number in range(30)]
    names = header.split(",") if header else []
    path = write(tmp_path / "a.tsv", *([names] if names else []), *rows, between="\t")
    assert guess_pairs(path)[:2] == (found or ("en", "ko"))


def pieces(part):
    """Return phrases of 25 sentences, of each the longest first."""
    words = [[f"{part}{n}w{place}" for place in range(7)] for n in range(25)]
    cut = [(n, " ".join(line[start:])) for n, line in enumerate(words) for start in range(4)]
    return [[str(9 * row), str(n), text, "np"[row % 2]] for row, (n, text) in enumerate(cut)]


def test_pieces_of_one_text_are_known_by_their_words():
    header = ["PhraseId", "SentenceId", "Phrase", "Sentiment"]
    assert find_pieces(header, pieces("a"), "Phrase", "Sentiment") == "SentenceId"
    by_author = [[row[0], str(place % 25), *row[2:]] for place, row in enumerate(pieces("a"))]
    assert find_pieces(header, by_author, "Phrase", "Sentiment") is None
    alike = [[*row[:2], "all of these say the same", row[3]] for row in pieces("a")]
    assert find_pieces(header, alike, "Phrase", "Sentiment") is None


@pytest.mark.parametrize("named", [True, False])
def test_phrases_of_a_sentence_stay_in_one_split(tmp_path, named):
    header = [["PhraseId", "SentenceId", "Phrase", "Sentiment"]] if named else []
    path = write(tmp_path / "train.tsv", *header, *pieces("a"), between="\t")
    bare = [[*row[2:]] for row in pieces("b")]
    test = write(tmp_path / "t.tsv", ["Phrase", "Sentiment"], *bare, between="\t")
    more = {"test": str(test)} if named else {"label_column": "4"}
    config = SentimentConfig(data=str(path), **more)
    suited = suit_texts(config)
    column = "SentenceId" if named else "2"
    assert suited.config.group_column == column
    assert any(f"the same {column!r} stay in one split" in reason for reason in suited.reasons)
    splits, card = load(suited.config)
    of = {name: {text.split("w")[0] for text in split.texts} for name, split in splits.items()}
    assert not of["train"] & of["validation"]
    assert not of["train"] & of["test"]
    assert ("t.tsv has no column 'SentenceId'" in card.source) == named


def test_columns_of_noughts_and_ones_are_learned_one_at_a_time(tmp_path):
    rows = [[say(n), str(n % 2), str(n // 2 % 2)] for n in range(30)]
    path = write(tmp_path / "a.csv", ["comment_text", "toxic", "threat"], *rows)
    with pytest.raises(DataError, match="toxic, such as 0 or 1; threat.*one at a time"):
        guess_labelled(path, None, None)


def test_of_columns_without_names_the_one_of_polarities_has_the_labels(tmp_path):
    kinds = ["Positive", "Negative", "Neutral", "Irrelevant"]
    rows = [[str(2401 + n // 6), "XY"[n // 6 % 2], kinds[n // 6 % 4], say(n)] for n in range(60)]
    path = write(tmp_path / "twitter_training.csv", *rows)
    assert guess_labelled(path, None, None)[:2] == ("4", "3")
    assert "it says what is positive" in guess_labelled(path, None, None)[2][1]
