"""What one asks whoever has pictures and captions in one space: prompts, and captions that lie.

A prompt of an attribute is the mean of all captions of one group that have it ("a red circle", "two
red stars" and so on), as Radford et al. 2021, section 3.1.4, take the mean of many prompts. Whether
order and binding are read at all is asked by captions of which one thing is changed (Yuksekgonul et
al. 2023, "When and why vision-language models behave like bags-of-words, and what to do about it").
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from torch import Tensor

from common.metrics.metrics import Array, wilson
from labs.classification.contrastive.data import Pairs, cut
from labs.classification.contrastive.drawings import COLORS, COUNTS, GROUPS, SHAPES, Scene, tell

ATTRIBUTES = {"color": (0, len(COLORS)), "shape": (1, len(SHAPES)), "count": (2, len(COUNTS))}
"""The place of each attribute in a group, and how many values it has."""
RELATION = "relation"
WORD = "word"
_SHARES = (0.01, 0.5)  # of captions that have a word which is asked for
FOILS = {
    "color": "the color of one group is another",
    "shape": "the shape of one group is another",
    "count": "the count of one group is another",
    "axis": "above and below for left and right, or the other way round",
    "order": "A left of B for B left of A, or the same of above",
    "binding": "the two groups have each other's color",
}


class Space(Protocol):
    """Whoever puts pictures and captions into one space of unit vectors."""

    def see(self, images: Tensor) -> Array:
        """Return those of uint8 images (N, 3, S, S), (N, D)."""

    def read(self, captions: Sequence[str]) -> Array:
        """Return those of captions, (N, D)."""


class Counted(NamedTuple):
    """How often an answer was right."""

    right: Array  # (N,) 1, 0, or 1/2 of a tie
    unseen: Array  # (N,) whether the scene has a group that is never trained on

    def figures(self) -> dict[str, Any]:
        """Return accuracy with Wilson's interval, and that of scenes of both kinds."""
        found: dict[str, Any] = {}
        parts = {"": np.full(len(self.unseen), True)}
        if self.unseen.any():
            parts |= {"_seen": ~self.unseen, "_unseen": self.unseen}
        for name, rows in parts.items():
            if not rows.any():
                continue
            right = self.right[rows]
            found[f"accuracy{name}"] = float(right.mean())
            found[f"accuracy{name}_interval"] = list(wilson(round(right.sum()), len(right)))
        return found


def ask_attributes(space: Space, alone: Pairs, language: str) -> dict[str, Counted]:
    """Return how often the nearest prompt of each attribute is right, of single groups.

    Args:
        space: is asked.
        alone: pictures of one group.
        language: of the prompts.
    """
    seen = space.see(alone.images)
    every = space.read([tell(Scene(group), language) for group in GROUPS])
    unseen = np.array([scene.unseen for scene in alone.scenes])
    found = {}
    for name, (place, values) in ATTRIBUTES.items():
        of_group = np.array([group[place] for group in GROUPS])
        prompts = np.stack([every[of_group == value].mean(0) for value in range(values)])
        prompts /= np.linalg.norm(prompts, axis=1, keepdims=True)
        truth = np.array([scene.first[place] for scene in alone.scenes])
        said = (seen @ prompts.T).argmax(1)
        found[name] = Counted((said == truth).astype(float), unseen)
    return found


def ask_relation(space: Space, test: Pairs, language: str) -> Counted:
    """Return how often, of four captions with the same groups, the one that is true is nearest."""
    seen = space.see(test.images)
    scores = []
    for vertical in (False, True):
        for reverse in (False, True):
            told = [tell(_relate(scene, vertical, reverse), language) for scene in test.scenes]
            scores.append((seen * space.read(told)).sum(1))
    truth = [2 * scene.vertical + scene.reverse for scene in test.scenes]
    unseen = np.array([scene.unseen for scene in test.scenes])
    return Counted((np.stack(scores).argmax(0) == truth).astype(float), unseen)


def _relate(scene: Scene, vertical: bool, reverse: bool) -> Scene:
    """Return a scene in which the group that is told first stands somewhere else."""
    first, second = scene.first, scene.second
    assert second is not None
    told, other = (second, first) if scene.reverse else (first, second)
    if reverse:
        return Scene(other, told, vertical, reverse=True)
    return Scene(told, other, vertical)


def ask_foils(space: Space, test: Pairs, language: str, seed: int) -> dict[str, Counted]:
    """Return how often the true caption is nearer than one of which one thing is changed.

    Args:
        space: is asked.
        test: pictures of two groups with their captions.
        language: of the captions.
        seed: draws what is changed.
    """
    seen = space.see(test.images)
    true = (seen * space.read(test.captions)).sum(1)
    found = {}
    for kind in FOILS:
        drawn = np.random.default_rng(seed)
        foils = [change(scene, kind, drawn) for scene in test.scenes]
        rows = np.array([row for row, foil in enumerate(foils) if foil is not None])
        told = [tell(foil, language) for foil in foils if foil is not None]
        other = (seen[rows] * space.read(told)).sum(1)
        gap = true[rows] - other
        right = np.where(np.abs(gap) < _TIE, 0.5, gap > 0)
        found[kind] = Counted(right, np.array([test.scenes[row].unseen for row in rows]))
    return found


_TIE = 1e-9


def change(scene: Scene, kind: str, drawn: np.random.Generator) -> Scene | None:
    """Return a scene that differs in one thing, and is told the same way; None where it cannot."""
    first, second = scene.first, scene.second
    assert second is not None
    if kind == "axis":
        return scene._replace(vertical=not scene.vertical)
    if kind == "order":
        return scene._replace(first=second, second=first)
    if kind == "binding":
        if first.color == second.color or first[1:] == second[1:]:
            return None
        return scene._replace(
            first=first._replace(color=second.color), second=second._replace(color=first.color)
        )
    place, values = ATTRIBUTES[kind]
    which, step = int(drawn.integers(2)), int(drawn.integers(1, values))
    group = scene.groups[which]
    parts = list(group)
    parts[place] = (parts[place] + step) % values
    changed = type(group)(*parts)
    found = scene._replace(second=changed) if which else scene._replace(first=changed)
    return None if found.first == found.second else found


def ask_words(space: Space, test: Pairs, seed: int) -> Counted:
    """Return how often, of two words, the one that an image's caption has is nearer to it.

    Images are asked in pairs: a word of the first one's caption that the second's lacks, and one of
    the second's that the first's lacks, are the prompts for both. So who sees no image is right in
    half of the cases, whatever words are frequent.

    Args:
        space: is asked.
        test: images with captions.
        seed: draws pairs and words.
    """
    told = [{*cut(caption)} for caption in test.captions]
    counts = Counter(word for each in told for word in each)
    low, high = (share * len(told) for share in _SHARES)
    asked = {word for word, count in counts.items() if max(2, low) <= count <= high}
    drawn = np.random.default_rng(seed)
    order = drawn.permutation(len(told))
    rows, prompts = [], []
    for one, other in zip(order[::2], order[1::2], strict=False):
        ours, theirs = (sorted((a - b) & asked) for a, b in
                        ((told[one], told[other]), (told[other], told[one])))  # fmt: skip
        if ours and theirs:
            words = str(drawn.choice(ours)), str(drawn.choice(theirs))
            rows += [one, other]
            prompts += [words, words[::-1]]
    if not rows:
        return Counted(np.zeros(0), np.zeros(0, bool))
    seen = space.see(test.images[rows])
    near, far = ((seen * space.read([pair[place] for pair in prompts])).sum(1) for place in (0, 1))
    gap = near - far
    return Counted(np.where(np.abs(gap) < _TIE, 0.5, gap > 0), np.zeros(len(rows), bool))


def ask_all(
    space: Space, test: Pairs, alone: Pairs, language: str, seed: int
) -> Mapping[str, Mapping[str, Counted]]:
    """Return all answers: `zero_shot` and `foils`, by what was asked."""
    prompts = ask_attributes(space, alone, language)
    relation = ask_relation(space, test, language)
    return {
        "zero_shot": {**prompts, RELATION: relation},
        "foils": ask_foils(space, test, language, seed),
    }
