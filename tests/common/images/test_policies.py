"""Outside policies: names, files, seeds, and what they refuse."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torchvision.transforms import v2

from common.errors import ConfigError, DataError
from common.images import policies
from common.images.policies import Albumentations, Changed, Torchvision
from common.images.sets import ImageSet
from common.options import config
from common.options.config import ImageConfig
from common.training.batches import Batches, Place

try:
    albumentations = policies._albumentations()
except ConfigError:
    albumentations = None


def picture(channels=3, size=24, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (channels, size, size), generator=generator, dtype=torch.uint8)


@pytest.fixture
def file(tmp_path):
    """Return a function that saves a pipeline of Albumentations, and says where."""
    if albumentations is None:
        pytest.skip("Albumentations is not installed")

    def save(transform, name="정책.json"):
        form = "json" if name.endswith("json") else "yaml"
        with (tmp_path / name).open("w", encoding="utf-8") as stream:
            albumentations.save(transform, stream, data_format=form)
        return tmp_path / name

    return save


def pipeline():
    return albumentations.Compose(
        [
            albumentations.Rotate(30, p=1),
            albumentations.OneOf([albumentations.GaussianBlur(), albumentations.InvertImg()]),
            albumentations.GaussNoise(p=1),
        ]
    )


def test_the_names_are_those_of_torchvision():
    assert set(policies._KINDS) == set(config.POLICIES)
    assert all(hasattr(v2, name) for name in policies._KINDS.values())


@pytest.mark.parametrize("name", [*config.POLICIES, "file"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_seed_says_what_becomes_of_an_image(name, channels, file):
    policy = Albumentations(file(pipeline())) if name == "file" else Torchvision(name)
    image = picture(channels)
    before, stream = image.clone(), torch.get_rng_state()
    results = {policy(image, seed).numpy().tobytes() for seed in range(2**62, 2**62 + 8)}
    assert len(results) > 1
    assert torch.equal(policy(image, 3), policy(image, 3))
    assert torch.equal(pickle.loads(pickle.dumps(policy))(image, 3), policy(image, 3))
    assert policy(image, 3).shape == image.shape
    assert policy(image, 3).dtype == torch.uint8
    assert torch.equal(image, before)
    assert torch.equal(torch.get_rng_state(), stream)


def test_torchvisions_policy_is_torchvisions():
    torch.manual_seed(9)
    expected = v2.TrivialAugmentWide()(picture())
    assert torch.equal(Torchvision("trivialaugment")(picture(), 9), expected)


@pytest.mark.parametrize("name", ["a.json", "b.yaml"])
def test_a_file_does_what_its_pipeline_does(name, file):
    policy = Albumentations(file(albumentations.HorizontalFlip(p=1), name))
    assert torch.equal(policy(picture(), 0), picture().flip(2))


def test_several_policies_follow_one_another_with_seeds_of_their_own(file):
    flips = policies.parse([f"policy:{file(albumentations.HorizontalFlip(p=1))}"] * 2)
    assert torch.equal(policies.apply(flips, picture(), 5), picture())
    noise = policies.parse([f"policy:{file(albumentations.GaussNoise(p=1))}"] * 2)
    once = noise[0](picture(), policies.seeding.derive(5, 0))
    assert torch.equal(
        policies.apply(noise, picture(), 5), noise[1](once, policies.seeding.derive(5, 1))
    )


def test_specs_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    specs = ("policy:augmix", "policy:정책.json", "affine:3")
    assert policies.parse(specs) == (Torchvision("augmix"), Albumentations(Path("정책.json")))
    assert policies.leave_out(specs) == ("affine:3",)
    located = ImageConfig(augment=specs).located().augment
    assert located == (specs[0], f"policy:{tmp_path}/정책.json", "affine:3")


def test_evaluation_changes_nothing():
    split = ImageSet(torch.stack([picture()]), torch.tensor([4]), ("a",))
    image, target = Changed(split, policies.parse(["policy:autoaugment"]))[Place(0, 0, None)]
    assert torch.equal(image, picture())
    assert target == 4


@pytest.mark.parametrize("spec", ["policy:trivialaugment", "policy:FILE"])
def test_neither_batches_nor_workers_nor_the_start_change_what_is_drawn(spec, file):
    spec = spec.replace("FILE", str(file(pipeline())))
    images = torch.stack([picture(seed=seed) for seed in range(20)])
    split = ImageSet(images, torch.arange(20), tuple(map(str, range(20))))

    def epoch(number=1, start=0, **options):
        data = Changed(split, policies.parse([spec]))
        batches = Batches(data, training=True, seed=3, **options)
        found = [batch for update in batches.updates(number, start) for batch in update]
        batches.close()
        return torch.cat([found[0] for found in found]), torch.cat([found[1] for found in found])

    expected = epoch(batch_size=20)
    assert not torch.equal(expected[0], images[expected[1]])
    others = [epoch(batch_size=8, micro_batch=3), epoch(batch_size=8, workers=2)]
    for result in others:
        assert all(map(torch.equal, result, expected))
    rest = epoch(batch_size=8, workers=1, start=1)
    assert torch.equal(rest[0], expected[0][8:])
    assert not torch.equal(epoch(number=2, batch_size=20)[0], expected[0])


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (lambda: albumentations.RandomCrop(8, 8), r"makes uint8 \(8, 8, 3\) of .* uint8 \(24, 24"),
        (lambda: albumentations.Normalize(), r"makes float32 .* leave out Normalize"),
        (lambda: albumentations.ToTensorV2(), "leave out Normalize, ToFloat and ToTensorV2"),
        (lambda: albumentations.RandomCrop(30, 30), "(?i)crop"),
    ],
)
def test_what_does_not_keep_the_image_is_refused(transform, expected, file):
    split = ImageSet(picture()[None], torch.zeros(1), ("a",))
    with pytest.raises(DataError, match=expected):
        policies.check([f"policy:{file(transform())}"], split)


def test_color_alone_is_refused_on_grey_images(file):
    with pytest.raises(DataError, match="policy .*3-channel"):
        Albumentations(file(albumentations.RandomFog(p=1)))(picture(1), 0)


def changed(**values):
    return {"transform": {"__class_fullname__": "HorizontalFlip", "p": 1.0, **values}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (json.dumps(changed(strength=3)), "Argument.*'strength' are not valid"),
        (json.dumps(changed(p=7)), "cannot|can build"),
        (json.dumps(changed(__class_fullname__="os.system")), "no transform 'os.system'"),
        (json.dumps({"transform": [1]}), "is no pipeline of Albumentations"),
        ("[1, 2", "cannot be read"),
        ("!!python/object/apply:os.system ['touch executed']", "cannot be read"),
        ("", "is no pipeline"),
        ("\x00", "cannot be read"),
    ],
)
def test_a_bad_file_is_refused_and_runs_nothing(text, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"policy {tmp_path}/p.yaml .*{expected}"):
        Albumentations(tmp_path / "p.yaml")(picture(), 0)
    assert not (tmp_path / "executed").exists()


def test_a_mistyped_name_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match="no such file.*did you mean policy:trivialaugment?"):
        policies.parse(["policy:trivialaugmen"])[0](picture(), 0)
    with pytest.raises(ConfigError, match="cannot be read"):
        Albumentations(tmp_path)(picture(), 0)


def test_without_the_extra_it_says_what_to_install(file, monkeypatch):
    policy = Albumentations(file(pipeline()))
    monkeypatch.setitem(sys.modules, "albumentations", None)
    with pytest.raises(ConfigError, match=r"install -e '\.\[albumentations\]'.*policy:augmix"):
        policy(picture(), 0)
    assert Torchvision("augmix")(picture(), 0).shape == (3, 24, 24)


@pytest.mark.slow
def test_nobody_on_the_internet_is_asked(file):
    script = (
        "import socket, sys\n"
        "def refuse(*_): raise SystemExit('asked the internet')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from pathlib import Path\n"
        "import torch\n"
        "from common.images.policies import Albumentations\n"
        f"policy = Albumentations(Path({str(file(pipeline()))!r}))\n"
        "print(policy(torch.zeros(3, 9, 9, dtype=torch.uint8), 1).shape)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "torch.Size([3, 9, 9])\n"), result.stderr
