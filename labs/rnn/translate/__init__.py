"""Translate: an encoder reads a sequence, a decoder writes another."""
