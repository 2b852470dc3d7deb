"""Comparisons of autoencoders: runs made of runs."""
