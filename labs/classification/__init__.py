"""Classify images: networks from a linear template to torchvision's."""
