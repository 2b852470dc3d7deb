import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight
from torchvision.ops import sigmoid_focal_loss

from common.errors import ConfigError
from common.training import losses

WEIGHTS = torch.tensor([0.2, 1.0, 3.0, 0.5])


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(11, 4, generator=generator)
    return logits, torch.randint(4, (11,), generator=generator)


# --- focal --------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weight", [None, WEIGHTS])
def test_focal_with_gamma_0_is_cross_entropy(batch, weight, label_smoothing, reduction):
    given = {"weight": weight, "label_smoothing": label_smoothing, "reduction": reduction}
    torch.testing.assert_close(
        losses.focal(*batch, gamma=0.0, **given), F.cross_entropy(*batch, **given)
    )


def test_focal_is_equation_5(batch):
    logits, targets = batch
    p = logits.softmax(dim=1)[torch.arange(11), targets]
    expected = -WEIGHTS[targets] * (1 - p) ** 1.5 * p.log()
    actual = losses.focal(logits, targets, gamma=1.5, weight=WEIGHTS, reduction="none")
    torch.testing.assert_close(actual, expected)


def test_focal_of_two_classes_is_torchvision_sigmoid_focal_loss(batch):
    margin, targets = batch[0][:, 0], batch[1] % 2
    logits = torch.stack([torch.zeros_like(margin), margin], dim=1)
    expected = sigmoid_focal_loss(margin, targets.float(), alpha=0.25, gamma=2.0, reduction="none")
    weight = torch.tensor([0.75, 0.25])
    torch.testing.assert_close(
        losses.focal(logits, targets, gamma=2.0, weight=weight, reduction="none"), expected
    )


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_gradient(batch, gamma, label_smoothing):
    logits, targets = batch
    logits = logits.double().requires_grad_()
    weight = WEIGHTS.double()
    assert torch.autograd.gradcheck(
        lambda x: losses.focal(x, targets, gamma, weight, label_smoothing), logits
    )


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_of_large_logits_is_finite(gamma, label_smoothing):
    logits = torch.tensor([[1e4, 0.0, -1e4], [1e4, 0.0, -1e4]], requires_grad=True)
    values = losses.focal(
        logits, torch.tensor([0, 2]), gamma, label_smoothing=label_smoothing, reduction="none"
    )
    right, wrong = (values / (1 - label_smoothing)).tolist()
    if label_smoothing == 0:
        assert (right, wrong) == (0, 2e4), "certain and right costs nothing, 1 - p is 1 when wrong"
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    assert values.isfinite().all()
    assert gradient.isfinite().all()


def test_focal_bears_masked_classes():
    logits = torch.tensor([[1.0, 2.0, -torch.inf]], requires_grad=True)
    value = losses.focal(logits, torch.tensor([0]))
    (gradient,) = torch.autograd.grad(value, logits)
    torch.testing.assert_close(value, losses.focal(logits[:, :2], torch.tensor([0])))
    assert gradient.isfinite().all()


def test_focal_rejects_an_unknown_reduction(batch):
    with pytest.raises(ValueError, match="mean, sum or none, given 'max'"):
        losses.focal(*batch, reduction="max")


# --- build --------------------------------------------------------------------------------------


def test_build_passes_its_arguments_on(batch):
    given = {"class_weights": WEIGHTS, "label_smoothing": 0.1}
    entropy = losses.build("cross-entropy", **given)(*batch)
    focal = losses.build("focal", **given, gamma=0.7)(*batch)
    torch.testing.assert_close(
        entropy, F.cross_entropy(*batch, weight=WEIGHTS, label_smoothing=0.1)
    )
    torch.testing.assert_close(
        focal, losses.focal(*batch, gamma=0.7, weight=WEIGHTS, label_smoothing=0.1)
    )
    assert losses.build("focal")(*batch) < losses.build("cross-entropy")(*batch)


@pytest.mark.parametrize("outputs", [torch.tensor([1.0, 4.0]), torch.tensor([[1.0], [4.0]])])
def test_regression_losses_of_a_column_and_of_a_vector(outputs):
    targets = torch.tensor([0.0, 1.0])
    assert losses.build("mse")(outputs, targets) == 5
    assert losses.build("mae")(outputs, targets) == 2


@pytest.mark.parametrize("name", ["mse", "mae"])
@pytest.mark.parametrize(
    ("outputs", "targets"), [((3,), (3, 1)), ((3, 2), (3,)), ((1,), (3,)), ((3, 1, 1), (3,))]
)
def test_regression_losses_never_broadcast(name, outputs, targets):
    with pytest.raises(ValueError, match="expected outputs of the targets' shape"):
        losses.build(name)(torch.zeros(outputs), torch.zeros(targets))


@pytest.mark.parametrize("name", losses.LOSSES)
def test_every_loss_is_built_run_and_differentiated(name, batch):
    outputs = batch[0].requires_grad_()
    targets = batch[1] if name in ("cross-entropy", "focal") else torch.zeros(11, 4)
    value = losses.build(name)(outputs, targets)
    value.backward()
    assert value.shape == ()
    assert value > 0
    assert outputs.grad.abs().sum() > 0


def test_build_names_every_problem_at_once():
    with pytest.raises(ConfigError) as caught:
        losses.build("hinge", torch.tensor([1.0, 0.0]), label_smoothing=1.0, gamma=-1.0)
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "loss",
        "label smoothing",
        "focal gamma",
        "class weights",
    ]


@pytest.mark.parametrize("given", [{"class_weights": WEIGHTS}, {"label_smoothing": 0.1}])
def test_build_refuses_what_a_regression_loss_would_ignore(given):
    with pytest.raises(ConfigError, match="for classification"):
        losses.build("mse", **given)


# --- weights ------------------------------------------------------------------------------------


def test_balanced_class_weights_are_scikit_learns():
    targets = torch.tensor([0, 0, 0, 1, 2, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targets.numpy())
    weights = losses.balanced_class_weights(targets, 3)
    assert weights.dtype == torch.float32
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_a_class_without_samples_changes_nothing_for_the_others():
    targets = torch.tensor([0, 0, 0, 2])
    weights = losses.balanced_class_weights(targets, 4)
    torch.testing.assert_close(weights, torch.tensor([4 / 6, 1.0, 2.0, 1.0]))
    assert weights[targets].mean() == 1
    assert losses.balanced_class_weights(targets[:3], 1).tolist() == [1]


@pytest.mark.parametrize(
    ("targets", "given"), [([], "given none"), ([0, 3], "given 0 to 3"), ([-1, 0], "given -1 to 0")]
)
def test_balanced_class_weights_name_wrong_targets(targets, given):
    with pytest.raises(ValueError, match=given):
        losses.balanced_class_weights(torch.tensor(targets, dtype=torch.long), 3)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("class_weights", [None, WEIGHTS.double()])
@pytest.mark.parametrize("name", ["cross-entropy", "focal"])
def test_accumulated_micro_batches_are_the_large_batch(batch, name, class_weights, label_smoothing):
    logits, targets = batch[0].double(), batch[1]
    loss = losses.build(name, class_weights, label_smoothing)
    check_accumulation(loss, logits, targets, class_weights)


@pytest.mark.parametrize("name", ["mse", "mae"])
@pytest.mark.parametrize("shape", [(11,), (11, 3)])
def test_accumulated_regression_is_the_large_batch(name, shape):
    generator = torch.Generator().manual_seed(0)
    outputs, targets = torch.randn(2, *shape, generator=generator, dtype=torch.double)
    check_accumulation(losses.build(name), outputs, targets, None)


def check_accumulation(loss, outputs, targets, class_weights):
    outputs = outputs.requires_grad_()
    total = losses.weight_of(targets, class_weights)
    parts = sum(
        loss(o, t) * losses.weight_of(t, class_weights) / total
        for o, t in zip(outputs.split([2, 8, 1]), targets.split([2, 8, 1]), strict=True)
    )
    large = loss(outputs, targets)
    torch.testing.assert_close(parts, large)
    torch.testing.assert_close(
        torch.autograd.grad(parts, outputs), torch.autograd.grad(large, outputs)
    )
