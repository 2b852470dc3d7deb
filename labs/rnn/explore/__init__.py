"""What texts and series are, before anything is trained."""
