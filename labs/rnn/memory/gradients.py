"""How far back a gradient reaches."""

import copy

import numpy as np
import torch

from common.metrics.metrics import Array
from labs.rnn.memory.models import Rememberer
from labs.rnn.memory.tasks import Batch, MemoryTask


def gradient_norms(model: Rememberer, task: MemoryTask, batch: Batch) -> Array:
    """Return the norm of the gradient with respect to each state, by its distance from the end.

    At k of (steps,) it is that of d error / d state_(last - k). The error is that of the last step
    alone. In an LSTM the state is the hidden and the cell state together. The norms are computed in
    float64, in which they can vanish to 1e-300 before they are 0, and are means over the sequences
    of a batch. The model stays as it is.
    """
    inputs, targets = batch
    read, trace = copy.deepcopy(model).cpu().double().trace(inputs.double())
    precise = targets.double() if targets.is_floating_point() else targets
    error = task.last_error(read[:, -1], precise).sum()
    parts = [part for state in trace.steps for part in state]
    # The last cell state is used by no later step: its gradient is 0.
    gradients = torch.autograd.grad(error, parts, materialize_grads=True)
    squares = torch.stack([gradient.square().sum(-1) for gradient in gradients])  # (parts, B)
    norms = squares.view(len(trace.steps), -1, len(inputs)).sum(1).sqrt().mean(1)
    return norms.flip(0).numpy()


def reach(norms: Array, share: float = 0.01) -> int:
    """Return the largest distance, in steps, at which a share of the first norm is left."""
    return int(np.flatnonzero(norms >= share * norms[0])[-1])
