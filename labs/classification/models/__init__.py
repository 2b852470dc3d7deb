"""Classifiers: `catalogue` names them, `build` makes them."""
