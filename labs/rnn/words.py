"""Texts as numbers: tokenizers, vocabularies, and a cache of what was encoded once.

A text becomes NFC first, so that Korean from macOS (NFD) is the same text as from elsewhere. Tokens
are made and looked up for many texts at a time, in C: in one long string, one list, one array.
torch is imported where numbers become tensors: who asks an exported file does without it.
"""

import contextlib
import hashlib
import json
import re
import unicodedata
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from common.errors import SaveError
from common.files import cache_dir, replacing
from common.options.terminal import note

if TYPE_CHECKING:
    from common.training.sequences import Ragged

PAD, UNKNOWN = 0, 1
BOS, EOS = 2, 3  # of what is written, where `learn` has `<bos>` and `<eos>` as its specials
SPECIALS = ("<pad>", "<unk>")

# Follows the tokens of each text. It is none itself: words are in lower case, characters single.
_END = "END"
_CHUNK = 4_000_000  # characters tokenized at a time: bounds the memory, 50 bytes each at the most
_CACHE_VERSION = 2  # to be raised when the same texts get other numbers than before
_SUBWORDS = 8000  # when no size is given
_SPACE = "\u2581"  # how subwords write it
_LONGEST_WORD = 100  # characters; subwords do not reach over the cuts of a longer one

_Ids = npt.NDArray[np.int32]


# Tokenizers


def _basic_english(texts: Sequence[str]) -> list[str]:
    """Make the tokens of torchtext's `basic_english`, words in lower case and punctuation, faster.

    Double quotes, semicolons and colons are left out. Letters of other scripts are kept, and split
    at white space alone.
    """
    # A line break inside a text is white space as a tab is.
    lines = "\n".join([text.replace("\n", "\t").lower() for text in texts])
    lines = lines.replace('"', "").replace("<br />", " ").replace(";", " ").replace(":", " ")
    for mark in "'.,()!?":
        lines = lines.replace(mark, f" {mark} ")
    return f"{lines}\n".replace("\n", f" {_END} ").split()


def _torchtext(texts: Sequence[str]) -> list[str]:
    from torchtext.data.utils import get_tokenizer

    tokens = get_tokenizer("basic_english")
    return list(chain.from_iterable((*tokens(text), _END) for text in texts))


def _characters(texts: Sequence[str]) -> list[str]:
    return list(chain.from_iterable((*text, _END) for text in texts))


def _jamo(texts: Sequence[str]) -> list[str]:
    return _characters([_HANGUL.sub(_decomposed, text) for text in texts])


_HANGUL = re.compile("[가-힣]+")


def _decomposed(syllables: re.Match[str]) -> str:
    return unicodedata.normalize("NFD", syllables[0])


# Each gives the tokens of all texts, `_END` after each text.
_SPLITTERS: dict[str, Callable[[Sequence[str]], list[str]]] = {
    "basic_english": _basic_english,
    "torchtext": _torchtext,
    "characters": _characters,
    "jamo": _jamo,
}
TOKENIZERS = (*_SPLITTERS, "subwords")
_OF_WORDS = ("basic_english", "torchtext")


# Vocabulary


class _Lookup(dict[str, int]):
    """The number of each word, and `UNKNOWN` for all others."""

    def __missing__(self, token: str) -> int:
        return UNKNOWN


@dataclass(frozen=True)
class Words:
    """A tokenizer with its vocabulary: all that is needed to encode new texts.

    Attributes:
        tokenizer: one of `TOKENIZERS`.
        vocabulary: the token of each number: `<pad>` is 0, `<unk>` 1, then come further special
            tokens, then words by falling frequency in the training texts (subwords as they arose).
        specials: how many of them are special; no text has these.
        model: of subwords, the Hugging Face tokenizer as JSON.
    """

    tokenizer: str
    vocabulary: tuple[str, ...]
    specials: int = len(SPECIALS)
    model: str = ""

    def __len__(self) -> int:
        """Return the size of the vocabulary."""
        return len(self.vocabulary)

    def encode(self, texts: Sequence[str]) -> "Ragged":
        """Return the numbers of each text's tokens, int32; none for an empty text."""
        return _ragged([self._numbers(chunk) for chunk in _chunks(texts)])

    def numbers(self, texts: Sequence[str]) -> list[_Ids]:
        """Return what `encode` does as an array for each text."""
        values, starts = _apart([self._numbers(chunk) for chunk in _chunks(texts)])
        return np.split(values, starts[1:-1])

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of a text as `encode` numbers them, also those that are unknown."""
        [texts] = _chunks([text])
        if self.tokenizer == "subwords":
            [spaced] = _spaced(texts)
            found = self._subwords.encode(spaced)
            return [
                spaced[slice(*place)] if number == UNKNOWN else piece.replace("▁", " ")
                for number, piece, place in zip(found.ids, found.tokens, found.offsets, strict=True)
            ]
        return _SPLITTERS[self.tokenizer](texts)[:-1]

    @property
    def between(self) -> str:
        """What stands between the tokens of a text."""
        return " " if self.tokenizer in _OF_WORDS else ""

    def text(self, numbers: Iterable[int]) -> str:
        """Return the text of token numbers, without special tokens but `<unk>`.

        Characters, jamo and subwords give their text back (in NFC; subwords with single spaces);
        words are put together with spaces.
        """
        ids = [int(number) for number in numbers]
        tokens = [self.vocabulary[i] for i in ids if i == UNKNOWN or i >= self.specials]
        if self.tokenizer == "subwords":
            return str(self._subwords.decoder.decode(tokens))
        return unicodedata.normalize("NFC", self.between.join(tokens))

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "tokenizer": self.tokenizer,
            "vocabulary": self.vocabulary,
            "specials": self.specials,
            "model": self.model,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what `as_dict` gave, after JSON."""
        return cls(**{**values, "vocabulary": tuple(values["vocabulary"])})

    def _numbers(self, texts: list[str]) -> _Ids:
        if self.tokenizer == "subwords":
            encoded = self._subwords.encode_batch_fast(_spaced(texts))
            return np.array([i for one in encoded for i in (*one.ids, PAD)], np.int32)
        tokens = _SPLITTERS[self.tokenizer](texts)
        return np.fromiter(map(self._lookup.__getitem__, tokens), np.int32, len(tokens))

    @cached_property
    def _lookup(self) -> _Lookup:
        words = enumerate(self.vocabulary[self.specials :], self.specials)
        return _Lookup({_END: PAD, **{word: number for number, word in words}})

    @cached_property
    def _subwords(self) -> Any:
        from tokenizers import Tokenizer

        return _literal(Tokenizer.from_str(self.model))


def learn(
    texts: Sequence[str],
    tokenizer: str,
    *,
    min_count: int = 1,
    max_words: int | None = None,
    specials: Sequence[str] = (),
) -> tuple[Words, "Ragged"]:
    """Make the vocabulary of training texts, and encode them.

    Words are numbered by falling frequency, then by the order of their characters, as torchtext
    does. Subwords are byte-pair encoding (Sennrich, Haddow and Birch 2016, "Neural machine
    translation of rare words with subword units", section 3.2) from characters on, inside of words
    and apart from punctuation.

    Args:
        texts: the training split's.
        tokenizer: one of `TOKENIZERS`.
        min_count: words (or pairs of subwords to be joined) that are rarer are left out.
        max_words: the most words, or subwords; for these 8,000 when None.
        specials: tokens to be numbered from 2 on, such as `<bos>`.

    Returns:
        The vocabulary, and the texts as `Words.encode` gives them.
    """
    names = (*SPECIALS, *specials)
    if tokenizer == "subwords":
        words = _learn_subwords(texts, min_count, max_words or _SUBWORDS, names)
        return words, words.encode(texts)
    codes: defaultdict[str, int] = defaultdict(count().__next__)  # by first occurrence
    codes[_END]  # the first, 0
    coded: list[_Ids] = []
    for chunk in _chunks(texts):
        tokens = _SPLITTERS[tokenizer](chunk)
        coded.append(np.fromiter(map(codes.__getitem__, tokens), np.int32, len(tokens)))
    every = np.concatenate(coded) if coded else np.zeros(0, np.int32)
    counts = np.bincount(every, minlength=len(codes)).tolist()
    frequent = [word for word, code in codes.items() if code and counts[code] >= min_count]
    frequent.sort()
    frequent.sort(key=lambda word: -counts[codes[word]])
    known = frequent[:max_words]
    numbers = np.full(len(codes), UNKNOWN, np.int32)
    numbers[0] = PAD
    numbers[[codes[word] for word in known]] = range(len(names), len(names) + len(known))
    return Words(tokenizer, (*names, *known), len(names)), _ragged([numbers[every]])


def unknown_rate(sequences: "Ragged") -> float:
    """Return the share of tokens that are not in the vocabulary; 0 where there are no tokens."""
    return float((sequences.values == UNKNOWN).sum() / max(1, len(sequences.values)))


def cut(sequences: "Ragged", max_length: int | None) -> tuple["Ragged", int]:
    """Keep the first tokens of each sequence; returns also how many sequences lost some."""
    import torch

    from common.training.sequences import Ragged

    lengths = sequences.lengths
    if max_length is None or not (lengths > max_length).any():
        return sequences, 0
    place = torch.arange(len(sequences.values)) - sequences.starts[:-1].repeat_interleave(lengths)
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.clamp(max=max_length).cumsum(0)])
    return Ragged(sequences.values[place < max_length], starts), int((lengths > max_length).sum())


def _learn_subwords(
    texts: Sequence[str], min_count: int, size: int, specials: Sequence[str]
) -> Words:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    model = _literal(Tokenizer(models.BPE(unk_token=SPECIALS[UNKNOWN])))
    model.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(),
            pre_tokenizers.Punctuation(),
            # What merging costs grows with the square of a word; "ㅋㅋㅋ" may be a whole page.
            pre_tokenizers.FixedLength(_LONGEST_WORD),
        ]
    )
    model.decoder = decoders.Metaspace()
    # The rarest characters of a large script stay unknown. Of equally rare ones the trainer itself
    # keeps others each time, and then the subwords of a run would not come out again.
    alphabet = _commonest_characters(texts, size // 2)
    trainer = trainers.BpeTrainer(
        vocab_size=size + len(specials),
        min_frequency=min_count,
        special_tokens=list(specials),
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    model.train_from_iterator(chain.from_iterable(map(_spaced, _chunks(texts))), trainer)
    by_number = sorted(model.get_vocab().items(), key=lambda item: item[1])
    vocabulary = tuple(token for token, _ in by_number)
    return Words("subwords", vocabulary, len(specials), model.to_str())


def _commonest_characters(texts: Sequence[str], most: int) -> list[str]:
    """Return the characters that come most often, of equally frequent ones the first by number."""
    counts = Counter(chain.from_iterable(chain.from_iterable(map(_spaced, _chunks(texts)))))
    counts[_SPACE] = counts.pop(" ", 0) + len(texts)
    return sorted(counts, key=lambda each: (-counts[each], each))[:most]


def _literal(model: Any) -> Any:
    """Let `<pad>` and its kin be ordinary characters where a text has them."""
    model.encode_special_tokens = True
    return model


def _spaced(texts: Sequence[str]) -> list[str]:
    return [" ".join(text.split()) for text in texts]


def _chunks(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield the texts in NFC, as many at a time as have about `_CHUNK` characters."""
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    start = 0
    while start < len(texts):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _CHUNK, side="right")))
        yield [unicodedata.normalize("NFC", text) for text in _whole(texts[start:stop])]
        start = stop


def _whole(texts: Sequence[str]) -> Sequence[str]:
    """Put the replacement character in place of lone surrogates, which no file can hold."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return [_SURROGATE.sub("\ufffd", text) for text in texts]
    return texts


_SURROGATE = re.compile("[\ud800-\udfff]")


def _apart(parts: Sequence[_Ids]) -> tuple[_Ids, npt.NDArray[np.int64]]:
    """Return numbers of sequences without the `PAD` that ends each, and the sequences' starts."""
    numbers = np.concatenate(parts) if parts else np.zeros(0, np.int32)
    [ends] = np.nonzero(numbers == PAD)
    return numbers[numbers != PAD], np.concatenate([[0], ends - np.arange(len(ends))])


def _ragged(parts: Sequence[_Ids]) -> "Ragged":
    """Put numbers into sequences; each ends with a `PAD`, which is left out."""
    import torch

    from common.training.sequences import Ragged

    return Ragged(*map(torch.from_numpy, _apart(parts)))


# Encoded once


def encode_splits(
    splits: Mapping[str, Sequence[str]],
    tokenizer: str,
    *,
    min_count: int = 1,
    max_words: int | None = None,
    specials: Sequence[str] = (),
) -> tuple[Words, dict[str, "Ragged"]]:
    """Learn the vocabulary of `train` and encode all splits; or read both from the cache.

    The cache is a file in `common.files.cache_dir`, named by the texts and the other arguments.
    One that is damaged is made again, and the user is told.

    Args:
        splits: texts by the split's name.
        tokenizer: see `learn`.
        min_count: see `learn`.
        max_words: see `learn`.
        specials: see `learn`.
    """
    settings = [_CACHE_VERSION, tokenizer, min_count, max_words, list(specials)]
    path = cache_dir() / f"words-{_key(splits, settings)}.npz"
    found = _recall(path, splits)
    if found is None:
        words, train = learn(
            splits["train"], tokenizer, min_count=min_count, max_words=max_words, specials=specials
        )
        others = {name: words.encode(splits[name]) for name in splits if name != "train"}
        found = words, {name: train if name == "train" else others[name] for name in splits}
        _remember(path, *found)
    return found


def _key(splits: Mapping[str, Sequence[str]], settings: Sequence[Any]) -> str:
    """Name what the numbers depend on: the texts, the settings, the library of the subwords."""
    digest = hashlib.sha256(json.dumps([*settings, version("tokenizers")]).encode())
    for name, texts in splits.items():
        sizes = np.array([len(text) for text in texts], np.int64)
        digest.update(f"{name} {len(texts)} ".encode() + sizes.tobytes())
        digest.update("".join(texts).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _remember(path: Path, words: Words, encoded: Mapping[str, "Ragged"]) -> None:
    described = np.frombuffer(json.dumps(words.as_dict()).encode(), np.uint8)
    arrays: dict[str, Any] = {"words": described}
    for name, sequences in encoded.items():
        arrays[f"{name}.values"] = sequences.values.numpy()
        arrays[f"{name}.starts"] = sequences.starts.numpy()
    # Without the file only the next start is slower.
    with contextlib.suppress(SaveError), replacing(path) as file:
        np.savez(file, **arrays)


def _recall(path: Path, names: Iterable[str]) -> "tuple[Words, dict[str, Ragged]] | None":
    """Read a cache, whose format has checksums; None where there is none that is whole."""
    import torch

    from common.training.sequences import Ragged

    try:
        with path.open("rb") as stream:
            arrays = np.load(stream, allow_pickle=False)
            words = Words.from_dict(json.loads(arrays["words"].tobytes()))
            return words, {
                name: Ragged(*(torch.from_numpy(arrays[f"{name}.{part}"]) for part in _PARTS))
                for name in names
            }
    except FileNotFoundError:
        return None
    except _DAMAGED as error:
        note(f"the cache {path} is damaged ({error}); it is made again")
        return None


_PARTS = ("values", "starts")
_DAMAGED = (
    *(OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError),  # zipfile has them all
    *(zipfile.BadZipFile, zlib.error),
)
