"""Runs shown in other programs as they train: TensorBoard, Weights & Biases."""
