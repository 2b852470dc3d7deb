# chance comes from elsewhere
import torch
from torch.nn.functional import pad


def augment(images, generator):
    count, _, height, width = images.shape
    flips = torch.randint(2, (count,)).bool()
    corners = torch.randint(5, (count, 2), generator=generator).tolist()
    flipped = torch.where(flips[:, None, None, None], images.flip(-1), images)
    windows = [
        image[:, top : top + height, left : left + width]
        for image, (top, left) in zip(pad(flipped, (2, 2, 2, 2)), corners, strict=True)
    ]
    return torch.stack(windows)
