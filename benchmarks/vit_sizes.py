"""Does a small vision transformer with convolutions keep more at other sizes than a plain one?

    python benchmarks/vit_sizes.py          # trains, in runs/ of the folder that it is called in
    python benchmarks/vit_sizes.py RUN      # shows a finished run of compare-sizes

Trains on the 3,500 digits of mnist5k at 28 pixels with one thread, without changes of the images,
four epochs in batches of 16, three seeds; shows the 1,000 test digits at 20, 24, 32, 36 and 40
pixels. `small-vit`, whose position embeddings are interpolated, is what the others are compared
with. Asked is a paired difference whose interval is above 0: of the share of a model's own accuracy
that it keeps, and of the accuracy itself in the mean at the five sizes.
"""

import sys
import time
from pathlib import Path

from machine import describe

from common.options.config import build
from common.options.terminal import lead_text
from labs.classification.compare.config import CompareSizesConfig
from labs.classification.compare.sizes import Comparison

OPTIONS = {
    "models": "small-vit,small-vit-conv-stem,small-vit-conv,small-vit-overlap,"
    "small-vit-no-position,resnet20",
    **{"epochs": "4", "batch_size": "16", "learning_rate": "3e-3", "warmup": "1", "threads": "1"},
}
ASKED = {
    "accuracy at the other sizes": "elsewhere_difference",
    "share of its own accuracy kept at them": "kept_resized_difference",
    "share of its own accuracy kept in a frame": "kept_framed_difference",
}


def train() -> Comparison:
    config = build(CompareSizesConfig, ("options", {**OPTIONS, "chosen": ",".join(OPTIONS)}))
    whole = Comparison.start(config, sys.argv)
    whole.train(None, time.perf_counter())
    return whole


def main() -> None:
    print(describe())
    words = sys.argv[1:]
    whole = Comparison.reopen(Path(words[0])) if words else train()
    metrics = whole.run.read("metrics")
    whole.show(metrics)
    for what, name in ASKED.items():
        print(f"\nmore than small-vit, {what}:")
        for model, entry in metrics["compared"].items():
            if name in entry:
                found = entry[f"{name}_interval"]
                reached = "reached" if found[0] > 0 else "not reached"
                print(f"{model:24} {lead_text(entry[name], found)}  {reached}")


if __name__ == "__main__":
    main()
