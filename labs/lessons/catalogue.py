"""The lessons, readable without importing torch."""

from typing import NamedTuple


class Lesson(NamedTuple):
    """A lesson."""

    title: str
    page: str  # of docs/lessons, without its suffix
    task: str  # what the file has to hold, in a sentence


LESSONS: dict[int, Lesson] = {
    1: Lesson(
        "The step one can read",
        "01-the-step",
        "`train_step(model, loss_function, optimizer, inputs, targets)`: one update of the "
        "weights; it returns the loss as a number",
    ),
    2: Lesson(
        "Parameters",
        "02-parameters",
        "`count_parameters(model)`: how many parameters of a network train, and how many there are",
    ),
    3: Lesson(
        "Schedulers",
        "03-schedulers",
        "`learning_rate(step, steps, peak, warmup)`: a warm-up, then half a cosine",
    ),
    4: Lesson(
        "Metrics that lie",
        "04-metrics-that-lie",
        "`measure(truth, said)`: accuracy, balanced accuracy and macro F1",
    ),
    5: Lesson(
        "From templates to convolutions",
        "05-templates-to-convolutions",
        "`convolve(image, kernel, padding=0, stride=1)`: a convolution by hand",
    ),
    6: Lesson(
        "VGG by hand",
        "06-vgg-by-hand",
        "`build_vgg(plan, channels, classes, image_size)`: a network from a table such as "
        '[8, "M", 16, 16, "M"]',
    ),
    7: Lesson(
        "Transfer in four cases",
        "07-transfer",
        "`choose_trained(blocks, head, few, similar, rate)`: what of a trained network trains on, "
        "and how fast",
    ),
    8: Lesson(
        "Augmentation",
        "08-augmentation",
        "`augment(images, generator)`: each image flipped or not, and moved by up to two pixels",
    ),
    9: Lesson(
        "Autoencoders and t-SNE",
        "09-autoencoders",
        "`neighbors_kept(points, map, k)`: how many of the nearest neighbors a map keeps",
    ),
    10: Lesson(
        "Boxes, anchors, IoU",
        "10-boxes",
        "`iou(one, other)`: the intersection over union of each box with each",
    ),
    11: Lesson(
        "Gates and long memory",
        "11-gates",
        "`lstm_step(x, h, c, weights)`: one step of an LSTM",
    ),
    12: Lesson(
        "From folds to a submission",
        "12-folds",
        "`out_of_fold(make_model, inputs, targets, test_inputs, folds)`: the answer for each row "
        "by the model that has not seen it, and the folds' mean for the test rows",
    ),
}
