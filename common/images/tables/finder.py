"""Which image file a row of a table means."""

import contextlib
import itertools
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from common.files import fold_name
from common.images.decode import SUFFIXES, is_candidate
from common.images.folders import is_image
from common.io.folders import PARTS, relative_name, walk

MISSING = "no such image file"
_MOST = 1_000_000  # files that are looked at below a folder
_TAKEN = "other rows mean this file by another name"
_FROM_ROOT = re.compile(r"[a-z]:|/|\.\./", re.IGNORECASE)  # how paths begin that hold elsewhere


class _Fit(NamedTuple):
    """The files that a name may mean."""

    paths: Sequence[Path] = ()
    deeper: bool = False  # whether they lie in more folders than the name has


class Finder:
    """The images below a folder, found by what tables call them; each for one name only.

    A name is a path below the folder, with slashes of either kind, in NFC or NFD, with or without
    the suffix. Names may all lack folders before them (`1.jpg` for `train/1.jpg`), and paths of
    another machine may have more of them, where one file alone fits. Names that agree in their last
    part alone, and not in their folders, are never taken for one another.
    """

    def __init__(self, root: Path):
        self.root = root
        self._own = fold_name(root.resolve().name)
        self._by_name: dict[str, list[tuple[str, ...]]] | None = None
        self._paths: dict[tuple[str, ...], list[Path]] = defaultdict(list)
        self._pieces: dict[Path, tuple[str, ...]] = {}
        self._folders: dict[tuple[str, ...], list[Path]] | None = None

    def find(self, texts: Sequence[str], part: str | None = None) -> list[Path | str]:
        """Return the file of each name, or why there is none.

        Args:
            texts: the names.
            part: the part of a split that they belong to, where that is known.
        """
        fits = [self._fit(text) for text in texts]
        # Where some names are whole paths, one that lacks folders is none of a file in others.
        whole = any(fit.paths and not fit.deeper for fit in fits)
        # Names without folders may be those of several parts of a split, which number alike.
        deeper = [[*map(self._part_of, fit.paths)] for fit in fits if fit.deeper]
        certain = Counter(parts[0] for parts in deeper if len(parts) == 1)
        usual = next((name for name, _ in certain.most_common(1)), "")
        if part is not None and any(part in parts for parts in deeper):
            usual = part
        pairs = zip(texts, fits, strict=True)
        return self._without_collisions(
            texts, [self._choose(text, fit, whole, usual) for text, fit in pairs]
        )

    def find_folders(self, texts: Sequence[str]) -> list[Sequence[Path] | str]:
        """Return all images in the folder of each name, or why there are none.

        A folder may be named as a file may, in full or in part; but for one name only.
        """
        by_last: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        for pieces in self._index_folders():
            by_last[pieces[-1]].append(pieces)
        return [self._find_folder(text, by_last) for text in texts]

    def _find_folder(
        self, text: str, by_last: Mapping[str, Sequence[tuple[str, ...]]]
    ) -> Sequence[Path] | str:
        wanted = _pieces(text)
        named = by_last.get(wanted[-1], []) if wanted else []
        below = [pieces for pieces in named if _ends_with(pieces, wanted)]
        full = [pieces for pieces in below if pieces == wanted]
        found = full or below or self._with_more_folders(text, wanted, named)
        if len(found) == 1:
            return self._index_folders()[found[0]]
        if not found:
            return MISSING
        return f"several folders are called so: {', '.join(map('/'.join, found[:3]))}"

    def _index_folders(self) -> dict[tuple[str, ...], list[Path]]:
        """Return the images in each folder and in those below it, by the pieces of its path."""
        if self._folders is None:
            self._index()
            self._folders = defaultdict(list)
            for path, pieces in self._pieces.items():
                for depth in range(1, len(pieces)):
                    self._folders[pieces[:depth]].append(path)
        return self._folders

    def _choose(self, text: str, fit: _Fit, whole: bool, part: str) -> Path | str:
        """Return the one file of some that may be meant, or why there is none."""
        paths = [*fit.paths]
        if fit.deeper and whole:
            paths = []
        elif fit.deeper and PARTS.keys().isdisjoint(_pieces(text)[:-1]):
            paths = [path for path in paths if self._part_of(path) == part]
        if not paths:
            return MISSING + self._near(text)
        if len(paths) == 1:
            return paths[0]
        names = ", ".join(relative_name(path, self.root) for path in paths[:3])
        return f"several images are called so: {names}"

    def _without_collisions(
        self, texts: Sequence[str], found: Sequence[Path | str]
    ) -> list[Path | str]:
        """Refuse files that several names mean, unless these say the same."""
        names: dict[Path, set[tuple[str, ...]]] = defaultdict(set)
        for text, each in zip(texts, found, strict=True):
            if isinstance(each, Path):
                names[each].add(_pieces(text))
        return [
            each
            if isinstance(each, str)
            or len(names[each]) == 1
            or self._pieces_of(each) == _pieces(text)
            else _TAKEN
            for text, each in zip(texts, found, strict=True)
        ]

    def _spelled(self, text: str) -> Path | None:
        """Return the file at a path, which leaves no choice."""
        slashed = text.replace("\\", "/")
        composed, decomposed = (unicodedata.normalize(form, slashed) for form in ("NFC", "NFD"))
        for spelling in dict.fromkeys((text, slashed, composed, decomposed)):
            with contextlib.suppress(OSError, ValueError):  # too long, or with a NUL inside
                if (self.root / spelling).is_file():
                    return self.root / spelling
        return None

    def _fit(self, text: str) -> _Fit:
        """Return the files that may be meant."""
        wanted = _pieces(text)
        if not wanted:
            return _Fit()
        if spelled := self._spelled(text):
            return _Fit([spelled])
        named = self._with_last(wanted)
        below = [pieces for pieces in named if _ends_with(pieces, wanted)]
        exact = [pieces for pieces in below if len(pieces) == len(wanted)]
        full = [pieces for pieces in exact if pieces == wanted]
        found = full or exact or below or self._with_more_folders(text, wanted, named)
        paths = [path for pieces in found for path in self._paths[pieces]]
        return _Fit(paths, deeper=bool(below) and not exact)

    def _with_more_folders(
        self, text: str, wanted: Sequence[str], fits: Iterable[tuple[str, ...]]
    ) -> list[tuple[str, ...]]:
        """Return the files that a name ends with: its first folders are elsewhere, or above."""
        from_root = _FROM_ROOT.match(text.replace("\\", "/"))
        inside = [
            pieces
            for pieces in fits
            if _ends_with(wanted, pieces) and (from_root or wanted[-len(pieces) - 1] == self._own)
        ]
        longest = max(map(len, inside), default=0)
        return [pieces for pieces in inside if len(pieces) == longest]

    def _with_last(self, wanted: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the pieces of the files whose last is that of a name, which may lack a suffix."""
        index = self._index()
        named = PurePosixPath(wanted[-1]).suffix in SUFFIXES
        return index.get(wanted[-1], []) + ([] if named else index.get(f"{wanted[-1]}.*", []))

    def _index(self) -> dict[str, list[tuple[str, ...]]]:
        """Return the pieces of all files by the last of them, with its suffix and without."""
        if self._by_name is None:
            self._by_name = defaultdict(list)
            for path in itertools.islice(filter(is_candidate, walk(self.root)), _MOST):
                pieces = tuple(fold_name(relative_name(path, self.root)).split("/"))
                self._paths[pieces].append(path)
                self._pieces[path] = pieces
                if len(self._paths[pieces]) == 1:
                    self._by_name[pieces[-1]].append(pieces)
                    if is_image(path):
                        self._by_name[f"{PurePosixPath(pieces[-1]).stem}.*"].append(pieces)
        return self._by_name

    def _part_of(self, path: Path) -> str:
        """Return the part of a split that a file's folders name, if they do."""
        return next((PARTS[piece] for piece in self._pieces_of(path)[:-1] if piece in PARTS), "")

    def _pieces_of(self, path: Path) -> tuple[str, ...]:
        """Return what a name has to be to mean a file in full."""
        if path in self._pieces:
            return self._pieces[path]
        inside = path.is_relative_to(self.root)
        return _pieces(relative_name(path, self.root) if inside else str(path))

    def _near(self, text: str) -> str:
        """Say where a file of the same name is, in another folder."""
        others = self._with_last(pieces) if (pieces := _pieces(text)) else []
        found = [path for each in others for path in self._paths[each]]
        return f"; there is {relative_name(found[0], self.root)}" if found else ""


def _pieces(text: str) -> tuple[str, ...]:
    """Return the folders and the name of a path, in lower case and NFC."""
    pieces = fold_name(text.strip().replace("\\", "/")).split("/")
    return tuple(each for each in pieces if each not in ("", ".", "..") and each[-1:] != ":")


def _ends_with(pieces: Sequence[str], end: Sequence[str]) -> bool:
    """Say whether the folders of a path end with those of another; the names are alike."""
    return len(end) <= len(pieces) and tuple(pieces[-len(end) : -1]) == tuple(end[:-1])
