"""Augmentation by itself: seen before it is trained with, and written as a folder."""
