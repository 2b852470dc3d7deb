"""What data are, before anything is trained."""
