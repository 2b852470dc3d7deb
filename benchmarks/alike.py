"""How many planted near-copies `--group-by features` puts into one group with their original.

    python benchmarks/alike.py FOLDER [PICTURE]

FOLDER holds images, in folders of any kind. Of 60 of them, drawn by a seed, a changed copy is
planted, as `near_copies.py` does, and turned by 10 degrees; each kind by itself. The pairs that
nobody planted are drawn to PICTURE (alike.png when not given), 50 at most, for the eye.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from machine import describe
from near_copies import CHANGES, Pixels, random
from PIL import Image

from common.explore import drawing
from common.images import alike, decode
from common.images.folders import is_image, walk
from common.options.terminal import Bar
from common.report import plots

PLANTED, SHOWN = 60, 50


def turned(image: Pixels) -> Pixels:
    return np.array(Image.fromarray(image).rotate(10, Image.Resampling.BILINEAR))


def main(folder: Path, picture: Path) -> None:
    print(describe())
    torch.set_num_threads(1)
    files: list[alike.File] = [(path, None) for path in walk(folder) if is_image(path)]
    begun = time.process_time()
    rows = alike.see(files, Bar())
    seconds = (time.process_time() - begun) / len(files)
    print(
        f"{len(files):,} images, {1000 * seconds:.0f} CPU ms each; of {PLANTED} planted are found:"
    )
    for name, change in {**CHANGES, "turned by 10 degrees": turned}.items():
        chosen = random.permutation(len(files))[:PLANTED].tolist()
        copies = alike.see(planted([files[row][0] for row in chosen], change), Bar())
        links = {*alike.link(torch.cat([rows, copies]))}
        found = sum((row, len(files) + place) in links for place, row in enumerate(chosen))
        print(f"  {name}: {found / len(chosen):.0%}", flush=True)
    own = [pair for pair in alike.link(rows) if not same_bytes(*(files[row][0] for row in pair))]
    print(f"pairs that nobody planted, and that are no equal files: {len(own):,}")
    if own:
        images = [
            tuple(decode.square(files[row][0], 96, 3, "pad").transpose(1, 2, 0) for row in pair)
            for pair in own[:SHOWN]
        ]
        names = ["\n".join(files[row][0].name for row in pair) for pair in own[:SHOWN]]
        plots.save(drawing.pairs(images, names), picture)
        print(f"some of them, to be looked at: {picture}")


def planted(paths: list[Path], change: Callable[[Pixels], Pixels]) -> list[alike.File]:
    """Write changed copies, and return them."""
    folder = Path(tempfile.mkdtemp())
    for number, path in enumerate(paths):
        with Image.open(path) as file:
            image = Image.fromarray(change(np.array(file.convert("RGB"))).copy())
        image.save(folder / f"{number}.png")
    return [(folder / f"{number}.png", None) for number in range(len(paths))]


def same_bytes(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("give the folder of some images")
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "alike.png"))
