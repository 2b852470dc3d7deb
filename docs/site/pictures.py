"""The pictures of the pages, made again: each by the commands beside its name.

    python docs/site/pictures.py                 # all of them: hours on two cores
    python docs/site/pictures.py mistakes.png    # some

Commands run in build/pictures, and one that has run there is not run again. A picture is a file
that a command wrote, or a page of a run as Chromium shows it: those of the gallery.
"""

import io
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs/pictures"
FOLDER = ROOT / "build/pictures"
DIGITS = ROOT / "tests/browser/digits.json"  # strokes of points (x, y) on a board of 1 x 1


class Drawn(NamedTuple):
    """A file that commands write."""

    file: str  # in the folder where they ran
    commands: tuple[str, ...]


class Shown(NamedTuple):
    """A page that commands write, in Chromium, after what a person does there."""

    file: str
    commands: tuple[str, ...]
    height: int | None = None  # in pixels, of 1,000 in width; to its first figure when None
    act: Callable[[Any], None] = lambda page: None


def draw_digit(page: Any) -> None:
    """Draw the strokes of an eight."""
    strokes = next(strokes for digit, strokes in json.loads(DIGITS.read_text()) if digit == "8")
    left, top, width, height = page.locator("#board").bounding_box().values()
    for stroke in strokes:
        points = [(left + x * width, top + y * height) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=3)
        page.mouse.up()


def type_text(page: Any) -> None:
    """Type a sentence."""
    page.fill("#text", SENTENCE)


LENET, SCENES = "runs/classification/lenet5-mnist5k-1", "runs/detection/tiny-yolo-scenes-1"
CODES, TWEETS = "runs/autoencoder/conv32-mnist5k-1", "runs/rnn/sentiment-bilstm-tweets-1"
GOOGLE, DATES = "runs/rnn/forecast-gru-direct-google-1", "runs/rnn/translate-gru-luong-dates-1"
CLASSIFY, DETECT = "labs.classification train", "labs.detection train"
FORECAST, SENTIMENT, TRANSLATE = "labs.rnn forecast", "labs.rnn sentiment", "labs.rnn translate"
ENCODE, QUICK = "labs.autoencoder train", "labs.classification train --recipe quick --name quick"
SIZES = (
    "labs.classification compare-sizes --models small-vit,small-vit-conv-stem,small-vit-conv,"
    "small-vit-overlap,small-vit-no-position,resnet20 "
    "--epochs 4 --batch-size 16 --learning-rate 3e-3 --warmup 1 --threads 1 --name sizes"
)
AUGMENT = (
    "labs.classification augment mnist5k --augment "
    "policy:trivialaugment,affine:12:0.12:0.15:10,erase --cutmix 1 --samples 4"
)
SENTENCE = "The crew was great, but the food was awful"
EXPLAINED = (QUICK, "labs.classification explain runs/classification/quick")
CONV, ADDING = f"{ENCODE} --name conv", "labs.rnn memory --name adding"
SEASONAL = "labs.rnn forecast --recipe intervals --name intervals"


def explain_date(date: str, file: str) -> str:
    """Return the command that draws what is looked at as a date is translated."""
    return f"labs.rnn explain {DATES} '{date}' --output {file}"


ALL: dict[str, Drawn | Shown] = {
    "gallery/classification.webp": Shown(f"{LENET}/report.html", (CLASSIFY,)),
    "gallery/autoencoder.webp": Shown(f"{CODES}/report.html", (f"{ENCODE} --recipe quick",)),
    "gallery/detection.webp": Shown(f"{SCENES}/report.html", (DETECT,)),
    "gallery/sentiment.webp": Shown(f"{TWEETS}/report.html", (SENTIMENT,)),
    "gallery/forecast.webp": Shown(f"{GOOGLE}/report.html", (FORECAST,)),
    "gallery/translate.webp": Shown(f"{DATES}/report.html", (TRANSLATE,)),
    "gallery/open_classification.webp": Shown(
        f"{LENET}/open.html", (CLASSIFY, f"labs.classification open {LENET}"), 940, draw_digit
    ),
    "gallery/open_autoencoder.webp": Shown(
        f"{CODES}/open.html",
        (f"{ENCODE} --recipe quick", f"labs.autoencoder open {CODES}"),
        1500,
        draw_digit,
    ),
    "gallery/open_detection.webp": Shown(
        f"{SCENES}/open.html", (DETECT, f"labs.detection open {SCENES}"), 980
    ),
    "gallery/open_sentiment.webp": Shown(
        f"{TWEETS}/open.html", (SENTIMENT, f"labs.rnn open {TWEETS}"), 925, type_text
    ),
    "gallery/open_forecast.webp": Shown(
        f"{GOOGLE}/open.html", (FORECAST, f"labs.rnn open {GOOGLE}"), 980
    ),
    "architectures_robustness.png": Drawn(
        "runs/classification/architectures/figures/robustness.png",
        ("labs.classification compare-architectures --name architectures",),
    ),
    "augment.png": Drawn("augment-mnist5k.png", (AUGMENT,)),
    "autoencoder_interpolate.png": Drawn("runs/autoencoder/conv/figures/interpolate.png", (CONV,)),
    "autoencoder_maps.png": Drawn("runs/autoencoder/conv/figures/latents.png", (CONV,)),
    "detection_assignment.png": Drawn(
        f"{SCENES}/figures/assignment.png",
        (DETECT, f"labs.detection explain-assignment {SCENES} --image 3"),
    ),
    "detection_found.png": Drawn(f"{SCENES}/figures/found.png", (DETECT,)),
    "detection_mistakes.png": Drawn(f"{SCENES}/figures/mistakes.png", (DETECT,)),
    "detection_nms.png": Drawn(
        f"{SCENES}/figures/nms.png", (DETECT, f"labs.detection nms {SCENES} --image 3 --iou 0.3")
    ),
    "explain.png": Drawn("runs/classification/quick/figures/explain-1.png", EXPLAINED),
    "explain_filters.png": Drawn(
        "runs/classification/quick/figures/explain-1-filters.png", EXPLAINED
    ),
    "filters.png": Drawn(f"{LENET}/figures/filters.png", (CLASSIFY,)),
    "find_lr.png": Drawn(
        "runs/classification/find-lr-lenet5-mnist5k.png", ("labs.classification find-lr",)
    ),
    "forecast_google.png": Drawn(f"{GOOGLE}/figures/forecasts.png", (FORECAST,)),
    "forecast_seasonal.png": Drawn("runs/rnn/intervals/figures/forecasts.png", (SEASONAL,)),
    "forecast_steps.png": Drawn("runs/rnn/intervals/figures/steps.png", (SEASONAL,)),
    "image_sizes.png": Drawn("runs/classification/sizes/figures/sizes.png", (SIZES,)),
    "image_sizes_rollout.png": Drawn("runs/classification/sizes/figures/rollout.png", (SIZES,)),
    "imbalance.png": Drawn(
        "runs/classification/imbalance/figures/recalls.png",
        ("labs.classification compare-imbalance --name imbalance",),
    ),
    "learning_curves.png": Drawn(f"{LENET}/figures/learning_curves.png", (CLASSIFY,)),
    "map.png": Drawn(f"{LENET}/figures/map.png", (CLASSIFY, f"labs.classification map {LENET}")),
    "map_texts.png": Drawn(f"{TWEETS}/figures/map.png", (SENTIMENT, f"labs.rnn map {TWEETS}")),
    "memory_copy.png": Drawn(
        "runs/rnn/copy/figures/errors.png", ("labs.rnn memory --recipe copy --name copy",)
    ),
    "memory_errors.png": Drawn("runs/rnn/adding/figures/errors.png", (ADDING,)),
    "memory_gates.png": Drawn(
        f"{TWEETS}/figures/gates-layer1-rightward.png",
        (SENTIMENT, f"labs.rnn memory {TWEETS} --text '{SENTENCE}'"),
    ),
    "memory_reach.png": Drawn("runs/rnn/adding/figures/reach.png", (ADDING,)),
    "mistakes.png": Drawn(f"{LENET}/figures/mistakes.png", (CLASSIFY,)),
    "receptive_field.png": Drawn(
        "receptive-field-resnet18.png", ("labs.classification receptive-field resnet18",)
    ),
    "translate_attention_english.png": Drawn(
        "english.png",
        (TRANSLATE, explain_date("the fifth of June, twenty twenty-four", "english.png")),
    ),
    "translate_attention_korean.png": Drawn(
        "korean.png", (TRANSLATE, explain_date("이천이십사년 유월 오일 수요일", "korean.png"))
    ),
}


def make(name: str, picture: Drawn | Shown) -> None:
    """Run what a picture needs, where that has not been done, and write it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    log = FOLDER / "commands.txt"
    for command in picture.commands:
        if command not in (log.read_text().splitlines() if log.exists() else []):
            print(f"$ python -m {command}", flush=True)
            subprocess.run([sys.executable, "-m", *shlex.split(command)], cwd=FOLDER, check=True)
            with log.open("a") as file:
                file.write(f"{command}\n")
    target = PICTURES / name
    target.parent.mkdir(exist_ok=True)
    if isinstance(picture, Shown):
        show(picture, target)
    else:
        shutil.copy(FOLDER / picture.file, target)


def show(picture: Shown, target: Path) -> None:
    """Write what Chromium shows of a page, 800 pixels wide."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1000, "height": 1800})
        page.goto((FOLDER / picture.file).as_uri())
        page.wait_for_timeout(10_000)  # until a page has loaded its network and answered
        picture.act(page)
        page.wait_for_timeout(10_000)
        height = picture.height
        if height is None:
            box = page.locator("figure").first.bounding_box()
            height = box["y"] + box["height"] + 20
        clip = {"x": 0, "y": 0, "width": 1000, "height": height}
        image = Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")
        browser.close()
    image.thumbnail((800, 1600))
    image.save(target, quality=80, method=6)


if __name__ == "__main__":
    for name in sys.argv[1:] or ALL:
        make(name, ALL[name])
