"""Comparisons of classifiers: runs made of runs, and advice that rests on them."""
