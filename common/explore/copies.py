"""Pictures that are nearly copies: saved again, shifted, brighter, mirrored or cropped.

It goes by small pictures of all of them, in two steps. First each is looked for among the others
by what remains of it in 7 x 7 fields, from several places, so that a shift or a cut does no harm.
Then the details of the likeliest pairs are laid over one another: contours, each as strong as the
others near it. Two ships before a horizon have the same fields, and other details.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from common.training.splits import number_linked

SIDE = 32  # pixels of a small picture's side
_FIELDS = 7  # of a side, that stand for a picture in the search
_INNER = 28  # pixels of the part that is searched for, so that some may be missing at an edge
_AXES = 32  # numbers to which fields are brought for the search
_OF_A_CLUSTER, _LOOKED_THROUGH = 500, 6  # pictures; clusters that each is looked for in
_ROUNDS = 5  # of k-means
_CHUNK = 2048  # pictures, or pairs, at a time
_ALIKE_FIELDS = 0.9  # correlation of fields, below which details are not looked at
_MARGIN = 4  # pixels by which pictures may be shifted against each other
_CUT = (29, 26, 22)  # pixels of a side that a crop may have left
_MOST_CUT = 10_000  # pictures among which crops are looked for
_SHARP = 4.0  # squared grey levels, below which a contour is noise
_FLAT = 0.05  # share of pixels with contours, below which there is nothing to compare
_ALIKE = {"near": 0.78, "mirrored": 0.78, "cropped": 0.86}  # correlation of details, at least
_CHANCE = 0.999  # share of pictures whose likeness to others upside down is taken for chance
_TRIED = 5000  # pictures from which that is found
_SURE = 0.985  # correlation from which on it is none

KINDS = ("equal", *_ALIKE)
Step = Callable[[float], None]  # is told the share that is done


class Pair(NamedTuple):
    """Two pictures that are one, the smaller number first."""

    first: int
    second: int
    kind: str  # one of `KINDS`
    alike: float  # correlation of their details, 1 where they are equal


def find_pairs(pictures: Tensor, step: Step = lambda share: None) -> list[Pair]:
    """Return the pairs of pictures that are copies, or nearly; the surest first.

    Each is paired with the one that is most like it. Cropped ones are looked for among at most
    10,000 pictures.

    Args:
        pictures: uint8 (N, C, 32, 32), each the whole of a picture.
        step: told from time to time which share is done.
    """
    equal = _find_equal(pictures)
    again = {pair.second for pair in equal}
    kept = torch.tensor([row for row in range(len(pictures)) if row not in again])
    if len(kept) < 2:
        return equal
    small = pictures[kept]
    if all(map(_is_grey, torch.split(small, _CHUNK))):
        small = small[:, :1]
    found: dict[tuple[int, int], Pair] = {}
    chance = 0.0
    for kind, pairs in _search(small, step):
        if kind == "upside down":
            tried = min(len(small), _TRIED)
            chance = _find_chance([alike for *_, alike in pairs], tried)
            continue
        for one, other, alike in pairs:
            if alike < max(_ALIKE[kind], (1 + chance) / 2):
                continue
            first, second = sorted((int(kept[one]), int(kept[other])))
            best = found.get((first, second))
            if best is None or best.alike < alike:
                found[first, second] = Pair(first, second, kind, alike)
    near = sorted(found.values(), key=lambda pair: (-pair.alike, pair))
    return equal + near


def number_pairs(number: int, pairs: list[Pair]) -> list[int]:
    """Number the groups of so many pictures: those that are paired, also by others, are one."""
    return number_linked(number, [(pair.first, pair.second) for pair in pairs]).tolist()


def _is_grey(small: Tensor) -> bool:
    return bool((small == small[:, :1]).all())


def _find_chance(alike: list[float], pictures: int) -> float:
    """Return how much different pictures are alike at the most, but for one in a thousand.

    Different ones are a picture and the others upside down, where they are not surely the same:
    photos of anything else have a few contours in common, digits and icons have most.
    """
    known = sorted(each for each in alike if each < _SURE)
    rank = len(known) - 1 - int((1 - _CHANCE) * pictures)
    return max(0.0, known[rank]) if rank >= 0 else 0.0


def _find_equal(pictures: Tensor) -> list[Pair]:
    first: dict[bytes, int] = {}
    pairs = []
    for row, picture in enumerate(pictures.numpy()):
        one = first.setdefault(picture.tobytes(), row)
        if one != row:
            pairs.append(Pair(one, row, "equal", 1.0))
    return pairs


# --- search -------------------------------------------------------------------------------------


def _search(small: Tensor, step: Step) -> Iterator[tuple[str, list[tuple[int, int, float]]]]:
    """Yield kinds with pairs of pictures and how much they are alike; first what chance gives."""
    crops = _CUT if len(small) <= _MOST_CUT else ()
    searches = 2 + len(crops)
    edge = (SIDE - _INNER) // 2
    index = _Index(_fields(_window(small, _INNER, edge, edge)))
    for kind, axis in (("upside down", 2), ("mirrored", 3)):
        turned = small.flip(axis)
        likely = _likely(index, [_fields(_window(turned, _INNER, edge, edge))])
        likely = likely[:: 1 + len(likely) // _TRIED] if kind == "upside down" else likely
        yield kind, _lay_over(turned, small, likely)
    step(1 / searches)
    places = (0, edge, 2 * edge)
    near = _likely(index, (_fields(view) for view in _windows(small, _INNER, places)))
    yield "near", _lay_over(small, small, near)
    step(2 / searches)
    if crops:
        index = _Index(_fields(small))
    for number, side in enumerate(crops, 3):
        places = (0, (SIDE - side) // 2, SIDE - side)
        cut = _likely(index, (_fields(view) for view in _windows(small, side, places)))
        yield "cropped", _lay_over(small, small, cut, side)
        step(number / searches)


def _window(small: Tensor, side: int, top: int, left: int) -> Tensor:
    return small[..., top : top + side, left : left + side]


def _windows(small: Tensor, side: int, places: tuple[int, ...]) -> Iterator[Tensor]:
    for top in places:
        for left in places:
            yield _window(small, side, top, left)


def _fields(pictures: Tensor) -> Tensor:
    """Return the fields of pictures, (N, C * 49), of mean 0 in each channel and of length 1."""
    rows = []
    for piece in torch.split(pictures, _CHUNK):
        small = functional.adaptive_avg_pool2d(piece.float(), _FIELDS)
        small = small - small.mean((2, 3), keepdim=True)
        rows.append(functional.normalize(small.flatten(1)))
    return torch.cat(rows)


class _Index:
    """Finds the row that is most like another, in clusters, so that not all are compared.

    Args:
        rows: (N, D), of length 1.
    """

    def __init__(self, rows: Tensor):
        self.rows = rows
        _, vectors = torch.linalg.eigh(rows.T @ rows)  # the largest come last
        self._axes = vectors[:, -_AXES:]
        self._short = rows @ self._axes
        number = max(1, len(rows) // _OF_A_CLUSTER)
        self._centers = self._short[torch.linspace(0, len(rows) - 1, number).long()].clone()
        for _ in range(_ROUNDS if number > 1 else 0):
            owner = self._nearest(self._short, 1)[:, 0]
            sums = torch.zeros_like(self._centers).index_add_(0, owner, self._short)
            self._centers = functional.normalize(sums)
        owner = self._nearest(self._short, 1)[:, 0]
        self._members = [(owner == each).nonzero().flatten() for each in range(number)]

    def _nearest(self, short: Tensor, number: int) -> Tensor:
        return torch.cat(
            [(piece @ self._centers.T).topk(number).indices for piece in torch.split(short, _CHUNK)]
        )

    def find(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Return for each query (N, D) the most similar other row, and how similar it is; (N,)."""
        short = queries @ self._axes
        probes = self._nearest(short, min(_LOOKED_THROUGH, len(self._centers)))
        best = torch.full((len(queries),), -1.0)
        found = torch.zeros(len(queries), dtype=torch.int64)
        for number, members in enumerate(self._members):
            if not len(members):
                continue
            asking = (probes == number).any(1).nonzero().flatten()
            for rows in torch.split(asking, _CHUNK):
                likeness = short[rows] @ self._short[members].T
                likeness[rows[:, None] == members] = -1
                value, place = likeness.max(1)
                better = value > best[rows]
                best[rows[better]] = value[better]
                found[rows[better]] = members[place[better]]
        return found, (queries * self.rows[found]).sum(1)


def _likely(index: _Index, views: Iterable[Tensor]) -> Tensor:
    """Return pairs (P, 2) of a picture, of which views are given, and the one with such fields."""
    best = torch.full((len(index.rows),), _ALIKE_FIELDS)
    other = torch.arange(len(best))
    for view in views:
        found, likeness = index.find(view)
        better = likeness > best
        best[better], other[better] = likeness[better], found[better]
    rows = (other != torch.arange(len(best))).nonzero().flatten()
    return torch.stack([rows, other[rows]], 1)


# --- details ------------------------------------------------------------------------------------


def _lay_over(
    large: Tensor, small: Tensor, pairs: Tensor, side: int = SIDE
) -> list[tuple[int, int, float]]:
    """Return pairs with how much the details of the second are those of the first, at any place.

    Args:
        large: pictures of which the first of a pair is one.
        small: pictures of which the second is one.
        pairs: (P, 2).
        side: pixels that the second one takes of the first one's side.
    """
    sides = [SIDE] if side == SIDE else [side - 1, side, side + 1]
    values: list[float] = []
    for piece in torch.split(pairs, _CHUNK) if len(pairs) else ():
        image, second = _details(large[piece[:, 0]].float()), small[piece[:, 1]].float()
        found = [_correlate(image, second, each) for each in sides]
        values += torch.stack(found).amax(0).tolist()
    return [(one, other, alike) for (one, other), alike in zip(pairs.tolist(), values, strict=True)]


def _correlate(image: Tensor, second: Tensor, side: int) -> Tensor:
    """Return the highest correlation of the inside of second pictures with details, (P,)."""
    margin = _MARGIN if side == SIDE else 1
    if side != SIDE:
        second = functional.interpolate(second, (side, side), mode="bilinear", antialias=True)
    inside = side - 2 * margin
    template = _window(_details(second), inside, margin, margin)
    spectrum = torch.fft.rfft2(image) * torch.fft.rfft2(template, s=(SIDE, SIDE)).conj()
    room = SIDE - inside + 1  # places of the one in the other
    products = torch.fft.irfft2(spectrum.sum(1), s=(SIDE, SIDE))[..., :room, :room]
    powers = image.square().sum(1, keepdim=True)
    energy = functional.avg_pool2d(powers, inside, 1)[:, 0] * inside**2
    own = template.square().sum((1, 2, 3))[:, None, None]
    least = _FLAT * inside**2
    found = products / (energy.clamp(min=least) * own.clamp(min=least)).sqrt()
    highest: Tensor = found.flatten(1).amax(1)
    return highest


def _details(pictures: Tensor) -> Tensor:
    """Return contours, each divided by how strong contours are around it; (N, C, H, W)."""
    smooth = _blur(pictures, 3)
    contours = smooth - _blur(_blur(pictures, 5), 5)
    strength = _blur(contours.square().mean(1, keepdim=True), 9)
    return contours / (strength + _SHARP).sqrt()


def _blur(pictures: Tensor, width: int) -> Tensor:
    padded = functional.pad(pictures, (width // 2,) * 4, mode="replicate")
    return functional.avg_pool2d(padded, width, 1)
