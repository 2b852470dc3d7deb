"""A classifier as a file that answers without torch."""
