"""Darknet's own files: `.cfg` becomes a plain module, `.weights` its numbers, and back."""
