"""Trained detectors on images and videos."""
