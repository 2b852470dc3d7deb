"""Figures with intervals, and a network against its baselines."""
