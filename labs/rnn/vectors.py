"""Pretrained word vectors, read from the text files of GloVe, word2vec and fastText.

Such a file has millions of words; it is read line by line, and only those of a vocabulary are kept.
"""

import gzip
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import torch
from torch import Tensor

from common.errors import DataError
from common.files import cache_dir
from common.io.fetch import Remote, fetch
from common.training.sequences import Ragged

GLOVE_SIZES = (50, 100, 200, 300)

# Pennington, Socher and Manning 2014, "GloVe: global vectors for word representation"; 6 billion
# tokens of Wikipedia and newswire, 400,000 words in lower case.
_GLOVE = Remote(
    "https://nlp.stanford.edu/data/glove.6B.zip",
    "617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb",
    862_182_613,
)
_LONGEST = 1 << 20  # bytes of a line
_MOST_MALFORMED = 20  # lines; with more of them the file is something else
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)


@dataclass(frozen=True, eq=False)
class Vectors:
    """The vectors of a vocabulary."""

    values: Tensor  # (V, size) float32; zeros for words that the file does not have
    known: Tensor  # (V,) bool, whether it has them
    source: str  # the file
    skipped: tuple[tuple[str, str], ...]  # ("file:line", reason) of lines that could not be used

    def coverage(self, sequences: Ragged, specials: int = 2) -> "Coverage":
        """Return how much of encoded texts the vectors cover; unknown words count as not covered.

        The vocabulary begins with so many special tokens.
        """
        words = self.known[specials:]
        tokens = self.known[sequences.values.long()]
        return Coverage(
            *(float(part.double().mean()) if len(part) else 0.0 for part in (words, tokens))
        )


@dataclass(frozen=True)
class Coverage:
    """What pretrained vectors cover."""

    types: float  # the share of the vocabulary's words
    tokens: float  # the share of the words in running text


def load_vectors(
    source: str, vocabulary: Sequence[str], size: int, data_dir: Path | None = None
) -> Vectors:
    """Return the vectors, of `size` numbers, of a vocabulary's words.

    The source is `glove`, which is downloaded (to `data_dir`, or the cache); or a text file, as it
    is or compressed (.gz, .zip). A file in a zip with several is named as in a folder,
    `glove.6B.zip/glove.6B.100d.txt`.

    Raises:
        DataError: the file cannot be had or read, is no such file, has vectors of another size, or
            none of the words.
    """
    if source == "glove":
        return read_vectors(_glove(size, data_dir), vocabulary, size)
    return read_vectors(Path(source).expanduser(), vocabulary, size)


def remotes_of(name: str) -> list[Remote]:
    """Return the files of `glove`."""
    return {"glove": [_GLOVE]}[name]


def _glove(size: int, data_dir: Path | None) -> Path:
    if size not in GLOVE_SIZES:
        raise DataError(
            f"--vectors glove: there are vectors of {', '.join(map(str, GLOVE_SIZES))} numbers, "
            f"not of {size}; give --embedding-size 100, say"
        )
    folder = data_dir or cache_dir() / "glove"
    archive = fetch(_GLOVE, folder, instead="without --vectors, words are learned from the texts")
    return archive / f"glove.6B.{size}d.txt"


def read_vectors(path: Path, vocabulary: Sequence[str], size: int) -> Vectors:
    """Read the vectors of a vocabulary's words from a file; see `load_vectors`.

    A line is a word in UTF-8 and its numbers, with spaces between; a first line with the number of
    words and of numbers is passed over. Of a word that comes twice, the first counts.
    """
    rows = {word: row for row, word in enumerate(vocabulary)}
    values, known = torch.zeros(len(vocabulary), size), torch.zeros(len(vocabulary)).bool()
    skipped: list[tuple[str, str]] = []
    first = True
    for number, line in enumerate(_lines(path), 1):
        fields = line.rstrip().count(b" ")
        if number == 1 and fields == 1 and line.split()[0].isdigit():
            continue
        if first and fields != size:
            raise DataError(
                f"{path}:{number}: expected a word and {size} numbers, found {fields}; give "
                "--embedding-size as the file has it, or another file"
            )
        first = False
        row = rows.get(_word(line))
        reason = f"{fields} numbers, expected {size}" if fields < size else ""
        if row is not None and not known[row] and not reason:
            vector = _numbers(line, size)
            if vector is None:
                reason = "not all of it are finite numbers"
            else:
                values[row], known[row] = vector, True
        if reason:
            skipped.append((f"{path.name}:{number}", reason))
        if len(skipped) > _MOST_MALFORMED:
            listed = "".join(f"\n  {place}: {why}" for place, why in skipped[:5])
            raise DataError(f"{path} is no text file of word vectors, or is damaged{listed}")
    if not known.any():
        raise DataError(
            f"{path} has none of the {len(vocabulary):,} words; it needs to be of the texts' "
            "language, in UTF-8, with words in lower case"
        )
    return Vectors(values, known, path.name, tuple(skipped))


def _word(line: bytes) -> str:
    word = line.partition(b" ")[0].decode("utf-8", "replace")
    return word if word.isascii() else unicodedata.normalize("NFC", word)


def _numbers(line: bytes, size: int) -> Tensor | None:
    try:
        vector = torch.tensor([float(number) for number in line.split()[1:]])
    except ValueError:
        return None
    return vector if len(vector) == size and bool(vector.isfinite().all()) else None


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, decompressed as they are needed."""
    try:
        with ExitStack() as stack:
            stream = _open(path, stack)
            while line := stream.readline(_LONGEST):
                yield line
    except _UNREADABLE as error:
        raise DataError(f"{path} is damaged ({error}); get it again") from error
    except OSError as error:
        raise DataError(f"cannot read the vectors {path}: {error.strerror or error}") from error


def _open(path: Path, stack: ExitStack) -> IO[bytes]:
    """Open a file, also one inside of a zip, named as if that were a folder."""
    archives = [each for each in (path, *path.parents) if each.suffix.lower() == ".zip"]
    if not archives or not archives[0].is_file():
        opener: Any = gzip.open if path.suffix.lower() == ".gz" else open
        return cast(IO[bytes], stack.enter_context(opener(path, "rb")))
    archive = stack.enter_context(zipfile.ZipFile(archives[0]))
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    wanted = path.relative_to(archives[0]).as_posix()
    if wanted == "." and len(names) == 1:
        wanted = names[0]
    if wanted not in names:
        listed = "".join(f"\n  {archives[0]}/{name}" for name in names[:10])
        raise DataError(f"--vectors {path}: name one of the {len(names)} files in it{listed}")
    return stack.enter_context(archive.open(wanted))
