"""Several senses at once: an image beside numbers, categories and short texts of the same row."""
