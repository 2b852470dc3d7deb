"""Masks as people have them: which photo, which class, what is void, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError, DataError
from labs.detection.config import DetectionConfig
from labs.detection.job import Detector
from labs.detection.records import Box, Picture
from labs.detection.semantic import data, legend
from labs.detection.semantic.losses import VOID
from tests.detection.semantic.conftest import COLORS, color, grey, palette, with_border

SIZE = 32


def load(root, **options):
    config = DetectionConfig(
        data=str(root), task="semantic", model="unet", image_size=SIZE, **options
    )
    return data.load(config)


def truths(splits):
    """Return the classes of each image by its name, without the bars of its letterbox."""
    found = {}
    for split in splits.values():
        for row, name in enumerate(split.names):
            found[name] = split.fit(row).crop(split.squares[row][3]).numpy()
    return found


def shrunk(classes):
    """Return classes as the nearest pixels of a smaller image."""
    height, width = classes.shape
    fit = data.Letterbox.fit(height, width, SIZE)
    return data.boxed(classes, SIZE).numpy()[fit.top : fit.top + fit.height]


@pytest.mark.parametrize(
    ("save", "images", "masks_at"),
    [
        (grey, "images/사진{}.jpg", "masks/사진{}.png"),
        (grey, "{}.jpg", "{}_mask.png"),
        (palette, "JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
        (color, "train/{}.jpg", "train_labels/{}_L.png"),
        (grey, "img/{}_sat.jpg", "gt/{}_mask.png"),
        (grey, "images/image_{}.jpg", "labels/mask_{}.png"),
        (
            grey,
            "leftImg8bit/train/aachen/aachen_{}_leftImg8bit.png",
            "gtFine/train/aachen/aachen_{}_gtFine_labelIds.png",
        ),
    ],
)
def test_masks_find_their_photos_and_say_the_class_of_each_pixel(masks, save, images, masks_at):
    root, classes = masks(save, images, masks_at)
    splits, card = load(root)
    assert sum(card.counts.values()) == 10
    assert not card.skipped
    order = np.argsort(COLORS @ [65536, 256, 1]) if save is color else np.arange(3)
    found = truths(splits)
    for number, each in enumerate(classes):
        name = images.format(number)
        assert (found[name] == shrunk(np.argsort(order)[each].astype(np.uint8))).all()


def test_the_bars_around_an_image_are_void(masks):
    root, _ = masks()
    splits, _ = load(root)
    assert (splits["train"].truth(0)[0] == VOID).all()
    assert (splits["train"].truth(0)[SIZE // 2] != VOID).all()


def test_a_mask_of_0_and_255_has_a_background_and_an_object(masks):
    root, _ = masks(lambda classes, path: grey((classes > 0).astype(np.uint8) * 255, path))
    _, card = load(root)
    assert card.classes == ("background", "object")
    assert "0 is background and 255 the object" in card.source


def test_levels_of_grey_up_to_white_are_classes(masks):
    levels = np.array([0, 127, 255], np.uint8)
    root, _ = masks(lambda classes, path: grey(levels[classes], path))
    assert load(root)[1].classes == ("0", "127", "255")


def test_the_border_of_pascal_voc_is_void_and_its_lists_are_the_splits(masks):
    root, _ = masks(with_border, "JPEGImages/{}.jpg", "SegmentationClass/{}.png")
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("\n".join(map(str, range(7))))
    (lists / "val.txt").write_text("7\n8\n9\n")
    splits, card = load(root)
    assert card.classes == ("0", "1", "2")
    assert card.counts["validation"] == 3
    assert "255 is void" in card.source
    assert "ImageSets/Segmentation" in card.source
    assert load(root, void=("nothing",))[1].classes == ("0", "1", "2", "255")


def test_folders_of_splits_are_the_splits(masks):
    for seed, (part, count) in enumerate((("train", 6), ("val", 3), ("test", 2))):
        root, _ = masks(grey, f"{part}/images/{{}}.png", f"{part}/masks/{{}}.png", count, seed)
    _, card = load(root)
    assert card.counts == {"train": 6, "validation": 3, "test": 2}
    assert "of its own" in card.source


LEGENDS = {
    "class_dict.csv": "name,r,g,b\nvoid,0,0,0\nroad,128,64,128\ntree,0,200,10\n",
    "labelmap.txt": "# label:color_rgb:parts:actions\nvoid:0,0,0::\nroad:128,64,128::\n"
    "tree:0,200,10::\n",
    "label_colors.txt": "0 0 0\tvoid\n128 64 128\troad\n0 200 10\ttree\n",
    "legend.txt": "#000000 void\n#804080 road\n#00c80a tree\n",
    "legend.csv": '000000,void\n804080,"road"\n00c80a,tree\n',
    "classes.csv": "id,name,r,g,b\n0,void,0,0,0\n1,road,128,64,128\n2,tree,0,200,10\n",
    "legend.json": json.dumps({"void": [0, 0, 0], "road": [128, 64, 128], "tree": "#00c80a"}),
}


@pytest.mark.parametrize("name", LEGENDS)
def test_a_legend_beside_the_masks_names_their_colors(masks, name):
    root, classes = masks(color)
    (root / name).write_text(LEGENDS[name])
    splits, card = load(root)
    assert card.classes == ("road", "tree")
    assert name in card.source
    assert "void is void" in card.source
    first = truths(splits)["images/0.png"]
    assert (first == shrunk(np.array([VOID, 0, 1], np.uint8)[classes[0]])).all()


@pytest.mark.parametrize(
    "text",
    [
        "배경,0\n도로,1\n나무,2\n",
        "0 배경\n1 도로\n2 나무\n",
        "배경\n도로\n나무\n",
        "배경 0\n도로 1\n나무 2\n",
        "name,value\n배경,0\n도로,1\n나무,2\n",
    ],
)
def test_a_legend_of_values_names_them(masks, tmp_path, text):
    root, _ = masks(palette)
    path = tmp_path / "이름.txt"
    path.write_text(text, encoding="utf-8")
    _, card = load(root, legend=str(path))
    assert card.classes == ("배경", "도로", "나무")


def test_names_that_end_in_numbers_are_names(tmp_path):
    (tmp_path / "classes.txt").write_text("zone 1\nzone 2\nzone 3\n")
    assert legend.read(tmp_path / "classes.txt", None, []).names == {
        0: "zone 1",
        1: "zone 2",
        2: "zone 3",
    }


def test_a_legend_of_colors_names_the_numbers_of_its_lines_where_masks_hold_those(masks):
    root, _ = masks(grey)
    (root / "class_dict.csv").write_text("name,r,g,b\nsky,1,2,3\nroad,128,64,128\ntree,9,9,9\n")
    _, card = load(root)
    assert card.classes == ("sky", "road", "tree")
    assert "by its order" in card.source


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("road,128,64,128\n", "does not name what masks hold: #000000"),
        ("road,128,64,128\nroad2,128,64,128\n", "is both road and road2"),
        ("road,300,0,0\ntree,0,200,10\n", "no color"),
        ("road,1,2,3\nwhat is this 5 5\ntree,3,2,1\n", "line 2"),
        ("\n", "empty"),
    ],
)
def test_a_legend_that_does_not_fit_is_refused(masks, text, message):
    root, _ = masks(color)
    (root / "class_dict.csv").write_text(text)
    if message.startswith("line"):
        message = "is not written as the others"
    with pytest.raises(DataError, match=message):
        load(root)


@pytest.mark.parametrize("text", ["background\nroad\ntree\n", "road,1\ntree,2\n"])
def test_a_legend_of_numbers_does_not_turn_the_pixels_of_masks_in_color_into_void(masks, text):
    root, _ = masks(color)
    (root / "classes.txt").write_text(text)
    with pytest.raises(DataError, match="has colors .*#804080.*: write the color of each class"):
        load(root)


def test_a_color_that_no_legend_names_may_be_void(masks):
    root, _ = masks(color)
    (root / "class_dict.csv").write_text("name,r,g,b\nroad,128,64,128\ntree,0,200,10\n")
    assert load(root, void=("#000000",))[1].classes == ("road", "tree")
    with pytest.raises(ConfigError, match="expected a value such as 255"):
        load(root, void=("black",))


def test_jpeg_masks_are_refused_since_they_blur(masks):
    root, _ = masks(grey, masks="masks/{}.jpg")
    with pytest.raises(DataError, match="blurs the values of pixels"):
        load(root)


def test_smoothed_edges_are_refused(masks):
    def smooth(classes, path):
        picture = Image.fromarray((classes > 0).astype(np.uint8) * 255)
        picture.resize((80, 60), 2).resize((40, 30), 2).save(path)

    root, _ = masks(smooth)
    with pytest.raises(DataError, match="smoothing"):
        load(root)


def test_a_photo_taken_for_a_mask_is_refused(masks):
    def noise(classes, path):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)).save(path)

    root, _ = masks(noise)
    with pytest.raises(DataError, match="no classes but smoothed edges, or a photo"):
        load(root)


def test_a_mask_of_another_size_is_left_out_by_name(masks):
    root, _ = masks()
    Image.open(root / "images" / "2.png").resize((20, 15)).save(root / "images" / "2.png")
    _, card = load(root)
    assert sum(card.counts.values()) == 9
    [(place, why)] = card.skipped
    assert place == "images/2.png"
    assert "the mask has 40 x 30 pixels, the image 20 x 15" in why


def test_images_without_masks_and_masks_without_images_are_named(masks):
    root, _ = masks()
    (root / "masks" / "3.png").unlink()
    (root / "images" / "5.png").unlink()
    _, card = load(root)
    assert sum(card.counts.values()) == 8
    assert {place for place, _ in card.skipped} == {"images/3.png", "masks/5.png"}


def test_masks_may_lie_elsewhere(masks, tmp_path):
    root, classes = masks(images="photos/{}.png", masks="../far/{}.png")
    splits, _ = load(root, mask_dir=str(tmp_path / "far"))
    assert (truths(splits)["photos/4.png"] == shrunk(classes[4])).all()
    with pytest.raises(DataError, match="no such folder"):
        load(root, mask_dir="nowhere")


def test_a_test_split_has_masks_of_its_own_though_the_names_are_the_same(masks, tmp_path):
    root, _ = masks(images="photos/{}.png", masks="../far/{}.png")
    tests, classes = masks(seed=1, folder="tests", count=3)
    splits, _ = load(root, mask_dir=str(tmp_path / "far"), test=str(tests))
    assert len(splits["test"]) == 3
    for row, name in enumerate(splits["test"].names):
        number = int(name.split("/")[-1].removesuffix(".png"))
        cut = splits["test"].fit(row).crop(splits["test"].squares[row][3]).numpy()
        assert (cut == shrunk(classes[number])).all()


def test_masks_for_a_run_are_named_by_their_values_however_few_occur(masks):
    root, _ = masks(with_border)
    tests, classes = masks(
        lambda classes, path: palette(np.where(classes == 1, 255, classes).astype(np.uint8), path),
        folder="tests",
        seed=1,
        count=3,
    )
    splits, card = load(root, test=str(tests))
    assert card.classes == ("0", "1", "2")
    for row in range(3):
        number = int(splits["test"].names[row].split("/")[-1].removesuffix(".png"))
        cut = splits["test"].fit(row).crop(splits["test"].squares[row][3]).numpy()
        assert (cut == shrunk(np.array([0, VOID, 2], np.uint8)[classes[number]])).all()


def test_a_photo_that_exif_turns_takes_its_mask_along(masks):
    root, classes = masks(images="images/{}.jpg")
    photo = Image.open(root / "images" / "0.jpg")
    exif = photo.getexif()
    exif[274] = 6
    photo.save(root / "images" / "0.jpg", exif=exif)
    splits, _ = load(root)
    upright = np.rot90(classes[0], -1)
    found = truths(splits)["images/0.jpg"]
    assert found.shape == (SIZE, 24)
    assert np.unique(found).tolist() == np.unique(upright).tolist()
    assert (found.mean() - upright.mean()) == pytest.approx(0, abs=0.05)


def test_where_the_size_does_not_show_whether_a_mask_is_turned_it_is_said(masks):
    root, _ = masks(images="images/{}.jpg")
    photo = Image.open(root / "images" / "0.jpg")
    exif = photo.getexif()
    exif[274] = 3
    photo.save(root / "images" / "0.jpg", exif=exif)
    _, card = load(root)
    assert "masks are taken for upright, though EXIF turns the photos images/0.jpg" in card.source


def test_outlines_are_painted_and_the_rest_is_background(tmp_path):
    images, boxes = [], []
    for number in range(6):
        Image.fromarray(np.full((32, 32, 3), 40 * number, np.uint8)).save(
            tmp_path / f"{number}.png"
        )
        images.append({"id": number, "file_name": f"{number}.png", "width": 32, "height": 32})
        shapes = [([4, 4, 8, 8], [[4, 4, 12, 4, 12, 12, 4, 12]], 0), ([20, 20, 8, 8], [], 0)]
        boxes += [
            {"id": 2 * number + at, "image_id": number, "category_id": 1 + at, "bbox": box}
            | {"segmentation": outline, "iscrowd": crowd, "area": 64}
            for at, (box, outline, crowd) in enumerate(shapes)
        ]
    kinds = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    path = tmp_path / "all.json"
    whole = {"images": images, "annotations": boxes, "categories": kinds}
    path.write_text(json.dumps(whole))
    splits, card = load(path)
    assert card.classes == ("background", "cat", "dog")
    assert "objects without an outline are void" in card.source
    truth = splits["train"].truth(0)
    assert (truth[4:12, 4:12] == 1).all()
    assert (truth[20:28, 20:28] == VOID).all()
    assert (truth[:4] == 0).all()
    whole["categories"] += [{"id": 3 + each, "name": f"kind {each}"} for each in range(253)]
    path.write_text(json.dumps(whole))
    for task, model in (("semantic", "unet"), ("panoptic", "yolo11n-seg")):
        config = DetectionConfig(data=str(path), task=task, model=model, image_size=SIZE)
        with pytest.raises(DataError, match="255 classes; pixels take 254 at most"):
            Detector.for_config(config).load(config)


def test_the_classes_of_scenes_are_the_ink_of_their_digits():
    from labs.detection.data import scenes

    splits, card = data.load(DetectionConfig(task="semantic", model="unet", limit=12))
    assert card.classes == ("background", *"0123456789")
    [scene] = [scenes.Composer("train", 0).scene(0)]
    truth = splits["train"].truth(0)
    for number, label in enumerate(scene.boxes[:, 4].astype(int), 1):
        assert (truth[scene.instances == number] == label + 1).all()
    assert (truth[scene.instances == 0] == 0).all()


def test_images_of_more_objects_than_a_byte_numbers_are_painted():
    places = [(x, y) for y in range(0, 40, 2) for x in range(0, 40, 2)]
    boxes = [
        Box(x, y, x + 2, y + 2, at % 2, False, ((x, y, x + 2, y, x + 2, y + 2, x, y + 2),))
        for at, (x, y) in enumerate(places)
    ]
    found = data.painted(Picture(Path("a"), "a", 40, 40, tuple(boxes)))
    assert len(boxes) > 255
    assert (found == np.array([1, 2])[(np.arange(40) // 2) % 2]).all()


def test_legends_are_found_by_their_usual_names(tmp_path):
    assert legend.find(tmp_path) is None
    (tmp_path / "classes.txt").write_text("a\nb\n")
    assert legend.find(tmp_path) == tmp_path / "classes.txt"


@pytest.mark.parametrize("values", [[0], [1], [255], [0, 255], [0, 7]])
def test_masks_like_those_of_a_run_of_two_values_may_hold_one(values):
    found = legend.of_values(values, palette=False, void=None, known=("background", "object"))
    assert set(found.names.values()) <= {"background", "object"}
    assert {code for code, name in found.names.items() if name == "object"} == {*values} - {0}
    assert not found.void
