"""Runs: a folder each, started, trained, concluded, compared."""
