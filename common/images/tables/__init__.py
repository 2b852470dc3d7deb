"""The user's tables of image files: their columns, the file of each row, and its label."""
