"""Ultralytics' models and augmentation: the one folder that imports that package (AGPL-3.0)."""
