"""Test-time augmentation: answers that are the mean over an image and changed copies of it."""
