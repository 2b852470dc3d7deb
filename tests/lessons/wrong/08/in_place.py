# given have been changed
import torch


def augment(images, generator):
    count, _, height, width = images.shape
    for number in range(count):
        if torch.rand(1, generator=generator) < 0.5:
            images[number] = images[number].flip(2)
        down, right = torch.randint(-2, 3, (2,), generator=generator).tolist()
        images[number] = images[number].roll((down, right), (1, 2))
    return images
