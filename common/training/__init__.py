"""Training: the loop, and all that it is handed.

This is the front that programs use: `fit` trains to the end, `epochs` yields a row per epoch,
`evaluate` and `infer` measure, `Task` says what the loop cannot know, `Batches` feeds it.
"""

from common.training.batches import Batches
from common.training.loop import epochs, evaluate, fit, infer, monitored, train_step
from common.training.task import Task, When

__all__ = [
    "Batches",
    "Task",
    "When",
    "epochs",
    "evaluate",
    "fit",
    "infer",
    "monitored",
    "train_step",
]
