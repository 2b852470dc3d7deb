"""What each lesson asks of a file, a module for a lesson."""
