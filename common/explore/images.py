"""What a set of pictures shows before anyone learns from it, section by section."""

import functools
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from common.explore import drawing, samples, shift
from common.explore.copies import KINDS, Pair, number_pairs
from common.explore.page import Part, write_number
from common.explore.pictures import Pictures
from common.metrics.metrics import Array
from common.options.terminal import figure_text
from common.report import plots
from common.report.html import Section, Table

_SHOWN, _DRAWN = 24, 96  # pictures of a grid; pixels of a side
_PAIRS = 24  # that are drawn
_FLAT = 3.0  # grey levels of deviation, below which a picture shows nothing
_UNIT = {"bytes": "bytes of the file", "mean": "brightness, 0 to 255", "width": "width, pixels"}
_UNIT |= {"height": "height, pixels", "deviation": "contrast (deviation), 0 to 255"}

_ODDEST = "Oddest: farthest from the others, in color, contrast and the fields of the picture"
_SAYS = {
    "equal": "copies",
    "near": "near-copies: saved again, shifted a little, brighter or darker",
    "mirrored": "mirrored",
    "cropped": "one is a part of the other",
}


def count_classes(found: Pictures) -> Part:
    """Count the pictures of each class, in each part."""
    numbers = {part: Counter[str]() for part in found.parts}
    for source in found.sources:
        numbers[source.part].update(source.labels)
    if not any(numbers.values()):
        return Part(Section("Classes", "There are no classes: pictures alone."))
    advice = (
        "; accuracy would be easy to have: look at balanced accuracy or macro F1, and at "
        "--imbalance"
    )
    return samples.count_classes(numbers, len(found), "pictures", advice=advice)


def show_numbers(found: Pictures) -> Part:
    """Draw the numbers that pictures show."""
    values = {
        part: np.array([found.sources[row].number for row in found.rows_of(part)])
        for part in found.parts
    }
    known = np.concatenate([*values.values()])
    text = (
        f"{len(known):,} numbers from {figure_text(float(known.min()))} to "
        f"{figure_text(float(known.max()))}, mean {figure_text(float(known.mean()))}, deviation "
        f"{figure_text(find_deviation(known))}."
    )
    drawn = plots.png(drawing.histograms({"number to predict": values}, 1))
    return Part(Section("Numbers", text, pictures=[("How they are distributed.", drawn)]))


_FIT = "see --fit, which says whether the center is taken, or the whole with bars"


def measure(found: Pictures, shapes: str = _FIT) -> Part:
    """Show sizes, shapes, channels, brightness and contrast.

    Args:
        found: the pictures.
        shapes: what becomes of pictures of different shapes.
    """
    rows = []
    for name, values in found.columns.items():
        quantiles = [float(each) for each in np.quantile(values, [0, 0.5, 1])]
        mean = [float(values.mean()), find_deviation(values)]
        rows.append([name, *map(write_number, (*quantiles, *mean))])
    sizes = Counter(
        zip(*(found.columns[each].astype(int) for each in ("width", "height")), strict=True)
    )
    (width, height), number = sizes.most_common(1)[0]
    modes = ", ".join(f"{count:,} {mode}" for mode, count in Counter(found.modes).most_common())
    channels = " ".join(
        f"{name} {found.columns[name].mean() / 255:.3f}" for name in ("red", "green", "blue")
    )
    text = (
        f"{_many(len(sizes), 'size')}; the most frequent is {width} x {height} pixels, of "
        f"{number:,} pictures. "
        f"As files keep them: {modes}. Mean of the channels, of 1: {channels}.\n\n"
        "Brightness, contrast and color are measured on pictures made small (64 or 32 pixels). "
        "Sharpness is how strong the finest contours of 32 x 32 pixels are."
    )
    of_part = {part: found.rows_of(part) for part in found.parts}
    panels = {
        _UNIT.get(name, name): {part: found.columns[name][rows] for part, rows in of_part.items()}
        for name in ("mean", "deviation", "sharpness", "color", "width", "aspect ratio")
        if np.ptp(found.columns[name]) > 0
    }
    pictures = []
    if panels:
        shown = plots.png(drawing.histograms(panels))
        pictures.append(("Distributions, each part by itself.", shown))
    if len(sizes) > 1:
        both = (found.columns["width"], found.columns["height"])
        drawn = drawing.points(*both, ("width, pixels", "height, pixels"))
        pictures.append(("Sizes; larger marks are more pictures.", plots.png(drawn)))
    columns = ["measure", "least", "median", "most", "mean", "deviation"]
    return Part(
        Section("Sizes and colors", text, Table(columns, rows), pictures), [*_odd(found, shapes)]
    )


def find_deviation(values: Array) -> float:
    """Return the standard deviation; 0 of equal values, of which the mean need not be exact."""
    return float(values.std()) if np.ptp(values) > 0 else 0.0


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _odd(found: Pictures, say_shapes: str) -> Iterator[str]:
    grey = sum(mode in ("1", "L", "LA", "I", "I;16", "F") for mode in found.modes)
    if 0 < grey < len(found):
        yield (
            f"{grey:,} of {len(found):,} pictures are grey files, the others have color: if that "
            "goes with the class, a network learns it in place of what is shown."
        )
    if flat := int((found.columns["deviation"] < _FLAT).sum()):
        yield f"{flat:,} pictures show nothing: all of one brightness."
    shapes = found.columns["aspect ratio"]
    low, high = np.quantile(shapes, [0.05, 0.95])
    if high > 1.5 * low:
        yield (f"Shapes differ (width : height from {low:.2f} to {high:.2f}): {say_shapes}.")


def show_samples(found: Pictures) -> Part:
    """Draw some pictures of each class, and the darkest, brightest, largest, oddest."""
    by_class: dict[str, list[int]] = defaultdict(list)
    for row, source in enumerate(found.sources):
        by_class[source.labels[0] if source.labels else ""].append(row)
    shown, names = [], sorted(by_class)
    each = max(1, _SHOWN // max(1, len(names)))
    for name in names[:_SHOWN]:
        shown += samples.spread(by_class[name], each)
    order = {
        "Darkest": found.columns["mean"],
        "Brightest": -found.columns["mean"],
        "Least contrast": found.columns["deviation"],
        "Largest": -found.columns["width"] * found.columns["height"],
        _ODDEST: -_odds(found),
    }
    pictures = [_grid(found, shown[:_SHOWN], "Samples, of each class")]
    for title, values in order.items():
        if np.ptp(values) > 0:
            rows = np.argsort(values, kind="stable")[: _SHOWN // 2].tolist()
            pictures.append(_grid(found, rows, title))
    return Part(Section("Pictures", "Captions: the class, and the file.", pictures=pictures))


def _odds(found: Pictures) -> Array:
    """Return how far each picture is from the mean, (N,): squared, in standard deviations."""
    features = _features(found)
    spread = features.std(0)
    scaled = (features - features.mean(0)) / np.where(spread > 0, spread, 1)
    return np.asarray(np.square(scaled).sum(1))


@functools.lru_cache(maxsize=1)  # both for what is odd and for telling parts apart
def _features(found: Pictures) -> Array:
    """Return numbers that describe pictures, (N, D): what was measured, and their main axes."""
    from sklearn.decomposition import PCA

    columns = [values for name, values in found.columns.items() if name != "bytes"]
    if len(found) < 3:
        return np.column_stack(columns)
    small = found.small[..., ::2, ::2].flatten(1).numpy().astype(np.float32) / 255
    axes = min(16, *small.shape)
    fields = PCA(axes, svd_solver="randomized", random_state=0).fit(
        small[:: 1 + len(small) // 5000]
    )
    return np.column_stack([*columns, fields.transform(small)])


def _grid(found: Pictures, rows: Sequence[int], title: str) -> tuple[str, bytes]:
    images = np.stack([_square(found, row) for row in rows])
    figure = plots.image_grid(images, [_caption(found, row) for row in rows], 6)
    return f"{title}.", plots.png(figure)


def _square(found: Pictures, row: int) -> Array:
    picture = found.square(row, _DRAWN)
    if len(picture) == _DRAWN:
        return picture
    repeated = -(-_DRAWN // len(picture))
    return picture.repeat(repeated, 0).repeat(repeated, 1)


def _caption(found: Pictures, row: int) -> str:
    source = found.sources[row]
    what = ", ".join(source.labels) or ("" if source.number is None else f"{source.number:g}")
    return plots.drawable(" ".join(filter(None, [what, source.name.rpartition("/")[2]])))


def list_unreadable(found: Pictures, skipped: Sequence[tuple[str, str]]) -> Part | None:
    """List the files that cannot be read, and what was left out before."""
    rows = [*found.unreadable, *skipped]
    if not rows:
        return None
    findings = []
    if found.unreadable:
        name, why = found.unreadable[0]
        findings = [f"{len(found.unreadable):,} files cannot be read, such as {name}: {why}."]
    contrary = [each for each in skipped if "another label" in each[1]]
    if contrary:
        findings.append(f"{len(contrary):,} rows give a picture two labels: {contrary[0][1]}.")
    left = len(skipped) - len(contrary)
    if left:
        findings.append(
            f"{left:,} rows or files are left out, such as {skipped[0][0]}: {skipped[0][1]}."
        )
    return Part(Section("Left out", "", Table(["what", "why"], rows[:1000])), findings)


# --- copies -------------------------------------------------------------------------------------


def show_copies(found: Pictures, pairs: Sequence[Pair], say_crops: str = "") -> Part:
    """List copies and near-copies within parts and across them, and those with two labels."""
    counted = samples.count_copies(
        [(pair.kind, pair.first, pair.second) for pair in pairs],
        {kind: _SAYS[kind] for kind in KINDS},
        [source.part for source in found.sources],
        [(source.labels, source.number) for source in found.sources],
        "pictures",
    )
    contrary = [pairs[place] for place in counted.contrary[:_PAIRS]]
    groups = Counter(number_pairs(len(found), list(pairs)))
    several = [size for size in groups.values() if size > 1]
    text = (
        f"{len(pairs):,} pairs; {sum(several):,} pictures in {len(several):,} groups that belong "
        f"on one side of a split, the largest of {max(several, default=0)}. The surest come first; "
        f"the figure is the correlation of their details.{say_crops}"
    )
    if not pairs:
        text = f"None were found.{say_crops}"
    pictures = []
    for kind in KINDS:
        if chosen := [pair for pair in pairs if pair.kind == kind][:_PAIRS]:
            pictures.append((f"{_SAYS[kind].capitalize()}.", _draw_pairs(found, chosen)))
    if contrary:
        pictures.insert(0, ("Copies with different labels.", _draw_pairs(found, contrary)))
    return Part(Section("Copies", text, counted.table, pictures), counted.findings)


def _draw_pairs(found: Pictures, pairs: Sequence[Pair]) -> bytes:
    images = [(_square(found, pair.first), _square(found, pair.second)) for pair in pairs]
    captions = [
        "\n".join([f"{pair.alike:.2f} {_at(found, pair.first)}", _at(found, pair.second)])
        for pair in pairs
    ]
    return plots.png(drawing.pairs(images, captions))


def _at(found: Pictures, row: int) -> str:
    source = found.sources[row]
    part = "" if source.part == "all" or source.name.startswith(source.part) else f"{source.part}: "
    return f"{part}{source.name}"


# --- groups and parts ---------------------------------------------------------------------------


def show_groups(
    found: Pictures, known: Sequence[int], groups: Sequence[Hashable], name: str
) -> Part:
    """Show how large groups are, and whether they stand in several parts and classes.

    Args:
        found: the pictures.
        known: the rows of those that are in a group.
        groups: of each of them its group.
        name: what groups go by.
    """
    sources = [found.sources[row] for row in known]
    parts, labels = [each.part for each in sources], [each.labels for each in sources]
    return samples.show_groups(groups, parts, labels, name, of=len(found), noun="pictures")


def compare_parts(found: Pictures) -> Part:
    """Ask whether a classifier can tell parts of the split apart, and by what."""
    title, parts = "Can train and test be told apart?", found.parts
    if len(parts) < 2:
        return Part(Section(title, "The data come without parts, so there is nothing to compare."))
    features, findings = _features(found), list[str]()
    texts, rows, pictures = [], [], []
    of_each = [source.part for source in found.sources]
    for first, second, said, grave, told in shift.compare(features, of_each, parts, "pictures"):
        texts.append(said)
        findings += [said] if grave else []
        if told is None:
            continue
        for name, area, one, other in shift.by_each(found.columns, told)[:6]:
            cells = [str(area), write_number(one), write_number(other)]
            rows.append([f"{name}: {first}, {second}", *cells])
        pieces = [(second, True, -told.scores), (first, False, told.scores)]
        for part, which, values in pieces if told.area.low > 0.5 else []:
            order = np.argsort(values, kind="stable")
            chosen = [told.rows[at] for at in order if told.second[at] == which][: _SHOWN // 2]
            pictures.append(_grid(found, [int(row) for row in chosen], f"Most typical of {part}"))
    texts.append(
        "Trees on what was measured and on the main axes of the small pictures, five folds; the "
        "interval is of 95 % (DeLong 1988). 0.5 is chance. The table: each measure alone."
    )
    table = Table(["measure", "AUC alone", "median of the first", "of the second"], rows)
    return Part(Section(title, "\n\n".join(texts), table if rows else None, pictures), findings)
