"""Randomness as a function: (seed, epoch, position) -> numbers.

Nothing here keeps a state, so nothing needs to be saved: the order of the data, the numbers that
augmentation draws and the key of each dropout mask are worked out again from where the run stands.
"""

import torch

_MASK = (1 << 64) - 1

# What a key is for, so that two uses of the same (seed, epoch) do not share numbers.
ORDER, AUGMENT, DROPOUT, EVALUATION, INITIALIZATION, LOADER, BUCKETS, SAMPLE, BOOTSTRAP = range(9)


def derive(*keys: int) -> int:
    """Mix integers into one seed of 63 bits.

    The keys are the digits of one number (to the base of Knuth's multiplier for MMIX, modulo 2^64);
    the finaliser of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
    generators", section 4) then gives near numbers unrelated seeds.
    """
    state = 1
    for key in keys:
        state = (state * 6364136223846793005 + key) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return (state ^ (state >> 31)) >> 1


def generator(*keys: int) -> torch.Generator:
    """Return a CPU generator that stands at the beginning of the stream named by the keys."""
    return torch.Generator().manual_seed(derive(*keys))


def seed_weights(seed: int) -> None:
    """Seed what draws a new model's weights: torch's default generator."""
    torch.default_generator.manual_seed(derive(seed, INITIALIZATION))


def permutation(seed: int, epoch: int, size: int) -> torch.Tensor:
    """Return the order of an epoch: int64 of shape (size,), each row once."""
    return torch.randperm(size, generator=generator(seed, ORDER, epoch))


def draws(seed: int, epoch: int, weights: torch.Tensor) -> torch.Tensor:
    """Return the order of an epoch that is drawn with replacement, int64 of shape (N,).

    Args:
        seed: names the order, with the epoch.
        epoch: from 0.
        weights: (N,), at least 0: how probable each row is, up to a common factor.
    """
    stream = generator(seed, ORDER, epoch)
    return torch.multinomial(weights, len(weights), replacement=True, generator=stream)


def uniforms(seed: int, epoch: int, size: int, columns: int) -> torch.Tensor:
    """Return an epoch's table of numbers in [0, 1), (size, columns): a row per position."""
    return torch.rand(size, columns, generator=generator(seed, AUGMENT, epoch))
