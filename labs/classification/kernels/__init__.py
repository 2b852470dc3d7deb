"""Convolution on a page: kernels of image processing, one's own, and those that a run learned."""
