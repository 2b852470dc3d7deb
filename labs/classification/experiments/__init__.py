"""Runs made of runs that say what one run cannot: cross-validation and its like."""
