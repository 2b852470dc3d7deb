"""Randomness as a function: (seed, epoch, position) -> numbers.

Nothing here keeps a state, so nothing needs to be saved: the order of the data, the numbers that
augmentation draws and the key of each dropout mask are worked out anew from where the run stands.
"""

import torch

_MASK = (1 << 64) - 1

# What a key is for, so that two uses of the same (seed, epoch) do not share numbers.
ORDER, AUGMENT, DROPOUT, EVALUATION, INITIALIZATION, LOADER = range(6)


def derive(*keys: int) -> int:
    """Mix integers into one seed of 63 bits.

    The finaliser of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
    generators", section 4) is applied after each key, so near keys give unrelated seeds.
    """
    state = 0
    for key in keys:
        state = (state + key + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


def generator(*keys: int) -> torch.Generator:
    """Return a CPU generator that stands at the beginning of the stream named by the keys."""
    return torch.Generator().manual_seed(derive(*keys))


def permutation(seed: int, epoch: int, size: int) -> torch.Tensor:
    """Return the order of an epoch: int64 of shape (size,), each row once."""
    return torch.randperm(size, generator=generator(seed, ORDER, epoch))


def uniforms(seed: int, epoch: int, size: int, columns: int) -> torch.Tensor:
    """Return an epoch's table of numbers in [0, 1), (size, columns): a row per position."""
    return torch.rand(size, columns, generator=generator(seed, AUGMENT, epoch))
