"""How many planted near-copies `explore` finds among photos, and which pairs it names besides.

    python benchmarks/near_copies.py FOLDER [PICTURE]

FOLDER holds images, in folders of any kind. Of 200 of them, drawn by a seed, a changed copy is
planted: saved again as JPEG at quality 30; shifted by 2 pixels each way; 20 % brighter or darker;
all of these at once; mirrored; cropped to 80 or 90 % of the side. Each kind is planted by itself.
The table shows the share that is found, beside its original, and as what. Then the surest pairs
without any planted ones are drawn to PICTURE (near-copies.png when not given), 50 at most, for the
eye.
"""

import io
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from machine import describe
from PIL import Image

from common.explore import drawing
from common.explore.copies import SIDE, Pair, find_pairs
from common.explore.pictures import Pictures, Source, read_pictures
from common.images.folders import is_image, walk
from common.options.terminal import Bar
from common.report import plots

PLANTED, SHOWN = 200, 50

Pixels = npt.NDArray[np.uint8]
random = np.random.default_rng(0)


def saved_again(image: Pixels) -> Pixels:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=30)
    return np.array(Image.open(stream).convert("RGB"))


def shifted(image: Pixels) -> Pixels:
    wide = np.pad(image, ((2, 2), (2, 2), (0, 0)), "edge")
    top, left = random.choice([0, 4], 2)
    return wide[top : top + len(image), left : left + image.shape[1]]


def brighter(image: Pixels) -> Pixels:
    return np.clip(np.rint(image * random.choice([0.8, 1.2])), 0, 255).astype(np.uint8)


def cropped(image: Pixels, share: float) -> Pixels:
    height, width = (round(share * side) for side in image.shape[:2])
    top, left = (
        random.integers(len(image) - height + 1),
        random.integers(image.shape[1] - width + 1),
    )
    cut = Image.fromarray(image[top : top + height, left : left + width])
    return np.array(cut.resize((image.shape[1], len(image)), Image.Resampling.BILINEAR))


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "saved again at quality 30": saved_again,
    "shifted by 2 pixels": shifted,
    "20 % brighter or darker": brighter,
    "all three": lambda image: saved_again(brighter(shifted(image))),
    "mirrored": lambda image: image[:, ::-1],
    "cropped to 90 %": lambda image: cropped(image, 0.9),
    "cropped to 80 %": lambda image: cropped(image, 0.8),
}


def main(folder: Path, picture: Path) -> None:
    print(describe())
    paths = [path for path in walk(folder) if is_image(path)]
    sources = [Source(str(path.relative_to(folder)), "all", (), path) for path in paths]
    found = read_pictures(sources, Bar())
    print(f"{len(found):,} images; of {PLANTED} planted ones of each kind are found:")
    for name, change in CHANGES.items():
        rows = random.permutation(len(found))[:PLANTED]
        begun = time.process_time()
        pairs = find_pairs(torch.cat([found.small, planted(found, rows, change)]))
        seconds = time.process_time() - begun
        right = [
            pair
            for pair in pairs
            if pair.second >= len(found) and rows[pair.second - len(found)] == pair.first
        ]
        kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(p.kind for p in right).most_common())
        share = len({pair.second for pair in right}) / len(rows)
        print(f"  {name}: {share:.1%} ({kinds}); {seconds:.0f} CPU s", flush=True)
    own = [pair for pair in find_pairs(found.small) if pair.kind != "equal"]
    print(f"pairs that nobody planted: {len(own):,}; {Counter(pair.kind for pair in own)}")
    if own:
        plots.save(drawing.pairs(*drawn(found, own[:SHOWN])), picture)
        print(f"the surest of them, to be looked at: {picture}")


def planted(found: Pictures, rows: Pixels, change: Callable[[Pixels], Pixels]) -> torch.Tensor:
    """Return the small pictures of changed copies, (N, 3, 32, 32)."""
    small = []
    for row in rows.tolist():
        with Image.open(found.sources[row].path) as file:
            image = Image.fromarray(change(np.array(file.convert("RGB"))).copy())
        shrunk = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        small.append(torch.from_numpy(np.array(shrunk)).permute(2, 0, 1))
    return torch.stack(small)


def drawn(found: Pictures, pairs: list[Pair]) -> tuple[list[tuple[Pixels, Pixels]], list[str]]:
    """Return images and captions of pairs."""
    images = [(found.square(pair.first, 96), found.square(pair.second, 96)) for pair in pairs]
    captions = [
        f"{pair.alike:.2f} {pair.kind}\n{found.sources[pair.first].name}\n"
        f"{found.sources[pair.second].name}"
        for pair in pairs
    ]
    return images, captions


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("give the folder of some images")
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "near-copies.png"))
