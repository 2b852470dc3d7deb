"""Sequence to label: what a text says, good or bad."""
