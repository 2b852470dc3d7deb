"""Which image a label file means.

Equal names in several folders are common: `cam1/0001.jpg`, `cam2/0001.jpg`. Boxes on the image of
another folder are worse than none, so what is not certain is not found, and the reason is said.
"""

import itertools
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from common.files import fold_name
from common.io.folders import PARTS, relative_name
from labs.detection.data.formats.folders import is_image, part_of, walk

# Words of folders' names that do not tell one camera, place or day from another.
_PLAIN = {
    *("", "mask", "masks", "instance", "class", "semantic", "segmentationobject"),
    *("segmentationclass", "gtfine", "gtcoarse", "leftimg8bit", "trimaps", "groundtruth"),
    *("image", "images", "img", "imgs", "jpegimages", "jpeg", "jpg", "png", "photo", "photos"),
    *("pic", "pics", "picture", "pictures", "frame", "frames", "raw", "input", "source", "src"),
    *("annotation", "annotations", "annots", "annot", "ann", "anns", "label", "labels", "labeled"),
    *("xml", "xmls", "json", "txt", "csv", "box", "boxes", "bbox", "bboxes", "gt", "truth"),
    *("target", "targets", "data", "dataset", "obj", "set", "all", "voc", "coco", "yolo"),
    *("이미지", "사진", "라벨", "라벨링", "라벨링데이터", "원천", "원천데이터", "데이터", "주석"),
    *("trainval", "labeltxt", "bb"),
}


class Asked(NamedTuple):
    """What label files say of an image."""

    name: str  # its name, with or without folders; its suffix may be `.*`
    near: Path  # the file that says so
    part: str = "all"  # the split
    parallel: bool = False  # the file's own folders are those of the image, but for their kind


_KIND = re.compile(r"(images?|masks?|labels?|annotations?)$")  # PedMasks beside PNGImages
_UPLOADED = re.compile(r"(.*[/\\])?[0-9a-f]{8}-(.+)")
_Rank = tuple[int, ...]
_VERSION = re.compile(r"v\d+|" + "|".join(rf"{word}\d*" for word in PARTS))


class Finder:
    """The images below a folder, found by what label files call them.

    Only what is below the folder is ever found, so no label file can lead out of it.

    Args:
        root: the folder.
        images: its images; all below it when None.
    """

    def __init__(self, root: Path, images: Iterable[Path] | None = None):
        self.root = root
        self._images: dict[str, list[Path]] = defaultdict(list)
        self._pieces: dict[Path, tuple[str, ...]] = {}  # of the folders below the root, folded
        for path in filter(is_image, walk(root)) if images is None else images:
            self._pieces[path] = PurePosixPath(fold_name(relative_name(path, root))).parts[:-1]
            self._images[fold_name(path.name)].append(path)
            self._images[f"{fold_name(path.stem)}.*"].append(path)
        self._folders = set(self._pieces.values()) - {()}

    def knows(self, name: str) -> bool:
        """Say whether some image is called so, in whichever folder."""
        return fold_name(name.replace("\\", "/")).rpartition("/")[2] in self._images

    def without_upload(self, name: str) -> str:
        """Return a name without what Label Studio puts before it, where no image is called so.

        An address is without what stands behind its path.
        """
        name = name.partition("?")[0] if "://" in name else name
        match = _UPLOADED.fullmatch(name)
        if match is None or self.knows(name) or not self.knows(match[2]):
            return name
        return f"{match[1] or ''}{match[2]}"

    def about_others(self, used: Iterable[Path]) -> list[str]:
        """Say how many images lie in the folders of those that are used, and are not used."""
        known = set(used)
        folders = {path.parent for path in known}
        others = [path for path in self._pieces if path.parent in folders and path not in known]
        if not others:
            return []
        first = self._name(others[0])
        return [
            f"{len(others):,} images that lie beside the others have no entry, and are left out, "
            f"such as {first}"
        ]

    def find(self, asked: Asked) -> Path | str:
        """Return the one image that is meant, or why there is none."""
        found = self._ranked(asked)
        return found if isinstance(found, str) else found[0]

    def find_all(self, asked: Sequence[Asked]) -> list[Path | str]:
        """Return for each the image that is meant, or why there is none.

        Of several names that lead to one image, the one counts whose folders agree with it best;
        where two agree equally, nobody knows which it is. The same name twice is not a doubt.
        """
        found = [self._ranked(each) for each in asked]
        best: dict[Path, dict[_Rank, set[str]]] = defaultdict(lambda: defaultdict(set))
        for each, result in zip(asked, found, strict=True):
            if not isinstance(result, str):
                file = relative_name(each.near, self.root) if each.parallel else None
                best[result[0]][result[1]].add(file or fold_name(each.name))
        return [
            result if isinstance(result, str) else self._unless_doubtful(result, best[result[0]])
            for result in found
        ]

    def _unless_doubtful(
        self, result: tuple[Path, _Rank], claims: dict[_Rank, set[str]]
    ) -> Path | str:
        path, rank = result
        if rank < max(claims):
            return f"the {path.name} that is there is another one, {self._name(path)}"
        if len(claims[rank]) > 1:
            return f"{', '.join(sorted(claims[rank]))} could all be {self._name(path)}"
        return path

    def _ranked(self, asked: Asked) -> tuple[Path, _Rank] | str:
        """Return the image that is meant, and how well it agrees; or why there is none."""
        wanted = PurePosixPath(fold_name(asked.name.replace("\\", "/")))
        folders = tuple(piece for piece in wanted.parts[:-1] if piece not in ("/", ".", ".."))
        called = self._images.get(wanted.name, [])
        fitting = [path for path in called if self._may_be(path, folders, asked)]
        if not fitting:
            what = asked.name.removesuffix(".*")
            if not called:
                return what
            return f"{what}; {self._name(called[0])} is that of another folder or split"
        ranks = {path: self._rank(path, folders, asked) for path in fitting}
        top = max(ranks.values())
        first, *others = (path for path in fitting if ranks[path] == top)
        if others and len({os.path.realpath(path) for path in (first, *others)}) > 1:
            listed = " and ".join(self._name(path) for path in (first, *others)[:2])
            return f"{asked.name.removesuffix('.*')} could be {listed}"
        return first, top

    def _may_be(self, path: Path, folders: tuple[str, ...], asked: Asked) -> bool:
        """Say whether folders that are not the same may still be, by what their names tell."""
        pieces = self._pieces[path]
        ends = {folders[at:] for at in range(len(folders))}
        if ends & self._folders:
            return pieces in ends
        around = folders or (self._beside(asked) if asked.parallel else ())
        told, there = part_of(around), part_of(pieces)
        told = asked.part if told == "all" else told
        if "all" not in (told, there) and told != there:
            return False
        one, other = _telling(around), _telling(pieces)
        shorter = min(len(one), len(other))
        return not shorter or one[-shorter:] == other[-shorter:]

    def _rank(self, path: Path, folders: tuple[str, ...], asked: Asked) -> _Rank:
        pieces, beside = self._pieces[path], self._beside(asked)
        exact = 2 * (pieces == (*beside, *folders)) or int(pieces == folders)
        telling, around = _telling(pieces), folders or (beside if asked.parallel else ())
        near = _common(telling, _telling(beside)) + _common(path.parts, asked.near.parts)
        agreeing = _common(_telling(around)[::-1], telling[::-1])
        return agreeing, exact, int(part_of(pieces) == asked.part), near, -len(telling)

    def _beside(self, asked: Asked) -> tuple[str, ...]:
        return PurePosixPath(fold_name(relative_name(asked.near, self.root))).parts[:-1]

    def _name(self, path: Path) -> str:
        return relative_name(path, self.root)


def _telling(folders: Iterable[str]) -> list[str]:
    """Return what folders' names tell beside that they hold images, labels or a split."""
    words = (
        "-".join(
            word
            for each in re.split(r"[\W_]+", piece)
            if (word := _KIND.sub("", each)) not in _PLAIN and not _VERSION.fullmatch(word)
        )
        for piece in folders
    )
    return list(filter(None, words))


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many pieces two paths have in common at the beginning."""
    same = (a == b for a, b in zip(one, other, strict=False))
    return sum(itertools.takewhile(bool, same))
