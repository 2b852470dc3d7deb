"""The classifiers, a row for each family, readable without importing torch.

To add a model, write the function that builds it and a row that names the function. Its tests come
from the row; options, recipes and pictures go by it.
"""

from typing import Any, NamedTuple

Rgb = tuple[float, float, float]  # a value for each channel, of pixels in [0, 1]

_MODULES = "labs.classification.models"
_LITE0 = "common.images.efficientnet_lite"
_IMAGENET, _CIFAR, _MNIST = (3, 224, 1000), (3, 32, 10), (1, 28, 10)  # what models are made for
_HALF: tuple[Rgb, Rgb] = ((0.5,) * 3, (0.5,) * 3)  # pixels from -1 to 1


class Family(NamedTuple):
    """Models that one function builds, with all that they have alike.

    Attributes:
        models: names, each with a line about it; torchvision's have none.
        builder: "module:function" of (name, channels, image_size, classes) that returns a model.
        usual: channels, pixels of a side, and classes of the data that they were published for.
        smallest: pixels of a side to which smaller sets are scaled when no size is asked for.
        plot_color: theirs in pictures; Okabe and Ito's.
        recipe: with values that suit them; None for the defaults.
        needs_color: whether they take color images only (three channels).
        tried: whether a new model can be tried out on the meta device, without numbers.
        auxiliary: weight of the loss of their auxiliary classifiers in training.
        weights: "module:function" that returns the file of their weights, where a package has them.
        normalization: mean and deviation of the images that their weights saw; None for what
            torchvision says.
    """

    models: dict[str, str]
    builder: str
    usual: tuple[int, int, int]
    smallest: int
    plot_color: str
    recipe: str | None = None
    needs_color: bool = False
    tried: bool = True
    auxiliary: float = 0.0
    weights: str | None = None
    normalization: tuple[Rgb, Rgb] | None = None


def _torchvision(names: str, builder: str = "plain", **values: Any) -> Family:
    """Return a row of torchvision's models.

    Args:
        names: with spaces between them.
        builder: function in `torchvision_models`.
        values: of `Family`, where they are others than most have.
    """
    models = dict.fromkeys(names.split(), "")
    builder = f"{_MODULES}.torchvision_models:{builder}"
    usual = Family(models, builder, _IMAGENET, 64, "#56b4e9", "torchvision", needs_color=True)
    return usual._replace(**values)


FAMILIES = (  # the ladder: each rung adds one thing
    Family(
        {"linear": "one template per class: softmax regression on the pixels"},
        f"{_MODULES}.flat:linear",
        usual=_MNIST,
        smallest=1,
        plot_color="#e69f00",
        recipe="linear",
    ),
    Family(
        {"mlp": "two hidden layers of 256 and 128 ReLU units on the pixels"},
        f"{_MODULES}.flat:mlp",
        usual=_MNIST,
        smallest=1,
        plot_color="#e69f00",
        recipe="mlp",
    ),
    Family(
        {"locally-connected": "lenet5 whose windows each have weights of their own (LeCun 1989)"},
        f"{_MODULES}.lenet:locally_connected",
        usual=_MNIST,
        smallest=28,
        plot_color="#d55e00",
    ),
    Family(
        {
            "lenet5-1998": "as published (LeCun et al. 1998): tanh, trained subsampling, fixed "
            "class codes"
        },
        f"{_MODULES}.lenet:lenet5_1998",
        usual=_MNIST,
        smallest=28,
        plot_color="#0072b2",
    ),
    Family(
        {
            "lenet5": "two convolutions, three linear layers (LeCun et al. 1998); ReLU and max "
            "pooling"
        },
        f"{_MODULES}.lenet:lenet5",
        usual=_MNIST,
        smallest=28,
        plot_color="#0072b2",
    ),
    Family(
        {
            "alexnet": "five convolutions, three linear layers (Krizhevsky 2014)",
            "alexnet-lrn": "with local response normalization (Krizhevsky et al. 2012)",
            "alexnet-bn": "with batch norm in its place",
        },
        f"{_MODULES}.alexnet:alexnet",
        usual=_IMAGENET,
        smallest=64,
        plot_color="#cc79a7",
        recipe="alexnet",
    ),
    Family(
        {
            "vgg11": "eight 3x3 convolutions, three linear layers (Simonyan & Zisserman 2015)",
            "vgg13": "ten 3x3 convolutions, three linear layers",
            "vgg16": "thirteen 3x3 convolutions, three linear layers",
            "vgg19": "sixteen 3x3 convolutions, three linear layers",
        },
        f"{_MODULES}.vgg:vgg",
        usual=_IMAGENET,
        smallest=32,
        plot_color="#009e73",
        recipe="vgg",
    ),
    Family(
        {f"vgg{layers}_bn": f"vgg{layers} with batch norm" for layers in (11, 13, 16, 19)},
        f"{_MODULES}.vgg:vgg",
        usual=_IMAGENET,
        smallest=32,
        plot_color="#009e73",
        recipe="vgg_bn",
    ),
    Family(
        {
            "resnet20": "19 convolutions with shortcuts, for small images (He et al. 2016)",
            "resnet32": "31 convolutions with shortcuts",
            "resnet56": "55 convolutions with shortcuts",
        },
        f"{_MODULES}.resnet:resnet",
        usual=_CIFAR,
        smallest=1,
        plot_color="#222222",
    ),
    Family(
        {
            "small-vit": "a vision transformer by hand: patches, learned positions, attention "
            "(Dosovitskiy et al. 2021)",
            "small-vit-no-position": "without positions: patches are a set",
            "small-vit-overlap": "of patches that overlap (Wu et al. 2021)",
            "small-vit-conv-stem": "of patches that convolutions make (Xiao et al. 2021)",
            "small-vit-conv-position": "a convolution in place of the positions (Chu et al. 2021)",
            "small-vit-conv": "both: patches and positions of convolutions",
        },
        f"{_MODULES}.vit:vit",
        usual=_MNIST,
        smallest=8,
        plot_color="#882255",  # of Tol: the last of those is too light for lines
        recipe="small-vit",
    ),
    Family(
        {
            "efficientnet-lite0": "EfficientNet for small devices (Tan & Le 2019), with weights "
            "from a package"
        },
        f"{_LITE0}:efficientnet_lite0",
        usual=_IMAGENET,
        smallest=64,
        plot_color="#56b4e9",
        recipe="torchvision",
        needs_color=True,
        weights=f"{_LITE0}:weights_file",
        # What its authors trained it on: (pixel - 127) / 128. On photographs their classes come out
        # surer with it than with the mean and deviation of ImageNet that the package's page shows.
        normalization=((127 / 255,) * 3, (128 / 255,) * 3),
    ),
    # Of list_models(module=torchvision.models) those that are not above; a test holds them to the
    # installed version.
    _torchvision("convnext_base convnext_large convnext_small convnext_tiny"),
    _torchvision("densenet121 densenet161 densenet169 densenet201"),
    _torchvision(
        "efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 "
        "efficientnet_b5 efficientnet_b6 efficientnet_b7"
    ),
    _torchvision("efficientnet_v2_l efficientnet_v2_m efficientnet_v2_s"),
    # The weights of the auxiliary losses are those of the GoogLeNet paper (Szegedy et al. 2015,
    # section 5), and of Inception v3 as its authors released it. Both were trained on pixels
    # between -1 and 1; torchvision converts what others normalized.
    _torchvision("googlenet", "googlenet", auxiliary=0.3, normalization=_HALF),
    _torchvision("inception_v3", "inception", smallest=75, auxiliary=0.4, normalization=_HALF),
    _torchvision("maxvit_t", "maxvit", smallest=224),
    _torchvision("mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3"),
    _torchvision("mobilenet_v2 mobilenet_v3_large mobilenet_v3_small"),
    # Their constructors read tensors, which have no values on meta; they take any size.
    _torchvision(
        "regnet_x_16gf regnet_x_1_6gf regnet_x_32gf regnet_x_3_2gf regnet_x_400mf regnet_x_800mf "
        "regnet_x_8gf regnet_y_128gf regnet_y_16gf regnet_y_1_6gf regnet_y_32gf regnet_y_3_2gf "
        "regnet_y_400mf regnet_y_800mf regnet_y_8gf",
        tried=False,
    ),
    _torchvision("resnet101 resnet152 resnet18 resnet34 resnet50"),
    _torchvision("resnext101_32x8d resnext101_64x4d resnext50_32x4d"),
    _torchvision("shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0"),
    _torchvision("squeezenet1_0 squeezenet1_1"),
    _torchvision("swin_b swin_s swin_t swin_v2_b swin_v2_s swin_v2_t"),
    _torchvision("vit_b_16 vit_b_32 vit_l_16 vit_l_32", "transformer"),
    _torchvision("vit_h_14", "transformer", smallest=70),
    _torchvision("wide_resnet101_2 wide_resnet50_2"),
)

MODELS = {name: family for family in FAMILIES for name in family.models}
"""The row of every model, by its name; the lab's own come first."""

DESCRIPTIONS = {name: line for family in FAMILIES for name, line in family.models.items() if line}
"""The lab's own models, with a line about each."""

TIMM = "timm:"
"""Before the name of any of timm's models, which a package of its own has."""

_OF_TIMM = _torchvision("")._replace(builder=f"{_MODULES}.timm_models:build")

TORCHVISION = tuple(sorted(MODELS.keys() - DESCRIPTIONS))

PACKAGED = tuple(name for name, family in MODELS.items() if family.weights)
"""Models with weights from a package: `--weights` takes their names."""


def is_known(name: str) -> bool:
    """Say whether a name may be that of a model; which models timm has, it says itself."""
    return name in MODELS or name.startswith(TIMM)


def find_family(name: str) -> Family:
    """Return the row of a model that is known."""
    return _OF_TIMM if name.startswith(TIMM) else MODELS[name]
