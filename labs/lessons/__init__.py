"""Twelve lessons, each with a task whose file is checked; the pages are in docs/lessons."""
