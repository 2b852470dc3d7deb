"""Images that were found, with a mark at those that should not have been."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from common.metrics.metrics import Array

_MARK = (213, 94, 0)  # Okabe and Ito's vermilion


def frame(images: Tensor, marked: Array) -> Tensor:
    """Return images in color and with a frame, which is white, but vermilion where marked, (n,).

    Of uint8 (n, C, S, S) they are uint8 (n, 3, S + 2 F, S + 2 F), where F is 1 and a twentieth of
    S.
    """
    width = 1 + images.shape[2] // 20
    larger = functional.pad(images.expand(-1, 3, -1, -1), [width] * 4, value=255)
    edge = torch.ones(larger.shape[2:], dtype=torch.bool)
    edge[width:-width, width:-width] = False
    mark = torch.tensor(_MARK, dtype=torch.uint8)[:, None, None]
    return torch.where(
        torch.from_numpy(np.asarray(marked))[:, None, None, None] & edge, mark, larger
    )
