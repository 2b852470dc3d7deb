"""`contrast`: drawn scenes and their captions in one space."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from common.errors import ConfigError, DataError
from common.options.config import build
from common.runs.conclude import conclusion_of
from labs.classification.contrastive import ask, drawings, questions
from labs.classification.contrastive.baselines import CHANCE, RIDGE, describe
from labs.classification.contrastive.config import ContrastConfig
from labs.classification.contrastive.data import cut, encode
from labs.classification.contrastive.drawings import GROUPS, Group, Scene, choose, draw, tell
from labs.classification.contrastive.job import ContrastScenes
from labs.classification.contrastive.models import Contrastive, TextTower
from labs.classification.contrastive.own import load
from labs.classification.contrastive.task import info_nce, rank_partners
from tests.silent import Silent

RED_CIRCLES, BLUE_SQUARE = Group(0, 0, 1), Group(2, 1, 0)
SMALL = {"scenes": 120, "width": 4, "text_size": 8, "embedding_size": 8, "image_size": 32}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, quick_pictures):
    options = {**SMALL, "epochs": 2, "batch_size": 32, "warmup": 0, "threads": 1, "device": "cpu"}
    config = build(
        ContrastConfig, ("test", {**options, "run_dir": str(tmp_path_factory.mktemp("r"))})
    )
    job, splits = ContrastScenes.start(config, ["run"])
    job.train(splits, Silent(), lambda line: None)
    return job, splits, conclusion_of(job).conclude(splits, prepared=0.0)


# --- scenes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vertical", "reverse", "english", "korean"),
    [
        (False, False, "two red circles left of a blue square",
         "파란 사각형 한 개 왼쪽에 빨간 원 두 개"),
        (False, True, "a blue square right of two red circles",
         "빨간 원 두 개 오른쪽에 파란 사각형 한 개"),
        (True, False, "two red circles above a blue square",
         "파란 사각형 한 개 위에 빨간 원 두 개"),
        (True, True, "a blue square below two red circles",
         "빨간 원 두 개 아래에 파란 사각형 한 개"),
    ],
)  # fmt: skip
def test_a_scene_is_told_in_two_languages(vertical, reverse, english, korean):
    scene = Scene(RED_CIRCLES, BLUE_SQUARE, vertical, reverse)
    assert tell(scene, "english") == english
    assert tell(scene, "korean") == korean
    for language in ("english", "korean"):
        known = drawings.vocabulary(language)
        assert encode([tell(scene, language)], known).min() > 0


def test_a_group_lies_where_the_caption_says():
    for seed in range(5):
        for vertical in (False, True):
            pixels = draw(
                Scene(RED_CIRCLES, BLUE_SQUARE, vertical), 48, np.random.default_rng(seed)
            )
            red, _, blue = pixels.astype(int)
            rows, columns = np.nonzero(red - blue > 60)
            other_rows, other_columns = np.nonzero(blue - red > 60)
            first, second = (rows, other_rows) if vertical else (columns, other_columns)
            assert len(first) > 20
            assert len(second) > 10
            assert first.max() < second.min()


def test_no_scene_is_in_two_splits_and_some_groups_are_never_trained_on():
    splits = {name: choose(0, name, 4000) for name in ("train", "validation", "test")}
    keys = {name: {scene.key for scene in each} for name, each in splits.items()}
    assert not keys["train"] & keys["test"]
    assert not keys["train"] & keys["validation"]
    assert not keys["validation"] & keys["test"]
    assert len(keys["test"]) == len(splits["test"]) == 1000
    trained = {group for scene in splits["train"] for group in scene.groups}
    assert trained == {group for group in GROUPS if not group.unseen}
    assert sum(group.unseen for group in GROUPS) == 12
    assert [scene.unseen for scene in splits["test"]] == [False] * 500 + [True] * 500
    for place in range(3):  # each value of each attribute is trained on
        assert {group[place] for group in trained} == {group[place] for group in GROUPS}


def test_scenes_depend_on_seed_split_and_number_alone():
    assert choose(0, "test", 1) == choose(0, "test", 99)
    assert choose(0, "test", 1) != choose(1, "test", 1)
    some, more = choose(0, "train", 10), choose(0, "train", 10)
    assert some == more
    pictures = drawings.draw_all(some, 32, 0, "train")
    np.testing.assert_array_equal(pictures[:4], drawings.draw_all(some[:4], 32, 0, "train"))
    assert (pictures != drawings.draw_all(some, 32, 1, "train")).any()


def test_one_scene_told_both_ways_has_one_key():
    scene = Scene(RED_CIRCLES, BLUE_SQUARE)
    assert scene.key == scene._replace(reverse=True).key
    others = (scene._replace(vertical=True), Scene(BLUE_SQUARE, RED_CIRCLES), Scene(RED_CIRCLES))
    assert len({scene.key, *(each.key for each in others)}) == 4


def test_a_word_that_is_not_known_is_named():
    with pytest.raises(DataError, match="never saw 'pink'"):
        encode(["two pink circles"], drawings.vocabulary("english"))
    with pytest.raises(DataError, match="is empty"):
        encode([" "], drawings.vocabulary("english"))


# --- loss and model -----------------------------------------------------------------------------


def test_the_loss_is_the_mean_of_both_cross_entropies():
    logits = torch.randn(5, 5)
    log_rows, log_columns = logits.log_softmax(1).diagonal(), logits.log_softmax(0).diagonal()
    expected = -(log_rows.mean() + log_columns.mean()) / 2
    torch.testing.assert_close(info_nce(logits, torch.arange(5)), expected)


def test_a_pair_that_looks_the_same_is_not_wrong():
    logits = torch.tensor([[3.0, 9.0, 0.0], [9.0, 3.0, 0.0], [0.0, 0.0, 3.0]])
    plain = info_nce(logits, torch.tensor([0, 1, 2]))
    masked = info_nce(logits, torch.tensor([7, 7, 2]))
    kept = functional.cross_entropy(torch.tensor([[3.0, 0.0]]), torch.tensor([0]))
    last = functional.cross_entropy(logits[2:], torch.tensor([2]))
    torch.testing.assert_close(masked, (2 * kept + last) / 3)
    assert masked < plain


def test_similarities_are_cosines_times_a_scale_that_is_learned_and_bounded():
    model = Contrastive(20, 4, 8, 6, 0.07)
    seen, read = model(torch.randint(256, (3, 3, 32, 32)).byte(), torch.randint(1, 21, (3, 7)))
    torch.testing.assert_close(seen.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(read.norm(dim=1), torch.ones(3))
    assert model.scale.item() == pytest.approx(1 / 0.07)
    model.log_scale.data.fill_(math.log(1e6))
    assert model.scale.item() == pytest.approx(100, rel=1e-4)


def test_padding_does_not_change_what_a_caption_means_and_order_does():
    tower = TextTower(9, 8, 4).eval()
    one = tower(torch.tensor([[3, 1, 4]]))
    torch.testing.assert_close(one, tower(torch.tensor([[3, 1, 4, 0, 0]])))
    assert not torch.allclose(one, tower(torch.tensor([[4, 1, 3]])))


def test_ranks_count_what_is_nearer_or_as_near():
    scores = np.array([[0.9, 0.1, 0.9], [0.2, 0.8, 0.3], [0.5, 0.9, 0.7]])
    assert rank_partners(scores).tolist() == [[2, 1], [1, 2], [2, 2]]


# --- questions ----------------------------------------------------------------------------------


class Knowing:
    """A space that reads captions as words in order, and sees what is there."""

    def __init__(self, pairs, words_alone):
        told = [tell(scene, "english") for scene in pairs.scenes]
        self._of_image = {image.numpy().tobytes(): one
                          for image, one in zip(pairs.images, told, strict=True)}  # fmt: skip
        self._words_alone = words_alone

    def see(self, images):
        return self.read([self._of_image[image.numpy().tobytes()] for image in images])

    def read(self, captions):
        found = np.zeros((len(captions), 500))
        for row, caption in enumerate(captions):
            for place, word in enumerate(caption.split()):
                number = drawings.vocabulary("english").index(word)
                found[row, number if self._words_alone else number + 21 * place] += 1
        return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.mark.parametrize("words_alone", [True, False])
def test_who_knows_only_words_is_at_chance_where_order_is_asked(trained, words_alone):
    _, splits, _ = trained
    test, rows = splits["test"], range(0, 1000, 10)
    test = replace(
        test,
        images=test.images[::10],
        scenes=[test.scenes[row] for row in rows],
        captions=[test.captions[row] for row in rows],
    )
    space = Knowing(test, words_alone)
    found = questions.ask_foils(space, test, "english", 0)
    for kind, counted in found.items():
        by_chance = words_alone and kind in ("order", "binding")
        assert counted.figures()["accuracy"] == (0.5 if by_chance else 1)
    assert questions.ask_relation(space, test, "english").right.mean() == 1


def test_foils_differ_in_what_they_say(trained):
    _, splits, _ = trained
    drawn = np.random.default_rng(0)
    for scene in splits["test"].scenes[:50]:
        for kind in questions.FOILS:
            foil = questions.change(scene, kind, drawn)
            if foil is not None:
                assert foil.key != scene.key
                assert foil.reverse == scene.reverse


# --- runs ---------------------------------------------------------------------------------------


def test_a_run_has_recall_prompts_foils_and_baselines(trained):
    job, splits, metrics = trained
    assert set(metrics["baselines"]) == {RIDGE, CHANCE}
    assert metrics["baselines"][CHANCE]["recall_at_1"] < 0.01
    assert metrics["baselines"][RIDGE]["recall_at_1"] > 0.005
    test = metrics["test"]
    both = (test["image_to_text_recall_at_1"] + test["text_to_image_recall_at_1"]) / 2
    assert test["recall_at_1"] == pytest.approx(both)
    halves = (test["image_to_text_recall_at_1_seen"] + test["image_to_text_recall_at_1_unseen"]) / 2
    assert test["image_to_text_recall_at_1"] == pytest.approx(halves)
    assert metrics["temperature"] == pytest.approx(1 / job.scale)
    assert set(metrics["zero_shot"]) == {"color", "shape", "count", "relation"}
    assert set(metrics["foils"]) == set(questions.FOILS)
    assert metrics["foils"]["order"]["network"]["samples"] == 1000
    report = job.run.report.read_text("utf-8")
    for title in ("Retrieval", "Similarities", "What is found", "Prompts", "Captions that lie"):
        assert f">{title}<" in report


def test_a_run_is_asked_about_a_users_images(trained, tmp_path):
    job, splits, _ = trained
    for row in range(3):
        picture = Image.fromarray(splits["test"].images[row].permute(1, 2, 0).numpy())
        picture.save(tmp_path / f"그림 {row}.png")
    captions = ["two red circles", "a blue square left of three green stars"]
    found = ask.ask(job, [tmp_path], captions, 10, print)
    assert len(found) == 3
    for each in found:
        shares = [each[f"p({caption})"] for caption in captions]
        assert sum(shares) == pytest.approx(1)
        assert each["caption"] == captions[int(np.argmax(shares))]
    alone = ask.ask(job, [], ["two red circles"], 4, print)
    assert [each["cosine"] for each in alone] == sorted((e["cosine"] for e in alone), reverse=True)
    assert all(each["its own caption"] in splits["test"].captions for each in alone)


def test_other_commands_refuse_such_a_run(trained, lab):
    job, *_ = trained
    found = lab("predict", job.run.path, job.run.path)
    assert found.code != 0
    assert "contrast-ask" in found.err


def test_the_baseline_sees_where_colors_are():
    scene = Scene(RED_CIRCLES, BLUE_SQUARE)
    pictures = [draw(each, 32, np.random.default_rng(0)) for each in (scene, scene)]
    one = describe(torch.from_numpy(np.stack(pictures)))
    np.testing.assert_array_equal(one[0], one[1])
    flipped = describe(torch.from_numpy(pictures[0][None, :, :, ::-1].copy()))
    assert np.abs(one[0] - flipped[0]).max() > 0.1


# --- a user's own images ------------------------------------------------------------------------


def write_pairs(
    folder, images=60, form="{name},{caption}\n", header="image,caption\n", korean=False
):
    """Write scenes as a user has them: a folder of images, and two captions of each in a table."""
    (folder / "Images").mkdir(parents=True)
    rows = [header]
    for number, scene in enumerate(choose(0, "train", images)):
        pixels = draw(scene, 40, np.random.default_rng(number))
        name = f"사진 {number}.png"
        Image.fromarray(np.moveaxis(pixels, 0, -1)).save(folder / "Images" / name)
        told = tell(scene, "korean" if korean else "english")
        for place, caption in enumerate((told, f"Number {number} shows {told} .")):
            rows.append(form.format(name=name, place=place, caption=caption))
    (folder / "captions.txt").write_text("".join(rows), "utf-8")
    return folder


def own_config(folder, **options):
    small = {name: value for name, value in SMALL.items() if name != "scenes"}
    return build(ContrastConfig, ("test", {**small, "data": str(folder), **options}))


def test_no_image_is_in_two_splits_and_training_has_all_its_captions(tmp_path):
    folder = write_pairs(tmp_path / "쌍")
    pixels = (folder / "Images" / "사진 0.png").read_bytes()
    (folder / "Images" / "copy.png").write_bytes(pixels)
    with (folder / "captions.txt").open("a", encoding="utf-8") as file:
        file.write("copy.png,the same picture once more\n")
    splits, card = load(own_config(folder))
    images = {
        name: {image.numpy().tobytes() for image in split.images} for name, split in splits.items()
    }
    assert not images["train"] & images["test"]
    assert not images["train"] & images["validation"]
    assert not images["validation"] & images["test"]
    assert sum(map(len, images.values())) == 60  # the copy has the pixels of another
    assert len(splits["train"]) >= 2 * len(images["train"])
    assert len(splits["test"]) == len(images["test"])
    assert len({*splits["test"].captions}) == len(splits["test"])
    assert card.counts == {name: len(split) for name, split in splits.items()}


def test_pairs_of_one_image_or_one_caption_are_not_wrong_for_one_another(tmp_path):
    splits, _ = load(own_config(write_pairs(tmp_path / "pairs")))
    train = splits["train"]
    assert train.keys[0] == train.keys[1]
    assert (train.images[0] == train.images[1]).all()
    first = {}
    for caption, key in zip(train.captions, train.keys.tolist(), strict=True):
        assert first.setdefault(caption, key) == key


def test_words_come_from_training_alone_and_others_are_one_word(tmp_path):
    splits, card = load(own_config(write_pairs(tmp_path / "pairs", korean=True)))
    assert card.words[0] == "?"
    known = {word for caption in splits["train"].captions for word in cut(caption)}
    assert {*card.words[1:]} <= known
    numbers = encode(["Number 999 shows"], card.words, strict=False)[0].tolist()
    assert numbers[1] == 1
    assert min(numbers[0], numbers[2]) > 1
    with pytest.raises(DataError, match="never saw '999'"):
        encode(["Number 999 shows"], card.words)


@pytest.mark.parametrize(
    ("form", "header", "options"),
    [
        ("{name}| {place}| {caption}\n", "image_name| comment_number| comment\n", {}),
        ("{name}#{place}\t{caption}\n", "", {"header": "no"}),
    ],
)
def test_captions_are_read_as_published_sets_have_them(tmp_path, form, header, options):
    plain, _ = load(own_config(write_pairs(tmp_path / "plain")))
    other, _ = load(own_config(write_pairs(tmp_path / "other", 60, form, header), **options))
    for name, split in plain.items():
        assert other[name].captions == split.captions
        assert torch.equal(other[name].images, split.images)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda folder: (folder / "captions.txt").unlink(), "no table of captions in it"),
        (lambda folder: (folder / "captions.csv").write_text("a,b\n"), "which table has"),
        (lambda folder: rewrite(folder, "image,caption", "사진 0.png,first"), "give --header no"),
        (lambda folder: rewrite(folder, "사진", "photo"), "no column names images that lie in"),
        (lambda folder: rewrite(folder, "image,caption", "image,note"), None),
        (lambda folder: rewrite(folder, "\n사진 ", "\nno "), "no column names images"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, write, message):
    folder = write_pairs(tmp_path / "pairs")
    write(folder)
    if message is None:  # the only column with several words
        assert load(own_config(folder))[1].counts["test"] == 12
        return
    with pytest.raises(DataError, match=message):
        load(own_config(folder))


def rewrite(folder, old, new):
    path = folder / "captions.txt"
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")


def test_few_images_and_equal_captions_are_refused(tmp_path):
    with pytest.raises(
        DataError, match="20 images with captions can be read, of which at least 30"
    ):
        load(own_config(write_pairs(tmp_path / "few", 20)))
    with pytest.raises(DataError, match="the same captions"):
        load(own_config(write_pairs(tmp_path / "same", 40, "{name},a picture\n")))


def test_options_of_scenes_and_of_tables_do_not_go_together():
    for options, message in (
        ({"data": "pairs", "scenes": 100}, "goes with drawn scenes"),
        ({"header": "no"}, "goes with a table of captions"),
    ):
        with pytest.raises(ConfigError, match=message):
            build(ContrastConfig, ("test", options))


def test_a_run_on_own_images_is_reported_and_asked(lab, tmp_path, quick_pictures):
    folder = write_pairs(tmp_path / "pairs")
    small = {name: value for name, value in SMALL.items() if name != "scenes"}
    options = {**small, "epochs": 1, "warmup": 0, "device": "cpu", "run_dir": tmp_path / "runs"}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    found = lab("contrast", "--data", folder, "--name", "own", *flags)
    assert found.code == 0, found.err
    assert "captions from 'caption'" in found.out + found.err
    run = tmp_path / "runs" / "classification" / "own"
    metrics = json.loads((run / "metrics.json").read_text("utf-8"))
    assert metrics["zero_shot"]["word"]["network"]["samples"] > 0
    assert "foils" not in metrics
    report = (run / "report.html").read_text("utf-8")
    assert ">Prompts<" in report
    assert "never trained on" not in report
    asked = lab("contrast-ask", run, folder / "Images" / "사진 0.png", "--caption", "Two circles.")
    assert asked.code == 0, asked.err
    assert "never saw 'pink'" in lab("contrast-ask", run, "--caption", "pink").err


def test_who_sees_no_image_tells_half_of_the_words(tmp_path):
    test = load(own_config(write_pairs(tmp_path / "pairs", 120)))[0]["test"]

    class Blind:
        def see(self, images):
            return np.ones((len(images), 1))

        def read(self, captions):
            return np.array([[len(caption)] for caption in captions], float)

    assert questions.ask_words(Blind(), test, 0).right.mean() == 0.5
