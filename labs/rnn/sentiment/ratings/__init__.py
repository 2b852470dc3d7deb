"""Ratings of texts as numbers: regression and ordinal regression."""
