"""Ensembles: runs that answer together, and whether that is better than the best of them."""
