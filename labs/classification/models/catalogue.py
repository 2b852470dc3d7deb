"""The names of the classifiers, readable without importing torch."""

LITE = "efficientnet-lite0"  # a model from a package, and its weights

MODELS: dict[str, str] = {  # the ladder: each rung adds one thing
    "linear": "one template per class: softmax regression on the pixels",
    "mlp": "two hidden layers of 256 and 128 ReLU units on the pixels",
    "locally-connected": "lenet5 whose windows each have weights of their own (LeCun 1989)",
    "lenet5-1998": "as published (LeCun et al. 1998): tanh, trained subsampling, fixed class codes",
    "lenet5": "two convolutions, three linear layers (LeCun et al. 1998); ReLU and max pooling",
    "alexnet": "five convolutions, three linear layers (Krizhevsky 2014)",
    "alexnet-lrn": "with local response normalization (Krizhevsky et al. 2012)",
    "alexnet-bn": "with batch norm in its place",
    "vgg11": "eight 3x3 convolutions, three linear layers (Simonyan & Zisserman 2015)",
    "vgg11_bn": "with batch norm",
    "vgg13": "ten 3x3 convolutions, three linear layers",
    "vgg13_bn": "with batch norm",
    "vgg16": "thirteen 3x3 convolutions, three linear layers",
    "vgg16_bn": "with batch norm",
    "vgg19": "sixteen 3x3 convolutions, three linear layers",
    "vgg19_bn": "with batch norm",
    "resnet20": "19 convolutions with shortcuts, for small images (He et al. 2016)",
    "resnet32": "31 convolutions with shortcuts",
    "resnet56": "55 convolutions with shortcuts",
    LITE: "EfficientNet for small devices (Tan & Le 2019), with weights from a package",
}

# Of list_models(module=torchvision.models) those that are not above; a test holds it to the
# installed version.
TORCHVISION: tuple[str, ...] = (
    "convnext_base",
    "convnext_large",
    "convnext_small",
    "convnext_tiny",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_s",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mnasnet0_75",
    "mnasnet1_0",
    "mnasnet1_3",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "regnet_x_16gf",
    "regnet_x_1_6gf",
    "regnet_x_32gf",
    "regnet_x_3_2gf",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_x_8gf",
    "regnet_y_128gf",
    "regnet_y_16gf",
    "regnet_y_1_6gf",
    "regnet_y_32gf",
    "regnet_y_3_2gf",
    "regnet_y_400mf",
    "regnet_y_800mf",
    "regnet_y_8gf",
    "resnet101",
    "resnet152",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
    "squeezenet1_0",
    "squeezenet1_1",
    "swin_b",
    "swin_s",
    "swin_t",
    "swin_v2_b",
    "swin_v2_s",
    "swin_v2_t",
    "vit_b_16",
    "vit_b_32",
    "vit_h_14",
    "vit_l_16",
    "vit_l_32",
    "wide_resnet101_2",
    "wide_resnet50_2",
)


# The weight of the auxiliary classifiers' loss in training: of the GoogLeNet paper (Szegedy et al.
# 2015, section 5), and of Inception v3 as its authors released it.
AUXILIARY: dict[str, float] = {"googlenet": 0.3, "inception_v3": 0.4}


# Those of torchvision that cannot take the 64 pixels which color models get.
_SMALLEST: dict[str, int] = {"inception_v3": 75, "maxvit_t": 224, "vit_h_14": 70}


def model_names() -> tuple[str, ...]:
    """Return every name that `models.build.build` takes, the lab's own first."""
    return (*MODELS, *TORCHVISION)


def needs_color(name: str) -> bool:
    """Say whether a model takes color images only (three channels), as torchvision's do."""
    return name in TORCHVISION or name == LITE


def smallest_input(name: str) -> int:
    """Return the pixels of a side to which smaller sets are scaled when no size is asked for."""
    if name in _SMALLEST:
        return _SMALLEST[name]
    if needs_color(name) or name.startswith("alexnet"):
        return 64
    if name.startswith("vgg"):
        return 32
    return 28 if name.startswith(("lenet", "locally")) else 1


def usual_input(name: str) -> tuple[int, int, int]:
    """Return channels, pixels of a side, and classes of the data that a model was published for."""
    if needs_color(name) or name.startswith(("alexnet", "vgg")):
        return 3, 224, 1000
    return (3, 32, 10) if name.startswith("resnet") else (1, 28, 10)
