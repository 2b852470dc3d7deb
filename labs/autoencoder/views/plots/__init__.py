"""The pictures of the views."""
