"""Runs made of runs that say what one run cannot: folds, searches, shares of the data."""
